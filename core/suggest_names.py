"""The forms in which names of people are compared: Latin letters, one spelling of umlauts and of romanised sounds, and how a name sounds.

They serve suggestions only: nothing is joined, shown or pushed in these forms.
"""

from __future__ import annotations

import re

import polars as pl

# Words of a display name that are no name.
TITLES = frozenset(
    "dr prof mr mrs ms mx sir herr frau fru hr mag ing dipl phd msc bsc mba md jr sr ii iii iv ext extern external guest contractor consultant intern temp admin".split()  # noqa: SIM905 - quoted words read worse
)
# Particles of family names: written, glued or left out, as the form likes it.
PARTICLES = frozenset(
    "von van der den de del della di da dos das do la le les al el bin ibn ben bint zu zum zur af av ten ter vom y e".split()  # noqa: SIM905 - same
)
# One spelling for what umlauts, rings and romanisations are written as; applied to both sides, so it need not be right.
SPELLINGS = (
    ("ae", "a"), ("oe", "o"), ("ue", "u"), ("aa", "a"), ("j", "i"), ("y", "i"), ("w", "v"),
)  # fmt: skip
# How consonants are written in several languages, longest first; vowels go away afterwards.
SOUNDS = (
    ("shch", "s"), ("tsch", "c"), ("szcz", "s"), ("sch", "s"), ("tch", "c"), ("cz", "c"), ("ch", "c"), ("sh", "s"),
    ("sz", "s"), ("zh", "z"), ("ph", "f"), ("th", "t"), ("dt", "t"), ("ck", "k"), ("kh", "k"), ("gh", "g"), ("rh", "r"),
    ("qu", "kv"), ("ce", "se"), ("ci", "si"), ("x", "ks"), ("tz", "z"), ("ts", "z"), ("q", "k"), ("c", "k"), ("d", "t"),
    ("b", "p"), ("g", "k"), ("z", "s"), ("v", "f"), ("h", ""),
)  # fmt: skip
APOSTROPHES = "['`\u00b4\u2019]"  # O'Brien as keyboards write it
CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
IDEOGRAPHS = re.compile(r"[\u2e80-\u9fff\uac00-\ud7af]")


def _latin_word(value: str) -> str:
    """One value in lower-case Latin letters; words of scripts without blanks come apart where syllables begin."""
    from anyascii import anyascii

    text = anyascii(value)
    if IDEOGRAPHS.search(value):
        text = CAMEL.sub(" ", text)
    return text.lower()


def latin(values: pl.Series) -> pl.Series:
    """Text in lower-case Latin letters, words parted by one blank, apostrophes gone; null where no letter or digit is left."""
    distinct = values.drop_nulls().unique(maintain_order=True)
    wide = distinct.filter(distinct.str.len_bytes() != distinct.str.len_chars())
    if len(wide):
        nfkc = pl.select(wide.str.normalize("NFKC")).to_series().to_list()
        told = pl.Series([_latin_word(value) for value in nfkc], dtype=pl.String)
        values = values.replace(wide, told)
    text = pl.col("value").str.to_lowercase()
    return (
        pl.select(value=values)
        .select(
            text.str.replace_all(APOSTROPHES, "").str.replace_all(r"[^a-z0-9]+", " ").str.strip_chars().alias("value"),
        )
        .select(pl.when(pl.col("value") != "").then("value"))
        .to_series()
    )


def _keyed(text: pl.Expr) -> pl.Expr:
    for old, new in SPELLINGS:
        text = text.str.replace_all(old, new, literal=True)
    return _single(text)


def _single(text: pl.Expr) -> pl.Expr:
    """Doubled letters once."""
    for letter in "abcdefghiklmnopqrstuvxz":
        text = text.str.replace_all(f"{letter}{letter}+", letter)
    return text


def _by_word(values: pl.Series, expression: pl.Expr) -> pl.Series:
    """`expression` over column `value`, computed once a distinct value."""
    distinct = pl.DataFrame({"value": values.drop_nulls().unique(maintain_order=True)})
    table = distinct.with_columns(told=expression)
    return pl.DataFrame({"value": values}).join(table, on="value", how="left", maintain_order="left").get_column("told")


def keyed(values: pl.Series) -> pl.Series:
    """Latin text in the one spelling that Müller, Mueller and Muller, or Julia, Yulia and Юлия, have in common."""
    return _by_word(values, _keyed(pl.col("value")))


def sound(values: pl.Series) -> pl.Series:
    """The consonants of keyed text as one hears them, with a leading vowel as `a`; null of null."""
    text = pl.col("value").str.replace_all(" ", "")
    for old, new in SOUNDS:
        text = text.str.replace_all(old, new, literal=True)
    text = text.str.replace(r"^[aeiou]+", "A").str.replace_all(r"[aeiou]", "").str.to_lowercase()
    return _by_word(values, _single(text))


def family_key(values: pl.Series) -> pl.Series:
    """Family names in Latin text as keyed text without particles, unless nothing else is there; words stay parted."""
    words = pl.col("value").str.split(" ")
    bare = words.list.eval(pl.element().filter(~pl.element().is_in(list(PARTICLES)))).list.join(" ")
    return keyed(_by_word(values, pl.when(bare != "").then(bare).otherwise("value")))


def parted(display: pl.Series) -> pl.DataFrame:
    """given, family (Latin text) of display names: `Given Family` or `Family, Given`; brackets and titles are left out."""
    plain = (
        pl.Series("value", display)
        .str.replace_all(r"\([^)]*\)|\[[^\]]*\]|\{[^}]*\}", " ")
        .str.replace_all(r"\s[-|/\u2013].*$", "")
    )
    comma = pl.select(value=plain).select(
        front=pl.col("value").str.splitn(",", 2).struct.field("field_0"),
        back=pl.col("value").str.splitn(",", 2).struct.field("field_1"),
    )
    words = pl.DataFrame(
        {"front": latin(comma.get_column("front")), "back": latin(comma.get_column("back"))}
    ).with_columns(_names("front"), _names("back"))
    named = (pl.col("back").list.len() > 0).fill_null(value=False)
    front, back = pl.col("front"), pl.col("back")
    # The family name of `Ludwig van der Berg` begins at its first particle.
    at = front.list.eval(pl.element().is_in(list(PARTICLES))).list.arg_max()
    first = front.list.eval(pl.element().is_in(list(PARTICLES))).list.any() & (at > 0)
    cut = pl.when(first).then(at.cast(pl.Int64)).otherwise(front.list.len().cast(pl.Int64) - 1)
    return words.select(
        given=pl.when(named).then(back.list.join(" ")).otherwise(front.list.head(cut).list.join(" ")),
        family=pl.when(named).then(front.list.join(" ")).otherwise(front.list.slice(cut).list.join(" ")),
    ).with_columns(pl.when(pl.col(name) != "").then(name).alias(name) for name in ("given", "family"))


def _names(column: str) -> pl.Expr:
    words = pl.col(column).str.split(" ")
    return words.list.eval(
        pl.element().filter(~pl.element().is_in(list(TITLES)) & ~pl.element().str.contains(r"^\d+$"))
    )
