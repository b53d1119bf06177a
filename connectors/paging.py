"""The three ways of turning pages, and what may be wrong with each. A page's meaning is the connector's, judging is the runner's.

*Opaque*: the answer names what to ask next, a whole URL or a cursor, in its body or a header (`followed`). *Offset*: we say
where the next page starts (`counted`); then rows can be lost or repeated while somebody writes, so each page is held
against those before it. What is odd becomes `warnings` (a doubt) or `gaps` (rows are missing) of the turn.
"""

from __future__ import annotations

import hashlib
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any, Generic, TypeVar

CLOSE_SECONDS = 5.0
EMPTY_IN_A_ROW = 1_000  # empty pages with a next one are legal; so many in a row are a service that never ends

T = TypeVar("T")


@dataclass
class Turn:
    """One page as the vendor gave it: its records, its claim for the whole listing, and what it says comes next."""

    items: list[Any]
    next: str | None = None
    total: int | None = None
    body: Any = None
    warnings: list[str] = field(default_factory=list)
    gaps: list[str] = field(default_factory=list)


def followed(first: str, fetch: Callable[[str], Turn], *, what: str) -> Iterator[Turn]:
    """Every page from `first` on, whatever `next` is made of. It ends with the page that has none, empty ones in between or not.

    A `next` that was followed before is a circle: it is named as a gap and not followed again.
    """
    here: str | None = first
    used = {_mark(first)}
    empty = 0
    while here is not None:
        turn = fetch(here)
        here = turn.next
        empty = 0 if turn.items else empty + 1
        if here is not None and _mark(here) in used:
            turn.gaps.append(f"{what} gives the same cursor twice: its pages run in a circle")
            here = None
        elif here is not None and empty >= EMPTY_IN_A_ROW:
            turn.gaps.append(f"{what} gave {empty} empty pages in a row and says that there is more")
            here = None
        if here is not None:
            used.add(_mark(here))
        yield turn


def _mark(place: str) -> bytes:
    """A link, or cursor, as few bytes: there may be many, and vendors write them long."""
    return hashlib.blake2b(place.encode(), digest_size=16).digest()


def counted(
    fetch: Callable[[int], Turn],
    *,
    what: str,
    first: int = 0,
    id_of: Callable[[Any], str | None],
    parameter: str,
    needs_total: bool = True,
    size: int | None = None,
) -> Iterator[Turn]:
    """Every page by number of rows, forward by the rows that came, whatever was asked for or is claimed.

    `first` is the number of the first row (0, or 1 in SCIM). It ends where the total is reached; without a total at a page
    that is empty or shorter than `size`. A page that begins as the first one did ignores `parameter`. With
    `needs_total`, a vendor that names none is doubted. Repeats are counted by the runner, over distinct ids.
    """
    start, opened_with = first, None
    while True:
        turn = fetch(start)
        rows, total = turn.items, turn.total
        begins = id_of(rows[0]) if rows else None
        again = start > first and begins is not None and begins == opened_with
        opened_with = begins if start == first else opened_with
        received = start - first + len(rows)
        if again:
            turn.gaps.append(f"{what} ignores {parameter}: asked for row {start} it began with the first row again")
        if total is None and start == first and needs_total:
            turn.warnings.append(f"{what} does not say how many there are: nothing proves that all came")
        if total is not None and received > total:
            turn.gaps.append(f"{what} gave {received} rows and counts {total}: rows came past the end")
        if total is not None and not rows and received < total:
            turn.gaps.append(f"{what} ended after {received} of {total} rows")
        yield turn
        short = total is None and size is not None and len(rows) < size
        if again or not rows or short or (total is not None and received >= total):
            return
        start += len(rows)


def begun(
    keys: Iterable[str], pages: Callable[[str], Iterator[T]], *, width: int = 4
) -> Iterator[tuple[str, Iterator[T]]]:
    """Each key with its pages, in order; the first page of the next `width` keys is fetched meanwhile, in threads.

    For listings of many small lists, such as the members of each group: most of them are one page. Pages after the first
    are fetched as they are asked for, so no list is ever held whole. An error is raised where it stands in the order.
    """
    waiting: deque[tuple[str, Future[tuple[list[T], Iterator[T]]]]] = deque()
    with ThreadPoolExecutor(width) as pool:
        try:
            for key in keys:
                waiting.append((key, pool.submit(_opened, pages(key))))
                if len(waiting) > width:
                    yield _taken(*waiting.popleft())
            while waiting:
                yield _taken(*waiting.popleft())
        finally:
            for _, each in waiting:
                each.cancel()


def _opened(pages: Iterator[T]) -> tuple[list[T], Iterator[T]]:
    """The first page, if there is any, and where the others come from."""
    return list(islice(pages, 1)), pages


def _taken(key: str, opened: Future[tuple[list[T], Iterator[T]]]) -> tuple[str, Iterator[T]]:
    first, rest = opened.result()
    return key, chain(first, rest)


class _End:
    """Marks the end of what a thread reads ahead, and the error that ended it."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


class Ahead(Generic[T]):
    """Pages that a thread fetches while earlier ones are landed, at most `depth` of them waiting.

    Iterate once. `close` ends the thread after its request; an error of the reading is raised where it stands in the order.
    """

    def __init__(self, pages: Callable[[], Iterator[T]], *, depth: int = 2) -> None:
        self._queue: queue.Queue[T | _End] = queue.Queue(depth)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._read, args=(pages,), daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[T]:
        while True:
            found = self._queue.get()
            if isinstance(found, _End):
                self._thread.join()
                if found.error is not None:
                    raise found.error
                return
            yield found

    def close(self) -> None:
        """Lets go: nothing more is fetched. A thread that waits for its vendor is not waited for; it ends with its request."""
        self._over.set()
        until = time.monotonic() + CLOSE_SECONDS
        while self._thread.is_alive() and time.monotonic() < until:
            try:
                self._queue.get(timeout=0.05)
            except queue.Empty:
                continue

    def _read(self, pages: Callable[[], Iterator[T]]) -> None:
        try:
            for each in pages():
                if self._over.is_set():
                    return
                self._queue.put(each)
        except BaseException as error:  # noqa: BLE001 - handed to whoever iterates, who raises it
            self._queue.put(_End(error))
        else:
            self._queue.put(_End())
