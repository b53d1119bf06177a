"""Holds the house: packages resolve inside the checkout, names do not collide, docs speak of what exists."""

import importlib
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("core", "connectors", "state", "tasks", "flows", "sandbox")


@pytest.mark.parametrize("name", PACKAGES)
def test_packages_resolve_inside_the_checkout(name):
    """A package of ours is the one of this checkout, not a stranger of the same name on the path."""
    assert Path(importlib.import_module(name).__file__).is_relative_to(ROOT)


def test_no_flow_is_named_like_a_package():
    """A module in flows/ never shadows a top-level package when a tool puts flows/ on the path."""
    assert not {path.stem for path in (ROOT / "flows").glob("*.py")} & set(PACKAGES)


def test_locks_hold_hashes_and_no_address():
    """Every pinned line is hashed, and no lock names an index or a URL."""
    for lock in ROOT.glob("requirements*.lock"):
        text = lock.read_text()
        assert "://" not in text, lock.name
        pins = re.findall(r"^[a-z0-9][^\n]*==[^\n]*", text, flags=re.MULTILINE)
        assert pins
        assert all(pin.rstrip().endswith("\\") for pin in pins), lock.name


def test_connectors_are_documented():
    """A connector that the docs do not mention fails the build."""
    for kind in (*(ROOT / "connectors/sources").glob("[a-z]*.py"), *(ROOT / "connectors/targets").glob("[a-z]*.py")):
        assert (ROOT / "docs/vendors" / f"{kind.stem}.md").exists(), f"docs/vendors/{kind.stem}.md is missing"


def test_sql_files_ask_a_question():
    """Each SQL file starts with a comment that says its question."""
    for path in (ROOT / "state/sql").glob("*.sql"):
        assert path.read_text().startswith("-- "), path.name


def test_commands_are_documented():
    """A command that README and docs do not mention fails the build."""
    from flows.cli import app, register

    register()
    text = "\n".join(path.read_text() for path in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md")))
    names = [command.name or command.callback.__name__ for command in app.registered_commands]
    assert names
    assert [name for name in names if f"onefold {name}" not in text] == []


def test_nothing_of_this_machine_is_tracked():
    """No tracked text names the folder of this checkout or an index."""
    files = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    for name in files:
        path = ROOT / name
        if path.suffix in {".py", ".md", ".toml", ".yaml", ".lock", ".sql", ""} and path.is_file():
            assert f"{ROOT}/" not in path.read_text(errors="ignore"), name
