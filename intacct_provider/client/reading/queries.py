"""Queries: one page, every row, pages that are read ahead, and totals."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from functools import partial
from typing import Any

from intacct_provider.client.catalog import Catalog
from intacct_provider.client.http import codec
from intacct_provider.client.http.retry import moment_of
from intacct_provider.client.http.transport import Request
from intacct_provider.client.paging.key_intervals import Bounds
from intacct_provider.client.paging.offset import iter_rows
from intacct_provider.client.paging.pages import Page, Row, read_page, whole_number
from intacct_provider.client.paging.prefetch import PagesAhead
from intacct_provider.client.paging.row_structs import Answer, RawPage, RowForm, Totals
from intacct_provider.client.query.filters import Filters
from intacct_provider.client.query.request import Query, check_page
from intacct_provider.client.session import Session
from intacct_provider.exceptions import IntacctArgumentError, IntacctResponseError

QUERY = "/services/core/query"


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
            _refuse_parts({"fields": fields, **parts})
            return query
        if fields != "*":
            return Query.build(query, fields, **parts)  # type: ignore[arg-type]
        # The other parts first, before the call is paid for.
        checked = Query.build(query, ["key"], **parts)  # type: ignore[arg-type]
        return replace(checked, fields=tuple(self._catalog.queryable_fields(query)))

    def page(self, query: Query, start: int, size: int | None) -> Page:
        """Return one page."""
        size = self._session.config.page_size if size is None else size
        check_page(start, size)
        return self.fetch_page(query, start, size)

    def iter_rows(self, query: Query) -> Iterator[Row]:
        """Yield every row that existed during the whole read, once, or raise."""
        return iter_rows(self.fetch_page, query, self._session.config.page_size)

    def read_pages(
        self, query: Query, form: RowForm, *, above: str | None, upto: str | None, sums: Sequence[str]
    ) -> PagesAhead:
        """Return every row that exists during the whole read, once, in pages that are read ahead."""
        stopped = threading.Event()
        return PagesAhead(
            query,
            form,
            fetch=partial(self._fetch_raw_page, form, stopped),
            fetch_mappings=self.fetch_page,
            count=partial(self.totals, query, sums, above, upto, stopped),
            page_size=self._session.config.page_size,
            workers=self._session.config.max_concurrency,
            bounds=Bounds.checked(above, upto),
            sums=sums,
            stopped=stopped,
        )

    def totals(
        self,
        query: Query,
        sums: Sequence[str],
        above: str | None,
        upto: str | None,
        stopped: threading.Event | None = None,
    ) -> Totals:
        """Return how many records a query matches, and what fields of them add up to.

        :param stopped: set when nobody waits for the answer any more.
        """
        names = ("count:key", *(f"sum:{name}" for name in sums))
        asked = replace(query, fields=names, order_by=())
        for operator, key in (("$gt", above), ("$lte", upto)):
            if key is not None:
                asked = asked.narrow({operator: {"key": key}})
        request = replace(_request(asked, 1, 1), stopped=stopped)
        rows = read_page(asked, self._catalog.read(query.object_name, request).body, 1, 1).rows
        row = rows[0] if rows else {"count:key": 0}
        count = whole_number(row["count:key"])
        if count is None:
            raise IntacctResponseError(f"Intacct's count of {query.object_name} is not a number.")
        return Totals(count, {name: _read_sum(name, row.get(f"sum:{name}")) for name in sums})

    def fetch_page(self, query: Query, start: int, size: int) -> Page:
        """Return one page whose rows are mappings; one transaction."""
        reply = self._catalog.read(query.object_name, _request(query, start, size))
        return read_page(query, reply.body, start, size)

    def _fetch_raw_page(
        self, form: RowForm, stopped: threading.Event, query: Query, start: int, size: int
    ) -> RawPage:
        request = replace(_request(query, start, size), decode=form.read, stopped=stopped)
        reply = self._catalog.read(query.object_name, request)
        made: Answer | None = reply.made
        if made is None:
            read_page(query, reply.body, start, size)
            raise IntacctResponseError(f"The answer to the query of {query.object_name} cannot be read.")
        return RawPage(made.page, made.total_count, made.page_size or size, moment_of(reply.headers))


def _request(query: Query, start: int, size: int) -> Request:
    return Request("POST", QUERY, content=codec.encode(query.payload(start=start, size=size)))


def _refuse_parts(parts: Mapping[str, Any]) -> None:
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
