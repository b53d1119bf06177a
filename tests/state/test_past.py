"""What the state remembers of accounts beyond their newest record."""

from datetime import timedelta

import polars as pl

from core.frames import BIT
from core.model import Verdict


def test_times_are_those_of_runs_and_silent_about_the_first_read(store, landed_class, now):
    """Who was there at a tenant's first read has no first time; who came later has; who went has an end, and who is back none."""

    def read(name, accounts, minute, **more):
        landed = landed_class(name, accounts, minute=minute, **more)
        store.consolidate(landed.manifest, landed.read, f"run-{name}", landed.manifest.finished_at)
        return landed.manifest.finished_at

    read("e1", {"a": "x", "b": "x"}, 0)
    assert store.past().times.is_empty()
    second = read("e2", {"a": "x", "b": "x", "c": "x"}, 10)
    assert store.past().times.rows() == [(3, second, None)]
    third = read("e3", {"a": "x", "c": "x"}, 20)
    assert store.past().times.rows() == [(2, None, third), (3, second, None)]
    read("e4", {"a": "x", "b": "x", "c": "x"}, 30)
    assert store.past().times.rows() == [(3, second, None)]
    assert second - now == timedelta(minutes=10)


def test_former_addresses_are_those_that_are_held_no_more(store, landed_class):
    """A renamed account's old address, login and alias are former, with the time of the run that saw them gone; others are not."""

    class Addressed(landed_class):
        def read(self, name):
            frame = super().read(name)
            if name != "accounts":
                return frame
            mail = [f"{title}@corp.example" for title in frame["title"]]
            return frame.with_columns(
                email=pl.Series(mail), user_name=pl.Series([each.upper() for each in mail]),
                aliases=pl.Series([["kept@corp.example", f"alias-{title}@corp.example"] for title in frame["title"]]),
                present=pl.col("present") | BIT["email"] | BIT["user_name"] | BIT["aliases"],
            )  # fmt: skip

    for name, title, minute in (("e1", "ada", 0), ("e2", "byron", 10)):
        landed = Addressed(name, {"a": title, "b": "same"}, minute=minute, verdict=Verdict.COMPLETE)
        store.consolidate(landed.manifest, landed.read, f"run-{name}", landed.manifest.finished_at)
    until = landed.manifest.finished_at
    assert store.past().former.rows() == [
        (1, "ADA@CORP.EXAMPLE", until),
        (1, "ada@corp.example", until),
        (1, "alias-ada@corp.example", until),
    ]
