"""The plan as people and machines see it, word for word. Write anew with `make golden` and read the diff."""

from __future__ import annotations

import json
import os
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest

from core.diff import Difference
from core.draft import DRAFT, VALUE
from core.frames import conform
from core.guard import guard
from core.guard_facts import POPULATION, GuardFacts, Question
from core.model import (
    ExtractLine,
    Forecast,
    GroupLine,
    PlanHeader,
    TargetLine,
    TargetMode,
    TenantMode,
    Verdict,
)
from core.plan import Plan, digest, order
from core.render import to_json, to_markdown, to_text
from core.settings import BUILT_IN_PROTECTION, Limits

HERE = Path(__file__).parent
AT = datetime(2026, 11, 23, 8, 12)  # noqa: DTZ001 - UTC without zone


def change(number: int, verb: str, **more: object) -> dict[str, object]:
    """A draft with what the screen shows."""
    return {
        "row": number,
        "target": "jira",
        "verb": verb,
        "object_id": more.pop("object_id", f"JIRAUSER{number}"),
        "user_name": f"user{number}",
        "person_key": number,
        "person_id": f"00000000-0000-5000-8000-{number:012d}",
        "user_key": number,
        "evidence": "grant",
        "evidence_tenant": 1,
        **more,
    }


@pytest.fixture(scope="module")
def plan() -> Plan:
    """A plan with something of everything, and names that try to do harm."""
    rows = [
        change(
            0,
            "deactivate_user",
            evidence="explicit",
            reason="disabled in corp on 2026-11-23; still active in hr (overruled)",
        ),
        change(
            1, "deactivate_user", evidence="explicit", user_name="\x1b[31mevil\u202e|<b>", reason="disabled in corp"
        ),
        *(change(n, "deactivate_user", evidence="absent", evidence_tenant=2) for n in range(10, 14)),
        change(2, "create_user", object_id="person:2", user_key=None),
        change(3, "update_user"),
        change(4, "rename_user", caution="rename_off"),
        change(2, "add_member", object_id="devs|2", group_name="devs", user_key=None),
        change(
            5, "remove_member", object_id="devs|5", group_name="devs", evidence="absent", reason="no longer a member"
        ),
    ]
    frame = conform(pl.DataFrame(rows, infer_schema_length=None), DRAFT).with_columns(
        row=pl.int_range(pl.len(), dtype=pl.Int32)
    )
    numbers = dict(frame.select("object_id", "row").rows())
    values = pl.DataFrame(
        [
            (numbers["person:2"], "user_name", None, "user2"),
            (numbers["JIRAUSER3"], "display_name", "Ada", "Ada Lovelace"),
            (numbers["JIRAUSER4"], "user_name", "hand-made", "user4"),
        ],
        schema=VALUE,
        orient="row",
    )
    ordered = order([Difference(frame, values)])
    guarded = guard(
        ordered,
        GuardFacts(
            limits=Limits(),
            protect=BUILT_IN_PROTECTION,
            tenant_names={1: "corp", 2: "acquired"},
            first_contact=frozenset(),
            population=pl.DataFrame([("jira", 1, 800), ("jira", 2, 300)], schema=POPULATION, orient="row"),
            group_sizes=pl.DataFrame(
                [("jira", "devs", 40)],
                schema={"target": pl.String(), "group_name": pl.String(), "members": pl.Int64()},
                orient="row",
            ),
            protected_users=pl.DataFrame(
                schema={"target": pl.String(), "user_key": pl.Int32(), "protected": pl.String()}
            ),
            protected_groups=pl.DataFrame(schema={"target": pl.String(), "group_name": pl.String()}),
            doubtful=pl.Series("person_key", [], dtype=pl.Int32),
            rename_line=31,
            questions=[
                Question("jira", "user_name", "2 persons would get the user name 'ada'", "tell them apart", 2, 31)
            ],
        ),
    )
    header = PlanHeader(
        directory="acme",
        run_id="20261123T081200-abcdef",
        created_at=AT,
        config_digest="4b1d" * 16,
        digest=digest("4b1d" * 16, guarded.changes, guarded.holds),
        extracts=(
            ExtractLine("corp", "corp-1", Verdict.COMPLETE, (), 14212, 80, 90000, 14209, TenantMode.LIVE),
            ExtractLine("acquired", "acq-1", Verdict.COMPLETE, (), 5930, 12, 100, None, TenantMode.OBSERVE),
            ExtractLine(
                "hr", "hr-1", Verdict.SUSPECT, ("newest file is two days old",), 18000, 0, 0, 19102, TenantMode.LIVE
            ),
        ),
        targets=(TargetLine("jira", 20431, 19204, 812, 415, TargetMode.APPLY),),
        holds=guarded.holds,
        forecast={"jira": Forecast(6, 0.05, 0.002, 569, 568)},
        previous_digest="00",
        added=3,
        removed=1,
        groups=(GroupLine("jira", "devs", 40, 1, 1, 0),),
    )
    return Plan(header, guarded.changes, ordered.values)


def agree(name: str, text: str) -> None:
    """Compares with the golden file, or writes it."""
    path = HERE / name
    if os.environ.get("ONEFOLD_GOLDEN") == "write":
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8"), f"{name} differs; `make golden` writes it anew"


def test_text(plan):
    """One screen; nothing in a name moves a cursor."""
    text = to_text(plan, zone="Europe/Berlin")
    assert "\x1b" not in text
    assert "\u202e" not in text
    agree("plan.txt", text + "\n")


def test_markdown(plan):
    """Every name escaped."""
    text = to_markdown(plan, zone="Europe/Berlin")
    assert "<b>" not in text
    agree("plan.md", text)


def test_json(plan):
    """The document of the interface: keys and types."""
    document = to_json(plan)
    agree("plan.json", json.dumps(document, indent=1, ensure_ascii=False, sort_keys=True) + "\n")
    assert set(document) >= {"digest", "run_id", "counts", "changes", "holds", "extracts", "forecast"}
    assert set(document["changes"][0]) >= {
        "id", "fingerprint", "target", "verb", "object", "before", "after", "evidence", "reason", "person_id", "held_by",
    }  # fmt: skip
