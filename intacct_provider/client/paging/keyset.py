"""Whether keys can be used for paging: they rise as numbers, and the server compares and sorts them so."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import reduce
from itertools import islice
from operator import gt, lt, or_
from typing import NamedTuple

from intacct_provider.client.keys import as_number, as_numbers
from intacct_provider.client.paging.fetcher import PageFetcher
from intacct_provider.client.paging.key_intervals import Bounds, limit_keys, select_keys
from intacct_provider.client.paging.pages import Page
from intacct_provider.client.query.expressions import field
from intacct_provider.client.query.request import Query
from intacct_provider.exceptions import IntacctIncompleteReadError

#: The order of pages by key.
KEY_ORDER = ({"key": "asc"},)
_FROM_THE_LAST = ({"key": "desc"},)
_TEXT_COMPARISON = "a filter on key does not compare keys as numbers"
_TEXT_SORTING = (
    "the server does not sort keys as numbers (it says that {highest} is the highest, and has {name})"
)
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
    :param settled: whether an earlier pass has shown that keys can be used.
    """

    def __init__(self, fetcher: PageFetcher, query: Query, bounds: Bounds, *, settled: bool = False) -> None:
        self.query = query
        self.bounds = bounds
        self.fetcher = fetcher
        #: Whether two pages have shown that keys can be used; what contradicts it later ends the read.
        self.settled = settled
        #: How many rows there will be, by the newest page; None if unknown.
        self.expected: int | None = None
        self._trusted = self._sorted = settled
        self._end_checked = False
        self._checked: Cursor | None = None
        self._numeric = settled

    @property
    def begun(self) -> bool:
        """Whether a page has come whose keys can be numbers."""
        return self._checked is not None

    def fetch(self, query: Query, start: int = 1) -> tuple[Page, list[int] | None]:
        """Return a page and its keys as numbers; None if they are not numbers, or do not rise."""
        page = self.fetcher.fetch(query, start)
        return page, self.read_keys(page)

    @staticmethod
    def read_keys(page: Page) -> list[int] | None:
        """Return the keys of a page as numbers; None if they are not numbers, or do not rise."""
        keys = as_numbers(page.keys)
        usable = keys is not None and len(keys) == len(page) and all(map(lt, keys, islice(keys, 1, None)))
        return keys if usable else None

    def fetch_last(self, rows: int, *, upto: int | None = None) -> Page:
        """Return the last rows within the bounds, the highest key first; of a single one nothing but the key.

        :param upto: the last ones up to this key.
        """
        query = self.select(above=self.bounds.above, last=upto)
        fields = query.fields if rows > 1 else ("key",)
        return self.fetcher.fetch(replace(query, fields=fields, order_by=_FROM_THE_LAST), size=rows)

    def _fetch_highest(self, *, upto: int | None = None) -> int | None:
        """Return the highest key within the bounds; None if there is none."""
        page = self.fetch_last(1, upto=upto)
        return as_number(page.keys[0]) if page.keys else None

    def select(self, *, above: int | None, below: int | None = None, last: int | None = None) -> Query:
        """Return the query of the records between keys, within the bounds of the whole read."""
        upto = self.bounds.upto if last is None else last
        return limit_keys(self.query, ("$lte", upto), ("$gt", above), ("$lt", below))

    def find_problem(
        self, page: Page, keys: list[int] | None, cursor: Cursor, upto: int | None = None
    ) -> str:
        """Return why keys of a page above a cursor cannot be relied on, or nothing.

        :param upto: the highest key that was asked for, if that is not the bound of the whole read.
        """
        upto = self.bounds.upto if upto is None else upto
        if keys is None:
            return _explain(page.keys)
        if keys and cursor.key is not None and keys[0] <= cursor.key:
            return f"its keys do not rise as numbers (key {keys[0]} follows {cursor.key})"
        if keys and upto is not None and keys[-1] > upto:
            return f"{_TEXT_COMPARISON} (key {keys[-1]} is not up to {upto})"
        return ""

    def find_unexpected_row(self, page: Page, keys: list[int] | None, cursor: Cursor) -> str:
        """Return why rows of a page up to a cursor may not be those that were taken already, or nothing.

        Sorted as text, "103" comes after "1020". In a page that is sorted as numbers they are known, or came meanwhile.
        """
        if cursor.key is None or not keys or keys[0] >= cursor.key or _shows_numbers(page.keys):
            return ""
        for name in page.keys[: bisect_right(keys, cursor.key)]:
            if name > str(cursor.key) and name not in cursor.names:
                return f"its keys do not rise as numbers (key {name} follows {cursor.key})"
        return ""

    def check(self, cursor: Cursor, page: Page, end: int | None, count: int | None = None) -> None:
        """Verify a cursor when the first page above it has come.

        When the count moved, either records were added or deleted, or the server compares or sorts keys as text, so
        that "9" is above "10". Until rows have shown that it uses numbers, that costs calls: one for the comparison,
        one for the end, and one for each page in which keys became longer.

        :param end: the highest key, if it is known.
        :param count: how many rows there were when it was asked for.
        :raises KeysUnusableError: for such a server, before two pages have shown that keys can be used.
        :raises IntacctIncompleteReadError: for such a server, later.
        """
        total = None if page.total_count is None else cursor.rows + page.total_count
        first = self._checked is None
        moved = not first and (total is None or total != self.expected)
        self.expected = total
        self._numeric = self._numeric or self._compares_numbers(page.keys, cursor)
        if cursor is self._checked:
            return
        self._checked = cursor
        if moved and not self._trusted:
            self._check_comparison(cursor, end)
            self._sorted = self._sorted or _shows_numbers(cursor.names)
            if total is None or count is None or total < count:
                self._check_end(end)
            self._check_sorting(cursor)
        self.settled = self.settled or not first

    def check_order(self, highest: int, cursor: Cursor) -> None:
        """Make sure that a key above the one that is said to be the highest no longer exists.

        :raises KeysUnusableError: if the server sorts or compares keys as text; as :meth:`check`.
        """
        if not self.bounds.include(highest):
            raise self.build_unusable_error(
                f"{_TEXT_COMPARISON} (key {highest} is not above {self.bounds.above} and up to {self.bounds.upto})"
            )
        self._confirm_sorting(
            lambda: self._find_above(cursor.key or 0) or self._find_between(highest, cursor)
        )

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
        # One answer alone may be wrong.
        keys = self.fetcher.fetch(query, size=1).keys and self.fetcher.fetch(query, size=1).keys
        for name in keys:
            raise self._hidden(above if above is not None else upto, name)

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

    def _confirm(self, find: Callable[[], str]) -> None:
        """Reject keys if a problem is found twice: one answer alone may be wrong."""
        problem = find() and find()
        if problem:
            raise self.build_unusable_error(problem)

    def _confirm_sorting(self, find: Callable[[], tuple[int, int] | None]) -> None:
        """Reject keys if one is sorted behind a lower one, and again when it is asked for both.

        Only one answer with both shows it: of two answers, each is right about its own moment.

        :param find: returns the highest key, as the server says, and a higher one; None if there is none.
        """
        for _ in range(3):
            pair = find()
            if pair is None:
                return
            page = self.fetcher.fetch(
                replace(select_keys(self.query, pair), fields=("key",), order_by=_FROM_THE_LAST), size=2
            )
            if len(page) == 2 and as_number(page.keys[0]) == max(pair):
                return
        if pair:
            raise self.build_unusable_error(_TEXT_SORTING.format(highest=pair[0], name=pair[1]))

    def _check_comparison(self, cursor: Cursor, end: int | None) -> None:
        """Make sure that no key is above a number with more digits than all of them; as text, most keys are."""
        if self._numeric or end is None or len(str(end)) == len(str(cursor.key)):
            return
        beyond = 10 ** len(str(end))
        query = replace(self.query.narrow({"$gt": {"key": str(beyond)}}), fields=("key",))

        def find() -> str:
            for name in self.fetcher.fetch(query, size=1).keys:
                if (as_number(name) or 0) <= beyond:
                    return f"{_TEXT_COMPARISON} (key {name} is not above {beyond})"
                return ""
            self._numeric = True
            return ""

        self._confirm(find)

    def _check_end(self, end: int | None) -> None:
        """Make sure, once, that the highest key is that; a key above it has come meanwhile, or sorts as text."""
        if self._sorted or self._end_checked or end is None:
            return
        self._confirm_sorting(lambda: self._find_above(end))
        self._end_checked = True

    def _check_sorting(self, cursor: Cursor) -> None:
        """Make sure that a page in which keys became longer left none out; sorted as text, "9" comes after "10"."""
        if self._sorted or len(str(cursor.before or 0)) == len(str(cursor.key)):
            return

        def find() -> tuple[int, int] | None:
            highest = self._fetch_highest(upto=cursor.key)
            return None if highest in (None, cursor.key) else self._find_between(highest or 0, cursor)

        self._confirm_sorting(find)

    def _find_above(self, key: int) -> tuple[int, int] | None:
        """Return the highest key, as the server says, and one that is higher, if there is one above a key."""
        query = replace(self.select(above=key), fields=("key",))

        def find() -> str:
            return next(iter(self.fetcher.fetch(query, size=1).keys), "")

        name = find()
        if not name:
            return None
        found = as_number(name) or 0
        if found <= key:
            self._confirm(
                lambda: f"{_TEXT_COMPARISON} (key {name} is not above {key})" if find() == name else ""
            )
            return None
        highest = self._fetch_highest()
        return (highest, found) if highest is not None and highest < found else None

    def _find_between(self, highest: int, cursor: Cursor) -> tuple[int, int] | None:
        """Return the highest key, as the server says, and one that is higher, up to that of a cursor."""
        query = replace(self.select(above=highest, last=cursor.key), fields=("key",))
        for name in self.fetcher.fetch(query, size=1).keys:
            return highest, as_number(name) or 0
        return None

    def _hidden(self, key: int | None, name: str) -> IntacctIncompleteReadError:
        return IntacctIncompleteReadError(
            f"The read of {self.query.object_name} cannot be proven complete: the server does not order keys {key} and "
            f"{name} as numbers. {_WAY_OUT}"
        )


def _shows_numbers(names: Sequence[str]) -> bool:
    """Whether keys that rise as numbers would not rise as text, so that the server sorts numbers: "9" before "10"."""
    return any(map(gt, names, islice(names, 1, None)))


def _explain(names: Sequence[str]) -> str:
    """Return why keys do not rise, or nothing."""
    last = None
    for name in names:
        key = as_number(name)
        if key is None:
            return "its keys are not numbers"
        if last is not None and key <= last:
            return f"its keys do not rise as numbers (key {key} follows {last})"
        last = key
    return ""
