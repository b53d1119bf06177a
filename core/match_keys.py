"""The strong keys of accounts: who shares which, by tier. Joining, vetoes and ids are in the other `match_*` modules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import polars as pl

from core.match_history import former_keys, listed_domains
from core.match_names import by_name, of_one_name
from core.match_vetoes import superseded
from core.model import TenantFacts
from core.normalise import normalised_domain

# Anybody can have an address there, so it is no proof of one's employer (design section 5).
PUBLIC_MAIL = frozenset(
    "gmail.com googlemail.com outlook.com hotmail.com hotmail.co.uk hotmail.de hotmail.fr live.com live.de msn.com outlook.de "  # noqa: SIM905 - a hundred quoted words read worse
    "yahoo.com yahoo.co.uk yahoo.de yahoo.fr ymail.com rocketmail.com aol.com icloud.com me.com mac.com proton.me "
    "protonmail.com pm.me gmx.de gmx.net gmx.com gmx.at gmx.ch web.de t-online.de freenet.de mail.com mail.ru inbox.ru "
    "list.ru bk.ru yandex.ru yandex.com ya.ru rambler.ru qq.com 163.com 126.com sina.com foxmail.com naver.com daum.net "
    "hanmail.net zoho.com fastmail.com tutanota.com tuta.io hey.com orange.fr wanadoo.fr free.fr laposte.net sfr.fr "
    "libero.it virgilio.it tiscali.it alice.it seznam.cz wp.pl o2.pl onet.pl interia.pl uol.com.br bol.com.br terra.com.br "
    "rediffmail.com comcast.net verizon.net att.net sbcglobal.net bellsouth.net cox.net btinternet.com sky.com "
    "virginmedia.com bluewin.ch telenet.be skynet.be ziggo.nl kpnmail.nl home.nl telia.com bigpond.com".split()
)
GUESTS = ("guest", "external")
EXTERNAL = "#ext#"  # in the login of an account whose home is another directory, whatever its type
PINNED, STICKY = "pinned", "sticky"
WORDS: Mapping[str, str] = {  # how evidence of a tier begins
    PINNED: "decision",
    "immutable_id": "immutable id",
    "employee_number": "employee number",
    "home_link": "home address",
    "verified_email": "email",
    "verified_login": "login",
}
SHARED: dict[str, pl.DataType] = {"row": pl.UInt32(), "key": pl.UInt32(), "tier": pl.UInt8()}
KEYS: dict[str, pl.DataType] = {"key": pl.UInt32(), "tier": pl.UInt8(), "value": pl.String()}
NOTED_HUBS = 20


@dataclass(frozen=True)
class Keys:
    """Which rows share which keys.

    `shared`: SHARED, one row an account and key; `values`: KEYS, one row a key; `claims`: CLAIMS and `at` of every address
    that more than one account claims; `notes`: hub keys that join nobody; `superseded`: row, row_b, at, value of accounts
    that an address does not join because another one of their tenant is the enabled one; `apart`: `at` of verified
    addresses that people of contradicting names claim.
    """

    shared: pl.DataFrame
    values: pl.DataFrame
    claims: pl.DataFrame
    notes: tuple[str, ...]
    superseded: pl.DataFrame
    apart: pl.Series


def facts_frame(tenants: Sequence[TenantFacts]) -> pl.DataFrame:
    """One row a tenant: tenant_key, rank, tenant (name), issuer, authoritative; `rank` made dense by (rank, name)."""
    ordered = sorted(tenants, key=lambda each: (each.rank, each.name))
    return pl.DataFrame(
        {
            "tenant_key": [each.tenant_key for each in ordered],
            "rank": list(range(len(ordered))),
            "tenant": [each.name for each in ordered],
            "issuer": [each.employee_number_issuer or each.name for each in ordered],
            "authoritative": [each.authoritative for each in ordered],
        },
        schema={
            "tenant_key": pl.Int16(),
            "rank": pl.Int32(),
            "tenant": pl.String(),
            "issuer": pl.String(),
            "authoritative": pl.Boolean(),
        },
    )


def _verified(tenants: Sequence[TenantFacts], value: pl.Expr, *, primary: bool) -> pl.Expr:
    """Whether a claimed address is verified (design section 5): its domain is listed or asserted by the vendor.

    Also verified is the primary address of a non-guest of an authoritative tenant, under a domain that is neither public
    nor verified by another tenant.
    """
    domains: dict[str, int] = {}
    allowed: list[int] = []
    for tenant in tenants:
        for name in (*tenant.verified_domains, *tenant.vendor_verified):
            known = domains.setdefault(normalised_domain(name), len(domains))
            allowed.append(tenant.tenant_key << 32 | known)
    domain = value.str.splitn("@", 2).struct.field("field_1")
    if not domains:
        listed, owned = pl.lit(False), pl.lit(False)
    else:
        number = domain.replace_strict(domains, default=None, return_dtype=pl.Int64)
        listed = (pl.col("tenant_key").cast(pl.Int64) * (1 << 32) + number).is_in(allowed).fill_null(value=False)
        owned = number.is_not_null()
    if not primary:
        return listed
    free = ~owned & ~domain.is_in(list(PUBLIC_MAIL))
    return listed | (free & ~pl.col("guest") & pl.col("authoritative"))


def _claims(rows: pl.DataFrame, tenants: Sequence[TenantFacts]) -> pl.DataFrame:
    """Every address that an account claims, as CLAIMS; `login`: as its login name only; `alias`: neither that nor primary."""
    needed = rows.lazy().select("row", "tenant_key", "guest", "authoritative", "n_email", "n_aliases", "n_login")
    value = pl.col("value")

    def shape(frame: pl.LazyFrame, *, primary: bool = False, login: bool = False) -> pl.LazyFrame:
        verified = _verified(tenants, value, primary=primary).alias("verified")
        alias = pl.lit(not primary and not login).alias("alias")
        return frame.filter(value.is_not_null()).select("row", "value", verified, pl.lit(login).alias("login"), alias)

    aliases = needed.filter(pl.col("n_aliases").list.len() > 0).select(
        "row", "tenant_key", "guest", "authoritative", pl.col("n_aliases").alias("value")
    )
    claims = pl.concat(
        [
            shape(needed.with_columns(value="n_email"), primary=True),
            shape(aliases.explode("value")),
            shape(
                needed.filter(pl.col("n_login").ne_missing(pl.col("n_email"))).with_columns(value="n_login"), login=True
            ),
            # A login that is the primary address too counts where its domain is the tenant's own.
            shape(
                needed.filter(pl.col("n_login") == pl.col("n_email")).with_columns(value="n_login"), login=True
            ).filter(pl.col("verified")),
        ]
    ).collect()
    return _apart(claims, rows)


def _apart(held: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """`held` (row, value, …) with the values of what is no human's marked by their class: they meet only their own kind."""
    if "kind" not in rows.columns or held.is_empty():
        return held
    kind = rows.get_column("kind")
    marked = kind.is_not_null().gather(held.get_column("row"))
    if not marked.any():
        return held
    few = held.filter(marked).select("value", kind=kind.gather(held.get_column("row").filter(marked)))
    values = held.get_column("value").clone()
    values = values.scatter(marked.arg_true(), few.select(pl.format("{} ({})", "value", "kind")).to_series())
    return held.with_columns(values)


def verified_addresses(rows: pl.DataFrame, tenants: Sequence[TenantFacts]) -> pl.DataFrame:
    """account_key, address: addresses (not mere logins) that are verified. `rows`: ACCOUNT columns beside NORMALISED ones."""
    guests = (pl.col("user_type").is_in(GUESTS) | pl.col("n_user_name").str.contains(EXTERNAL, literal=True)).fill_null(
        value=False
    )
    facts = facts_frame(tenants)
    shaped = rows.with_columns(guest=guests, row=pl.int_range(pl.len(), dtype=pl.UInt32)).join(
        facts, on="tenant_key", how="left", maintain_order="left"
    )
    claims = _claims(shaped, tenants).filter(pl.col("verified") & ~pl.col("login")).select("row", address="value")
    return claims.join(shaped.select("row", "account_key"), on="row").select("account_key", "address").unique()


def _repeated(frame: pl.DataFrame) -> pl.DataFrame:
    """Of `frame` (row, value, …) what concerns a value that at least two rows hold; `at` numbers the values.

    Hashes only leave out what occurs once; what is equal is decided by the values themselves.
    """
    frame = frame.filter(frame.get_column("value").hash().is_duplicated())
    lists = (
        frame.lazy()
        .select("value", place=pl.int_range(pl.len(), dtype=pl.UInt32))
        .group_by("value")
        .agg("place")
        .filter(pl.col("place").list.len() > 1)
        .select("place")
        .with_row_index("at")
        .explode("place")
        .collect()
    )
    found = frame[lists.get_column("place")].with_columns(lists.get_column("at"))
    several = found.group_by("at").agg(lone=pl.col("row").min() == pl.col("row").max()).filter("lone")
    return found.join(several, on="at", how="anti", maintain_order="left") if several.height else found


def _homes(rows: pl.DataFrame, claims: pl.DataFrame, *, every: bool) -> pl.DataFrame:
    """Guests with the accounts at home that they name: row, value, guests of one home and all its holders under one value.

    A guest names its home by its home address, else by what its login was made of, else by its primary address: the first
    of them that a member of another tenant holds verifiably. `every`: all such members, because the address joins them
    anyway; else the best-ranked one alone.
    """
    guests = rows.filter(pl.col("guest") & pl.col("kind").is_null())
    wanted = pl.concat(
        [
            guests.select("row", "tenant_key", value="n_home_email", turn=pl.lit(0, pl.Int8)),
            guests.select("row", "tenant_key", value="n_email", turn=pl.lit(1, pl.Int8)),
        ]
    ).drop_nulls("value")
    if wanted.is_empty():
        return pl.DataFrame(schema={"row": pl.UInt32(), "value": pl.String()})
    members = rows.filter(~pl.col("guest")).select("row", home_tenant="tenant_key", rank="rank", native_id="native_id")
    homes = (
        claims.filter("verified")
        .join(wanted.select(pl.col("value").unique()), on="value", how="semi")
        .join(members, on="row")
        .sort("value", "rank", "native_id")
        .unique(["value", "row"], keep="first", maintain_order=True)
    )
    if not every:
        homes = homes.unique("value", keep="first", maintain_order=True)
    pairs = wanted.join(homes.select("value", "home_tenant", home="row"), on="value")
    pairs = pairs.filter(pl.col("tenant_key") != pl.col("home_tenant"))
    pairs = pairs.filter(pl.col("turn") == pl.col("turn").min().over("row"))
    return pl.concat([pairs.select(row="home", value="value").unique(), pairs.select("row", "value").unique()])


def _addresses(trusted: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """Of verified claims those of addresses: row, value, at. What is nobody's primary joins only accounts of one name.

    An address that is an alias everywhere may be a team's (contract: identity-sources.md section 8.2).
    """
    held = trusted.filter(~pl.col("login")).unique(["row", "at"]).select("row", "value", "at")
    owned = trusted.filter(~pl.col("alias")).get_column("at").unique()
    mine = held.get_column("at").is_in(owned.implode())
    return held if mine.all() else pl.concat([held.filter(mine), of_one_name(held.filter(~mine), rows)])


def _without_hubs(
    held: pl.DataFrame, rows: pl.DataFrame, hub_limit: int, word: str, names: Mapping[int, str]
) -> tuple[pl.DataFrame, list[str]]:
    """`held` (row, value, at) without values that more than `hub_limit` accounts of one tenant share; notes name them."""
    many = held.group_by("at").len().filter(pl.col("len") > hub_limit).select("at")
    if many.is_empty():
        return held, []
    crowded = held.join(many, on="at", how="semi").join(rows.select("row", "tenant_key"), on="row")
    hubs = (
        crowded.unique(["row", "at"])
        .group_by("at", "tenant_key")
        .agg(pl.len().alias("accounts"), pl.col("value").first())
        .filter(pl.col("accounts") > hub_limit)
        .sort("value", "tenant_key")
    )
    notes = [
        f"{word} {value} is shared by {accounts} accounts of {names[tenant]}: it joins nobody"
        for tenant, accounts, value in hubs.select("tenant_key", "accounts", "value").head(NOTED_HUBS).iter_rows()
    ]
    if hubs.height > NOTED_HUBS:
        notes.append(f"{hubs.height - NOTED_HUBS} more values of {word} are shared by too many accounts of one tenant")
    return held.join(hubs.select("at").unique(), on="at", how="anti"), notes


def _former(
    rows: pl.DataFrame, claims: pl.DataFrame, tenants: Sequence[TenantFacts], former: pl.DataFrame, reuse: timedelta
) -> pl.DataFrame:
    """Former addresses as keys: row, value, at; people of other names apart."""
    form = {
        name: normalised_domain(name) for each in tenants for name in (*each.verified_domains, *each.vendor_verified)
    }
    found, _ = by_name(former_keys(rows, claims, former, listed_domains(tenants, form), reuse), rows)
    return found


def shared_keys(
    rows: pl.DataFrame,
    tenants: Sequence[TenantFacts],
    tiers: Sequence[str],
    hub_limit: int,
    *,
    former: pl.DataFrame | None = None,
    reuse: timedelta = timedelta(days=30),
) -> Keys:
    """Keys that at least two accounts share; tier i is `tiers[i]`. Hub keys are left out and noted.

    `rows`: row, tenant_key, rank, native_id, guest, twin, seated, authoritative, issuer, given_name, family_name, the
    columns of NORMALISED, and `kind`: a class that is no human's, else null. `former`: FORMER, normalised; `reuse`: see there.
    """
    names = {each.tenant_key: each.name for each in tenants}
    addressed = {"verified_email", "verified_login", "home_link"} & set(tiers)
    claims = _claims(rows, tenants) if addressed else pl.DataFrame(schema=CLAIMS)
    common = _repeated(claims) if claims.height else claims.with_columns(at=pl.lit(0, pl.UInt32))
    trusted = common.filter("verified")
    gone = superseded(rows, trusted)
    if gone.height:
        trusted = trusted.join(gone, on=["row", "at"], how="anti", maintain_order="left")
        claims = claims.join(gone, on=["row", "value"], how="anti", maintain_order="left")
    trusted, apart = by_name(trusted, rows)
    joined = {"verified_email", "verified_login"} <= set(tiers)
    shared, values, notes, taken = [], [], [], 0
    for tier, name in enumerate(tiers):
        match name:
            case "immutable_id":
                held = _repeated(_apart(rows.select("row", value="n_immutable_id").drop_nulls(), rows))
            case "employee_number":
                number = rows.select("row", value=pl.col("issuer") + "/" + pl.col("n_employee_number"))
                held = _repeated(_apart(number.drop_nulls(), rows))
            case "home_link":
                held, _ = by_name(_repeated(_homes(rows, claims, every=joined)), rows)
            case "verified_email":
                held = _addresses(trusted, rows)
                if former is not None and former.height:
                    held = pl.concat([held, _former(rows, claims, tenants, former, reuse)])
            case _:  # verified_login: a login may meet an address, not only another login
                held = trusted.unique(["row", "at"])
                held = held.join(trusted.filter("login").select("at").unique(), on="at", how="semi")
        held, hubs = _without_hubs(held.select("row", "value", "at"), rows, hub_limit, WORDS[name], names)
        notes += hubs
        several = held.group_by("at").agg(pl.len(), pl.col("value").first()).filter(pl.col("len") > 1)
        several = several.with_row_index("key", offset=taken).with_columns(pl.lit(tier, pl.UInt8).alias("tier"))
        taken += several.height
        shared.append(held.join(several.select("at", "key", "tier"), on="at").select(list(SHARED)))
        values.append(several.select(list(KEYS)))
    if not shared:
        return Keys(pl.DataFrame(schema=SHARED), pl.DataFrame(schema=KEYS), common, (), gone, apart)
    return Keys(pl.concat(shared), pl.concat(values), common, tuple(notes), gone, apart)


CLAIMS: dict[str, pl.DataType] = {
    "row": pl.UInt32(),
    "value": pl.String(),
    "verified": pl.Boolean(),
    "login": pl.Boolean(),
    "alias": pl.Boolean(),
}
