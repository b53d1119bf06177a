"""When a push starts a sync, and what becomes of it when the runner dies."""

import asyncio
import sys

from hypothesis import given
from hypothesis import strategies as st

from flows.soon import Soon
from flows.windows import Patience, Windows

PUSHES = st.lists(st.tuples(st.floats(0, 200), st.sampled_from(["a", "b"]), st.booleans()), min_size=1, max_size=20)

ECHO = """
import json, sys
print(json.dumps({"ready": True, "behind": ["late"]}), flush=True)
for line in sys.stdin:
    asked = json.loads(line)
    print(json.dumps({"tenants": asked["tenants"], "exit": 0}), flush=True)
"""
MORTAL = """
import json, os, sys
print(json.dumps({"ready": True, "behind": []}), flush=True)
line = sys.stdin.readline()
if line and not os.path.exists(sys.argv[1]):
    open(sys.argv[1], "w").close()
    os._exit(9)
while line:
    print(json.dumps({"tenants": json.loads(line)["tenants"], "exit": 0}), flush=True)
    line = sys.stdin.readline()
"""


@given(pushes=PUSHES)
def test_a_window_closes_as_promised(pushes):
    """Two seconds after the first reduction; else thirty of quiet; never more than two minutes after the first push."""
    windows, taken = Windows(), []
    pushes = sorted(pushes)
    for at, tenant, reduces in pushes:
        due = windows.due()
        if due is not None and due <= at:
            taken.append((due, windows.take()))
        windows.moved(tenant, reduces=reduces, now=at)
    while (due := windows.due()) is not None:
        taken.append((due, windows.take()))
    assert windows.due() is None
    covered = 0
    for due, (tenants, reduces) in taken:
        mine = [each for each in pushes[covered:] if each[0] < due]
        covered += len(mine)
        assert tenants == sorted({tenant for _, tenant, _ in mine})
        assert reduces == any(each[2] for each in mine)
        reductions = [at for at, _, reduced in mine if reduced]
        assert due <= mine[0][0] + 120
        assert due <= mine[-1][0] + 30
        assert not reductions or due <= reductions[0] + 2
        assert due in {mine[0][0] + 120, mine[-1][0] + 30, *(at + 2 for at in reductions[:1])}
    assert covered == len(pushes)


def test_a_fast_window_takes_everybody_along():
    """A reduction in one tenant takes the creations of another with it."""
    windows = Windows(Patience(2, 30, 120))
    windows.moved("slow", reduces=False, now=0)
    windows.moved("fast", reduces=True, now=1)
    assert windows.due() == 3
    assert windows.take() == (["fast", "slow"], True)


async def _until(soon, many):
    running = asyncio.create_task(soon.run())
    try:
        async with asyncio.timeout(20):
            while len(soon.answers) < many:  # noqa: ASYNC110 - the runner's own code must not signal tests
                await asyncio.sleep(0.01)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def test_what_was_pushed_while_nobody_ran_is_not_forgotten():
    """The runner says at its start which tenants are behind; they are synced without a further push."""

    async def story():
        soon = Soon([sys.executable, "-c", ECHO], "acme", Windows(Patience(0.05, 0.1, 0.2)))
        await _until(soon, 1)
        assert soon.answers == [{"tenants": ["late"], "exit": 0}]

    asyncio.run(story())


class Told:
    """A Prefect that writes down what it is told."""

    def __init__(self):
        self.events = []

    def emit(self, name, directory, payload):
        self.events.append((name, directory, payload))
        return True


def test_a_runner_that_dies_is_started_again_with_the_same_work(tmp_path):
    """Its window waits for the next runner, and Prefect is asked meanwhile."""

    async def story():
        told = Told()
        command = [sys.executable, "-c", MORTAL, str(tmp_path / "died")]
        soon = Soon(command, "acme", Windows(Patience(0.05, 0.1, 0.2)), told)
        asyncio.get_running_loop().call_later(0.05, soon.moved, "partner", 1, False)
        await _until(soon, 1)
        assert soon.answers == [{"tenants": ["partner"], "exit": 0}]
        assert told.events == [("onefold.inbox.moved", "acme", {"tenants": ["partner"], "reduces": False})]

    asyncio.run(story())


def test_without_a_runner_prefect_is_told():
    """`serve --no-sync`: each window is an event that the deployment `pushed` waits for."""

    async def story():
        told = Told()
        soon = Soon(None, "acme", Windows(Patience(0.05, 0.1, 0.2)), told)
        running = asyncio.create_task(soon.run())
        soon.moved("partner", 1, True)
        async with asyncio.timeout(10):
            while not told.events:  # noqa: ASYNC110 - another thread fills it
                await asyncio.sleep(0.01)
        running.cancel()
        assert told.events == [("onefold.inbox.moved", "acme", {"tenants": ["partner"], "reduces": True})]

    asyncio.run(story())


def test_a_stop_is_heard_between_two_pushes():
    """A cancellation that comes at the same moment as a push ends the trigger all the same."""

    async def story():
        for _ in range(50):
            soon = Soon(None, "acme")
            running = asyncio.create_task(soon.run())
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            soon.moved("partner", 1, False)
            await asyncio.sleep(0)
            running.cancel()
            soon.moved("partner", 2, False)
            async with asyncio.timeout(5):
                await asyncio.gather(running, return_exceptions=True)
            assert running.cancelled()

    asyncio.run(story())
