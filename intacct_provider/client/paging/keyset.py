"""Whether keys can be used for paging: they rise as numbers, and the server compares them so."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from itertools import islice
from operator import lt, or_
from typing import NamedTuple

from intacct_provider.client.paging.fetcher import PageFetcher
from intacct_provider.client.paging.key_intervals import Bounds, limit_keys
from intacct_provider.client.paging.pages import Page
from intacct_provider.client.query.expressions import field
from intacct_provider.client.query.request import Query
from intacct_provider.exceptions import IntacctIncompleteReadError

#: The order of pages by key.
KEY_ORDER = ({"key": "asc"},)
_TEXT_COMPARISON = "a filter on key does not compare keys as numbers"
_WAY_OUT = "Read it with an order_by: that does not rely on keys."


def add_key(query: Query) -> Query:
    """Return the query with ``key`` among its fields."""
    return query if "key" in query.fields else replace(query, fields=("key", *query.fields))


class KeysUnusableError(Exception):
    """Internal: the object cannot be read in order of key; the message is the reason."""


class Cursor(NamedTuple):
    """A key above which pages are asked for.

    :param rows: that were taken up to it.
    :param names: keys of the page that ended with it, as text.
    :param before: the last key before that page.
    """

    key: int | None
    rows: int = 0
    names: Sequence[str] = ()
    before: int | None = None


class KeyOrder:
    """Fetches pages in order of key, and makes sure that this order is what it seems to be.

    :param query: asks for ``key`` and for its order.
    """

    def __init__(self, fetcher: PageFetcher, query: Query, bounds: Bounds) -> None:
        self.query = query
        self.bounds = bounds
        #: Whether two pages have shown that keys can be used; what contradicts it later ends the read.
        self.settled = False
        #: How many rows there will be, by the newest page; None if unknown.
        self.expected: int | None = None
        #: Whether every page has counted the same for the whole read.
        self.counts_agree = True
        self._fetcher = fetcher
        self._checked: Cursor | None = None
        self._numeric = False

    def fetch(self, query: Query, start: int = 1) -> tuple[Page, list[int] | None]:
        """Return a page and its keys as numbers; None if they are not numbers, or do not rise."""
        page = self._fetcher.fetch(query, start)
        try:
            keys = list(map(int, page.keys))
        except ValueError:
            return page, None
        return page, keys if all(map(lt, keys, islice(keys, 1, None))) else None

    def select(self, *, above: int | None, below: int | None = None, last: int | None = None) -> Query:
        """Return the query of the records between keys, within the bounds of the whole read."""
        return limit_keys(
            self.query, ("$lte", self.bounds.upto), ("$gt", above), ("$lt", below), ("$lte", last)
        )

    def find_problem(self, page: Page, keys: list[int] | None, cursor: Cursor) -> str:
        """Return why keys of a page above a cursor cannot be relied on, or nothing."""
        upto = self.bounds.upto
        if keys is None:
            return _explain(page.keys)
        if keys and cursor.key is not None and keys[0] <= cursor.key:
            return f"its keys do not rise as numbers (key {keys[0]} follows {cursor.key})"
        if keys and upto is not None and keys[-1] > upto:
            return f"{_TEXT_COMPARISON} (key {keys[-1]} is not up to {upto})"
        return ""

    def find_unexpected_row(self, page: Page, keys: list[int] | None, cursor: Cursor) -> str:
        """Return why rows of a page up to a cursor may not be those that were taken already, or nothing."""
        if cursor.key is None or not keys or keys[0] >= cursor.key:
            return ""
        for name in page.keys[: bisect_right(keys, cursor.key)]:
            if name > str(cursor.key) and name not in cursor.names:
                return f"its keys do not rise as numbers (key {name} follows {cursor.key})"
        return ""

    def check(self, cursor: Cursor, page: Page) -> None:
        """Verify a cursor when the first page above it has come.

        When the count moved, either records were added or deleted, or the server compares keys as text, so that "9" is
        above "10". Until the server has been seen to compare numbers, that costs one more call.
        """
        total = None if page.total_count is None else cursor.rows + page.total_count
        first = self._checked is None
        moved = total is None or not (first or total == self.expected)
        self.expected = total
        self.counts_agree = self.counts_agree and not moved
        self._numeric = self._numeric or self._compares_numbers(page.keys, cursor)
        if cursor is self._checked:
            return
        self._checked = cursor
        if first:
            return
        if not self.settled:
            if moved:
                self._check_second(cursor)
            self.settled = True
        elif moved and not self._numeric:
            self._check_hidden(cursor)

    def check_bounds(self) -> None:
        """Make sure, after the last page, that no record hides beyond a bound; without bounds, nothing is asked.

        No key is above and below a bound at once, unless keys are compared as text.
        """
        above, upto = self.bounds.above, self.bounds.upto
        if self._numeric or (above is None and upto is None):
            return
        key, both = field("key"), []
        if above is not None:
            both.append((key <= str(above)) & (key >= str(10 ** len(str(above)))))
        if upto is not None:
            both.append((key > str(upto)) & (key <= str(10 ** (len(str(upto)) - 1) - 1)))
        query = replace(self.query.narrow(reduce(or_, both)), fields=("key",))
        for name in self._fetcher.fetch(query, size=1).keys:
            raise self._hidden(above if above is not None else upto, name)

    def reject_empty(self, page: Page, cursor: Cursor) -> None:
        """Reject an empty page that counts rows.

        :raises IntacctIncompleteReadError: naming how many, above which key.
        """
        if not page.rows and page.total_count:
            where = "" if cursor.key is None else f" above key {cursor.key}"
            raise IntacctIncompleteReadError(
                f"Intacct counts {page.total_count} more records of {self.query.object_name}{where} but sends none "
                "of them."
            )

    def build_unusable_error(self, reason: str) -> Exception:
        """Return the exception for keys that cannot be used; before that is settled, rows are read otherwise."""
        if not self.settled:
            return KeysUnusableError(reason)
        return IntacctIncompleteReadError(
            f"The read of {self.query.object_name} cannot be proven complete: {reason}, after pages in which keys "
            f"rose. {_WAY_OUT}"
        )

    def _compares_numbers(self, names: Sequence[str], cursor: Cursor) -> bool:
        """Whether rows show that the server compared numbers: as text, "1000" is not above "999"."""
        low, high = str(cursor.key), str(self.bounds.upto)
        if not names:
            return False
        if cursor.key is not None and len(names[-1]) > len(low) and any(name < low for name in names):
            return True
        return (
            self.bounds.upto is not None and len(names[0]) < len(high) and any(name > high for name in names)
        )

    def _check_second(self, cursor: Cursor) -> None:
        """Make sure that there are no more keys up to the last of the first page than that page held.

        Keys only ever grow, so there cannot be, unless the page is not what the comparison means.
        """
        query = replace(self.select(above=self.bounds.above, last=cursor.key), fields=("key",))
        count = self._fetcher.fetch(query, size=1).total_count
        if count is None or count > cursor.rows:
            raise KeysUnusableError(_TEXT_COMPARISON)

    def _check_hidden(self, cursor: Cursor) -> None:
        """Make sure that the highest key up to that of a cursor is one that was read.

        A record beyond it hides from keys above it: the server compares keys as text ("200" is below "29") or sorts
        them so.
        """
        upto = self.query.narrow({"$lte": {"key": str(cursor.key)}})
        highest = replace(upto, fields=("key",), order_by=({"key": "desc"},))
        for name in self._fetcher.fetch(highest, size=1).keys:
            if _hides(name, cursor):
                raise self._hidden(cursor.key, name)

    def _hidden(self, key: int | None, name: str) -> IntacctIncompleteReadError:
        return IntacctIncompleteReadError(
            f"The read of {self.query.object_name} cannot be proven complete: the server does not order keys {key} and "
            f"{name} as numbers. {_WAY_OUT}"
        )


def _hides(name: str, cursor: Cursor) -> bool:
    """Whether a key that the server says is not above that of a cursor belongs to a record that would be skipped."""
    if name in cursor.names or not name.isdigit():
        return name not in cursor.names
    key, last = int(name), cursor.key or 0
    # Compared as text, it is below; sorted as text, it comes later. Any other came to match after its page was read.
    return key > last or (key > (cursor.before or 0) and name > str(last))


def _explain(names: Sequence[str]) -> str:
    """Return why keys do not rise, or nothing."""
    last = None
    for name in names:
        try:
            key = int(name)
        except ValueError:
            return "its keys are not numbers"
        if last is not None and key <= last:
            return f"its keys do not rise as numbers (key {key} follows {last})"
        last = key
    return ""
