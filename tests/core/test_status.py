"""Status: vendors' words, leave, soft delete, rehire, and who alone keeps somebody active."""

from datetime import date, datetime

import polars as pl
import pytest

from core.merge_status import StatusRule
from core.model import Right
from core.status_words import MEANINGS, WORDS, meanings
from tests.core.test_merge import ALL, THREE, person, status, tenant


def at(day: str) -> datetime:
    return datetime.fromisoformat(day)


# --- vendors' words


@pytest.mark.parametrize(
    ("word", "meaning"),
    [
        ("ACTIVE", "on"), ("PASSWORD_EXPIRED", "on"), ("LOCKED_OUT", "on"), ("STAGED", "off"), ("SUSPENDED", "suspended"),
        ("DEPROVISIONED", "deleted"), ("archived", "suspended"), ("ACTIVATED", "on"), ("On Leave", "leave"),
        ("leave-of-absence", "leave"), ("Terminated", "off"), ("soft deleted", "deleted"), ("Quartz", None), ("", None),
    ],
)  # fmt: skip
def test_words_of_vendors_are_known_in_any_spelling(word, meaning):
    """Okta's eight states, Google's, JumpCloud's and what HR systems say, whatever capitals and separators."""
    assert meanings(pl.Series([word]), {}).to_list() == [meaning]


def test_every_word_has_one_meaning():
    """No word stands in two rows of the table, and each is in the form in which it is looked up."""
    assert len(MEANINGS) == sum(len(words) for words in WORDS.values())
    assert all(word.isalnum() and word == word.casefold() for word in MEANINGS)


def test_your_own_words_go_first():
    """`status.words` adds a language, and may change what a known word means."""
    found = meanings(pl.Series(["Elternzeit", "archived", None]), {"elternzeit": "leave", "Archived": "off"})
    assert found.to_list() == ["leave", "off", None]


def test_a_word_counts_where_there_is_no_flag():
    """An export without a flag says `Terminated`: the person is off. With a flag the flag decides."""
    assert status({"tenant_key": 1, "status": "Terminated"}) == (False, "explicit", "disabled in t1")
    assert status({"tenant_key": 1, "status": "Terminated", "active": True})[0] is True
    assert status({"tenant_key": 1, "status": "Active", "active": False})[0] is False
    assert status({"tenant_key": 1, "status": "Quartz"})[0] is True


def test_suspension_is_told_from_other_reasons():
    """Suspended, locked and archived people are off, and the reason says so with its day."""
    row = {"tenant_key": 1, "active": False, "status": "SUSPENDED", "disabled_at": at("2026-11-01T10:00")}
    assert status(row) == (False, "explicit", "suspended in t1 on 2026-11-01")
    assert status({"tenant_key": 1, "status": "suspended"})[0] is False


def test_leave_follows_the_account_unless_the_config_decides():
    """As the account: its flag. Active: kept though disabled for the leave. Inactive: off though enabled."""
    on, off = ({"tenant_key": 1, "status": "On leave", "active": flag} for flag in (True, False))
    unsaid = {"tenant_key": 1, "status": "On leave"}
    assert [status(row)[0] for row in (on, off, unsaid)] == [True, False, True]
    assert status(off)[2] == "on leave in t1"
    kept = StatusRule(leave="active")
    assert [status(row, status=kept)[0] for row in (on, off, unsaid)] == [True, True, True]
    ended = StatusRule(leave="inactive")
    assert [status(row, status=ended)[0] for row in (on, off, unsaid)] == [False, False, False]


def test_leave_keeps_nobody_whose_time_is_over():
    """`leave: active` does not outlive the last day, a deletion or a suspension."""
    kept = StatusRule(leave="active")
    row = {"tenant_key": 1, "status": "leave", "active": False}
    assert status({**row, "ends_on": date(2026, 11, 23)}, status=kept)[2] == "ended on 2026-11-23 in t1"
    assert status({**row, "gone": "explicit"}, status=kept)[0] is False


def test_a_soft_delete_is_off_and_explicit():
    """An account in the vendor's bin is off whatever its flag says, and the reason says that it can come back."""
    row = {"tenant_key": 1, "active": True, "deleted_at": at("2026-11-20T00:00")}
    assert status(row) == (False, "explicit", "deleted in t1 on 2026-11-20, and can be restored there")
    assert status({**row, "deleted_at": at("2026-12-01T00:00")})[0] is True
    assert status({"tenant_key": 1, "active": False, "status": "DEPROVISIONED"})[2].startswith("deleted in t1")


def test_values_of_a_soft_deleted_account_stand_behind_those_of_a_living_one():
    """As with an account that is gone: a lower tenant's living account gives the values."""
    dead = {"tenant_key": 1, "title": "One", "active": True, "deleted_at": at("2026-11-20T00:00")}
    assert person(dead, {"tenant_key": 2, "title": "Two"})["title"] == "Two"


# --- who keeps whom


def kept(*rows, **more):
    found = person(*rows, **more)
    return found["active"], found["kept_by"], found["against"], found["status_reason"]


def test_who_alone_keeps_somebody_active_is_named():
    """One tenant says active, others say off: the person stays by the rule, and the plan can list it."""
    rows = (
        {"tenant_key": 1, "active": True},
        {"tenant_key": 2, "active": False, "disabled_at": at("2026-11-01T00:00")},
        {"tenant_key": 3, "ends_on": date(2026, 10, 31)},
    )
    assert kept(*rows) == (
        True, 1, "t2, t3", "kept active only by t1; disabled in t2 on 2026-11-01, ended on 2026-10-31 in t3",
    )  # fmt: skip


def test_two_who_say_active_are_no_lone_keeper():
    """The disagreement is told, nobody is named as the only one."""
    rows = ({"tenant_key": 1, "active": True}, {"tenant_key": 2, "active": True}, {"tenant_key": 3, "active": False})
    assert kept(*rows) == (True, None, "t3", "active in t1, t2; disabled in t3 (overruled)")


def test_who_says_otherwise_about_the_inactive_is_kept_too():
    """For somebody who is off, `against` names those who still say active."""
    assert kept({"tenant_key": 1, "active": False}, {"tenant_key": 2, "active": True})[:3] == (False, None, "t2")


def test_those_whom_nobody_may_end_are_told():
    """The only tenant that says off may not deactivate: the person is kept, with the reason."""
    tenants = (tenant(1, may=ALL - {Right.DEACTIVATE}), tenant(2), tenant(3))
    found = kept({"tenant_key": 1, "active": False}, tenants=tenants)
    assert found == (True, None, "t1", "disabled in t1: kept, nobody who says so may deactivate")


def test_agreement_needs_no_words():
    """Accounts that agree, old accounts beside a new one, and guests make no conflict."""
    assert kept({"tenant_key": 1, "active": True}, {"tenant_key": 2}) == (True, None, None, None)
    assert kept({"tenant_key": 1, "active": True}, {"tenant_key": 1, "active": False})[1:3] == (None, None)
    assert kept({"tenant_key": 1, "active": True}, {"tenant_key": 2, "active": False, "user_type": "guest"})[2] is None


def test_a_guest_decides_only_about_those_who_are_guests_everywhere():
    """The member's tenant may not deactivate: a guest's record elsewhere does not do it in its place."""
    tenants = (tenant(1, may=ALL - {Right.DEACTIVATE}), tenant(2), tenant(3))
    guest = {"tenant_key": 2, "active": False, "user_type": "guest"}
    assert status({"tenant_key": 1, "active": True}, guest, tenants=tenants)[0] is True
    assert status(guest, tenants=tenants)[0] is False


# --- rehire

OLD = {"employee_number": "0042", "active": False, "disabled_at": at("2025-06-30T00:00")}
NEW = {"employee_number": "42", "active": True, "created_at": at("2026-03-01T00:00")}


def test_a_rehire_in_one_tenant_goes_on_with_the_new_account():
    """A new account with the HR number of the disabled one: active, at home there, and the day is told."""
    found = person({"tenant_key": 1, **OLD}, {"tenant_key": 1, **NEW})
    assert (found["active"], found["home_key"], found["against"]) == (True, 2, None)
    assert found["status_reason"] == "rehired on 2026-03-01 in t1; the account before is over in t1 since 2025-06-30"


def same_issuer(*more):
    from dataclasses import replace

    return tuple(replace(each, employee_number_issuer="acme") for each in (*THREE, *more))


def test_a_rehire_elsewhere_needs_an_end_not_a_disable():
    """Ended in the higher tenant and begun anew in a lower one: status follows the new account. Merely disabled: it does not."""
    new = {"tenant_key": 2, **NEW}
    ended = {"tenant_key": 1, "employee_number": "42", "ends_on": date(2025, 6, 30)}
    found = person(ended, new, tenants=same_issuer())
    assert (found["active"], found["home_tenant"], found["kept_by"]) == (True, 2, None)
    assert found["status_reason"] == "rehired on 2026-03-01 in t2; the account before is over in t1 since 2025-06-30"
    assert person({"tenant_key": 1, **OLD}, new, tenants=same_issuer())["active"] is False


def test_a_rehire_is_by_number_issuer_and_time():
    """Another number, another issuer, or a beginning before the end is no rehire: home decides as ever."""
    ended = {"tenant_key": 1, "employee_number": "42", "ends_on": date(2026, 6, 30)}
    new = {"tenant_key": 2, **NEW}
    assert person(ended, new, tenants=same_issuer())["active"] is False  # begun before the end: two jobs, home ended
    early = {**ended, "ends_on": date(2025, 6, 30)}
    assert person(early, new, tenants=THREE)["active"] is False
    assert person(early, {**new, "employee_number": "43"}, tenants=same_issuer())["active"] is False
    assert person(early, {**new, "user_type": "guest"}, tenants=same_issuer())["active"] is False
