import importlib.util
import shutil
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import httpx
import pytest

from connectors.new import main, written
from connectors.source import Source, SourceContext

ROOT = Path(__file__).parents[2]


def loaded(path):
    spec = importlib.util.spec_from_file_location(f"new_{path.stem}", path)
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_new_connector_is_a_source(tmp_path):
    """What the scaffolder writes is a working source: it reads a page and sets aside what has no id."""
    source_file, *_ = written(tmp_path, "ping_one")
    module = loaded(source_file)
    answers = httpx.MockTransport(lambda _: httpx.Response(200, json=[{"id": "1", "login": "ada"}, {"login": "bo"}]))
    context = SourceContext("corp", datetime.fromisoformat("2026-11-24"), {"token": "t"}, transport=answers)
    source = module.PingOne(module.PingOneSettings(url="http://x.example", token="env:T"), context)
    assert isinstance(source, Source)
    (page,) = source.accounts()
    assert page.rows == [{"native_id": "1", "user_name": "ada"}]
    assert (page.received, len(page.rejected)) == (2, 1)


def test_what_is_written_is_clean(tmp_path):
    """The three files pass the linter as they are, so that a newcomer starts from green."""
    ruff = shutil.which("ruff") or str(Path(sys.executable).parent / "ruff")
    for folder in ("connectors", "connectors/sources"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "__init__.py").touch()
    paths = [path for path in written(tmp_path, "ping_one") if path.suffix == ".py"]
    command = [ruff, "check", "--config", str(ROOT / "pyproject.toml"), "--no-cache", *map(str, paths)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("kind", ["Okta", "ping-one", "../x", "class", ""])
def test_names_that_cannot_be_kinds(tmp_path, kind):
    """A name that is no module name is refused and nothing is written."""
    with pytest.raises(ValueError, match="cannot be a kind"):
        written(tmp_path, kind)
    assert not list(tmp_path.rglob("*"))


def test_nothing_is_overwritten(capsys):
    """A kind that exists is left alone; the command says so and ends with 2."""
    assert main(["scim"]) == 2
    assert "exists already" in capsys.readouterr().err
    assert main([]) == 2
