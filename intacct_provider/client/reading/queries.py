"""Queries: one page, every row, pages that are read ahead, and totals."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from intacct_provider.client.catalog import Catalog
from intacct_provider.client.http import codec
from intacct_provider.client.http.replies import read_server_time
from intacct_provider.client.http.transport import Request
from intacct_provider.client.model import ModelField
from intacct_provider.client.paging.complete_read import CompleteRead
from intacct_provider.client.paging.key_intervals import Bounds
from intacct_provider.client.paging.pages import Page, Row, Totals, whole_number
from intacct_provider.client.paging.row_formats import MappingRows, RowFormat
from intacct_provider.client.paging.rows import iter_rows
from intacct_provider.client.query.filters import Filters
from intacct_provider.client.query.request import Query, check_exclude
from intacct_provider.client.session import Session
from intacct_provider.client.usage import Usage
from intacct_provider.exceptions import (
    IntacctAnswerTooLargeError,
    IntacctArgumentError,
    IntacctError,
    IntacctIncompleteReadError,
    IntacctResponseError,
)

QUERY = "/services/core/query"
#: Rows of a page that is not made smaller when it is too large.
_FEW = 2
#: How often an answer without rows must come before it is believed.
_BELIEVED = 2


class QueryReader:
    """Reads what the query service returns. The public methods of the client say what each of these promises."""

    def __init__(self, session: Session, catalog: Catalog) -> None:
        self._session = session
        self._catalog = catalog

    def build_query(
        self,
        query: Query | str,
        fields: Sequence[str] | None,
        *,
        filters: Filters = None,
        filter_expression: str | None = None,
        filter_parameters: Mapping[str, Any] | None = None,
        order_by: Sequence[Mapping[str, str]] | None = None,
        exclude: Sequence[str] | None = None,
    ) -> Query:
        """Return a query that is checked, from its parts or as it is.

        ``fields="*"`` gets its names from the catalog, which costs a call once per client and object.

        :raises IntacctArgumentError: naming the part that cannot be right.
        """
        parts = {
            "filters": filters,
            "filter_expression": filter_expression,
            "filter_parameters": filter_parameters,
            "order_by": order_by,
        }
        if isinstance(query, Query):
            _reject_parts({"fields": fields, **parts, "exclude": exclude})
            return query
        excluded = check_exclude(fields, exclude)
        if fields != "*":
            return Query.build(query, fields, **parts)  # type: ignore[arg-type]
        # The other parts first, before the call is paid for.
        checked = Query.build(query, ["key"], **parts)  # type: ignore[arg-type]
        return replace(checked, fields=tuple(self._catalog.queryable_fields(query, excluded)))

    def page(self, query: Query, start: int, size: int) -> Page:
        """Return one page whose rows are mappings."""
        rows = MappingRows(query.fields, keyed="key" in query.fields)
        return self.fetch_page(query, start, size, rows=rows)

    def first_page(self, query: Query, size: int) -> Page:
        """Return the first page, whose rows are mappings; that there are none is believed if it comes twice.

        :raises IntacctIncompleteReadError: if rows are counted and not sent, and again when they are asked for.
        """
        answers = [0, 0]  # without a row: those that count none, and those that count some
        while True:
            page = self.page(query, 1, size)
            answers[page.is_followed(1)] += 1
            if page.rows or answers[False] == _BELIEVED:
                return page
            if answers[True] == _BELIEVED:
                raise IntacctIncompleteReadError(
                    f"Intacct says that a query of {query.object_name} has {page.total_count or 'more'} records, and "
                    "sends none of them, and the same when it is asked again."
                )

    def iter_rows(self, query: Query) -> Iterator[Row]:
        """Yield every row that existed during the whole read, once, or raise."""
        return iter_rows(self, query, self._session.config.page_size)

    def read_pages(
        self, query: Query, rows: RowFormat, *, above: str | None, upto: str | None
    ) -> CompleteRead:
        """Return every row that exists during the whole read, once, in pages that are read ahead."""
        return CompleteRead(
            self,
            query,
            rows,
            page_size=self._session.config.page_size,
            bounds=Bounds.from_text(above, upto),
            workers=self._session.transport.limit.read_allowed,
        )

    def totals(self, query: Query, sums: Sequence[str], above: str | None, upto: str | None) -> Totals:
        """Return how many records with keys within bounds a query matches, and what fields of them add up to."""
        return self.count(Bounds.from_text(above, upto).narrow(query), sums)

    # --- what paging asks of this service

    def fetch_page(
        self,
        query: Query,
        start: int,
        size: int,
        *,
        rows: RowFormat,
        stopped: threading.Event | None = None,
    ) -> Page:
        """Return one page; one transaction.

        :param rows: the form of its rows.
        :param stopped: set when the response is no longer needed.
        """
        request = Request(
            "POST",
            QUERY,
            content=codec.encode(query.payload(start=start, size=size)),
            decode=lambda content: rows.read(content, start, size),
            stopped=stopped,
            object_name=query.object_name,
        )
        for last in (False, True):  # one answer alone may be wrong
            began = time.monotonic()
            try:
                reply = self._catalog.read(query.object_name, request)
            except IntacctAnswerTooLargeError:
                # So few rows are not that large.
                if last or size > _FEW:
                    raise
                continue
            page: Page | None = reply.decoded
            if page is not None:
                break
        if page is None:
            raise _build_response_error(query, reply.result)
        self._session.report(Usage(query.object_name, rows=len(page.rows)))
        sent = read_server_time(reply.headers, time.monotonic() - began)
        return replace(page, moment=sent, answered=read_server_time(reply.headers))

    def count(
        self, query: Query, sums: Sequence[str] = (), *, stopped: threading.Event | None = None
    ) -> Totals:
        """Return how many records a query matches, and what fields of them add up to; one transaction.

        :param stopped: set when the response is no longer needed.
        """
        names = ("count:key", *(f"sum:{name}" for name in sums))
        asked = replace(query, fields=names, order_by=())
        rows = MappingRows(names, keyed=False)
        found = (
            self.fetch_page(asked, 1, 1, rows=rows, stopped=stopped).rows
            or self._count_nothing(query, names[0], stopped)
            or self.fetch_page(asked, 1, 1, rows=rows, stopped=stopped).rows
        )
        count = whole_number(found[0][names[0]]) if found else None
        if count is None:
            raise IntacctResponseError(f"Intacct's count of {query.object_name} is not a number.")
        return Totals(count, {name: _read_sum(name, found[0].get(f"sum:{name}")) for name in sums})

    def _count_nothing(
        self, query: Query, name: str, stopped: threading.Event | None
    ) -> list[Mapping[str, Any]]:
        """Return the count of no records, after a count without a row, if a page says so, too; else nothing."""
        page = self.fetch_page(
            replace(query, fields=("key",), order_by=()), 1, 1, rows=MappingRows(()), stopped=stopped
        )
        return [] if page.rows or page.total_count or page.next is not None else [{name: 0}]

    def fields(self, object_name: str) -> Mapping[str, ModelField]:
        """Return the fields of an object by name."""
        return self._catalog.fields(object_name)


def _build_response_error(query: Query, result: Any) -> IntacctError:
    """Return the exception for a response that is not a page."""
    if isinstance(result, list) and all(isinstance(row, Mapping) for row in result):
        return IntacctResponseError(f"The response to the query of {query.object_name} cannot be read.")
    return IntacctIncompleteReadError(
        f"The response to the query of {query.object_name} has no list of rows."
    )


def _reject_parts(parts: Mapping[str, Any]) -> None:
    given = [name for name, value in parts.items() if value is not None]
    if given:
        raise IntacctArgumentError(
            f"{given[0]} cannot be given with a Query, which has its own; give the object's path instead of the Query."
        )


def _read_sum(name: str, value: Any) -> Decimal:
    try:
        return Decimal(0) if value in (None, "") else Decimal(str(value))
    except ArithmeticError:
        raise IntacctResponseError(f"Intacct's sum of {name} is not a number.") from None
