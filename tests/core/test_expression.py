"""Expressions: one scalar over the columns of a row, sealed, and never an exception because of data."""

from datetime import date

import polars as pl
import pytest

from core.expression import check, evaluate

TODAY = date(2026, 11, 24)
ROOTS = {
    "person": {
        "email": pl.String(),
        "aliases": pl.List(pl.String()),
        "ends_on": pl.Date(),
        "active": pl.Boolean(),
        "user_type": pl.String(),
    },
    "group": {"name": pl.String()},
    "": {"group_name": pl.String()},
}


@pytest.mark.parametrize(
    "expression",
    [
        "person.user_type = 'member'",
        "split_part(person.email, '@', 1)",
        "lower(group_name)",
        "group.name || '-' || Group_Name",
        "coalesce(person.email, 'group.name')",
        "list_transform(person.aliases, lambda y: upper(y))",
        "[y for y in person.aliases if y > 'a']",
        "nullif(person.email, '') is not null and person.active is not false",
        "case when person.ends_on < run.today then 'left' else 'here' end",
        "try_cast(person.email as int)",
        "person.aliases[1] -- the first",
        "lpad(person.email, 8, '0')",
        "array_to_string(person.aliases, ',')",
        "person.email like '%@corp.example' or regexp_matches(person.email, '^a')",
        "date_diff('day', person.ends_on, run.today) > 30",
    ],
)
def test_what_a_row_can_answer_is_allowed(expression):
    """Scalar functions, macros, lambdas and comparisons over the columns of the roots pass."""
    assert check(expression, roots=ROOTS) is None


@pytest.mark.parametrize(
    ("expression", "problem", "remedy"),
    [
        ("(select 1)", "subquery", "columns of the row"),
        ("exists(select 1)", "subquery", "columns of the row"),
        ("random()", "may differ between two runs", "columns of the row"),
        ("uuid()", "may differ between two runs", "columns of the row"),
        ("current_setting('threads')", "may differ between two runs", "columns of the row"),
        ("current_date", "clock", "run.today"),
        ("now()", "clock", "run.today"),
        ("ago(interval 1 day)", "clock", "run.today"),
        ("age(person.ends_on)", "clock", "run.today"),
        ("current_localtimestamp()", "clock", "run.today"),
        ("max(person.email)", "more than one row", "columns of the row"),
        ("count(*)", "more than one row", "columns of the row"),
        ("row_number() over ()", "window", "columns of the row"),
        ("unnest(person.aliases)", "may differ", "columns of the row"),
        ("read_text('/etc/passwd')", "gives a table", "scalar function"),
        ("person.*", "every column", "name the columns"),
        ("columns('x')", "every column", "name the columns"),
        ("$1", "parameter", "value itself"),
        ("person.mail", "person.mail, which does not exist", "person.{email"),
        ("group.email", "group.email, which does not exist", "person.email"),
        ("email", "email, which does not exist", "use person.email"),
        ("person", "does not exist", "one of"),
        ("person.email, 1", "more than one", "write one"),
        ("person.email; drop table x", "not an SQL expression", "correct it"),
        ("person.email from x", "not an SQL expression", "correct it"),
        ("x) from y --", "not an SQL expression", "correct it"),
        ("", "not an SQL expression", "correct it"),
        ("nope(person.email)", "not a function", "list of scalar functions"),
        ("repeat(person.email, 300000000)", "not a plain number", "at most 1000"),
        ("range(length(person.email))", "not a plain number", "at most 1000"),
        ("repeat(repeat(repeat('a', 999), 999), 999)", "much of little", "fewer"),
        ("person.email + 1 day", "not an SQL expression", "correct it"),
        ("person.ends_on || person.active + 1", "does not fit its columns", "correct it"),
    ],
)
def test_what_a_row_cannot_answer_is_refused_with_a_remedy(expression, problem, remedy):
    """Each refusal names what is wrong and what to write instead."""
    found = check(expression, roots=ROOTS)
    assert found is not None
    said, _, advice = found.partition("; ")
    assert problem in said
    assert remedy in advice


def people(emails):
    return {"person": pl.DataFrame({"email": emails}, schema={"email": pl.String})}


def test_every_row_is_answered_in_its_order():
    """Values stand beside their keys in the given order, for several expressions and roots at once."""
    frames = {
        **people(["b@x", "a@x"]),
        "group": pl.DataFrame({"name": ["G", "H"]}),
        "": pl.DataFrame({"group_name": ["g", "h"]}),
    }
    found = evaluate(
        {"local": "split_part(person.email, '@', 1)", "both": "group.name || group_name", "day": "run.today"},
        frames=frames,
        key=pl.Series("person_key", [7, 3]),
        today=TODAY,
    )
    assert found.frame.rows() == [(7, "b", "Gg", TODAY), (3, "a", "Hh", TODAY)]
    assert found.failed == {}


def test_a_row_that_fails_is_null_and_counted():
    """One bad value costs its own row only; a null that the expression means is no failure; the error is in words.

    The cast stands twice: DuckDB would lift it out of TRY as a common subexpression.
    """
    found = evaluate(
        {"twice": "person.email::int + person.email::int", "fine": "upper(person.email)"},
        frames=people(["1", "x", None, "4"]),
        key=pl.Series("person_key", [10, 20, 30, 40]),
        today=TODAY,
    )
    assert found.frame["twice"].to_list() == [2, None, None, 8]
    assert found.frame["fine"].to_list() == ["1", "X", None, "4"]
    assert set(found.failed) == {"twice"}
    failure = found.failed["twice"]
    assert (failure.count, failure.sample) == (1, 20)
    assert "Could not convert string 'x'" in failure.error


def test_a_refused_expression_is_never_run():
    """What `check` refuses is null in every row, with its reason, and the others are answered."""
    found = evaluate(
        {"bad": "random()", "good": "person.email"},
        frames=people(["a", "b"]),
        key=pl.Series("person_key", [1, 2]),
        today=TODAY,
    )
    assert found.frame.rows() == [(1, None, "a"), (2, None, "b")]
    assert found.failed["bad"].count == 2
    assert "may differ" in found.failed["bad"].error


def test_time_is_limited():
    """An expression that takes too long is null in every row and says so; the run goes on."""
    rows = 400_000
    found = evaluate(
        {"slow": "list_sum(list_transform(range(1000), lambda a: a * length(person.email)))"},
        frames=people(["abc"] * rows),
        key=pl.Series("person_key", range(rows)),
        today=TODAY,
        seconds=0.2,
    )
    assert found.frame["slow"].null_count() == rows
    assert found.failed["slow"].count == rows
    assert found.failed["slow"].error == "took longer than 0.2 seconds"


def test_nobody_is_no_trouble():
    """No rows, no failures, and the key keeps its type."""
    key = pl.Series("person_key", [], dtype=pl.Int32)
    found = evaluate({"a": "upper(person.email)", "d": "run.today"}, frames=people([]), key=key, today=TODAY)
    assert found.frame.is_empty()
    assert found.frame.schema["person_key"] == pl.Int32
    assert found.failed == {}


def test_many_rows_are_one_statement():
    """Order is kept when DuckDB works on many rows in parallel."""
    count = 300_000
    found = evaluate(
        {"n": "person.email::int"},
        frames=people([str(n) for n in range(count)]),
        key=pl.Series("person_key", range(count)),
        today=TODAY,
    )
    assert (found.frame["n"] == found.frame["person_key"]).all()
