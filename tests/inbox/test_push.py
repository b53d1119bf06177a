"""Whole cycles of simulated providers against the inbox: it ends up holding what they hold, and nothing is sent twice."""

import random
from dataclasses import replace

import httpx
import pytest

from connectors.inbox.checkpoint import rebuild
from connectors.inbox.rules import Marks
from sandbox.push_entra import Entra, Quarantined
from sandbox.push_okta import Okta
from sandbox.push_people import PushDirectory, PushGroup, PushUser


def client(caller):
    """The caller as an HTTP client that the simulators understand."""

    def handle(request):
        path = request.url.raw_path.decode()
        headers = {name: request.headers[name] for name in ("user-agent", "content-type") if request.headers.get(name)}
        caller.prefix = ""
        answer = caller(request.method, path, raw=request.content or None, headers=headers)
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)

    return httpx.Client(transport=httpx.MockTransport(handle), base_url="http://inbox.example")


def company(size=40, seed=1):
    chance = random.Random(seed)
    users = {
        f"s{n}": PushUser(f"s{n}", f"user{n}@corp.example", f"G{n}", f"F{n}", manager_id="s0" if n else None)
        for n in range(size)
    }
    groups = {
        f"g{n}": PushGroup(f"g{n}", f"Group {n}", frozenset(chance.sample(sorted(users), size // 2))) for n in range(4)
    }
    return PushDirectory(users, groups)


def held(caller):
    """Names of active users, and names of groups with the names of their members, as the inbox has them."""
    caller.prefix = "/scim/v2"
    users = caller.get("/Users?count=1000")["Resources"]
    names = {each["id"]: each["userName"] for each in users}
    active = {each["userName"] for each in users if each["active"]}
    groups = caller.get("/Groups?count=1000")["Resources"]
    return active, {g["displayName"]: {names[m["value"]] for m in g.get("members", ())} for g in groups}


def wanted(directory):
    active = {each.user_name for each in directory.users.values() if each.provisioned}
    names = {each.id: each.user_name for each in directory.users.values() if not each.deleted}
    groups = {g.name: {names[m] for m in g.members if m in names} for g in directory.groups.values()}
    return active, groups


MODES = {
    "entra": Entra,
    "entra with the flag": lambda c: Entra(c, flag=True),
    "okta catalogue": Okta,
    "okta wizard": lambda c: Okta(c, wizard=True),
}


@pytest.mark.parametrize("mode", MODES)
def test_cycles(inbox, corp, mode):
    """First cycle, a cycle without changes (no write), then leavers, renames, returns and changed groups."""
    push, directory = MODES[mode](client(corp)), company()
    assert push.cycle(directory).failed == []
    assert held(corp) == wanted(directory)
    assert push.cycle(directory).writes == 0
    users, groups = directory.users, directory.groups
    users["s1"] = replace(users["s1"], active=False)
    users["s2"] = replace(users["s2"], user_name="renamed@corp.example", title="Dr")
    users["s3"] = replace(users["s3"], in_scope=False)
    users["new"] = PushUser("new", "new@corp.example")
    groups["g0"] = replace(groups["g0"], name="Renamed", members=groups["g0"].members ^ {"s4", "s5", "new"})
    del groups["g1"]
    assert push.cycle(directory).failed == []
    assert held(corp) == wanted(directory)
    users["s1"] = replace(users["s1"], active=True)
    assert push.cycle(directory).failed == []
    assert held(corp) == wanted(directory)
    if mode.startswith("entra"):
        users["s6"] = replace(users["s6"], deleted=True)
        push.cycle(directory)
        assert held(corp) == wanted(directory)
    assert push.cycle(directory).writes == 0
    assert rebuild(inbox.place, "corp").equal


def test_connection_tests(inbox, corp):
    """The portal's connection test passes with a good token and quarantines the job with a bad one."""
    Entra(client(corp), flag=True).test_connection()
    corp.token = "wrong"
    with pytest.raises(Quarantined):
        Entra(client(corp)).test_connection()
    with pytest.raises(Quarantined):
        Entra(client(corp)).cycle(company(2))


def test_groups_fill_in_batches(inbox, corp):
    """A group of 1,200 is filled by three PATCH calls of 500, 500 and 200, an event each; all of them arrive."""
    directory = company(1200)
    directory.groups.clear()
    push = Entra(client(corp))
    push.cycle(directory)
    directory.groups["all"] = PushGroup("all", "Everybody", frozenset(directory.users))
    calls = push.cycle(directory)
    assert (calls.sent["PATCH"], calls.failed) == (3, [])
    corp.prefix = "/scim/v2"
    (crew,) = corp.find("/Groups", 'displayName eq "Everybody"')
    assert len(corp.members(crew)) == 1200
    events = inbox.run(inbox.store.read(_bodies()))
    assert [body.count('"value"') - 1 for (body,) in events[-3:]] == [500, 500, 200]


def _bodies():
    return (yield "SELECT body FROM inbox_event WHERE verb = 'patch' ORDER BY seq", ())


def test_what_fails_waits_in_escrow_longer_each_time(inbox, corp):
    """A user whom we refuse is tried again after 1, 2 and then 4 cycles; the others go on, and it arrives when it is mended."""
    directory = company(5)
    directory.users["bad"] = PushUser("bad", "x" * 1100)
    push = Entra(client(corp))
    tried = [number for number in range(1, 13) if push.cycle(directory).failed]
    assert tried == [1, 2, 4, 8, 12]
    directory.users["bad"] = replace(directory.users["bad"], user_name="mended@corp.example")
    for _ in range(4):
        push.cycle(directory)
    assert held(corp) == wanted(directory)


@pytest.mark.parametrize(("good", "quarantined"), [(4, True), (8, False)])
def test_many_failures_quarantine_the_job(inbox, corp, monkeypatch, good, quarantined):
    """From a number of failures on (5,000 at Microsoft's) a job is slowed down when they are more than 40 % of its objects."""
    monkeypatch.setattr("sandbox.push_entra.QUARANTINE_FAILURES", 3)
    directory = company(good)
    directory.groups.clear()
    directory.users |= {f"bad{n}": PushUser(f"bad{n}", f"{n}" * 1100) for n in range(4)}
    push = Entra(client(corp))
    if quarantined:
        with pytest.raises(Quarantined, match="4 objects"):
            push.cycle(directory)
    else:
        push.cycle(directory)
    assert len(held(corp)[0]) == good


def test_okta_waits_as_told(inbox, corp):
    """Told to wait, Okta waits the whole seconds that we give it."""
    corp.token = "wrong"
    waited = []
    okta = Okta(client(corp), sleep=waited.append)
    for _ in range(21):
        corp("GET", "/Users")
    okta._send("GET", "/Users")
    assert waited
    assert 1 <= waited[0] <= 61


def test_two_tenants_push_the_same_people_through_one_shared_credential(make_inbox):
    """The member of one provider is the guest of another, groups bear the same names: neither adopts, disables or empties the other's."""
    marks = {"corp": Marks(segment="corp"), "acq": Marks(query="aadOptscim062020")}
    inbox = make_inbox(tuple(marks), shared={"pool": marks})
    pool = inbox.caller("pool")
    one, two = company(20, seed=1), company(20, seed=2)
    first, second = Entra(client(pool), base="/scim/v2/corp"), Entra(client(pool), flag=True)
    for _ in range(2):
        assert first.cycle(one).failed == []
        assert second.cycle(two).failed == []
    for name in list(two.users):
        two.users[name] = replace(two.users[name], active=False)
    two.groups.clear()
    second.cycle(two)
    assert first.cycle(one).writes == 0
    assert held(inbox.caller("corp")) == wanted(one)
    assert held(inbox.caller("acq")) == wanted(two)
    assert inbox.moved[-1][0] == "acq"
