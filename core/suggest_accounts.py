"""What of accounts is compared for suggestions, and in which blocks. How agreement is measured and weighed is in the other `suggest_*` modules."""

from __future__ import annotations

import polars as pl

from core.nicknames import roots
from core.suggest_block import Pass, key
from core.suggest_compare import (
    EDITS,
    INITIAL,
    JARO,
    KIN,
    PART,
    SAME,
    SOUND,
    Field,
    Level,
    Spec,
)
from core.suggest_names import family_key, keyed, latin, parted, sound

OTHER = "other {field}"
NEAR = "{field} {a} ~ {b}"
PHONE_DIGITS = 8  # the last ones: country and trunk prefixes are written or not
LEAST_PHONE, LEAST_NUMBER = 6, 3
ADDRESS_CAP = 12  # accounts that may show one address before it hints at nobody
SHORT = 8  # letters of a family name up to which a slip of one leaves too little of it to meet by its beginning or end
EXT = r"^(.+)_([^_@]+\.[^_@]+)#ext#"  # the login that Entra makes of a guest's home address


ACCOUNT_SPEC = Spec(
    (
        Field(
            "family",
            "family name",
            (
                Level(SAME, None, 0.85),
                Level(NEAR, (EDITS <= 1) | (JARO >= 0.93), 0.05),
                Level("one of several family names: {a} ~ {b}", PART, 0.02),
                Level("{field} sounds alike: {a} ~ {b}", SOUND, 0.02),
                Level("other {field}: {a}, {b}", None, 0.06),
            ),
            shown="family_shown",
        ),
        Field(
            "given",
            "given name",
            (
                Level(SAME, None, 0.72),
                Level("nickname {a} ~ {b}", KIN, 0.1),
                Level(NEAR, (EDITS <= 1) | (JARO >= 0.93), 0.03),
                Level("one of several given names: {a} ~ {b}", PART, 0.03),
                Level("initial {a} ~ {b}", INITIAL, 0.03),
                Level("{field} sounds alike: {a} ~ {b}", SOUND, 0.02),
                Level("other {field}: {a}, {b}", None, 0.07),
            ),
            shown="given_shown",
        ),
        Field("address", "address", (Level(SAME, None, 0.2), Level("no {field} in common", None, 0.8)), joint=True),
        Field("mailbox", "mailbox name", (Level(SAME, None, 0.3), Level(OTHER, None, 0.7))),
        Field(
            "phone",
            "phone",
            (Level(SAME, None, 0.6), Level("{field} one digit apart", EDITS <= 1, 0.02), Level(OTHER, None, 0.38)),
        ),
        Field("number", "employee number", (Level(SAME, None, 0.05), Level(OTHER, None, 0.95))),
        Field("manager", "manager", (Level(SAME, None, 0.5), Level(OTHER, None, 0.5))),
        Field(
            "department",
            "department",
            (Level(SAME, None, 0.6), Level(NEAR, (JARO >= 0.92) | PART, 0.1), Level(OTHER, None, 0.3)),
            shown="department",
        ),
        Field(
            "location",
            "location",
            (Level(SAME, None, 0.7), Level(NEAR, (JARO >= 0.92) | PART, 0.05), Level(OTHER, None, 0.25)),
            shown="location",
        ),
        Field(
            "title",
            "title",
            (Level(SAME, None, 0.45), Level(NEAR, (JARO >= 0.92) | PART, 0.15), Level(OTHER, None, 0.4)),
            shown="title",
        ),
        Field("company", "company", (Level(SAME, None, 0.3), Level(OTHER, None, 0.7))),
        Field("started", "first day", (Level(SAME, None, 0.5), Level(OTHER, None, 0.5))),
    ),
    swap=("given", "family"),
)
PASSES: tuple[Pass, ...] = (
    (pl.col("sounding"), pl.col("location"), pl.col("department"), pl.col("given")),
    (pl.col("both_names"), pl.col("location"), pl.col("department"), pl.col("title")),
    (pl.col("phone"), pl.col("family"), pl.col("given")),
    (pl.col("number"), pl.col("family")),
    (pl.col("mailbox"), pl.col("family")),
    (key(pl.col("family"), pl.col("given").str.slice(0, 1)), pl.col("location"), pl.col("department"), pl.col("given")),
    (key(pl.col("given"), pl.col("family").str.slice(0, 4)), pl.col("location"), pl.col("department")),
    (key(pl.col("given"), pl.col("family").str.slice(-4)), pl.col("location"), pl.col("department")),
    (pl.col("misspelt"), pl.col("location"), pl.col("department")),
    (key(pl.col("family"), pl.col("department"), pl.col("location")), pl.col("title"), pl.col("given").str.slice(0, 1)),
    (key(pl.col("given"), pl.col("department"), pl.col("location")), pl.col("title"), pl.col("manager")),
    (key(pl.col("manager"), pl.col("family")), pl.col("given")),
    (key(pl.col("manager"), pl.col("given")), pl.col("title")),
)


def described(accounts: pl.DataFrame, normalised: pl.DataFrame, links: pl.DataFrame) -> pl.DataFrame:
    """One row a linked account in order of account_key: person_key, what vetoes look at, and what is compared.

    `accounts`: ACCOUNT; `normalised`: NORMALISED; `links`: LINK. `addresses` (list) are all addresses that it shows.
    """
    rows = (
        accounts.join(links.select("account_key", "person_key"), on="account_key")
        .join(normalised, on="account_key")
        .sort("account_key")
    )
    names = _named(rows)
    texts = {name: latin(rows.get_column(name)) for name in ("department", "location", "title", "company")}
    rows = rows.select(
        "account_key",
        "tenant_key",
        "person_key",
        "gone",
        "active",
        "user_type",
        "n_employee_number",
        names.get_column("given"),
        names.get_column("family"),
        names.get_column("given_shown"),
        names.get_column("family_shown"),
        *(values.alias(name) for name, values in texts.items()),
        phone=_digits("phone", LEAST_PHONE).str.slice(-PHONE_DIGITS),
        number=pl.when(pl.col("n_employee_number").is_not_null()).then(
            _digits("n_employee_number", LEAST_NUMBER).str.strip_chars_start("0")
        ),
        manager=_managers(accounts, rows, links),
        started=pl.col("starts_on").cast(pl.String),
        mailbox=_mailbox(rows, names),
        addresses=_addresses(rows),
    )
    return rows.with_columns(_blocks(rows))


def _named(rows: pl.DataFrame) -> pl.DataFrame:
    """given, family (keyed, null where unknown) and their `_shown` forms: the fields, else the display name, else the address."""
    given, family = (latin(rows.get_column(f"{name}_name")) for name in ("given", "family"))
    needed = pl.when(given.is_null() | family.is_null()).then(rows.get_column("display_name"))
    display = parted(pl.select(needed).to_series())
    local = pl.coalesce("n_email", "n_home_email").str.splitn("@", 2).struct.field("field_0").str.replace(r"\+.*$", "")
    words = rows.select(words=local.str.replace_all(r"\d+", "").str.split(".")).select(
        pl.when(
            (pl.col("words").list.len() == 2) & (pl.col("words").list.eval(pl.element().str.len_chars() > 1).list.all())
        )
        .then("words")
        .alias("words")
    )
    columns: dict[str, pl.Series] = {}
    for place, (name, plain) in enumerate((("given", given), ("family", family))):
        field = rows.get_column(f"{name}_name").str.strip_chars()
        mailed = words.select(pl.col("words").list.get(place, null_on_oob=True)).to_series()
        shown = pl.select(
            pl.coalesce(
                pl.when(plain.is_not_null()).then(field),
                display.get_column(name).str.to_titlecase(),
                latin(mailed).str.to_titlecase(),
            )
        ).to_series()
        text = latin(shown)
        columns[name] = keyed(text) if name == "given" else family_key(text)
        columns[f"{name}_shown"] = shown
    return pl.DataFrame(columns)


def _digits(name: str, least: int) -> pl.Expr:
    digits = pl.col(name).str.replace_all(r"[^0-9]", "")
    return pl.when(digits.str.len_bytes() >= least).then(digits)


def _managers(accounts: pl.DataFrame, rows: pl.DataFrame, links: pl.DataFrame) -> pl.Series:
    """The person_key of each row's manager as text; null where the tenant names none that is known."""
    person = accounts.select("tenant_key", "native_id", "account_key").join(
        links.select("account_key", manager="person_key"), on="account_key"
    )
    return (
        rows.select("tenant_key", native_id="manager_id")
        .join(
            person.unique(["tenant_key", "native_id"], keep="any").select("tenant_key", "native_id", "manager"),
            on=["tenant_key", "native_id"],
            how="left",
            maintain_order="left",
        )
        .get_column("manager")
        .cast(pl.String)
    )


def _mailbox(rows: pl.DataFrame, names: pl.DataFrame) -> pl.Series:
    """The part before the @ in letters and digits, where it says more than the name itself does."""
    given, family = (pl.col(name).str.replace_all(" ", "") for name in ("given", "family"))
    local = pl.coalesce("n_email", "n_login").str.splitn("@", 2).struct.field("field_0").str.replace(r"\+.*$", "")
    frame = names.select("given", "family").with_columns(rows.select(local=local).to_series())
    frame = frame.with_columns(local=latin(frame.get_column("local")).str.replace_all(" ", ""))
    letters = keyed(frame.get_column("local").str.replace_all(r"\d", ""))
    frame = frame.with_columns(
        letters=letters,
        given=given.fill_null(""),
        family=family.fill_null(""),
        digits=pl.col("local").str.count_matches(r"\d"),
    )
    g, f = pl.col("given"), pl.col("family")
    made = [
        g + f,
        f + g,
        g.str.slice(0, 1) + f,
        f + g.str.slice(0, 1),
        g + f.str.slice(0, 1),
        f.str.slice(0, 1) + g,
        g,
        f,
    ]
    named = pl.any_horizontal([pl.col("letters") == each for each in made]).fill_null(value=False)
    return frame.select(
        mailbox=pl.when((~named | (pl.col("digits") >= 2)) & (pl.col("local").str.len_bytes() > 3)).then("local")
    ).to_series()


def _addresses(rows: pl.DataFrame) -> pl.Series:
    """All addresses that an account shows, whoever owns their domain; of a guest also the one that its login spells."""
    spelt = [
        pl.when(pl.col(name).str.to_lowercase().str.contains(EXT)).then(
            pl.col(name).str.to_lowercase().str.strip_chars().str.extract(EXT, 1)
            + "@"
            + pl.col(name).str.to_lowercase().str.extract(EXT, 2)
        )
        for name in ("user_name", "email")
    ]
    single = pl.concat_list("n_email", "n_login", "n_home_email", "n_private_email", *spelt)
    every = pl.concat_list(single, pl.col("n_aliases").fill_null(pl.lit([], dtype=pl.List(pl.String))))
    return rows.select(addresses=every.list.drop_nulls().list.unique(maintain_order=True)).to_series()


def _blocks(rows: pl.DataFrame) -> list[pl.Series]:
    """What only blocks need: both_names, given and family name in either order; two lists of keys, of which each is a block.

    `sounding`: how one name sounds, with each name that the other may stand for; `misspelt`: short family names less one
    letter, so that a letter more, less or exchanged still meets.
    """
    table = pl.DataFrame(
        {"first": list(roots()), "root": [[str(root) for root in each] for each in roots().values()]},
        schema={"first": pl.String, "root": pl.List(pl.String)},
    )

    def sounding(heard: str, meant: str) -> pl.DataFrame:
        names = rows.select(
            row=pl.int_range(pl.len(), dtype=pl.UInt32),
            first=pl.col(meant).str.splitn(" ", 2).struct.field("field_0"),
            sounds=sound(rows.get_column(heard)),
        ).drop_nulls()
        named = names.join(table, on="first", how="left")
        return (
            named.with_columns(root=pl.coalesce("root", pl.concat_list("first")))
            .explode("root")
            .select("row", key=key(pl.col("sounds"), pl.col("root")))
        )

    lists = (
        pl.concat([sounding("family", "given"), sounding("given", "family")])
        .group_by("row")
        .agg(sounding=pl.col("key").sort())
    )
    every = rows.select(row=pl.int_range(pl.len(), dtype=pl.UInt32))
    both = rows.select(both_names=key(pl.min_horizontal("given", "family"), pl.max_horizontal("given", "family")))
    short = rows.select("given", "family", row=pl.int_range(pl.len(), dtype=pl.UInt32)).drop_nulls()
    short = short.filter(pl.col("family").str.len_chars() <= SHORT)
    family = pl.col("family")
    left = [
        short.select("row", key=key(pl.col("given"), family.str.slice(0, place) + family.str.slice(place + 1)))
        for place in range(SHORT)
    ]
    letters = pl.concat(left).unique().group_by("row").agg(misspelt=pl.col("key").sort())
    return [
        both.to_series(),
        every.join(lists, on="row", how="left", maintain_order="left").get_column("sounding"),
        every.join(letters, on="row", how="left", maintain_order="left").get_column("misspelt"),
    ]


def has_addresses(rows: pl.DataFrame) -> pl.Series:
    """Whether each row shows an address at all."""
    return (rows.get_column("addresses").list.len() > 0).fill_null(value=False)


__all__ = ["ACCOUNT_SPEC", "ADDRESS_CAP", "PASSES", "described", "has_addresses"]
