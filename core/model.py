"""The words of Onefold as types: enumerations and small frozen values. Frames of rows are described in `frames`, not here."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

JSON = None | bool | int | float | str | list["JSON"] | dict[str, "JSON"]


class TenantMode(StrEnum):
    """What a tenant may cause: `observe` writes nothing, `add_only` never removes, `live` does everything it `may`."""

    OBSERVE = "observe"
    ADD_ONLY = "add_only"
    LIVE = "live"


class Right(StrEnum):
    """One thing that a tenant may cause in a target (config: `may`)."""

    CREATE = "create"
    UPDATE = "update"
    DEACTIVATE = "deactivate"
    GROUPS = "groups"
    ATTRIBUTES = "attributes"


class AccountClass(StrEnum):
    """What an account is (contract: identity-sources.md section 8.2). The last four are nobody's and never join a human."""

    HUMAN = "human"
    GUEST = "guest"
    ADMIN_TWIN = "admin_twin"
    SERVICE = "service"
    SHARED = "shared"
    RESOURCE = "resource"
    CONTACT = "contact"


class TargetMode(StrEnum):
    """`plan_only` until an admin switches the target to `apply`."""

    PLAN_ONLY = "plan_only"
    APPLY = "apply"


class Verdict(StrEnum):
    """How far one extract is trusted. Only `complete` reads may give evidence of absence; `failed` ones are not consolidated."""

    COMPLETE = "complete"
    PARTIAL = "partial"
    SUSPECT = "suspect"
    FAILED = "failed"


class ExtractKind(StrEnum):
    """Whether an extract is the whole tenant, what moved since its `cursor_before`, or single accounts asked for by id."""

    FULL = "full"
    DELTA = "delta"
    ONE = "one"


class Evidence(StrEnum):
    """Why a change is asked for. The last four are the kinds of a removal (promise 2); `grant` is everything that adds or amends."""

    GRANT = "grant"
    EXPLICIT = "explicit"
    ABSENT = "absent"
    OUT_OF_SCOPE = "out_of_scope"
    RETIRED = "retired"


class Verb(StrEnum):
    """What a change does, in the order in which a plan applies it. `adopt_*` write nothing to the target."""

    ADOPT_USER = "adopt_user"
    ADOPT_GROUP = "adopt_group"
    DEACTIVATE_USER = "deactivate_user"
    CREATE_USER = "create_user"
    REACTIVATE_USER = "reactivate_user"
    UPDATE_USER = "update_user"
    RENAME_USER = "rename_user"
    CREATE_GROUP = "create_group"
    ADD_MEMBER = "add_member"
    REMOVE_MEMBER = "remove_member"
    DELETE_USER = "delete_user"
    DELETE_GROUP = "delete_group"


INVERSE: dict[Verb, Verb | None] = {
    Verb.ADOPT_USER: None,  # ownership is released by hand, never by an inverse
    Verb.ADOPT_GROUP: None,
    Verb.DEACTIVATE_USER: Verb.REACTIVATE_USER,
    Verb.CREATE_USER: Verb.DEACTIVATE_USER,  # deactivate, never delete
    Verb.REACTIVATE_USER: Verb.DEACTIVATE_USER,
    Verb.UPDATE_USER: Verb.UPDATE_USER,
    Verb.RENAME_USER: Verb.RENAME_USER,
    Verb.CREATE_GROUP: Verb.DELETE_GROUP,
    Verb.ADD_MEMBER: Verb.REMOVE_MEMBER,
    Verb.REMOVE_MEMBER: Verb.ADD_MEMBER,
    Verb.DELETE_USER: None,  # what is gone is gone
    Verb.DELETE_GROUP: None,
}

REDUCES_ACCESS = frozenset({Verb.DEACTIVATE_USER, Verb.REMOVE_MEMBER, Verb.DELETE_USER, Verb.DELETE_GROUP})


@dataclass(frozen=True, slots=True)
class Part:
    """One landed Parquet file: what it holds (`accounts`, `groups`, `memberships`, `rejected`), its rows and sha256."""

    object: str
    file: str
    rows: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """One extract, written last. Counts are distinct rows accepted; `claimed` is the vendor's own total where it gives one."""

    extract_id: str
    tenant: str
    kind: ExtractKind
    cursor_before: str | None
    cursor_after: str | None
    started_at: datetime
    finished_at: datetime
    accounts: int
    groups: int
    memberships: int
    rejected: int
    claimed: dict[str, int]
    parts: tuple[Part, ...]
    verdict: Verdict
    reasons: tuple[str, ...]
    pages: int = 0
    config_digest: str = ""
    knows_all: bool = True  # a full read holds everybody; false where a tenant only tells what it once spoke of

    @property
    def content(self) -> str:
        """Digest-like key of what was read: equal contents mean that nothing moved between two full reads."""
        return "|".join(
            sorted(f"{part.object}:{part.rows}:{part.sha256}" for part in self.parts if part.object != "rejected")
        )


@dataclass(frozen=True, slots=True)
class TenantFacts:
    """What the rules must know of one tenant: its declared rights and how good its newest accepted read is.

    `rank` 0 is the highest precedence. `trusted` is true when the newest accepted extract is complete and younger than
    the tenant's freshness: only then may absence be evidence. `classes`: SQL over `account.…` by class.
    """

    tenant_key: int
    name: str
    rank: int
    mode: TenantMode
    may: frozenset[Right]
    verified_domains: frozenset[str]
    employee_number_issuer: str
    authoritative: bool = True
    include: str | None = None
    exclude: str | None = None
    retired: bool = False
    trusted: bool = True
    verdict: Verdict | None = None
    reasons: tuple[str, ...] = ()
    vendor_verified: frozenset[str] = frozenset()
    classes: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Hold:
    """Changes that a guard keeps back: which guard, why, how to release, and what they share (`scope`)."""

    hold_id: str
    guard: str
    reason: str
    release: str
    target: str | None = None
    verb: Verb | None = None
    scope: str | None = None
    count: int = 0
    line: int | None = None
    releasable: bool = True


@dataclass(frozen=True, slots=True)
class Forecast:
    """What one target's ready changes will cost: calls that write, minutes at `rate` per second, share of the quota (0..1)."""

    writes: int
    minutes: float
    share: float
    seats_before: int | None = None
    seats_after: int | None = None


@dataclass(frozen=True, slots=True)
class ExtractLine:
    """One line of the plan's READ section."""

    tenant: str
    extract_id: str | None
    verdict: Verdict
    reasons: tuple[str, ...]
    accounts: int
    groups: int
    memberships: int
    accounts_before: int | None = None
    mode: TenantMode = TenantMode.OBSERVE
    claimed: int | None = None
    finished_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class TargetLine:
    """Existing users of one target, by what we make of them."""

    target: str
    existing: int
    owned: int
    strangers: int
    doubtful: int
    mode: TargetMode = TargetMode.PLAN_ONLY
    first_contact: bool = False


@dataclass(frozen=True, slots=True)
class GroupLine:
    """One of the groups of a target that change most: members before, and changes ready and held."""

    target: str
    group: str
    members: int
    added: int
    removed: int
    held: int


@dataclass(frozen=True, slots=True)
class PlanHeader:
    """The frozen head of a plan. The digest covers `config_digest`, the changes and the holds; never run id, time or wording."""

    directory: str
    run_id: str
    created_at: datetime
    config_digest: str
    digest: str
    extracts: tuple[ExtractLine, ...]
    targets: tuple[TargetLine, ...]
    holds: tuple[Hold, ...]
    forecast: dict[str, Forecast] = field(default_factory=dict)
    config_changed: bool = False
    previous_digest: str | None = None
    added: int = 0
    removed: int = 0
    notes: tuple[str, ...] = ()
    groups: tuple[GroupLine, ...] = ()
    person: str | None = None  # the plan is of this person alone, and the digest covers that


class Outcome(StrEnum):
    """How one call ended. `already` is a receipt too: the target says that it is in the desired state."""

    APPLIED = "applied"
    ALREADY = "already"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a target answered to one change: its outcome, the object's remote id, and a word on what happened."""

    outcome: Outcome
    remote_id: str | None = None
    detail: str = ""
    requests: int = 1
