import polars as pl

from state.control import Decision


def past(store):
    return {
        table: store.session.con.execute(f"SELECT count(*) FROM {table}_past").fetchall()[0][0]
        for table in ("core_link", "core_person_id", "core_person")
    }


def test_identity_comes_back_as_saved(store, people, now):
    """Links, ids and persons are read as they were written, sorted by key, whatever the order they came in."""
    links, minted, persons = people("p1", "p2", "p3")
    store.save_identity("r1", links.reverse(), minted.reverse(), persons.reverse(), now)
    assert store.links().equals(links)
    assert store.person_ids().equals(minted)
    assert store.persons().equals(persons)


def test_only_differences_are_written(store, people, now):
    """Unchanged rows cost nothing; a changed one closes one row of history, an ended one too."""
    links, minted, persons = people("p1", "p2", "p3")
    assert store.save_identity("r1", links, minted, persons, now).added == 9
    assert store.save_identity("r2", links, minted, persons, now).added == 0
    moved = persons.with_columns(title=pl.when(pl.col("person_key") == 2).then(pl.lit("y")).otherwise("title"))
    done = store.save_identity("r3", links, minted, moved, now)
    assert (done.added, done.changed, done.ended) == (0, 1, 0)
    assert past(store) == {"core_link": 0, "core_person_id": 0, "core_person": 1}
    done = store.save_identity("r4", links.head(2), minted, moved.head(2), now)
    assert (done.changed, done.ended) == (0, 2)
    assert past(store) == {"core_link": 1, "core_person_id": 0, "core_person": 2}


def test_a_value_that_becomes_null_is_a_difference(store, people, now):
    """Null against a value is never taken for equal, in lists neither."""
    links, minted, persons = people("p1")
    store.save_identity("r1", links, minted, persons, now)
    bare = persons.with_columns(aliases=pl.lit(None, pl.List(pl.String)), title=pl.lit(None, pl.String))
    assert store.save_identity("r2", links, minted, bare, now).changed == 1
    assert store.persons().equals(bare)


def test_decisions_are_imported_once_and_the_last_word_stands(store, take, landed_class, now):
    """Pins and vetoes given to the control store reach matching as account keys; a later word on the pair, either way round, stands."""
    take(landed_class("e1", {"a": "x", "b": "x", "c": "x"}))
    pair = {"tenant_a": "corp", "tenant_b": "corp", "decided_by": "mia"}
    store.control.decide([Decision(native_id_a="a", native_id_b="b", decision="same", **pair)], now)
    store.control.decide([Decision(native_id_a="b", native_id_b="c", decision="different", **pair)], now)
    assert store.control.import_into(store) == 2
    assert store.control.import_into(store) == 0
    assert store.decisions().rows() == [(1, 2, "same"), (2, 3, "different")]
    store.control.decide([Decision(native_id_a="b", native_id_b="a", decision="open", **pair)], now)
    store.control.import_into(store)
    assert store.decisions().rows() == [(2, 3, "different")]
