"""The runner's side of the contract: whatever a connector yields is counted, judged and landed."""

import itertools
import json
import tracemalloc
from datetime import date, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.source import Page, Rejected
from core.errors import RefusedError, TerminalError, TransientError
from core.frames import ATTRIBUTES, BIT, LANDED
from core.model import ExtractKind, Verdict
from state.landing import manifests, read_part
from tasks.extract import extract

NOW = datetime.fromisoformat("2026-11-24T09:00")
NUMBER = itertools.count()


class Told:
    """A source that yields what it was told to; an error in a list is raised at its place."""

    def __init__(self, accounts=(), groups=(), memberships=(), moved=None):
        self.listings = {"accounts": accounts, "groups": groups, "memberships": memberships}
        if moved is not None:
            self.delta = lambda cursor: self._told(moved(cursor) if callable(moved) else moved)

    def accounts(self):
        return self._told(self.listings["accounts"])

    def groups(self):
        return self._told(self.listings["groups"])

    def memberships(self):
        return self._told(self.listings["memberships"])

    def close(self):
        pass

    @staticmethod
    def _told(pages):
        for each in pages:
            if isinstance(each, Exception):
                raise each
            yield each


def run(source, root, **more):
    given = {"cursor_before": None, "full": True, "now": lambda: NOW, "config_digest": "d1"} | more
    return extract(source, tenant="corp", root=root, extract_id=f"e{next(NUMBER)}", **given)


def people(many, **more):
    return [{"native_id": f"u{place:03}", "email": f"u{place}@x"} | more for place in range(many)]


def paged(rows, size, total=None):
    return [
        Page("accounts", rows[start : start + size], len(rows[start : start + size]), total)
        for start in range(0, len(rows), size)
    ]


def test_a_clean_read_is_complete(tmp_path):
    """Pages that add up to the vendor's count are complete; the manifest tells counts, claims, pages and config."""
    manifest = run(Told(paged(people(10), 4, 10)), tmp_path)
    assert (manifest.verdict, manifest.reasons, manifest.kind) == (Verdict.COMPLETE, (), ExtractKind.FULL)
    assert (manifest.accounts, manifest.claimed, manifest.pages) == (10, {"accounts": 10}, 3)
    assert manifest.config_digest == "d1"
    assert manifests(tmp_path, "corp") == [manifest]


@given(st.permutations(range(30)), st.integers(1, 30), st.sampled_from([3, 1000]))
def test_order_and_paging_do_not_matter(tmp_path_factory, order, size, memory):
    """Any order of rows in any pages gives the same landed content as one page in order."""
    folder = tmp_path_factory.mktemp("landing")
    rows = people(30)
    edges = [{"group_id": "g", "member_id": each["native_id"], "member_kind": "user"} for each in rows]

    def source(places, length):
        mixed = [edges[place] for place in places]
        pages = [
            Page("memberships", mixed[at : at + length], len(mixed[at : at + length])) for at in range(0, 30, length)
        ]
        return Told(paged([rows[place] for place in places], length, 30), memberships=pages)

    plain = run(source(range(30), 30), folder, rows_in_memory=memory)
    shuffled = run(source(order, size), folder, rows_in_memory=memory)
    assert shuffled.verdict is Verdict.COMPLETE
    assert shuffled.content == plain.content


@given(st.integers(2, 9), st.data())
def test_a_dropped_page_is_never_complete(tmp_path_factory, size, data):
    """Whichever page is left out of a listing that claims a total: partial."""
    pages = paged(people(30), size, 30)
    pages.pop(data.draw(st.integers(0, len(pages) - 1)))
    manifest = run(Told(pages), tmp_path_factory.mktemp("landing"))
    assert manifest.verdict is Verdict.PARTIAL
    assert "the vendor counts 30 accounts" in manifest.reasons[0]


@given(st.integers(2, 9), st.booleans(), st.booleans(), st.data())
def test_a_repeated_page_is_never_complete(tmp_path_factory, size, replaces, claims, data):
    """Whichever page comes twice, beside or instead of another, with or without a total: partial, and each row landed once."""
    pages = paged(people(30), size, 30 if claims else None)
    place = data.draw(st.integers(0, len(pages) - 2))
    if replaces:
        pages[place + 1] = pages[place]
    else:
        pages.insert(place + 1, pages[place])
    folder = tmp_path_factory.mktemp("landing")
    manifest = run(Told(pages), folder, rows_in_memory=data.draw(st.sampled_from([4, 1000])))
    assert manifest.verdict is Verdict.PARTIAL
    assert any("came more than once" in reason for reason in manifest.reasons)
    landed = read_part(folder, manifest, "accounts")["native_id"]
    assert landed.n_unique() == len(landed) == manifest.accounts


def test_repeated_edges_are_never_complete(tmp_path):
    """A page of memberships that comes twice stands for one that did not come."""
    edges = Page("memberships", [{"group_id": "g", "member_id": "u000"}], 1)
    manifest = run(Told(paged(people(3), 3), memberships=[edges, edges]), tmp_path)
    assert (manifest.verdict, manifest.memberships) == (Verdict.PARTIAL, 1)


def test_rows_past_the_end_are_partial(tmp_path):
    """More different rows than the vendor counts: its count or its rows are wrong."""
    manifest = run(Told(paged(people(10), 10, 9)), tmp_path)
    assert manifest.verdict is Verdict.PARTIAL
    assert "past the end" in manifest.reasons[0]


@pytest.mark.parametrize(("total", "verdict"), [(30, "complete"), (33, "suspect"), (27, "suspect"), (34, "partial")])
def test_a_count_that_lags_is_a_doubt_when_it_is_near(tmp_path, total, verdict):
    """A count from an index that is behind may differ by three rows and is then a doubt; further off it is a gap like any other."""
    page = Page("accounts", people(30), 30, total=total, total_lags=True)
    assert run(Told([page]), tmp_path).verdict == verdict


def test_tombstones_of_a_full_read_are_evidence_and_nobody_who_is_there(tmp_path):
    """A full read may bring whom the bin holds: landed as tombstones, not counted; removed edges are simply not among the others."""
    bin_ = Page("accounts", [{"native_id": "gone", "tombstone": True}], 1)
    edges = [{"group_id": "g", "member_id": "u001", "member_kind": "user", "removed": each} for each in (False, True)]
    source = Told([bin_, *paged(people(10), 10, 10)], memberships=[Page("memberships", edges, 2)])
    source.last_word_counts = True
    manifest = run(source, tmp_path)
    assert (manifest.verdict, manifest.accounts, manifest.memberships) == (Verdict.COMPLETE, 10, 0)
    landed = read_part(tmp_path, manifest, "accounts")
    assert landed.filter("tombstone")["native_id"].to_list() == ["gone"]


def test_the_last_word_counts_where_a_source_says_so(tmp_path):
    """Of a record that comes twice the later one is landed, and the read is complete; any other source is doubted."""
    twice = [*people(3), {"native_id": "u001", "email": "later@x"}]
    source = Told([Page("accounts", twice, 4, total=3)])
    assert run(source, tmp_path).verdict is not Verdict.COMPLETE
    source.last_word_counts = True
    manifest = run(source, tmp_path)
    assert manifest.verdict is Verdict.COMPLETE
    landed = read_part(tmp_path, manifest, "accounts")
    assert landed.filter(pl.col("native_id") == "u001")["email"].to_list() == ["later@x"]


def test_a_total_that_moves_is_suspect(tmp_path):
    """When somebody left while we turned pages, the rows behind moved up and one may have been skipped, though counts agree."""
    first, second = paged(people(9), 5)
    pages = [Page("accounts", first.rows, 5, 10), Page("accounts", second.rows, 4, 9)]
    manifest = run(Told(pages), tmp_path)
    assert (manifest.verdict, manifest.reasons) == (
        Verdict.SUSPECT,
        ("the vendor's count of accounts went from 10 to 9 while they were read",),
    )


@pytest.mark.parametrize(
    "error", [TransientError("timed out"), RefusedError("token revoked"), TerminalError("no such page")]
)
def test_an_error_midway_is_partial_and_keeps_what_was_read(tmp_path, error):
    """Pages before the failure are landed; the one reason is the failure, not what follows from it."""
    source = Told([*paged(people(4), 4, 10), error])
    manifest = run(source, tmp_path)
    assert (manifest.verdict, manifest.accounts, manifest.reasons) == (Verdict.PARTIAL, 4, (str(error),))
    assert read_part(tmp_path, manifest, "accounts").height == 4


def test_an_error_at_once_is_a_failure(tmp_path):
    """When nothing came at all, the extract failed; it is on record all the same."""
    manifest = run(Told([RefusedError("wrong token", tenant="corp")]), tmp_path)
    assert (manifest.verdict, manifest.reasons, manifest.parts) == (Verdict.FAILED, ("tenant corp: wrong token",), ())
    assert manifests(tmp_path, "corp") == [manifest]


def test_an_error_in_groups_spoils_the_whole(tmp_path):
    """Accounts alone are no complete read: edges may be missing."""
    manifest = run(Told(paged(people(4), 4, 4), groups=[TransientError("reset")]), tmp_path)
    assert manifest.verdict is Verdict.PARTIAL


def test_a_bug_is_no_verdict(tmp_path):
    """A connector's own fault is raised, and leaves no extract behind."""
    with pytest.raises(ZeroDivisionError):
        run(Told([*paged(people(4), 4), ZeroDivisionError()]), tmp_path)
    with pytest.raises(ValueError, match="mail, which accounts do not have"):
        run(Told([Page("accounts", [{"native_id": "1", "mail": "x"}], 1)]), tmp_path)
    assert manifests(tmp_path, "corp") == []


def test_warnings_and_gaps_of_a_connector_count(tmp_path):
    """A connector's doubt makes a read suspect, a gap makes it partial; both are told in its words."""
    rows = people(2)
    warned = run(Told([Page("accounts", rows, 2, warnings=("old file",))]), tmp_path)
    holed = run(Told([Page("accounts", rows, 2, gaps=("a page is missing",))]), tmp_path)
    assert (warned.verdict, warned.reasons) == (Verdict.SUSPECT, ("old file",))
    assert (holed.verdict, holed.reasons) == (Verdict.PARTIAL, ("a page is missing",))


def test_records_that_a_connector_swallows_are_noticed(tmp_path):
    """A page that received more than it yields or sets aside has lost something."""
    manifest = run(Told([Page("accounts", people(2), 3)]), tmp_path)
    assert manifest.verdict is Verdict.PARTIAL
    assert "1 accounts of a page were received and not understood" in manifest.reasons[0]


@pytest.mark.parametrize(
    ("row", "name", "problem"),
    [
        ({"native_id": None}, "native_id", "is missing"),
        ({"native_id": "  "}, "native_id", "is missing"),
        ({"native_id": "x", "email": 17}, "email", "is no text"),
        ({"native_id": "x", "email": "\ud800"}, "email", "is no text"),
        ({"native_id": "x", "active": "perhaps"}, "active", "is no true or false"),
        ({"native_id": "x", "created_at": "yesterday"}, "created_at", "is no time of ISO 8601"),
        ({"native_id": "x", "ends_on": "31.12.2026"}, "ends_on", "is no date of the form 2026-12-31"),
        ({"native_id": "x", "user_type": "king"}, "user_type", "is none of member, guest, external"),
        ({"native_id": "x", "aliases": 17}, "aliases", "is no list of texts"),
        ({"native_id": "x", "aliases": ["a", 1]}, "aliases", "is no list of texts"),
    ],
)
def test_impossible_values_set_one_record_aside(tmp_path, row, name, problem):
    """A value that is none of its column sets its record aside with payload, field and reason; the others are landed."""
    manifest = run(Told([Page("accounts", [*people(2), row], 3, 3)]), tmp_path)
    known = bool((row["native_id"] or "").strip())
    assert manifest.verdict is (Verdict.SUSPECT if known else Verdict.PARTIAL)
    assert (manifest.accounts, manifest.rejected) == (2, 1)
    (aside,) = read_part(tmp_path, manifest, "rejected").rows(named=True)
    assert (aside["object"], aside["field"], aside["problem"]) == ("accounts", name, problem)
    assert aside["native_id"] == ("x" if known else None)
    assert json.loads(aside["raw"]) == row


def test_rejected_by_the_connector_is_kept(tmp_path):
    """What a connector set aside is landed as it says, and counted."""
    odd = Rejected("accounts", None, "resource", "is no JSON object", [1, "x"])
    manifest = run(Told([Page("accounts", people(2), 3, 3, rejected=[odd])]), tmp_path)
    assert (manifest.verdict, manifest.rejected) == (Verdict.PARTIAL, 1)
    assert read_part(tmp_path, manifest, "rejected").rows() == [
        ("accounts", None, "resource", "is no JSON object", '[1, "x"]')
    ]


@pytest.mark.parametrize("memory", [2, 1000])
def test_two_records_with_one_id_are_both_set_aside(tmp_path, memory):
    """Of two records with one id neither is believed; as the id is known, the read is suspect."""
    rows = [*people(4), {"native_id": "u001", "email": "other@x"}]
    manifest = run(Told(paged(rows, 2)), tmp_path, rows_in_memory=memory)
    assert (manifest.verdict, manifest.accounts, manifest.rejected) == (Verdict.SUSPECT, 3, 1)
    assert "account u001" in manifest.reasons[0]
    raws = [json.loads(raw) for raw in read_part(tmp_path, manifest, "rejected")["raw"]]
    assert {raw["email"] for raw in raws} == {"u1@x", "other@x"}


def test_absent_null_and_value(tmp_path):
    """A key left out is absent, None is null, a value is a value: `present` tells them apart."""
    rows = [{"native_id": "a"}, {"native_id": "b", "email": None}, {"native_id": "c", "email": "c@x"}]
    manifest = run(Told([Page("accounts", rows, 3)]), tmp_path)
    found = read_part(tmp_path, manifest, "accounts").select("email", "present").rows()
    assert found == [(None, 0), (None, BIT["email"]), ("c@x", BIT["email"])]


@pytest.mark.parametrize("beside", [None, ["c@x"], [17]])
def test_one_text_is_a_list_of_one(tmp_path, beside):
    """A single alias that comes as plain text is understood, whatever the other rows hold."""
    rows = [{"native_id": "a", "aliases": "a@x"}, {"native_id": "b", "aliases": beside}]
    manifest = run(Told([Page("accounts", rows, 2)]), tmp_path)
    assert read_part(tmp_path, manifest, "accounts")["aliases"][0].to_list() == ["a@x"]


@given(st.lists(st.sets(st.sampled_from(ATTRIBUTES)), min_size=1, max_size=12))
def test_present_is_what_each_row_said(tmp_path_factory, said):
    """The mask of each row is the sum of the bits of its own keys, whatever the other rows of the page say."""
    folder = tmp_path_factory.mktemp("landing")
    rows = [{"native_id": f"u{place:02}", **dict.fromkeys(names)} for place, names in enumerate(said)]
    manifest = run(Told([Page("accounts", rows, len(rows))]), folder)
    masks = read_part(folder, manifest, "accounts")["present"].to_list()
    assert masks == [sum(BIT[name] for name in names) for names in said]


TIMES = {
    "2026-01-02T03:04:05Z": "2026-01-02T03:04:05",
    "2026-01-02T03:04:05.123456789+01:00": "2026-01-02T02:04:05.123456",
    "2026-01-02T03:04:05": "2026-01-02T03:04:05",
    "2026-01-02 03:04:05": "2026-01-02T03:04:05",
    "2026-01-02 03:04:05+0100": "2026-01-02T02:04:05",
    "2026-01-02 03:04": "2026-01-02T03:04:00",
    "2026-01-02": "2026-01-02T00:00:00",
}


def test_times_and_dates_of_every_spelling(tmp_path):
    """The spellings of ISO 8601 that vendors use become UTC without zone, in one page beside each other."""
    rows = [{"native_id": f"u{place}", "created_at": text} for place, text in enumerate(TIMES)]
    rows.append(
        {"native_id": "v", "created_at": NOW, "starts_on": date.fromisoformat("2026-02-03"), "updated_at": None}
    )
    rows.append({"native_id": "w", "starts_on": "2026-02-03T00:00:00Z"})
    manifest = run(Told([Page("accounts", rows, len(rows))]), tmp_path)
    assert manifest.verdict is Verdict.COMPLETE, manifest.reasons
    landed = read_part(tmp_path, manifest, "accounts")
    assert [each.isoformat() for each in landed["created_at"].head(7)] == list(TIMES.values())
    assert landed["created_at"][7] == NOW
    assert landed["starts_on"].tail(2).to_list() == [date.fromisoformat("2026-02-03")] * 2


def test_frames_and_dicts_land_alike(tmp_path):
    """A columnar source lands the same bytes as one that yields dicts."""
    rows = people(5, active=True, aliases=["a@x"], created_at="2026-01-02T03:04:05Z")
    dicts = run(Told([Page("accounts", rows, 5)]), tmp_path)
    frame = run(Told([Page("accounts", pl.DataFrame(rows), 5)]), tmp_path)
    assert dicts.content == frame.content


def test_groups_in_themselves_and_dangling_edges_are_kept(tmp_path):
    """What is odd among groups is for the rules to report: nothing of it is dropped here."""
    edges = [("g", "g", "group"), ("g", "nobody", "user"), ("nowhere", "u000", "user")]
    rows = [dict(zip(("group_id", "member_id", "member_kind"), edge, strict=True)) for edge in edges]
    groups = [Page("groups", [{"native_id": "g", "name": "G"}], 1)]
    manifest = run(Told(paged(people(1), 1), groups, [Page("memberships", rows, 3)]), tmp_path)
    assert manifest.verdict is Verdict.COMPLETE
    assert read_part(tmp_path, manifest, "memberships").drop("removed").rows() == edges


def test_an_unsaid_kind_of_member_is_found_out(tmp_path):
    """A member whose kind the vendor leaves out is a group when its id is a group's and no account's."""
    groups = [Page("groups", [{"native_id": each, "name": each} for each in ("g", "h", "u000")], 3)]
    edges = Page("memberships", [{"group_id": "g", "member_id": each} for each in ("h", "u000", "stranger")], 3)
    manifest = run(Told(paged(people(1), 1), groups, [edges]), tmp_path)
    found = read_part(tmp_path, manifest, "memberships").select("member_id", "member_kind").rows()
    assert found == [("h", "group"), ("stranger", "user"), ("u000", "user")]


@pytest.mark.parametrize(
    ("before", "here", "verdict"),
    [
        (100, 100, Verdict.COMPLETE),
        (100, 80, Verdict.COMPLETE),
        (100, 79, Verdict.SUSPECT),
        (100, 500, Verdict.COMPLETE),
        (4, 3, Verdict.COMPLETE),
        (4, 2, Verdict.SUSPECT),
        (10, 6, Verdict.SUSPECT),
        (1, 0, Verdict.SUSPECT),
    ],
)
def test_a_sudden_shrink_is_suspect(tmp_path, before, here, verdict):
    """More than a fifth fewer than last time is suspected; in a tiny tenant, half of it or more than three."""
    previous = run(Told(paged(people(before), 50)), tmp_path)
    manifest = run(Told(paged(people(here), 50)), tmp_path, previous=previous, shrink=20.0)
    assert manifest.verdict is verdict


def test_vanished_groups_are_suspect_too(tmp_path):
    """All groups gone at once is an incident as well, though all accounts are there."""
    groups = [Page("groups", [{"native_id": f"g{place}", "name": "G"} for place in range(9)], 9)]
    previous = run(Told(paged(people(9), 9), groups), tmp_path)
    manifest = run(Told(paged(people(9), 9)), tmp_path, previous=previous)
    assert manifest.verdict is Verdict.SUSPECT
    assert "groups went from 9 to 0" in manifest.reasons[0]


# --- deltas


def test_a_delta_reads_only_what_moved(tmp_path):
    """With a cursor, only the delta is read; small and empty ones are complete, and the next cursor is kept."""
    page = Page("accounts", people(1), 1, cursor_after="c2")
    manifest = run(Told([ZeroDivisionError()], moved=[page]), tmp_path, cursor_before="c1", full=False)
    assert (manifest.kind, manifest.verdict) == (ExtractKind.DELTA, Verdict.COMPLETE)
    assert (manifest.cursor_before, manifest.cursor_after) == ("c1", "c2")
    empty = run(Told(moved=[Page("accounts", [], 0, cursor_after="c3")]), tmp_path, cursor_before="c2", full=False)
    assert (empty.verdict, empty.cursor_after) == (Verdict.COMPLETE, "c3")


def test_full_reads_everything_though_a_cursor_is_known(tmp_path):
    """`full` is stronger than a cursor, and a source without deltas is always read in full."""
    asked = run(Told(paged(people(2), 2), moved=[ZeroDivisionError()]), tmp_path, cursor_before="c1", full=True)
    unable = run(Told(paged(people(2), 2)), tmp_path, cursor_before="c1", full=False)
    assert asked.kind is unable.kind is ExtractKind.FULL
    assert asked.cursor_before is None


def test_in_a_delta_the_last_word_counts(tmp_path):
    """Replays and several states of one object are normal in a delta: the last is landed."""
    first = Page("accounts", [{"native_id": "a", "email": "old@x"}, {"native_id": "b"}], 2)
    last = Page("accounts", [{"native_id": "a", "email": "new@x"}], 1, cursor_after="c2")
    edges = [
        Page("memberships", [{"group_id": "g", "member_id": "a", "member_kind": "user", "removed": gone}], 1)
        for gone in (False, True)
    ]
    manifest = run(Told(moved=[first, *edges, last]), tmp_path, cursor_before="c1", full=False)
    assert manifest.verdict is Verdict.COMPLETE
    assert read_part(tmp_path, manifest, "accounts").select("native_id", "email").rows() == [
        ("a", "new@x"),
        ("b", None),
    ]
    assert read_part(tmp_path, manifest, "memberships")["removed"].to_list() == [True]


def test_an_expired_cursor_means_a_full_read(tmp_path):
    """A cursor that the vendor no longer serves leads to a full read in the same extract, and the reasons say so."""
    source = Told(paged(people(2), 2), moved=[RefusedError("syncStateNotFound")])
    manifest = run(source, tmp_path, cursor_before="c1", full=False)
    assert (manifest.kind, manifest.verdict, manifest.accounts) == (ExtractKind.FULL, Verdict.COMPLETE, 2)
    assert "syncStateNotFound" in manifest.reasons[0]


@pytest.mark.parametrize("error", [TransientError("reset"), RefusedError("410 in the middle")])
def test_a_delta_that_breaks_off_keeps_its_cursor(tmp_path, error):
    """A delta that breaks off is partial, and the next one starts where this one started."""
    page = Page("accounts", people(1), 1)
    manifest = run(Told(moved=[page, error]), tmp_path, cursor_before="c1", full=False)
    assert (manifest.kind, manifest.verdict, manifest.cursor_after) == (ExtractKind.DELTA, Verdict.PARTIAL, "c1")


def test_a_partial_full_read_gives_no_cursor(tmp_path):
    """After a full read with gaps the next must be full again: a delta would never bring what is missing."""
    page = Page("accounts", people(1), 1, gaps=("hole",), cursor_after="c9")
    assert run(Told([page]), tmp_path).cursor_after is None


# --- surroundings


def test_progress_is_told(tmp_path):
    """After each page: tenant and object, rows so far, the vendor's total where it is known."""
    told = []
    run(Told(paged(people(5), 2, 5)), tmp_path, progress=lambda *each: told.append(each))
    assert told == [("corp accounts", 2, 5), ("corp accounts", 4, 5), ("corp accounts", 5, 5)]


def test_times_are_those_of_the_clock(tmp_path):
    """The manifest tells when the read began and ended."""
    ticks = itertools.count()
    manifest = run(Told(paged(people(1), 1)), tmp_path, now=lambda: NOW + timedelta(minutes=next(ticks)))
    assert (manifest.started_at, manifest.finished_at) == (NOW, NOW + timedelta(minutes=1))


def test_landed_frames_have_their_schema(tmp_path):
    """Every landed part has exactly the columns and types of LANDED."""
    odd = Page("accounts", [*people(2), {"native_id": ""}], 3)
    groups = [Page("groups", [{"native_id": "g", "name": "G"}], 1)]
    edges = [Page("memberships", [{"group_id": "g", "member_id": "u000"}], 1)]
    manifest = run(Told([odd], groups, edges), tmp_path)
    assert {part.object for part in manifest.parts} == set(LANDED)
    for part in manifest.parts:
        frame = pl.read_parquet(tmp_path / "corp" / manifest.extract_id / part.file)
        assert dict(frame.schema) == LANDED[part.object]


def test_memory_does_not_grow_with_the_tenant(tmp_path):
    """Pages are let go of: Python holds no more for 40,000 rows than for 10,000."""

    def peak(many):
        pages = (Page("accounts", people(1000), 1000) for _ in range(many // 1000))
        tracemalloc.start()
        run(Told(pages), tmp_path, rows_in_memory=5000)
        held = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return held

    assert peak(40_000) < 1.5 * peak(10_000)
