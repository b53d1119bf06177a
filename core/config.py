"""A valid configuration from a document: every fault of the file is found at once. Shapes are in `settings`; reading files is not here."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, TypeAdapter, ValidationError

from core.config_checks import attribute_checks, group_checks
from core.config_checks import near as _near
from core.document import Document
from core.errors import ConfigError, Problem
from core.model import Right
from core.settings import (
    BUILT_IN_PROTECTION,
    DEFAULT_RIGHTS,
    SEVERAL,
    Protect,
    Settings,
    Strict,
    TargetSettings,
    TenantSettings,
)


@dataclass(frozen=True)
class TenantConfig:
    """One tenant: the settings all kinds share, and its own kind's."""

    name: str
    common: TenantSettings
    settings: BaseModel
    rank: int

    @property
    def may(self) -> frozenset[Right]:
        """What it may cause."""
        if self.common.may is not None:
            return self.common.may
        return DEFAULT_RIGHTS.get(self.common.kind, frozenset(Right))

    @property
    def freshness(self) -> timedelta:
        """How old its newest read may be and still give evidence of absence."""
        return self.common.freshness or max(2 * self.common.interval, timedelta(hours=1))


@dataclass(frozen=True)
class TargetConfig:
    """One target: the settings all kinds share, and its own kind's."""

    name: str
    common: TargetSettings
    settings: BaseModel


@dataclass(frozen=True)
class Config:
    """A valid configuration, with the document that gives lines to paths."""

    settings: Settings
    tenants: dict[str, TenantConfig]
    targets: dict[str, TargetConfig]
    document: Document
    notes: tuple[str, ...] = ()

    @property
    def zone(self) -> ZoneInfo:
        """The directory's time zone."""
        return ZoneInfo(self.settings.timezone)

    @property
    def rules(self) -> dict[str, object]:
        """What decides about people: every setting whose change may change a plan, as plain JSON values."""
        whole: dict[str, object] = {**_dumped(self.settings)}
        for name in ("state", "landing", "schedule", "keep", "run"):
            whole.pop(name, None)
        whole["tenants"] = {
            name: {**_dumped(tenant.settings), **_dumped(tenant.common)}
            for name, tenant in sorted(self.tenants.items())
        }
        whole["targets"] = {
            name: {**_dumped(each.settings), **_dumped(each.common)} for name, each in sorted(self.targets.items())
        }
        return whole

    @property
    def digest(self) -> str:
        """sha256 over `rules`, hex."""
        text = json.dumps(self.rules, sort_keys=True, separators=(",", ":"), default=sorted)
        return hashlib.sha256(text.encode()).hexdigest()

    def protected(self) -> Protect:
        """The built-in list and the declared one."""
        declared = self.settings.protect
        return Protect(
            users=BUILT_IN_PROTECTION.users + declared.users,
            groups=BUILT_IN_PROTECTION.groups + declared.groups,
        )


def _dumped(settings: BaseModel) -> dict[str, object]:
    """Settings as plain values, the same in every process: sets in order, whatever their hashes."""
    ordered = {name: _ordered(value) for name, value in settings.model_dump(mode="python", by_alias=True).items()}
    whole: dict[str, object] = json.loads(TypeAdapter(dict[str, Any]).dump_json(ordered))
    return whole


def _ordered(value: object) -> object:
    if isinstance(value, set | frozenset):
        return sorted(map(str, value))
    if isinstance(value, dict):
        return {name: _ordered(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_ordered(each) for each in value]
    return value


Kinds = Callable[[str], type[BaseModel]]
"""From a kind to its Settings; KeyError with the known kinds in its text when there is none."""


def _problems(error: ValidationError, prefix: str, document: Document, fields: list[str]) -> list[Problem]:
    found = []
    for each in error.errors(include_url=False):
        place = [part for part in each["loc"] if part not in {SEVERAL, "[key]"}]
        path = ".".join([prefix, *(str(part) for part in place)]).strip(".")
        kind = each["type"]
        if kind == "extra_forbidden":
            problem, remedy = (
                "is not a setting",
                _near(str(place[-1]), fields if len(place) == 1 else _siblings(place)),
            )
        elif kind == "missing":
            problem, remedy = "is missing", "Add it"
        elif each["msg"].startswith("Value error, "):
            problem, _, remedy = each["msg"].removeprefix("Value error, ").partition("; ")
            remedy = remedy or "Correct the value"
        else:
            problem = each["msg"][:1].lower() + each["msg"][1:]
            remedy = (
                "Correct the value"
                if isinstance(each["input"], dict | list)
                else f"Found {_shown(path, each['input'])}"
            )
        found.append(Problem(path, problem, remedy, document.line(path)))
    return found


def _siblings(location: Sequence[int | str]) -> list[str]:
    """Known settings beside the unknown one, found by walking the model."""
    model: Any = Settings
    for part in location[:-1]:
        if isinstance(part, int):
            continue
        info = getattr(model, "model_fields", {}).get(part) or next(
            (each for each in getattr(model, "model_fields", {}).values() if each.alias == part), None
        )
        model = next(_models(getattr(info, "annotation", None)), None)
        if model is None:
            return []
    return [info.alias or name for name, info in model.model_fields.items()]


def _models(kind: Any) -> Iterator[type[BaseModel]]:
    """Models within a type, however it wraps them."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        yield kind
    for each in getattr(kind, "__args__", ()):
        yield from _models(each)


SECRET_FIELD = re.compile(r"secret|token|password|key|credential", re.IGNORECASE)


def _shown(path: str, value: object) -> str:
    if SECRET_FIELD.search(path.rpartition(".")[2]):
        return "a value that is not shown here"
    return repr(value)[:60]


def _split(
    name: str, raw: object, *, common: type[Strict], kinds: Kinds, prefix: str, document: Document
) -> tuple[Any, Any, list[Problem]]:
    """One tenant or target: its common settings and its kind's, or the problems."""
    path = f"{prefix}.{name}"
    if not isinstance(raw, dict):
        return None, None, [Problem(path, "must be a mapping", "Write {kind: …, …}", document.line(path))]
    kind = raw.get("kind")
    if not isinstance(kind, str):
        return None, None, [Problem(f"{path}.kind", "is missing", "Say which connector reads it", document.line(path))]
    try:
        model = kinds(kind)
    except KeyError as error:
        return (
            None,
            None,
            [Problem(f"{path}.kind", str(error.args[0]), "Choose one of them", document.line(f"{path}.kind"))],
        )
    shared = set(common.model_fields)
    own = {info.alias or key for key, info in model.model_fields.items()} | set(model.model_fields)
    problems: list[Problem] = [
        Problem(
            f"{path}.{key}", "is not a setting", _near(str(key), sorted(shared | own)), document.line(f"{path}.{key}")
        )
        for key in raw
        if key not in shared | own
    ]
    first = second = None
    try:
        first = common.model_validate({key: value for key, value in raw.items() if key in shared})
    except ValidationError as error:
        problems += _problems(error, path, document, sorted(shared | own))
    try:
        second = model.model_validate({key: value for key, value in raw.items() if key in own})
    except ValidationError as error:
        problems += [each for each in _problems(error, path, document, sorted(shared | own)) if each not in problems]
    return first, second, problems


def parse(document: Document, *, sources: Kinds, targets: Kinds) -> Config:
    """Validates the whole document. ConfigError with every problem at once; notes say what is legal but surprising."""
    problems: list[Problem] = []
    settings = Settings(directory="invalid")
    try:
        settings = Settings.model_validate(document.data)
    except ValidationError as error:
        problems += _problems(error, "", document, list(Settings.model_fields))
    raw_tenants = document.data.get("tenants")
    raw_targets = document.data.get("targets")
    names = [str(name) for name in raw_tenants] if isinstance(raw_tenants, dict) else []
    order = [name for name in settings.precedence if name in names]
    order += [name for name in sorted(names) if name not in order]
    tenants: dict[str, TenantConfig] = {}
    for name, raw in raw_tenants.items() if isinstance(raw_tenants, dict) else ():
        common, own, found = _split(
            str(name), raw, common=TenantSettings, kinds=sources, prefix="tenants", document=document
        )
        problems += found
        if common is not None and own is not None:
            tenants[str(name)] = TenantConfig(str(name), common, own, order.index(str(name)))
    aims: dict[str, TargetConfig] = {}
    for name, raw in raw_targets.items() if isinstance(raw_targets, dict) else ():
        common, own, found = _split(
            str(name), raw, common=TargetSettings, kinds=targets, prefix="targets", document=document
        )
        problems += found
        if common is not None and own is not None:
            aims[str(name)] = TargetConfig(str(name), common, own)
    target_names = [str(name) for name in raw_targets] if isinstance(raw_targets, dict) else []
    problems += _cross_checks(settings, names, target_names, tenants, document)
    if problems:
        unique = list(dict.fromkeys(problems))
        raise ConfigError(sorted(unique, key=lambda each: (each.line or 0, each.path)))
    unlisted = [name for name in names if name not in settings.precedence]
    notes = tuple(
        f"tenant {name} is not listed in precedence and ranks last" for name in sorted(unlisted) if len(names) > 1
    )
    return Config(settings, tenants, aims, document, notes)


def _cross_checks(
    settings: Settings, names: list[str], target_names: list[str], tenants: dict[str, TenantConfig], document: Document
) -> list[Problem]:
    """What no single field can know: names that point nowhere, domains claimed twice, unknown zones."""
    problems: list[Problem] = []

    def say(path: str, problem: str, remedy: str) -> None:
        problems.append(Problem(path, problem, remedy, document.line(path)))

    try:
        ZoneInfo(settings.timezone)
    except (ZoneInfoNotFoundError, ValueError):
        say("timezone", f"{settings.timezone!r} is no time zone", "Write one of the IANA names, such as Europe/Berlin")
    for place, name in enumerate(settings.precedence):
        if name not in names:
            say(f"precedence.{place}", f"tenant {name!r} does not exist", _near(name, names))
    problems += attribute_checks(settings, names, document)
    problems += group_checks(settings, names, target_names, document)
    for issuer, members in settings.match.issuers.items():
        for place, name in enumerate(members):
            if name not in names:
                say(f"match.issuers.{issuer}.{place}", f"tenant {name!r} does not exist", _near(name, names))
            elif sum(name in others for others in settings.match.issuers.values()) > 1:
                say(f"match.issuers.{issuer}.{place}", f"tenant {name!r} has two issuers", "Name each tenant once")
    owners: dict[str, str] = {}
    for name, tenant in tenants.items():
        for domain in tenant.common.verified_domains:
            if (other := owners.setdefault(domain.casefold(), name)) != name:
                say(
                    f"tenants.{name}.verified_domains",
                    f"{domain} is verified by {other} too",
                    "One domain belongs to one tenant",
                )
        if tenant.common.renamed_from in names:
            say(
                f"tenants.{name}.renamed_from",
                f"tenant {tenant.common.renamed_from!r} still exists",
                "Remove one of the two",
            )
    return problems


def vanished(config: Config, known: Mapping[str, int]) -> list[Problem]:
    """Tenants that the state knows and the config no longer names (design, words: a tenant's name is permanent)."""
    renamed = {tenant.common.renamed_from for tenant in config.tenants.values()}
    return [
        Problem(
            f"tenants.{name}",
            "was read before and is gone from the config",
            f"Put it back; or write `renamed_from: {name}` at its new name; or keep it with `retired: true`",
            config.document.line("tenants"),
        )
        for name in sorted(known)
        if name not in config.tenants and name not in renamed
    ]


def json_schema(sources: Mapping[str, type[BaseModel]], targets: Mapping[str, type[BaseModel]]) -> dict[str, Any]:
    """JSON Schema of the whole file, with one branch per kind of tenant and target."""
    schema = Settings.model_json_schema(by_alias=True)
    for section, common, kinds in (("tenants", TenantSettings, sources), ("targets", TargetSettings, targets)):
        branches = []
        for kind, model in sorted(kinds.items()):
            shared, own = common.model_json_schema(by_alias=True), model.model_json_schema(by_alias=True)
            for part in (shared, own):
                schema.setdefault("$defs", {}).update(part.pop("$defs", {}))
            branches.append(
                {
                    "title": kind,
                    "type": "object",
                    "properties": {**shared["properties"], **own.get("properties", {}), "kind": {"const": kind}},
                    "required": sorted({"kind", *own.get("required", ())}),
                    "additionalProperties": False,
                }
            )
        schema["properties"][section]["additionalProperties"] = {"oneOf": branches}
    return schema
