"""Reading every row of a query in pages by key: one page after the other, or many ahead, without a gap.

Paging by offset skips rows when an earlier row is deleted between two pages. So each page is requested by key: the rows
with keys above the last key received. Such pages cannot shift.

With workers, pages are requested before the previous ones have arrived, so their first key is not known yet. They are
requested by offset from the last key received, and overlap by one row: each should start with the last row of the page
before. Where two pages overlap, nothing between them is missing, whatever was added or deleted meanwhile. Where they do
not, the gap between them is read by key. So only the rows of a page are trusted, never its position.
"""

from __future__ import annotations

import logging
import threading
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any

from intacct_provider.client.paging.by_position import read_by_position
from intacct_provider.client.paging.fetcher import PageFetcher, QueryService
from intacct_provider.client.paging.key_intervals import Bounds, Interval, pack_keys
from intacct_provider.client.paging.keyset import KEY_ORDER, Cursor, KeyOrder, KeysUnusableError, add_key
from intacct_provider.client.paging.ordered_pool import Pool, Workers, count_ahead, make_pool
from intacct_provider.client.paging.pages import Page, Totals
from intacct_provider.client.paging.row_formats import RowFormat
from intacct_provider.client.query.request import Query
from intacct_provider.exceptions import (
    IntacctArgumentError,
    IntacctIncompleteReadError,
    IntacctValidationError,
)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _PendingPage:
    """A page that was asked for.

    :param end: number of its last row, counted from the first row of the whole read, if nothing changes meanwhile.
    :param again: whether this is a second request.
    """

    cursor: Cursor
    start: int
    end: int
    again: bool
    future: Future[Any]


class CompleteRead:
    """Every row that existed during the whole read, once, in pages; to be iterated over once.

    :func:`~intacct_provider.client.paging.proof.prove` checks completeness after the last page.

    :param service: answers queries.
    :param rows: the form of the rows.
    :param bounds: the keys that the read is about; all keys by default.
    :param sums: fields that Intacct adds up, too, when it is asked for its count.
    :param workers: calls in parallel, which read pages ahead, or a function that returns how many may be now.
        With 0 each page is read in the caller's thread when it is wanted; that reads nothing ahead.
    :param pool: returns what carries out calls in parallel.
    :raises IntacctArgumentError: for a query of aggregates or with an order of its own.
    """

    def __init__(
        self,
        service: QueryService,
        query: Query,
        rows: RowFormat,
        *,
        page_size: int,
        bounds: Bounds | None = None,
        sums: Sequence[str] = (),
        workers: Workers = 0,
        pool: Callable[[Workers], Pool] = make_pool,
    ) -> None:
        reject_aggregates(query)
        if query.order_by not in ((), KEY_ORDER):
            raise IntacctArgumentError("order_by: pages come in order of key; leave it out.")
        self.service = service
        self.query = query
        self.page_size = page_size
        self.bounds = bounds = bounds or Bounds()
        self.sums = tuple(sums)
        #: Whether keys cannot be used, so that rows come in no order that can be relied on; known with the first page.
        self.by_position = False
        #: What was read in order of key, page by page.
        self.intervals: list[Interval] = []
        #: How many rows were read.
        self.rows_read = 0
        #: When Intacct answered first, by its own clock, as it writes times; None if unknown.
        self.began: str | None = None
        self._stopped = threading.Event()
        self._fetcher = PageFetcher(service, rows, page_size, self._stopped)
        self._order = KeyOrder(self._fetcher, replace(add_key(query), order_by=KEY_ORDER), bounds)
        self._workers = workers
        self._make_pool = pool
        self._pool: Pool | None = None
        self._early_pool: Pool | None = None
        self._early: Future[Any] | None = None
        self._queue: deque[_PendingPage] = deque()
        self._cursor = Cursor(bounds.above, before=bounds.above)
        self._step = page_size
        self._ended = False
        self._counting: Future[Totals] | None = None
        self._counted: Totals | None = None

    @property
    def counted(self) -> Totals | None:
        """What Intacct counts; None if unknown.

        Asked for together with the last pages, or else what all pages agree on.
        """
        if self._counting is not None:
            self._counted, self._counting = self._counting.result(), None
        return self._counted

    @property
    def expected(self) -> int | None:
        """How many rows there will be, by the newest page; None if unknown."""
        return self._order.expected

    def begin(self) -> None:
        """Ask for the first page now, in the background. Call :meth:`close` if you do not iterate."""
        if self._early_pool is None:
            self._early_pool = self._make_pool(1)
            self._early = self._early_pool.submit(self._fetch, self._cursor, 1)

    def close(self) -> None:
        """Ask for nothing more, and return when nothing is in flight."""
        self._stopped.set()
        for pool in (self._early_pool, self._pool):
            if pool is not None:
                pool.shutdown(wait=True, cancel_futures=True)

    def __iter__(self) -> Iterator[Page]:
        """Yield the pages, in order of key unless :attr:`by_position` is true.

        With workers, the first page waits for the second, which shows whether keys can be used; stopping early has paid
        for pages ahead.

        :raises IntacctIncompleteReadError: if the rows cannot be everything.
        """
        held: list[Page] = []
        done: set[str] = set()
        try:
            for page in self.by_key():
                held.append(page)
                if self._workers and not self._order.settled:
                    continue
                if not self._order.settled:
                    done.update(page.keys)
                yield from held
                held.clear()
            yield from held
        except KeysUnusableError as reason:
            yield from self._by_position(reason, done)
        finally:
            self.close()

    def by_key(self) -> Iterator[Page]:
        """Yield the pages in order of key.

        :raises KeysUnusableError: instead of the second page at the latest, if keys cannot be used.
        """
        yield from self._accept(self._first())
        counts = bool(self._workers) and not self._ended
        while not self._ended:
            self._plan()
            if counts and self._is_all_planned:
                # Last of all calls, since it is the shortest.
                self._counting, counts = self._running().submit(self._count), False
            yield from self._accept(self._queue.popleft())
        if counts and self._counted is None:
            self._counted = self._count()
        self._order.check_bounds()
        if self.counted is None and not self.sums and self._order.counts_agree and self.expected is not None:
            self._counted = Totals(self.expected)

    # --- asking

    def _first(self) -> _PendingPage:
        """Ask for the first page, alone: it says how many there are, and how large the server lets them be."""
        future: Future[Any] = Future()
        future.set_result(self._early.result() if self._early else self._fetch(self._cursor, 1))
        return _PendingPage(self._cursor, 1, self._step, again=False, future=future)

    def _plan(self) -> None:
        """Ask for the pages that should come next; one more than expected if the last one would be full."""
        if not self._queue:
            self._queue.append(self._submit(1))
        most = count_ahead(self._workers)
        while self.expected is not None and len(self._queue) < most and self._queue[-1].end <= self.expected:
            self._queue.append(self._submit(max(1, self._queue[-1].end - self._cursor.rows)))

    @property
    def _is_all_planned(self) -> bool:
        return self.expected is None or self._queue[-1].end > self.expected

    def _submit(self, start: int, *, again: bool = False) -> _PendingPage:
        cursor = self._cursor
        future = self._running().submit(self._fetch, cursor, start)
        return _PendingPage(cursor, start, cursor.rows + start + self._step - 1, again, future)

    def _fetch(self, cursor: Cursor, start: int) -> tuple[Page, list[int] | None]:
        return self._order.fetch(self._order.select(above=cursor.key), start)

    def _count(self) -> Totals:
        return self.service.count(self.bounds.narrow(self.query), self.sums, stopped=self._stopped)

    def _running(self) -> Pool:
        if self._pool is None:
            self._pool = self._make_pool(self._workers)
        return self._pool

    # --- taking

    def _accept(self, pending: _PendingPage) -> Iterator[Page]:
        """Yield what a page adds to the rows taken so far, and before that what is missing between them and it."""
        page, keys = self._receive(pending)
        problem = self._order.find_problem(page, keys, pending.cursor)
        problem = problem or self._order.find_unexpected_row(page, keys, self._cursor)
        if problem and (pending.again or not pending.cursor.rows):
            raise self._order.build_unusable_error(problem)
        if not problem:
            self._order.check(pending.cursor, page)
        if not keys or problem:
            self._accept_nothing(pending, page, spoiled=bool(problem))
            return
        known = 0 if self._cursor.key is None else bisect_right(keys, self._cursor.key)
        if known == 0 and pending.start > 1:
            yield from self._gap(keys[0])
        if known < len(keys):
            yield self._record(page.part(known) if known else page, keys[known:])
        self._ended = _is_end(page, pending.start)
        if not self._ended:
            self._step = max(2, len(keys))
            # A page that is short, and not the last, may have lost rows.
            self._order.counts_agree &= len(page) >= page.page_size

    def _receive(self, pending: _PendingPage) -> tuple[Page, list[int] | None]:
        try:
            page, keys = pending.future.result()
        except IntacctValidationError as err:
            if self._order.settled or not pending.cursor.rows:
                raise
            raise KeysUnusableError(f"a filter on key is rejected ({err.message})") from err
        self.began = self.began or page.moment
        return page, keys

    def _record(self, page: Page, keys: list[int]) -> Page:
        """Note which keys were read, and return their page."""
        cursor = self._cursor
        self._cursor = Cursor(keys[-1], cursor.rows + len(keys), page.keys, cursor.key)
        self.rows_read += len(keys)
        self.intervals.append(Interval(keys[0], keys[-1], len(keys), pack_keys(keys)))
        return page

    def _accept_nothing(self, pending: _PendingPage, page: Page, *, spoiled: bool) -> None:
        """Decide what a page without rows, or without any that can be used, means.

        An empty read-ahead page is ignored: what it should have held will be found missing.
        """
        if spoiled:
            # Pages already requested may be just as bad and can look known: "103" comes after "1020" in an order of
            # text.
            for ahead in self._queue:
                ahead.future.cancel()
            self._queue.clear()
        elif pending.start > 1:
            return
        if spoiled or (page.total_count and not pending.again):
            self._queue.appendleft(self._submit(1, again=True))
            return
        if page.total_count:
            self._counted = self._count()
            if self._counted.count != self._cursor.rows:
                self._order.reject_empty(page, self._cursor)
        self._ended = True

    def _gap(self, below: int) -> Iterator[Page]:
        """Yield the pages of what lies between the rows taken so far and a page that came from further on."""
        whole = False
        while not whole:
            query = self._order.select(above=self._cursor.key, below=below)
            page, keys = self._order.fetch(query)
            if keys == [] and page.total_count:
                page, keys = self._order.fetch(query)
                self._order.reject_empty(page, self._cursor)
            if keys == []:
                return
            problem = self._order.find_problem(page, keys, self._cursor)
            if problem or not keys or keys[-1] >= below:
                raise self._order.build_unusable_error(
                    problem or f"key {keys and keys[-1]} is not below {below}"
                )
            yield self._record(page, keys)
            whole = _is_end(page, 1)

    def _by_position(self, reason: KeysUnusableError, done: set[str]) -> Iterator[Page]:
        """Yield pages by position.

        :param done: keys of rows that were handed on before keys proved unusable.
        """
        for pending in self._queue:
            pending.future.cancel()
        name = self.query.object_name
        if self.bounds != Bounds():
            raise IntacctIncompleteReadError(
                f"{name} cannot be read from one key to another: {reason}. Read it as a whole."
            ) from reason
        log.info("Intacct: %s is read by offset: %s.", name, reason)
        self.by_position = True
        self.intervals.clear()
        self.rows_read = len(done)
        for page in read_by_position(self._fetcher, self._order.query, done):
            self.rows_read += len(page)
            yield page
        if self._workers and self.counted is None:
            self._counted = self._count()


def reject_aggregates(query: Query) -> None:
    """Reject rows without keys.

    :raises IntacctArgumentError: for a query of aggregates.
    """
    if query.aggregated:
        raise IntacctArgumentError(
            "Rows of aggregates have no key to read by: ask for them with IntacctQueryOperator or client.query(), or "
            "leave the aggregates out of fields."
        )


def _is_end(page: Page, start: int) -> bool:
    """Whether nothing is left behind a page with rows. A full one never shows it: its count may be wrong."""
    rows = len(page)
    return page.total_count is not None and rows < page.page_size and start - 1 + rows >= page.total_count
