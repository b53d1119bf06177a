"""`onefold backfill`: the state from kept extracts equals the live one; where it does not, it says what differs, and puts it right when asked."""

import shutil

import duckdb
import pytest

from core.model import ExtractKind
from sandbox.graph_rounds import Quirks
from sandbox.providers import Providers, tenants
from sandbox.serve import Sandbox
from state.landing import manifests
from state.snapshot import Snapshot
from tests.company import Company, people, seed

CONFIG = """\
directory: two
precedence: [corp, acquired]
tenants:
  corp: {{kind: entra, mode: live, {corp}, verified_domains: [corp.example], employee_number_issuer: acme}}
  acquired: {{kind: entra, mode: live, {acquired}, verified_domains: [acquired.example], employee_number_issuer: acme}}
targets: {{}}
"""


@pytest.fixture(scope="module")
def graph():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_PROXY", "127.0.0.1")
        with Providers(tenants(1), graph={"quirks": Quirks(page=90, slice=60)}) as box:
            yield box.graph


@pytest.fixture(scope="module")
def read(graph, tmp_path_factory):
    """Two Entra tenants after a full read, and two rounds of deltas in which people come, change, move and go."""
    told = graph.announcement()
    words = {
        name: f"tenant_id: {each['tenant_id']}, client_id: {each['client_id']}, client_secret: env:{name.upper()}_SECRET, "
        f"url: {told['url']}, login_url: {told['login_url']}"
        for name, each in told["tenants"].items()
    }
    with Sandbox(seed()) as targets, pytest.MonkeyPatch.context() as patch:
        for name, each in told["tenants"].items():
            patch.setenv(f"{name.upper()}_SECRET", each["client_secret"])
        made = Company(tmp_path_factory.mktemp("read") / "two", targets)
        made.folder.mkdir()
        (made.folder / "onefold.yaml").write_text(CONFIG.format(**words), encoding="utf-8")
        ok(made, "plan")
        for place in range(2):
            tenant = graph.tenants["corp"]
            users, groups = list(tenant.users), [each for each in tenant.groups if tenant.members[each]]
            tenant.put("users", {"id": users[place], "department": f"Moved {place}", "accountEnabled": place == 1})
            tenant.delete("users", users[5 + place])
            tenant.unbind(groups[place], next(iter(tenant.members[groups[place]])))
            tenant.put("users", {"userPrincipalName": f"new{place}@corp.example", "accountEnabled": True})
            ok(made, "plan")
        yield made


@pytest.fixture
def company(read, tmp_path):
    """A copy of it of one's own."""
    shutil.copytree(read.folder, tmp_path / "two")
    return Company(tmp_path / "two", read.box)


def ok(company, *words, code=0):
    found, document, err = company.run(*words)
    assert found == code, (found, document, err)
    return document


def chain(company, tenant="corp"):
    return manifests(company.folder / ".onefold" / "landing", tenant)


def accounts(company):
    with Snapshot.open(company.folder / ".onefold") as snapshot:
        return snapshot.query("SELECT * FROM accounts ORDER BY ALL").rows()


def damage(company, statement):
    with duckdb.connect(str(company.folder / ".onefold" / "state.duckdb")) as state:
        state.execute(statement)


def test_what_is_rebuilt_equals_the_live_state(company):
    """A full read and its deltas, replayed from the first on, give both tenants as they are; nothing is written by it."""
    kinds = [each.kind for each in chain(company)]
    assert kinds == [ExtractKind.FULL, ExtractKind.DELTA, ExtractKind.DELTA]
    before = accounts(company)
    document = ok(company, "backfill", "--since", "2100-01-01")
    assert {each["tenant"]: each["differences"] for each in document["tenants"]} == {"acquired": 0, "corp": 0}
    assert [len(each["extracts"]) for each in document["tenants"]] == [3, 3]
    assert {each["accounts"] > 100 for each in document["tenants"]} == {True}
    named = ok(company, "backfill", *(word for each in chain(company) for word in ("--extract", each.extract_id)))
    assert [(each["tenant"], each["differences"]) for each in named["tenants"]] == [("corp", 0)]
    assert accounts(company) == before


def test_a_part_of_the_chain_is_the_state_of_then(company):
    """The full read alone differs from today in just those who moved since; their ids and columns are named."""
    document = ok(company, "backfill", "--extract", chain(company)[0].extract_id, code=3)
    (tenant,) = document["tenants"]
    found = [(each["object"], each["found"]) for each in tenant["shown"]]
    assert sorted(found) == [
        ("accounts", "differs"),
        ("accounts", "differs"),
        ("accounts", "only_live"),
        ("accounts", "only_live"),
        ("accounts", "only_rebuilt"),
        ("accounts", "only_rebuilt"),
        *[("memberships", "only_rebuilt")] * (len(found) - 6),
    ]
    assert any("department" in each["columns"] for each in tenant["shown"])


def test_a_damaged_state_is_named_and_put_right(company):
    """A wrong value, a lost account and a lost edge in the live state: named; swapped; then equal, with the same account keys."""
    before = accounts(company)
    corp = "tenant_key = (SELECT tenant_key FROM tenant WHERE name = 'corp')"
    first, second = (
        f"account_key = (SELECT account_key FROM raw_account WHERE {corp} AND gone IS NULL ORDER BY account_key LIMIT 1 OFFSET {place})"
        for place in (20, 21)
    )
    damage(company, f"UPDATE raw_account SET email = 'wrong@x.example' WHERE {first}")
    damage(company, f"UPDATE raw_account SET gone = 'absent', gone_since = TIMESTAMP '2026-01-01' WHERE {second}")
    damage(
        company,
        f"DELETE FROM raw_membership WHERE group_key = (SELECT min(group_key) FROM raw_membership WHERE {corp})",
    )
    document = ok(company, "backfill", "--since", "2100-01-01", "--tenant", "corp", code=3)
    found = {(each["object"], each["found"]) for each in document["tenants"][0]["shown"]}
    assert {("accounts", "differs"), ("accounts", "only_rebuilt"), ("memberships", "only_rebuilt")} <= found
    swapped = ok(company, "backfill", "--since", "2100-01-01", "--tenant", "corp", "--swap")
    assert swapped["swapped"] == ["corp"]
    assert accounts(company) == before
    assert (
        ok(company, "backfill", "--since", "2100-01-01")["tenants"][1]["differences"] == 0
    )  # what was swapped in is a read like any other
    ok(company, "plan")
    assert [each.kind for each in chain(company)][-1] is ExtractKind.DELTA  # the cursor went on


def test_the_past_never_replaces_what_was_read_since(company):
    """Swapping in an older part of the chain is refused, in one sentence, and nothing changes."""
    before = accounts(company)
    document = ok(company, "backfill", "--extract", chain(company)[0].extract_id, "--swap", code=5)
    assert "was read after the last of these extracts" in document["problem"]
    assert accounts(company) == before


@pytest.mark.parametrize(
    ("words", "problem", "code"),
    [
        (["--extract", "DELTA"], "holds only what moved", 5),
        (["--extract", "nothing"], "there is no extract nothing", 5),
        (["--since", "2001-01-01"], "no complete full read before 2001-01-01", 5),
        ([], "needs either --extract or --since", 2),
        (["--since", "2100-01-01", "--tenant", "x"], "x is no tenant", 2),
    ],
)
def test_what_cannot_be_rebuilt_says_why(company, words, problem, code):
    """A delta alone, an unknown extract, a time before everything, nothing at all, an unknown tenant: one sentence each."""
    words = [chain(company)[1].extract_id if word == "DELTA" else word for word in words]
    found, document, err = company.run("backfill", *words)
    assert found == code
    assert problem in str(document) + err


def test_a_chain_that_is_not_kept_whole_is_refused(company):
    """Where an extract between was lost, nothing is made up: the sentence names it."""
    lost = chain(company)[1].extract_id
    shutil.rmtree(company.folder / ".onefold" / "landing" / "corp" / lost)
    document = ok(company, "backfill", "--since", "2100-01-01", "--tenant", "corp", code=5)
    assert lost in document["problem"]
    assert "no longer kept" in document["problem"]


def test_files_are_rebuilt_too(tmp_path):
    """Full reads of files, with a leaver and a nested group, come out equal."""
    with Sandbox(seed()) as box:
        one = Company(
            tmp_path / "acme", box, people(6), {"Jira-A": ["c001", "c002", "group:Jira-B"], "Jira-B": ["c003"]}
        )
        one.write()
        one.run("plan")
        one.people = one.people[:-1]
        one.groups["Jira-A"].remove("c001")
        one.write()
        one.run("plan")
        document = ok(one, "backfill", "--since", "2100-01-01")
        assert {each["tenant"]: each["differences"] for each in document["tenants"]} == {"corp": 0, "hr": 0}
