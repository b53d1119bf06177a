"""Guards: what of a plan must wait for a human, and why. Each guard yields holds; a tripped limit holds its whole class.

Two kinds of holds: those that an approval releases, and those that only a change of facts or config releases
(`releasable` false). A change flows when every hold on it is released.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from core.draft import ADOPT, FOREIGN_DELETE, FOREIGN_EDGE, NAME_TAKEN, RENAME_OFF
from core.guard_facts import Found, GuardFacts, Question, by
from core.guard_limits import limits, seats, window
from core.model import REDUCES_ACCESS, Evidence, Hold, Verb
from core.names import matching
from core.plan import GROUP_VERBS, Ordered, spread

FIRST_CONTACT, PROTECTED, OWNERSHIP = "first_contact", "protected", "ownership"
CONFIG, AMBIGUOUS, ROLLOUT, NAME = "config_change", "ambiguous", "rollout", "name"
STANDING = frozenset({RENAME_OFF, ROLLOUT})  # the config says so for good: nobody is asked, no exit code tells of it
WAITS_FOR_ADOPTION = [
    verb.value
    for verb in (
        Verb.RENAME_USER,
        Verb.REACTIVATE_USER,
        Verb.DEACTIVATE_USER,
        Verb.REMOVE_MEMBER,
        Verb.DELETE_USER,
        Verb.DELETE_GROUP,
    )
]
REDUCTIONS = [verb.value for verb in REDUCES_ACCESS]
GRANTS = [verb.value for verb in (Verb.ADOPT_USER, Verb.CREATE_USER, Verb.REACTIVATE_USER, Verb.ADD_MEMBER)]


@dataclass(frozen=True)
class Guarded:
    """The changes with `held_by`, the holds in their order, and what was released by approvals (fingerprints)."""

    changes: pl.DataFrame
    holds: tuple[Hold, ...]
    released: int


def guard(ordered: Ordered, facts: GuardFacts) -> Guarded:
    """Runs every guard over the whole plan, lets approvals release, and spreads what is left over units and dependents."""
    rows = ordered.changes.join(ordered.cautions, on="seq", how="left", maintain_order="left")
    rows = rows.with_columns(pl.col("verb").cast(pl.String), pl.col("evidence").cast(pl.String))
    approved = rows.filter(pl.col("fingerprint").is_in(facts.approvals.get_column("fingerprint").implode()))
    found = [
        *_first_contact(rows, facts),
        *_protected(rows, facts),
        *_cautions(rows, facts),
        *_ambiguous(rows, facts),
        *_rollout(rows, facts),
        *_config(rows, facts),
        *limits(rows.join(approved.select("seq"), on="seq", how="anti"), facts),
        *window(rows.join(approved.select("seq"), on="seq", how="anti"), facts),
        *seats(rows, facts),
    ]
    found = [each for each in found if len(each.seqs)]
    held = _held(found, approved.get_column("seq"))
    alone = [place for place, each in enumerate(found) if not each.spreads]
    wide = spread(ordered.changes, held.filter(~pl.col("hold").is_in(alone)))
    reach = pl.concat([wide, held.filter(pl.col("hold").is_in(alone))])
    return _told(ordered.changes, found, reach, facts.questions, approved.height)


def _held(found: Sequence[Found], approved: pl.Series) -> pl.DataFrame:
    """seq, hold (place in `found`): what keeps each change itself, less what approvals release."""
    parts = [
        pl.DataFrame({"seq": each.seqs.filter(~each.seqs.is_in(approved.implode())) if each.releasable else each.seqs})
        .with_columns(hold=pl.lit(place, dtype=pl.Int32))
        .cast({"seq": pl.Int32})
        for place, each in enumerate(found)
    ]
    return pl.concat(parts) if parts else pl.DataFrame(schema={"seq": pl.Int32, "hold": pl.Int32})


def _told(
    changes: pl.DataFrame, found: Sequence[Found], reach: pl.DataFrame, questions: Sequence[Question], released: int
) -> Guarded:
    """Gives holds their ids in the order in which they are shown, and changes their `held_by`."""
    counts = dict(reach.group_by("hold").len().iter_rows()) if reach.height else {}
    alive = sorted(
        (place for place in counts),
        key=lambda place: (
            found[place].target or "",
            not found[place].releasable,
            found[place].guard,
            str(found[place].verb or ""),
            found[place].scope or "",
            place,
        ),
    )
    holds = [
        Hold(
            hold_id=f"H{number}",
            guard=found[place].guard,
            reason=found[place].reason,
            release=found[place].release,
            target=found[place].target,
            verb=found[place].verb,
            scope=found[place].scope,
            count=counts[place],
            line=found[place].line,
            releasable=found[place].releasable,
        )
        for number, place in enumerate(alive, 1)
    ]
    holds += [
        Hold(
            hold_id=f"H{number}",
            guard=each.guard,
            reason=each.reason,
            release=each.release,
            target=each.target,
            count=each.count,
            line=each.line,
            releasable=False,
        )
        for number, each in enumerate(questions, len(alive) + 1)
    ]
    if not alive:
        return Guarded(changes, tuple(holds), released)
    names = {place: f"H{number}" for number, place in enumerate(alive, 1)}
    order = {place: number for number, place in enumerate(alive, 1)}
    by_seq = (
        reach.with_columns(
            name=pl.col("hold").replace_strict(names, return_dtype=pl.String),
            number=pl.col("hold").replace_strict(order, return_dtype=pl.Int32),
        )
        .sort("seq", "number")
        .group_by("seq", maintain_order=True)
        .agg(held="name")
    )
    marked = changes.join(by_seq, on="seq", how="left", maintain_order="left")
    return Guarded(marked.with_columns(held_by="held").drop("held"), tuple(holds), released)


def _first_contact(rows: pl.DataFrame, facts: GuardFacts) -> list[Found]:
    found = []
    for target in sorted(facts.first_contact):
        mine = rows.filter(pl.col("target") == target)
        late = pl.col("verb").is_in(WAITS_FOR_ADOPTION)
        found += [
            Found(
                FIRST_CONTACT,
                f"first contact with {target}: the adoption plan waits for approval",
                "look at `onefold adopt`, then approve",
                mine.filter(~late).get_column("seq"),
                target,
            ),
            Found(
                FIRST_CONTACT,
                f"nothing is renamed, reactivated, deactivated or removed at first contact with {target}",
                "the plan after the adoption was applied",
                mine.filter(late).get_column("seq"),
                target,
                scope="after adoption",
                releasable=False,
                spreads=False,  # else a user to be renamed or reactivated could never be adopted
            ),
        ]
    return found


def _protected(rows: pl.DataFrame, facts: GuardFacts) -> list[Found]:
    """Users and groups that nobody may touch; also whom we would create under a protected name."""
    users = rows.filter(~pl.col("verb").is_in(GROUP_VERBS))
    named = users.filter(
        pl.col("verb").is_in([Verb.CREATE_USER.value])
        & matching(users.get_column("user_name"), facts.protect.users, any_case=True)
    )
    known = users.join(facts.protected_users.select("target", "user_key"), on=["target", "user_key"], how="semi")
    grouped = rows.filter(pl.col("group_name").is_not_null())
    listed = grouped.filter(matching(grouped.get_column("group_name"), facts.protect.groups, any_case=True))
    admin = grouped.join(facts.protected_groups, on=["target", "group_name"], how="semi")
    found = []
    for (target,), mine in (
        pl.concat([named, known, listed, admin])
        .unique("seq")
        .sort("seq")
        .partition_by("target", as_dict=True, include_key=True)
        .items()
    ):
        found.append(
            Found(
                PROTECTED,
                "administrators, break-glass accounts and groups that grant administration are never touched",
                "do it by hand",
                mine.get_column("seq"),
                str(target),
                releasable=False,
            )
        )
    return found


def _cautions(rows: pl.DataFrame, facts: GuardFacts) -> list[Found]:
    """What the diff drafted only to be asked."""
    texts = {
        RENAME_OFF: (
            RENAME_OFF,
            "user names differ from map.user_name",
            "`map: {rename: true}`; recommended: leave",
            False,
        ),
        NAME_TAKEN: (NAME, "the wanted user name belongs to another user there", "make map.user_name differ", False),
        FOREIGN_EDGE: (OWNERSHIP, "memberships that others added, in groups with `members: exact`", "approve", True),
        FOREIGN_DELETE: (OWNERSHIP, "users of ours that somebody deleted there", "approve to create them again", True),
        ADOPT: (OWNERSHIP, "existing users and groups that match and are not ours yet", "approve the adoption", True),
    }
    found = []
    for (target, caution), mine in by(rows.filter(pl.col("caution").is_not_null()), "target", "caution"):
        if caution == ADOPT and target in facts.first_contact:
            continue
        name, reason, release, releasable = texts[str(caution)]
        line = facts.rename_line if caution == RENAME_OFF else None
        seqs = mine.get_column("seq")
        found.append(
            Found(name, reason, release, seqs, str(target), scope=str(caution), line=line, releasable=releasable)
        )
    return found


def _ambiguous(rows: pl.DataFrame, facts: GuardFacts) -> list[Found]:
    mine = rows.filter(
        pl.col("person_key").is_in(facts.doubtful.implode()) & pl.col("verb").is_in([*GRANTS, *REDUCTIONS])
    )
    return [
        Found(
            AMBIGUOUS,
            "it is doubtful which accounts are this person's",
            "`onefold review list`, or approve",
            each.get_column("seq"),
            str(target),
        )
        for (target,), each in by(mine, "target")
    ]


def _rollout(rows: pl.DataFrame, facts: GuardFacts) -> list[Found]:
    if facts.outside is None:
        return []
    out = rows.join(facts.outside, on=["target", "person_key"], how="semi")
    return [
        Found(
            ROLLOUT,
            "persons outside the rollout",
            "extend `rollout:`",
            each.get_column("seq"),
            str(target),
            releasable=False,
        )
        for (target,), each in by(out, "target")
    ]


def _config(rows: pl.DataFrame, facts: GuardFacts) -> list[Found]:
    """Removals without an explicit word, and renames, that first appear with a changed config, until somebody looks."""
    weak = pl.col("verb").is_in(REDUCTIONS) & (pl.col("evidence") != Evidence.EXPLICIT.value)
    risky = weak | (pl.col("verb") == Verb.RENAME_USER.value)
    before = pl.col("fingerprint").is_in(facts.held_before.implode())
    asked = rows.filter(risky & (before | pl.lit(facts.config_changed)) & pl.col("caution").is_null())
    return [
        Found(
            CONFIG,
            "removals and renames that appeared with a changed config",
            "approve",
            each.get_column("seq"),
            str(target),
        )
        for (target,), each in by(asked, "target")
    ]


def waits(changes: pl.DataFrame, holds: Sequence[Hold]) -> int:
    """How many changes wait for somebody: held by more than what the config says for good."""
    standing = [each.hold_id for each in holds if each.guard in STANDING]
    held = changes.filter(pl.col("held_by").is_not_null())
    return held.filter(
        pl.col("held_by").list.set_difference(pl.lit(standing, dtype=pl.List(pl.String))).list.len() > 0
    ).height
