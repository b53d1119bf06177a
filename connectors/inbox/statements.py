"""The SQL of the inbox store, in words that SQLite and PostgreSQL both understand; `?` marks a parameter.

`inbox_event` is the append-only log. `inbox_user`, `inbox_group`, `inbox_member` and `inbox_address` are its projection;
`seq` is the number of the event that last changed the row, `born` of the one that made it. Rows of what is gone stay
as tombstones, since only an explicit word of the provider is evidence. `inbox_reduction` holds the newest number with
which a tenant took access away, for processes that look on. `inbox_view`, `inbox_view_member` and `inbox_view_key` hold in
what a record differs for one caller behind a shared credential (see `views`): attributes, edges, and what they are found by.
"""

from __future__ import annotations

import re

TABLES = (
    "CREATE TABLE IF NOT EXISTS inbox_meta (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
    """CREATE TABLE IF NOT EXISTS inbox_tenant (
        tenant_no INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, seq BIGINT NOT NULL, user_count BIGINT NOT NULL,
        group_count BIGINT NOT NULL, created_at TEXT NOT NULL, sealed_at TEXT, expected_users BIGINT,
        expected_groups BIGINT, checkpoint_seq BIGINT NOT NULL, pruned_seq BIGINT NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS inbox_token (
        token_id TEXT PRIMARY KEY, tenant TEXT NOT NULL, lookup TEXT NOT NULL, hash TEXT NOT NULL,
        networks TEXT NOT NULL, note TEXT NOT NULL, created_at TEXT NOT NULL, expires_at TEXT, revoked_at TEXT,
        used_at TEXT)""",
    "CREATE INDEX IF NOT EXISTS inbox_token_lookup ON inbox_token (lookup)",
    """CREATE TABLE IF NOT EXISTS inbox_failure (
        day TEXT NOT NULL, address TEXT NOT NULL, failures BIGINT NOT NULL, PRIMARY KEY (day, address))""",
    """CREATE TABLE IF NOT EXISTS inbox_event (
        tenant_no INTEGER NOT NULL, seq BIGINT NOT NULL, at TEXT NOT NULL, writer TEXT NOT NULL, provider TEXT,
        verb TEXT NOT NULL, kind TEXT NOT NULL, id TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (tenant_no, seq))""",
    """CREATE TABLE IF NOT EXISTS inbox_user (
        tenant_no INTEGER NOT NULL, id TEXT NOT NULL, born BIGINT NOT NULL, seq BIGINT NOT NULL, name TEXT NOT NULL,
        external_id TEXT, doc TEXT NOT NULL, cleared TEXT NOT NULL, created_at TEXT NOT NULL, changed_at TEXT NOT NULL,
        deleted_at TEXT, writer TEXT NOT NULL, provider TEXT, contested INTEGER NOT NULL, members BIGINT NOT NULL,
        PRIMARY KEY (tenant_no, id))""",
    "CREATE UNIQUE INDEX IF NOT EXISTS inbox_user_name ON inbox_user (tenant_no, name) WHERE deleted_at IS NULL",
    "CREATE UNIQUE INDEX IF NOT EXISTS inbox_user_born ON inbox_user (tenant_no, born) WHERE deleted_at IS NULL",
    "CREATE INDEX IF NOT EXISTS inbox_user_external ON inbox_user (tenant_no, external_id)",
    "CREATE INDEX IF NOT EXISTS inbox_user_seq ON inbox_user (tenant_no, seq)",
    """CREATE TABLE IF NOT EXISTS inbox_group (
        tenant_no INTEGER NOT NULL, id TEXT NOT NULL, born BIGINT NOT NULL, seq BIGINT NOT NULL, name TEXT NOT NULL,
        external_id TEXT, doc TEXT NOT NULL, cleared TEXT NOT NULL, created_at TEXT NOT NULL, changed_at TEXT NOT NULL,
        deleted_at TEXT, writer TEXT NOT NULL, provider TEXT, contested INTEGER NOT NULL, members BIGINT NOT NULL,
        PRIMARY KEY (tenant_no, id))""",
    "CREATE UNIQUE INDEX IF NOT EXISTS inbox_group_name ON inbox_group (tenant_no, name) WHERE deleted_at IS NULL",
    "CREATE UNIQUE INDEX IF NOT EXISTS inbox_group_born ON inbox_group (tenant_no, born) WHERE deleted_at IS NULL",
    "CREATE INDEX IF NOT EXISTS inbox_group_external ON inbox_group (tenant_no, external_id)",
    "CREATE INDEX IF NOT EXISTS inbox_group_seq ON inbox_group (tenant_no, seq)",
    """CREATE TABLE IF NOT EXISTS inbox_member (
        tenant_no INTEGER NOT NULL, group_id TEXT NOT NULL, member_id TEXT NOT NULL, kind TEXT NOT NULL,
        seq BIGINT NOT NULL, removed INTEGER NOT NULL, PRIMARY KEY (tenant_no, group_id, member_id))""",
    "CREATE INDEX IF NOT EXISTS inbox_member_of ON inbox_member (tenant_no, member_id, removed)",
    "CREATE INDEX IF NOT EXISTS inbox_member_seq ON inbox_member (tenant_no, seq)",
    """CREATE TABLE IF NOT EXISTS inbox_address (
        tenant_no INTEGER NOT NULL, address TEXT NOT NULL, user_id TEXT NOT NULL,
        PRIMARY KEY (tenant_no, address, user_id))""",
    "CREATE INDEX IF NOT EXISTS inbox_address_user ON inbox_address (tenant_no, user_id)",
    "CREATE TABLE IF NOT EXISTS inbox_reduction (tenant_no INTEGER PRIMARY KEY, seq BIGINT NOT NULL)",
    """CREATE TABLE IF NOT EXISTS inbox_view (
        tenant_no INTEGER NOT NULL, kind TEXT NOT NULL, id TEXT NOT NULL, mark TEXT NOT NULL, seq BIGINT NOT NULL,
        changed_at TEXT NOT NULL, gone INTEGER NOT NULL, patch TEXT NOT NULL, PRIMARY KEY (tenant_no, kind, id, mark))""",
    "CREATE INDEX IF NOT EXISTS inbox_view_gone ON inbox_view (tenant_no, kind, mark) WHERE gone = 1",
    """CREATE TABLE IF NOT EXISTS inbox_view_member (
        tenant_no INTEGER NOT NULL, group_id TEXT NOT NULL, member_id TEXT NOT NULL, mark TEXT NOT NULL, kind TEXT NOT NULL,
        seq BIGINT NOT NULL, removed INTEGER NOT NULL, PRIMARY KEY (tenant_no, group_id, member_id, mark))""",
    "CREATE INDEX IF NOT EXISTS inbox_view_member_of ON inbox_view_member (tenant_no, member_id, mark)",
    """CREATE TABLE IF NOT EXISTS inbox_view_key (
        tenant_no INTEGER NOT NULL, kind TEXT NOT NULL, id TEXT NOT NULL, mark TEXT NOT NULL, seq BIGINT NOT NULL,
        named TEXT NOT NULL, literal TEXT NOT NULL, PRIMARY KEY (tenant_no, kind, id, mark, named, literal))""",
    "CREATE INDEX IF NOT EXISTS inbox_view_key_of ON inbox_view_key (tenant_no, kind, mark, named, literal, id)",
    """CREATE TABLE IF NOT EXISTS inbox_checkpoint (
        tenant_no INTEGER NOT NULL, seq BIGINT NOT NULL, part INTEGER NOT NULL, at TEXT NOT NULL, data TEXT NOT NULL,
        PRIMARY KEY (tenant_no, seq, part))""",
)
TABLE = {"User": "inbox_user", "Group": "inbox_group"}

# --- tenants
TENANTS = """SELECT tenant_no, name, seq, user_count, group_count, created_at, sealed_at, expected_users, expected_groups,
    checkpoint_seq, pruned_seq FROM inbox_tenant ORDER BY name"""
TENANT_ADD = """INSERT INTO inbox_tenant (tenant_no, name, seq, user_count, group_count, created_at, checkpoint_seq, pruned_seq)
    SELECT coalesce(max(tenant_no), 0) + 1, ?, 0, 0, 0, ?, 0, 0 FROM inbox_tenant WHERE true
    ON CONFLICT (name) DO NOTHING"""
TENANT_RENAME = "UPDATE inbox_tenant SET name = ? WHERE name = ?"
TOKENS_RENAME = "UPDATE inbox_token SET tenant = ? WHERE tenant = ?"
TURN_OPEN = "SELECT seq, user_count, group_count FROM inbox_tenant WHERE tenant_no = ?"  # and FOR UPDATE in PostgreSQL
TURN_CLOSE = "UPDATE inbox_tenant SET seq = ?, user_count = ?, group_count = ? WHERE tenant_no = ?"
REDUCED = """INSERT INTO inbox_reduction (tenant_no, seq) VALUES (?, ?)
    ON CONFLICT (tenant_no) DO UPDATE SET seq = excluded.seq"""
MOVES = """SELECT t.tenant_no, t.seq, coalesce(r.seq, 0) FROM inbox_tenant t
    LEFT JOIN inbox_reduction r ON r.tenant_no = t.tenant_no ORDER BY t.tenant_no"""
COUNTS = "SELECT user_count, group_count FROM inbox_tenant WHERE tenant_no = ?"
SEAL = "UPDATE inbox_tenant SET sealed_at = ? WHERE tenant_no = ?"
META_GET = "SELECT value FROM inbox_meta WHERE name = ?"
META_ADD = "INSERT INTO inbox_meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO NOTHING"

# --- tokens
TOKEN_FIND = "SELECT token_id, tenant, hash, networks, expires_at, revoked_at FROM inbox_token WHERE lookup = ?"
TOKEN_ADD = """INSERT INTO inbox_token (token_id, tenant, lookup, hash, networks, note, created_at, expires_at)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?)"""
TOKENS = """SELECT token_id, tenant, networks, note, created_at, expires_at, revoked_at, used_at FROM inbox_token
    ORDER BY tenant, created_at, token_id"""
TOKEN_EXPIRE = "UPDATE inbox_token SET expires_at = ? WHERE token_id = ? AND (expires_at IS NULL OR expires_at > ?)"
TOKEN_REVOKE = "UPDATE inbox_token SET revoked_at = ? WHERE token_id = ? AND revoked_at IS NULL"
TOKEN_BY_ID = "SELECT tenant, revoked_at FROM inbox_token WHERE token_id = ?"
TOKEN_USED = "UPDATE inbox_token SET used_at = ? WHERE token_id = ? AND (used_at IS NULL OR used_at < ?)"
FAILED = """INSERT INTO inbox_failure (day, address, failures) VALUES (?, ?, ?)
    ON CONFLICT (day, address) DO UPDATE SET failures = inbox_failure.failures + excluded.failures"""
FAILURES = "SELECT day, address, failures FROM inbox_failure ORDER BY day DESC, failures DESC, address"
FAILURES_PRUNE = "DELETE FROM inbox_failure WHERE day < ?"

# --- log
EVENT_ADD = """INSERT INTO inbox_event (tenant_no, seq, at, writer, provider, verb, kind, id, body)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"""
EVENTS = """SELECT seq, at, writer, provider, verb, kind, id, body FROM inbox_event
    WHERE tenant_no = ? AND seq > ? ORDER BY seq LIMIT ?"""

# Found by an equality they come in no order: sorted in SQL, SQLite would walk the whole index of `born` instead.
# --- resources: every SELECT gives the columns of `records.Record` in its order
COLUMNS = "id, born, seq, doc, cleared, created_at, changed_at, deleted_at, writer, provider, contested, members"


def _both(template: str) -> dict[str, str]:
    """The same statement for users and groups."""
    filled = template.replace("COLUMNS", COLUMNS)
    return {kind: filled.replace("TABLE", table).replace("KIND", kind) for kind, table in TABLE.items()}


# The edges as one caller sees them; its mark is asked for twice, before everything else.
_SEEN = """(SELECT tenant_no, group_id, member_id, kind, removed FROM inbox_member e WHERE removed = 0 AND NOT EXISTS
    (SELECT 1 FROM inbox_view_member v WHERE v.tenant_no = e.tenant_no AND v.group_id = e.group_id
    AND v.member_id = e.member_id AND v.mark = ?) UNION ALL SELECT tenant_no, group_id, member_id, kind, removed
    FROM inbox_view_member WHERE mark = ? AND removed = 0)"""


def _edges(template: str) -> tuple[str, str]:
    """The same statement for the edges that are stored and for those that a caller sees."""
    return template.replace("EDGES", "inbox_member m"), template.replace("EDGES", f"{_SEEN} m")


def _edges_both(template: str) -> tuple[dict[str, str], dict[str, str]]:
    """The same for groups by their member and for users by their group."""
    ends = {"Group": ("group_id", "member_id"), "User": ("member_id", "group_id")}
    made = {kind: _edges(template.replace("SUBJECT", a).replace("OTHER", b)) for kind, (a, b) in ends.items()}
    return {kind: each[0] for kind, each in made.items()}, {kind: each[1] for kind, each in made.items()}


BY_ID = _both("SELECT COLUMNS FROM TABLE WHERE tenant_no = ? AND id = ? AND deleted_at IS NULL")
BY_NAME = _both("SELECT COLUMNS FROM TABLE WHERE tenant_no = ? AND name = ? AND deleted_at IS NULL")
BY_EXTERNAL = _both("SELECT COLUMNS FROM TABLE WHERE tenant_no = ? AND external_id = ? AND deleted_at IS NULL")
BY_EDGE, BY_EDGE_SEEN = (
    {
        kind: f"SELECT {COLUMNS} FROM {TABLE[kind]} WHERE tenant_no = ? AND deleted_at IS NULL AND id IN ({each})"  # noqa: S608 - constants only
        for kind, each in statements.items()
    }
    for statements in _edges_both("SELECT SUBJECT FROM EDGES WHERE tenant_no = ? AND OTHER = ? AND removed = 0")
)
BY_ADDRESS = f"""SELECT {COLUMNS} FROM inbox_user WHERE tenant_no = ? AND deleted_at IS NULL AND id IN
    (SELECT user_id FROM inbox_address WHERE tenant_no = ? AND address = ?)"""  # noqa: S608 - constants only
AFTER = _both("SELECT COLUMNS FROM TABLE WHERE tenant_no = ? AND deleted_at IS NULL AND born > ? ORDER BY born LIMIT ?")
SKIPPING = _both("SELECT COLUMNS FROM TABLE WHERE tenant_no = ? AND deleted_at IS NULL ORDER BY born LIMIT ? OFFSET ?")
_HIDDEN = """SELECT 1 FROM inbox_view v WHERE v.tenant_no = TABLE.tenant_no AND v.kind = 'KIND' AND v.id = TABLE.id
    AND v.mark = ? AND v.gone = 1"""
AFTER_SEEN = _both(
    f"SELECT COLUMNS FROM TABLE WHERE tenant_no = ? AND deleted_at IS NULL AND born > ? AND NOT EXISTS ({_HIDDEN}) ORDER BY born LIMIT ?"  # noqa: S608 - constants only
)
SKIPPING_SEEN = _both(
    f"SELECT COLUMNS FROM TABLE WHERE tenant_no = ? AND deleted_at IS NULL AND NOT EXISTS ({_HIDDEN}) ORDER BY born LIMIT ? OFFSET ?"  # noqa: S608 - constants only
)
NAME_TAKEN = _both("SELECT id FROM TABLE WHERE tenant_no = ? AND name = ? AND deleted_at IS NULL")
ADD = _both(
    """INSERT INTO TABLE (tenant_no, id, born, seq, name, external_id, doc, cleared, created_at, changed_at, deleted_at,
    writer, provider, contested, members) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""
)
SET = _both(
    """UPDATE TABLE SET seq = ?, name = ?, external_id = ?, doc = ?, cleared = ?, changed_at = ?, writer = ?,
    provider = ?, contested = ?, members = ? WHERE tenant_no = ? AND id = ?"""
)
TOUCH = _both("UPDATE TABLE SET seq = ?, changed_at = ?, writer = ?, members = ? WHERE tenant_no = ? AND id = ?")
TOMB = _both(
    "UPDATE TABLE SET seq = ?, changed_at = ?, deleted_at = ?, writer = ?, members = 0 WHERE tenant_no = ? AND id = ?"
)
CONTEST = _both("UPDATE TABLE SET seq = ?, contested = 1 WHERE tenant_no = ? AND id = ?")

# --- addresses
ADDRESS_ADD = "INSERT INTO inbox_address (tenant_no, address, user_id) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
ADDRESS_DROP = "DELETE FROM inbox_address WHERE tenant_no = ? AND user_id = ?"

# --- members
MEMBER_ADD = """INSERT INTO inbox_member (tenant_no, group_id, member_id, kind, seq, removed) VALUES (?, ?, ?, ?, ?, 0)
    ON CONFLICT (tenant_no, group_id, member_id) DO UPDATE SET kind = excluded.kind, seq = excluded.seq, removed = 0"""
MEMBER_DROP = """UPDATE inbox_member SET removed = 1, seq = ? WHERE tenant_no = ? AND group_id = ? AND member_id = ?
    AND removed = 0"""
MEMBERS_AFTER, MEMBERS_AFTER_SEEN = _edges(
    """SELECT member_id, kind FROM EDGES WHERE tenant_no = ? AND group_id = ? AND removed = 0
    AND member_id > ? ORDER BY member_id LIMIT ?"""
)
_OF_GROUP = ", ".join(f"g.{each}" for each in COLUMNS.split(", "))
GROUPS_OF, GROUPS_OF_SEEN = _edges(
    f"""SELECT {_OF_GROUP} FROM EDGES JOIN inbox_group g ON g.tenant_no = m.tenant_no AND g.id = m.group_id
    WHERE m.tenant_no = ? AND m.member_id = ? AND m.removed = 0 AND g.deleted_at IS NULL"""  # noqa: S608 - constants only
)
LEFT_GROUPS = """UPDATE inbox_group SET members = members - 1 WHERE tenant_no = ? AND id IN
    (SELECT group_id FROM inbox_member WHERE tenant_no = ? AND member_id = ? AND removed = 0)"""
LEAVE_ALL = "UPDATE inbox_member SET removed = 1, seq = ? WHERE tenant_no = ? AND member_id = ? AND removed = 0"
EMPTY_GROUP = "UPDATE inbox_member SET removed = 1, seq = ? WHERE tenant_no = ? AND group_id = ? AND removed = 0"
EDGE_SUBJECTS, EDGE_SUBJECTS_SEEN = _edges_both(
    "SELECT SUBJECT FROM EDGES WHERE tenant_no = ? AND OTHER = ? AND removed = 0"
)
EDGE_SUBJECTS_ANY, EDGE_SUBJECTS_ANY_SEEN = _edges_both(
    "SELECT DISTINCT SUBJECT FROM EDGES WHERE tenant_no = ? AND removed = 0"
)
SUBJECTS_SEEN = EDGE_SUBJECTS_SEEN, EDGE_SUBJECTS_ANY_SEEN
MEMBERS_PRUNE = """DELETE FROM inbox_member WHERE tenant_no = ? AND removed = 1 AND seq <= ?"""


def among(count: int) -> str:
    """Parameters of an IN list."""
    return ", ".join("?" * count)


def members_among(count: int) -> str:
    """Which of these ids are members of a group."""
    return f"SELECT member_id FROM inbox_member WHERE tenant_no = ? AND group_id = ? AND removed = 0 AND member_id IN ({among(count)})"  # noqa: S608 - placeholders only


def groups_among(count: int) -> str:
    """Which of these ids are groups."""
    return f"SELECT id FROM inbox_group WHERE tenant_no = ? AND deleted_at IS NULL AND id IN ({among(count)})"  # noqa: S608 - placeholders only


# --- views: in what a record differs for one caller
VIEW_COLUMNS = "seq, changed_at, gone, patch"
VIEW_OF = f"SELECT {VIEW_COLUMNS} FROM inbox_view WHERE tenant_no = ? AND kind = ? AND id = ? AND mark = ?"  # noqa: S608 - constants only
VIEW_PUT = """INSERT INTO inbox_view (tenant_no, kind, id, mark, seq, changed_at, gone, patch) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (tenant_no, kind, id, mark) DO UPDATE SET seq = excluded.seq, changed_at = excluded.changed_at,
    gone = excluded.gone, patch = excluded.patch"""
VIEW_END = "DELETE FROM inbox_view WHERE tenant_no = ? AND kind = ? AND id = ? AND mark = ?"
VIEW_END_ALL = "DELETE FROM inbox_view WHERE tenant_no = ? AND kind = ? AND id = ?"
VIEWS_GONE = "SELECT count(*) FROM inbox_view WHERE tenant_no = ? AND kind = ? AND mark = ? AND gone = 1"
VIEW_KEY_ADD = """INSERT INTO inbox_view_key (tenant_no, kind, id, mark, seq, named, literal) VALUES (?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT DO NOTHING"""
VIEW_KEYS_DROP = "DELETE FROM inbox_view_key WHERE tenant_no = ? AND kind = ? AND id = ? AND mark = ?"
VIEW_KEYS_DROP_ALL = "DELETE FROM inbox_view_key WHERE tenant_no = ? AND kind = ? AND id = ?"
VIEWS_BY_KEY = (
    "SELECT id FROM inbox_view_key WHERE tenant_no = ? AND kind = ? AND mark = ? AND named = ? AND literal = ?"
)
VIEW_EDGED = "SELECT 1 FROM inbox_view_member WHERE tenant_no = ? AND group_id = ? AND mark = ? LIMIT 1"
VIEW_EDGE_PUT = """INSERT INTO inbox_view_member (tenant_no, group_id, member_id, mark, kind, seq, removed)
    VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (tenant_no, group_id, member_id, mark)
    DO UPDATE SET kind = excluded.kind, seq = excluded.seq, removed = excluded.removed"""
VIEW_EDGE_END = "DELETE FROM inbox_view_member WHERE tenant_no = ? AND group_id = ? AND member_id = ? AND mark = ?"
_LEFT = """INSERT INTO inbox_view_member (tenant_no, group_id, member_id, mark, kind, seq, removed)
    SELECT tenant_no, group_id, member_id, ?, '', ?, 1 FROM inbox_member WHERE tenant_no = ? AND END = ? AND removed = 0
    ON CONFLICT (tenant_no, group_id, member_id, mark) DO UPDATE SET kind = '', seq = excluded.seq, removed = 1"""
_ADDED_END = "DELETE FROM inbox_view_member WHERE tenant_no = ? AND END = ? AND mark = ? AND removed = 0"
_ALL_END = "DELETE FROM inbox_view_member WHERE tenant_no = ? AND END = ?"
VIEW_EDGES_LEFT, VIEW_ADDED_END, VIEW_EDGES_END_ALL = (
    {"User": each.replace("END", "member_id"), "Group": each.replace("END", "group_id")}
    for each in (_LEFT, _ADDED_END, _ALL_END)
)
CONTESTED = """SELECT (SELECT count(*) FROM inbox_user WHERE tenant_no = ? AND deleted_at IS NULL AND contested = 1),
    (SELECT count(*) FROM inbox_group WHERE tenant_no = ? AND deleted_at IS NULL AND contested = 1)"""


def views_among(count: int) -> str:
    """A caller's views of these ids."""
    return f"SELECT id, {VIEW_COLUMNS} FROM inbox_view WHERE tenant_no = ? AND kind = ? AND mark = ? AND id IN ({among(count)})"  # noqa: S608 - placeholders only


# --- where a tenant stands
WATERMARK = "SELECT tenant_no, seq, sealed_at, pruned_seq, user_count, group_count FROM inbox_tenant WHERE name = ?"
DUPLICATES = """SELECT external_id, count(*) FROM inbox_user WHERE tenant_no = ? AND deleted_at IS NULL
    AND external_id IS NOT NULL GROUP BY external_id HAVING count(*) > 1 ORDER BY external_id LIMIT ?"""

# --- what was pushed, against what is expected
EXPECT = "UPDATE inbox_tenant SET expected_users = ?, expected_groups = ? WHERE tenant_no = ?"
PUSHED_USERS = "SELECT id, name, doc, deleted_at FROM inbox_user WHERE tenant_no = ? AND id > ? ORDER BY id LIMIT ?"
GROUPS_COUNT = "SELECT count(*) FROM inbox_group WHERE tenant_no = ? AND deleted_at IS NULL"
GROUPS_EMPTY = "SELECT count(*) FROM inbox_group WHERE tenant_no = ? AND deleted_at IS NULL AND members = 0"
MEMBERS_COUNT = "SELECT count(*) FROM inbox_member WHERE tenant_no = ? AND removed = 0"
MEMBERS_UNKNOWN = """SELECT count(*) FROM inbox_member m WHERE m.tenant_no = ? AND m.removed = 0
    AND NOT EXISTS (SELECT 1 FROM inbox_user u WHERE u.tenant_no = m.tenant_no AND u.id = m.member_id)
    AND NOT EXISTS (SELECT 1 FROM inbox_group g WHERE g.tenant_no = m.tenant_no AND g.id = m.member_id)"""
REPEATED_COUNT = """SELECT count(*) FROM (SELECT external_id FROM inbox_user WHERE tenant_no = ? AND deleted_at IS NULL
    AND external_id IS NOT NULL GROUP BY external_id HAVING count(*) > 1) AS repeated"""
EVENT_AT = "SELECT at FROM inbox_event WHERE tenant_no = ? AND seq = ?"

# --- checkpoints: whole rows of one tenant, in the order of their keys
KEYS = {
    "inbox_user": ("id",),
    "inbox_group": ("id",),
    "inbox_member": ("group_id", "member_id"),
    "inbox_view": ("kind", "id", "mark"),
    "inbox_view_member": ("group_id", "member_id", "mark"),
    "inbox_view_key": ("kind", "id", "mark", "named", "literal"),
}
RESOURCE_ROW = "id, born, seq, name, external_id, doc, cleared, created_at, changed_at, deleted_at, writer, provider, contested, members"
ROW = {
    "inbox_user": RESOURCE_ROW,
    "inbox_group": RESOURCE_ROW,
    "inbox_member": "group_id, member_id, kind, seq, removed",
    "inbox_view": "kind, id, mark, seq, changed_at, gone, patch",
    "inbox_view_member": "group_id, member_id, mark, kind, seq, removed",
    "inbox_view_key": "kind, id, mark, named, literal, seq",
}
GONE = {"inbox_user": "deleted_at IS NOT NULL", "inbox_group": "deleted_at IS NOT NULL", "inbox_member": "removed = 1"}
GONE |= dict.fromkeys(("inbox_view", "inbox_view_member", "inbox_view_key"), "1 = 0")  # a view is never forgotten
DUMP = {
    table: f"""SELECT {ROW[table]} FROM {table} WHERE tenant_no = ? AND ({", ".join(keys)}) > ({", ".join("?" * len(keys))})
    AND NOT ({GONE[table]} AND seq <= ?) ORDER BY {", ".join(keys)} LIMIT ?"""  # noqa: S608 - constants only
    for table, keys in KEYS.items()
}
LOAD = {
    table: f"INSERT INTO {table} (tenant_no, {row}) VALUES (?{', ?' * len(row.split(','))})"  # noqa: S608 - constants only
    for table, row in ROW.items()
}
TENANT_NO = "SELECT tenant_no FROM inbox_tenant WHERE name = ?"
TENANT_ROW = (
    "SELECT name, seq, user_count, group_count, checkpoint_seq, pruned_seq FROM inbox_tenant WHERE tenant_no = ?"
)
CHECKPOINT_CLEAR = "DELETE FROM inbox_checkpoint WHERE tenant_no = ? AND seq = ?"
CHECKPOINT_ADD = "INSERT INTO inbox_checkpoint (tenant_no, seq, part, at, data) VALUES (?, ?, ?, ?, ?)"
CHECKPOINT_PART = "SELECT data FROM inbox_checkpoint WHERE tenant_no = ? AND seq = ? AND part = ?"
CHECKPOINT_SET = "UPDATE inbox_tenant SET checkpoint_seq = ? WHERE tenant_no = ? AND checkpoint_seq < ?"
CHECKPOINT_DROP = "DELETE FROM inbox_checkpoint WHERE tenant_no = ? AND seq <> ?"
PRUNED_SET = "UPDATE inbox_tenant SET pruned_seq = ? WHERE tenant_no = ? AND pruned_seq < ?"
USER_DOCS = "SELECT id, doc FROM inbox_user WHERE deleted_at IS NULL ORDER BY id"
EVENT_SINCE = "SELECT min(seq) FROM inbox_event WHERE tenant_no = ? AND at >= ?"
EVENTS_DROP = "DELETE FROM inbox_event WHERE tenant_no = ? AND seq <= ?"
TOMBS_DROP = _both("DELETE FROM TABLE WHERE tenant_no = ? AND deleted_at IS NOT NULL AND seq <= ?")

# --- what the pipeline reads: everything that moved after a number, tombstones too, in the order of an immutable key
SINCE = _both("SELECT COLUMNS FROM TABLE WHERE tenant_no = ? AND seq > ? ORDER BY id")
SINCE_MEMBERS = """SELECT group_id, member_id, kind, removed FROM inbox_member WHERE tenant_no = ? AND seq > ?
    ORDER BY group_id, member_id"""

# --- copies of a whole store: the columns of each table, and how many
COLUMN = re.compile(r"(\w+) (?:TEXT|INTEGER|BIGINT)\b")
COPIED = {
    each.split("(")[0].split()[-1]: (", ".join(COLUMN.findall(each)), len(COLUMN.findall(each)))
    for each in TABLES
    if each.startswith("CREATE TABLE")
}
