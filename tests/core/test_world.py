"""The rules on a small labelled world with every fault: nobody wrong, and what strong keys connect is found."""

import pytest

from benchmarks.quality import judge, matched
from benchmarks.world.make import make


@pytest.mark.parametrize("seed", [1, 4])
def test_no_two_people_are_joined_and_strong_keys_join(seed):
    """Precision is exactly one, no forbidden pair is joined, and at least 98 of 100 pairs of strong keys are found."""
    world = make(1500, seed)
    quality = judge(world, matched(world).links)
    assert quality.wrong == set()
    assert quality.vetoed == set()
    assert quality.strong_recall >= 0.98
