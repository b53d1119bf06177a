"""What became of persons between two matchings: who was founded, split, merged, moved or returned, and why."""

from __future__ import annotations

from collections.abc import Collection

import polars as pl

from core.frames import LINEAGE
from core.match_keys import STICKY
from core.match_persons import FOUNDING, OTHER_CLASS, SPLIT

FOUNDED, PARTED, MERGED, MOVED, RETURNED = "founded", "split", "merged", "moved", "returned"


def lineage(  # noqa: PLR0917 - two matchings and the reasons between them
    rows: pl.DataFrame,
    chosen: pl.Series,
    links: pl.DataFrame,
    persons: pl.DataFrame,
    before: pl.DataFrame,
    doubts: pl.DataFrame,
    human: Collection[tuple[int, int]],
    since: pl.DataFrame,
) -> pl.DataFrame:
    """LINEAGE, by event and the persons' keys.

    `rows`: row, account_key, tenant, native_id, class, old_person; `links`: the LINK rows of now; `persons`, `before`:
    PERSON_ID of now and then; `doubts`: edges that vetoes refused; `human`: pairs of rows that a decision parts; `since`:
    the LINK rows of the last run, which `old_person` differs from where a decision was taken back.
    """
    placed = rows.select("row", "account_key", "class", restored="old_person").with_columns(person_to=chosen)
    placed = placed.join(
        since.select("account_key", person_from="person_key"), on="account_key", how="left", maintain_order="left"
    )
    moved = placed.filter(pl.col("person_from").is_not_null() & (pl.col("person_from") != pl.col("person_to")))
    fresh = persons.join(before.select("person_key"), on="person_key", how="anti")
    founded = _founded(rows, fresh, moved)
    events = [_moved(placed, moved, links, fresh, doubts, human)] if moved.height else []
    events += [_returned(placed, moved, fresh)] if before.height else []
    if not events or not any(each.height for each in events):
        return founded
    names = persons.select("person_key", "person_id")
    told = (
        pl.concat(events)
        .join(names.rename({"person_key": "person_from", "person_id": "from_id"}), on="person_from", how="left")
        .join(names.rename({"person_key": "person_to", "person_id": "to_id"}), on="person_to", how="left")
        .sort("event", "person_from", "person_to")
    )
    continues = pl.when(pl.col("event").is_in([PARTED, MOVED])).then("from_id").otherwise("to_id")
    told = told.select(
        "event", "accounts", "reason", "edge", person_from="from_id", person_to="to_id", continues=continues
    )
    return pl.concat([founded, _as(LINEAGE, told)])


def _as(schema: dict[str, pl.DataType], frame: pl.DataFrame) -> pl.DataFrame:
    return frame.select(pl.col(name).cast(kind) for name, kind in schema.items())


EVENT: dict[str, pl.DataType] = {
    "event": pl.String(),
    "person_from": pl.Int32(),
    "person_to": pl.Int32(),
    "accounts": pl.Int32(),
    "reason": pl.String(),
    "edge": pl.String(),
}


def _event(frame: pl.DataFrame) -> pl.DataFrame:
    return _as(EVENT, frame)


def _founded(rows: pl.DataFrame, fresh: pl.DataFrame, moved: pl.DataFrame) -> pl.DataFrame:
    """LINEAGE of new persons that no older one gave accounts to, by person_key."""
    new = fresh.join(moved.select(person_key="person_to").unique(), on="person_key", how="anti").sort("person_key")
    first = rows.select(founder_key="account_key", edge=pl.col("tenant") + " " + pl.col("native_id"))
    found = new.join(first, on="founder_key", how="left", maintain_order="left")
    return _as(
        LINEAGE,
        found.select(
            event=pl.lit(FOUNDED),
            person_from=pl.lit(None),
            person_to="person_id",
            accounts=pl.lit(None),
            continues="person_id",
            reason=pl.lit("its accounts were nobody's before"),
            edge="edge",
        ),
    )


def _moved(  # noqa: PLR0917 - as above
    placed: pl.DataFrame,
    moved: pl.DataFrame,
    links: pl.DataFrame,
    fresh: pl.DataFrame,
    doubts: pl.DataFrame,
    human: Collection[tuple[int, int]],
) -> pl.DataFrame:
    """Accounts that changed their person, one row for each two persons: merged where nobody holds the former any more."""
    joined = (
        moved.join(links.select("account_key", "rule", "evidence"), on="account_key")
        .with_columns(telling=~pl.col("rule").is_in([STICKY, SPLIT, OTHER_CLASS, FOUNDING]))
        .sort("telling", "account_key", descending=[True, False])
        .group_by("person_from", "person_to", maintain_order=True)
        .agg(
            accounts=pl.len(),
            rule=pl.col("rule").filter("telling").first(),
            edge=pl.col("evidence").filter("telling").first(),
            kind=pl.col("class").first(),
            restored=(pl.col("restored") == pl.col("person_to")).fill_null(value=False).all(),
        )
    )
    left = (
        placed.filter(pl.col("person_to") == pl.col("person_from"))
        .group_by("person_from")
        .agg(stayed=pl.col("class").first())
    )
    held = pl.col("person_from").is_in(placed.get_column("person_to").unique().implode())
    event = (
        pl.when(~held)
        .then(pl.lit(MERGED))
        .when(pl.col("person_to").is_in(fresh.get_column("person_key").implode()))
        .then(pl.lit(PARTED))
        .otherwise(pl.lit(MOVED))
    )
    why = _refusals(placed, doubts, human)
    other_class = pl.format("{} accounts are taken for {} now", pl.col("accounts"), pl.col("kind"))
    told = (
        joined.with_columns(event=event)
        .join(why, on=["person_from", "person_to"], how="left")
        .join(left, on="person_from", how="left")
    )
    apart = pl.coalesce(
        "because",
        pl.when(pl.col("kind") != pl.col("stayed")).then(other_class),
        pl.lit("nothing but a refused edge held them together"),
    )
    return _event(
        told.select(
            "event",
            "person_from",
            "person_to",
            "accounts",
            reason=pl.when("restored")
            .then(pl.lit("a decision was taken back"))
            .when(pl.col("event") == MERGED)
            .then(pl.format("joined by {}", pl.col("rule").fill_null(STICKY)))
            .otherwise(apart),
            edge=pl.when(pl.col("event") == PARTED).then(pl.coalesce("refused", "edge")).otherwise("edge"),
        )
    )


def _refusals(placed: pl.DataFrame, doubts: pl.DataFrame, human: Collection[tuple[int, int]]) -> pl.DataFrame:
    """person_from, person_to, because, refused: of each two persons the strongest edge between them that was refused."""
    owner = placed.select("account_key", "person_to")
    edges = (
        doubts.filter(pl.col("rule") != SPLIT)
        .join(owner.rename({"account_key": "account_a", "person_to": "a"}), on="account_a")
        .join(owner.rename({"account_key": "account_b", "person_to": "b"}), on="account_b")
        .sort("score", "account_a", "account_b", descending=[True, False, False])
        .select("a", "b", because="rule", refused="reason")
    )
    person = placed.get_column("person_to")
    said = pl.DataFrame(
        {"a": person.gather([a for a, _ in human]), "b": person.gather([b for _, b in human])},
        schema={"a": pl.Int32(), "b": pl.Int32()},
    ).with_columns(because=pl.lit("decision"), refused=pl.lit("decided to be different people"))
    both = pl.concat([edges, edges.select(a="b", b="a", because="because", refused="refused"), said])
    return both.unique(["a", "b"], keep="first", maintain_order=True).rename({"a": "person_from", "b": "person_to"})


def _returned(placed: pl.DataFrame, moved: pl.DataFrame, fresh: pl.DataFrame) -> pl.DataFrame:
    """Persons whom nobody held and who hold accounts again that nobody had."""
    held = placed.get_column("person_from").drop_nulls().unique()
    new = placed.filter(pl.col("person_from").is_null())
    back = (
        new.filter(
            ~pl.col("person_to").is_in(held.implode())
            & ~pl.col("person_to").is_in(fresh.get_column("person_key").implode())
            & ~pl.col("person_to").is_in(moved.get_column("person_to").unique().implode())
        )
        .group_by("person_to")
        .agg(accounts=pl.len())
    )
    return _event(
        back.select(
            event=pl.lit(RETURNED),
            person_from=pl.lit(None),
            person_to="person_to",
            accounts="accounts",
            reason=pl.lit("its founding account is there again"),
            edge=pl.lit(None),
        )
    )
