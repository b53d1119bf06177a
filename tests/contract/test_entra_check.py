"""How Entra is proven who we are, and what `check --live` says of it."""

import pytest

from connectors.http import Http
from core.model import Verdict
from sandbox.graph import Graph
from sandbox.graph_rounds import Quirks
from sandbox.seen import of_world
from sandbox.world import company
from tests.entra import opened, read
from tests.vendors import Wire, certificate


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    monkeypatch.setitem(Http.__init__.__kwdefaults__, "sleep", lambda _seconds: None)


@pytest.fixture
def graph():
    """The demo's company as one Entra tenant."""
    return Graph([of_world(company(), "corp")], quirks=Quirks(page=60, slice=40, empty_every=3, replay=2))


def test_a_certificate_proves_us(graph, tmp_path):
    """A registered certificate opens the door by PS256 and RS256; another key, or none registered, gives the vendor's words and a remedy."""
    _, text = certificate()
    graph.app("corp").certificate = text[text.index("-----BEGIN CERT") :]
    for algorithm in ("PS256", "RS256"):
        source = opened(Wire(graph), certificate="file:x.pem", algorithm=algorithm, pem=text)
        manifest, accounts, _, _ = read(source, tmp_path / algorithm, "e1")
        assert (manifest.verdict, accounts.height) == (Verdict.COMPLETE, 300)
    _, other = certificate()
    manifest, *_ = read(opened(Wire(graph), certificate="file:x.pem", pem=other), tmp_path / "other", "e1")
    assert manifest.verdict is Verdict.FAILED
    assert "AADSTS700027" in manifest.reasons[0]
    assert "upload it" in manifest.reasons[0]
    assert "BEGIN" not in manifest.reasons[0]


def levels(source):
    found = list(source.check())
    source.close()
    return found


def test_check_names_what_is_missing_and_what_is_too_much(graph):
    """Rights held, missing and too broad, in the vendor's words; the secret's end where it can be known; the cost of a full read."""
    found = levels(opened(Wire(graph)))
    assert [each.level for each in found].count("error") == 0
    assert any("User.Read.All: users" in each.text for each in found)
    assert any("not known" in each.text for each in found if each.subject == "client_secret")
    assert any("requests and" in each.text for each in found)
    app = graph.app("corp")
    app.roles = frozenset({"Directory.ReadWrite.All", "Mail.Read"})
    found = levels(opened(Wire(graph)))
    excess = {each.text.split()[0]: each.remedy for each in found if "more than is needed" in each.text}
    assert set(excess) == {"Directory.ReadWrite.All", "Mail.Read"}
    assert "GroupMember.Read.All, User.Read.All" in excess["Directory.ReadWrite.All"]
    assert "nothing here needs it" in excess["Mail.Read"]
    app.roles = frozenset({"GroupMember.Read.All"})
    found = levels(opened(Wire(graph)))
    errors = [each for each in found if each.level == "error"]
    assert errors[0].text == "User.Read.All is missing: users cannot be read"
    assert "admin consent" in errors[0].remedy
    app.roles = frozenset({"GroupMember.Read.All", "User.Read.All", "Application.Read.All"})
    for ends, level, words in (
        ("2026-12-01T00:00:00Z", "warning", "in 6 days"),
        ("2026-11-01T00:00:00Z", "error", "ended on 2026-11-01"),
        ("2027-11-01T00:00:00Z", "ok", "ends on 2027-11-01"),
    ):
        app.secret_ends = ends
        (told,) = [each for each in levels(opened(Wire(graph))) if each.subject == "client_secret"]
        assert (told.level, words in told.text) == (level, True)
    app.secret = "another"
    (told,) = levels(opened(Wire(graph), secret="wrong"))
    assert (told.level, told.subject) == ("error", "login")
    assert "wrong" not in told.text
    assert "give its value" in told.remedy


def test_check_tells_when_the_certificate_ends(graph):
    """The certificate says itself until when it lives."""
    _, text = certificate()
    graph.app("corp").certificate = text[text.index("-----BEGIN CERT") :]
    found = levels(opened(Wire(graph), certificate="file:x.pem", pem=text))
    assert [each.text[:18] for each in found if each.subject == "certificate"] == ["ends on 2028-01-01"]
