"""Makes one labelled world: `make(10_000, seed=1)`. Run as a script it prints the table of faults and how often each occurs.

Faults of *reading* (contract 8.4: delta replay, page repeat, 410 in mid-round) are not in this picture of the accounts:
the stand-ins under `sandbox/` make them on the wire and the contract suite judges the readers.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks.world import groups, spelling
from benchmarks.world.faults import FAULTS
from benchmarks.world.labels import counted_faults
from benchmarks.world.people import World

LATE = tuple(name for name, (_, function) in FAULTS.items() if function.__module__ == spelling.__name__)


def make(people: int = 10_000, seed: int = 1, *, with_groups: bool = True) -> World:
    """A world of that many people with every fault; the same seed gives the same world."""
    world = World(people, seed)
    ordered = [name for name in FAULTS if name not in LATE or name in spelling.STRUCTURAL]
    ordered += [name for name in LATE if name not in spelling.STRUCTURAL]
    for name in ordered:
        _, function = FAULTS[name]
        if with_groups or function.__module__ != groups.__name__:
            function(world)
    return world


if __name__ == "__main__":
    counts = counted_faults(make())
    for name, (section, function) in FAULTS.items():
        print(f"{name:32} {section:52} {counts.get(name, 0):6}  {(function.__doc__ or '').splitlines()[0]}")
