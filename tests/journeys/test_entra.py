"""Two Entra tenants and Jira, through the commands: first read, a leaver by delta, a guest of one who is a member of the other, a lost cursor."""

from datetime import timedelta

import pytest

from core.model import ExtractKind, Verdict
from sandbox.graph_rounds import Quirks
from sandbox.providers import Providers, tenants
from sandbox.serve import Sandbox
from state.landing import manifests
from tasks.installation import Installation, load, utc_now
from tasks.read import read_tenant
from tests.company import Company, environment, seed

CONFIG = """\
directory: two
precedence: [corp, acquired]
tenants:
  corp: {{kind: entra, mode: live, {corp}, verified_domains: [corp.example], employee_number_issuer: acme}}
  acquired: {{kind: entra, mode: live, {acquired}, verified_domains: [acquired.example], employee_number_issuer: acme}}
targets:
  jira: {{kind: jira_dc, mode: apply, url: {jira}, token: env:COMPANY_JIRA, rate: 500}}
limits: {{create_user: {{floor: 500}}, deactivate: {{explicit: {{floor: 10}}}}}}
scope: "coalesce(person.user_type, 'member') = 'member'"
map: {{user_name: "split_part(person.email, '@', 1)", rename: false}}
"""


@pytest.fixture
def vendors(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with Providers(tenants(1), graph={"quirks": Quirks(page=90, slice=60)}) as box:
        yield box


@pytest.fixture
def company(vendors, tmp_path, monkeypatch):
    told = vendors.graph.announcement()
    words = {
        name: f"tenant_id: {each['tenant_id']}, client_id: {each['client_id']}, client_secret: env:{name.upper()}_SECRET, "
        f"url: {told['url']}, login_url: {told['login_url']}"
        for name, each in told["tenants"].items()
    }
    for name, each in told["tenants"].items():
        monkeypatch.setenv(f"{name.upper()}_SECRET", each["client_secret"])
    with Sandbox(seed()) as targets:
        made = Company(tmp_path / "two", targets)
        made.folder.mkdir()
        (made.folder / "onefold.yaml").write_text(CONFIG.format(jira=targets.jira.url, **words), encoding="utf-8")
        yield made


def test_two_tenants_become_one_directory(company, vendors):
    """Both are read whole, then by delta; a member disabled in one is deactivated, and a guest record elsewhere changes nothing."""
    code, found, err = company.run("check", "--live")
    assert code == 0, (found, err)
    assert "full read" in str(found)
    company.adopt()
    names = {each["name"]: each["active"] for each in company.box.state("jira")["users"]}
    corp = vendors.graph.tenants["corp"]
    leaver = next(each for each in corp.users.values() if each["accountEnabled"] and each["userType"] == "Member" and "#EXT#" not in each["userPrincipalName"])  # fmt: skip
    name = leaver["mail"].partition("@")[0]
    assert names[name]
    guest = next(each for each in corp.users.values() if each["userType"] == "Guest")
    home = guest["mail"].partition("@")[0]
    assert names[home]
    corp.put("users", {"id": leaver["id"], "accountEnabled": False})
    corp.put("users", {"id": guest["id"], "accountEnabled": False})
    code, done, err = company.run("sync", "--apply")
    assert code in {0, 3}, (done, err)
    names = {each["name"]: each["active"] for each in company.box.state("jira")["users"]}
    assert (names[name], names[home]) == (False, True)
    landing = company.folder / ".onefold" / "landing"
    assert [each.kind for each in manifests(landing, "corp")] == [ExtractKind.FULL, ExtractKind.DELTA]
    assert {each.verdict for each in manifests(landing, "corp")} == {Verdict.COMPLETE}
    corp.put("users", {"id": leaver["id"], "jobTitle": "Told by no delta yet"})
    _, plan, _ = company.run("plan", "--full")
    assert any("what the deltas had built differ: 0 added, 1 changed, 0 gone" in each for each in plan["notes"])
    assert "graph-secret-of" not in "".join(path.read_text() for path in landing.rglob("manifest.json"))


def test_a_full_read_comes_after_six_days_and_a_lost_cursor_removes_nobody(company, vendors, monkeypatch):
    """Deltas go on for six days, then everything is read; a reset of the service in between is a full read and no departure."""
    company.adopt()
    path = company.folder / "onefold.yaml"
    with environment(company.environment):
        config = load(path)

        def kinds(days):
            inst = Installation(config, path, clock=lambda: utc_now() + timedelta(days=days))
            return read_tenant(inst, "corp").kind

        assert kinds(5) is ExtractKind.DELTA
        assert kinds(6.1) is ExtractKind.FULL
    monkeypatch.setattr("connectors.sources._entra_graph.SPREAD_SECONDS", 0.01)
    before = {each["name"]: each["active"] for each in company.box.state("jira")["users"]}
    vendors.graph.tenants["corp"].reset = True
    code, done, err = company.run("sync", "--apply")
    assert code in {0, 3}, (done, err)
    landing = company.folder / ".onefold" / "landing"
    assert any(
        "everything was read, because" in reason for each in manifests(landing, "corp") for reason in each.reasons
    )
    assert {each.verdict for each in manifests(landing, "corp")} == {Verdict.COMPLETE}
    assert {each["name"]: each["active"] for each in company.box.state("jira")["users"]} == before
