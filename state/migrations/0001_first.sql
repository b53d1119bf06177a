-- The first shape of the state. Each versioned table x has x_past (closed rows) and x_history (both together):
-- a row is valid from run number `valid_from_run` up to, not including, `valid_to_run` (null: valid still).

CREATE TABLE counter (name VARCHAR PRIMARY KEY, next INTEGER NOT NULL);
INSERT INTO counter VALUES ('tenant', 1), ('account', 1), ('group', 1), ('target', 1), ('target_user', 1), ('target_group', 1), ('history_run', 1);

CREATE TABLE meta (name VARCHAR PRIMARY KEY, value VARCHAR);

CREATE TABLE tenant (
    tenant_key SMALLINT PRIMARY KEY, name VARCHAR NOT NULL, cursor VARCHAR,
    extract_id VARCHAR, full_content VARCHAR, started_at TIMESTAMP
);
CREATE TABLE extract (
    extract_id VARCHAR PRIMARY KEY, tenant_key SMALLINT, run_id VARCHAR, kind VARCHAR, cursor_before VARCHAR, cursor_after VARCHAR,
    started_at TIMESTAMP, finished_at TIMESTAMP, accounts INTEGER, groups INTEGER, memberships INTEGER, rejected INTEGER, claimed VARCHAR,
    verdict VARCHAR, reasons VARCHAR[], config_digest VARCHAR, outcome VARCHAR, outcome_reason VARCHAR, accounts_before INTEGER,
    consolidated_at TIMESTAMP
);
CREATE TABLE run (
    run_id VARCHAR PRIMARY KEY, kind VARCHAR, started_at TIMESTAMP, finished_at TIMESTAMP, config_digest VARCHAR, inputs VARCHAR,
    outcome VARCHAR, exit_code INTEGER, digest VARCHAR, detail VARCHAR
);
-- A run gets its number when it first writes history; a run that others interrupted gets another one.
CREATE TABLE history_run (run_no INTEGER PRIMARY KEY, run_id VARCHAR NOT NULL, began_at TIMESTAMP NOT NULL);

CREATE TABLE raw_account (
    account_key INTEGER,
    tenant_key SMALLINT,
    native_id VARCHAR,
    user_name VARCHAR,
    email VARCHAR,
    aliases VARCHAR[],
    home_email VARCHAR,
    private_email VARCHAR,
    display_name VARCHAR,
    given_name VARCHAR,
    family_name VARCHAR,
    employee_number VARCHAR,
    immutable_id VARCHAR,
    user_type VARCHAR,
    active BOOLEAN,
    status VARCHAR,
    department VARCHAR,
    title VARCHAR,
    company VARCHAR,
    location VARCHAR,
    phone VARCHAR,
    manager_id VARCHAR,
    locale VARCHAR,
    time_zone VARCHAR,
    created_at TIMESTAMP,
    disabled_at TIMESTAMP,
    deleted_at TIMESTAMP,
    starts_on DATE,
    ends_on DATE,
    updated_at TIMESTAMP,
    present UBIGINT,
    gone VARCHAR,
    gone_since TIMESTAMP,
    valid_from_run INTEGER
);
CREATE TABLE raw_account_past AS SELECT *, NULL::INTEGER AS valid_to_run FROM raw_account;
CREATE VIEW raw_account_history AS SELECT *, NULL::INTEGER AS valid_to_run FROM raw_account UNION ALL BY NAME SELECT * FROM raw_account_past;
CREATE TABLE raw_group (
    group_key INTEGER,
    tenant_key SMALLINT,
    native_id VARCHAR,
    name VARCHAR,
    description VARCHAR,
    kind VARCHAR,
    gone VARCHAR,
    gone_since TIMESTAMP,
    valid_from_run INTEGER
);
CREATE TABLE raw_group_past AS SELECT *, NULL::INTEGER AS valid_to_run FROM raw_group;
CREATE VIEW raw_group_history AS SELECT *, NULL::INTEGER AS valid_to_run FROM raw_group UNION ALL BY NAME SELECT * FROM raw_group_past;
-- No primary key: it makes loading eight times slower; uniqueness is proven before.
CREATE TABLE raw_membership (
    tenant_key SMALLINT,
    group_key INTEGER,
    member_key INTEGER,
    nested BOOLEAN,
    valid_from_run INTEGER
);
CREATE TABLE raw_membership_past AS SELECT *, NULL::INTEGER AS valid_to_run FROM raw_membership;
CREATE VIEW raw_membership_history AS SELECT *, NULL::INTEGER AS valid_to_run FROM raw_membership UNION ALL BY NAME SELECT * FROM raw_membership_past;
-- Edges whose group or member nobody knows (yet).
CREATE TABLE raw_membership_aside (tenant_key SMALLINT, group_id VARCHAR, member_id VARCHAR, member_kind VARCHAR);

CREATE TABLE core_link (
    account_key INTEGER,
    person_key INTEGER,
    rule VARCHAR,
    evidence VARCHAR,
    valid_from_run INTEGER
);
CREATE TABLE core_link_past AS SELECT *, NULL::INTEGER AS valid_to_run FROM core_link;
CREATE VIEW core_link_history AS SELECT *, NULL::INTEGER AS valid_to_run FROM core_link UNION ALL BY NAME SELECT * FROM core_link_past;
CREATE TABLE core_person_id (
    person_key INTEGER,
    person_id VARCHAR,
    founder_key INTEGER,
    generation INTEGER,
    valid_from_run INTEGER
);
CREATE TABLE core_person_id_past AS SELECT *, NULL::INTEGER AS valid_to_run FROM core_person_id;
CREATE VIEW core_person_id_history AS SELECT *, NULL::INTEGER AS valid_to_run FROM core_person_id UNION ALL BY NAME SELECT * FROM core_person_id_past;
CREATE TABLE core_person (
    person_key INTEGER,
    person_id VARCHAR,
    home_key INTEGER,
    home_tenant SMALLINT,
    user_name VARCHAR,
    email VARCHAR,
    aliases VARCHAR[],
    home_email VARCHAR,
    private_email VARCHAR,
    display_name VARCHAR,
    given_name VARCHAR,
    family_name VARCHAR,
    employee_number VARCHAR,
    user_type VARCHAR,
    active BOOLEAN,
    status VARCHAR,
    department VARCHAR,
    title VARCHAR,
    company VARCHAR,
    location VARCHAR,
    phone VARCHAR,
    locale VARCHAR,
    time_zone VARCHAR,
    disabled_at TIMESTAMP,
    starts_on DATE,
    ends_on DATE,
    from_user_name INTEGER,
    from_email INTEGER,
    from_aliases INTEGER,
    from_home_email INTEGER,
    from_private_email INTEGER,
    from_display_name INTEGER,
    from_given_name INTEGER,
    from_family_name INTEGER,
    from_employee_number INTEGER,
    from_user_type INTEGER,
    from_active INTEGER,
    from_status INTEGER,
    from_department INTEGER,
    from_title INTEGER,
    from_company INTEGER,
    from_location INTEGER,
    from_phone INTEGER,
    from_locale INTEGER,
    from_time_zone INTEGER,
    from_disabled_at INTEGER,
    from_starts_on INTEGER,
    from_ends_on INTEGER,
    status_evidence VARCHAR,
    status_tenant SMALLINT,
    status_reason VARCHAR,
    doubtful BOOLEAN,
    valid_from_run INTEGER
);
CREATE TABLE core_person_past AS SELECT *, NULL::INTEGER AS valid_to_run FROM core_person;
CREATE VIEW core_person_history AS SELECT *, NULL::INTEGER AS valid_to_run FROM core_person UNION ALL BY NAME SELECT * FROM core_person_past;

CREATE TABLE core_decision (
    decision_id VARCHAR PRIMARY KEY, tenant_a VARCHAR, native_id_a VARCHAR, tenant_b VARCHAR, native_id_b VARCHAR, decision VARCHAR,
    decided_by VARCHAR, decided_at TIMESTAMP
);
CREATE TABLE core_approval (
    approval_id VARCHAR PRIMARY KEY, fingerprint VARCHAR, digest VARCHAR, hold_id VARCHAR, approved_by VARCHAR, verified BOOLEAN,
    approved_at TIMESTAMP, until TIMESTAMP
);

CREATE TABLE target (target_key SMALLINT PRIMARY KEY, name VARCHAR NOT NULL, adopted_run VARCHAR, adopted_at TIMESTAMP, listed_at TIMESTAMP);
CREATE TABLE target_user (
    user_key INTEGER,
    remote_id VARCHAR,
    user_name VARCHAR,
    display_name VARCHAR,
    email VARCHAR,
    given_name VARCHAR,
    family_name VARCHAR,
    title VARCHAR,
    department VARCHAR,
    company VARCHAR,
    location VARCHAR,
    phone VARCHAR,
    employee_number VARCHAR,
    locale VARCHAR,
    time_zone VARCHAR,
    active BOOLEAN,
    known UINTEGER,
    owned BOOLEAN,
    person_key INTEGER,
    present BOOLEAN,
    protected VARCHAR,
    target_key SMALLINT,
    observed_at TIMESTAMP,
    written_at TIMESTAMP,
    valid_from_run INTEGER
);
CREATE TABLE target_user_past AS SELECT *, NULL::INTEGER AS valid_to_run FROM target_user;
CREATE VIEW target_user_history AS SELECT *, NULL::INTEGER AS valid_to_run FROM target_user UNION ALL BY NAME SELECT * FROM target_user_past;
CREATE TABLE target_group (
    group_key INTEGER,
    remote_id VARCHAR,
    name VARCHAR,
    owned BOOLEAN,
    present BOOLEAN,
    grants_admin BOOLEAN,
    implicit BOOLEAN,
    target_key SMALLINT,
    observed_at TIMESTAMP,
    written_at TIMESTAMP,
    valid_from_run INTEGER
);
CREATE TABLE target_group_past AS SELECT *, NULL::INTEGER AS valid_to_run FROM target_group;
CREATE VIEW target_group_history AS SELECT *, NULL::INTEGER AS valid_to_run FROM target_group UNION ALL BY NAME SELECT * FROM target_group_past;
CREATE TABLE target_membership (
    group_key INTEGER,
    user_key INTEGER,
    owned BOOLEAN,
    target_key SMALLINT,
    valid_from_run INTEGER
);
CREATE TABLE target_membership_past AS SELECT *, NULL::INTEGER AS valid_to_run FROM target_membership;
CREATE VIEW target_membership_history AS SELECT *, NULL::INTEGER AS valid_to_run FROM target_membership UNION ALL BY NAME SELECT * FROM target_membership_past;

CREATE TABLE plan_header (plan_no INTEGER, digest VARCHAR, run_id VARCHAR, created_at TIMESTAMP, header VARCHAR);
CREATE TABLE plan_hold (
    digest VARCHAR, hold_id VARCHAR, guard VARCHAR, reason VARCHAR, release VARCHAR, target VARCHAR, verb VARCHAR, scope VARCHAR,
    count INTEGER, line INTEGER, releasable BOOLEAN
);
CREATE TABLE plan_change (
    digest VARCHAR, seq INTEGER,
    target VARCHAR,
    verb VARCHAR,
    object_id VARCHAR,
    user_name VARCHAR,
    group_name VARCHAR,
    person_key INTEGER,
    person_id VARCHAR,
    user_key INTEGER,
    evidence VARCHAR,
    evidence_tenant SMALLINT,
    reason VARCHAR,
    unit INTEGER,
    reversible BOOLEAN,
    fingerprint VARCHAR,
    held_by VARCHAR[]
);
CREATE TABLE plan_value (
    digest VARCHAR, seq INTEGER,
    attribute VARCHAR,
    before VARCHAR,
    after VARCHAR
);

-- The ledger's answered intents, copied from ledger.sqlite for analysts; the truth stays there.
CREATE TABLE ledger_change (
    receipt_no BIGINT, intent_id BIGINT, run_id VARCHAR, plan VARCHAR, seq INTEGER, target VARCHAR, verb VARCHAR, object_id VARCHAR,
    fingerprint VARCHAR, user_name VARCHAR, group_name VARCHAR, person_key INTEGER, person_id VARCHAR, user_key INTEGER, remote_id VARCHAR,
    evidence VARCHAR, evidence_tenant SMALLINT, unit INTEGER, reason VARCHAR, compensates BIGINT, intended_at TIMESTAMP, outcome VARCHAR,
    detail VARCHAR, requests INTEGER, received_at TIMESTAMP
);
CREATE TABLE ledger_value (intent_id BIGINT, attribute VARCHAR, before VARCHAR, after VARCHAR);
