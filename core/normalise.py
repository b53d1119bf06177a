"""The forms in which accounts are compared, decided once for every rule that compares. What is shown or pushed is never taken from here."""

from __future__ import annotations

from collections.abc import Collection
from functools import cache

import idna
import polars as pl

# Unicode category Cf and friends that nobody types on purpose: they make two equal-looking addresses differ.
INVISIBLE = ("\u00ad", "\u200b", "\u200c", "\u200d", "\u200e", "\u200f", "\u2060", "\ufeff")
ADDRESS = r"^[^\s@:<>,;\"]+@[^\s@:<>,;\"]+\.[^\s@:<>,;\"]+$"
# Left on by proxyAddresses exports; other schemes (x500:, sip:, eum:) are no mail addresses and fall to ADDRESS.
PREFIXES = ("smtp:", "mailto:")
# A guest's user principal name (`ada_corp.example#EXT#@…`) is no mailbox, but tells the address at home: domains hold no
# underscore, so the last one before the mark was the @.
NO_MAILBOX = "#ext#"
HOME_OF_LOGIN = r"^(?:smtp:)?(.+)_([^_@]+\.[^_@]+)#ext#@"
# Upper- or lower-cased in a Turkish locale: no mailbox differs from another by the dot of its i alone. After folding, İ is
# an i and a combining dot.
DOTS = {"i\u0307": "i", "\u0131": "i"}
# Values that forms are filled with when nobody knows: no identity (identity-sources.md section 8.4).
PLACEHOLDER_NUMBERS = frozenset(
    {"n/a", "na", "n.a.", "none", "null", "nil", "-", "--", "unknown", "tbd", "x", "xx", "xxx", "test", "nan"}
)
PLACEHOLDER_MAILBOXES = frozenset(
    {"test", "none", "null", "n/a", "na", "unknown", "noreply", "no-reply", "donotreply", "nobody", "dummy"}
)
ONE_DIGIT = "^(" + "|".join(f"{digit}{{4,}}" for digit in range(1, 10)) + "|0+)$"
GUID = r"^\{?([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})-([0-9a-f]{2})([0-9a-f]{2})-([0-9a-f]{2})([0-9a-f]{2})-([0-9a-f]{4})-([0-9a-f]{12})\}?$"
GUID_AS_BYTES = "${4}${3}${2}${1}${6}${5}${8}${7}${9}${10}"  # the first three fields are little-endian in objectGUID
PAIRS = r"^(..)(..)(..)(..)(..)(..)(..)(..)(.{16})$"

NORMALISED: dict[str, pl.DataType] = {
    "account_key": pl.Int32(),
    "n_email": pl.String(),  # an address, or null when it is none
    "n_domain": pl.String(),  # of n_email
    "n_aliases": pl.List(pl.String()),
    "n_user_name": pl.String(),
    "n_login": pl.String(),  # n_user_name where it has the form of an address
    "n_home_email": pl.String(),
    "n_private_email": pl.String(),
    "n_employee_number": pl.String(),  # without leading zeros
    "n_employee_zeros": pl.UInt8(),  # how many there were: within an issuer's width they mean nothing, else they do
    "n_immutable_id": pl.String(),  # hex
}


@cache
def _folding() -> tuple[list[str], list[str]]:
    """Characters whose case folding is not their lower case (ß, ς and some hundred others), and what they fold to."""
    letters = [letter for letter in map(chr, range(0x80, 0x1FFFF)) if letter.casefold() != letter.lower() == letter]
    return letters, [letter.casefold() for letter in letters]


def _fold(frame: pl.DataFrame, column: str) -> pl.Series:
    """The column trimmed, in NFKC, case-folded and without invisible characters; empty becomes null."""
    values = frame.get_column(column)
    plain = values.str.strip_chars().str.to_lowercase()
    wide = values.str.len_bytes() != values.str.len_chars()
    if wide.any():
        letters, folded = _folding()
        text = (
            pl.col(column)
            .str.normalize("NFKC")
            .str.to_lowercase()
            .str.replace_many([*letters, *INVISIBLE], [*folded, *("" for _ in INVISIBLE)])
            .str.normalize("NFKC")
            .str.strip_chars()
        )
        exotic = frame.filter(wide).select(text).get_column(column)
        plain = plain.scatter(wide.arg_true(), exotic)
    return plain.set(plain == "", None) if (plain == "").any() else plain


def _ascii_domain(domain: str) -> str:
    """A domain as DNS holds it (UTS 46); one that DNS could not hold stays as it is and so matches only itself."""
    try:
        return idna.encode(domain, uts46=True).decode("ascii")
    except idna.IDNAError:
        return domain


def _address(values: pl.Series, nobody: Collection[str] = ()) -> pl.Series:
    """Folded text as an address with its domain in ASCII; null where it is none, a placeholder, or a guest's login."""
    for prefix in PREFIXES:
        if values.str.starts_with(prefix).any():
            values = values.str.strip_prefix(prefix)
    wide = (values.str.len_bytes() != values.str.len_chars()).fill_null(value=False)
    if wide.any():
        dotted = values.filter(wide).str.replace_many(DOTS)
        values = values.clone().scatter(wide.arg_true(), dotted)  # in place: the caller keeps its own
    value = pl.col("value")
    mailbox = value.str.splitn("@", 2).struct.field("field_0")
    good = (
        value.str.contains(ADDRESS)
        & ~value.str.contains(NO_MAILBOX, literal=True)
        & ~mailbox.is_in([*PLACEHOLDER_MAILBOXES, *nobody])
    )
    if nobody:
        good &= ~value.is_in(list(nobody))
    addresses = pl.select(value=values).select(pl.when(good).then(value)).to_series()
    wide = (addresses.str.len_bytes() != addresses.str.len_chars()).fill_null(value=False)
    if not wide.any():
        return addresses
    parts = pl.select(value=addresses.filter(wide)).select(part=value.str.splitn("@", 2)).unnest("part")
    domains = parts.get_column("field_1").unique().drop_nulls().to_list()
    ascii_domains = [_ascii_domain(domain) for domain in domains]
    exact = parts.select(
        pl.col("field_0")
        + "@"
        + pl.col("field_1").replace_strict(domains, ascii_domains, default=None, return_dtype=pl.String)
    ).to_series()
    return addresses.scatter(wide.arg_true(), exact)


def _home_of(values: pl.Series, nobody: Collection[str]) -> pl.Series | None:
    """The address at home that guests' logins were made of; None where no value is such a login."""
    foreign = values.str.contains(NO_MAILBOX, literal=True).fill_null(value=False)
    if not foreign.any():
        return None
    login = pl.select(value=values.filter(foreign)).select(
        pl.when(pl.col("value").str.contains(HOME_OF_LOGIN)).then(
            pl.col("value").str.extract(HOME_OF_LOGIN, 1) + "@" + pl.col("value").str.extract(HOME_OF_LOGIN, 2)
        )
    )
    empty = pl.Series([None], dtype=pl.String).new_from_index(0, len(values))
    return empty.scatter(foreign.arg_true(), _address(login.to_series(), nobody))


def normalised_domain(domain: str) -> str:
    """A domain of the config in the form of `n_domain`."""
    return _ascii_domain(domain.strip().strip(".").casefold().removeprefix("@"))


def _domain(addresses: pl.Series) -> pl.Series:
    return addresses.str.splitn("@", 2).struct.field("field_1")


def _employee_number(values: pl.Series, nobody: Collection[str] = ()) -> tuple[pl.Series, pl.Series]:
    """Folded text without what spreadsheets do to numbers (`.0` added), less its leading zeros; and how many there were.

    Placeholders and runs of one digit become null.
    """
    value = pl.col("value").str.replace(r"^([0-9]+)\.0+$", "${1}")
    digits = pl.col("value").str.contains(r"^[0-9]+$")
    bare = pl.when(digits).then(pl.col("value").str.strip_chars_start("0")).otherwise("value")
    sound = (
        pl.col("value").str.contains(ONE_DIGIT).not_()
        & (pl.col("bare") != "")
        & pl.col("value").is_in([*PLACEHOLDER_NUMBERS, *nobody]).not_()
    )
    table = (
        pl.select(value=values)
        .select(value=value)
        .with_columns(bare=bare)
        .select(
            number=pl.when(sound).then("bare"),
            zeros=pl.when(sound).then((pl.col("value").str.len_bytes() - pl.col("bare").str.len_bytes()).clip(0, 255)),
        )
    )
    return table.get_column("number"), table.get_column("zeros").cast(pl.UInt8)


def _immutable_id(values: pl.Series, nobody: Collection[str] = ()) -> pl.Series:
    """Bytes as hex, whatever the spelling: GUID text, hex with or without separators, base64 with or without padding.

    Of a 16-byte value the smaller of its two GUID byte orders stands for both, because exports mix them up. Text of no
    such form is its UTF-8 bytes, case kept: base64 of other lengths differs by case.
    """
    given = pl.col("value").str.strip_chars()
    unknown = [*PLACEHOLDER_NUMBERS, *nobody]
    low = given.str.to_lowercase()
    bare = low.str.replace_all(r"[\\ :\-{}]|^0x", "")
    length = given.str.len_bytes()
    decoded = (given.str.strip_chars_end("=") + "==").str.replace_many(["-", "_"], ["+", "/"])
    decoded = decoded.str.decode("base64", strict=False)
    straight = (
        pl.when(length.is_in([36, 38]) & low.str.contains(GUID))
        .then(low.str.replace(GUID, GUID_AS_BYTES))
        .when(length.is_in([32, 47, 48, 34]) & bare.str.contains(r"^[0-9a-f]{32}$"))
        .then(bare)
        .when(length.is_in([22, 24]) & (decoded.bin.size() == 16))
        .then(decoded.bin.encode("hex"))
    )
    swapped = pl.col("straight").str.replace(PAIRS, "${4}${3}${2}${1}${6}${5}${8}${7}${9}")
    distinct = pl.select(value=values.unique().drop_nulls()).filter(~low.is_in(unknown) & ~low.str.contains(ONE_DIGIT))
    table = (
        distinct.with_columns(straight=straight)
        .select(
            "value",
            hex=pl.coalesce(
                pl.when(pl.col("straight") <= swapped).then(pl.col("straight")).otherwise(swapped),
                pl.when(length > 0).then(given.str.encode("hex")),
            ),
        )
        .filter(~pl.col("hex").str.contains(r"^((00)+|(ff)+)$"))
    )  # an empty GUID is nobody's, nor is one of ones
    return pl.select(value=values).join(table, on="value", how="left", maintain_order="left").get_column("hex")


def _aliases(accounts: pl.DataFrame, nobody: Collection[str]) -> pl.Series:
    """Each account's aliases as addresses, in the given order, without the ones that are none; null where it has none."""
    rows = accounts.select(pl.int_range(pl.len(), dtype=pl.UInt32).alias("row"), "aliases")
    flat = rows.filter(pl.col("aliases").list.len() > 0).explode("aliases")
    if flat.is_empty():
        return pl.Series("n_aliases", [None], dtype=pl.List(pl.String)).new_from_index(0, accounts.height)
    flat = flat.with_columns(aliases=_address(_fold(flat, "aliases"), nobody)).drop_nulls()
    lists = flat.group_by("row", maintain_order=True).agg(n_aliases="aliases")
    return rows.select("row").join(lists, on="row", how="left", maintain_order="left").get_column("n_aliases")


def employee_numbers(values: pl.Series) -> pl.Series:
    """HR numbers in the form of `n_employee_number`."""
    return _employee_number(_fold(values.alias("value").to_frame(), "value"))[0]


def comparable(values: pl.Series) -> pl.Series:
    """Each element of a list of addresses in the form in which equal ones are equal; what is no address stays folded text."""
    text = _fold(values.alias("value").to_frame(), "value")
    return pl.select(pl.coalesce(_address(text), text)).to_series()


def normalise(accounts: pl.DataFrame, placeholders: Collection[str] = ()) -> pl.DataFrame:
    """The comparison columns (`NORMALISED`) of an ACCOUNT frame, row by row in its order. Pure; never raises on data.

    `placeholders`: values that identify nobody, beside the built-in ones: HR numbers, immutable ids, mailboxes, addresses.
    """
    nobody = frozenset(value.strip().casefold() for value in placeholders)
    folded_email, user_name = _fold(accounts, "email"), _fold(accounts, "user_name")
    email = _address(folded_email, nobody)
    number, zeros = _employee_number(_fold(accounts, "employee_number"), nobody)
    homes = [
        _address(_fold(accounts, "home_email"), nobody),
        _home_of(user_name, nobody),
        _home_of(folded_email, nobody),
    ]
    columns = {
        "n_email": email,
        "n_domain": _domain(email),
        "n_aliases": _aliases(accounts, nobody),
        "n_user_name": user_name,
        "n_login": _address(user_name, nobody),
        "n_home_email": pl.select(pl.coalesce(each for each in homes if each is not None)).to_series(),
        "n_private_email": _address(_fold(accounts, "private_email"), nobody),
        "n_employee_number": number,
        "n_employee_zeros": zeros,
        "n_immutable_id": _immutable_id(accounts.get_column("immutable_id"), nobody),
    }
    return accounts.select(
        "account_key", *(values.cast(NORMALISED[name]).alias(name) for name, values in columns.items())
    )
