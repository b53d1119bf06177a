"""What no single setting can know: attributes and group rules that speak of things which do not exist, or cannot do what is said."""

from __future__ import annotations

import difflib

from core.document import Document
from core.errors import Problem
from core.frames import ATTRIBUTE_TYPES, ATTRIBUTES, LISTS, PERSON_ATTRIBUTES, TEXTS
from core.settings import Settings


def near(word: str, known: list[str]) -> str:
    """A remedy for an unknown name: the known one that is nearest, else all of them."""
    near = difflib.get_close_matches(word, known, n=1)
    return f"Did you mean {near[0]!r}?" if near else f"Known: {', '.join(sorted(known))}"


def _unfit(step: str) -> tuple[str, str] | None:
    """Problem and remedy of a fallback that is no expression over persons."""
    from core.expression import check

    types = {name: ATTRIBUTE_TYPES[name] for name in PERSON_ATTRIBUTES}
    why = check(step, roots={"person": types})
    if why is None:
        return None
    problem, _, remedy = why.partition("; ")
    return problem, remedy[:1].upper() + remedy[1:]


def attribute_checks(settings: Settings, names: list[str], document: Document) -> list[Problem]:
    """What `attributes` says of tenants that do not exist, or of attributes that cannot do it."""
    problems: list[Problem] = []

    def say(path: str, problem: str, remedy: str) -> None:
        problems.append(Problem(path, problem, remedy, document.line(path)))

    for attribute, rule in settings.attributes.items():
        path = f"attributes.{attribute}"
        if attribute not in PERSON_ATTRIBUTES:
            said = "is decided for each account" if attribute in ATTRIBUTES else "is not an attribute"
            say(path, said, near(attribute, list(PERSON_ATTRIBUTES)))
            continue
        if attribute == "active":
            say(path, "is decided by the status rule", "Write `status: {rule: …}`")
        lists = {
            f"{path}.prefer": rule.prefer,
            **{f"{path}.per_class.{kind}": each for kind, each in rule.per_class.items()},
        }
        for where, prefer in lists.items():
            for place, name in enumerate(prefer):
                if name not in names:
                    say(f"{where}.{place}", f"tenant {name!r} does not exist", near(name, names))
        if rule.only and not rule.prefer:
            say(f"{path}.only", "leaves nobody who may say it", "Name those who may in `prefer`")
        if rule.merge == "union" and attribute not in LISTS:
            say(
                f"{path}.merge",
                "is for attributes with several values",
                f"Only {', '.join(sorted(LISTS))} can be united",
            )
        if rule.fallback and attribute not in TEXTS:
            say(f"{path}.fallback", "is for attributes that are text", "Leave it out")
        for place, step in enumerate(rule.fallback):
            if step == attribute:
                say(f"{path}.fallback.{place}", "falls back on itself", "Name another attribute")
            elif step in PERSON_ATTRIBUTES and step not in TEXTS:
                say(f"{path}.fallback.{place}", f"{step} is no text", "Write SQL that makes a text of it")
            elif step not in PERSON_ATTRIBUTES and (why := _unfit(step)):
                say(f"{path}.fallback.{place}", *why)
    return problems


def group_checks(settings: Settings, names: list[str], target_names: list[str], document: Document) -> list[Problem]:
    """Group rules whose tenants or targets do not exist, or that do not say what they take."""
    problems: list[Problem] = []

    def say(path: str, problem: str, remedy: str) -> None:
        problems.append(Problem(path, problem, remedy, document.line(path)))

    for place, rule in enumerate(settings.groups):
        for number, side in enumerate(rule.sides):
            path = f"groups.{place}.from" if rule.source is not None else f"groups.{place}.join.{number}"
            if side.tenant not in names:
                say(f"{path}.tenant", f"tenant {side.tenant!r} does not exist", near(side.tenant, names))
            if side.everyone and (side.name or side.native_id):
                say(
                    f"{path}.everyone",
                    "is no group: it has neither name nor native_id",
                    "Leave them out, or leave it out",
                )
            if not (side.name or side.native_id or side.where or side.everyone):
                say(path, "takes every group of the tenant", "Say name, native_id or where; name: '*' if you mean all")
        for name in rule.targets or ():
            if name not in target_names:
                say(f"groups.{place}.targets", f"target {name!r} does not exist", near(name, target_names))
    return problems
