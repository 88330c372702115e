"""One page of a query's answer, and what it tells about the rows behind it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from intacct_provider.client.query.request import Query
from intacct_provider.exceptions import IntacctIncompleteReadError, IntacctValidationError

log = logging.getLogger(__name__)

Row = dict[str, Any]
AnyPage = TypeVar("AnyPage")
#: Rows per page below which a refused page size is not halved any more.
SMALLEST_PAGE = 100


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a query.

    :param rows: flat rows with dotted names, just the fields asked for, in the order asked for.
    :param total_count: records that the query matched when this page was made, or None if untold.
    :param start: position of the first row, from 1.
    :param page_size: rows that the server says a page has; those asked for, if untold.
    :param next: ``start`` of the next page, or None on the last one.
    """

    rows: list[Row]
    total_count: int | None
    start: int
    page_size: int
    next: int | None


#: Reads one page: query, start, size.
FetchPage = Callable[[Query, int, int], Page]


class Sizes(Generic[AnyPage]):
    """Fetches pages; a page size that the server refuses is halved for the rest of the read.

    Two rows are the least, since a page by position repeats the last row of the one before it.
    """

    def __init__(self, fetch: Callable[[Query, int, int], AnyPage], size: int) -> None:
        self._fetch_page = fetch
        self._lock = threading.Lock()
        self.size = size

    def fetch(self, query: Query, start: int, size: int | None = None) -> AnyPage:
        """Fetch a page of the size that is accepted, or of the one given."""
        while True:
            asked = self.size
            try:
                return self._fetch_page(query, start, size or max(asked, 2))
            except IntacctValidationError as err:
                if size or asked <= SMALLEST_PAGE or not _about_size(err):
                    raise
                with self._lock:  # others may have halved it meanwhile
                    if self.size == asked:
                        self.size = max(SMALLEST_PAGE, asked // 2)
                        log.info("Intacct: page size refused; going on with %d rows a page.", self.size)


def read_page(query: Query, body: Any, start: int, size: int) -> Page:
    """Build a page from the query service's answer.

    Columns that were not asked for are dropped (Intacct lets some of its own leak in) and missing ones are
    None.

    :raises IntacctIncompleteReadError: if the answer has no list of rows.
    """
    answer = body if isinstance(body, Mapping) else {}
    rows, meta = answer.get("ia::result"), answer.get("ia::meta")
    meta = meta if isinstance(meta, Mapping) else {}
    if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
        raise IntacctIncompleteReadError(
            f"The answer to the query of {query.object_name} holds no list of rows."
        )
    return Page(
        rows=[{name: row.get(name) for name in query.fields} for row in rows],
        total_count=whole_number(meta.get("totalCount")),
        start=whole_number(meta.get("start")) or start,
        page_size=whole_number(meta.get("pageSize")) or size,
        next=whole_number(meta.get("next")),
    )


def is_whole(page: Page) -> bool:
    """Whether nothing is left behind the page.

    A full page never tells: were the count wrong by one, the last record would be lost.
    """
    if page.total_count is None or len(page.rows) >= page.page_size:
        return not page.rows
    return len(page.rows) >= page.total_count


def names_of(rows: list[Row]) -> list[str]:
    """Return the keys of rows as text."""
    return [str(row["key"]) for row in rows]


def whole_number(value: Any) -> int | None:
    """Return a number that the server may send as text, or None."""
    return int(value) if isinstance(value, int | str) and str(value).isdecimal() else None


def _about_size(err: IntacctValidationError) -> bool:
    words = " ".join((err.message, err.target, *(f"{text} {target}" for text, _, target in err.details)))
    return "size" in words.lower()
