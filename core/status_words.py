"""What vendors' words for the state of an account mean, whatever vendor says them. What follows from it is in `merge_status`.

An account's own flag (`active`) beats its word: connectors set it by the vendor's rules. The word counts where there is no
flag, and tells leave and suspension from other reasons for which an account is off.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import polars as pl

Meaning = Literal["on", "leave", "suspended", "off", "deleted"]
# By meaning, folded to lower case without spaces and signs (identity-sources.md, sections 1 to 4). Numbers, as OneLogin and
# LDAP send, mean something else everywhere: connectors put words in their place.
WORDS: Mapping[Meaning, frozenset[str]] = {
    "on": frozenset(
        {"active", "enabled", "current", "employed", "present", "hired"}
        | {"activated", "activating", "provisioned", "recovery", "passwordexpired", "lockedout"}  # Okta, JumpCloud
    ),
    "leave": frozenset(
        {"leave", "onleave", "leaveofabsence", "loa", "absent", "parentalleave", "maternityleave", "paternityleave"}
        | {
            "sickleave",
            "sabbatical",
            "furlough",
            "furloughed",
            "gardenleave",
            "gardeningleave",
            "paidleave",
            "unpaidleave",
        }
    ),
    "suspended": frozenset({"suspended", "locked", "blocked", "frozen", "onhold", "archived"}),
    "off": frozenset(
        {
            "inactive",
            "disabled",
            "deactivated",
            "terminated",
            "left",
            "leaver",
            "former",
            "resigned",
            "retired",
            "ended",
        }
        | {"staged", "pending", "unactivated", "notstarted", "prehire"}  # there, and not begun yet
        | {"dismissed", "offboarded", "expired", "quit"}
    ),
    "deleted": frozenset({"deleted", "softdeleted", "deprovisioned", "purged", "removed", "trashed"}),
}
MEANINGS: Mapping[str, Meaning] = {word: meaning for meaning, words in WORDS.items() for word in sorted(words)}


def bare(word: str) -> str:
    """A word as the table holds it."""
    return "".join(letter for letter in word.casefold() if letter.isalnum())


def meanings(words: pl.Series, declared: Mapping[str, Meaning]) -> pl.Series:
    """The meaning of each word, null for unknown ones and for none. `declared` (config `status.words`) goes first."""
    known = {**MEANINGS, **{bare(word): meaning for word, meaning in declared.items()}}
    distinct = words.unique().drop_nulls()
    if distinct.is_empty():
        return pl.Series("meaning", [None], dtype=pl.String).new_from_index(0, len(words))
    table = {word: known.get(bare(word)) for word in distinct.to_list()}
    return words.replace_strict(list(table), list(table.values()), default=None, return_dtype=pl.String).alias(
        "meaning"
    )
