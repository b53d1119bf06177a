"""The log, its projection, checkpoints and what a rebuild proves."""

import asyncio
import random
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from connectors.inbox import statements as sql
from connectors.inbox.checkpoint import checkpoint, due, prune, rebuild
from connectors.inbox.database import numbered
from connectors.inbox.desk import desk
from connectors.inbox.rules import Marks
from connectors.inbox.sqlite import connect
from connectors.inbox.stores import Database, beside, make
from core.errors import RefusedError


def life(caller, seed, steps=120):
    """A random life of a directory: users and groups come, change, are disabled, go; members come and go; some requests fail."""
    chance = random.Random(seed)
    users, groups = [], []
    for step in range(steps):
        name = f"u{chance.randrange(40)}"
        ids = [{"value": each} for each in chance.sample(users, min(len(users), chance.randrange(5)))]
        match chance.randrange(9):
            case 0 | 1:
                answer = caller("POST", "/Users", {"userName": name, "emails": [f"{name}@x.example"], "password": "p"})
                users += [answer.json()["id"]] if answer.status_code == 201 else []
            case 2:
                answer = caller("POST", "/Groups", {"displayName": f"g{chance.randrange(9)}", "members": ids})
                groups += [answer.json()["id"]] if answer.status_code == 201 else []
            case 3 if users:
                value = chance.choice([True, "False", False])
                caller.patch(f"/Users/{chance.choice(users)}", {"op": "replace", "path": "active", "value": value})
            case 4 if users:
                caller(
                    "PUT",
                    f"/Users/{chance.choice(users)}",
                    {"userName": name, "title": f"t{step}", "name": {"givenName": "x"}},
                )
            case 5 if users:
                caller("DELETE", f"/Users/{chance.choice(users)}")
            case 6 if groups:
                op = chance.choice(["add", "remove", "replace"])
                caller.patch(f"/Groups/{chance.choice(groups)}", {"op": op, "path": "members", "value": ids})
            case 7 if groups:
                caller("DELETE", f"/Groups/{chance.choice(groups)}")
            case _ if users:
                caller.patch(
                    f"/Users/{chance.choice(users)}",
                    {"op": "remove", "path": "title"},
                    {"op": "add", "value": {"emails": ["z@x.example"]}},
                )


@pytest.mark.parametrize("seed", range(4))
def test_checkpoint_and_log_equal_the_live_state(inbox, corp, acq, seed):
    """After any life, with checkpoints on the way, the replay gives exactly the live rows; other tenants' events do not count."""
    number = inbox.service.directory.numbers["corp"]
    life(corp, seed)
    life(acq, seed + 50, steps=20)
    assert rebuild(inbox.place, "corp").equal
    first = checkpoint(inbox.place, number)
    assert checkpoint(inbox.place, number) == first
    life(corp, seed + 100)
    proof = rebuild(inbox.place, "corp")
    assert proof.differences == ()
    assert (proof.checkpoint_seq, proof.events) == (first, proof.seq - first)
    checkpoint(inbox.place, number)
    assert rebuild(inbox.place, "corp").events == 0
    assert rebuild(inbox.place, "corp").equal


def test_a_changed_row_is_found(inbox, corp):
    """A rebuild tells every kind of difference: a changed document, a lost row, an edge too many, a wrong count."""
    ada = corp.user("ada")
    crew = corp.group("crew", [ada])
    for tampering, named in (
        ("UPDATE inbox_user SET doc = replace(doc, 'ada', 'eve')", f"inbox_user {ada}"),
        ("DELETE FROM inbox_user", f"inbox_user {ada}"),
        ("INSERT INTO inbox_member VALUES (2, 'a', 'b', 'user', 1, 0)", "inbox_member a/b"),
        ("UPDATE inbox_member SET removed = 1", f"inbox_member {crew}/{ada}"),
        ("UPDATE inbox_tenant SET user_count = 9", "counts (1, 1) instead of (9, 1)"),
    ):
        assert rebuild(inbox.place, "corp").equal
        table = tampering.split()[2 if tampering[0] in "DI" else 1]
        inbox.sql(f"CREATE TABLE kept AS SELECT * FROM {table}")
        inbox.sql(tampering)
        assert rebuild(inbox.place, "corp").differences == (named,)
        inbox.sql(f"DELETE FROM {table}")
        inbox.sql(f"INSERT INTO {table} SELECT * FROM kept")
        inbox.sql("DROP TABLE kept")


def test_a_gap_in_the_log_is_refused(inbox, corp):
    """A log that misses an event proves nothing and says which."""
    for place in range(3):
        corp.user(f"u{place}")
    inbox.sql("DELETE FROM inbox_event WHERE seq = 2")
    with pytest.raises(RefusedError, match="no event 2"):
        rebuild(inbox.place, "corp")
    with pytest.raises(RefusedError, match="nothing was ever pushed"):
        rebuild(inbox.place, "nobody")


def test_the_log_is_bounded(inbox, corp):
    """Pruning forgets old events and tombstones up to the checkpoint and not beyond; the rest still proves the live state."""
    number = inbox.service.directory.numbers["corp"]
    ada, bob = corp.user("ada"), corp.user("bob")
    corp.group("crew", [ada, bob])
    corp("DELETE", f"/Users/{ada}")
    later = datetime.now(UTC) + timedelta(days=1)
    assert prune(inbox.place, number, later) == 0
    checkpoint(inbox.place, number)
    corp("DELETE", f"/Users/{bob}")
    assert prune(inbox.place, number, datetime.now(UTC) - timedelta(days=90)) == 0
    assert prune(inbox.place, number, later) == 4
    assert inbox.sql("SELECT seq FROM inbox_event") == [(5,)]
    assert inbox.sql("SELECT id FROM inbox_user") == [(bob,)]
    assert inbox.sql("SELECT member_id FROM inbox_member") == [(bob,)]
    assert rebuild(inbox.place, "corp").equal


def test_checkpoints_come_due(inbox, corp, monkeypatch):
    """A tenant is due when enough events came since its checkpoint."""
    monkeypatch.setattr("connectors.inbox.checkpoint.EVERY", 3)
    number = inbox.service.directory.numbers["corp"]
    corp.user("a")
    assert due(inbox.place) == []
    corp.user("b")
    corp.user("c")
    assert due(inbox.place) == [number]
    checkpoint(inbox.place, number)
    assert due(inbox.place) == []


def test_contested_records_are_rebuilt(make_inbox):
    """Doubts between providers and their settling are part of the log."""
    inbox = make_inbox(("east",), shared={"pool": {"east": Marks(domains=("east.example",))}})
    pool = inbox.caller("pool")
    alice = pool.user("alice@east.example", externalId="a")
    assert pool.patch(f"/Users/{alice}", {"op": "replace", "path": "externalId", "value": "b"}) == 200
    assert pool.patch(f"/Users/{alice}", {"op": "replace", "path": "active", "value": False}) == 200
    assert rebuild(inbox.place, "east").equal
    marked = make_inbox(("east",), shared={"pool": {"east": Marks(segment="east")}}).caller(
        "pool", prefix="/scim/v2/east"
    )
    assert marked.patch(f"/Users/{alice}", {"op": "replace", "path": "active", "value": False}) == 200
    assert rebuild(inbox.place, "east").equal


def test_one_member_of_many_does_not_rewrite_the_group(inbox, corp):
    """Adding one edge to a group of 20,000 appends a few rows: the log of the store grows by some pages, not by the group."""
    crew = corp.group("crew")
    many = [{"value": f"m{place:08}"} for place in range(20_000)]
    assert corp.patch(f"/Groups/{crew}", {"op": "add", "path": "members", "value": many}) == 204
    grown = written(inbox)
    corp.patch(f"/Groups/{crew}", {"op": "add", "path": "members", "value": [{"value": "one-more"}]})
    assert grown() < 200_000
    assert rebuild(inbox.place, "corp").equal


def written(inbox):
    """Gives what tells how many bytes were written ahead since."""
    if isinstance(inbox.place, Database):
        ((start,),) = inbox.sql("SELECT pg_current_wal_insert_lsn()::text")
        return lambda: int(inbox.sql(f"SELECT pg_current_wal_insert_lsn() - '{start}'::pg_lsn")[0][0])
    inbox.sql("PRAGMA wal_checkpoint(TRUNCATE)")
    return (inbox.place.parent / "inbox.sqlite-wal").stat().st_size.__int__


def test_the_store_is_private(tmp_path):
    """The file of the store is for us alone."""
    make(tmp_path / "inbox.sqlite")
    assert (tmp_path / "inbox.sqlite").stat().st_mode & 0o077 == 0


LOOKUPS = [sql.BY_ADDRESS, sql.TOKEN_FIND, sql.GROUPS_OF, sql.MEMBERS_AFTER]
LOOKUPS += [sql.VIEWS_BY_KEY, sql.VIEW_EDGED, sql.views_among(3), sql.MEMBERS_AFTER_SEEN]
for statements in (sql.BY_ID, sql.BY_NAME, sql.BY_EXTERNAL, sql.BY_EDGE, sql.NAME_TAKEN, sql.EDGE_SUBJECTS, sql.AFTER):
    LOOKUPS += statements.values()
LOOKUPS += [*sql.AFTER_SEEN.values(), *sql.BY_EDGE_SEEN.values(), *sql.EDGE_SUBJECTS_SEEN.values(), sql.GROUPS_OF_SEEN]


def test_every_lookup_has_its_index(tmp_path):
    """No statement that answers a lookup walks all rows of a tenant: each is found by its key alone, without sorting."""
    make(tmp_path / "inbox.sqlite")
    with closing(connect(tmp_path / "inbox.sqlite", read_only=True)) as con:
        for statement in LOOKUPS:
            rows = con.execute(f"EXPLAIN QUERY PLAN {statement}", (1,) * statement.count("?")).fetchall()
            plan = " / ".join(row[3] for row in rows)
            assert "SCAN" not in plan, (statement, plan)
            assert "TEMP B-TREE" not in plan, (statement, plan)
            keys = [part for part in plan.split(" / ") if "USING" in part]
            assert not any(part.endswith(("(tenant_no=?)", "born (tenant_no=?)")) for part in keys), (statement, plan)


@pytest.mark.parametrize("place", [pytest.param("postgres", marks=pytest.mark.system)], indirect=True)
def test_every_lookup_has_its_index_in_postgresql(inbox, corp):
    """The same in PostgreSQL, in the midst of a provider's first cycle: we analyse what has grown, nobody else does."""
    corp.group("crew", [corp.user("ada")])
    many = "SELECT 1, 'i' || n, n + 10, n + 10, 'n' || n, 'e' || n, '{}', '[]', '', '', NULL, 'w', NULL, 0, 0 FROM generate_series(1, 20000) n"
    for table in ("inbox_user", "inbox_group"):
        inbox.sql(f"INSERT INTO {table} {many}")
    edges = "SELECT 1, 'i' || n % 200, 'i' || n, 'user', n, 0 FROM generate_series(1, 20000) n"
    inbox.sql(f"INSERT INTO inbox_member {edges}")
    inbox.sql("INSERT INTO inbox_address SELECT 1, 'a' || n, 'i' || n FROM generate_series(1, 20000) n")
    inbox.store._looked = 0.0
    corp.user("bob")
    inbox.run(asyncio.wait([inbox.store._analysing]))
    with beside(inbox.place) as store:
        for statement in LOOKUPS:
            plan = store.apply(partial(planned, statement))
            keys = [node["Index Cond"] for node in plan if "Index Cond" in node]
            assert keys, (statement, plan)
            assert "Seq Scan" not in {node["Node Type"] for node in plan}, (statement, plan)
            assert all(key.count("=") + key.count(">") >= (1 if "lookup" in key else 2) for key in keys), (
                statement,
                keys,
            )


async def planned(statement, raw):
    """The nodes of a statement's plan for parameters that are not known yet."""
    await raw.execute("SET plan_cache_mode = force_generic_plan")
    made = await raw.prepare("EXPLAIN (FORMAT JSON) " + numbered(statement))
    values = [1 if each.name.startswith("int") else "x" for each in made.get_parameters()]
    nodes, found = [(await made.fetchval(*values))[0]["Plan"]], []
    while nodes:
        found.append(nodes.pop())
        nodes += found[-1].get("Plans", [])
    return found


def test_a_copy_while_it_serves(inbox, corp, tmp_path):
    """The store can be copied while it is written; the copy is private, whole, and proves itself; no file is overwritten."""
    corp.group("crew", [corp.user("ada")])
    with desk(inbox.place) as opened:
        opened.copy(tmp_path / "copy.sqlite")
        with pytest.raises(RefusedError, match="exists already"):
            opened.copy(tmp_path / "copy.sqlite")
    corp.user("bob")
    proof = rebuild(tmp_path / "copy.sqlite", "corp")
    assert (proof.equal, proof.users) == (True, 1)
    assert (tmp_path / "copy.sqlite").stat().st_mode & 0o077 == 0
