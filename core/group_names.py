"""What groups are called in a target: names made, shortened, refused, and those that two groups would share. What is in them is not known here."""

from __future__ import annotations

import fnmatch
import hashlib
import re
import unicodedata

import polars as pl

from core.names import folded
from core.picture import TargetSpec, Trouble, accepts

# Every target holds names in a column of 255 characters (atlassian-targets.md, section 7, row 4).
LONGEST = 255
MARK = 9  # characters of the mark of a shortened name: a dash and eight hex digits
# Controls and format characters: two names that look alike would be two groups.
UNSEEN = "[\\u0000-\\u001f\\u007f-\\u009f\\u00ad\\u061c\\u180e\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f\\ufeff]"
SHOWN = 5  # names that a problem lists


def glob(pattern: str) -> str:
    """A shell pattern as a regular expression that matches whole names."""
    text = fnmatch.translate(pattern).removeprefix("(?s:").removesuffix(r")\Z").removesuffix(r")\z")
    return f"(?s)^{text}$"


def shortened(name: str) -> str:
    """A name that fits: its beginning and a mark of the whole, the same in every run and different for different names."""
    if len(name) <= LONGEST:
        return name
    mark = hashlib.sha256(unicodedata.normalize("NFC", name).encode()).hexdigest()[: MARK - 1]
    return f"{name[: LONGEST - MARK].rstrip()}-{mark}"


def unfit(name: str) -> str | None:
    """Why no target takes that group name, or None. What a single target refuses is in its connector."""
    if not name.strip():
        return "it is empty"
    if len(name) > LONGEST:
        return f"it has {len(name)} characters, and {LONGEST} fit (`too_long: shorten` cuts it)"
    if name != name.strip():
        return "it begins or ends with a blank"
    if re.search(UNSEEN, name):
        return "it holds a character that nobody can see"
    return None


def without_unfit(target: TargetSpec, rows: pl.DataFrame, troubles: list[Trouble]) -> pl.DataFrame:
    """Rows whose names the target takes; the others wait, with every row that would land on the same name."""
    held: set[str] = set()
    names = rows.select("name", "form", "line").unique().sort("name", "line")
    odd = (names.get_column("name").str.len_chars() > LONGEST) | names.get_column("name").str.contains(UNSEEN)
    if target.refuses_group_name is accepts:
        names, odd = names.filter(odd), odd.filter(odd)
    for (name, form, line), strange in zip(names.iter_rows(), odd.to_list(), strict=True):
        if why := (strange and unfit(name)) or target.refuses_group_name(name):
            held.add(form)
            troubles.append(
                Trouble(
                    "group_name",
                    f"{target.name} refuses the group name {name!r}: {why}",
                    "Change `to` of its rule",
                    line,
                    groups=(name,),
                )
            )
    return rows.filter(~pl.col("form").is_in(sorted(held))) if held else rows


def without_clashes(target: TargetSpec, rows: pl.DataFrame, troubles: list[Trouble]) -> pl.DataFrame:
    """Groups that would land on one name without being joined wait, all of them, and are never united silently."""
    crowded = rows.filter(pl.col("form").is_duplicated() & ~pl.col("join")).select("form").unique()
    lists = rows.filter(pl.col("listed")).group_by("form").agg(pl.col("rule").n_unique()).filter(pl.col("rule") > 1)
    mixed = (
        rows.filter(pl.col("listed"))
        .select("form")
        .unique()
        .join(rows.filter(~pl.col("listed")), on="form", how="semi")
    )
    crowded = pl.concat([crowded, lists.select("form"), mixed.select("form")]).unique()
    if crowded.is_empty():
        return rows
    for (form,), clash in (
        rows.join(crowded, on="form", how="semi")
        .sort("form", "tenant", "source")
        .group_by(["form"], maintain_order=True)
    ):
        named = list(dict.fromkeys(clash.select(pl.format("{} {}", "tenant", "source")).to_series()))
        shown = ", ".join(named[:SHOWN]) + (f" and {len(named) - SHOWN} more" if len(named) > SHOWN else "")
        troubles.append(
            Trouble(
                "group_name",
                f"{clash.height} groups would become the group {form} of {target.name}: {shown}",
                "Tell them apart in `to`, such as tenant.name || '-' || group_name; or write `join: true` at every rule that makes it",
                clash.get_column("line")[0],
                groups=tuple(clash.get_column("name").to_list()),
            )
        )
    return rows.join(crowded, on="form", how="anti", maintain_order="left")


def formed(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows with `form`, in which targets compare their `name`."""
    return rows.with_columns(form=folded(rows.get_column("name")))
