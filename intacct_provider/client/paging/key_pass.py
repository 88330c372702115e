"""One pass over the records of a query, in pages by key: one page after the other, or many ahead, without a gap.

Paging by offset skips rows when an earlier row is deleted between two pages. So each page is requested by key: the rows
with keys above the last key received. Such pages cannot shift.

With workers, pages are requested before the previous ones have arrived, so their first key is not known yet. They are
requested by offset from the last key received, and overlap by one row: each should start with the last row of the page
before. Where two pages overlap, nothing between them is missing, whatever was added or deleted meanwhile. Where they do
not, the gap between them is read by key. So only the rows of a page are trusted, never its position.

The highest key is asked for beside the second page, and may bring the last page with it. It is the end that must be
reached, so that no change can outrun the pass. Counts, ``next``, page sizes and the end are witnesses: where an answer
contradicts them, it is asked for again, and if the contradiction comes again, the pass fails.
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any

from intacct_provider.client.paging.fetcher import QueryService
from intacct_provider.client.paging.key_intervals import Interval, pack_keys
from intacct_provider.client.paging.keyset import Cursor, KeyOrder
from intacct_provider.client.paging.last_page import MOST_SHARED, LastPage, choose_last_rows, choose_overlap
from intacct_provider.client.paging.ordered_pool import Pool, Workers, count_ahead
from intacct_provider.client.paging.pages import Page
from intacct_provider.exceptions import IntacctIncompleteReadError

#: How often no row may come where Intacct counts some, before it is more than that a record comes and goes.
MOST_EMPTY = 6


@dataclass(frozen=True, slots=True)
class _PendingPage:
    """A page that was asked for.

    :param end: number of its last row, counted from the first row of the whole read, if nothing changes meanwhile.
    :param upto: the highest key that was asked for; None if the end was not known yet.
    :param again: whether this is a second request.
    """

    cursor: Cursor
    start: int
    end: int
    upto: int | None
    again: bool
    future: Future[Any]


class KeyPass:
    """The pages of one pass, in order of key; to be iterated over once, and once more after each :meth:`extend`.

    :param service: counts, where answers contradict each other.
    :param order: fetches pages.
    :param workers: calls in parallel, which read pages ahead, or a function that returns how many may be now. With 0
        each page is read in the caller's thread when it is wanted; that reads nothing ahead.
    :param pool: returns what carries out calls in parallel.
    :param again: whether an earlier pass has read the same rows, so that the bound of the keys is the end and a page
        that says that it is the last one is believed.
    """

    def __init__(
        self,
        service: QueryService,
        order: KeyOrder,
        *,
        workers: Workers,
        pool: Callable[[Workers], Pool],
        stopped: threading.Event,
        again: bool = False,
    ) -> None:
        self.order = order
        #: The key up to which everything is read; None as long as it is unknown, or if one page was everything.
        self.end: int | None = order.bounds.upto if again else None
        #: What was read, page by page.
        self.intervals: list[Interval] = []
        self.rows_read = 0
        #: What answers have said about the number of all rows; more than one number if they disagree.
        self.counts: set[int] = set()
        #: When Intacct was first asked, by its own clock, as it writes times; None if unknown.
        self.began: str | None = None
        #: Asks for the first page; it may have been asked for already.
        self.first: Callable[[], tuple[Page, list[int] | None]] = lambda: self._fetch(self._cursor, 1, None)
        self._service = service
        self._workers = workers
        self._make_pool = pool
        self._stopped = stopped
        self._again = again
        self._pool: Pool | None = None
        self._queue: deque[_PendingPage] = deque()
        above = order.bounds.above
        self._cursor = Cursor(above, before=above)
        self._step = order.fetcher.size
        #: Rows that a page requested ahead should share with the one before.
        self._overlap = 1
        #: Rows that make a page full, whatever the server says: it has shown that it sends no more.
        self._full = order.fetcher.size
        self._asked: Future[int | None] | None = None
        self._last = LastPage(order)
        self._begun = self._ended = False
        self._is_more_after_end = False
        #: Whether a page with few rows was believed by a count, which a change may have made equal by chance.
        self._is_doubted = False
        #: Above which key no row came, and how often.
        self._emptied: tuple[Cursor, int] = self._cursor, 0

    @property
    def is_certain(self) -> bool:
        """Whether all answers agree with the rows that were read."""
        return self.counts == {self.rows_read} and not self._is_more_after_end and not self._is_doubted

    def close(self) -> None:
        """Ask for nothing more, and return when nothing is in flight."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def __iter__(self) -> Iterator[Page]:
        """Yield the pages.

        :raises KeysUnusableError: instead of the second page at the latest, if keys cannot be used.
        :raises IntacctIncompleteReadError: if answers contradict each other, and again when asked.
        """
        if not self._begun:
            self._begun = True
            yield from self._accept(self._ask_first())
        while not self._ended:
            if rest := self._last.join(self._cursor):
                self._cancel()
                self._last.drop()
                self._ended = True
                yield self._record(*rest)
                return
            self._plan()
            if self._is_end_reached():
                return
            if self._queue:
                yield from self._accept(self._queue.popleft())

    def extend(self) -> None:
        """Ask for the highest key again; if it is above the end by now, go on up to it."""
        highest, last = self._find_end(1), self._cursor.key
        if highest is None:
            return
        self.end = highest if last is None else max(highest, last)
        self._ended, self._is_more_after_end = self.end == last, False

    # --- asking

    def _ask_first(self) -> _PendingPage:
        """Ask for the first page, alone: it says how many there are, and how large the server lets them be."""
        future: Future[Any] = Future()
        future.set_result(self.first())
        return _PendingPage(self._cursor, 1, self._step, self.end, again=False, future=future)

    def _plan(self) -> None:
        """Ask for the pages that should come next, and for the last one beside the first of them."""
        if not self._cursor.rows and self._queue:
            return  # the first page, once more
        unknown = self.end is None and self._asked is None
        more = self.expected is None or self.expected > self._cursor.rows
        rows = self._choose_last_rows() if unknown else self._last.rows
        if unknown and not (self._workers and more):
            self._ask_end(rows)
            return
        # The pages before the last one reach its first row.
        upto = None if self.expected is None else self.expected - rows + 1
        joined = unknown and upto is not None and upto <= self._cursor.rows
        if not self._queue and not joined:
            self._queue.append(self._submit(1))
        if unknown:
            self._ask_end(rows)
        while upto is not None and self._queue and len(self._queue) < self._most_ahead:
            if self._queue[-1].end >= upto:
                break
            self._queue.append(
                self._submit(max(1, self._queue[-1].end - self._cursor.rows + 1 - self._overlap))
            )

    def _choose_last_rows(self) -> int:
        """Return how many rows to ask for from the other end, and note how many rows pages may share."""
        rows, size = self.expected or 0, self._step
        self._overlap = choose_overlap(rows, size)
        if not self.order.query.few_calls:
            return 1
        step = size - self._overlap if self._most_ahead > 1 else size
        return choose_last_rows(rows - self._cursor.rows, size, step, self._overlap)

    @property
    def _most_ahead(self) -> int:
        """How many pages may be in flight or wait; pages of two rows would overlap by half."""
        return count_ahead(self._workers) if self._step > 2 else 1

    @property
    def expected(self) -> int | None:
        """How many rows there will be, by the newest page; None if unknown."""
        return self.order.expected

    def _ask_end(self, rows: int) -> None:
        self._asked = self._running().submit(self._find_end, rows)

    def _find_end(self, rows: int) -> int | None:
        highest = self._last.find_highest(self._cursor, rows)
        if self._last.count is not None:
            self.counts.add(self._last.count)
        return highest

    def _is_end_reached(self) -> bool:
        """Whether everything up to the end was read; waits for the end if it was asked for."""
        if self._asked is not None:
            self.end, self._asked = self._asked.result(), None
        self._ended = self._ended or (
            self.end is not None and self._cursor.key is not None and self._cursor.key >= self.end
        )
        return self._ended

    def _submit(self, start: int, *, again: bool = False) -> _PendingPage:
        cursor, upto = self._cursor, self.end
        future = self._running().submit(self._fetch, cursor, start, upto)
        return _PendingPage(cursor, start, cursor.rows + start + self._step - 1, upto, again, future)

    def _ask_again(self, *, contradicted: bool = True) -> None:
        """Ask for the next rows once more, alone.

        Pages already requested may be just as bad and can look known: "103" comes after "1020" in an order of text.

        :param contradicted: whether the answer contradicted itself or others; it may not do so again.
        """
        self._cancel()
        self._queue.append(self._submit(1, again=contradicted))

    def _cancel(self) -> None:
        """Do without the pages that were asked for ahead."""
        for ahead in self._queue:
            ahead.future.cancel()
        self._queue.clear()

    def _fetch(self, cursor: Cursor, start: int, upto: int | None) -> tuple[Page, list[int] | None]:
        return self.order.fetch(self.order.select(above=cursor.key, last=upto), start)

    def _running(self) -> Pool:
        if self._pool is None:
            self._pool = self._make_pool(self._workers)
        return self._pool

    # --- taking

    def _accept(self, pending: _PendingPage) -> Iterator[Page]:
        """Yield what a page adds to the rows taken so far, and before that what is missing between them and it."""
        page, keys = self._receive(pending)
        problem = self.order.find_problem(page, keys, pending.cursor, pending.upto)
        problem = problem or self.order.find_unexpected_row(page, keys, self._cursor)
        if problem and pending.again:
            raise self.order.build_unusable_error(problem)
        if problem:
            self._ask_again()
            return
        if page.total_count is not None:
            self.counts.add(pending.cursor.rows + page.total_count)
        self.order.check(pending.cursor, page, self.end, self._last.count)
        if not keys:
            self._accept_nothing(pending, page)
            return
        if not self._is_credible(pending, page, keys):
            self._ask_again()
            return
        known = 0 if self._cursor.key is None else bisect_right(keys, self._cursor.key)
        if known == 0 and pending.start > 1:
            # Rows were deleted before it. More of an overlap is cheaper than a call for each gap.
            self._overlap = max(1, min(self._step // MOST_SHARED, 4 * self._overlap))
            closed = yield from self._close_gap(keys[0])
            if not closed:
                self._ask_again()
                return
        wanted = len(keys) if self.end is None else bisect_right(keys, self.end)
        if known < wanted:
            yield self._record(page.part(known, wanted), keys[known:wanted])
        self._ended = self._is_last(pending, page, keys)
        self._step = max(2, len(keys)) if not self._ended else self._step

    def _receive(self, pending: _PendingPage) -> tuple[Page, list[int] | None]:
        page, keys = pending.future.result()
        self.began = self.began or page.moment
        return page, keys

    def _record(self, page: Page, keys: list[int]) -> Page:
        """Note which keys were read, and return their page."""
        cursor, packed = self._cursor, pack_keys(keys)
        self._cursor = Cursor(keys[-1], cursor.rows + len(keys), page.keys, cursor.key)
        self.rows_read += len(keys)
        self.intervals.append(Interval(keys[0], keys[-1], len(keys), packed))
        return replace(page, packed=packed)

    def _accept_nothing(self, pending: _PendingPage, page: Page) -> None:
        """Decide what a page without rows means.

        An empty read-ahead page is ignored: what it should have held will be found missing.
        """
        if pending.start > 1:
            return
        above, times = self._emptied
        times = times + 1 if above is self._cursor else 1
        self._emptied = self._cursor, times
        contradicts = bool(page.total_count) or page.next is not None
        # No single answer is believed: each is followed by a second one before it is judged.
        if times % 2 or (contradicts and not pending.again and times < MOST_EMPTY):
            self._ask_again(contradicted=contradicts)
            return
        # An answer without a count, or that there is nothing below a key that exists, may be false.
        if contradicts or page.total_count is None or (self.end is not None and not self._again):
            counted = self._count_between(self._cursor.key, pending.upto)
            if counted and not contradicts and times < MOST_EMPTY:
                self._ask_again(contradicted=False)  # one that comes and goes may have come back
                return
            self._reject_missing(page, counted, 0)
        self._ended = True

    def _is_credible(self, pending: _PendingPage, page: Page, keys: list[int]) -> bool:
        """Whether a page does not contradict itself, or is right about its rows by Intacct's own count.

        A short page that is not the last may have lost rows, or the server sends no more at once. Behind the end that
        was asked for there can be nothing more. Change alone brings neither about.
        """
        short, followed = self._is_short(page), page.is_followed(pending.start)
        if followed and len(page) == self._full:
            self._is_doubted = False  # it really sends no more at once
        upto = self.order.bounds.upto if pending.upto is None else pending.upto
        if not followed or not (short or (upto is not None and keys[-1] >= upto)):
            return True
        above, rows = (pending.cursor.key, len(keys)) if pending.start == 1 else (keys[0], len(keys) - 1)
        counted = self._count_between(above, keys[-1])
        if counted > rows:
            if pending.again:
                self._reject_missing(page, counted, rows)
            return False
        if short:
            self._full = max(2, len(page))
            self._is_doubted = True
        return True

    def _is_last(self, pending: _PendingPage, page: Page, keys: list[int]) -> bool:
        """Whether nothing is left to read; a full page never shows it alone, since its count may be wrong."""
        behind = page.count_behind(pending.start)
        last = page.next is None and behind is not None and behind <= 0
        if self._again and last:
            return True
        if self.end is not None or self._asked is not None:
            if not self._is_end_reached() and (self.end is None or keys[-1] < self.end):
                return False
            self._is_more_after_end = pending.upto is None and page.next is not None and keys[-1] == self.end
            return True
        return last and self._is_short(page)

    def _is_short(self, page: Page) -> bool:
        """Whether a page has fewer rows than the server sends at once."""
        return len(page) < min(page.page_size, self._full)

    def _close_gap(self, below: int) -> Generator[Page, None, bool]:
        """Yield the pages of what lies between the rows taken so far and a page that came from further on.

        :return: whether that is everything; if an answer is not to be relied on, it is not.
        """
        while True:
            page, keys = self.order.fetch(self.order.select(above=self._cursor.key, below=below))
            problem = self.order.find_problem(page, keys, self._cursor)
            if problem or keys is None or (keys and keys[-1] >= below):
                return False
            left = page.total_count is None or page.is_followed(1)
            if not keys:
                return not left
            if left and self._is_short(page):
                return False
            yield self._record(page, keys)
            if not left and self._is_short(page):
                return True

    def _count_between(self, above: int | None, upto: int | None) -> int:
        query = replace(self.order.select(above=above, last=upto), order_by=())
        return self._service.count(query, stopped=self._stopped).count

    def _reject_missing(self, page: Page, counted: int, rows: int) -> None:
        """Reject a page that has fewer rows than Intacct counts, twice.

        :raises IntacctIncompleteReadError: with both statements.
        """
        if counted <= rows:
            return
        where = "" if self._cursor.key is None else f" above key {self._cursor.key}"
        upto = "" if not rows or not page.keys else f" up to {page.keys[-1]}"
        sent = "none of them" if not rows else f"{rows} of them"
        raise IntacctIncompleteReadError(
            f"The read of {self.order.query.object_name} cannot be proven complete: Intacct counts {counted} "
            f"{'record' if counted == 1 else 'records'}{where}{upto} but sends {sent}, and the same when it is asked "
            "again."
        )
