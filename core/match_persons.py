"""Which person each component is: sticky links keep persons, ids are minted once. What joins accounts is not decided here."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence

import duckdb
import numpy as np
import polars as pl

from core.frames import LINK, PERSON_ID
from core.match_keys import PINNED, STICKY, WORDS, Keys
from core.match_split import Labels

NAMESPACE = uuid.UUID(
    "6f6e6566-6f6c-5d64-8a70-6572736f6e73"
)  # ours alone; never change it: every person_id hangs on it
FEW = 500  # below, opening a database costs more than it saves
FOUNDING, SPLIT, OTHER_CLASS = "founding", "split", "class"


def mint(directory: str, founders: pl.DataFrame) -> pl.Series:
    """uuid5 of directory, founding tenant, generation and native_id: frame with tenant, native_id, generation, in its order."""
    if founders.is_empty():
        return pl.Series("person_id", [], dtype=pl.String)
    if founders.height <= FEW:
        names = founders.select("tenant", "generation", "native_id").iter_rows()
        ids_of_few = [
            str(uuid.uuid5(NAMESPACE, f"{directory}/{tenant}/{turn}/{native}")) for tenant, turn, native in names
        ]
        return pl.Series("person_id", ids_of_few, dtype=pl.String)
    named = founders.select(
        place=pl.int_range(pl.len()),
        name=pl.format("{}/{}/{}/{}", pl.lit(directory), "tenant", "generation", "native_id"),
    )
    with duckdb.connect(":memory:") as connection:
        connection.register("named", named)
        digests = connection.sql(
            "SELECT sha1($namespace::BLOB || encode(name)) AS h FROM named ORDER BY place",
            params={"namespace": NAMESPACE.bytes},
        ).pl()
    h = pl.col("h")
    variant = h.str.slice(16, 1).replace_strict(list("0123456789abcdef"), list("89ab" * 4))
    ids: pl.DataFrame = digests.select(
        person_id=h.str.slice(0, 8)
        + "-"
        + h.str.slice(8, 4)
        + "-5"
        + h.str.slice(13, 3)
        + "-"
        + variant
        + h.str.slice(17, 3)
        + "-"
        + h.str.slice(20, 12)
    )
    return ids.to_series()


def _kept(old: pl.DataFrame, persons: pl.DataFrame) -> pl.DataFrame:
    """Which component keeps which person: label, person_key, each at most once.

    `old`: label, person_key, row, account_key, rank, native_id, kind of accounts that had a person. What is no human's
    keeps it only where no human does; the component with most of a person's links keeps it; on a tie the one with its
    founder; then the best-ranked account.
    """
    votes = (
        old.lazy()
        .join(persons.lazy().select("person_key", "founder_key"), on="person_key", how="left")
        .group_by("label", "person_key")
        .agg(
            human=pl.col("kind").is_null().any(),
            links=pl.len(),
            founder=(pl.col("account_key") == pl.col("founder_key")).any().fill_null(value=False),
            rank=pl.col("rank").min(),
        )
        .with_columns(
            choices=pl.len().over("label"),
            rivals=pl.len().over("person_key"),
        )
        .collect()
    )
    plain = (pl.col("choices") == 1) & (pl.col("rivals") == 1)
    contested = votes.filter(~plain)
    kept = votes.filter(plain).select("label", "person_key")
    if contested.is_empty():
        return kept
    first = (
        old.join(contested.select("label").unique(), on="label", how="semi")
        .sort("rank", "native_id")
        .unique(["label", "person_key"], keep="first", maintain_order=True)
        .select("label", "person_key", native="native_id")
    )
    ordered = contested.join(first, on=["label", "person_key"]).sort(
        *("human", "links", "founder", "rank", "native", "person_key"),
        descending=[True, True, True, False, False, False],
    )
    labels, taken, chosen = set(), set(), []
    for label, person in ordered.select("label", "person_key").iter_rows():  # contested ones only: few
        if label not in labels and person not in taken:
            labels.add(label)
            taken.add(person)
            chosen.append((label, person))
    return pl.concat([kept, pl.DataFrame(chosen, schema=kept.schema, orient="row")])


def assign(rows: pl.DataFrame, labels: Labels, persons: pl.DataFrame, directory: str) -> tuple[pl.Series, pl.DataFrame]:
    """The person_key of every row, and PERSON_ID with the new persons appended; persons of nobody stay, keys are not reused.

    `rows`: row, account_key, rank, tenant, native_id, old_person, kind. Independent of the order of rows: new persons are
    numbered by the rank of their founder's tenant and its native_id.
    """
    label = pl.Series("label", labels)
    placed = rows.select("row", "account_key", "rank", "native_id", "old_person", "kind").with_columns(label)
    old = placed.filter(pl.col("old_person").is_not_null()).rename({"old_person": "person_key"})
    kept = _kept(old, persons) if old.height else pl.DataFrame(schema={"label": pl.Int64(), "person_key": pl.Int32()})
    of_label = np.full(int(labels.max()) + 1 if len(labels) else 0, -1, dtype=np.int64)
    of_label[kept.get_column("label").to_numpy()] = kept.get_column("person_key").to_numpy()
    free = rows.select("row", "account_key", "rank", "tenant", "native_id").filter(pl.Series(of_label[labels] < 0))
    if free.height:
        free = free.with_columns(label.gather(free.get_column("row"))).sort("rank", "native_id")
        free = _revived(free, persons, kept, of_label)
        fresh = _minted(free, persons, directory)
        of_label[fresh.get_column("label").to_numpy()] = fresh.get_column("person_key").to_numpy()
        persons = pl.concat([persons, fresh.select(pl.col(name).cast(kind) for name, kind in PERSON_ID.items())])
    chosen = pl.Series("person_key", of_label[labels], dtype=pl.Int64).cast(pl.Int32)
    return chosen, persons.sort("person_key")


def _revived(free: pl.DataFrame, persons: pl.DataFrame, kept: pl.DataFrame, of_label: Labels) -> pl.DataFrame:
    """Gives components whose account once founded a person that nobody holds now this person back; what is left over."""
    unused = persons.join(kept, on="person_key", how="anti")
    if unused.is_empty():
        return free
    back = (
        free.join(unused.rename({"founder_key": "account_key"}), on="account_key")
        .sort("rank", "native_id", "generation")
        .unique("label", keep="first", maintain_order=True)
        .unique("person_key", keep="first", maintain_order=True)
    )
    of_label[back.get_column("label").to_numpy()] = back.get_column("person_key").to_numpy()
    return free.join(back.select("label"), on="label", how="anti", maintain_order="left")


def _minted(free: pl.DataFrame, persons: pl.DataFrame, directory: str) -> pl.DataFrame:
    """New persons: PERSON_ID columns and label, for the components of `free`, which is in order of rank and native_id."""
    founders = free.unique("label", keep="first", maintain_order=True)
    founded = persons.group_by(pl.col("founder_key").alias("account_key")).agg(last=pl.col("generation").max())
    founders = founders.join(founded, on="account_key", how="left", maintain_order="left").with_columns(
        generation=(pl.col("last") + 1).fill_null(0).cast(pl.Int32)
    )
    highest = persons.get_column("person_key").max()
    start = int(highest) + 1 if isinstance(highest, int) else 1
    return founders.with_columns(
        mint(directory, founders),
        person_key=(pl.int_range(pl.len()) + start).cast(pl.Int32),
        founder_key="account_key",
    )


def told(
    rows: pl.DataFrame,
    chosen: pl.Series,
    persons: pl.DataFrame,
    *,
    existing: pl.DataFrame,
    keys: Keys,
    tiers: Sequence[str],
    pinned: Collection[tuple[int, int]],
) -> pl.DataFrame:
    """LINK of every row, by account_key.

    A link that still holds stays as it was; a new one tells the strongest key that its account shares in its person.
    """
    placed = rows.select("row", "account_key", "old_person", "class", "kind").with_columns(person_key=chosen)
    same = pl.col("old_person").eq_missing(pl.col("person_key"))
    stay = existing.drop("class").join(
        placed.filter(same).select("account_key", "person_key", "class"), on=["account_key", "person_key"]
    )
    new = placed.filter(~same)
    if new.is_empty():
        return stay.select(list(LINK)).sort("account_key")
    held = pl.col("old_person").is_in(chosen.unique().implode())
    founder = pl.col("founder_key") == pl.col("account_key")
    from_person = pl.format("person {}", "old_person")
    # A founder has no key to tell; one that left a person tells which, and so does one that came along with a person.
    words = (
        new.join(_strongest(new, placed, keys, tiers), on="row", how="left")
        .join(_pins(placed, pinned), on="row", how="left")
        .join(persons.select("person_key", "founder_key"), on="person_key")
        .join(_remaining(placed), on="old_person", how="left")
        .with_columns(
            rule=pl.when(held & pl.col("kind").ne_missing(pl.col("stayed")) & ~pl.col("pin"))
            .then(pl.lit(OTHER_CLASS))  # no doubt: the class is said by a rule
            .when(pl.col("old_person").is_not_null() & (founder | pl.col("rule").is_null()) & ~pl.col("pin"))
            .then(pl.when(held).then(pl.lit(SPLIT)).otherwise(pl.lit(STICKY)))
            .when(founder)
            .then(pl.lit(FOUNDING))
            .when("pin")
            .then(pl.lit(PINNED))
            .otherwise(pl.col("rule").fill_null(FOUNDING))
        )
        .with_columns(
            evidence=pl.when(pl.col("rule").is_in([SPLIT, STICKY, OTHER_CLASS]))
            .then(from_person)
            .when(pl.col("rule") == PINNED)
            .then(pl.lit(WORDS[PINNED]))
            .when(pl.col("rule") != FOUNDING)
            .then("evidence")
        )
    )
    return pl.concat([stay.select(list(LINK)), words.select(pl.col(n).cast(k) for n, k in LINK.items())]).sort(
        "account_key"
    )


def _remaining(placed: pl.DataFrame) -> pl.DataFrame:
    """old_person, stayed: of each person that still holds accounts it held before the kind of one of them."""
    stay = placed.filter(pl.col("old_person") == pl.col("person_key"))
    return stay.group_by("old_person").agg(stayed=pl.col("kind").first())


def _pins(placed: pl.DataFrame, pinned: Collection[tuple[int, int]]) -> pl.DataFrame:
    """row, pin: whether a decision joins the row to another of its person."""
    person = placed.get_column("person_key")
    joined = {a for a, b in pinned if person[a] == person[b]}
    return placed.select("row", pin=pl.col("row").is_in(sorted(joined)))


def separated(rows: pl.DataFrame, links: pl.DataFrame, human: Collection[tuple[int, int]]) -> pl.DataFrame:
    """Accounts that a veto once took out of a person whom others still hold, unless a human said that they differ.

    Columns: account_key, person_key, other_person, and other_key, the lowest account of that person.
    """
    left = links.filter(pl.col("rule") == SPLIT).with_columns(
        other_person=pl.col("evidence").str.strip_prefix("person ").cast(pl.Int32)
    )
    found = left.join(
        links.select("account_key", "person_key").rename({"account_key": "other_key", "person_key": "other_person"}),
        on="other_person",
    ).filter(pl.col("person_key") != pl.col("other_person"))
    if human:
        key = rows.get_column("account_key")
        said = pl.DataFrame(
            {"account_key": key.gather([a for a, _ in human]), "other_key": key.gather([b for _, b in human])}
        ).join(links.select("account_key", "person_key"), on="account_key")
        decided = said.join(links.select(other_key="account_key", other_person="person_key"), on="other_key").select(
            "person_key", "other_person"
        )
        found = found.join(decided, on=["person_key", "other_person"], how="anti")
    return found.sort("account_key", "other_key").unique("account_key", keep="first", maintain_order=True)


def _strongest(new: pl.DataFrame, placed: pl.DataFrame, keys: Keys, tiers: Sequence[str]) -> pl.DataFrame:
    """row, rule, evidence: of each new link the strongest key shared inside its person."""
    inside = keys.shared.lazy().join(placed.lazy().select("row", "person_key"), on="row")
    joined = inside.filter(pl.len().over("key", "person_key") > 1).join(new.lazy().select("row"), on="row", how="semi")
    names = pl.DataFrame(
        {"tier": range(len(tiers)), "rule": tiers, "word": [WORDS.get(name, STICKY) for name in tiers]},
        schema={"tier": pl.UInt8(), "rule": pl.String(), "word": pl.String()},
    )
    best = joined.group_by("row").agg(pl.col("tier").min())
    return (
        joined.select("row", "tier", "key")
        .join(best, on=["row", "tier"], how="semi")
        .join(keys.values.lazy().select("key", "value"), on="key")
        .group_by("row", "tier")
        .agg(pl.col("value").min())
        .join(names.lazy(), on="tier")
        .select("row", "rule", evidence=pl.col("word") + " " + pl.col("value"))
        .collect()
    )
