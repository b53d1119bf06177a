"""The demo as a user runs it: it ends as it promises, and leaves no process behind, whatever happens to it."""

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

pytestmark = pytest.mark.system
ROOT = Path(__file__).parents[2]


def started(folder):
    """The demo in a folder of its own, and a mark that every process it starts inherits."""
    mark = uuid.uuid4().hex
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "DEMO_MARK": mark, "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "sandbox.demo"],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    return process, mark


def alive(mark):
    """Command lines of living processes that bear the mark."""
    found = []
    for each in Path("/proc").iterdir():
        try:
            if each.name.isdigit() and f"DEMO_MARK={mark}".encode() in (each / "environ").read_bytes():
                found.append((each / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue  # it ended meanwhile, or is somebody else's
    return found


def test_the_demo_ends_as_it_promises(tmp_path):
    """Within two minutes: an unchanged run writes nothing, the partner's forty arrive and its leaver is disabled in both within seconds."""
    began = time.monotonic()
    process, mark = started(tmp_path)
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    assert time.monotonic() - began < 120
    figures = json.loads(out.partition(" s: ")[2].splitlines()[0])
    assert figures["unchanged"] == {"jira": 0, "confluence": 0}
    assert figures["partner"]["people"] == 40
    assert set(figures["partner"]["disabled_seconds"]) == {"jira", "confluence"}
    assert max(figures["partner"]["disabled_seconds"].values()) < 20
    assert "disabled in Jira after" in out
    assert alive(mark) == []


@pytest.mark.parametrize("step", ["1. Who is there?", "40 people pushed"])
def test_a_demo_that_is_told_to_stop_leaves_nothing_running(tmp_path, step):
    """SIGTERM in the middle ends the SCIM servers, the inbox and its runner too."""
    process, mark = started(tmp_path)
    try:
        for line in process.stdout:
            if step in line:
                break
        assert len(alive(mark)) > 2
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=90)
        assert process.returncode == 143, err
        assert alive(mark) == []
    finally:
        process.kill()
        process.wait()
