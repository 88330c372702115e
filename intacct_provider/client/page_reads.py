"""The part of the client that reads whole objects: pages ahead, totals, and many records by key."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from decimal import Decimal
from functools import partial
from typing import Any

from intacct_provider.client.batches import RecordResult, elements, key_batches, read_results, record_path
from intacct_provider.client.http import codec
from intacct_provider.client.http.retry import moment_of
from intacct_provider.client.http.transport import Request
from intacct_provider.client.paging.key_intervals import Bounds
from intacct_provider.client.paging.ordered_pool import in_order, threads
from intacct_provider.client.paging.pages import read_page, whole_number
from intacct_provider.client.paging.prefetch import PagesAhead
from intacct_provider.client.paging.row_structs import Answer, RawPage, RowForm, RowPage, Totals
from intacct_provider.client.query.request import Query
from intacct_provider.client.reads import QUERY, Names, ReadCalls, References, in_order_of_keys
from intacct_provider.exceptions import IntacctIncompleteReadError, IntacctNotFoundError, IntacctResponseError


class PageReads(ReadCalls):
    """What :class:`~intacct_provider.client.client.IntacctClient` reads for exports."""

    def read_pages(
        self,
        query: Query,
        form: RowForm,
        *,
        above: str | None = None,
        upto: str | None = None,
        sums: Sequence[str] = (),
    ) -> PagesAhead:
        """Return every row that exists during the whole read, once, in pages that are read ahead.

        Up to ``max_concurrency`` calls are under way, so whoever stops early has paid for pages that nobody took. Rows
        come in order of key, unless keys prove to be of no use.

        :param query: fields that are those of the form, filters, and no order.
        :param above: only rows with keys above this one.
        :param upto: only rows with keys up to this one.
        :param sums: fields that Intacct adds up, too, when it is asked for its count.
        :raises IntacctArgumentError: for bounds that are no keys, and for a query of aggregates or with an order.
        :raises IntacctIncompleteReadError: while iterating, if completeness cannot be proven.
        """
        stopped = threading.Event()
        return PagesAhead(
            query,
            form,
            fetch=partial(self._raw_page, form, stopped),
            fetch_mappings=self._page,
            count=partial(self._totals, query, sums, above, upto, stopped),
            page_size=self.config.page_size,
            workers=self.config.max_concurrency,
            bounds=Bounds.checked(above, upto),
            sums=sums,
            stopped=stopped,
        )

    def totals(
        self, query: Query, sums: Sequence[str] = (), *, above: str | None = None, upto: str | None = None
    ) -> Totals:
        """Return how many records a query matches, and what fields of them add up to; one call.

        :param query: its fields and order do not matter.
        :param sums: fields that have amounts or other numbers.
        :param above: only records with keys above this one.
        :param upto: only records with keys up to this one.
        """
        return self._totals(query, sums, above, upto)

    def _totals(
        self,
        query: Query,
        sums: Sequence[str],
        above: str | None,
        upto: str | None,
        stopped: threading.Event | None = None,
    ) -> Totals:
        names = ("count:key", *(f"sum:{name}" for name in sums))
        asked = replace(query, fields=names, order_by=())
        for operator, key in (("$gt", above), ("$lte", upto)):
            if key is not None:
                asked = asked.narrowed({operator: {"key": key}})
        request = Request("POST", QUERY, content=codec.encode(asked.payload(size=1)), stopped=stopped)
        rows = read_page(asked, self._read(query.object_name, request).body, 1, 1).rows
        row = rows[0] if rows else {"count:key": 0}
        count = whole_number(row["count:key"])
        if count is None:
            raise IntacctResponseError(f"Intacct's count of {query.object_name} is no number.")
        return Totals(count, {name: _amount(name, row.get(f"sum:{name}")) for name in sums})

    def read_records(self, object_name: str, pages: Iterable[RowPage]) -> Iterator[References]:
        """Yield the whole records with the keys of pages, in their order, in lists of 500 at most.

        Up to ``max_concurrency`` calls are under way. A record that was deleted after its key was read is left out.

        :raises IntacctIncompleteReadError: for a record that a query shows, but that cannot be had by its key.
        """
        workers, stopped = self.config.max_concurrency, threading.Event()
        read = partial(self._existing, object_name, stopped)
        wanted = (chunk for page in pages for chunk in key_batches(object_name, page.keys))
        with closing(wanted), closing(in_order(threads(workers), workers, read, wanted, stopped)) as lists:
            yield from lists

    def _existing(self, object_name: str, stopped: threading.Event, keys: Names) -> References:
        """Return those of the records with these keys that still exist."""
        reply = self._send(Request("GET", record_path(object_name, keys), stopped=stopped))
        if len(keys) == 1:
            results, found = [RecordResult(0, error=reply.error())], [reply.result]
        else:
            results, found = read_results(reply, len(keys), 0), elements(reply)
        gone = []
        for key, result in zip(keys, results, strict=True):
            if isinstance(result.error, IntacctNotFoundError):
                gone.append(key)
            elif result.error:
                raise self._hints.explained(result.error, object_name)
        left = self._still_there(object_name, gone) if gone else []
        if left and len(left) < len(keys) and not isinstance(found, list):
            return self._existing(object_name, stopped, left)  # one answer for all, because some are gone
        if left:
            raise IntacctIncompleteReadError(
                f"A query shows the record of {object_name} with key {left[0]}, but asked for it by that key, Intacct "
                "says that there is none."
            )
        if len(gone) == len(keys):
            return []
        self._bill(1)
        kept = [(key, one) for key, one, result in zip(keys, found, results, strict=True) if result.ok]
        return list(in_order_of_keys([one for _, one in kept], [key for key, _ in kept], object_name))

    def _still_there(self, object_name: str, keys: Names) -> Names:
        query = Query.checked(
            object_name,
            ["key"],
            filters=[{"$in": {"key": keys}}],
            filter_parameters={"includePrivate": True},
            order_by=[{"key": "asc"}],
        )
        return [str(row["key"]) for row in self._page(query, 1, len(keys)).rows]

    def _raw_page(
        self, form: RowForm, stopped: threading.Event, query: Query, start: int, size: int
    ) -> RawPage:
        body = codec.encode(query.payload(start=start, size=size))
        request = Request("POST", QUERY, content=body, decode=form.read, stopped=stopped)
        reply = self._read(query.object_name, request)
        made: Answer | None = reply.made
        if made is None:
            read_page(query, reply.body, start, size)
            raise IntacctResponseError(f"The answer to the query of {query.object_name} cannot be read.")
        return RawPage(made.page, made.total_count, made.page_size or size, moment_of(reply.headers))


def _amount(name: str, value: Any) -> Decimal:
    try:
        return Decimal(0) if value in (None, "") else Decimal(str(value))
    except ArithmeticError:
        raise IntacctResponseError(f"Intacct's sum of {name} is no number.") from None
