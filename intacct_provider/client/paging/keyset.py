"""Whether keys can be relied on: they rise as numbers, and the server compares them so."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import reduce
from itertools import islice
from operator import lt, or_
from typing import NamedTuple

from intacct_provider.client.paging.key_intervals import Bounds
from intacct_provider.client.paging.offset import KeysUnusableError, hidden_error, hides
from intacct_provider.client.paging.pages import Sizes
from intacct_provider.client.paging.row_structs import RawPage
from intacct_provider.client.query.expressions import field
from intacct_provider.client.query.request import Query
from intacct_provider.exceptions import IntacctIncompleteReadError

#: Reads one page: query, start, size.
FetchRaw = Callable[[Query, int, int], RawPage]


class Base(NamedTuple):
    """A key above which pages are asked for.

    :param rows: that were taken up to it.
    :param names: keys of the page that ended with it.
    :param before: the last key before that page.
    """

    key: int | None
    rows: int = 0
    names: Sequence[str] = ()
    before: int | None = None


class KeyOrder:
    """Fetches pages in order of key, and makes sure that this order is what it seems to be.

    :param query: has ``key`` among its fields, and asks for that order.
    """

    def __init__(self, fetch: FetchRaw, query: Query, page_size: int, bounds: Bounds) -> None:
        self.query = query
        self.bounds = bounds
        self.sizes = Sizes(fetch, page_size)
        #: Whether two pages have shown that keys are of use; what shows the contrary later ends the read.
        self.settled = False
        #: How many rows there will be, by the newest page; None if untold.
        self.expected: int | None = None
        self._checked: Base | None = None
        self._numeric = False

    def fetch(self, query: Query, start: int, size: int | None = None) -> tuple[RawPage, list[int] | None]:
        """Return a page and its keys as numbers; None if they are none, or do not rise."""
        raw = self.sizes.fetch(query, start, size)
        try:
            keys = list(map(int, raw.page.keys))
        except ValueError:
            return raw, None
        return raw, keys if all(map(lt, keys, islice(keys, 1, None))) else None

    def among(self, *, above: int | None, below: int | None = None, last: int | None = None) -> Query:
        """Return the query of what lies between keys, within the bounds of the whole read."""
        query = self.query
        limits = (("$lte", self.bounds.upto), ("$gt", above), ("$lt", below), ("$lte", last))
        for operator, key in limits:
            if key is not None:
                query = query.narrow({operator: {"key": str(key)}})
        return query

    def problem(self, raw: RawPage, keys: list[int] | None, base: Base) -> str:
        """Return why keys of a page above a base cannot be relied on, or nothing."""
        upto = self.bounds.upto
        if keys is None:
            return _why(raw.page.keys)
        if keys and base.key is not None and keys[0] <= base.key:
            return f"its keys do not rise as numbers (key {keys[0]} follows {base.key})"
        if keys and upto is not None and keys[-1] > upto:
            return f"a filter on key does not compare keys as numbers (key {keys[-1]} is not up to {upto})"
        return ""

    def check(self, base: Base, raw: RawPage) -> None:
        """Make sure of a base when the first page above it has come.

        When the count moved, either records came and went or the server compares keys as text, so that "9" is above
        "10". While it has not been seen to compare numbers, that costs one more call.
        """
        total = None if raw.total_count is None else base.rows + raw.total_count
        before, self.expected = self.expected, total
        self._numeric = self._numeric or self._compares_numbers(raw.page.keys, base)
        if base is self._checked:
            return
        first, self._checked = self._checked is None, base
        if first:
            return
        moved = total is None or total != before
        if not self.settled:
            if moved:
                self._make_sure_of_second(base)
            self.settled = True
        elif moved and not self._numeric:
            self._make_sure_none_hides(base)

    def make_sure_of_bounds(self) -> None:
        """Make sure, after the last page, that no record hides beyond a bound; without bounds, nothing is asked.

        Keys that would have to be above and below a bound at once are none, unless they are compared as text.
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
        for name in self.fetch(query, 1, 1)[0].page.keys:
            raise hidden_error(self.query, above if above is not None else upto, name)

    def check_counted(self, raw: RawPage, base: Base) -> None:
        """Refuse an empty page that counts rows."""
        if not raw.page.rows and raw.total_count:
            where = "" if base.key is None else f" above key {base.key}"
            raise IntacctIncompleteReadError(
                f"Intacct counts {raw.total_count} more records of {self.query.object_name}{where} but sends none "
                "of them."
            )

    def unordered(self, reason: str) -> Exception:
        """Return the exception for keys that are of no use: one that lets rows be read otherwise, while that can be."""
        if not self.settled:
            return KeysUnusableError(reason)
        return IntacctIncompleteReadError(
            f"The read of {self.query.object_name} cannot be proven complete: {reason}, after pages in which keys rose."
        )

    def _compares_numbers(self, names: Sequence[str], base: Base) -> bool:
        """Whether rows show that the server compared numbers: as text, "1000" is not above "999"."""
        low, high = str(base.key), str(self.bounds.upto)
        if not names:
            return False
        if base.key is not None and len(names[-1]) > len(low) and any(name < low for name in names):
            return True
        return (
            self.bounds.upto is not None and len(names[0]) < len(high) and any(name > high for name in names)
        )

    def _make_sure_of_second(self, base: Base) -> None:
        """Make sure that there are no more keys up to the last of the first page than that page held.

        Keys only ever grow, so there cannot be, unless the page is not what the comparison means.
        """
        query = replace(self.among(above=self.bounds.above, last=base.key), fields=("key",))
        count = self.fetch(query, 1, 1)[0].total_count
        if count is None or count > base.rows:
            raise KeysUnusableError("a filter on key does not compare keys as numbers")

    def _make_sure_none_hides(self, base: Base) -> None:
        """Make sure that the highest key up to that of a base is one that was read.

        A record beyond it hides from keys above it: the server compares keys as text ("200" is below "29") or sorts
        them so.
        """
        upto = self.query.narrow({"$lte": {"key": str(base.key)}})
        highest = replace(upto, fields=("key",), order_by=({"key": "desc"},))
        for key in self.fetch(highest, 1, 1)[0].page.keys:
            if hides(key, base.names, base.before or 0, base.key or 0):
                raise hidden_error(self.query, base.key, key)


def _why(names: Sequence[str]) -> str:
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
