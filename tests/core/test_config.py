"""The config: every fault at once, each with path, line and remedy; digests that move only with what decides."""

import contextlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from core.config import json_schema, parse, vanished
from core.document import read
from core.errors import ConfigError
from core.model import Right
from core.settings import SecretRef, Settings, Span, Strict


class Pull(Strict):
    kind: str
    url: str
    token: SecretRef
    patience: Span | None = None


class Export(Strict):
    kind: str
    glob: str


def sources(kind: str) -> type[BaseModel]:
    kinds = {"scim": Pull, "files": Export}
    if kind not in kinds:
        raise KeyError(f"unknown kind {kind!r}; known: files, scim")
    return kinds[kind]


GOOD = """
directory: acme
precedence: [corp, hr]
tenants:
  corp: {kind: scim, url: http://corp.example, token: env:CORP, mode: live, interval: 10m}
  hr: {kind: files, glob: hr.csv}
targets:
  jira: {kind: scim, url: http://jira.example, token: env:JIRA}
groups:
  - {from: {tenant: corp, name: "jira-*"}, to: "lower(group_name)"}
"""


def config(text=GOOD):
    return parse(read(text), sources=sources, targets=sources)


def problems(text):
    with pytest.raises(ConfigError) as caught:
        config(text)
    return {each.path: each for each in caught.value.problems}


def test_good_config_has_defaults_of_the_interface():
    """An unsaid mode is observe and plan_only, files may not deactivate, limits are the built-in ones."""
    good = config(GOOD.replace("mode: live, ", ""))
    assert good.tenants["corp"].common.mode == "observe"
    assert good.targets["jira"].common.mode == "plan_only"
    assert Right.DEACTIVATE not in good.tenants["hr"].may
    assert Right.DEACTIVATE in good.tenants["corp"].may
    assert good.settings.limits.deactivate.absent.most(1000) == 3


@pytest.mark.parametrize(
    ("old", "wrong", "path", "says"),
    [
        ("mode: live", "mode: alive", "tenants.corp.mode", "observe"),
        ("mode: live", "mod: live", "tenants.corp.mod", "Did you mean 'mode'"),
        ("token: env:CORP", "token: s3cr3t", "tenants.corp.token", "literal secret is refused"),
        ("token: env:CORP, ", "", "tenants.corp.token", "is missing"),
        ("interval: 10m", "interval: soon", "tenants.corp.interval", "30s, 15m"),
        ("kind: files", "kind: fles", "tenants.hr.kind", "known: files, scim"),
        ("precedence: [corp, hr]", "precedence: [corp, hrr]", "precedence.1", "Did you mean 'hr'"),
        ("tenant: corp, name", "tenant: cop, name", "groups.0.from.tenant", "Did you mean 'corp'"),
        ("directory: acme", "directory: Acme Inc", "directory", "match"),
        ("directory: acme", "directory: acme\ntimezone: Mars/North", "timezone", "IANA"),
        (
            "directory: acme",
            "directory: acme\nattributes: {tittle: {prefer: [hr]}}",
            "attributes.tittle",
            "Did you mean 'title'",
        ),
        (
            "directory: acme",
            "directory: acme\nlimits: {deactivate: {explicit: {flor: 1}}}",
            "limits.deactivate.explicit.flor",
            "floor",
        ),
        ('name: "jira-*"}', "}", "groups.0.from", "name: '*'"),
        (
            "directory: acme",
            "directory: acme\nmatch: {issuers: {acme-hr: [corp, hrr]}}",
            "match.issuers.acme-hr.1",
            "Did you mean 'hr'",
        ),
        ("directory: acme", "directory: acme\nclasses: {robot: 'true'}", "classes.robot", "is not a setting"),
    ],
)
def test_each_fault_names_path_line_and_remedy(old, wrong, path, says):
    """One wrong word gives one problem at its own path and line, with what to do."""
    assert old in GOOD
    text = GOOD.replace(old, wrong, 1)
    found = problems(text)
    assert path in found
    assert says in str(found[path])
    assert found[path].line is not None
    assert found[path].remedy


def test_all_faults_come_at_once():
    """Three faults in three places are three problems of one error."""
    found = problems(
        GOOD.replace("live", "alive")
        .replace("fles", "x")
        .replace("kind: files", "kind: nix")
        .replace("[corp, hr]", "[x]")
    )
    assert {"tenants.corp.mode", "tenants.hr.kind", "precedence.0"} <= set(found)


def test_a_literal_secret_is_never_shown():
    """The error about a literal secret does not repeat it, whatever else is wrong with it."""
    for literal in ("hunter2hunter2", "12345", "[a, hunter2hunter2]"):
        with pytest.raises(ConfigError) as caught:
            config(GOOD.replace("env:CORP", literal))
        assert "hunter2" not in str(caught.value)
        assert "12345" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "- a", "a: [", "a: 1\na: 2", "\t"])
def test_what_is_no_config_says_so(text):
    """Empty files, lists, syntax errors and keys that stand twice are config errors, not tracebacks."""
    with pytest.raises(ConfigError):
        config(text)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from([*Settings.model_fields, "kind", "corp"]), inner, max_size=4)
        ),
        max_leaves=12,
    )
)
def test_no_document_escapes_as_another_error(value):
    """Whatever stands in the file: a Config or a ConfigError, never a traceback."""
    import yaml

    with contextlib.suppress(ConfigError):
        assert config(yaml.safe_dump(value)).digest


def test_vanished_and_renamed_tenants():
    """A tenant the state knows and the config does not is an error, unless it was renamed or is retired."""
    known = {"corp": 1, "hr": 2, "plant": 3}
    assert [each.path for each in vanished(config(), known)] == ["tenants.plant"]
    renamed = config(GOOD.replace("hr: {kind: files,", "hr: {kind: files, renamed_from: plant,"))
    assert vanished(renamed, known) == []


def test_one_domain_belongs_to_one_tenant():
    """Two tenants cannot both verify a domain."""
    text = GOOD.replace("interval: 10m", "verified_domains: [A.example]").replace(
        "glob: hr.csv", "glob: hr.csv, verified_domains: [a.example]"
    )
    assert "tenants.hr.verified_domains" in problems(text)


def test_digest_moves_with_what_decides_and_only_then():
    """Comments, schedules and retention do not change the config digest; a limit and a mode do."""
    base = config().digest
    assert config("# hello\n" + GOOD + "keep: {snapshots: 3}\nschedule: {sync: '0 * * * *'}\n").digest == base
    assert config(GOOD + "limits: {rename_user: {floor: 1}}\n").digest != base
    assert config(GOOD.replace("mode: live, ", "")).digest != base


def test_schema_lists_every_kind_as_a_branch():
    """The JSON Schema has a branch for each kind, with its own and the common settings."""
    schema = json_schema({"scim": Pull, "files": Export}, {"scim": Pull})
    branches = schema["properties"]["tenants"]["additionalProperties"]["oneOf"]
    assert [branch["title"] for branch in branches] == ["files", "scim"]
    assert {"mode", "glob"} <= set(branches[0]["properties"])
    assert re.search("env:", str(branches[1]["properties"]["token"]))


def test_the_digest_is_the_same_in_every_process():
    """Sets have another order in each process; the digest, by which a changed config is known, does not."""
    words = "from tests.core.test_config import parse, read, sources; print(parse(read(open(0).read()), sources=sources, targets=sources).digest)"
    text = "directory: acme\nprecedence: [corp]\ntenants: {corp: {kind: files, glob: a, may: [create, update, groups, attributes]}}\n"
    digests = {
        subprocess.run(
            [sys.executable, "-c", words],
            input=text,
            env={**os.environ, "PYTHONHASHSEED": str(seed)},
            cwd=Path(__file__).parent.parent.parent,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in range(4)
    }
    assert len(digests) == 1


@pytest.mark.parametrize(
    ("attributes", "path", "words"),
    [
        ("job_title: {prefer: [hr]}", "attributes.job_title", "is not an attribute"),
        ("manager_id: {prefer: [hr]}", "attributes.manager_id", "is decided for each account"),
        ("active: {prefer: [hr]}", "attributes.active", "is decided by the status rule"),
        ("title: {prefer: [hrr]}", "attributes.title.prefer.0", "does not exist"),
        ("title: {per_class: {service: [hrr]}}", "attributes.title.per_class.service.0", "does not exist"),
        ("title: {per_class: {robot: [hr]}}", "attributes.title.per_class.robot", "input should be"),
        ("title: {only: true}", "attributes.title.only", "leaves nobody"),
        ("title: {merge: union}", "attributes.title.merge", "several values"),
        ("aliases: {fallback: [email]}", "attributes.aliases.fallback", "that are text"),
        ("title: {fallback: [title]}", "attributes.title.fallback.0", "falls back on itself"),
        ("title: {fallback: [aliases]}", "attributes.title.fallback.0", "is no text"),
        ("title: {fallback: ['person.titel']}", "attributes.title.fallback.0", "does not exist"),
        ("title: {fallback: ['(SELECT 1)']}", "attributes.title.fallback.0", "subquery"),
        ("title: {nulls: perhaps}", "attributes.title.nulls", "input should be"),
    ],
)
def test_a_fault_in_attributes_is_one_clear_error(attributes, path, words):
    """What `attributes` cannot mean is refused with its place and a remedy."""
    found = list(problems(f"{GOOD}attributes:\n  {attributes}\n").values())
    assert [(each.path, words in each.problem) for each in found] == [(path, True)]
    assert found[0].remedy


def test_what_attributes_and_status_may_say():
    """Every setting of an attribute in one place; `on` and `off` are words, whatever YAML makes of them."""
    text = (
        GOOD + "attributes:\n  title: {prefer: [hr], per_class: {service: [corp]}, only: true, nulls: skip, "
        "fallback: [department, \"person.given_name || ' of ' || person.company\"]}\n  aliases: {merge: union}\n"
        "status: {leave: inactive, words: {Elternzeit: leave, weg: off, da: on}}\n"
    )
    found = config(text).settings
    assert found.attributes["title"].per_class == {"service": ("corp",)}
    assert found.attributes["aliases"].merge == "union"
    assert found.status.words == {"Elternzeit": "leave", "weg": "off", "da": "on"}
