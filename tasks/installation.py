"""One installation: its validated config, the folders beside it, the clock. What every step is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path

from pydantic import BaseModel

from connectors.source import Source, SourceContext, source_class, source_kinds
from connectors.target import Target, TargetContext, target_class, target_kinds
from core.config import Config, json_schema, parse
from core.document import read
from core.errors import ConfigError, Problem
from tasks.secrets import Blocks, resolved

Progress = Callable[[str, int, int | None], None]
"""Told what goes on: subject, done, of how many (None: nobody knows)."""


def _quiet(_subject: str, _done: int, _total: int | None) -> None:
    """Progress that nobody watches."""


def utc_now() -> datetime:
    """Now, in UTC, without zone, as everything is stored."""
    return datetime.now(UTC).replace(tzinfo=None)


@dataclass(frozen=True)
class Installation:
    """Config, its file, and the way to the outside. `base` is the folder of the config: relative paths start there."""

    config: Config
    path: Path
    clock: Callable[[], datetime] = utc_now
    blocks: Blocks | None = None
    progress: Progress = field(default=_quiet)

    @property
    def base(self) -> Path:
        """The folder of the config file."""
        return self.path.parent

    @property
    def state(self) -> Path:
        """The state folder."""
        return self.base / self.config.settings.state

    @property
    def landing(self) -> Path | str:
        """Where extracts land: a folder, or an fsspec URL."""
        chosen = self.config.settings.landing
        if chosen and "://" in chosen:
            return chosen
        return self.base / chosen if chosen else self.state / "landing"

    def today(self) -> date:
        """The date in the directory's time zone."""
        return self.clock().replace(tzinfo=UTC).astimezone(self.config.zone).date()

    def source(self, tenant: str) -> Source:
        """Opens the connector of a tenant. RefusedError when a secret is missing."""
        chosen = self.config.tenants[tenant]
        secrets = resolved(chosen.settings, path=f"tenants.{tenant}", base=self.base, blocks=self.blocks)
        context = SourceContext(tenant=tenant, now=self.clock(), secrets=secrets, base=self.base, state=self.state)
        return source_class(chosen.common.kind)(chosen.settings, context)

    def target(self, name: str) -> Target:
        """Opens the connector of a target. RefusedError when a secret is missing."""
        chosen = self.config.targets[name]
        secrets = resolved(chosen.settings, path=f"targets.{name}", base=self.base, blocks=self.blocks)
        context = TargetContext(target=name, now=self.clock(), secrets=secrets, base=self.base)
        return target_class(chosen.common.kind)(chosen.settings, context)


def source_settings(kind: str) -> type[BaseModel]:
    """Settings of a kind of tenant. KeyError with the known kinds."""
    return source_class(kind).Settings


def target_settings(kind: str) -> type[BaseModel]:
    """Settings of a kind of target. KeyError with the known kinds."""
    return target_class(kind).Settings


def load(path: Path) -> Config:
    """Reads and validates the file. ConfigError with every problem at once."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        problem = Problem(str(path), "does not exist", "Write one with `onefold init`, or name yours with --config")
        raise ConfigError([problem]) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([Problem(str(path), f"cannot be read: {error}", "Make it a readable UTF-8 text")]) from error
    return parse(read(text, name=path.name), sources=source_settings, targets=target_settings)


def schema() -> dict[str, object]:
    """JSON Schema of `onefold.yaml` with every known kind."""
    return json_schema(
        {kind: source_settings(kind) for kind in source_kinds()},
        {kind: target_settings(kind) for kind in target_kinds()},
    )
