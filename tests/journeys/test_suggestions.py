"""Suggestions in a run: they join nobody unless the config says from which score, and never against a veto or a human."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from core.errors import InUseError
from core.frames import ACCOUNT, DECISION, LINK, PERSON_ID, conform, empty
from core.match import Matching, MatchSettings, match
from core.model import Right, TenantFacts, TenantMode
from core.normalise import normalise
from core.settings import Match, Suggest
from core.suggest import suggest
from flows.exits import Exit
from flows.order import PLAIN, plan
from sandbox.serve import Sandbox
from state.store import Store
from tasks.installation import Installation, load
from tasks.suggestions import with_suggestions
from tests.company import Company, people, seed

TENANTS = [
    TenantFacts(
        tenant_key=key, name=f"t{key}", rank=key, mode=TenantMode.LIVE, may=frozenset(Right), verified_domains=frozenset(),
        employee_number_issuer="hr",
    )
    for key in (1, 2, 3)
]  # fmt: skip
CROWD = [
    {
        "account_key": 100 + n, "tenant_key": 1, "given_name": f"Given{n % 12}x{n}", "family_name": f"Name{n}",
        "phone": f"+49 40 {7000000 + n * 137}",
    }
    for n in range(120)
]  # fmt: skip
ADA = {"given_name": "Ada", "family_name": "Lovelace", "phone": "+49 30 7654321", "department": "Engines"}
HOME = {**ADA, "account_key": 1, "tenant_key": 1}
GUEST = {**ADA, "account_key": 2, "tenant_key": 2, "user_type": "guest"}


def run(rows, *, suggest, decisions=(), before=None, stored=None):
    accounts = conform(
        pl.DataFrame(
            [{"native_id": f"n{row['account_key']}", "active": True, **row} for row in [*rows, *CROWD]],
            infer_schema_length=None,
        ),
        ACCOUNT,
    )
    said = pl.DataFrame(list(decisions), schema=DECISION, orient="row")

    def again(decided):
        return match(
            accounts,
            normalise(accounts),
            TENANTS,
            links=before.links if before else empty(LINK),
            persons=before.persons if before else empty(PERSON_ID),
            decisions=decided,
            settings=MatchSettings("acme"),
        )

    return with_suggestions(
        again(said), again, Match(suggest=suggest), accounts=accounts, facts=TENANTS, decisions=said, stored=stored,
    )  # fmt: skip


def persons(matching, *keys):
    held = dict(matching.links.select("account_key", "person_key").iter_rows())
    return len({held[key] for key in keys})


BOTH = Suggest(merge_above={"human": 0.9, "guest": 0.9})


def test_without_a_threshold_nobody_is_joined():
    """However sure, a suggestion alone joins no two accounts."""
    matching, found = run([HOME, GUEST], suggest=Suggest())
    assert found.height == 1
    assert found["score"][0] > 0.99
    assert persons(matching, 1, 2) == 2


def test_a_threshold_joins_and_the_link_says_why():
    """Above the thresholds of both classes the pair is one person, the link tells score and reason, the list is empty."""
    matching, found = run([HOME, GUEST], suggest=BOTH)
    assert found.is_empty()
    assert persons(matching, 1, 2) == 1
    link = matching.links.filter(pl.col("account_key") == 2).row(0, named=True)
    assert link["rule"] == "suggested"
    assert link["evidence"].startswith("score 0.99")
    assert "same family name" in link["evidence"]


def test_a_later_run_keeps_what_a_threshold_joined():
    """The link is sticky and stays as it was told; nothing is proposed again."""
    first, _ = run([HOME, GUEST], suggest=BOTH)
    later, found = run([HOME, GUEST], suggest=Suggest(), before=first)
    assert found.is_empty()
    assert later.links.equals(first.links)


@pytest.mark.parametrize("which", [{"human": 0.9}, {"guest": 0.9}, {"human": 0.9, "guest": 0.999999999}])
def test_each_class_needs_its_own_threshold(which):
    """A member and a guest are joined only above the thresholds of both."""
    matching, found = run([HOME, GUEST], suggest=Suggest(merge_above=which))
    assert found.height == 1
    assert persons(matching, 1, 2) == 2


def test_no_threshold_joins_against_a_human():
    """Who was said to be somebody else is neither joined nor proposed."""
    matching, found = run([HOME, GUEST], suggest=BOTH, decisions=[(1, 2, "different")])
    assert found.is_empty()
    assert persons(matching, 1, 2) == 2


def test_no_threshold_joins_against_a_veto():
    """Two numbers of one issuer, or two seats in one tenant, stay two persons."""
    numbered = [{**HOME, "employee_number": "11"}, {**GUEST, "employee_number": "12"}]
    seated = [HOME, {**HOME, "account_key": 2}]
    for rows in (numbered, seated):
        matching, found = run(rows, suggest=BOTH)
        assert found.is_empty()
        assert persons(matching, 1, 2) == 2


def test_a_number_of_a_gone_account_still_vetoes():
    """Who had another number of the same issuer is another human, although that account is gone."""
    old = {"account_key": 3, "tenant_key": 3, "gone": "explicit", "employee_number": "12", "immutable_id": "abcdefgh"}
    rows = [{**HOME, "employee_number": "11"}, {**GUEST, "immutable_id": "abcdefgh"}, old]
    matching, found = run(rows, suggest=BOTH)
    assert persons(matching, 2, 3) == 1
    assert found.is_empty()
    assert persons(matching, 1, 2) == 2


def test_a_pair_that_would_part_a_person_is_left_to_a_human():
    """Where matching anew would take an account from its person, the pair is not joined and stays proposed."""
    matching, found = run([HOME, GUEST], suggest=Suggest())
    hers = pl.when(pl.col("account_key") == 101).then(pl.col("person_key").filter(pl.col("account_key") == 1).first())
    before = replace(matching, links=matching.links.with_columns(person_key=hers.otherwise("person_key")))

    def again(_decided: pl.DataFrame) -> Matching:
        return matching  # here 101 is a person of its own

    kept, left = with_suggestions(
        before, again, Match(suggest=BOTH), accounts=empty(ACCOUNT), facts=TENANTS, decisions=empty(DECISION), stored=found,
    )  # fmt: skip
    assert persons(before, 1, 101) == persons(kept, 1, 101) == 1
    assert left.equals(found)


def test_two_partners_are_a_humans_business():
    """Who looks like two persons is joined with neither: a chain of suggestions joins nobody to a third."""
    other = {**GUEST, "account_key": 3, "tenant_key": 3}
    matching, found = run([HOME, GUEST, other], suggest=BOTH)
    assert found.height >= 2
    assert persons(matching, 1, 2, 3) == 3


def test_switched_off_nothing_is_proposed():
    """`enabled: false` leaves the matching as it is."""
    matching, found = run([HOME, GUEST], suggest=Suggest(enabled=False))
    assert found.is_empty()
    assert persons(matching, 1, 2) == 2


def test_stored_suggestions_stand_in():
    """What an earlier run proposed is proposed again without looking, as long as it is open."""
    _, found = run([HOME, GUEST], suggest=Suggest())
    _, kept = run([HOME, GUEST], suggest=Suggest(), stored=found)
    assert kept.equals(found)
    _, kept = run([HOME, GUEST], suggest=Suggest(), stored=found, decisions=[(2, 1, "different")])
    assert kept.is_empty()


def test_a_run_looks_again_only_when_something_moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A run stores pairs for the review with their waterfall, and looks anew only when what they are made of moved."""
    looked: list[int] = []

    def counted(*given, **named):
        looked.append(1)
        return suggest(*given, **named)

    monkeypatch.setattr("tasks.suggestions.suggest", counted)
    with Sandbox({"jira": seed([]), "confluence": seed([])}, rate=None) as box:
        company = Company(tmp_path / "acme", box, people(30))
        company.write()

        def listed(hr: int, leaver: str = "") -> tuple[int, str]:
            corp = [
                [
                    each.id,
                    each.name,
                    each.email,
                    f"Given{n}x Name{n}",
                    7654000 + 7 * n,
                    "no" if each.id == leaver else "yes",
                ]
                for n, each in enumerate(company.people)
            ]
            company.table("corp.csv", ["id", "user_name", "email", "display_name", "phone", "active"], corp)
            double = ["h1", "ada@home.example", f"Name{hr}, Given{hr}x", 7654000 + 7 * hr]
            company.table("hr.csv", ["id", "email", "display_name", "phone"], [double])
            path = company.folder / "onefold.yaml"
            inst = Installation(load(path), path)
            identified = plan(inst).identified
            assert identified is not None
            assert identified.persons == 31
            with Store.open(inst.state, purpose="test", now=inst.clock) as store:
                row = store.doubts().filter(pl.col("rule") == "similar").row(0, named=True)
            assert json.loads(row["waterfall"])[0]["field"] == "prior"
            return len(looked), row["reason"].split(",")[0]

        first = listed(7)
        assert first[0] == 1
        assert listed(7) == listed(7, "c003") == first
        again, reason = listed(8, "c003")
        assert again == 2
        assert "same family name" in reason
        assert listed(8, "c003")[0] == 2
        path = company.folder / "onefold.yaml"
        path.write_text(path.read_text() + "match: {suggest: {merge_above: {human: 0.9}}}\n")
        inst = Installation(load(path), path)
        joined = plan(inst).identified
        assert joined is not None
        assert (joined.persons, joined.suggestions) == (30, 0)


def test_a_run_stands_where_another_one_has_the_state_when_suggestions_are_looked_for(tmp_path):
    """That the lease is taken after the plan makes no refusal of a run that did its work; the next one looks."""

    def taken(_inst, _run_id):
        raise InUseError("somebody else writes")

    with Sandbox({"jira": seed([]), "confluence": seed([])}, rate=None) as box:
        company = Company(tmp_path / "acme", box, people(5))
        company.write()
        path = company.folder / "onefold.yaml"
        inst = Installation(load(path), path)
        done = plan(inst, steps=replace(PLAIN, suggest=taken))
        assert done.plan is not None
        assert done.exit in {Exit.DONE, Exit.HELD}
