"""Reading every row of a query as fast as the connection allows: pages ahead, proven complete, or raising.

Pages are asked for while those before them are still under way: keys above the last one that is certain, and from
there by a position that stays small. Each page begins with the row that the one before should end with. Pages that
overlap cover everything between their ends, whatever was deleted or added meanwhile; what lies between pages that do
not overlap is read by key. So a page is believed for its rows alone, never for where it should stand.
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

from intacct_provider.client.paging.key_intervals import Bounds, Interval, packed
from intacct_provider.client.paging.keyset import Base, FetchRaw, KeyOrder
from intacct_provider.client.paging.offset import KeysUnusableError, by_position, refuse_aggregates
from intacct_provider.client.paging.ordered_pool import AHEAD, Pool, threads
from intacct_provider.client.paging.pages import FetchPage
from intacct_provider.client.paging.row_structs import RawPage, RowForm, RowPage, Totals
from intacct_provider.client.query.request import Query
from intacct_provider.exceptions import (
    IntacctArgumentError,
    IntacctIncompleteReadError,
    IntacctValidationError,
)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Asked:
    """A page that was asked for.

    :param end: number of its last row, counted from the first row of the whole read, if nothing changes meanwhile.
    :param again: whether it was asked for once before, in vain.
    """

    base: Base
    start: int
    end: int
    again: bool
    answer: Future[Any]


class PagesAhead:
    """Every row that existed during the whole read, once, in pages; to be iterated over once.

    Pages come in order of key unless :attr:`by_position` is true, which is known when the first one comes. The first
    is held back until the second has shown that keys are of use.

    :param fetch: reads one page.
    :param fetch_mappings: reads one page whose rows are mappings, for objects whose keys are of no use.
    :param count: asks Intacct for the count, and control totals, of the whole read.
    :param workers: calls beside each other.
    :param stopped: set when nobody wants more.
    :param pool: makes what carries out calls beside each other, once there is more than one page.
    """

    def __init__(
        self,
        query: Query,
        form: RowForm,
        *,
        fetch: FetchRaw,
        fetch_mappings: FetchPage,
        count: Callable[[], Totals],
        page_size: int,
        workers: int,
        bounds: Bounds,
        sums: Sequence[str] = (),
        stopped: threading.Event | None = None,
        pool: Callable[[int], Pool] = threads,
    ) -> None:
        refuse_aggregates(query)
        if query.order_by not in ((), ({"key": "asc"},)):
            raise IntacctArgumentError("order_by: pages come in order of key; leave it out.")
        fields = query.fields if "key" in query.fields else ("key", *query.fields)
        self.query = query
        self.bounds = bounds
        self.sums = tuple(sums)
        #: Whether keys are of no use, so that rows come in no order that can be relied on.
        self.by_position = False
        #: What was read in order of key, page by page.
        self.intervals: list[Interval] = []
        #: When Intacct answered first, by its own clock, as it writes moments; None if untold.
        self.began: str | None = None
        keyed = replace(query, fields=fields, order_by=({"key": "asc"},))
        self._order = KeyOrder(fetch, keyed, page_size, bounds)
        self._form = form
        self._fetch_mappings = fetch_mappings
        self._ask_count = count
        self._counting: Future[Totals] | None = None
        self._counted: Totals | None = None
        self._workers = workers
        self._make_pool = pool
        self._pool: Pool | None = None
        self._alone: Pool | None = None
        self._begun: Future[Any] | None = None
        self._stopped = stopped or threading.Event()
        self._queue: deque[_Asked] = deque()
        self._base = Base(bounds.above, before=bounds.above)
        self._step = page_size
        self._ended = False

    @property
    def counted(self) -> Totals | None:
        """What Intacct counted: beside the second page, or with the first if that was everything; None if untold."""
        if self._counting is not None:
            self._counted, self._counting = self._counting.result(), None
        return self._counted

    @property
    def expected(self) -> int | None:
        """How many rows there will be, by the newest page; None if untold."""
        return self._order.expected

    def begin(self) -> None:
        """Ask for the first page now, beside whatever else is to be found out before pages are taken.

        Whoever does not take pages after all calls :meth:`close`.
        """
        if self._alone is None:
            self._alone = self._make_pool(1)
            self._begun = self._alone.submit(self._answer, self._base, 1)

    def close(self) -> None:
        """Ask for nothing more, and return when nothing is under way."""
        self._stopped.set()
        for pool in (self._alone, self._pool):
            if pool is not None:
                pool.shutdown(wait=True, cancel_futures=True)

    def __iter__(self) -> Iterator[RowPage]:
        """Yield the pages. Whoever stops early has paid for those ahead; none is left under way.

        :raises IntacctIncompleteReadError: if completeness cannot be proven.
        """
        held = []
        try:
            for page in self._by_key():
                held.append(page)
                if self._order.settled:
                    yield from held
                    held.clear()
            yield from held
        except KeysUnusableError as reason:
            yield from self._by_position(reason)
        finally:
            self.close()

    def _by_key(self) -> Iterator[RowPage]:
        yield from self._take(self._first())
        if self._ended and not self.sums and self.expected is not None:
            self._counted = Totals(self.expected)
        counts = not self._ended
        while not self._ended:
            self._plan(AHEAD * self._workers)
            if counts and self._is_all_planned:
                # Last of all calls, since it is the shortest.
                self._counting, counts = self._running().submit(self._ask_count), False
            yield from self._take(self._queue.popleft())
        if counts:
            self._counted = self._ask_count()
        self._order.make_sure_of_bounds()
        _ = self.counted

    # --- asking

    def _first(self) -> _Asked:
        """Ask for the first page, alone: it tells how many there are, and how large the server lets them be."""
        answer: Future[Any] = Future()
        answer.set_result(self._begun.result() if self._begun else self._answer(self._base, 1))
        return _Asked(self._base, 1, self._step, again=False, answer=answer)

    def _plan(self, most: int) -> None:
        """Ask for the pages that should come next; one more than expected if the last one would be full."""
        if not self._queue:
            self._queue.append(self._ask(1))
        while self.expected is not None and len(self._queue) < most and self._queue[-1].end <= self.expected:
            self._queue.append(self._ask(max(1, self._queue[-1].end - self._base.rows)))

    @property
    def _is_all_planned(self) -> bool:
        return self.expected is None or self._queue[-1].end > self.expected

    def _ask(self, start: int, *, again: bool = False) -> _Asked:
        base = self._base
        answer = self._running().submit(self._answer, base, start)
        return _Asked(base, start, base.rows + start + self._step - 1, again, answer)

    def _answer(self, base: Base, start: int) -> tuple[RawPage, list[int] | None]:
        return self._order.fetch(self._order.among(above=base.key), start)

    def _running(self) -> Pool:
        if self._pool is None:
            self._pool = self._make_pool(self._workers)
        return self._pool

    # --- taking

    def _take(self, asked: _Asked) -> Iterator[RowPage]:
        """Yield what a page adds to the rows taken so far, and before that what is missing between them and it."""
        raw, keys = self._received(asked)
        problem = self._order.problem(raw, keys, asked.base) or self._doubt(raw, keys)
        if problem and (asked.again or self._pool is None):
            raise self._order.unordered(problem)
        if not problem:
            self._order.check(asked.base, raw)
        if not keys or problem:
            self._take_nothing(asked, raw, spoiled=bool(problem))
            return
        known = 0 if self._base.key is None else bisect_right(keys, self._base.key)
        if known == 0 and asked.start > 1:
            yield from self._gap(keys[0])
        if known < len(keys):
            yield self._taken(raw.page.part(known) if known else raw.page, keys[known:])
        self._ended = _is_end(raw, asked.start)
        if not self._ended:
            self._step = max(2, len(keys))

    def _doubt(self, raw: RawPage, keys: list[int] | None) -> str:
        """Return why rows that a page has in common with those before it may be others, or nothing."""
        last = self._base.key
        if last is None or not keys or keys[0] >= last:
            return ""
        for name in raw.page.keys[: bisect_right(keys, last)]:
            if name > str(last) and name not in self._base.names:
                return f"its keys do not rise as numbers (key {name} follows {last})"
        return ""

    def _received(self, asked: _Asked) -> tuple[RawPage, list[int] | None]:
        try:
            raw, keys = asked.answer.result()
        except IntacctValidationError as err:
            if self._order.settled:
                raise
            raise KeysUnusableError(f"a filter on key is refused ({err.message})") from err
        self.began = self.began or raw.moment
        return raw, keys

    def _taken(self, page: RowPage, keys: list[int]) -> RowPage:
        base = self._base
        self._base = Base(keys[-1], base.rows + len(keys), page.keys, base.key)
        self.intervals.append(Interval(keys[0], keys[-1], len(keys), packed(keys)))
        return page

    def _take_nothing(self, asked: _Asked, raw: RawPage, *, spoiled: bool) -> None:
        """Decide what a page without rows, or without any that can be used, means.

        One without rows from further on means nothing: what it should have held will be found missing.
        """
        if spoiled:
            # Those ahead may be no better, and seem to be known already: "103" comes after "1020" in an order of text.
            for ahead in self._queue:
                ahead.answer.cancel()
            self._queue.clear()
        elif asked.start > 1:
            return
        if spoiled or (raw.total_count and not asked.again):
            self._queue.appendleft(self._ask(1, again=True))
            return
        if raw.total_count and self._ask_count().count != self._base.rows:
            self._order.check_counted(raw, self._base)
        self._ended = True

    def _gap(self, below: int) -> Iterator[RowPage]:
        """Yield the pages of what lies between the rows taken so far and a page that came from further on."""
        whole = False
        while not whole:
            query = self._order.among(above=self._base.key, below=below)
            raw, keys = self._order.fetch(query, 1)
            if keys == [] and raw.total_count:
                raw, keys = self._order.fetch(query, 1)
                self._order.check_counted(raw, self._base)
            if keys == []:
                return
            problem = self._order.problem(raw, keys, self._base)
            if problem or not keys or keys[-1] >= below:
                raise self._order.unordered(problem or f"key {keys and keys[-1]} is not below {below}")
            yield self._taken(raw.page, keys)
            whole = _is_end(raw, 1)

    def _by_position(self, reason: KeysUnusableError) -> Iterator[RowPage]:
        """Yield pages by position; none has been handed on so far."""
        for asked in self._queue:
            asked.answer.cancel()
        name = self.query.object_name
        if self.bounds != Bounds():
            raise IntacctIncompleteReadError(
                f"{name} cannot be read from one key to another: {reason}. Read it as a whole."
            ) from reason
        log.info("Intacct: %s is read by offset: %s.", name, reason)
        self.by_position = True
        self.intervals.clear()
        for rows in by_position(self._fetch_mappings, self._order.query, self._order.sizes.size):
            yield self._form.page_of(rows)
        if self.counted is None:
            self._counted = self._ask_count()


def _is_end(raw: RawPage, start: int) -> bool:
    """Whether nothing is left behind a page with rows. A full one never tells: its count may be wrong."""
    rows = len(raw.page)
    return raw.total_count is not None and rows < raw.page_size and start - 1 + rows >= raw.total_count
