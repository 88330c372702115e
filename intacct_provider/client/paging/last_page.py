"""The end of a read in order of key: the highest key, and the last page, which may be asked for from the other end.

The highest key is the end that must be reached, so that no change can outrun the read. The answer that shows it has
room for a whole page: the last one, in falling order of key. That saves a call. But an answer with nothing but a key is
also a witness: it counts records that are left out, and not counted, wherever their other fields are asked for.
"""

from __future__ import annotations

import math
from bisect import bisect_right

from intacct_provider.client.keys import as_number
from intacct_provider.client.paging.keyset import Cursor, KeyOrder
from intacct_provider.client.paging.pages import Page
from intacct_provider.exceptions import IntacctAnswerTooLargeError, IntacctValidationError

#: Rows that two pages share at most, as a part of a page: those that come or go before a page shift it by as many.
MOST_SHARED = 16


def choose_overlap(rows: int, size: int) -> int:
    """Return how many rows pages may share without one page more than with a single row."""
    pages = math.ceil(rows / max(1, size - 1))
    return max(1, min(size // MOST_SHARED, (pages * size - rows) // max(1, pages)))


def choose_last_rows(behind: int, size: int, step: int, overlap: int) -> int:
    """Return how many rows the last page should have.

    :param behind: how many rows there are behind the first page.
    :param size: rows of a page.
    :param step: rows that each page before the last one adds.
    :param overlap: rows that the last page should share with the one before.
    """
    missing = behind + overlap
    if missing > size:
        # The second page follows the first one without an overlap.
        missing -= size + step * max(0, math.ceil((missing - 2 * size) / step))
    return max(1, min(size, missing + size // MOST_SHARED))


class LastPage:
    """The highest key, and the rows of the last page.

    :param order: fetches pages.
    """

    def __init__(self, order: KeyOrder) -> None:
        #: How many rows there were when the highest key was asked for, as the answer says; None if unknown.
        self.count: int | None = None
        #: How many rows it was asked for, as long as they can be used; with 1 it shows nothing but the highest key.
        self.rows = 1
        self._order = order
        self._kept: tuple[Page, list[int]] | None = None

    def find_highest(self, cursor: Cursor, rows: int) -> int | None:
        """Return the highest key, and keep the last rows; asked for again if rows contradict it.

        :param cursor: up to where rows were read.
        :param rows: how many to ask for.
        :return: the key of the cursor, if there is no higher one; None if there is none at all.
        :raises KeysUnusableError: if keys turn out to be sorted as text.
        """
        self.rows, highest = rows, None
        for _ in range(2):
            page = self._fetch()
            highest = as_number(page.keys[0]) if page.keys else None
            if highest is not None and self._is_possible(highest, cursor):
                break
        self.count = page.total_count
        if highest is not None and self._is_possible(highest, cursor):
            self._keep(page)
            return highest
        self.drop()
        if highest is not None:
            self._order.check_order(highest, cursor)
        return cursor.key if cursor.rows else None

    def drop(self) -> None:
        """Forget the rows, which are then read like others."""
        self.rows, self._kept = 1, None

    def join(self, cursor: Cursor) -> tuple[Page, list[int]] | None:
        """Return what the last page adds to the rows that were read, and its keys, if it begins with some of them.

        So nothing between them is missing.
        """
        if self._kept is None or cursor.key is None:
            return None
        page, keys = self._kept
        if self._order.find_unexpected_row(page, keys, cursor):
            self.drop()
            return None
        known = bisect_right(keys, cursor.key)
        return (page.part(known), keys[known:]) if known else None

    def _fetch(self) -> Page:
        try:
            return self._order.fetch_last(self.rows)
        except (IntacctAnswerTooLargeError, IntacctValidationError):
            if self.rows == 1:
                raise
            self.rows = 1
            return self._order.fetch_last(1)

    def _is_possible(self, key: int, cursor: Cursor) -> bool:
        return (cursor.key is None or key >= cursor.key) and self._order.bounds.include(key)

    def _keep(self, page: Page) -> None:
        """Keep the rows of an answer in rising order, if nothing in it contradicts that they are the last ones."""
        rising = page.pick(range(len(page) - 1, -1, -1))
        keys = self._order.read_keys(rising)
        complete = len(page) == min(self.rows, len(page) if page.total_count is None else page.total_count)
        if self.rows == 1 or keys is None or not complete or not self._order.bounds.include(keys[0]):
            self.drop()
            return
        self._kept = rising, keys
