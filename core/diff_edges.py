"""Memberships to add and to remove: the edges of both sides compared as packed integers. Users and groups are compared in `diff`."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from core.desired import Desired
from core.draft import FOREIGN_EDGE, Part, as_verb, granted, placed
from core.existing import Existing
from core.frames import EVIDENCES
from core.model import Evidence, Verb

Ints = np.ndarray[tuple[int], np.dtype[np.int64]]
Keys = np.ndarray[tuple[int], np.dtype[np.int32]]
NOBODY = -1
# An edge is one integer, group_no << 34 | person_key << 2 | owned << 1 | side: group_no stays below 2^29, person_key below 2^32.
GROUP, PERSON, OWNED, HELD = 34, 2, 2, 1


def edges(
    existing: Existing, desired: Desired, groups: pl.DataFrame, both: pl.DataFrame, creates: pl.DataFrame
) -> list[Part]:
    """Memberships to add and, in exact groups whose tenants were read completely, to remove.

    `groups`: desired groups beside the existing ones; `both`: desired users beside theirs; `creates`: drafts of users to come.
    """
    who = ["person_key", "person_id", "user_key", "evidence_tenant", "user_name"]
    here = both.filter("active").select(*who[:4], user_name="user_name_held")
    coming = creates.select(*who[:2], pl.lit(None, dtype=pl.Int32).alias("user_key"), "evidence_tenant", "user_name")
    people = pl.concat([here, coming])
    names = groups.select(
        "group_no", "group_key", "policy", "trusted", "implicit", "successor", group_name=pl.coalesce("held", "name")
    )
    add, remove = _differing(_wanted(desired.memberships, people), _held(existing.memberships, names, people))
    fresh = _described(add, names, people)
    # The target itself puts the users it creates into its default groups.
    fresh = fresh.filter(~(pl.col("implicit").fill_null(value=False) & pl.col("user_key").is_null()))
    stale = _described(remove, names, people).filter((pl.col("policy") == "exact") & pl.col("trusted"))
    mark = pl.format("{}|{}", "group_name", "person_id")
    columns = ["at", "person_key", "person_id", "user_key", "evidence_tenant", "user_name", "group_name"]
    return [
        Part(placed(fresh).select(*columns, as_verb(Verb.ADD_MEMBER), granted(), object_id=mark)),
        Part(
            placed(stale).select(
                *columns,
                as_verb(Verb.REMOVE_MEMBER),
                pl.lit(Evidence.ABSENT.value).cast(EVIDENCES).alias("evidence"),
                object_id=mark,
                reason=pl.format("moved to {}", "successor").fill_null(
                    "no longer a member in any tenant behind this group"
                ),
                caution=pl.when(~pl.col("owned")).then(pl.lit(FOREIGN_EDGE)),
            )
        ),
    ]


def _wanted(memberships: pl.DataFrame, people: pl.DataFrame) -> Ints:
    """Desired edges of persons who have or get a user, packed."""
    person = memberships.get_column("person_key")
    kept = _translated(person, people, "person_key", "person_key") != NOBODY
    if kept.all():  # mostly so, and the copies are spared
        return _packed(memberships.get_column("group_no").to_numpy(), person.to_numpy())
    return _packed(memberships.get_column("group_no").to_numpy()[kept], person.to_numpy()[kept])


def _held(memberships: pl.DataFrame, names: pl.DataFrame, people: pl.DataFrame) -> Ints:
    """Existing edges between a desired group and a person, packed."""
    group = _translated(memberships.get_column("group_key"), names, "group_key", "group_no")
    person = _translated(memberships.get_column("user_key"), people, "user_key", "person_key")
    kept = (group != NOBODY) & (person != NOBODY)
    packed = _packed(group[kept], person[kept])
    owned = memberships.get_column("owned").fill_null(value=False).to_numpy()[kept]
    packed |= owned.astype(np.int64) * OWNED | HELD
    return packed


def _packed(group: Keys, person: Keys) -> Ints:
    packed = group.astype(np.int64)
    packed <<= GROUP
    packed |= person.astype(np.int64) << PERSON
    return packed


def _translated(keys: pl.Series, frame: pl.DataFrame, key: str, value: str) -> Keys:
    """Each key's `value` in the frame, else NOBODY: by an array, since keys are small and dense by the state's counters."""
    rows = frame.select(key, pl.col(value).alias("value")).drop_nulls()
    at = rows.get_column(key).to_numpy()
    most = max(int(keys.max() or 0), int(at.max()) if len(at) else 0)  # type: ignore[arg-type] # of an Int32 column
    table = np.full(most + 1, NOBODY, dtype=np.int32)
    table[at] = rows.get_column("value").to_numpy()
    found: Keys = table.take(keys.to_numpy())
    return found


def _differing(wanted: Ints, held: Ints) -> Iterator[Ints]:
    """Packed edges of one side alone: those to add, those to remove, each in the order of group and person."""
    both = np.concatenate([wanted, held])
    both.sort(kind="stable")  # mostly sorted runs, which this sort merges
    edge = both >> PERSON
    fresh = np.ones(len(both), dtype=np.bool_)  # differs from its neighbour before
    fresh[1:] = edge[1:] != edge[:-1]
    last = np.ones(len(both), dtype=np.bool_)  # and from the one after
    last[:-1] = fresh[1:]
    alone = both[fresh & last]
    side = (alone & HELD).astype(np.bool_)
    yield alone[~side]
    yield alone[side]


def _described(packed: Ints, names: pl.DataFrame, people: pl.DataFrame) -> pl.DataFrame:
    """Packed edges with their group, person and `owned`."""
    ends = pl.DataFrame(
        {
            "group_no": packed >> GROUP,
            "person_key": packed >> PERSON & 0xFFFFFFFF,
            "owned": (packed & OWNED).astype(np.bool_),
        }
    ).cast({"group_no": pl.Int32, "person_key": pl.Int32})
    found = ends.join(people, on="person_key", maintain_order="left")
    return found.join(names, on="group_no", maintain_order="left")
