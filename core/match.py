"""Who is who: accounts of all tenants become persons by shared strong keys, vetoes and sticky links (design section 5).

The way: keys (`match_keys`) → components → the cap on their size (`match_cap`) → vetoes (`match_vetoes`) and their cut
(`match_split`) → persons and their ids (`match_persons`) → doubts (`match_doubts`) and lineage (`match_lineage`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import polars as pl

from core.frames import DOUBT, LINEAGE, LINK, PERSON_ID, conform
from core.match_cap import components, cut_edges, peel
from core.match_doubts import doubts, parted_edges, refused_edges
from core.match_history import Past, with_times
from core.match_keys import EXTERNAL, GUESTS, PINNED, STICKY, Keys, facts_frame, shared_keys
from core.match_lineage import lineage
from core.match_persons import assign, separated, told
from core.match_split import Pairs, Refused, split, violating
from core.match_vetoes import recycled
from core.model import AccountClass, TenantFacts
from core.normalise import NORMALISED

DEFAULT_KEYS = ("immutable_id", "employee_number", "home_link", "verified_email", "verified_login")
ACCOUNTS_PER_TENANT, LEAST_CAP = 4, 12  # a person has at most 4 accounts in each tenant, or 12 in all
NOBODYS = [
    each.value for each in (AccountClass.SERVICE, AccountClass.SHARED, AccountClass.RESOURCE, AccountClass.CONTACT)
]


@dataclass(frozen=True)
class MatchSettings:
    """What may join accounts: `keys` strongest first; a key on more than `hub_limit` accounts of one tenant joins nobody.

    `reuse`: an account made this long after another's end is another human with the recycled address; `cap`: how many
    accounts a person may have (null: by the number of tenants).
    """

    directory: str
    keys: tuple[str, ...] = DEFAULT_KEYS
    hub_limit: int = 3
    reuse: timedelta = timedelta(days=30)
    cap: int | None = None


@dataclass(frozen=True)
class Matching:
    """The answer of `match`.

    `links`: LINK of every account; `persons`: PERSON_ID of every person ever, also of those who hold no account now;
    `doubts`: DOUBT; `doubtful`: person_keys whose component a veto split; `notes`: for the reader of the plan; `lineage`:
    LINEAGE, what became of persons since the links known before.
    """

    links: pl.DataFrame
    persons: pl.DataFrame
    doubts: pl.DataFrame
    doubtful: frozenset[int] = frozenset()
    notes: tuple[str, ...] = field(default=())
    lineage: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=LINEAGE))


def match(
    accounts: pl.DataFrame,
    normalised: pl.DataFrame,
    tenants: Sequence[TenantFacts],
    *,
    links: pl.DataFrame,
    persons: pl.DataFrame,
    decisions: pl.DataFrame,
    settings: MatchSettings,
    classes: pl.DataFrame | None = None,
    since: pl.DataFrame | None = None,
    past: Past | None = None,
) -> Matching:
    """Persons of an ACCOUNT frame and its `normalise`d form, given the LINK, PERSON_ID and DECISION rows known so far.

    `classes`: CLASS; without it guests are told by their type alone. `since`: the LINK rows of the last run, for the
    lineage, where `links` holds some that a decision taken back restored. `past`: what the state remembers. The result does not depend on the order of rows, and
    matching again on it changes nothing. Accounts of tenants that are not in `tenants` are an error of the caller
    (ValueError).
    """
    existing, before = conform(links, LINK), conform(persons, PERSON_ID)
    rows = with_times(_rows(accounts, normalised, tenants, existing, classes), past)
    if rows.is_empty():
        return Matching(existing.clear(), before, pl.DataFrame(schema=DOUBT))
    former = past.former if past else None
    keys = shared_keys(rows, tenants, settings.keys, settings.hub_limit, former=former, reuse=settings.reuse)
    pairs = _pairs(rows, keys, decisions, settings)
    cap = settings.cap or max(ACCOUNTS_PER_TENANT * len(tenants), LEAST_CAP)
    connected = components(rows, keys.shared, pairs.same)
    labels, joining, lost = peel(rows, keys, pairs.same, connected, cap)
    refused: list[Refused] = []
    bad = violating(rows, labels, pairs)
    if len(bad):
        labels, refused, joining = split(rows, joining, settings.keys, labels=labels, bad=bad, pairs=pairs)
    chosen, known = assign(rows, labels, before, settings.directory)
    linked = told(rows, chosen, known, existing=existing, keys=joining, tiers=settings.keys, pinned=pairs.same)
    parted = separated(rows, linked, pairs.human)
    capped = cut_edges(rows, chosen, keys, settings.keys, lost=lost, cap=cap)
    vetoed = [refused_edges(rows, refused), parted_edges(parted), capped]
    doubted = [row for each in refused for row in (each.a, each.b)]
    doubtful = {*chosen.gather(doubted), *_holders(linked, capped)}
    return Matching(
        links=linked,
        persons=known,
        doubts=doubts(rows, chosen, keys, pairs, vetoed),
        doubtful=frozenset(doubtful.union(parted.get_column("person_key"), parted.get_column("other_person"))),
        notes=keys.notes,
        lineage=lineage(
            rows, chosen, linked, known, before, pl.concat(vetoed), pairs.human, existing if since is None else since
        ),
    )


def _rows(
    accounts: pl.DataFrame,
    normalised: pl.DataFrame,
    tenants: Sequence[TenantFacts],
    existing: pl.DataFrame,
    classes: pl.DataFrame | None,
) -> pl.DataFrame:
    """One row an account in order of account_key, with what keys and vetoes look at.

    `kind`: the class of what is no human's, else null; `seated`: an enabled member account that no admin twin is.
    """
    wanted = accounts.select("account_key", "tenant_key", "native_id", "given_name", "family_name", "user_type", "active", "gone",
                             made_at="created_at", departed_at=pl.coalesce("deleted_at", "disabled_at"))  # fmt: skip
    for part, names in ((normalised, [name for name in NORMALISED if name != "account_key"]), (classes, ["class"])):
        if part is None:
            wanted = wanted.with_columns(pl.lit(None, pl.String).alias("class"))
        elif part.get_column("account_key").equals(accounts.get_column("account_key")):
            wanted = wanted.with_columns(part.select(names))
        else:
            wanted = wanted.join(
                part.select("account_key", *names), on="account_key", how="left", maintain_order="left"
            )
    typed = pl.col("user_type").is_in(GUESTS) | pl.col("n_user_name").str.contains(EXTERNAL, literal=True)
    guest = (typed | (pl.col("class") == AccountClass.GUEST)).fill_null(value=False)
    plain = pl.when(guest).then(pl.lit(AccountClass.GUEST.value)).otherwise(pl.lit(AccountClass.HUMAN.value))
    here = pl.col("gone").is_null() & pl.col("active").fill_null(value=True)
    wanted = wanted.with_columns(pl.coalesce("class", plain).alias("class"), guest=guest).with_columns(
        kind=pl.when(pl.col("class").is_in(NOBODYS)).then("class"),
        twin=pl.col("class") == AccountClass.ADMIN_TWIN,
        seated=here & ~pl.col("guest") & (pl.col("class") != AccountClass.ADMIN_TWIN),
        departed_at=pl.when(~here).then("departed_at"),
    )
    if not wanted.get_column("account_key").is_sorted():
        wanted = wanted.sort("account_key")
    wanted = wanted.join(facts_frame(tenants), on="tenant_key", how="left", maintain_order="left").join(
        existing.select("account_key", old_person="person_key"), on="account_key", how="left", maintain_order="left"
    )
    if wanted.get_column("rank").has_nulls():
        strangers = sorted(set(wanted.filter(pl.col("rank").is_null()).get_column("tenant_key")))
        raise ValueError(f"accounts of tenants without facts: {strangers}")
    numbered = wanted.drop("user_type", "active", "gone").with_columns(row=pl.int_range(pl.len(), dtype=pl.UInt32))
    return _with_widths(numbered)


def _with_widths(rows: pl.DataFrame) -> pl.DataFrame:
    """Numbers with other leading zeros than their issuer's width has, get them back: there they mean something.

    The width is the one that most of the issuer's numbers with leading zeros have; a number without any lost them.
    """
    padded = rows.select("row", "issuer", number="n_employee_number", zeros="n_employee_zeros").filter(
        pl.col("zeros") > 0
    )
    if padded.is_empty():
        return rows
    padded = padded.with_columns(width=pl.col("number").str.len_bytes() + pl.col("zeros"))
    usual = (
        padded.group_by("issuer", "width")
        .len()
        .sort("len", "width", descending=True)
        .unique("issuer", keep="first", maintain_order=True)
        .select("issuer", usual="width")
    )
    odd = padded.join(usual, on="issuer").filter(pl.col("width") != pl.col("usual")).sort("row")
    if odd.is_empty():
        return rows
    whole = odd.select(pl.col("number").str.pad_start(pl.col("width"), "0")).to_series()
    numbers = rows.get_column("n_employee_number").clone().scatter(odd.get_column("row"), whole)
    return rows.with_columns(numbers)


def _pairs(rows: pl.DataFrame, keys: Keys, decisions: pl.DataFrame, settings: MatchSettings) -> Pairs:
    """Vetoes and decisions as pairs of row numbers, both ways round."""
    of_account = rows.select("account_key", "row")
    decided = (
        decisions.join(of_account.rename({"account_key": "account_a", "row": "a"}), on="account_a")
        .join(of_account.rename({"account_key": "account_b", "row": "b"}), on="account_b")
        .select("a", "b", "decision")
    )
    same = {pair for a, b, word in decided.iter_rows() if word == "same" for pair in ((a, b), (b, a))}
    human = {pair for a, b, word in decided.iter_rows() if word == "different" for pair in ((a, b), (b, a))}
    found = recycled(rows, keys, settings.keys, settings.reuse)
    vetoes = {
        pair: (rule, reason)
        for a, b, rule, reason in found.iter_rows()
        for pair in ((a, b), (b, a))
        if pair not in same
    }
    vetoes.update(dict.fromkeys(human, ("decision", "decided to be different people")))
    return Pairs(vetoes, frozenset(human), frozenset(same - human))


def _holders(links: pl.DataFrame, edges: pl.DataFrame) -> pl.Series:
    """person_key of everybody at either end of these edges."""
    ends = pl.concat([edges.get_column("account_a"), edges.get_column("account_b")]).unique()
    return links.filter(pl.col("account_key").is_in(ends.implode())).get_column("person_key")


__all__ = ["DEFAULT_KEYS", "PINNED", "STICKY", "MatchSettings", "Matching", "match"]
