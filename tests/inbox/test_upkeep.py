"""The chores of a running service."""

from datetime import UTC, datetime, timedelta

from connectors.inbox.reading import watermarks
from connectors.inbox.tokens import all_tokens, mint
from connectors.inbox.upkeep import Upkeep


def test_chores(inbox, corp, caplog, monkeypatch):
    """Uses of tokens and failures are stored, ends of tokens told once per stage, checkpoints made when due, old events forgotten."""
    monkeypatch.setattr("connectors.inbox.checkpoint.EVERY", 3)
    now = datetime.now(UTC)
    inbox.run(inbox.store.run(mint("acq", now=now, expires=timedelta(days=10))))
    for name in ("a", "b", "c"):
        corp.user(name)
    corp("GET", "/Users", headers={"Authorization": "Bearer wrong"})
    upkeep = Upkeep(inbox.service, inbox.place, 90, clock=lambda: now)
    inbox.run(upkeep.once())
    tokens = inbox.run(inbox.store.read(all_tokens()))
    assert {each.tenant: each.used_at is not None for each in tokens} == {"corp": True, "acq": False}
    number = inbox.service.directory.numbers["corp"]
    assert inbox.sql("SELECT failures FROM inbox_failure") == [(1,)]
    assert inbox.sql(f"SELECT checkpoint_seq FROM inbox_tenant WHERE tenant_no = {number}") == [(3,)]
    assert caplog.text.count("onefold token rotate acq") == 1
    inbox.run(upkeep.once())
    assert caplog.text.count("onefold token rotate acq") == 1
    now += timedelta(days=4)
    inbox.run(upkeep.once())
    assert caplog.text.count("onefold token rotate acq") == 2
    now += timedelta(days=100)
    inbox.run(upkeep.once())
    assert inbox.sql("SELECT count(*) FROM inbox_event") == [(0,)]
    assert corp.get("/Users")["totalResults"] == 3


def test_watermarks(inbox, corp, tmp_path):
    """The newest number of every tenant is told without opening a tenant; without a store there is none."""
    corp.user("ada")
    assert watermarks(inbox.place) == {"acq": 0, "corp": 1}
    assert watermarks(tmp_path / "none.sqlite") == {}
