"""A slice of the campaign (`make campaign`), seconds long: the promises of tests/campaign/inbox_rounds.py over every route of the inbox."""

import pytest

from tests.campaign.inbox_rounds import Broken, Round


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_hostile_requests_are_answered(tmp_path, seed):
    """A few hundred hostile requests a seed: no 500, SCIM errors only, no word of another tenant, no person in a log, log equals state."""
    one = Round(tmp_path, seed)
    one.run(300)
    assert one.twins > 15
    assert {200, 201, 204, 400, 401, 404} <= set(one.counted)


def _deaf(monkeypatch):
    from connectors.inbox import endpoints

    monkeypatch.setattr(endpoints, "query", lambda *_: {}["nothing"])


def _telling(monkeypatch):
    from connectors.inbox import endpoints, statements

    everywhere = statements.BY_ID["User"].replace("tenant_no = ?", "tenant_no > 0 * ?")
    monkeypatch.setitem(endpoints.sql.BY_ID, "User", everywhere)


def _talking(monkeypatch):
    from connectors.inbox import service

    monkeypatch.setattr(service, "LOGGED", {"PERS0NA"})


def _forgetting(monkeypatch):
    from connectors.inbox import endpoints

    whole = endpoints.logged
    monkeypatch.setattr(endpoints, "logged", lambda body, raw: whole(body, raw).replace("pers0na", "pers0nb"))


def _bare(monkeypatch):
    from connectors.inbox import exchange, service

    monkeypatch.setattr(
        service, "refusal", lambda error: exchange.Answer(error.status, b"no", content_type=b"text/plain")
    )


@pytest.mark.parametrize("fault", [_deaf, _telling, _talking, _forgetting, _bare])
def test_the_rounds_notice_a_planted_fault(tmp_path, monkeypatch, fault):
    """A fault in a listing, a lookup over tenants, a talking log, a log that misremembers, an error that is no SCIM document: each is found."""
    fault(monkeypatch)
    with pytest.raises(Broken, match="seed 5"):
        Round(tmp_path, 5).run(400)
