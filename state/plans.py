"""Plans, stored whole and found again by the beginning of their digest."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass

import polars as pl

from core.errors import RefusedError
from core.frames import CHANGE, CHANGE_VALUE, conform
from core.model import PlanHeader
from state.codec import dump, load
from state.session import Session

PARTS: dict[str, dict[str, pl.DataType]] = {"plan_change": CHANGE, "plan_value": CHANGE_VALUE}
ORDER = {"plan_change": ["seq"], "plan_value": ["seq", "attribute"]}
HOLD: dict[str, pl.DataType] = {
    name: pl.Int32() if name in {"count", "line"} else pl.Boolean() if name == "releasable" else pl.String()
    for name in ("hold_id", "guard", "reason", "release", "target", "verb", "scope", "count", "line", "releasable")
}


@dataclass(frozen=True, slots=True)
class StoredPlan:
    """A plan as it was saved: `changes` is a CHANGE frame in order of seq, `values` a CHANGE_VALUE frame."""

    header: PlanHeader
    changes: pl.DataFrame
    values: pl.DataFrame


def save_plan(session: Session, header: PlanHeader, changes: pl.DataFrame, values: pl.DataFrame) -> None:
    """Stores a plan. One with the same digest and rows as a stored one costs its header only.

    A plan of one person is found by its digest and never the newest: it takes nothing away from the plan of everybody.
    """
    frames = dict(zip(PARTS, (changes, values), strict=True))
    with session.transaction():
        known = session.rows("plan_digest_known", {"digest": header.digest})
        number = 0 if header.person is not None else int(str(session.rows("plan_newest_no")[0][0])) + 1
        session.run(
            "plan_header_add",
            {
                "plan_no": number,
                "digest": header.digest,
                "run_id": header.run_id,
                "created_at": header.created_at,
                "header": dump(header),
            },
        )
        for table, frame in frames.items():
            wanted = conform(frame, PARTS[table]).sort(ORDER[table])
            if known and _rows(session, table, header.digest).equals(wanted):
                continue
            if known:
                session.run(f"{table}_forget", {"digest": header.digest})
            text = wanted.with_columns(pl.col(pl.Enum).cast(pl.String))
            session.insert(table, text.with_columns(digest=pl.lit(header.digest)))
        if not known:
            holds = [dataclasses.asdict(hold) for hold in header.holds]
            frame = pl.DataFrame(holds, schema=HOLD) if holds else pl.DataFrame(schema=HOLD)
            session.insert("plan_hold", frame.with_columns(digest=pl.lit(header.digest)))


def plan(session: Session, prefix: str) -> StoredPlan:
    """The plan whose digest starts with `prefix` (at least 4 hex digits). RefusedError when none or several do."""
    if not re.fullmatch(r"[0-9a-f]{4,64}", prefix):
        raise RefusedError(f"{prefix!r} is no digest", remedy="Give at least the first 4 hexadecimal digits of one")
    found = [str(row[0]) for row in session.rows("plan_digests_like", {"prefix": prefix})]
    if not found:
        raise RefusedError(f"no plan starts with {prefix}", remedy="See `onefold history`")
    if len(found) > 1:
        several = ", ".join(digest[: len(prefix) + 4] for digest in found[:5])
        raise RefusedError(f"{len(found)} plans start with {prefix}: {several}", remedy="Give more digits")
    return _stored(session, found[0])


def newest_plan(session: Session) -> StoredPlan | None:
    """The plan saved last, or None."""
    found = session.rows("plan_newest_digest")
    return _stored(session, str(found[0][0])) if found else None


def newest_header(session: Session) -> PlanHeader | None:
    """The header of the plan saved last, without its changes."""
    found = session.rows("plan_newest_digest")
    return load(PlanHeader, str(found[0][1])) if found else None


def _stored(session: Session, digest: str) -> StoredPlan:
    header = load(PlanHeader, str(session.rows("plan_header_of", {"digest": digest})[0][0]))
    return StoredPlan(header, _rows(session, "plan_change", digest), _rows(session, "plan_value", digest))


def _rows(session: Session, table: str, digest: str) -> pl.DataFrame:
    return session.frame(f"{table}_rows", {"digest": digest}, PARTS[table])
