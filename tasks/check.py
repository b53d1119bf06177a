"""Says whether an installation is fit: its config against what the state knows, its secrets, and live its credentials."""

from __future__ import annotations

from collections.abc import Iterator

from connectors.source import ChecksItself, Finding
from connectors.target import ChecksTarget
from core.config import vanished
from core.errors import OnefoldError
from core.model import TargetMode, TenantMode
from state.control import Control
from tasks.expiry import ending_tokens, told
from tasks.installation import Installation
from tasks.secrets import resolved


def check(inst: Installation, *, live: bool) -> list[Finding]:
    """Findings about config, state, secrets, tokens that end and, when `live`, every tenant and target."""
    return [
        *_about_config(inst),
        *_about_secrets(inst),
        *(_about_credentials(inst) if live else _about_tokens(inst)),
    ]


def _about_config(inst: Installation) -> Iterator[Finding]:
    config = inst.config
    yield Finding(
        "ok",
        inst.path.name,
        f"{len(config.tenants)} tenants, {len(config.targets)} targets, {len(config.settings.groups)} group rules",
    )
    for note in config.notes:
        yield Finding("warning", "precedence", note, "List it, so that the order is yours")
    known = Control.known_tenants(inst.state)
    for problem in vanished(config, known):
        yield Finding("error", problem.path, problem.problem, problem.remedy)
    watched = sorted(name for name, each in config.tenants.items() if each.common.mode is TenantMode.OBSERVE)
    if watched:
        yield Finding("ok", "mode", f"{', '.join(watched)}: observed only, cause no writes")
    waiting = sorted(name for name, each in config.targets.items() if each.common.mode is TargetMode.PLAN_ONLY)
    if waiting:
        yield Finding("ok", "mode", f"{', '.join(waiting)}: plan_only, nothing is applied there")


def _about_secrets(inst: Installation) -> Iterator[Finding]:
    places = [(f"tenants.{name}", each.settings) for name, each in inst.config.tenants.items()]
    places += [(f"targets.{name}", each.settings) for name, each in inst.config.targets.items()]
    for path, settings in places:
        try:
            resolved(settings, path=path, base=inst.base, blocks=inst.blocks)
        except OnefoldError as error:
            yield Finding("error", error.field or path, error.problem, error.remedy or "")


def _about_tokens(inst: Installation) -> Iterator[Finding]:
    """What a live check says of each inbox tenant itself."""
    for each in ending_tokens(inst):
        yield Finding("warning", "token", told(each))


def _about_credentials(inst: Installation) -> Iterator[Finding]:
    for name in sorted(inst.config.tenants):
        yield from _source(inst, name)
    for name in sorted(inst.config.targets):
        yield from _target(inst, name)


def _source(inst: Installation, name: str) -> Iterator[Finding]:
    try:
        source = inst.source(name)
    except OnefoldError as error:
        yield Finding("error", name, error.problem, error.remedy or "")
        return
    try:
        if isinstance(source, ChecksItself):
            yield from source.check()
        else:
            page = next(iter(source.accounts()), None)
            yield Finding(
                "ok" if page and page.received else "warning",
                name,
                f"answers; first page holds {page.received if page else 0} accounts",
            )
    except OnefoldError as error:
        yield Finding("error", name, error.problem, error.remedy or "")
    finally:
        source.close()


def _target(inst: Installation, name: str) -> Iterator[Finding]:
    try:
        target = inst.target(name)
    except OnefoldError as error:
        yield Finding("error", name, error.problem, error.remedy or "")
        return
    try:
        found = target.capabilities()
        listing = "complete listing" if found.complete_listing else "no complete listing: looks up before creating"
        yield Finding("ok", name, f"{found.product} {found.version} as {found.own_account}; {listing}")
        if isinstance(target, ChecksTarget):
            yield from target.check()
    except OnefoldError as error:
        yield Finding("error", name, error.problem, error.remedy or "")
    finally:
        target.close()
