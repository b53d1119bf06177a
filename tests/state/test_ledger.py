import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from core.frames import WINDOW
from core.model import Evidence, Outcome, Receipt, Verb
from state.ledger import STATE, Intent, Ledger, Quarantined

ROOT = Path(__file__).parent.parent.parent
APPLIED = Receipt(Outcome.APPLIED, "JIRAUSER1", "created", 2)


def intent(seq=0, verb=Verb.CREATE_USER, **more):
    return Intent(
        seq, "jira", verb, f"person:{seq}", f"{seq:032x}", user_name="ada", after={"email": None, "title": "x"}, **more
    )


@pytest.fixture
def ledger(tmp_path):
    opened = Ledger.open(tmp_path)
    yield opened
    opened.close()


def test_an_intent_is_open_until_its_receipt(ledger, now):
    """An intent comes back whole from open_intents, attributes set to null included, until a receipt arrives."""
    rows = [intent(0), intent(1, Verb.UPDATE_USER, evidence_tenant=3, before={"title": "y"}, remote_id="JIRAUSER2")]
    ids = ledger.intend("r1", "abcd", rows, now)
    found = ledger.open_intents()
    assert [each.intent_id for each in found] == ids
    assert found[0].intent == Intent(
        **{**{n: getattr(rows[0], n) for n in rows[0].__slots__}, "before": {"email": None, "title": None}}
    )
    assert (found[1].run_id, found[1].plan, found[1].at, found[1].intent.after) == ("r1", "abcd", now, rows[1].after)
    ledger.receive("r1", [(ids[0], APPLIED)], now)
    assert [each.intent_id for each in ledger.open_intents()] == ids[1:]
    assert ledger.open_intents("confluence") == []


def test_an_unknown_outcome_stays_open(ledger, now):
    """A call whose answer was lost is looked at again; then the definite receipt stands, and no other is taken."""
    (number,) = ledger.intend("r1", "abcd", [intent()], now)
    ledger.receive("r1", [(number, Receipt(Outcome.UNKNOWN))], now)
    assert len(ledger.open_intents()) == 1
    ledger.receive("r2", [(number, APPLIED)], now)
    ledger.receive("r2", [(number, Receipt(Outcome.FAILED))], now)
    assert ledger.open_intents() == []
    states = ledger.states("r1")
    assert states.schema == STATE
    assert states["state"].to_list() == ["applied"]


def test_states_are_a_view(ledger, now):
    """intended, applied, already, failed; compensated once the undoing call was applied."""
    ids = ledger.intend("r1", "abcd", [intent(seq) for seq in range(4)], now)
    outcomes = [Outcome.APPLIED, Outcome.ALREADY, Outcome.FAILED]
    ledger.receive("r1", [(number, Receipt(each)) for number, each in zip(ids, outcomes, strict=False)], now)
    assert ledger.states("r1")["state"].to_list() == ["applied", "already", "failed", "intended"]
    (undo,) = ledger.intend("r1", "abcd", [intent(4, Verb.DEACTIVATE_USER, compensates=ids[0])], now)
    assert ledger.states("r1")["state"].to_list()[0] == "applied"
    ledger.receive("r1", [(undo, APPLIED)], now)
    assert ledger.states("r1")["state"].to_list() == ["compensated", "already", "failed", "intended", "applied"]


def test_nothing_is_rewritten(ledger, now):
    """Neither intents nor receipts can be changed afterwards."""
    (number,) = ledger.intend("r1", "abcd", [intent()], now)
    ledger.receive("r1", [(number, APPLIED)], now)
    for text in ("UPDATE intent SET target = 'x'", "UPDATE receipt SET outcome = 'failed'"):
        with pytest.raises(Exception, match="append-only"):
            ledger._con.execute(text)


def test_removals_are_counted_over_the_window(ledger, now):
    """Removals that took effect since then, by target, verb, evidence and tenant; neither grants, failures, older ones nor compensations."""

    def removal(verb, at, outcome=Outcome.APPLIED, **more):
        (number,) = ledger.intend(
            "r1", "abcd", [intent(0, verb, evidence=Evidence.ABSENT, evidence_tenant=2, **more)], at
        )
        ledger.receive("r1", [(number, Receipt(outcome))], at)
        return number

    removal(Verb.DEACTIVATE_USER, now - timedelta(days=8))
    removal(Verb.DEACTIVATE_USER, now)
    removal(Verb.DEACTIVATE_USER, now, Outcome.ALREADY)
    removal(Verb.DEACTIVATE_USER, now, Outcome.FAILED)
    removal(Verb.CREATE_USER, now)
    created = removal(Verb.CREATE_USER, now)
    removal(Verb.DEACTIVATE_USER, now, compensates=created)
    removal(Verb.REMOVE_MEMBER, now)
    found = ledger.removals_since(now - timedelta(days=7))
    assert found.schema == WINDOW
    assert found.rows() == [("jira", "deactivate_user", "absent", 2, 2), ("jira", "remove_member", "absent", 2, 1)]


def test_quarantine_is_kept_and_let_go(ledger, now):
    """An object stays with its attempts and next time, keeps its first time, and can be released."""
    row = Quarantined(
        "jira", "person:1", "f", "create_user", "ada", 1, now + timedelta(minutes=5), "HTTP 400", now, now
    )
    later = now + timedelta(hours=1)
    ledger.put_in_quarantine([row])
    ledger.put_in_quarantine(
        [Quarantined("jira", "person:1", "f", "create_user", "ada", 2, later, "HTTP 409", later, later)]
    )
    (found,) = ledger.quarantine()
    assert (found.attempts, found.error, found.first_at, found.last_at, found.next_try_at) == (
        2,
        "HTTP 409",
        now,
        later,
        later,
    )
    ledger.release([("jira", "person:1")])
    assert ledger.quarantine() == []


WRITER = """
import sys
from datetime import datetime
from pathlib import Path
sys.path.insert(0, {root!r})
from core.model import Outcome, Receipt, Verb
from state.ledger import Intent, Ledger
ledger = Ledger.open(Path({folder!r}))
now = datetime(2026, 11, 2)
while True:
    rows = [Intent(seq, "jira", Verb.CREATE_USER, "person:x", "f", after={{"email": "x"}}) for seq in range(7)]
    ids = ledger.intend("r1", "abcd", rows, now)
    print("intent", *ids, flush=True)
    ledger.receive("r1", [(each, Receipt(Outcome.APPLIED)) for each in ids], now)
    print("receipt", *ids, flush=True)
"""


@pytest.mark.parametrize("after", [1, 6, 11, 24])
def test_what_was_said_to_be_written_survives_sigkill(tmp_path, after):
    """Killed at any instant: every intent and receipt that was reported is there, once, and a group is there whole or not at all."""
    program = WRITER.format(root=str(ROOT), folder=str(tmp_path))
    child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    said = {"intent": [], "receipt": []}
    for _ in range(after):
        kind, *ids = child.stdout.readline().split()
        said[kind] += [int(each) for each in ids]
    child.send_signal(signal.SIGKILL)
    rest = child.stdout.read()
    child.wait()
    for line in rest.splitlines():
        kind, *ids = line.split()
        if len(ids) == 7 and rest.endswith("\n"):
            said[kind] += [int(each) for each in ids]
    ledger = Ledger.open(tmp_path)
    intents = [row[0] for row in ledger._con.execute("SELECT intent_id FROM intent ORDER BY 1")]
    receipts = [row[0] for row in ledger._con.execute("SELECT intent_id FROM receipt ORDER BY 1")]
    values = ledger._con.execute("SELECT count(*) FROM intent_value").fetchone()[0]
    assert set(said["intent"]) <= set(intents)
    assert set(said["receipt"]) <= set(receipts) <= set(intents)
    assert len(set(receipts)) == len(receipts)
    assert (len(intents) % 7, len(receipts) % 7, values) == (0, 0, len(intents))
    assert len(ledger.open_intents()) == len(intents) - len(receipts)
    ledger.close()
