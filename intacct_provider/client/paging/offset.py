"""Reading every row of a query, proven complete, or raising.

Pages by offset lose live rows when something before them is deleted between two pages. So rows are read in
order of ``key``, each page asking for keys above the last one seen: such pages cannot shift. What the object
or the server does not support falls back to offset pages that are checked, and re-read when they moved.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from intacct_provider.client.batches import BATCH_SIZE
from intacct_provider.client.paging.pages import FetchPage, Page, Row, Sizes, is_whole, names_of, read_page
from intacct_provider.client.query.request import Query
from intacct_provider.exceptions import (
    IntacctArgumentError,
    IntacctIncompleteReadError,
    IntacctValidationError,
)

__all__ = ["Page", "Row", "iter_rows", "read_page"]

log = logging.getLogger(__name__)


#: Passes over a moving set by offset before the read is given up.
MAX_PASSES = 4


class KeysUnusableError(Exception):
    """Not for callers: the object cannot be read by key; the reason is the message."""


def iter_rows(fetch: FetchPage, query: Query, page_size: int) -> Iterator[Row]:
    """Yield every row that existed during the whole read, once, or raise.

    Rows come in order of ``key``, holding one page in memory. A query with an order of its own comes in that
    order with ``key`` as tie-break and is held in memory as a whole, because only a pass that nothing
    moved under can be handed on in order. Where keys prove to be no use, rows come by position, pass after pass,
    in no order that can be relied on.

    :raises IntacctIncompleteReadError: if completeness cannot be proven.
    """
    refuse_aggregates(query)
    wants_key = "key" in query.fields
    keyed = query if wants_key else replace(query, fields=("key", *query.fields))
    reader = _Reader(fetch, keyed, page_size)
    ordered = query.order_by not in ((), ({"key": "asc"},))
    for row in reader.ordered() if ordered else reader.by_key():
        if not wants_key:
            del row["key"]
        yield row


def by_position(fetch: FetchPage, query: Query, page_size: int) -> Iterator[list[Row]]:
    """Yield every row of a query with ``key`` by position, once, in lists, pass after pass until nothing moved.

    :raises IntacctIncompleteReadError: if completeness cannot be proven.
    """
    return _Reader(fetch, query, page_size).pages_by_offset(set())


def refuse_aggregates(query: Query) -> None:
    """Refuse what has no keys.

    :raises IntacctArgumentError: for a query of aggregates.
    """
    if query.aggregated:
        raise IntacctArgumentError(
            "Rows of aggregates have no key to read by: ask for them with IntacctQueryOperator or client.query(), or "
            "leave the aggregates out of fields."
        )


class _Reader:
    """One complete read."""

    def __init__(self, fetch: FetchPage, query: Query, page_size: int) -> None:
        self._sizes = Sizes(fetch, page_size)
        self._fetch = self._sizes.fetch
        self._query = query

    def by_key(self) -> Iterator[Row]:
        """Yield rows in order of key; where keys are no use, from offset pages instead."""
        yielded: set[str] = set()
        try:
            yield from self._keyset(yielded)
        except KeysUnusableError as reason:
            log.info("Intacct: %s is read by offset: %s.", self._query.object_name, reason)
            for rows in self.pages_by_offset(yielded):
                yield from rows

    def ordered(self) -> Iterator[Row]:
        """Yield rows in the query's own order, from one pass that nothing moved under."""
        order = self._query.order_by
        tie_break = () if any("key" in item for item in order) else ({"key": "asc"},)
        query = replace(self._query, order_by=(*order, *tie_break))
        first = self._fetch(query, 1)
        if is_whole(first) and len(set(names_of(first.rows))) == len(first.rows):
            yield from first.rows
            return
        witnesses = self._keys_now()
        for _ in range(MAX_PASSES):
            offset = _OffsetPass(self._fetch, query)
            rows = [row for page in offset for row in page]
            if not offset.moved and not self._lives(witnesses.difference(names_of(rows))):
                yield from rows
                return
        raise self._moved()

    def _keys_now(self) -> set[str]:
        """Return the keys of all records, to compare ordered passes of several pages with.

        Counts and anchors do not see a row that moves to the front while another goes there and a third comes. What
        was there before a pass, is there after it and is not in it, is lost.
        """
        query = replace(self._query, fields=("key",), order_by=())
        try:
            return {
                str(row["key"]) for row in _Reader(self._sizes.fetch, query, self._sizes.size)._keyset(set())
            }
        except (KeysUnusableError, IntacctIncompleteReadError) as reason:
            log.info("Intacct: the order of %s is read without comparing keys: %s", query.object_name, reason)
            return set()

    def _lives(self, keys: set[str]) -> bool:
        """Whether a record with one of these keys is there now."""
        some = sorted(keys)
        for start in range(0, len(some), BATCH_SIZE):
            among = self._query.narrow({"$in": {"key": some[start : start + BATCH_SIZE]}})
            if self._fetch(replace(among, fields=("key",), order_by=()), 1, size=1).rows:
                return True
        return False

    def _keyset(self, yielded: set[str]) -> Iterator[Row]:
        """Yield rows by rising key. ``yielded`` gets the keys handed on while keys could still prove unusable.

        On the first two pages keys may still prove unusable; after them nothing is remembered, and a server that
        turns out to treat keys as text ends the read. While it has not been seen to compare numbers, each page
        after which the count moved costs one more call, of one row.
        """
        first = self._above(None)
        self._check_counted(first, None)
        last = _last_of_rising(first.rows, None)
        yielded.update(names_of(first.rows))
        yield from first.rows
        if is_whole(first):
            return
        page = self._second_page(first, last)
        numeric = _compared_as_numbers(page.rows, last)
        while True:
            before, last = last, self._checked_last(page, last)
            names = names_of(page.rows)  # now: whoever takes a row may change it
            yield from page.rows
            if is_whole(page):
                return
            following = self._above(last)
            numeric = numeric or _compared_as_numbers(following.rows, last)
            if not numeric and following.total_count != (page.total_count or 0) - len(page.rows):
                self._make_sure_none_hides(names, before or 0, last)
            page = following

    def _second_page(self, first: Page, last: int | None) -> Page:
        """Ask for keys above ``last`` and make sure that the server compared them as numbers.

        When the count moved, either records came and went or the comparison was of text, so that "9" is
        above "10". Keys only ever grow, so there cannot be more records up to ``last`` than the first page
        held, unless that page is not what the comparison means.
        """
        try:
            page = self._above(last)
        except IntacctValidationError as err:
            raise KeysUnusableError(f"a filter on key is refused ({err.message})") from err
        _last_of_rising(page.rows, last)
        if first.total_count is None or page.total_count != first.total_count - len(first.rows):
            upto = self._query.narrow({"$lte": {"key": str(last)}})
            count = self._fetch(replace(upto, fields=("key",)), 1, size=1).total_count
            if count is None or count > len(first.rows):
                raise KeysUnusableError("a filter on key does not compare keys as numbers")
        return page

    def _above(self, last: int | None) -> Page:
        """Ask for keys above ``last``; again, when none come although some are counted, which may have gone between."""
        query = _by_key(self._query, above=last)
        page = self._fetch(query, 1)
        return page if page.rows or not page.total_count else self._fetch(query, 1)

    def _make_sure_none_hides(self, names: Sequence[str], before: int, last: int | None) -> None:
        """Make sure that ``names`` are all keys from ``before`` to ``last``, since the count moved after that page.

        The highest key up to ``last`` must be ``last`` itself, or an earlier one when that was deleted just now.
        A record beyond it hides from keys above ``last``: the server compares keys as text ("200" is below
        "29") or sorts them so.
        """
        upto = self._query.narrow({"$lte": {"key": str(last)}})
        highest = self._fetch(replace(upto, fields=("key",), order_by=({"key": "desc"},)), 1, size=1).rows
        for key in names_of(highest):
            if hides(key, names, before, last or 0):
                raise hidden_error(self._query, last, key)

    def _check_counted(self, page: Page, last: int | None) -> None:
        if not page.rows and page.total_count:
            where = "" if last is None else f" above key {last}"
            raise IntacctIncompleteReadError(
                f"Intacct counts {page.total_count} more records of {self._query.object_name}{where} but sends none "
                "of them."
            )

    def _checked_last(self, page: Page, last: int | None) -> int | None:
        self._check_counted(page, last)
        try:
            return _last_of_rising(page.rows, last)
        except KeysUnusableError as reason:
            raise IntacctIncompleteReadError(
                f"The read of {self._query.object_name} cannot be proven complete: {reason}, after pages in which "
                "keys rose. Read it with an order_by: that does not rely on keys."
            ) from reason

    def pages_by_offset(self, yielded: set[str]) -> Iterator[list[Row]]:
        """Yield the rows not handed on yet, pass after pass, until nothing moved under one."""
        query = replace(self._query, order_by=({"key": "asc"},))
        for _ in range(MAX_PASSES):
            offset = _OffsetPass(self._fetch, query)
            for rows in offset:
                fresh = [row for row in rows if str(row["key"]) not in yielded]
                yielded.update(names_of(fresh))
                yield fresh
            if not offset.moved:
                return
        raise self._moved()

    def _moved(self) -> IntacctIncompleteReadError:
        return IntacctIncompleteReadError(
            f"{self._query.object_name} changed during each of {MAX_PASSES} passes over it, so the read cannot be "
            "proven complete. Read it at a quieter time, narrow the filters"
            + (
                ", or leave out order_by: reading in order of key does not mind changes."
                if self._query.order_by
                else "."
            )
        )


class _OffsetPass:
    """One pass over offset pages; ``moved`` tells afterwards whether anything moved under it.

    Each page starts at the last row of the one before: when that row is not there any more, rows
    before it came or went, and some may have slipped past.
    """

    def __init__(self, fetch: Callable[[Query, int], Page], query: Query) -> None:
        self._fetch = fetch
        self._query = query
        self.moved = False

    def __iter__(self) -> Iterator[list[Row]]:
        keys: set[str] = set()
        start = 1
        page = self._fetch(self._query, start)
        total, rows = page.total_count, page.rows
        while rows:
            names = names_of(rows)
            self.moved |= not keys.isdisjoint(names) or len(set(names)) < len(names)
            keys.update(names)
            yield rows
            if len(page.rows) < page.page_size and total is not None and len(keys) >= total:
                break
            start += len(page.rows) - 1
            page = self._fetch(self._query, start)
            anchored = bool(page.rows) and str(page.rows[0]["key"]) == names[-1]
            self.moved |= page.total_count != total or not anchored
            rows = page.rows[1:]
        self.moved |= total is not None and len(keys) != total


def hides(key: str, names: Sequence[str], before: int, last: int) -> bool:
    """Whether a key that the server says is not above ``last`` belongs to a record that was not read and will not be.

    :param names: keys of the page that ended with ``last``.
    :param before: the last key before that page.
    """
    if key in names or not key.isdigit():
        return key not in names
    # Compared as text, it is below; sorted as text, it comes later. Any other came to match after its page was read.
    return int(key) > last or (int(key) > before and key > str(last))


def hidden_error(query: Query, last: int | None, key: str) -> IntacctIncompleteReadError:
    """Return the exception for a record that hides from keys above the last one read."""
    return IntacctIncompleteReadError(
        f"The read of {query.object_name} cannot be proven complete: the server does not order keys {last} and {key} "
        "as numbers. Read it with an order_by: that does not rely on keys."
    )


def _by_key(query: Query, above: int | None = None) -> Query:
    ordered = replace(query, order_by=({"key": "asc"},))
    return ordered if above is None else ordered.narrow({"$gt": {"key": str(above)}})


def _last_of_rising(rows: list[Row], last: int | None) -> int | None:
    """Return the last key as a number, having made sure that keys rise from ``last`` on."""
    for row in rows:
        try:
            key = int(row["key"])
        except (TypeError, ValueError):
            raise KeysUnusableError("its keys are not numbers") from None
        if last is not None and key <= last:
            raise KeysUnusableError(f"its keys do not rise as numbers (key {key} follows {last})")
        last = key
    return last


def _compared_as_numbers(rows: list[Row], last: int | None) -> bool:
    """Whether rows above ``last`` show that the server compared numbers: as text, "1000" is below "999"."""
    return any(name < str(last) for name in names_of(rows))
