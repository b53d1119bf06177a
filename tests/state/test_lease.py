import dataclasses
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from core.errors import InUseError, RefusedError
from state import lease as room
from state.control import Control, patient
from state.lease import proven_dead, this_process

ROOT = Path(__file__).parent.parent.parent
HOLDER = """
import sys
from datetime import datetime
from pathlib import Path
sys.path.insert(0, {root!r})
from state.control import Control
control = Control.open(Path({folder!r}))
lease = control.acquire("holding", lambda: datetime(2026, 11, 2))
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def control(tmp_path):
    with Control.open(tmp_path) as opened:
        yield opened


@pytest.fixture
def holder(tmp_path):
    """A process that holds the lease until its input ends."""
    program = HOLDER.format(root=str(ROOT), folder=str(tmp_path))
    child = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdout.readline() == "held\n"
    yield child
    child.kill()
    child.wait()


def rewrite(control, **columns):
    for name, value in columns.items():
        control._con.execute(f"UPDATE lease SET {name} = ?", (value,))


def test_only_one_holds_it(control, now):
    """A second asker is refused with who holds it and what for; after the release it is had at once."""
    held = control.acquire("plan", lambda: now)
    with pytest.raises(RefusedError, match=rf"in use by process {os.getpid()} .*\(plan, last heard of"):
        control.acquire("apply", lambda: now)
    held.release()
    assert control.holder() is None
    control.acquire("apply", lambda: now).release()


def test_a_living_holder_is_never_robbed(control, holder, now):
    """Neither running nor stopped (SIGSTOP) does a living process lose the lease, however old its last word is."""
    rewrite(control, renewed_at="2001-01-01 00:00:00.000000")
    with pytest.raises(RefusedError, match=str(holder.pid)):
        control.acquire("rob", lambda: now)
    holder.send_signal(signal.SIGSTOP)
    try:
        with pytest.raises(RefusedError, match="holding"):
            control.acquire("rob", lambda: now)
    finally:
        holder.send_signal(signal.SIGCONT)


def test_a_killed_holder_is_followed(control, holder, now):
    """SIGKILL leaves a lease that the next asker takes without a hand, even before the dead was reaped."""
    holder.kill()
    os.waitid(os.P_PID, holder.pid, os.WEXITED | os.WNOWAIT)
    taken = control.acquire("next", lambda: now)
    assert control.holder().purpose == "next"
    assert taken.still_mine()
    taken.release()


def test_a_reused_process_number_is_no_holder(control, now):
    """A living process with the holder's number that started later is another one."""
    held = control.acquire("old", lambda: now)
    rewrite(control, process_start="1")
    os.close(held._handle)
    assert control.acquire("next", lambda: now).still_mine()


def test_a_boot_since_then_proves_death(control, now):
    """After a reboot every process of before is dead, also one whose number lives."""
    held = control.acquire("old", lambda: now)
    rewrite(control, boot_id="another boot")
    os.close(held._handle)
    assert control.acquire("next", lambda: now).still_mine()


def test_another_host_is_never_proven_dead(control, now):
    """What runs elsewhere cannot be judged from here."""
    control.acquire("there", lambda: now)
    rewrite(control, host="elsewhere", boot_id="another boot", pid=1)
    with pytest.raises(RefusedError, match="on elsewhere"):
        control.acquire("here", lambda: now)


def test_behind_another_name_space_the_lock_decides(control, now):
    """A container's process cannot be seen: while its lock is held it lives, when the kernel dropped the lock it is dead."""
    held = control.acquire("contained", lambda: now)
    rewrite(control, pid_space="pid:[1]", pid=1)
    with pytest.raises(RefusedError):
        control.acquire("next", lambda: now)
    os.close(held._handle)
    assert control.acquire("next", lambda: now).still_mine()


def test_who_lost_the_lease_sends_nothing(control, now, monkeypatch):
    """Once its last renewal is old a holder asks before it sends, and learns that another took over."""
    held = control.acquire("first", lambda: now)
    assert held.still_mine()
    rewrite(control, token="somebody else's")
    moment = room.time.monotonic() + room.FRESH_SECONDS + 1
    monkeypatch.setattr(room.time, "monotonic", lambda: moment)
    assert not held.still_mine()
    assert not held.renew()
    held.release()
    assert control.holder() is not None, "a lost lease must not release the next holder's"


def test_a_renewal_is_shown(control, now):
    """Whoever looks sees when the holder last said that it lives."""
    later = now.replace(hour=10)
    times = iter([now, later])
    held = control.acquire("plan", lambda: next(times))
    assert control.holder().renewed_at == now
    assert held.renew()
    assert control.holder().renewed_at == later


def test_this_process_lives():
    """The proof of death does not hold against who asks; it does once any of its marks differs."""
    here = this_process()
    assert not proven_dead(here, here, lock_free=lambda: True)
    gone = dataclasses.replace(here, pid=2**22 + 1)
    assert proven_dead(gone, here, lock_free=lambda: False)


def test_who_is_patient_waits_for_the_lease(control, now):
    """Inside `patient` the lease is had as soon as it is free; when it stays held, the refusal comes after the patience and names the holder."""
    held = control.acquire("a sync", lambda: now)
    threading.Timer(0.3, held.release).start()
    began = time.monotonic()
    with patient(20.0):
        mine = control.acquire("offboard", lambda: now)
    assert 0.2 < time.monotonic() - began < 15
    with patient(0.2), pytest.raises(InUseError, match="offboard"):
        control.acquire("next", lambda: now)
    with pytest.raises(InUseError):
        control.acquire("impatient", lambda: now)
    mine.release()
