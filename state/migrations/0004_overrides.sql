-- Exceptions that people set: what somebody said of a person's status, why and until when. Append-only; the last word stands.
CREATE TABLE core_override (
    override_id VARCHAR PRIMARY KEY, person_id VARCHAR, says VARCHAR, until TIMESTAMP, reason VARCHAR, said_by VARCHAR, said_at TIMESTAMP
);
