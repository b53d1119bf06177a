"""Each tenant has its own cadence, and a run may die between landing an extract and taking it in: nothing is lost, doubled or read in vain."""

import os
import signal
import subprocess
import sys
from datetime import timedelta

import pytest

from flows import order
from sandbox.serve import Sandbox
from state.landing import manifests, newest_first
from state.snapshot import Snapshot
from tasks import read as reading
from tasks.installation import Installation, load, utc_now
from tests.company import CONFIG, ROOT, Company, environment, people, seed

PACED = CONFIG.replace("kind: files\n    mode: live\n    may: [create", "kind: files\n    interval: 1h\n    mode: live\n    may: [create").replace(
    "kind: files\n    mode: live\n    may: [attributes]", "kind: files\n    interval: 1d\n    mode: live\n    may: [attributes]"
)  # fmt: skip
DIE = """
import os, signal, sys
from flows import order
from tasks.installation import Installation, load, utc_now
from dataclasses import replace
from pathlib import Path
path = Path(sys.argv[1])
inst = Installation(load(path), path, clock=utc_now)
def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)
order.plan(inst, order.What(tenants=("corp",)), steps=replace(order.PLAIN, consolidate=die))
"""


@pytest.fixture
def company(tmp_path):
    with Sandbox(seed()) as box:
        made = Company(tmp_path / "acme", box, people(6), {"Jira-A": ["c001", "c002"]})
        made.write(PACED)
        yield made


def at(company, hours):
    """The company's installation, so many hours from now."""
    path = company.folder / "onefold.yaml"
    return Installation(load(path), path, clock=lambda: utc_now() + timedelta(hours=hours))


def landed(company, tenant="corp"):
    return manifests(company.folder / ".onefold" / "landing", tenant)


def names(company):
    with Snapshot.open(company.folder / ".onefold") as snapshot:
        return set(snapshot.query("SELECT user_name FROM accounts WHERE gone IS NULL").to_series())


def killed(company):
    """Reads corp, lands it, and is killed before it is taken in."""
    child = subprocess.run(
        [sys.executable, "-c", DIE, str(company.folder / "onefold.yaml")],
        cwd=ROOT,
        env={**os.environ, **company.environment},
        check=False,
        timeout=120,
    )
    assert child.returncode == -signal.SIGKILL


def test_only_what_is_due_is_read(company):
    """After an hour corp is read again and hr is not; what hr said last still counts."""
    with environment(company.environment):
        order.plan(at(company, 0), order.What(only_due=True))
        order.plan(at(company, 0.5), order.What(only_due=True))
        assert (len(landed(company)), len(landed(company, "hr"))) == (1, 1)
        order.plan(at(company, 2), order.What(only_due=True))
        assert (len(landed(company)), len(landed(company, "hr"))) == (2, 1)
        assert "nobody@hr.example" in str(names(company)) or len(names(company)) >= 6
        order.plan(at(company, 30), order.What(only_due=True))
        assert len(landed(company, "hr")) == 2


def test_an_extract_whose_run_died_is_taken_in_by_the_next(company):
    """Landed, then killed: the next run, for which corp is not due, takes it in and does not read it again; the one after does nothing."""
    with environment(company.environment):
        order.plan(at(company, 0))
        company.people = [*company.people, *people(7)[6:]]
        company.write(PACED)
        killed(company)
        assert "user006" not in names(company)
        done = order.plan(at(company, 0.1), order.What(only_due=True))
        assert [(each.tenant, each.accepted) for each in done.taken] == [("corp", True)]
        assert "user006" in names(company)
        assert len(landed(company)) == 2
        assert order.plan(at(company, 0.2), order.What(only_due=True)).taken == ()


def test_an_extract_that_was_overtaken_is_left_alone(company):
    """Landed, killed, and read anew: the later read counts, the older one is not taken in behind it."""
    with environment(company.environment):
        order.plan(at(company, 0))
        company.people = [*company.people, *people(7)[6:]]
        company.write(PACED)
        killed(company)
        company.people = company.people[:-1]
        company.write(PACED)
        order.plan(at(company, 0.1), order.What(tenants=("corp",)))
        assert "user006" not in names(company)
        assert order.plan(at(company, 0.2), order.What(only_due=True)).taken == ()
        assert "user006" not in names(company)


def test_a_frozen_tenant_stays_as_it_is(company):
    """What was read of a tenant before it was frozen is not taken in while it is."""
    with environment(company.environment):
        order.plan(at(company, 0))
        company.people = [*company.people, *people(7)[6:]]
        company.write(PACED)
        killed(company)
        company.run("freeze", "corp")
        assert order.plan(at(company, 0.1), order.What(only_due=True)).taken == ()
        assert "user006" not in names(company)


def test_thousands_of_kept_extracts_cost_nothing(company, monkeypatch):
    """Of many kept extracts only the newest ones are opened to know what is due, and none before the last complete full read."""
    with environment(company.environment):
        for hour in range(12):
            order.plan(at(company, hour * 2))
        opened = []
        monkeypatch.setattr(
            reading,
            "newest_first",
            lambda root, tenant: (opened.append(each.extract_id) or each for each in newest_first(root, tenant)),
        )
        assert reading.due(at(company, 25), ["corp", "hr"]) == ["corp"]
        assert len(opened) == 2
        reading.read_tenant(at(company, 25), "corp")
        assert len(opened) == 3
