"""Two outcomes side by side: merges and splits as a naive oracle finds them, settings by path, values that differ."""

from __future__ import annotations

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from core.compare import attribute_rows, config_lines, moved, status_rows
from core.document import read
from core.frames import LINK, PERSON, conform

LABELS = st.lists(st.tuples(st.integers(0, 6) | st.none(), st.integers(0, 6) | st.none()), max_size=14)


def links(labels: list[int | None], shift: int) -> pl.DataFrame:
    """LINK of the accounts that have a label; keys of the two sides overlap without meaning anything."""
    rows = [(account, label + shift) for account, label in enumerate(labels) if label is not None]
    return conform(pl.DataFrame(rows, schema={"account_key": pl.Int32, "person_key": pl.Int32}, orient="row"), LINK)


def sets(labels: list[int | None], shift: int) -> dict[int, set[int]]:
    found: dict[int, set[int]] = {}
    for account, label in enumerate(labels):
        if label is not None:
            found.setdefault(label + shift, set()).add(account)
    return found


@given(LABELS, st.integers(0, 3))
def test_moves_are_those_of_a_naive_oracle(pairs: list[tuple[int | None, int | None]], shift: int):
    """Whatever the two partitions: merges, splits, who appears and who vanishes are what comparing sets of accounts says."""
    before, after = [old for old, _ in pairs], [wanted for _, wanted in pairs]
    old, wanted = sets(before, 0), sets(after, shift)
    found = moved(links(before, 0), links(after, shift))
    merge = {w: sorted(o for o in old if old[o] & wanted[w]) for w in wanted}
    split = {o: sorted(w for w in wanted if old[o] & wanted[w]) for o in old}
    assert dict(found.merge.iter_rows()) == {w: parts for w, parts in merge.items() if len(parts) > 1}
    assert dict(found.split.iter_rows()) == {o: parts for o, parts in split.items() if len(parts) > 1}
    assert found.appear.get_column("person_key").to_list() == sorted(w for w, parts in merge.items() if not parts)
    assert found.vanish.get_column("person_key").to_list() == sorted(o for o, parts in split.items() if not parts)


def persons(*rows: dict[str, object]) -> pl.DataFrame:
    return conform(pl.DataFrame(list(rows), infer_schema_length=None), PERSON)


def test_attributes_are_counted_and_the_first_shown():
    """Values that differ, null and lists too; persons of one side only are no difference of values."""
    before = persons(
        {"person_id": "p1", "person_key": 1, "title": "Dr", "aliases": ["a", "b"], "display_name": "Ada"},
        {"person_id": "p2", "person_key": 2, "title": None, "aliases": None, "display_name": "Bo"},
        {"person_id": "p3", "person_key": 3, "title": "only before", "aliases": None, "display_name": "Cy"},
    )
    after = persons(
        {"person_id": "p1", "person_key": 9, "title": None, "aliases": ["a", "b"], "display_name": "Ada"},
        {"person_id": "p2", "person_key": 1, "title": None, "aliases": ["c"], "display_name": "Bo"},
    )
    found = attribute_rows(before, after)
    assert found == {
        "title": {"count": 1, "first": [{"person_id": "p1", "name": "Ada", "before": "Dr", "after": None}]},
        "aliases": {"count": 1, "first": [{"person_id": "p2", "name": "Bo", "before": None, "after": "c"}]},
    }


def test_everyone_whose_status_differs_is_named():
    """Active that says nothing counts as active; the reason is the one that makes the person inactive."""
    before = persons(
        {"person_id": "p1", "person_key": 1, "active": None, "status_reason": None, "display_name": "Ada"},
        {"person_id": "p2", "person_key": 2, "active": False, "status_reason": "disabled in hr", "display_name": "Bo"},
    )
    after = persons(
        {
            "person_id": "p1",
            "person_key": 1,
            "active": False,
            "status_reason": "corp is retired",
            "display_name": "Ada",
        },
        {"person_id": "p2", "person_key": 2, "active": True, "status_reason": None, "display_name": "Bo"},
    )
    assert status_rows(before, after) == {
        "lose": [{"person_id": "p1", "name": "Ada", "reason": "corp is retired"}],
        "gain": [{"person_id": "p2", "name": "Bo", "reason": "disabled in hr"}],
    }


def test_settings_that_differ_have_paths_and_lines():
    """Changed, added and removed settings, in lists too, each with the line of its own file; equal files differ in nothing."""
    before = read("directory: a\nscope: x\ngroups:\n  - {to: one}\n")
    after = read("directory: a\nmap: {rename: true}\ngroups:\n  - {to: two}\n  - {to: three}\n")
    rows = {
        each["path"]: (each["before"], each["after"], each["line_before"], each["line_after"])
        for each in config_lines(before, after)
    }
    assert rows == {
        "groups.0.to": ("one", "two", 4, 3 + 1),
        "groups.1.to": (None, "three", None, 5),
        "map.rename": (None, "True", None, 2),
        "scope": ("x", None, 2, None),
    }
    assert config_lines(before, before) == []
