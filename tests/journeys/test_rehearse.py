"""`onefold rehearse`: a plan on stand-ins that hold what the targets hold; nothing real is asked, and what would go wrong is told before."""

import contextlib
import io
import shutil

import pytest

from flows.cli import main
from sandbox.serve import Sandbox
from tests.company import Company, environment, people, seed


@pytest.fixture(scope="module")
def adopted(tmp_path_factory):
    """A company after its adoption; then somebody left, somebody joined and somebody got another name: planned and not applied."""
    with Sandbox({"jira": seed(["user000"], ["jira-devs"]), "confluence": {}}, rate=None) as box:
        one = Company(tmp_path_factory.mktemp("rehearse") / "acme", box, people(8))
        one.groups = {"Jira-Devs": ["c001", "c002", "c003"], "Wiki-Editors": ["c004"]}
        one.write()
        one.adopt()
        one.run("sync", "--apply")
        one.change("c002", active=False)
        one.change("c003", display="Another Name")
        one.people = [*one.people, *people(9)[8:]]
        one.groups["Jira-Devs"].append("c008")
        one.write()
        code, plan, err = one.run("plan")
        assert code == 0, (plan, err)
        yield one, plan


@pytest.fixture
def company(adopted, tmp_path):
    one, plan = adopted
    shutil.copytree(one.folder, tmp_path / "acme")
    return Company(tmp_path / "acme", one.box, one.people, one.groups), plan


def test_a_plan_is_rehearsed_and_nothing_real_is_touched(company):
    """All changes are carried out on the stand-ins and nothing is left; the targets got no request, the state is as it was, and the apply then does the same."""
    one, plan = company
    one.box.reset_audit()
    before = one.holds()
    code, document, err = one.run("rehearse", plan["digest"])
    assert (code, err) == (0, "")
    assert (document["applied"], document["failed"], document["left_count"]) == (len(plan["changes"]), 0, 0)
    assert document["differing"] == 0
    assert all(one.box.audit(name)["log"] == [] for name in ("jira", "confluence"))
    assert one.holds() == before
    again = one.run("plan")[1]
    assert again["digest"] == plan["digest"]


def test_what_would_fail_is_told_before(company, tmp_path):
    """A target that refuses creations: the rehearsal names each refused change, its answer, and what would still be wanted."""
    one, plan = company
    faults = tmp_path / "faults.yaml"
    faults.write_text('- {target: jira, method: POST, path: "/rest/api/2/user", fault: 400}\n', encoding="utf-8")
    code, document, _ = one.run("rehearse", plan["digest"], "--faults", str(faults))
    assert code == 4
    assert {(each["target"], each["verb"]) for each in document["answers"]} == {("jira", "create_user")}
    assert all(each["state"] == "failed" and each["detail"] for each in document["answers"])
    assert {("jira", "create_user")} <= {(each["target"], each["verb"]) for each in document["left"]}
    code, document, _ = one.run("rehearse", plan["digest"])  # and nothing of it was remembered
    assert (code, document["differing"]) == (0, 0)


def test_an_old_version_shows_what_it_cannot_do(company):
    """Rehearsed against Confluence 7, which makes no users by REST: nothing is sent that it does not know, and what is left says so."""
    one, plan = company
    code, document, _ = one.run("rehearse", plan["digest"], "--confluence-version", "7")
    assert code in {3, 4}
    assert document["dropped"] or document["left_count"] or document["differing"]


def test_an_unknown_plan_is_refused(company):
    """No such digest: one sentence, exit 5."""
    one, _ = company
    code, document, _ = one.run("rehearse", "ffffffff")
    assert code == 5
    assert "ffffffff" in document["problem"]


def test_what_is_said_on_a_terminal(company):
    """One line of counts, what is left, and that nothing real was asked."""
    one, plan = company
    out = io.StringIO()
    with environment(one.environment), contextlib.redirect_stdout(out):
        assert main(["rehearse", plan["digest"][:8]]) == 0
    text = out.getvalue()
    assert f"REHEARSAL of {plan['digest'][:8]} on stand-ins of confluence, jira" in text
    assert "afterwards nothing that is ready would be left to do" in text
    assert text.rstrip().endswith("Nothing real was asked or written.")
