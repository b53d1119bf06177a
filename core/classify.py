"""What each account is: a human's, a guest's, an admin twin, or nobody's (service, shared, resource, contact).

The config's rules come first (of the tenant, then general), then the built-in ones over what tenants land. A class says
what may be joined (`match_*`), whose values count (`merge`) and who is desired (`desired`); those rules are not here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import polars as pl

from core.expression import Failure, evaluate
from core.frames import CLASS
from core.match_keys import EXTERNAL, GUESTS
from core.model import AccountClass, TenantFacts

# In this order: an exemption first, then the more special word. `guest` and `human` are what is left.
ORDER: tuple[AccountClass, ...] = (
    AccountClass.HUMAN,
    AccountClass.CONTACT,
    AccountClass.RESOURCE,
    AccountClass.SHARED,
    AccountClass.SERVICE,
    AccountClass.ADMIN_TWIN,
    AccountClass.GUEST,
)
# The vendor's word in `status`, without blanks, dashes and underscores. Exchange's recipient types, Graph's
# isResourceAccount and Keycloak's service accounts reach us as such a word (contract: identity-sources.md section 8.2).
STATUS: Mapping[AccountClass, tuple[str, ...]] = {
    AccountClass.CONTACT: ("contact", "orgcontact", "mailcontact", "mailuser"),
    AccountClass.RESOURCE: ("resource", "room", "equipment", "workspace", "roommailbox", "equipmentmailbox"),
    AccountClass.SHARED: ("shared", "sharedmailbox"),
    AccountClass.SERVICE: ("service", "serviceaccount", "application", "serviceprincipal", "bot", "computer"),
}
# Logins, and the mailboxes of primary addresses, in folded form. A delimiter is part of each: nobody's name is caught.
LOGINS: Mapping[AccountClass, str] = {
    AccountClass.RESOURCE: r"^(room|conf|conference|confroom|meeting|meetingroom|equip|equipment|resource|projector|beamer|besprechung|raum|salle|sala)[-_]",
    AccountClass.SHARED: r"^(shared|sharedmailbox|mailbox|mbx)[-_.]",
    AccountClass.SERVICE: (
        r"^(svc|srv|service|sa|bot|robot|rpa|app|api|batch|daemon)[-_]|^svc\.|[-_.](svc|service)(@|$)|"
        r"^(no-?reply|do-?not-?reply|mailer-daemon|postmaster)(@|$)|"
        r"^service-account-|"  # Keycloak names a client's account so
        r"^(msol|aad)_[0-9a-f]{8,}|^sync_.+_[0-9a-f]{8,}|"  # Entra's directory synchronisation
        r"^(healthmailbox|systemmailbox|discoverysearchmailbox)|^federatedemail\.|"  # Exchange's own mailboxes
        r"^krbtgt(@|$)|\$(@|$)"  # AD: the ticket service; computers and managed service accounts end with a dollar
    ),
    AccountClass.ADMIN_TWIN: r"^(adm|admin)[-_.]|^(da|ea|t[0-2]|tier-?[0-2])[-_]|[-_.](adm|admin)(@|$)",
}
SHOWN: Mapping[AccountClass, str] = {  # display names, lower-cased
    AccountClass.RESOURCE: r"^((conference|meeting) room\b|room [0-9])",
    AccountClass.SHARED: r"^shared mailbox\b",
}
LOOKED_AT = (
    "account_key", "tenant_key", "user_type", "active", "status", "given_name", "family_name", "display_name",
    "employee_number",
)  # fmt: skip
# A guest's, by its type or by a login that names another directory.
FOREIGN = (pl.col("user_type").is_in(GUESTS) | pl.col("login").str.contains(EXTERNAL, literal=True)).fill_null(
    value=False
)


@dataclass(frozen=True)
class Rules:
    """What the config says: expressions over `account.…` by class for all tenants, and whether the built-in rules count."""

    general: Mapping[str, str]
    built_in: bool = True


@dataclass(frozen=True)
class Classified:
    """`classes`: CLASS of every account, in the order of the accounts; `notes`: what failed, and how many are no humans'."""

    classes: pl.DataFrame
    notes: tuple[str, ...] = ()


def classify(
    accounts: pl.DataFrame,
    normalised: pl.DataFrame,
    tenants: Sequence[TenantFacts],
    rules: Rules,
    *,
    links: pl.DataFrame | None = None,
    today: date,
) -> Classified:
    """CLASS of an ACCOUNT frame and its `normalise`d form, row by row. Pure; never raises because of data.

    `links`: LINK as known before, for the one rule that a wiped leaver would meet. A rule that fails or is null for a row
    classifies nobody there, and a note says so.
    """
    notes: list[str] = []
    said: list[pl.Series] = []
    for tenant in tenants:
        if tenant.classes:
            mine = accounts.get_column("tenant_key") == tenant.tenant_key
            found = _by_rules(accounts.filter(mine), tenant.classes, f"tenants.{tenant.name}.classes", today, notes)
            empty = pl.Series("class", [None], dtype=pl.String).new_from_index(0, accounts.height)
            said.append(empty.scatter(mine.arg_true(), found))
    if rules.general:
        said.append(_by_rules(accounts, rules.general, "classes", today, notes))
    frame = accounts.select(
        *LOOKED_AT,
        login=normalised.get_column("n_user_name"),
        mailbox=pl.coalesce(normalised.get_column("n_email"), pl.col("email").str.to_lowercase()),
        row=pl.int_range(pl.len(), dtype=pl.UInt32),
    )
    said.append(_built_in(frame, links) if rules.built_in else _plain(frame))
    chosen = pl.select(pl.coalesce(said).alias("class")).to_series()
    counts = chosen.filter(~chosen.is_in([AccountClass.HUMAN.value, AccountClass.GUEST.value])).value_counts(sort=False)
    told = [f"{count} {name}" for name, count in counts.sort("class").iter_rows()]
    notes += [f"accounts that are no person of their own: {', '.join(told)}"] if told else []
    return Classified(
        accounts.select("account_key").with_columns(chosen).select(pl.col(n).cast(k) for n, k in CLASS.items()),
        tuple(notes),
    )


def person_classes(links: pl.DataFrame) -> pl.DataFrame:
    """person_key, person_class: of each person the class of its most human account (human, guest, admin twin, then the others)."""
    ranks = [AccountClass.HUMAN, AccountClass.GUEST, AccountClass.ADMIN_TWIN, *ORDER[1:5]]
    names = [each.value for each in ranks]
    rank = pl.col("class").fill_null(names[0]).replace_strict(names, range(len(names)), default=0, return_dtype=pl.Int8)
    best = links.lazy().group_by("person_key").agg(rank=rank.min())
    word = pl.col("rank").replace_strict(range(len(names)), names, return_dtype=pl.String)
    return best.select("person_key", word.alias("person_class")).sort("person_key").collect()


def _by_rules(accounts: pl.DataFrame, rules: Mapping[str, str], path: str, today: date, notes: list[str]) -> pl.Series:
    """Class of each row by the first rule that is true; null where none is."""
    wanted = {each.value: rules[each.value] for each in ORDER if each.value in rules}
    done = evaluate(
        wanted,
        frames={"account": accounts.drop("account_key", "present")},
        key=accounts.get_column("account_key"),
        today=today,
    )
    held = done.frame.select(pl.col(name).cast(pl.Boolean, strict=False) for name in wanted)
    for name in wanted:
        if (failure := done.failed.get(name)) is not None:
            notes.append(_failed(f"{path}.{name}", failure))
        elif nulls := held.get_column(name).null_count():
            notes.append(f"{path}.{name} is null for {nulls} accounts: it classifies nobody there")
    return held.select(
        pl.coalesce(pl.when(pl.col(name)).then(pl.lit(name)) for name in wanted).alias("class")
    ).to_series()


def _plain(frame: pl.DataFrame) -> pl.Series:
    """Guests, and everybody else is a human's."""
    word = pl.when(FOREIGN).then(pl.lit(AccountClass.GUEST.value)).otherwise(pl.lit(AccountClass.HUMAN.value))
    return frame.select(word.alias("class")).to_series()


def _failed(path: str, failure: Failure) -> str:
    return f"{path} fails for {failure.count} accounts (such as {failure.sample}): {failure.error}; it classifies nobody there"


def _built_in(frame: pl.DataFrame, known: pl.DataFrame | None) -> pl.Series:
    """Class of each row by what tenants land: the vendor's word, logins and mailboxes, display names, mailboxes of nobody."""
    word = pl.col("status").str.to_lowercase().str.replace_all(r"[ _-]", "")
    shown = pl.col("display_name").str.to_lowercase()
    nameless = pl.col("given_name").is_null() & pl.col("family_name").is_null()
    disabled = ~pl.col("active").fill_null(value=True)
    words = [text for texts in STATUS.values() for text in texts]
    suspects = frame.lazy().filter(
        pl.any_horizontal(
            pl.col("login", "mailbox").str.contains("|".join(LOGINS.values())).fill_null(value=False),
            word.is_in(words).fill_null(value=False),
            nameless & (disabled | shown.str.contains("|".join(SHOWN.values())).fill_null(value=False)),
        )
    )
    verdicts = []
    for each in ORDER:
        rules = [word.is_in(STATUS[each])] if each in STATUS else []
        rules += [pl.col(name).str.contains(LOGINS[each]) for name in ("login", "mailbox") if each in LOGINS]
        rules += [nameless & shown.str.contains(SHOWN[each])] if each in SHOWN else []
        verdicts += [pl.when(rule).then(pl.lit(each.value)) for rule in rules]
    wiped = nameless & disabled & _mailbox_of_nobody(frame, known)
    verdicts.append(pl.when(wiped).then(pl.lit(AccountClass.SHARED.value)))
    found = suspects.select("row", pl.coalesce(verdicts).alias("class")).drop_nulls().collect()
    return _plain(frame).scatter(found.get_column("row"), found.get_column("class"))


def _mailbox_of_nobody(frame: pl.DataFrame, known: pl.DataFrame | None) -> pl.Expr:
    """A mailbox without a number, in a tenant that gives names, of no guest; never one known as a human's before.

    A leaver whose names were wiped looks the same; taken out of its person, it could no longer disable that person.
    """
    naming = frame.filter(pl.col("given_name").is_not_null()).get_column("tenant_key").unique()
    rule = (
        pl.col("mailbox").is_not_null()
        & pl.col("employee_number").is_null()
        & pl.col("tenant_key").is_in(naming.implode())
        & ~FOREIGN
    )
    if known is None:
        return rule
    human = AccountClass.HUMAN.value
    humans = known.filter(pl.col("class").fill_null(human) == human).get_column("account_key")
    return rule & ~pl.col("account_key").is_in(humans.implode())
