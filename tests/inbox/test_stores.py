"""What both stores must do alike, and how a PostgreSQL database is named and reached."""

import asyncio
import ssl
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from connectors.inbox import statements as sql
from connectors.inbox.asking import every
from connectors.inbox.checkpoint import checkpoint, rebuild
from connectors.inbox.database import Database, holds_password, malformed, numbered, tls
from connectors.inbox.desk import desk
from connectors.inbox.reading import Snapshot
from connectors.inbox.stores import beside, is_there, where
from connectors.inbox.tokens import all_tokens, mint
from connectors.inbox.watch import Watch
from connectors.inbox.wire import ScimError
from core.errors import RefusedError
from tests.inbox.conftest import told

NAMES = ["a", "B", "Z", "b", "z", "_", "-", "ä", "Ä", "ß", "ﬀ", "é", "e", "10", "9", "\U0001f600", "\ue000"]


def test_texts_are_in_the_order_of_code_points(inbox, corp):
    """Members and what the pipeline reads come in one order on every store, whatever language the database sorts in."""
    crew = corp.group("crew", NAMES)
    members = [each["value"] for each in corp.get(f"/Groups/{crew}")["members"]]
    assert members == sorted(NAMES)
    for place, name in enumerate(NAMES):
        corp.user(f"user {place} {name}", externalId=name)
    with closing(Snapshot(inbox.place, "corp")) as read:
        (edges,) = read.members()
        assert [each[1] for each in edges] == sorted(NAMES)
        (users,) = read.resources("User")
        assert [each.id for each in users] == sorted(each.id for each in users)
    assert rebuild(inbox.place, "corp").equal


def test_names_are_folded_alike(corp):
    """The database folds nothing: names that fold to the same are the same, others are not, on every store."""
    made = corp.user("Straße@corp.example")
    assert corp.find("/Users", 'userName eq "STRASSE@corp.example"') == [made]
    assert corp("POST", "/Users", {"userName": "STRASSE@CORP.example"}).status_code == 409
    assert corp.find("/Users", 'userName eq "stra%e@corp.example"') == []
    corp.user("İ@corp.example")
    corp.user("i@corp.example")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"userName": "\U0001f600" * 500}, 201),
        ({"userName": "\U0001f600" * 501}, 400),
        ({"userName": "ΐ" * 400}, 400),
        ({"userName": "a", "externalId": "x" * 2000}, 201),
        ({"userName": "a", "externalId": "x" * 2001}, 400),
        ({"userName": "a", "emails": ["é" * 1001]}, 400),
    ],
)
def test_what_no_index_can_hold_is_refused(corp, body, status):
    """Long names, external ids and addresses are refused by their bytes, the same on every store, and never with a 500."""
    assert corp("POST", "/Users", body).status_code == status


@pytest.mark.parametrize(
    "text",
    [
        'userName eq "a\\u0000b"',
        'id eq "\\u0000"',
        'externalId eq "\\ud800"',
        'emails[value eq "\\udfff"]',
        'members eq "\\u0000"',
    ],
)
def test_characters_that_no_text_can_hold(corp, text):
    """U+0000 and halves of surrogate pairs in a filter, in a path and in an address are refused before a store sees them."""
    assert corp("GET", "/Users", params={"filter": text}).status_code == 400
    group = corp.group("crew")
    assert corp.patch(f"/Groups/{group}", {"op": "remove", "path": 'members[value eq "\\u0000"]'}) == 400
    assert corp("GET", "/Users/a%00b").status_code == 404


def test_a_bad_operation_spoils_nobody_elses(inbox, corp):
    """One that refuses after it has written is undone alone: what shared its transaction, a user and a token, is there."""
    number = inbox.service.directory.numbers["corp"]

    def spoiling(turn):
        turn.next()
        yield sql.SEAL, ("2026-11-24T08:30:00.000Z", number)
        raise ScimError(409, "too late")

    async def story():
        body = b'{"userName": "ada"}'
        headers = {"Authorization": f"Bearer {corp.token}"}
        return await asyncio.gather(
            inbox.store.run(mint("corp", now=datetime.now(UTC), note="beside")),
            inbox.store.write(number, spoiling),
            inbox.store.write(number, spoiling),
            corp._send("POST", "/scim/v2/Users", body, headers, None),
            return_exceptions=True,
        )

    minted, *spoilt, made = inbox.run(story())
    assert [each.status for each in spoilt] == [409, 409]
    assert made.status_code == 201
    assert minted.token_id in {each.token_id for each in inbox.run(inbox.store.read(all_tokens("corp")))}
    assert inbox.sql("SELECT sealed_at FROM inbox_tenant WHERE name = 'corp'") == [(None,)]
    assert rebuild(inbox.place, "corp").equal


def test_one_checkpoint_at_a_time(inbox, corp):
    """While one process makes a tenant's checkpoint, another leaves it alone; a second one without news writes nothing."""
    corp.user("ada")
    number = inbox.service.directory.numbers["corp"]
    with beside(inbox.place) as other:
        other.claim(number)
        made = checkpoint(inbox.place, number)
        assert made == (0 if isinstance(inbox.place, Database) else 1)
    assert checkpoint(inbox.place, number) == 1
    assert checkpoint(inbox.place, number) == 1
    assert inbox.sql("SELECT DISTINCT seq FROM inbox_checkpoint") == [(1,)]


def test_who_looks_on_hears_of_every_push(make_inbox):
    """A service is told at once of its own writes and, by looking, of another's, with whether access was taken away; of each once."""
    one = make_inbox()
    two = make_inbox(partner=one)
    corp, acq, watch = one.caller("corp"), one.caller("acq"), Watch(two.service)
    acq.user("before")
    one.run(watch.once(tell=False))
    ada = corp.user("ada")
    two.caller("acq").user("own")
    assert two.moved == [("acq", 2, False)]
    one.run(watch.once())
    assert two.moved[1:] == [("corp", 1, False)]
    corp("DELETE", f"/Users/{ada}")
    corp.user("bob")
    one.run(watch.once())
    one.run(watch.once())
    assert two.moved[2:] == [("corp", 3, True)]
    corp.user("eve")
    one.run(watch.once())
    assert two.moved[3:] == [("corp", 4, False)]


def test_nothing_is_there_before_somebody_makes_it(place):
    """A store is made by a command or by the service, not by whoever only looks."""
    if isinstance(place, Database):  # another test may have left its empty tables
        for table in sql.COPIED:
            told(place, f"DROP TABLE IF EXISTS {table}")
    assert not is_there(place)
    with desk(place) as opened:
        assert opened.ask(every(sql.TENANTS)) == []
    assert is_there(place)


def test_where_a_store_is(tmp_path):
    """A file by default or by name; a database by reference or by an address without a password; never something else."""
    state = tmp_path / ".onefold"
    assert where(None, None, base=tmp_path, state=state) == state / "inbox/inbox.sqlite"
    assert where("x.sqlite", None, base=tmp_path, state=state) == tmp_path / "x.sqlite"
    assert where("postgresql://me@db/inbox", None, base=tmp_path, state=state) == Database("postgresql://me@db/inbox")
    secret = "postgresql+asyncpg://me:sEcret@db/inbox"
    found = where("env:X", secret, base=tmp_path, state=state)
    assert found.address == "postgresql://me:sEcret@db/inbox"
    assert "sEcret" not in f"{found!r} {found}"
    for wrong in (
        "mysql://me:sEcret@db",
        "postgresql://me:sEc#ret@db/inbox",
        "postgresql://me:sEc/ret@db/inbox",
        "postgresql://me:12/sEcret@db/inbox",
        "postgresql://me:sEc@ret@db/inbox",
        "postgresql://me:sEc[ret@db/inbox",
        "postgresql://me:sEc?ret@db/inbox",
        "postgresql://db:port/inbox",
    ):
        with pytest.raises(RefusedError, match="no address of PostgreSQL") as refused:
            where("env:X", wrong, base=tmp_path, state=Path())
        assert "sEc" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "remote", "password"),
    [
        ("postgresql://me:x@db.example/inbox", True, True),
        ("postgresql://me@db.example:5433/inbox?password=x", True, True),
        ("postgresql://me@localhost/inbox", False, False),
        ("postgresql://127.0.0.1:5432,db2.example/inbox", True, False),
        ("postgresql://[::1]:5432/inbox", False, False),
        ("postgresql://[2001:db8::1]/inbox", True, False),
        ("postgresql:///inbox?host=/run/postgresql", False, False),
        ("postgresql:///inbox?host=::1", False, False),
        ("postgresql:///inbox", False, False),
        ("postgresql://%2Frun%2Fpostgresql/inbox", False, False),
    ],
)
def test_addresses(url, remote, password, monkeypatch):
    """Which addresses leave this machine, and which hold a password."""
    monkeypatch.delenv("PGHOST", raising=False)
    assert Database(url).remote is remote
    assert holds_password(url) is password
    assert not malformed(url)


@pytest.mark.parametrize(
    ("url", "verifies"),
    [
        ("postgresql://me@db.example/inbox", "by the system"),
        ("postgresql://me@db.example/inbox?sslmode=verify-full", "by the system"),
        ("postgresql://me@db.example/inbox?sslrootcert=system", "by the system"),
        ("postgresql://me@db.example/inbox?sslrootcert=ca.pem", "verify-full"),
        ("postgresql://me@db.example/inbox?sslmode=require", None),
        ("postgresql://me@localhost/inbox", None),
        ("postgresql://me@localhost/inbox?sslmode=verify-full", "by the system"),
    ],
)
def test_a_database_elsewhere_is_verified(url, verifies, monkeypatch):
    """Over a network certificate and name are checked unless the address says otherwise; on this machine where it asks for it."""
    for name in ("PGHOST", "PGSSLMODE", "PGSSLROOTCERT", "PGSSLCERT"):
        monkeypatch.delenv(name, raising=False)
    how = tls(Database(url))
    if verifies == "by the system":
        assert how.check_hostname
        assert how.verify_mode is ssl.CERT_REQUIRED
    else:
        assert how == verifies


def test_every_statement_can_be_numbered():
    """`?` is a parameter wherever it stands, and nothing else in our statements."""
    assert numbered("SELECT ? WHERE a = ? AND b > ?") == "SELECT $1 WHERE a = $2 AND b > $3"
    texts = [text for each in vars(sql).values() for text in (each.values() if isinstance(each, dict) else [each])]
    assert not any("'?" in text or "$" in text for text in texts if isinstance(text, str))
