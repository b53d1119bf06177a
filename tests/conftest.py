"""What all tests share: hypothesis profiles and quiet surroundings."""

import os

import pytest
from hypothesis import HealthCheck, settings

from connectors.inbox.stores import Database
from tests.postgres import postgres as started

os.environ.setdefault("DO_NOT_TRACK", "1")
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
settings.register_profile("default", deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("campaign", deadline=None, max_examples=2000, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("default")


@pytest.fixture(scope="session")
def postgres():
    """A real PostgreSQL for everybody; who restarts or kills it starts one of his own."""
    server = started()
    yield server
    server.remove()


STORES = ["sqlite", pytest.param("postgres", marks=pytest.mark.system)]
"""Whatever touches the inbox store runs on SQLite in `make test` and on PostgreSQL in `make test-system`."""


@pytest.fixture(params=STORES)
def place(request, tmp_path):
    """Where this test's inbox store is; it holds nothing."""
    if request.param == "sqlite":
        yield tmp_path / "inbox.sqlite"
        return
    server = request.getfixturevalue("postgres")
    url = server.schema()
    yield Database(url)
    server.give_back(url)
