"""`make campaign`: hostile requests over all routes of the inbox, in rounds of a seed each; a failing seed is replayed by its number.

ONEFOLD_CAMPAIGN_REQUESTS is how many (100,000), ONEFOLD_CAMPAIGN_SEED the first seed (drawn, and printed); a round is replayed with
its seed and ONEFOLD_CAMPAIGN_REQUESTS=2000.
"""

import os
import secrets
import time
from collections import Counter

import pytest

from tests.campaign.inbox_rounds import Round

pytestmark = [pytest.mark.campaign, pytest.mark.timeout(0)]
REQUESTS = int(os.environ.get("ONEFOLD_CAMPAIGN_REQUESTS", "100000"))
SEED = int(os.environ.get("ONEFOLD_CAMPAIGN_SEED") or secrets.randbelow(10**6))
ROUND = 2000


def test_the_inbox_withstands_hostile_requests(tmp_path):
    """Over every route: no 500, SCIM errors only, nothing of another tenant, nobody in a log, and log equals state after each round."""
    counted, twins, began = Counter(), 0, time.monotonic()
    for place in range(-(-REQUESTS // ROUND)):
        one = Round(tmp_path, SEED + place)
        one.run(min(ROUND, REQUESTS - place * ROUND))
        counted += one.counted
        twins += one.twins
        for path in tmp_path.iterdir():
            path.unlink()
        if place % 5 == 4:
            print(
                f"seed {SEED + place}: {(place + 1) * ROUND:,} requests, {time.monotonic() - began:.0f} s", flush=True
            )
    events = counted.pop("events")
    print(
        f"inbox: {sum(counted.values()):,} answers from seed {SEED} on, {twins:,} comparisons of tenants, {events:,} events replayed, "
        f"{time.monotonic() - began:.0f} s; by status {dict(sorted(counted.items()))}"
    )
    assert sum(counted.values()) >= REQUESTS
