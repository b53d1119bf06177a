"""The shape and defaults of every setting in `onefold.yaml`, as frozen pydantic models. Cross-checks are in `config`."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    PlainSerializer,
    Tag,
    model_validator,
)

from core.model import AccountClass, Right, TargetMode, TenantMode

REFERENCE = r"^(env:[A-Za-z_][A-Za-z0-9_]*|file:.+|prefect:[A-Za-z0-9_\-/]+)$"
NAME_PATTERN = r"^[a-z][a-z0-9_\-]{0,62}$"
SPAN = re.compile(r"^(\d+)\s*([smhd])$")
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def _secret(value: str) -> str:
    if not re.match(REFERENCE, value):
        raise ValueError("a literal secret is refused; write env:NAME, file:PATH or prefect:BLOCK")
    return value


def _span(value: object) -> object:
    if isinstance(value, str) and (found := SPAN.match(value.strip())):
        return timedelta(seconds=int(found[1]) * SECONDS[found[2]])
    if isinstance(value, timedelta):
        return value
    raise ValueError("write a span as a number and a unit: 30s, 15m, 36h, 7d")


def _seconds(value: timedelta) -> str:
    return f"{int(value.total_seconds())}s"


MAY_REFER: dict[str, Any] = {"may_refer": True}  # marks a setting that may be such a reference, or an ordinary value
SecretRef = Annotated[str, AfterValidator(_secret), Field(json_schema_extra={"pattern": REFERENCE})]
Span = Annotated[
    timedelta,
    BeforeValidator(_span, json_schema_input_type=str),
    PlainSerializer(_seconds, return_type=str),
]
Sql = Annotated[str, Field(min_length=1)]


class Strict(BaseModel):
    """Base of all settings: unknown keys are errors, values are frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class TenantClasses(Strict):
    """What an account is, by SQL over `account.…`; the first of these, in this order, that is true says it."""

    human: Sql | None = None
    contact: Sql | None = None
    resource: Sql | None = None
    shared: Sql | None = None
    service: Sql | None = None
    admin_twin: Sql | None = None
    guest: Sql | None = None

    def rules(self) -> dict[str, str]:
        """Expressions by class."""
        return {each.value: text for each in AccountClass if (text := getattr(self, each.value)) is not None}


class Classes(TenantClasses):
    """The same for every tenant, after the tenant's own; `desired` says of which classes persons become users."""

    built_in: bool = Field(default=True, description="whether logins, mailboxes and vendors' words tell classes too")
    desired: tuple[AccountClass, ...] = (AccountClass.HUMAN,)


class TenantSettings(Strict):
    """Settings of every tenant, whatever its kind."""

    kind: str
    mode: TenantMode = TenantMode.OBSERVE
    may: frozenset[Right] | None = Field(
        default=None, description="default per kind: files and inbox may not deactivate unless listed"
    )
    verified_domains: tuple[str, ...] = ()
    employee_number_issuer: str | None = Field(default=None, description="default: the tenant itself")
    authoritative: bool = True
    include: Sql | None = None
    exclude: Sql | None = None
    classes: TenantClasses = TenantClasses()
    interval: Span = timedelta(minutes=15)
    freshness: Span | None = Field(default=None, description="default: twice the interval, at least an hour")
    full_every: Span | None = Field(
        default=None,
        description="everything is read at least so often, whatever moved; default 7d, of Entra at most 6d",
    )
    retired: bool = False
    renamed_from: str | None = None
    proxy: str | None = None
    ca_bundle: str | None = None
    shrink: float = Field(
        default=20.0,
        ge=0,
        le=100,
        description="percent of accounts that may vanish between two full reads before the read is suspect",
    )


class TargetSettings(Strict):
    """Settings of every target, whatever its kind."""

    kind: str
    mode: TargetMode = TargetMode.PLAN_ONLY
    include: Sql | None = None
    proxy: str | None = None
    ca_bundle: str | None = None
    rate: float | None = Field(default=None, gt=0, description="writes per second; default by the connector")
    delete: Span | None = Field(
        default=None, description="grace period after which deactivated users are deleted; default: never"
    )


class Limit(Strict):
    """At most max(floor, percent of the tenant's active persons in that target)."""

    floor: int = Field(default=0, ge=0)
    percent: float = Field(default=0.0, ge=0, le=100)

    def most(self, population: int) -> int:
        """How many changes pass."""
        return max(self.floor, int(population * self.percent / 100))


class Window(Limit):
    """A limit over the last `days`."""

    days: int = Field(default=7, gt=0)


class DeactivateLimits(Strict):
    """Per evidence kind, and over a rolling window. Out of scope and retired are held whenever they first appear."""

    explicit: Limit = Limit(floor=10, percent=0.5)
    absent: Limit = Limit(floor=3, percent=0.1)
    out_of_scope: Limit = Limit()
    retired: Limit = Limit()
    window: Window = Window(days=7, floor=25, percent=1.5)


class RemoveMemberLimits(Strict):
    """Per group, and over all groups of a target."""

    per_group: Limit = Limit(floor=3, percent=10)
    overall: Limit = Limit(floor=50, percent=2)
    out_of_scope: Limit = Limit()
    retired: Limit = Limit()


class Limits(Strict):
    """What may happen in one run without a human."""

    deactivate: DeactivateLimits = DeactivateLimits()
    remove_member: RemoveMemberLimits = RemoveMemberLimits()
    rename_user: Limit = Limit(floor=0)
    reactivate_user: Limit = Limit(floor=10, percent=0.5)
    update_user: Limit = Limit(floor=200, percent=20)
    create_user: Limit = Limit(floor=200, percent=10)
    add_member: Limit = Limit(floor=1000, percent=50)
    delete_user: Limit = Limit(floor=3, percent=0.1)
    delete_group: Limit = Limit(floor=0)


MatchKey = Literal["immutable_id", "employee_number", "home_link", "verified_email", "verified_login"]
AdoptKey = Literal["pinned", "employee_number", "verified_email", "user_name"]


class Suggest(Strict):
    """Persons who look alike: which pairs are proposed to a human, and above which score none is asked."""

    enabled: bool = True
    min_score: float = Field(default=0.5, ge=0, le=1, description="least score of a pair that is proposed")
    partners: int = Field(default=3, ge=1, description="pairs that are proposed for one person")
    merge_above: dict[Literal["human", "guest"], Annotated[float, Field(ge=0.9, lt=1)]] = Field(
        default_factory=dict,
        description="by class of account: pairs above this score are joined without a human; default: never",
    )


class Match(Strict):
    """Which strong keys join accounts, strongest first."""

    keys: tuple[MatchKey, ...] = ("immutable_id", "employee_number", "home_link", "verified_email", "verified_login")
    hub_limit: int = Field(default=3, ge=1, description="a key on more accounts of one tenant joins nobody")
    issuers: dict[str, tuple[str, ...]] = Field(
        default_factory=dict, description="HR systems: name → tenants that show its numbers"
    )
    reuse: Span = Field(
        default=timedelta(days=30),
        description="an account made this long after another's end is another human with the recycled address",
    )
    placeholders: tuple[str, ...] = Field(
        default=(), description="values that identify nobody, beside the built-in ones: numbers, ids, mailboxes"
    )
    cap: int | None = Field(
        default=None, ge=2, description="accounts a person may have; default 4 a tenant, at least 12"
    )
    suggest: Suggest = Suggest()


class Adopt(Strict):
    """How existing users of a target are paired with persons at first contact."""

    by: tuple[AdoptKey, ...] = ("pinned", "employee_number", "verified_email")
    ambiguous: Literal["hold"] = "hold"


PersonClass = Literal["human", "guest", "admin_twin", "service", "shared", "resource", "contact"]


class AttributeRule(Strict):
    """Who may say an attribute, and what stands where nobody does. Without any of it the tenants' precedence decides."""

    prefer: tuple[str, ...] = Field(default=(), description="tenants, best first, before all others")
    per_class: dict[PersonClass, tuple[str, ...]] = Field(
        default_factory=dict, description="the same for persons of one account class, in place of prefer"
    )
    only: bool = Field(default=False, description="nobody but the preferred may say it")
    nulls: Literal["authoritative", "skip"] = Field(
        default="authoritative", description="whether a tenant that says `none` clears the value, or passes on"
    )
    merge: Literal["first", "union"] | None = Field(default=None, description="default: union for lists, else first")
    fallback: tuple[Sql, ...] = Field(
        default=(), description="attributes, or SQL over person.…, tried in turn where nobody says anything"
    )


def _word(value: object) -> object:
    """YAML 1.1 reads `on` and `off` as true and false."""
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else value


AccountState = Annotated[Literal["on", "leave", "suspended", "off", "deleted"], BeforeValidator(_word)]


class Status(Strict):
    """Who decides whether a person is active."""

    rule: Literal["home", "any_authoritative", "precedence"] = "home"
    leave: Literal["as_account", "active", "inactive"] = Field(
        default="as_account",
        description="people on leave: what their account's own flag says; or kept; or switched off",
    )
    words: dict[str, AccountState] = Field(
        default_factory=dict, description="what your tenants' own words for the state of an account mean"
    )


class Map(Strict):
    """How persons become users of a target: one SQL expression an attribute; the plain attribute where none is given."""

    user_name: Sql = "coalesce(person.user_name, person.email)"
    display_name: Sql = "coalesce(person.display_name, trim(concat_ws(' ', person.given_name, person.family_name)))"
    email: Sql = "person.email"
    given_name: Sql | None = None
    family_name: Sql | None = None
    title: Sql | None = None
    department: Sql | None = None
    company: Sql | None = None
    location: Sql | None = None
    phone: Sql | None = None
    employee_number: Sql | None = None
    locale: Sql | None = None
    time_zone: Sql | None = None
    rename: bool = False


class GroupFrom(Strict):
    """Which groups a rule takes: of one tenant, by name pattern (`Jira-*`), by native id, or by a SQL condition; or everyone."""

    tenant: str
    name: str | None = None
    native_id: str | None = None
    where: Sql | None = Field(default=None, description="SQL over group.…; with everyone: over account.…")
    everyone: Literal[False, True, "with_guests"] = Field(
        default=False, description="no group at all: everybody of the tenant who is in scope, guests only when said so"
    )


SEVERAL = "several"  # the tag of the list form of `join` in the places of errors


class GroupRule(Strict):
    """Pushes groups of a tenant under a name, or joins groups of several tenants into one."""

    source: GroupFrom | None = Field(default=None, alias="from")
    to: Sql = "group_name"
    members: Literal["add_only", "exact"] = "add_only"
    targets: tuple[str, ...] | None = None
    join: Annotated[
        Annotated[bool, Tag("flag")] | Annotated[tuple[GroupFrom, ...], Tag(SEVERAL)],
        Discriminator(lambda value: "flag" if isinstance(value, bool) else SEVERAL),
    ] = Field(
        default=False,
        description="true: this rule may land on a name that another rule also makes; a list: the groups that are one",
    )
    combine: Literal["union", "intersection", "precedence"] = Field(
        default="union",
        description="members of a joined list: of any; of all; or as the first tenant says in which a person is",
    )
    too_long: Literal["hold", "shorten"] = Field(default="hold", description="names beyond 255 characters")
    rename: Literal["keep", "move"] = Field(
        default="keep",
        description="where the target cannot rename: keep the group under its old name, or make a new one and move members",
    )

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    @property
    def sides(self) -> tuple[GroupFrom, ...]:
        """Where its members come from."""
        if self.source is not None:
            return (self.source,)
        return self.join if isinstance(self.join, tuple) else ()

    @property
    def joins(self) -> bool:
        """Whether several groups may land on its name."""
        return self.join is not False

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        listed = isinstance(self.join, tuple)
        if (self.source is None) != listed:
            raise ValueError("needs `from` or a list under `join`, one of the two; leave the other out")
        if listed and len(self.sides) < 2:
            raise ValueError("joins a list of fewer than two; write `from` instead")
        if self.combine != "union" and not listed:
            raise ValueError("says `combine` without a list under `join`; list the groups that are one there")
        return self


class Rollout(Strict):
    """Limits what is written to the members of these groups of the target, never what is read."""

    groups: tuple[str, ...] = ()
    persons: Sql | None = None


class Protect(Strict):
    """Extends the built-in list; `*` matches anything."""

    users: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()


class AfterPush(Strict):
    """How soon a push to the inbox starts a sync: after a reduction of access, after so much quiet, and at most after the first push."""

    reduction: Span = timedelta(seconds=2)
    quiet: Span = timedelta(seconds=30)
    most: Span = timedelta(minutes=2)


class RunSettings(Strict):
    """What scheduled runs, and those that a push starts, may do and whom they tell."""

    scheduled: Literal["plan_only", "apply_safe"] = "plan_only"
    compensate: Literal["within_target", "across_targets"] = "within_target"
    foreign_edit: Literal["report", "repair"] = "report"
    notify: tuple[SecretRef, ...] = ()
    after_push: AfterPush = AfterPush()


class Schedule(Strict):
    """Cron expressions in the directory's time zone."""

    sync: str = "*/15 * * * *"
    reconcile: str = "0 2 * * *"


class Keep(Strict):
    """How long files and history are kept."""

    landing_days: int = Field(default=90, ge=1)
    history_days: int = Field(default=730, ge=1)
    inbox_days: int = Field(default=90, ge=1)
    snapshots: int = Field(default=10, ge=1)


class Settings(Strict):
    """The whole file; tenants and targets as common settings beside those of their kind."""

    directory: Annotated[str, Field(pattern=NAME_PATTERN)]
    state: str = ".onefold"
    landing: str | None = None
    timezone: str = "UTC"
    precedence: tuple[str, ...] = ()
    tenants: dict[Annotated[str, Field(pattern=NAME_PATTERN)], Any] = Field(default_factory=dict)
    targets: dict[Annotated[str, Field(pattern=NAME_PATTERN)], Any] = Field(default_factory=dict)
    match: Match = Match()
    classes: Classes = Classes()
    adopt: Adopt = Adopt()
    attributes: dict[str, AttributeRule] = Field(default_factory=dict)
    status: Status = Status()
    scope: Sql | None = None
    map: Map = Map()
    groups: tuple[GroupRule, ...] = ()
    rollout: Rollout | None = None
    limits: Limits = Limits()
    protect: Protect = Protect()
    run: RunSettings = RunSettings()
    schedule: Schedule = Schedule()
    keep: Keep = Keep()


BUILT_IN_PROTECTION = Protect(
    users=("admin", "administrator", "root", "sysadmin", "svc-*", "breakglass*", "break-glass*"),
    groups=(
        "jira-administrators",
        "jira-system-administrators",
        "confluence-administrators",
        "site-admins",
        "system-administrators",
    ),
)
DEFAULT_RIGHTS: dict[str, frozenset[Right]] = {
    "files": frozenset(Right) - {Right.DEACTIVATE},
    "inbox": frozenset(Right) - {Right.DEACTIVATE},
}
