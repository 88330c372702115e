"""One page of a query's answer, and what it tells about the rows behind it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from intacct_provider.client.errors import IntacctIncompleteReadError
from intacct_provider.client.query import Query

Row = dict[str, Any]


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
        total_count=_whole(meta.get("totalCount")),
        start=_whole(meta.get("start")) or start,
        page_size=_whole(meta.get("pageSize")) or size,
        next=_whole(meta.get("next")),
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


def _whole(value: Any) -> int | None:
    return int(value) if isinstance(value, int | str) and str(value).isdecimal() else None
