"""What a pushing provider's own directory holds, for the push simulators."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class PushUser:
    """One user at the provider. `in_scope` false: unassigned; `deleted` for good. `user_type` where it is mapped (Guest)."""

    id: str
    user_name: str
    given_name: str = "Ada"
    family_name: str = "Lovelace"
    title: str | None = None
    active: bool = True
    manager_id: str | None = None
    in_scope: bool = True
    deleted: bool = False
    user_type: str | None = None

    @property
    def provisioned(self) -> bool:
        """Whether the target should have it as active."""
        return self.active and self.in_scope and not self.deleted


@dataclass(frozen=True)
class PushGroup:
    """One group at the provider, with the ids of its direct members."""

    id: str
    name: str
    members: frozenset[str] = frozenset()


@dataclass
class PushDirectory:
    """A provider's directory, by id; tests change it between two cycles."""

    users: dict[str, PushUser] = field(default_factory=dict)
    groups: dict[str, PushGroup] = field(default_factory=dict)


@dataclass
class Calls:
    """What one cycle sent: requests by method, and the answers that were no success, as (what, status)."""

    sent: dict[str, int] = field(default_factory=dict)
    failed: list[tuple[str, int]] = field(default_factory=list)

    @property
    def writes(self) -> int:
        """Requests that change something."""
        return sum(many for method, many in self.sent.items() if method != "GET")

    def note(self, method: str, what: str, status: int) -> None:
        """Counts one request."""
        self.sent[method] = self.sent.get(method, 0) + 1
        if status >= 400:
            self.failed.append((f"{method} {what}", status))


def changed(before: Mapping[str, object], after: Mapping[str, object]) -> dict[str, object]:
    """Attributes whose value differs; what is None at the source is skipped, as providers do."""
    return {name: value for name, value in after.items() if value is not None and before.get(name) != value}
