"""The schemas of every frame that crosses a room's border: column names, polars types and what null means.

Three states of a landed value: *absent* (the tenant did not speak of it), *null* (it says: none) and a value. A frame
column is null for the first two; the bit of that column in `present` (bit i = `ATTRIBUTES[i]`) tells them apart.
Keys (`account_key`, `group_key`, `person_key`, `user_key`) are integers that `state` assigns once and never reuses.
"""

from __future__ import annotations

import polars as pl

from core.model import Evidence, Verb

TIME = pl.Datetime("us")  # UTC, without zone

# Canonical account attributes in the order of the bits of `present`: append only, never reorder (landed files hold the mask).
ATTRIBUTE_TYPES: dict[str, pl.DataType] = {
    "user_name": pl.String(),
    "email": pl.String(),
    "aliases": pl.List(pl.String()),
    "home_email": pl.String(),
    "private_email": pl.String(),
    "display_name": pl.String(),
    "given_name": pl.String(),
    "family_name": pl.String(),
    "employee_number": pl.String(),
    "immutable_id": pl.String(),
    "user_type": pl.String(),  # member, guest, external
    "active": pl.Boolean(),
    "status": pl.String(),
    "department": pl.String(),
    "title": pl.String(),
    "company": pl.String(),
    "location": pl.String(),
    "phone": pl.String(),
    "manager_id": pl.String(),
    "locale": pl.String(),
    "time_zone": pl.String(),
    "created_at": TIME,
    "disabled_at": TIME,
    "deleted_at": TIME,
    "starts_on": pl.Date(),
    "ends_on": pl.Date(),
    "updated_at": TIME,
}
ATTRIBUTES: tuple[str, ...] = tuple(ATTRIBUTE_TYPES)
BIT: dict[str, int] = {name: 1 << place for place, name in enumerate(ATTRIBUTES)}

# --- landing: one tenant, as read. `tombstone` / `removed` rows are explicit evidence that the object is gone.
LANDED_ACCOUNT: dict[str, pl.DataType] = {
    "native_id": pl.String(),
    **ATTRIBUTE_TYPES,
    "present": pl.UInt64(),
    "tombstone": pl.Boolean(),
}
# `members_complete`: in a delta, the memberships landed for this group are all it has (they replace its edges).
LANDED_GROUP: dict[str, pl.DataType] = {
    "native_id": pl.String(),
    "name": pl.String(),
    "description": pl.String(),
    "kind": pl.String(),
    "members_complete": pl.Boolean(),
    "tombstone": pl.Boolean(),
}
LANDED_MEMBERSHIP: dict[str, pl.DataType] = {
    "group_id": pl.String(),
    "member_id": pl.String(),
    "member_kind": pl.String(),  # user, group
    "removed": pl.Boolean(),
}
REJECTED: dict[str, pl.DataType] = {
    "object": pl.String(),  # accounts, groups, memberships
    "native_id": pl.String(),
    "field": pl.String(),
    "problem": pl.String(),
    "raw": pl.String(),  # the record as received, JSON, without secrets
}
LANDED: dict[str, dict[str, pl.DataType]] = {
    "accounts": LANDED_ACCOUNT,
    "groups": LANDED_GROUP,
    "memberships": LANDED_MEMBERSHIP,
    "rejected": REJECTED,
}

# --- the complete picture of all tenants, from the state. `gone` = evidence of a row that was there and is no more.
ACCOUNT: dict[str, pl.DataType] = {
    "account_key": pl.Int32(),
    "tenant_key": pl.Int16(),
    "native_id": pl.String(),
    **ATTRIBUTE_TYPES,
    "present": pl.UInt64(),
    "gone": pl.String(),  # null while it is there; else `explicit` (tombstone) or `absent` (missing from a complete read)
}
GROUP: dict[str, pl.DataType] = {
    "group_key": pl.Int32(),
    "tenant_key": pl.Int16(),
    "native_id": pl.String(),
    "name": pl.String(),
    "description": pl.String(),
    "kind": pl.String(),
    "gone": pl.String(),
}
# Direct edges. `member_key` is an account_key, or a group_key where `nested`.
MEMBERSHIP: dict[str, pl.DataType] = {"group_key": pl.Int32(), "member_key": pl.Int32(), "nested": pl.Boolean()}

# --- matching
LINK: dict[str, pl.DataType] = {
    "account_key": pl.Int32(),
    "person_key": pl.Int32(),
    "rule": pl.String(),  # founding, or the tier that joined it
    "evidence": pl.String(),  # the shared key, e.g. "email ada@corp.example"
    "class": pl.String(),  # what the account is: a word of AccountClass; null in links of before classes were told
}
CLASS: dict[str, pl.DataType] = {"account_key": pl.Int32(), "class": pl.String()}
# What became of persons: `founded`, `split`, `merged`, `moved`, `returned` (see `match_lineage`). One row an event.
LINEAGE: dict[str, pl.DataType] = {
    "event": pl.String(),
    "person_from": pl.String(),  # person_id; null where nobody was there before
    "person_to": pl.String(),  # person_id of who holds the accounts now
    "accounts": pl.Int32(),  # how many moved
    "continues": pl.String(),  # person_id of the one that keeps the id
    "reason": pl.String(),
    "edge": pl.String(),  # the evidence that joined, or the edge that was refused
}
PERSON_ID: dict[str, pl.DataType] = {
    "person_key": pl.Int32(),
    "person_id": pl.String(),
    "founder_key": pl.Int32(),  # account_key of the founding account
    "generation": pl.Int32(),
}
# Human decisions on pairs: `same` pins, `different` vetoes.
DECISION: dict[str, pl.DataType] = {"account_a": pl.Int32(), "account_b": pl.Int32(), "decision": pl.String()}
DOUBT: dict[str, pl.DataType] = {
    "account_a": pl.Int32(),
    "account_b": pl.Int32(),
    "rule": pl.String(),  # which veto or suggestion
    "reason": pl.String(),
    "score": pl.Float64(),
}
# What a human should look at: one row a pair, account_a < account_b. `waterfall`: JSON, what the score is made of; null: nothing.
REVIEW: dict[str, pl.DataType] = {**DOUBT, "waterfall": pl.String()}
# Decisions that shaped the links of now, account_a < account_b; `since_run`: the run that first obeyed them (null: this one).
DECIDED: dict[str, pl.DataType] = {**DECISION, "since_run": pl.Int32()}
# What runs from `from_run` up to, not including, `to_run` made of this account's link came of decisions that were undone since.
UNDONE: dict[str, pl.DataType] = {"account_key": pl.Int32(), "from_run": pl.Int32(), "to_run": pl.Int32()}

# --- merging: one row a person; `from_<attribute>` is the account_key that gave the value (null: nobody gave one)
PERSON_ATTRIBUTES: tuple[str, ...] = tuple(
    name for name in ATTRIBUTES if name not in {"immutable_id", "manager_id", "created_at", "deleted_at", "updated_at"}
)
LISTS = frozenset(name for name in PERSON_ATTRIBUTES if isinstance(ATTRIBUTE_TYPES[name], pl.List))
TEXTS = frozenset(name for name in PERSON_ATTRIBUTES if ATTRIBUTE_TYPES[name] == pl.String())
PERSON: dict[str, pl.DataType] = {
    "person_key": pl.Int32(),
    "person_id": pl.String(),
    "home_key": pl.Int32(),  # account_key of the home account; null for people who are guests everywhere
    "home_tenant": pl.Int16(),
    **{name: ATTRIBUTE_TYPES[name] for name in PERSON_ATTRIBUTES},
    **{f"from_{name}": pl.Int32() for name in PERSON_ATTRIBUTES},
    "status_evidence": pl.String(),  # why inactive: explicit, absent, retired; null while active
    "status_tenant": pl.Int16(),
    "status_reason": pl.String(),
    "doubtful": pl.Boolean(),  # a veto split this person's component: what reduces or grants access waits
    "person_class": pl.String(),  # of its most human account; `person.class` in SQL
    "rules": pl.UInt64(),  # how each value came to stand, two bits an attribute in their order (`survive.PRECEDENCE` …)
    "kept_by": pl.Int16(),  # the one tenant that keeps the person active while others say off; null where nobody differs
    "against": pl.String(),  # names of the tenants that say otherwise about the person's status
}

# --- desired and existing, one target
PUSHED: tuple[str, ...] = (  # attributes that some target can hold; bit i of `known`; append only
    "user_name",
    "display_name",
    "email",
    "given_name",
    "family_name",
    "title",
    "department",
    "company",
    "location",
    "phone",
    "employee_number",
    "locale",
    "time_zone",
)
KNOWN: dict[str, int] = {name: 1 << place for place, name in enumerate(PUSHED)}
DESIRED_USER: dict[str, pl.DataType] = {
    "person_key": pl.Int32(),
    **{name: pl.String() for name in PUSHED},
    "active": pl.Boolean(),
    "evidence": pl.String(),  # of inactivity: explicit, absent, out_of_scope, retired; `grant` while active
    "evidence_tenant": pl.Int16(),
    "reason": pl.String(),
    "in_scope": pl.Boolean(),  # out of scope: an owned user is deactivated, a missing one is not created
    "may_create": pl.Boolean(),
    "may_update": pl.Boolean(),
    "may_deactivate": pl.Boolean(),
}
DESIRED_GROUP: dict[str, pl.DataType] = {
    "group_no": pl.Int32(),
    "name": pl.String(),
    "policy": pl.String(),  # add_only, exact
    "rule": pl.Int32(),  # index of the group rule in the config
    "line": pl.Int32(),  # its line
    "trusted": pl.Boolean(),  # every tenant behind it gave a complete, fresh read: absence of an edge is evidence
    "successor": pl.String(),  # the group that its members move to (`rename: move`); null for all others
}
GROUP_SOURCE: dict[str, pl.DataType] = {"group_no": pl.Int32(), "group_key": pl.Int32()}  # of the tenants' groups
# What the state remembers of it, by the folded name of the target's group.
GROUP_MEMORY: dict[str, pl.DataType] = {"form": pl.String(), "group_key": pl.Int32()}
DESIRED_MEMBERSHIP: dict[str, pl.DataType] = {"group_no": pl.Int32(), "person_key": pl.Int32()}

# `known`: attributes ever observed or written there. Never observed is not absent, and is not compared.
EXISTING_USER: dict[str, pl.DataType] = {
    "user_key": pl.Int32(),
    "remote_id": pl.String(),
    **{name: pl.String() for name in PUSHED},
    "active": pl.Boolean(),
    "known": pl.UInt32(),
    "owned": pl.Boolean(),  # created or adopted by us
    "person_key": pl.Int32(),  # whom it belongs to; null for strangers
    "present": pl.Boolean(),  # false: the newest complete listing no longer shows it
}
EXISTING_GROUP: dict[str, pl.DataType] = {
    "group_key": pl.Int32(),
    "remote_id": pl.String(),
    "name": pl.String(),
    "owned": pl.Boolean(),  # created or adopted by us
    "present": pl.Boolean(),
}
EXISTING_MEMBERSHIP: dict[str, pl.DataType] = {
    "group_key": pl.Int32(),
    "user_key": pl.Int32(),
    "owned": pl.Boolean(),  # the edge is ours: we added it, or its exact group was adopted
}

# --- plan. A change is one row; what it does to attributes stands in CHANGE_VALUE, one row per attribute that differs.
VERBS = pl.Enum([verb.value for verb in Verb])
EVIDENCES = pl.Enum([kind.value for kind in Evidence])
CHANGE: dict[str, pl.DataType] = {
    "seq": pl.Int32(),  # order of application, 0..n-1
    "target": pl.String(),
    "verb": VERBS,
    "object_id": pl.String(),  # remote id; `person:<person_id>` or `group:<name>` before it exists; `<group>|<user>` for edges
    "user_name": pl.String(),  # the name the user has when the change runs
    "group_name": pl.String(),
    "person_key": pl.Int32(),
    "person_id": pl.String(),
    "user_key": pl.Int32(),  # of the existing user, when there is one
    "evidence": EVIDENCES,
    "evidence_tenant": pl.Int16(),
    "reason": pl.String(),
    "unit": pl.Int32(),  # changes of one unit of compensation share the smallest seq among them
    "reversible": pl.Boolean(),
    "fingerprint": pl.String(),  # 32 hex characters over target, object_id, verb, before, after, evidence
    "held_by": pl.List(pl.String()),  # hold ids; null = ready
}
CHANGE_VALUE: dict[str, pl.DataType] = {
    "seq": pl.Int32(),
    "attribute": pl.String(),  # one of PUSHED, or `active` ("true"/"false"), `policy` for adopted groups
    "before": pl.String(),
    "after": pl.String(),
}
# Ledger rows as the window guard sees them: receipts of removals in the rolling window
WINDOW: dict[str, pl.DataType] = {
    "target": pl.String(),
    "verb": pl.String(),
    "evidence": pl.String(),
    "tenant_key": pl.Int16(),
    "count": pl.Int64(),
}
APPROVAL: dict[str, pl.DataType] = {
    "fingerprint": pl.String(),
    "approved_by": pl.String(),
    "approved_at": TIME,
    "until": TIME,  # null: no end
}


def empty(schema: dict[str, pl.DataType]) -> pl.DataFrame:
    """A frame with no rows of that schema."""
    return pl.DataFrame(schema=schema)


def conform(frame: pl.DataFrame, schema: dict[str, pl.DataType]) -> pl.DataFrame:
    """The frame with exactly the columns of the schema, in its order; missing ones null. Raises polars errors on impossible casts."""
    return frame.select(
        [
            pl.col(name).cast(kind) if name in frame.columns else pl.lit(None, dtype=kind).alias(name)
            for name, kind in schema.items()
        ]
    )
