"""The one tree of errors: what a caller must do is in the class, who and what it concerns is in the fields.

OnefoldError
├── TransientError   retry later; may say how long to wait
├── TerminalError    this object cannot succeed: quarantine it, go on with the rest
├── RefusedError     a guard or a human must decide; nothing was sent
│   └── InUseError   another run writes the state; it will end
└── ConfigError      the configuration is wrong; all problems at once
"""

from __future__ import annotations

from dataclasses import dataclass


class OnefoldError(Exception):
    """Any failure of ours: names tenant or target, object, field and remedy where they are known."""

    def __init__(
        self,
        problem: str,
        *,
        tenant: str | None = None,
        target: str | None = None,
        object: str | None = None,  # noqa: A002 - the vocabulary's word
        field: str | None = None,
        remedy: str | None = None,
    ) -> None:
        self.problem = problem
        self.tenant = tenant
        self.target = target
        self.object = object
        self.field = field
        self.remedy = remedy
        super().__init__(str(self))

    def __str__(self) -> str:
        place = [
            f"{word} {value}"
            for word, value in (
                ("tenant", self.tenant),
                ("target", self.target),
                ("object", self.object),
                ("field", self.field),
            )
            if value
        ]
        text = f"{', '.join(place)}: {self.problem}" if place else self.problem
        return f"{text}. {self.remedy}" if self.remedy else text


class TransientError(OnefoldError):
    """The same request may succeed later; `retry_after` is in seconds when the vendor named one."""

    def __init__(self, problem: str, *, retry_after: float | None = None, **place: str | None) -> None:
        self.retry_after = retry_after
        super().__init__(problem, **place)


class TerminalError(OnefoldError):
    """The same request will never succeed; `status` is the vendor's HTTP status when there was one."""

    def __init__(self, problem: str, *, status: int | None = None, **place: str | None) -> None:
        self.status = status
        super().__init__(problem, **place)


class RefusedError(OnefoldError):
    """We refuse to go on until a human decides or the input becomes trustworthy."""


class InUseError(RefusedError):
    """Another process holds the lease on the state. Whoever may wait tries again."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault of the configuration: dotted `path`, what is wrong, what to do, and the line in the file if known."""

    path: str
    problem: str
    remedy: str
    line: int | None = None

    def __str__(self) -> str:
        where = f"{self.path} (line {self.line})" if self.line else self.path
        return f"{where}: {self.problem}. {self.remedy}"


class ConfigError(OnefoldError):
    """The configuration is wrong; `problems` lists every fault found, not the first."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        super().__init__("\n".join(str(each) for each in problems))
