"""The differences between what a target holds and what it should hold, as drafts of changes. Order, guards and digests come later.

What only waits for a human is drafted too, with a `caution` that a guard turns into a hold.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from core.adopt import Pairing
from core.desired import Desired, TargetSpec
from core.diff_edges import edges
from core.draft import ADOPT, DRAFT, FOREIGN_DELETE, NAME_TAKEN, RENAME_OFF, VALUE, Part, as_verb, granted, long, placed
from core.existing import Existing
from core.frames import EVIDENCES, KNOWN, VERBS, conform
from core.model import Verb
from core.names import folded

ANY_CASE = frozenset({"email"})  # capitals alone are no difference


@dataclass(frozen=True)
class Difference:
    """`drafts`: DRAFT, numbered by row; `values`: VALUE, sorted by row and attribute."""

    drafts: pl.DataFrame
    values: pl.DataFrame


def diff(
    spec: TargetSpec, existing: Existing, desired: Desired, pairing: Pairing, persons: pl.DataFrame, *, rename: bool
) -> Difference:
    """What must be done at the target so that it holds what is desired; of what is not ours, nothing but proposals to adopt.

    `persons`: PERSON, for ids. `rename`: whether existing user names may change (config `map.rename`).
    """
    people = desired.users.join(
        persons.select("person_key", "person_id"), on="person_key", how="left", maintain_order="left"
    )
    here = existing.users.filter("present")
    owned = here.filter("owned").select("user_key", "person_key")
    whose = pl.concat(
        [
            owned.join(pairing.pairs, on="user_key", how="anti").join(people, on="person_key", how="semi"),
            pairing.pairs.select("user_key", "person_key"),
        ]
    )
    # One user a person is kept in line: the active one, else the older. Where a merge of persons left another, it is only
    # ever deactivated, together with them: nobody keeps access through a second account.
    states = here.select("user_key", idle=~pl.col("active").fill_null(value=True))
    whose = whose.join(states, on="user_key", how="left").sort("idle", "user_key").drop("idle")
    first = whose.unique("person_key", keep="first", maintain_order=True)
    facts = here.drop("person_key", "owned", "present")
    both = people.join(first, on="person_key").join(facts, on="user_key", suffix="_held")
    second = whose.join(first, on="user_key", how="anti")
    others = people.filter(~pl.col("active")).join(second, on="person_key").join(facts, on="user_key", suffix="_held")
    named = frozenset(key for trouble in desired.troubles for key in trouble.persons)
    waiting = pl.concat([pairing.waiting, pl.Series("person_key", sorted(named), dtype=pl.Int32)])
    creates = _creates(spec, existing, people, whose, waiting)
    parts = [
        _adoptions(both, pairing),
        _switches(pl.concat([both, others])),
        creates,
        _updates(spec, both),
        _renames(spec, both, here, named, rename=rename),
    ]
    parts += _groups(spec, existing, desired, both, creates.drafts)
    return _numbered(spec, parts)


def _numbered(spec: TargetSpec, parts: list[Part]) -> Difference:
    drafts, values, start = [], [], 0
    for part in parts:
        allowed = part.drafts.filter(pl.col("verb").cast(pl.String).is_in(sorted(_doable(spec))))
        rows = allowed.with_columns(row=pl.int_range(start, start + allowed.height, dtype=pl.Int32))
        start += allowed.height
        drafts.append(conform(rows.with_columns(target=pl.lit(spec.name)), DRAFT))
        if part.values is not None:
            values.append(conform(part.values.join(rows.select("at", "row"), on="at"), VALUE))
    whole = pl.concat(values) if values else pl.DataFrame(schema=VALUE)
    return Difference(pl.concat(drafts), whole.sort("row", "attribute"))


def _doable(spec: TargetSpec) -> set[str]:
    return {str(verb) for verb in spec.verbs} | {Verb.ADOPT_USER.value, Verb.ADOPT_GROUP.value}


def _adoptions(both: pl.DataFrame, pairing: Pairing) -> Part:
    rows = placed(both.join(pairing.pairs.select("user_key", "rule", "evidence"), on="user_key", suffix="_pair"))
    return Part(
        rows.select(
            "at",
            "person_key",
            "person_id",
            "user_key",
            "evidence_tenant",
            as_verb(Verb.ADOPT_USER),
            granted(),
            object_id="remote_id",
            user_name="user_name_held",
            reason=pl.format("paired by {}: {}", "rule", "evidence_pair"),
            caution=pl.lit(ADOPT),
        )
    )


def _switches(both: pl.DataFrame) -> Part:
    """Deactivations and reactivations; what the target does not show is not compared."""
    off = ~pl.col("active") & pl.col("active_held") & pl.col("may_deactivate")
    on = pl.col("active") & ~pl.col("active_held") & (pl.col("may_create") | pl.col("may_update"))
    rows = placed(both.filter(off | on))
    return Part(
        rows.select(
            "at",
            "person_key",
            "person_id",
            "user_key",
            "evidence_tenant",
            pl.when("active")
            .then(pl.lit(Verb.REACTIVATE_USER.value))
            .otherwise(pl.lit(Verb.DEACTIVATE_USER.value))
            .cast(VERBS)
            .alias("verb"),
            pl.col("evidence").cast(EVIDENCES),
            "reason",
            object_id="remote_id",
            user_name="user_name_held",
        ),
        long(rows, {"active": (pl.col("active_held"), pl.col("active"))}),
    )


def _creates(
    spec: TargetSpec,
    existing: Existing,
    people: pl.DataFrame,
    whose: pl.DataFrame,
    waiting: pl.Series,
) -> Part:
    """Users for active persons in scope who have none. One that an administrator deleted is created again only on request."""
    lost = existing.users.filter(pl.col("owned") & ~pl.col("present")).select("person_key").drop_nulls()
    rows = placed(
        people.filter(pl.col("active") & pl.col("in_scope") & pl.col("may_create") & pl.col("user_name").is_not_null())
        .join(whose, on="person_key", how="anti")
        .filter(~pl.col("person_key").is_in(waiting.implode()))
    )
    gone = pl.col("person_key").is_in(lost.get_column("person_key").implode())
    drafts = rows.select(
        "at",
        "person_key",
        "person_id",
        "user_name",
        "evidence_tenant",
        as_verb(Verb.CREATE_USER),
        granted(),
        object_id=pl.format("person:{}", "person_id"),
        caution=pl.when(gone).then(pl.lit(FOREIGN_DELETE)),
    )
    nothing = pl.lit(None, dtype=pl.String)
    return Part(drafts, long(rows, {name: (nothing, pl.col(name)) for name in spec.attributes}))


def _updates(spec: TargetSpec, both: pl.DataFrame) -> Part:
    """Attributes that are known to differ. A desired null means that nobody says anything, and changes nothing."""
    rows = placed(both.filter(pl.col("active") & pl.col("may_update")))
    pairs = {}
    for name in spec.attributes:
        if name == "user_name":
            continue
        held = pl.col(f"{name}_held")
        known = (pl.col("known") & pl.lit(KNOWN[name], pl.UInt32)) != 0
        same = pl.col(name).is_null() | ~known
        if name in ANY_CASE:
            same |= (pl.col(name).str.to_lowercase() == held.str.to_lowercase()).fill_null(value=False)
        pairs[name] = (held, pl.when(same).then(held).otherwise(pl.col(name)))
    values = long(rows, pairs)
    drafts = rows.join(values.select("at").unique(), on="at", how="semi").select(
        "at",
        "person_key",
        "person_id",
        "user_key",
        "evidence_tenant",
        as_verb(Verb.UPDATE_USER),
        granted(),
        object_id="remote_id",
        user_name="user_name_held",
    )
    return Part(drafts, values)


def _renames(spec: TargetSpec, both: pl.DataFrame, here: pl.DataFrame, named: frozenset[int], *, rename: bool) -> Part:
    """User names that differ by more than capitals. Drafted even where `rename` is off, to be shown and never sent."""
    known = (pl.col("known") & pl.lit(KNOWN["user_name"], pl.UInt32)) != 0
    live = both.filter(pl.col("active") & pl.col("may_update") & known & pl.col("user_name").is_not_null())
    if "user_name" not in spec.attributes:
        live = live.clear()
    live = live.with_columns(
        form=folded(live.get_column("user_name")), form_held=folded(live.get_column("user_name_held"))
    )
    rows = placed(live.filter((pl.col("form") != pl.col("form_held")) & ~pl.col("person_key").is_in(sorted(named))))
    held_names = folded(here.get_column("user_name")).unique()
    taken = pl.col("form").is_in(held_names.implode())
    drafts = rows.select(
        "at",
        "person_key",
        "person_id",
        "user_key",
        "evidence_tenant",
        as_verb(Verb.RENAME_USER),
        granted(),
        object_id="remote_id",
        user_name="user_name_held",
        caution=pl.when(not rename).then(pl.lit(RENAME_OFF)).when(taken).then(pl.lit(NAME_TAKEN)),
    )
    return Part(drafts, long(rows, {"user_name": (pl.col("user_name_held"), pl.col("user_name"))}))


def _groups(
    spec: TargetSpec, existing: Existing, desired: Desired, both: pl.DataFrame, creates: pl.DataFrame
) -> list[Part]:
    """Groups to create or adopt, and their edges."""
    del spec
    here = existing.groups.filter("present").join(existing.traits, on="group_key", how="left", maintain_order="left")
    here = here.with_columns(form=folded(here.get_column("name")), held="name").drop("name")
    here = here.sort("owned", "group_key", descending=[True, False]).unique("form", keep="first", maintain_order=True)
    wanted = desired.groups.with_columns(form=folded(desired.groups.get_column("name")))
    groups = wanted.join(here, on="form", how="left", maintain_order="left")
    fresh = placed(groups.filter(pl.col("group_key").is_null()))
    strange = placed(groups.filter(pl.col("group_key").is_not_null() & ~pl.col("owned")))
    nothing = pl.lit(None, dtype=pl.String)
    create = Part(
        fresh.select(
            "at", as_verb(Verb.CREATE_GROUP), granted(), object_id=pl.format("group:{}", "name"), group_name="name"
        )
    )
    adopt = Part(
        strange.select(
            "at",
            as_verb(Verb.ADOPT_GROUP),
            granted(),
            object_id="remote_id",
            group_name="held",
            reason=pl.format("named by a rule (line {})", pl.col("line").cast(pl.String).fill_null("?")),
            caution=pl.lit(ADOPT),
        ),
        long(strange, {"policy": (nothing, pl.col("policy"))}),
    )
    return [create, adopt, *edges(existing, desired, groups, both, creates)]
