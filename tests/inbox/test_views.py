"""Several unmarked providers behind one credential: each sees what it has asked for, and none takes anything away for another."""

import random
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from connectors.inbox.checkpoint import checkpoint, prune, rebuild
from connectors.inbox.reading import Snapshot
from connectors.inbox.rules import Marks
from connectors.inbox.stores import Database
from connectors.source import SourceContext
from connectors.sources.inbox import Inbox as Source
from connectors.sources.inbox import InboxSettings
from sandbox.push_entra import Entra
from sandbox.push_okta import Okta
from tests.inbox.test_push import client, company, held, wanted

OKTA = {"User-Agent": "Okta SCIM Client 1.0.0"}
ENTRA = {"User-Agent": ""}
NOW = datetime.fromisoformat("2026-11-24T09:00")


@pytest.fixture
def pool(make_inbox):
    """A shared credential behind which nobody bears a mark but `acq`: everything lands in the shared tenant."""
    return make_inbox(("acq",), shared={"pool": {"acq": Marks(segment="acq")}})


@pytest.fixture
def okta(pool):
    return pool.caller("pool", headers=OKTA)


@pytest.fixture
def entra(pool):
    return pool.caller("pool", headers=ENTRA)


def piped(inbox):
    """What the pipeline reads of the shared tenant: documents, tombstones and edges."""
    with closing(Snapshot(inbox.place, "pool")) as read:
        users, groups = (
            [(each.id, each.doc, each.cleared, each.deleted_at) for page in read.resources(kind) for each in page]
            for kind in ("User", "Group")
        )
        return users, groups, [edge for page in read.members() for edge in page]


def told(caller):
    """Everything that a caller reads of users and groups, but for version numbers, which a doubt moves."""
    found = [caller.get(f"/{kind}?count=1000")["Resources"] for kind in ("Users", "Groups")]
    return [{**each, "meta": None} for resources in found for each in resources]


def active(value):
    return {"op": "replace", "path": "active", "value": value}


def members(op, *ids):
    return {"op": op, "path": "members", "value": [{"value": each} for each in ids]}


def proven(inbox, tenant="pool"):
    """The log gives the live rows, views too, before and after a checkpoint and after everything before it is forgotten."""
    number = inbox.service.directory.numbers[tenant]
    for step in (checkpoint, lambda place, tenant_no: prune(place, tenant_no, datetime.now(UTC) + timedelta(days=1))):
        assert rebuild(inbox.place, tenant).differences == ()
        step(inbox.place, number)
    assert rebuild(inbox.place, tenant).differences == ()


def test_a_deletion_is_the_callers_own(pool, okta, entra):
    """Deleted by another provider: gone for it by id, in filters, lists, counts and groups, and deleted again 404; nobody else sees it."""
    ada, bob = okta.user("ada", externalId="a", emails=[{"value": "ada@x.example"}]), okta.user("bob")
    crew = okta.group("crew", [ada, bob])
    theirs, read = told(okta), piped(pool)
    assert entra("DELETE", f"/Users/{ada}").status_code == 204
    assert entra("DELETE", f"/Users/{ada}").status_code == 404
    assert entra("GET", f"/Users/{ada}").status_code == 404
    assert entra.patch(f"/Users/{ada}", active(True)) == 404
    for text in ('userName eq "ada"', 'externalId eq "a"', f'id eq "{ada}"', 'emails.value eq "ada@x.example"'):
        assert entra.find("/Users", text) == []
        assert okta.find("/Users", text) == [ada]
    for text in ("active eq true", f'groups eq "{crew}"'):
        assert entra.find("/Users", text) == [bob]
    listed = entra.get("/Users")
    assert ([each["id"] for each in listed["Resources"]], listed["totalResults"]) == ([bob], 1)
    first = entra("GET", "/Users", params={"cursor": "", "count": 1}).json()
    assert ([each["id"] for each in first["Resources"]], "nextCursor" in first) == ([bob], False)
    assert entra.get("/Users?startIndex=2")["Resources"] == []
    assert entra.members(crew) == {bob}
    assert (told(okta), piped(pool)) == (theirs, read)
    assert pool.moved[-1][2] is False
    proven(pool)


def test_created_again_it_is_the_same_record_for_the_caller(pool, okta, entra):
    """A POST after the caller's deletion shows it the record again under its own id, saying what the POST says; the record keeps what its maker said."""
    ada = okta.user("Ada", externalId="a", title="Countess")
    crew = okta.group("crew", [ada])
    read = piped(pool)
    assert entra("POST", "/Users", {"userName": "ada"}).status_code == 409
    entra("DELETE", f"/Users/{ada}")
    made = entra("POST", "/Users", {"userName": "ada", "externalId": "e"})
    assert made.status_code == 201
    assert made.headers["location"].endswith(f"/Users/{ada}")
    assert made.json() == entra.get(f"/Users/{ada}")
    assert {"userName": "ada", "externalId": "e", "active": True}.items() <= made.json().items()
    assert not {"title", "groups"} & made.json().keys()
    assert entra.find("/Users", 'externalId eq "e"') == entra.find("/Users", 'userName eq "ADA"') == [ada]
    assert entra.find("/Users", 'externalId eq "a"') == []
    assert okta.get(f"/Users/{ada}")["title"] == "Countess"
    assert entra("POST", "/Users", {"userName": "ada"}).status_code == 409
    assert entra.patch(f"/Groups/{crew}", members("add", ada)) == 204
    assert entra.members(crew) == {ada}
    assert piped(pool) == read
    entra("DELETE", f"/Groups/{crew}")
    assert "groups" not in entra.get(f"/Users/{ada}")
    again = entra("POST", "/Groups", {"displayName": "crew"})
    assert (again.status_code, again.json()["id"], "members" in again.json()) == (201, crew, False)
    assert piped(pool) == read
    proven(pool)


def test_a_deactivation_is_the_callers_own_until_it_is_taken_back(pool, okta, entra):
    """Inactive for the caller alone, in reads and filters; active again, and its view is at its end."""
    ada = okta.user("ada")
    read = piped(pool)
    assert entra.patch(f"/Users/{ada}", active("False")) == 200
    assert entra.get(f"/Users/{ada}")["active"] is False
    assert entra.find("/Users", "active eq false") == entra.find("/Users", 'userName eq "ada" and active eq false')
    assert entra.find("/Users", "active eq false") == [ada]
    assert okta.find("/Users", "active eq false") == []
    assert okta.get(f"/Users/{ada}")["active"] is True
    assert piped(pool) == read
    proven(pool)
    assert entra.patch(f"/Users/{ada}", active("True")) == 200
    assert entra.get(f"/Users/{ada}") == okta.get(f"/Users/{ada}")
    assert pool.sql("SELECT count(*) FROM inbox_view") == [(0,)]


def test_members_are_the_callers_own(pool, okta, entra):
    """Removed, added and replaced members change for the caller alone: in the group, in its users and in filters."""
    ada, bob, eve = (okta.user(each) for each in ("ada", "bob", "eve"))
    crew = okta.group("crew", [ada, bob])
    theirs, read = told(okta), piped(pool)
    assert entra.patch(f"/Groups/{crew}", members("remove", ada)) == 204
    assert entra.patch(f"/Groups/{crew}", members("add", eve)) == 204
    assert entra.members(crew) == {bob, eve}
    assert "groups" not in entra.get(f"/Users/{ada}")
    assert entra.get(f"/Users/{eve}")["groups"][0]["display"] == "crew"
    assert entra.find("/Groups", f'members eq "{ada}"') == []
    assert entra.find("/Groups", f'members eq "{eve}"') == entra.find("/Groups", "members pr") == [crew]
    assert entra.find("/Users", f'groups eq "{crew}" and userName pr') == [bob, eve]
    assert entra.patch(f"/Groups/{crew}", {"op": "remove", "path": "members"}) == 204
    assert (entra.members(crew), entra.find("/Groups", "members pr")) == (set(), [])
    assert (told(okta), piped(pool)) == (theirs, read)
    proven(pool)
    assert entra.patch(f"/Groups/{crew}", members("replace", bob, ada)) == 204
    assert entra.members(crew) == {ada, bob}
    assert pool.sql("SELECT count(*) FROM inbox_view_member") == [(0,)]
    assert pool.sql("SELECT count(*) FROM inbox_view") == [(0,)]
    assert (told(okta), piped(pool)) == (theirs, read)


def test_a_name_is_the_callers_own(pool, okta, entra):
    """Renamed for the caller alone: it finds the record by the name it gave, and the name is taken for it; named back, the view ends."""
    ada, bob = okta.user("ada"), okta.user("bob")
    crew = okta.group("crew", [ada])
    read = piped(pool)
    rename = {"op": "replace", "path": "userName", "value": "ada2"}
    assert entra.patch(f"/Users/{ada}", rename) == 200
    assert entra.patch(f"/Groups/{crew}", {"op": "replace", "path": "displayName", "value": "gang"}) == 204
    assert (entra.find("/Users", 'userName eq "ADA2"'), entra.find("/Users", 'userName eq "ada"')) == ([ada], [])
    assert (okta.find("/Users", 'userName eq "ada2"'), okta.find("/Users", 'userName eq "ada"')) == ([], [ada])
    assert entra.find("/Groups", 'displayName eq "gang"') == [crew]
    assert entra.get(f"/Users/{ada}")["groups"][0]["display"] == "gang"
    assert entra("POST", "/Users", {"userName": "ada2"}).status_code == 409
    assert entra.patch(f"/Users/{bob}", rename) == 409
    assert piped(pool) == read
    proven(pool)
    assert entra.patch(f"/Users/{ada}", {"op": "replace", "path": "userName", "value": "ada"}) == 200
    assert pool.sql("SELECT id FROM inbox_view") == [(crew,)]
    okta.user("ada2")


def test_what_does_not_take_away_is_the_callers_own_too(pool, okta, entra):
    """Attributes and addresses of another provider never change the record; what its maker changes afterwards is seen by both unless the caller has said otherwise."""
    ada = okta.user("ada", title="Dr", emails=[{"value": "ada@x.example", "type": "work"}])
    body = {
        "userName": "ada",
        "externalId": "e",
        "emails": [{"value": "ada@e.example", "type": "work"}],
        "nickName": "A",
    }
    read = piped(pool)
    put = entra("PUT", f"/Users/{ada}", body)
    assert put.status_code == 200
    assert "title" not in put.json()
    assert entra.find("/Users", 'emails[type eq "work"].value eq "ada@e.example"') == [ada]
    assert entra.find("/Users", 'emails[type eq "work"].value eq "ada@x.example"') == []
    assert okta.find("/Users", 'emails.value eq "ada@e.example"') == []
    assert piped(pool) == read
    assert okta.patch(f"/Users/{ada}", {"op": "replace", "value": {"title": "Prof", "displayName": "Ada"}}) == 200
    shown = entra.get(f"/Users/{ada}")
    assert ("title" in shown, shown["displayName"], shown["externalId"]) == (False, "Ada", "e")
    proven(pool)


def test_versions_follow_what_the_caller_sees(okta, entra):
    """A write into a view moves the caller's version: If-Match with the one before is refused, with the one it was given it holds."""
    ada = okta.user("ada")
    before = entra("GET", f"/Users/{ada}").headers["etag"]
    after = entra("PATCH", f"/Users/{ada}", {"Operations": [active(False)]}).headers["etag"]
    assert before != after == entra("GET", f"/Users/{ada}").headers["etag"]
    assert entra("DELETE", f"/Users/{ada}", headers={"If-Match": before}).status_code == 412
    assert entra("DELETE", f"/Users/{ada}", headers={"If-Match": after}).status_code == 204


def test_once_two_providers_have_met_the_maker_too_takes_away_from_its_view_only(pool, okta, entra):
    """In a doubt a destructive request of the maker stays its own as well; what it adds goes to the record, also while it has a view."""
    ada = okta.user("ada")
    crew = okta.group("crew", [ada])
    entra.patch(f"/Users/{ada}", {"op": "add", "path": "nickName", "value": "A"})
    entra.patch(f"/Groups/{crew}", members("add", "x"))
    read = piped(pool)
    assert okta.patch(f"/Users/{ada}", active(False)) == 200
    assert okta.patch(f"/Groups/{crew}", members("remove", ada)) == 204
    assert (okta.get(f"/Users/{ada}")["active"], okta.members(crew)) == (False, set())
    assert (entra.get(f"/Users/{ada}")["active"], entra.members(crew)) == (True, {ada, "x"})
    assert piped(pool) == read
    assert okta.patch(f"/Users/{ada}", {"op": "add", "path": "title", "value": "Dr"}) == 200
    assert okta.patch(f"/Groups/{crew}", members("add", "y")) == 204
    assert okta.members(crew) == {"y"}
    assert entra.members(crew) == {ada, "x", "y"}
    assert entra.get(f"/Users/{ada}")["title"] == "Dr"
    assert okta.get(f"/Users/{ada}")["active"] is False
    assert okta.patch(f"/Groups/{crew}", members("add", ada)) == 204
    assert okta.patch(f"/Users/{ada}", active(True)) == 200
    assert okta.members(crew) == {ada, "y"}
    assert pool.sql("SELECT DISTINCT mark FROM inbox_view") == [("unmarked:unnamed",)]
    proven(pool)


def test_a_mark_takes_over_and_views_stay(make_inbox):
    """A marked write settles the doubt for the record; an unmarked caller goes on seeing its own, until the record itself is deleted."""
    before = make_inbox(("east",), shared={"pool": {"east": Marks(domains=("east.example",))}})
    one, two = before.caller("pool", headers=OKTA), before.caller("pool", headers=ENTRA)
    ada = one.user("ada@east.example")
    assert two.patch(f"/Users/{ada}", active(False)) == 200
    marks = Marks(segment="east", domains=("east.example",))
    after = make_inbox(("east",), shared={"pool": {"east": marks, "west": Marks(domains=("east.example",))}})
    marked = after.caller("pool", prefix="/scim/v2/east", headers=ENTRA)
    assert marked.get(f"/Users/{ada}")["active"] is True
    assert marked.patch(f"/Users/{ada}", {"op": "add", "path": "title", "value": "Dr"}) == 200
    assert (two.get(f"/Users/{ada}")["active"], two.get(f"/Users/{ada}")["title"]) == (False, "Dr")
    assert one("DELETE", f"/Users/{ada}").status_code == 204
    assert one("GET", f"/Users/{ada}").status_code == 404
    assert marked.get(f"/Users/{ada}")["active"] is True
    proven(after, "east")
    assert marked("DELETE", f"/Users/{ada}").status_code == 204
    assert two("GET", f"/Users/{ada}").status_code == 404
    tables = ("inbox_view", "inbox_view_key", "inbox_view_member")
    assert [after.sql(f"SELECT count(*) FROM {each}") for each in tables] == [[(0,)]] * 3
    proven(after, "east")


def test_the_doubt_is_told(pool, okta, entra):
    """`check` counts the records in which two providers have met, and says what to do; without a doubt it says nothing of it."""
    ada = okta.user("ada")

    def told_of():
        by_reference = isinstance(pool.place, Database)
        secrets = {"store": pool.place.url} if by_reference else {}
        settings = InboxSettings(store="env:INBOX_DATABASE" if by_reference else str(pool.place))
        with closing(Source(settings, SourceContext("pool", NOW, secrets=secrets))) as source:
            return [each for each in source.check() if each.subject == "shared"]

    assert told_of() == []
    entra("DELETE", f"/Users/{ada}")
    (found,) = told_of()
    assert (found.level, "1 users and 0 groups" in found.text, "segment" in found.remedy) == ("warning", True, True)


# --- whole lives


class Model:
    """What one provider has asked for, laid over what the other holds; the obvious way."""

    def __init__(self, caller, users, groups):
        self.caller = caller
        self.users = {each: dict(caller.get(f"/Users/{each}")) for each in users}
        self.groups = {each: caller.members(each) for each in groups}
        self.gone = {}

    def act(self, chance, step, ways=range(7)):
        """One arbitrary request, of these ways."""
        ada, crew = chance.choice(sorted(self.users)), chance.choice(sorted(self.groups))
        some = chance.sample(sorted(self.users), 2)
        match chance.choice(ways):
            case 0:
                status = self.caller("DELETE", f"/Users/{ada}").status_code
                assert status == (404 if ada in self.gone else 204)
                self.gone[ada] = True
                for each in self.groups.values():
                    each.discard(ada)
            case 1:
                value = chance.choice([True, "False"])
                status = self.caller.patch(f"/Users/{ada}", active(value))
                self._wrote(ada, status, active=value is True)
            case 2:
                name = f"{self.users[ada]['userName'].partition('-')[0]}-{step}"
                status = self.caller.patch(f"/Users/{ada}", {"op": "replace", "path": "userName", "value": name})
                self._wrote(ada, status, userName=name)
            case 3 if ada in self.gone:
                name = self.first[ada]
                answer = self.caller("POST", "/Users", {"userName": name, "nickName": "n"})
                assert (answer.status_code, answer.json()["id"]) == (201, ada)
                del self.gone[ada]
                self.users[ada] = {"userName": name, "nickName": "n", "active": True}
            case 3:
                assert self.caller("PUT", f"/Users/{ada}", {"userName": self.users[ada]["userName"]}).status_code == 200
                self.users[ada] = {each: self.users[ada][each] for each in ("userName", "active")}
            case 4:
                assert self.caller.patch(f"/Groups/{crew}", members("remove", *some)) == 204
                self.groups[crew] -= set(some)
            case 5:
                here = [each for each in some if each not in self.gone]
                assert self.caller.patch(f"/Groups/{crew}", members("add", *here)) == 204
                self.groups[crew] |= set(here)
            case _:
                here = [each for each in some if each not in self.gone]
                assert self.caller.patch(f"/Groups/{crew}", members("replace", *here)) == 204
                self.groups[crew] = set(here)

    def _wrote(self, ada, status, **more):
        assert status == (404 if ada in self.gone else 200)
        if ada not in self.gone:
            self.users[ada] |= more

    def holds(self):
        """The caller reads its own writes: by id, in the list, by name, by state, by edges."""
        there = [each for each in self.users if each not in self.gone]
        listed = self.caller.get("/Users?count=100")
        assert (sorted(each["id"] for each in listed["Resources"]), listed["totalResults"]) == (
            sorted(there),
            len(there),
        )
        for each in self.users:
            status = self.caller("GET", f"/Users/{each}").status_code
            assert status == (404 if each in self.gone else 200)
        for each in there:
            shown = self.caller.get(f"/Users/{each}")
            for name in ("userName", "active", "title", "nickName"):
                assert shown.get(name) == self.users[each].get(name), name
            assert self.caller.find("/Users", f'userName eq "{self.users[each]["userName"]}"') == [each]
            crews = {crew for crew, ids in self.groups.items() if each in ids}
            assert {group["value"] for group in shown.get("groups", ())} == crews
            assert set(self.caller.find("/Groups", f'members eq "{each}"')) == crews
        off = {each for each in there if not self.users[each]["active"]}
        assert set(self.caller.find("/Users", "active eq false")) == off
        for crew, ids in self.groups.items():
            assert self.caller.members(crew) == ids


@pytest.mark.parametrize("seed", range(4))
def test_no_request_of_another_provider_is_felt(pool, okta, entra, seed):
    """Arbitrary requests of one: the other's answers and what the pipeline reads stay as they were, the one reads its own writes, and the log proves all of it."""
    chance = random.Random(seed)
    users = [okta.user(f"u{place}", title=f"t{place}") for place in range(5)]
    groups = [okta.group(f"g{place}", users[place : place + 3]) for place in range(3)]
    model = Model(entra, users, groups)
    model.first = {each: f"u{place}" for place, each in enumerate(users)}
    theirs, read = told(okta), piped(pool)
    for step in range(60):
        model.act(chance, step)
        if step % 10 == 9:
            model.holds()
            assert (told(okta), piped(pool)) == (theirs, read)
    proven(pool)
    model.holds()
    for each in model.gone:
        entra("POST", "/Users", {"userName": model.first[each]})
    whole = {each["id"]: each for each in theirs}
    for each in users:
        keys = ("userName", "title", "active")
        assert entra("PUT", f"/Users/{each}", {key: whole[each][key] for key in keys}).status_code == 200
    for each in groups:
        assert entra.patch(f"/Groups/{each}", members("replace", *(m["value"] for m in whole[each]["members"]))) == 204
    assert told(entra) == theirs
    assert [pool.sql(f"SELECT count(*) FROM inbox_view{each}") for each in ("", "_key", "_member")] == [[(0,)]] * 3
    proven(pool)


@pytest.mark.parametrize("seed", range(2))
def test_two_providers_take_away_at_once(pool, okta, entra, seed):
    """Once they have met in every record, both delete, disable, rename and remove at random: each reads its own writes, and the pipeline sees none of it."""
    chance = random.Random(seed)
    users = [okta.user(f"u{place}") for place in range(5)]
    groups = [okta.group(f"g{place}", users[place : place + 3]) for place in range(3)]
    for kind, ids in (("Users", users), ("Groups", groups)):
        for each in ids:
            assert entra.patch(f"/{kind}/{each}", {"op": "add", "path": "externalId", "value": f"e{each}"}) < 300
    models = [Model(caller, users, groups) for caller in (okta, entra)]
    read = piped(pool)
    for step in range(50):
        chance.choice(models).act(chance, step, ways=(0, 1, 2, 4))
    for model in models:
        model.holds()
    assert piped(pool) == read
    assert not any(reduces for _, _, reduces in pool.moved)
    proven(pool)


@pytest.mark.parametrize("order", [(Okta, Entra), (Entra, Okta)], ids=["okta made them", "entra made them"])
def test_two_providers_live_on_one_credential(pool, order):
    """Both push the same people; then the second disables, deletes, renames and empties all it can: no request fails, it has nothing left to send, and the first notices nothing."""
    agents = {Okta: OKTA, Entra: ENTRA}
    first, second = (pool.caller("pool", headers=agents[each]) for each in order)
    one, two = company(12), company(12)
    pushes = [push(client(caller)) for push, caller in zip(order, (first, second), strict=True)]
    assert pushes[0].cycle(one).failed == []
    assert pushes[0].cycle(one).writes == 0
    theirs, read = held(first), piped(pool)
    assert pushes[1].cycle(two).failed == []
    gone = {0, 3, 6, 9} if order[1] is Entra else set()  # Okta only ever disables
    for place, name in enumerate(list(two.users)):
        two.users[name] = replace(two.users[name], active=place % 2 == 0, deleted=place in gone)
    two.users["s8"] = replace(two.users["s8"], user_name="renamed@corp.example", active=True, deleted=False)
    two.groups["g0"] = replace(two.groups["g0"], name="Renamed", members=frozenset())
    del two.groups["g1"]
    assert pushes[1].cycle(two).failed == []
    assert held(second) == wanted(two)
    assert pushes[1].cycle(two).writes == 0
    assert pushes[0].cycle(one).writes == 0
    assert (held(first), piped(pool)) == (theirs, read)
    assert held(first) == wanted(one)
    proven(pool)
