"""Every row of a query, once, in pages, proven complete: a pass in order of key, and what came to exist meanwhile."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future
from dataclasses import replace
from itertools import chain
from typing import Any

from intacct_provider.client.paging.by_position import read_by_position
from intacct_provider.client.paging.changes import find_changes, read_late
from intacct_provider.client.paging.fetcher import PageFetcher, QueryService
from intacct_provider.client.paging.key_intervals import Bounds, Interval
from intacct_provider.client.paging.key_pass import KeyPass
from intacct_provider.client.paging.keyset import KEY_ORDER, KeyOrder, KeysUnusableError, add_key
from intacct_provider.client.paging.ordered_pool import Pool, Workers, make_pool
from intacct_provider.client.paging.pages import Page, Totals
from intacct_provider.client.paging.row_formats import RowFormat
from intacct_provider.client.query.request import Query
from intacct_provider.exceptions import (
    IntacctArgumentError,
    IntacctIncompleteReadError,
    IntacctValidationError,
)

log = logging.getLogger(__name__)


class CompleteRead:
    """Every row that existed during the whole read, once, in pages; to be iterated over once.

    When all answers agree about the number of rows, they are the proof. When they do not, because records came or went
    or an answer was wrong, the highest key is asked for again, and the keys up to it are read again: rows that exist
    now and were not read are read, and come last. So change costs calls and never fails a read.

    :param service: answers queries.
    :param rows: the form of the rows.
    :param bounds: the keys that the read is about; all keys by default.
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
        workers: Workers = 0,
        pool: Callable[[Workers], Pool] = make_pool,
    ) -> None:
        reject_aggregates(query)
        if query.order_by not in ((), KEY_ORDER):
            raise IntacctArgumentError("order_by: pages come in order of key; leave it out.")
        self.service = service
        self.query = query
        self.bounds = bounds or Bounds()
        #: Whether keys cannot be used, so that rows come in no order that can be relied on; known with the first page.
        self.by_position = False
        #: How many rows were read, late ones included.
        self.rows_read = 0
        #: How many of them came last, since they were found after the pass.
        self.late = 0
        #: How many of them are of records that no longer matched when they were looked for again.
        self.vanished = 0
        self._stopped = threading.Event()
        self._fetcher = PageFetcher(service, rows, page_size, self._stopped)
        order = KeyOrder(self._fetcher, replace(add_key(query), order_by=KEY_ORDER), self.bounds)
        self._how: dict[str, Any] = {"workers": workers, "pool": pool, "stopped": self._stopped}
        self._pass = KeyPass(service, order, **self._how)
        self._early_pool: Pool | None = None

    @property
    def expected(self) -> int | None:
        """How many rows there will be, by the newest page; None if unknown."""
        return self._pass.expected

    @property
    def counted(self) -> Totals | None:
        """How many of the rows there are, by all answers or by the keys that were read again; None if unknown."""
        return None if self.by_position else Totals(self.rows_read - self.vanished)

    @property
    def began(self) -> str | None:
        """When Intacct was first asked, by its own clock, as it writes times; None if unknown."""
        return self._pass.began

    @property
    def intervals(self) -> list[Interval]:
        """What was read in order of key, page by page."""
        return self._pass.intervals

    @property
    def covered(self) -> Bounds:
        """The keys that the read is about: up to the highest one that there was, so that newer ones are not."""
        end = self._pass.end
        return self.bounds if end is None else replace(self.bounds, upto=end)

    def begin(self) -> None:
        """Ask for the first page now, in the background. Call :meth:`close` if you do not iterate."""
        if self._early_pool is None:
            self._early_pool = self._how["pool"](1)
            early: Future[Any] = self._early_pool.submit(self._pass.first)
            self._pass.first = early.result

    def close(self) -> None:
        """Ask for nothing more, and return when nothing is in flight."""
        self._stopped.set()
        if self._early_pool is not None:
            self._early_pool.shutdown(wait=True, cancel_futures=True)
        self._pass.close()

    def __iter__(self) -> Generator[Page, None, None]:
        """Yield the pages, in order of key unless :attr:`by_position` is true, and last the late ones.

        With workers, the first page waits for the second, which shows whether keys can be used; stopping early has paid
        for pages ahead.

        :raises IntacctIncompleteReadError: if the rows cannot be everything.
        """
        done: set[str] = set()
        try:
            for page in self._read_by_key(done):
                self.rows_read += len(page)
                yield page
        except (KeysUnusableError, IntacctValidationError) as err:
            yield from self._read_by_position(self._explain(err), done)
        finally:
            self.close()

    def _read_by_key(self, done: set[str]) -> Iterator[Page]:
        """Yield the pages of a pass, and then the late ones.

        :param done: gets the keys of rows that were yielded before it was known whether keys can be used.
        """
        held: list[Page] = []
        for page in self._pass:
            held.append(page)
            if self._how["workers"] and not self._pass.order.settled:
                continue
            if not self._pass.order.settled:
                done.update(page.keys)
            yield from held
            held.clear()
        # What an end that was wrong has left unsettled may still turn out to be sorted as text.
        for page in held:
            done.update(page.keys)
        yield from held
        self._pass.order.check_bounds()
        yield from self._settle()

    def _settle(self) -> Iterator[Page]:
        """Yield what is missing, unless all answers agree that nothing is."""
        read = self._pass
        if not read.counts:
            read.counts.add(self.service.count(self.covered.narrow(self.query), stopped=self._stopped).count)
        if read.is_certain:
            return
        # What lies between this end and a later one came meanwhile, or the end was wrong: reading it once is enough.
        end = read.end
        read.extend()
        yield from read
        if read.is_certain or read.end is None:
            return
        end = read.end if end is None else end
        found = find_changes(read.order, read.intervals, end, self.service, **self._how)
        self.vanished = found.vanished
        for page in chain(found.pages, read_late(read.order, found.late)):
            self.late += len(page)
            if page.rows:
                yield replace(page, late=True)
        if self.late:
            log.info(
                "Intacct: %d records of %s came to match during the read; they come last.",
                self.late, self.query.object_name,
            )  # fmt: skip

    def _explain(self, err: KeysUnusableError | IntacctValidationError) -> KeysUnusableError:
        """Return why keys cannot be used.

        :raises IntacctValidationError: if that is not about keys.
        """
        if isinstance(err, KeysUnusableError):
            return err
        if self._pass.order.settled or not self._pass.order.begun:
            raise err
        return KeysUnusableError(f"a filter on key is rejected ({err.message})")

    def _read_by_position(self, reason: KeysUnusableError, done: set[str]) -> Iterator[Page]:
        """Yield pages by position.

        :param done: keys of rows that were handed on before keys proved unusable.
        """
        name = self.query.object_name
        if self.bounds != Bounds():
            raise IntacctIncompleteReadError(
                f"{name} cannot be read from one key to another: {reason}. Read it as a whole."
            ) from reason
        log.info("Intacct: %s is read by offset: %s.", name, reason)
        self._pass.close()
        self._pass.intervals.clear()
        self._pass.end = None
        self.by_position = True
        self.rows_read = len(done)
        for page in read_by_position(self._fetcher, self._pass.order.query, done):
            self.rows_read += len(page)
            yield page


def reject_aggregates(query: Query) -> None:
    """Reject rows without keys.

    :raises IntacctArgumentError: for a query of aggregates.
    """
    if query.aggregated:
        raise IntacctArgumentError(
            "Rows of aggregates have no key to read by: ask for them with IntacctQueryOperator or client.query(), or "
            "leave the aggregates out of fields."
        )
