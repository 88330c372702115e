"""What paging asks of Intacct, and how large a page it may ask for."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from intacct_provider.client.paging.pages import Page, Totals
from intacct_provider.client.paging.row_formats import RowFormat
from intacct_provider.client.query.request import Query
from intacct_provider.exceptions import IntacctAnswerTooLargeError, IntacctValidationError

log = logging.getLogger(__name__)

#: Rows per page below which a rejected page size is not halved any more.
SMALLEST_PAGE = 100


class QueryService(Protocol):
    """Intacct's query service, as paging uses it."""

    def fetch_page(
        self,
        query: Query,
        start: int,
        size: int,
        *,
        rows: RowFormat,
        stopped: threading.Event | None = None,
    ) -> Page:
        """Return one page.

        :param stopped: set when the response is no longer needed.
        """

    def count(
        self, query: Query, sums: Sequence[str] = (), *, stopped: threading.Event | None = None
    ) -> Totals:
        """Return how many records a query matches, and what fields of them add up to."""

    def fields(self, object_name: str) -> Mapping[str, Any]:
        """Return the fields of an object by name."""


class PageFetcher:
    """Fetches pages of one form, all of one size, which is halved if the server rejects it or they are too large.

    Two rows are the least, since a page by position repeats the last row of the one before it.
    """

    def __init__(
        self, service: QueryService, rows: RowFormat, size: int, stopped: threading.Event | None = None
    ) -> None:
        self.size = size
        self._service = service
        self._rows = rows
        self._stopped = stopped
        self._lock = threading.Lock()

    def fetch(self, query: Query, start: int = 1, size: int | None = None) -> Page:
        """Fetch a page of the size that is accepted, or of the one given."""
        while True:
            asked = self.size
            try:
                return self._service.fetch_page(
                    query, start, size or max(asked, 2), rows=self._rows, stopped=self._stopped
                )
            except (IntacctValidationError, IntacctAnswerTooLargeError) as err:
                smallest = _find_smallest(err)
                if size or smallest is None or asked <= smallest:
                    raise
                with self._lock:  # another thread may have halved it meanwhile
                    if self.size == asked:
                        self.size = max(smallest, asked // 2)
                        reason = "page too large" if smallest < SMALLEST_PAGE else "page size rejected"
                        log.info("Intacct: %s; continuing with %d rows a page.", reason, self.size)


def _find_smallest(err: IntacctAnswerTooLargeError | IntacctValidationError) -> int | None:
    """Return down to how many rows a page is halved because of an error; None if that does not help."""
    if isinstance(err, IntacctAnswerTooLargeError):
        return 2
    return SMALLEST_PAGE if _is_about_size(err) else None


def _is_about_size(err: IntacctValidationError) -> bool:
    words = " ".join(
        (err.message, err.target, *(f"{detail.message} {detail.target}" for detail in err.details))
    )
    return "size" in words.lower()
