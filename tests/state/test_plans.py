from dataclasses import replace
from datetime import datetime, timedelta
from types import UnionType
from typing import get_args, get_type_hints

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import RefusedError, TerminalError
from core.frames import CHANGE, CHANGE_VALUE, conform
from core.model import ExtractLine, Forecast, Hold, Manifest, PlanHeader, TargetLine, TenantFacts
from state.codec import dump, load

TIMES = st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2100, 1, 1))  # noqa: DTZ001 - UTC without zone
for known in (datetime,):
    st.register_type_strategy(known, TIMES)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
st.register_type_strategy(float, FLOATS)


@pytest.mark.parametrize("kind", [PlanHeader, Manifest, Hold, Forecast, ExtractLine, TargetLine, TenantFacts])
@given(data=st.data())
def test_a_value_comes_back_from_its_text(kind, data):
    """For any value of these types: load(dump(value)) is the value, and equal values have equal texts."""
    value = data.draw(st.from_type(kind))
    text = dump(value)
    assert load(kind, text) == value
    assert dump(load(kind, text)) == text


def test_every_field_of_a_header_is_of_a_type_the_codec_knows():
    """Unions are only `X | None`: anything wider could not be told apart in JSON."""
    for kind in (PlanHeader, Hold, ExtractLine, TargetLine, Forecast):
        for hint in get_type_hints(kind).values():
            if isinstance(hint, UnionType):
                assert len([each for each in get_args(hint) if each is not type(None)]) == 1


@pytest.mark.parametrize(
    "text", ["{}", "[]", '{"writes": "many", "minutes": 1, "share": 0}', '{"writes": 1}', "no json"]
)
def test_a_text_that_is_none_is_refused(text):
    """A damaged text gives one clear error."""
    with pytest.raises(TerminalError, match="no Forecast"):
        load(Forecast, text)


WHEN = datetime(2026, 11, 2)  # noqa: DTZ001 - stored in UTC without zone


def header(digest, run_id="r1", **more):
    hold = Hold("H1", "limit", "too many", "approve")
    return PlanHeader("acme", run_id, WHEN, "c0ffee", digest, (), (), (hold,), **more)


def frames(*names):
    seq = list(range(len(names)))
    changes = pl.DataFrame(
        {
            "seq": seq,
            "target": "jira",
            "verb": "update_user",
            "object_id": list(names),
            "evidence": "grant",
            "held_by": [["H1"]] * len(names),
        }
    )
    values = pl.DataFrame({"seq": seq, "attribute": "title", "before": None, "after": list(names)})
    return conform(changes, CHANGE), conform(values, CHANGE_VALUE)


def test_a_plan_comes_back_whole(store):
    """Header, changes in order and values, with the columns and types of the frames."""
    changes, values = frames("a", "b")
    store.save_plan(header("abcd1234"), changes.reverse(), values.reverse())
    found = store.plan("abcd")
    assert found.header == header("abcd1234")
    assert found.changes.equals(changes)
    assert found.values.equals(values)
    assert found.changes.schema == CHANGE


def test_a_plan_is_found_by_a_unique_beginning(store):
    """None, several, and nonsense each say so; the newest is the one saved last."""
    assert store.newest_plan() is None
    store.save_plan(header("abcd1234"), *frames("a"))
    store.save_plan(header("abcd9999"), *frames("b"))
    with pytest.raises(RefusedError, match="2 plans start with abcd"):
        store.plan("abcd")
    with pytest.raises(RefusedError, match="no plan starts with ffff"):
        store.plan("ffff")
    with pytest.raises(RefusedError, match="is no digest"):
        store.plan("ab%")
    assert store.plan("abcd1").header.digest == "abcd1234"
    assert store.newest_plan().header.digest == "abcd9999"
    assert store.newest_header().digest == "abcd9999"


def test_the_same_plan_again_costs_its_header(store):
    """A plan with a known digest becomes the newest without a second copy of its rows; differing rows replace the old."""
    store.save_plan(header("abcd1234"), *frames("a"))
    store.save_plan(header("abcd9999"), *frames("b"))
    store.save_plan(header("abcd1234", "r2"), *frames("a"))
    assert store.newest_plan().header.run_id == "r2"
    assert store.session.con.execute("SELECT count(*) FROM plan_change").fetchall() == [(2,)]
    changes, values = frames("a")
    store.save_plan(header("abcd1234", "r3"), changes.with_columns(reason=pl.lit("said otherwise")), values)
    assert store.plan("abcd1").changes["reason"].to_list() == ["said otherwise"]
    assert store.session.con.execute("SELECT count(*) FROM plan_hold").fetchall() == [(2,)]


def test_approvals_reach_the_state_and_end(store, now):
    """An approval given while nobody wrote is imported once, holds until its end, and is then no more."""
    until = now + timedelta(hours=72)
    given_now = store.control.approve(["f1", "f2", "f1"], digest="abcd", approved_by="mia", now=now, until=until)
    store.control.approve(["f3"], digest="abcd", approved_by="mia", now=now, until=None)
    assert given_now == 2
    assert store.control.import_into(store) == 3
    assert store.control.import_into(store) == 0
    assert store.approvals(now)["fingerprint"].to_list() == ["f1", "f2", "f3"]
    assert store.approvals(until)["fingerprint"].to_list() == ["f3"]
    assert store.control.approvals(now).equals(store.approvals(now))


def test_a_header_is_frozen_text():
    """Two headers that differ in one field have different texts."""
    assert dump(header("abcd")) != dump(replace(header("abcd"), notes=("x",)))
