"""How many records of an owned object each of its owners has, by queries."""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from intacct_provider.client.paging.pages import Page, whole_number
from intacct_provider.client.query.expressions import Expression
from intacct_provider.client.query.expressions import field as condition_on
from intacct_provider.exceptions import IntacctAPIError
from intacct_provider.export.lists.row_counts import RowCounts
from intacct_provider.export.schema.element_models import Element

if TYPE_CHECKING:
    from intacct_provider.client import IntacctClient

#: Keys in one filter, as many as records are read at once.
KEYS_AT_ONCE = 500
_COUNT = "count:key"
_PRIVATE = {"includePrivate": True}
log = logging.getLogger(__name__)

#: Counts by the key of the owner; an owner without any is missing.
Counts = dict[str, int]


class OwnerCounts:
    """Asks Intacct to count by owner, and counts rows itself where Intacct does not."""

    def __init__(self, client: IntacctClient, element: Element) -> None:
        self._client, self._object, self._owner = client, element.object, f"{element.owner}.key"
        self._grouped = True

    def read(self, counts: RowCounts) -> None:
        """Add the counts for all exported records, and for others between them where that takes fewer calls.

        :raises IntacctAPIError: if the object cannot be queried.
        """
        if counts.count_records() > KEYS_AT_ONCE and self._read_span(counts):
            return
        keys = counts.keys()
        for start in range(0, len(keys), KEYS_AT_ONCE):
            counts.add_counted(self._object, self.count(keys[start : start + KEYS_AT_ONCE]))

    def count(self, keys: Sequence[str]) -> Counts:
        """Return the counts for records with some keys, 500 at most.

        :raises IntacctAPIError: if the object cannot be queried.
        """
        where = condition_on(self._owner).in_(keys)
        if self._grouped:
            try:
                return {key: count for page in self._read_groups(where) for key, count in page.items()}
            except (IntacctAPIError, _NotGroupedError) as err:
                self._give_up_groups(err)
        rows = self._client.iter_rows(
            self._object, ["key", self._owner], filters=where, filter_parameters=_PRIVATE
        )
        return Counter(str(row[self._owner]) for row in rows)

    def _read_span(self, counts: RowCounts) -> bool:
        """Add the counts for all records from the first to the last exported one; return False if they are too many."""
        span, size = counts.key_span(), self._client.config.page_size
        if span is None:
            return False
        key, calls = condition_on(self._owner), counts.count_records() / min(KEYS_AT_ONCE, size)
        try:
            for page in self._read_groups(key.gte(span[0]) & key.lte(span[1]), at_most=calls * size):
                counts.add_counted(self._object, page)
        except (IntacctAPIError, _NotGroupedError) as err:
            self._give_up_groups(err)
            return False
        except _TooManyError:
            return False
        return True

    def _read_groups(self, where: Expression, *, at_most: float = math.inf) -> Iterator[Counts]:
        """Yield what a query counts by owner, page by page."""
        start = 1
        while True:
            page = self._client.query(
                self._object,
                [self._owner, _COUNT],
                filters=where,
                filter_parameters=_PRIVATE,
                order_by=[{self._owner: "asc"}],
                start=start,
            )
            if (page.total_count or 0) > at_most:
                raise _TooManyError
            yield self._parse(page)
            if not page.rows or not page.is_followed(start):
                return
            start += len(page.rows)

    def _parse(self, page: Page) -> Counts:
        counts = {str(row.get(self._owner)): whole_number(row.get(_COUNT)) for row in page.rows}
        known = {key: count for key, count in counts.items() if count is not None}
        if len(known) < len(page.rows):
            raise _NotGroupedError("it does not return one count for each owner")
        return known

    def _give_up_groups(self, err: Exception) -> None:
        """Count rows from now on, unless the error may pass."""
        if isinstance(err, IntacctAPIError) and err.retryable:
            raise err
        log.info("%s cannot be counted by owner, so its rows are read: %s", self._object, err)
        self._grouped = False


class _NotGroupedError(Exception):
    """The query does not count by owner."""


class _TooManyError(Exception):
    """The query counts for too many others."""
