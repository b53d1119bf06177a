"""Several `onefold serve` over one PostgreSQL: nothing is lost, nothing is double, whatever is killed meanwhile."""

import asyncio
import json
import threading
import time

import httpx
import pytest

from connectors.inbox.asking import one
from connectors.inbox.database import answered, lent
from connectors.inbox.desk import desk
from connectors.inbox.postgres import TURN
from connectors.inbox.stores import Database
from connectors.inbox.upkeep import Upkeep
from core.errors import RefusedError
from sandbox.serve import Sandbox
from tests.company import CONFIG, Company, people, seed
from tests.inbox.conftest import Inbox
from tests.journeys.test_pushed import INBOX, SOON, pushed, serving
from tests.journeys.test_pushed import until as until_jira_holds
from tests.postgres import postgres as started
from tests.system.test_inbox_serve import Served

pytestmark = pytest.mark.system


@pytest.fixture
def cluster():
    """A PostgreSQL that this test may stop and kill."""
    server = started()
    yield server
    server.remove()


@pytest.fixture
def servers(tmp_path):
    """Starts inbox processes, each with a folder of its own, over one database."""
    made = []

    def start(url, many, *options):
        for _ in range(many):
            folder = tmp_path / f"host{len(made)}"
            folder.mkdir()
            made.append(Served(folder, *options, url=url).start())
        return made[-many:]

    yield start
    for each in made:
        each.kill()


def every_user(inbox):
    """User names and ids, page by page."""
    with inbox.client() as http:
        found, start = [], 1
        while True:
            page = http.get("/Users", params={"startIndex": start, "count": 1000}).json()
            found += [(each["userName"], each["id"]) for each in page["Resources"]]
            start += page["itemsPerPage"]
            if start > page["totalResults"] or not page["itemsPerPage"]:
                return found


def test_two_servers_and_eight_clients(postgres, servers):
    """Eight clients at two processes push overlapping users into one group: none is lost, none is double, counts and log agree."""
    url = postgres.schema()
    one, two = servers(url, 2)
    outcomes, group_members = {}, []
    with one.client() as http:
        crew = http.post("/Groups", json={"displayName": "crew"}).json()["id"]

    def push(client, inbox):
        with inbox.client() as http:
            for place in range(40):
                name = f"u{place}-{client // 2}"  # two clients, at different processes, push the same names
                answer = http.post("/Users", json={"userName": name})
                outcomes[client, name] = answer.status_code
                if answer.status_code == 201:
                    made = answer.json()["id"]
                    add = {"Operations": [{"op": "add", "path": "members", "value": [{"value": made}]}]}
                    assert http.patch(f"/Groups/{crew}", json=add).status_code == 204
                    group_members.append(made)

    workers = [threading.Thread(target=push, args=(each, (one, two)[each % 2])) for each in range(8)]
    for each in workers:
        each.start()
    for each in workers:
        each.join()
    names = {name for _, name in outcomes}
    for name in names:
        assert sorted(status for (_, pushed), status in outcomes.items() if pushed == name) == [201, 409]
    users = every_user(two)
    assert sorted(name for name, _ in users) == sorted(names)
    with two.client() as http:
        members = [each["value"] for each in http.get(f"/Groups/{crew}").json()["members"]]
    assert sorted(members) == sorted(group_members)
    proof = one.command("inbox", "rebuild", "corp")
    assert (proof["equal"], proof["users"], proof["watermark"]) == (True, 160, 1 + 2 * 160)


def test_no_acknowledged_write_is_lost_with_its_server(cluster, servers):
    """One of two processes is killed under load, then PostgreSQL itself with all its processes: every answered write is there."""
    url = cluster.schema()
    one, two = servers(url, 2)
    acknowledged, refused, stop = {}, [], threading.Event()

    def push(client, inbox):
        with inbox.client() as http:
            place = 0
            while not stop.is_set():
                place += 1
                name = f"u{client}-{place}"
                try:
                    answer = http.post("/Users", json={"userName": name})
                except httpx.HTTPError:
                    return  # its process is dead
                if answer.status_code == 201:
                    acknowledged[name] = answer.json()["id"]
                else:
                    refused.append(answer)
                    time.sleep(0.05)

    workers = [threading.Thread(target=push, args=(each, (one, two)[each % 2])) for each in range(8)]
    for each in workers:
        each.start()
    grown(acknowledged, 100)
    one.kill()
    grown(acknowledged, 100)
    cluster.kill()
    until(lambda: refused)
    cluster.start()
    grown(acknowledged, 100)
    stop.set()
    for each in workers:
        each.join()
    assert {each.status_code for each in refused} <= {503, 409}
    assert all(int(each.headers["retry-after"]) > 0 for each in refused if each.status_code == 503)
    held = dict(every_user(two))
    assert {name: held.get(name) for name in acknowledged} == acknowledged
    proof = two.command("inbox", "rebuild", "corp")
    assert (proof["equal"], proof["users"]) == (True, len(held))


def grown(things, by):
    """Waits until so many more came."""
    start = len(things)
    until(lambda: len(things) >= start + by)


def until(done, seconds=60):
    """Waits until it is so."""
    late = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < late
        time.sleep(0.02)


def test_a_restart_of_the_database(cluster, servers):
    """While PostgreSQL restarts, pushes, lookups and the readiness are 503 with Retry-After; afterwards the same process serves again."""
    (inbox,) = servers(cluster.schema(), 1)
    with inbox.client() as http:
        made = http.post("/Users", json={"userName": "ada"}).json()["id"]
        cluster.stop()
        for answer in (
            http.post("/Users", json={"userName": "bob"}),
            http.get(f"/Users/{made}"),
            http.delete(f"/Users/{made}"),
        ):
            assert answer.status_code == 503
        assert http.post("/Users", json={"userName": "bob"}).headers["retry-after"] == "5"
        assert httpx.get(inbox.url.replace("/scim/v2", "/readyz")).status_code == 503
        assert httpx.get(inbox.url.replace("/scim/v2", "/healthz")).status_code == 200
        cluster.start()
        assert http.post("/Users", json={"userName": "bob"}).status_code == 201
        assert http.get(f"/Users/{made}").status_code == 200
        assert http.get("/Users").json()["totalResults"] == 2


ENDING = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE application_name = 'onefold inbox' AND pid <> pg_backend_pid() AND datname = current_database()"""


def test_sessions_that_the_server_ends(cluster, servers):
    """When all sessions are ended again and again, as in a failover, nobody gets anything but his answer or a 503, and the same process serves on."""
    (inbox,) = servers(cluster.schema(), 1)
    stop, statuses, acknowledged = threading.Event(), set(), set()

    def push(client):
        with inbox.client() as http:
            place = 0
            while not stop.is_set():
                place += 1
                name = f"u{client}-{place}"
                statuses.add(http.get("/Users", params={"filter": f'userName eq "{name}"'}).status_code)
                answer = http.post("/Users", json={"userName": name})
                statuses.add(answer.status_code)
                acknowledged.update({name} if answer.status_code == 201 else ())

    workers = [threading.Thread(target=push, args=(each,)) for each in range(4)]
    for each in workers:
        each.start()
    for _ in range(10):
        before = len(acknowledged)
        cluster.sql(ENDING)
        until(lambda before=before: len(acknowledged) > before + 10)
    stop.set()
    for each in workers:
        each.join()
    assert {200, 201} <= statuses <= {200, 201, 503}
    assert acknowledged <= {name for name, _ in every_user(inbox)}
    assert inbox.command("inbox", "rebuild", "corp")["equal"]


def test_what_one_process_decides_holds_for_all(postgres, servers):
    """A token minted, bound or revoked at one host works, or is worth nothing, at the other's next request; records too."""
    one, two = servers(postgres.schema(), 2)
    with one.client() as http:
        made = http.post("/Users", json={"userName": "ada"}).json()["id"]
    headers = {"Authorization": f"Bearer {one.token}"}
    with httpx.Client(base_url=two.url, headers=headers) as http:
        assert http.get(f"/Users/{made}").status_code == 200
        one.command("token", "revoke", "corp")
        assert http.get(f"/Users/{made}").status_code == 401
        fresh = one.command("token", "new", "corp")["token"]
        assert http.get(f"/Users/{made}", headers={"Authorization": f"Bearer {fresh}"}).status_code == 200
    assert two.command("inbox", "seal", "corp", "--users", "1")["users"] == 1


def test_a_frozen_writer_loses_its_turn(postgres, monkeypatch):
    """A process that stops within a transaction holds its tenant for a moment only; woken up, it finds its transaction gone and goes on."""
    monkeypatch.setattr("connectors.inbox.postgres.IDLE_SECONDS", 1)
    url = postgres.schema()
    frozen = Inbox(Database(url))
    other = Inbox(Database(url), partner=frozen)
    corp, number = other.caller("corp"), frozen.service.directory.numbers["corp"]

    async def story():
        async with lent(frozen.store._pool) as raw:
            await raw.execute("BEGIN")
            await answered(raw, TURN, (number,))
            headers = {"Authorization": f"Bearer {corp.token}"}
            made = await corp._send("POST", "/scim/v2/Users", b'{"userName": "ada"}', headers, None)
            assert made.status_code == 201

    frozen.run(story())
    corp.inbox = frozen
    corp.user("bob")
    assert frozen.sql("SELECT seq, user_count FROM inbox_tenant WHERE name = 'corp'") == [(2, 2)]
    other.close()
    frozen.close()
    postgres.give_back(url)


def test_chores_of_two_processes(postgres):
    """Two processes' upkeep at the same time: one checkpoint is made, both count, old events are forgotten once, the rest proves itself."""
    url = postgres.schema()
    inbox = Inbox(Database(url))
    corp = inbox.caller("corp")
    for place in range(30):
        corp.user(f"u{place}")
    twin = Inbox(Database(url), partner=inbox)
    twin.caller("acq")("GET", "/Users")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("connectors.inbox.checkpoint.EVERY", 10)
        chores = [Upkeep(each.service, each.place, 90) for each in (inbox, twin)]

        async def both():
            await asyncio.gather(*(each.once() for each in chores))

        inbox.run(both())
    assert inbox.sql("SELECT checkpoint_seq FROM inbox_tenant WHERE name = 'corp'") == [(30,)]
    assert inbox.sql("SELECT count(DISTINCT seq) FROM inbox_checkpoint") == [(1,)]
    assert json.loads(inbox.sql("SELECT data FROM inbox_checkpoint WHERE part = 0")[0][0]) == {"users": 30, "groups": 0}
    twin.close()
    inbox.close()
    postgres.give_back(url)


def test_a_role_that_may_not_make_tables(postgres, servers):
    """Once the tables are there, a role that may only read and write them is enough; one that may not is refused with the reason."""
    url = postgres.schema()
    schema = url.rpartition("=")[2]
    Inbox(Database(url)).close()
    for role in ("writer", "reader"):
        postgres.sql(f"CREATE ROLE {role}_{schema} LOGIN")
        postgres.sql(f"GRANT USAGE ON SCHEMA {schema} TO {role}_{schema}")
    postgres.sql(f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO writer_{schema}")
    inbox = Inbox(Database(url.replace("onefold@", f"writer_{schema}@")))
    inbox.caller("corp").user("ada")
    inbox.close()
    with pytest.raises(RefusedError, match="permission denied"):
        Inbox(Database(url.replace("onefold@", f"reader_{schema}@")))


def test_tls_to_the_database(cluster):
    """A certificate that its authority vouches for is accepted, one that nobody vouches for or that is another host's is refused; a server on this machine is believed."""
    url, authority = cluster.with_tls()
    for options in (f"sslmode=verify-full&sslrootcert={authority}", "sslmode=require", ""):
        with desk(Database(f"{url}?{options}")) as opened:
            assert opened.ask(one("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")) == (True,)
    elsewhere = url.replace("127.0.0.1", "localhost")  # not a name of the certificate
    for wrong in (f"{url}?sslmode=verify-full", f"{elsewhere}?sslmode=verify-full&sslrootcert={authority}"):
        with pytest.raises(RefusedError, match="certificate verify failed"), desk(Database(wrong)):
            pass
    with pytest.raises(RefusedError, match="reject"), desk(Database(f"{url}?sslmode=disable")):
        pass


def test_a_push_at_one_host_is_synced_by_another(postgres, tmp_path, monkeypatch):
    """The provider pushes to a process without a runner; the one that has it hears of it and writes: a joiner, then a leaver."""
    monkeypatch.setenv("INBOX_DATABASE", postgres.schema())
    inbox = INBOX.replace("kind: inbox", "kind: inbox\n    store: env:INBOX_DATABASE")
    with Sandbox({"jira": seed(), "confluence": seed()}, rate=None) as box:
        company = Company(tmp_path / "acme", box, people(3))
        company.write(CONFIG.replace("targets:", inbox, 1).replace("[corp, hr]", "[corp, partner, hr]") + SOON)
        company.adopt()
        with serving(company, "--sync"), serving(company, "--no-sync") as push:
            pia = pushed(push, "pia")
            until_jira_holds(company, {"pia": True})
            assert company.run("inbox", "seal", "partner")[0] == 0
            assert push.delete(f"Users/{pia}").status_code == 204
            until_jira_holds(company, {"pia": False})
