"""Plans ranges of keys, so that many workers read one object: each record is read by exactly one of them."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

from intacct_provider.client.arguments import check_whole_number
from intacct_provider.client.keys import as_number
from intacct_provider.client.query.expressions import field
from intacct_provider.client.query.request import Query
from intacct_provider.exceptions import IntacctArgumentError, IntacctValidationError
from intacct_provider.export.key_range import KeyRange

if TYPE_CHECKING:
    from intacct_provider.client import IntacctClient

#: How often an answer must contradict the order of keys: one alone may be wrong.
_TRIES = 2
_ADVICE = "Leave the ranges out, and export it in one task."


def plan_ranges(
    client: IntacctClient, query: Query, *, ranges: int | None = None, rows_per_range: int | None = None
) -> list[KeyRange]:
    """Cut the keys of a query's records into ranges of about equally many records.

    Each call returns one row: the highest key with the number of records, a check that the server compares keys as
    numbers, and one for each boundary.

    :param ranges: how many at most; never more than the records fill pages.
    :param rows_per_range: how many records each has, about; the last one may have fewer.
    :raises IntacctArgumentError: if the keys do not rise as numbers.
    """
    for name, value in (("ranges", ranges), ("rows_per_range", rows_per_range)):
        if value is not None:
            check_whole_number(name, value)
    if (ranges is None) == (rows_per_range is None):
        raise IntacctArgumentError("Give ranges or rows_per_range, and not both.")
    keys = _Keys(client, query)
    total, highest = keys.count_and_highest()
    if rows_per_range:
        count, step = math.ceil(total / rows_per_range), rows_per_range
    else:
        count = min(ranges or 1, math.ceil(total / client.config.page_size))
        step = math.ceil(total / max(count, 1))
    boundaries: list[str] = []
    if count > 1:
        keys.check_comparison(highest)
        boundaries = keys.boundaries(count - 1, step, highest)
    ends = [None, *boundaries, None]
    return [
        KeyRange(number, len(boundaries) + 1, *pair) for number, pair in enumerate(pairwise(ends), start=1)
    ]


class _Keys:
    """The keys of one query's records, asked for one by one."""

    def __init__(self, client: IntacctClient, query: Query) -> None:
        self._client = client
        self._query = query

    def count_and_highest(self) -> tuple[int, int]:
        """Return how many records there are and the highest key, 0 if there is none."""
        for _ in range(_TRIES):
            count, keys = self._ask(self._query, 1, "desc")
            if count is not None:
                return count, self._number(keys[0]) if keys else 0
        raise self._reject("Intacct does not report how many there are")

    def check_comparison(self, highest: int) -> None:
        """Make sure that filters compare keys as numbers; as text, "9" is above "1000"."""
        beyond = 10 ** len(str(highest))
        above = self._query.narrow(field("key") > str(beyond))
        for _ in range(_TRIES):
            _, keys = self._ask(above, 1, "desc", again=False)
            if all(self._number(key) > beyond for key in keys):
                return
        raise self._reject(f"Intacct compares them as text: it says that key {keys[0]} is above {beyond}")

    def boundaries(self, count: int, step: int, highest: int) -> list[str]:
        """Return up to ``count`` keys, with ``step`` records from each one to the next."""
        found: list[str] = []
        last = 0
        for _ in range(count):
            above = self._query.narrow(field("key") > found[-1]) if found else self._query
            for _ in range(_TRIES):
                _, keys = self._ask(above, step)
                key = self._number(keys[0]) if keys else highest
                if key > last:
                    break
            else:
                raise self._reject(f"key {key} follows {last}")
            if key >= highest:
                break  # enough records were deleted meanwhile
            found.append(str(key))
            last = key
        return found

    def _ask(
        self, query: Query, position: int, direction: str = "asc", *, again: bool = True
    ) -> tuple[int | None, list[str]]:
        """Return how many records there are, and the key of the one at a position, if there is one.

        :param again: believe that there is none only if the response comes twice.
        """
        try:
            ordered = replace(query, fields=("key",), order_by=({"key": direction},))
            page = self._client.query(ordered, start=position, size=1)
            if again and not page.rows:
                page = self._client.query(ordered, start=position, size=1)
        except IntacctValidationError as err:
            if query is self._query:
                raise
            raise self._reject(f"Intacct rejects a filter on key ({err.message})") from err
        return page.total_count, [str(row["key"]) for row in page.rows]

    def _number(self, key: str) -> int:
        number = as_number(key)
        if number is None:
            raise self._reject(f"key {key!r} is not a number")
        return number

    def _reject(self, why: str) -> IntacctArgumentError:
        return IntacctArgumentError(
            f"The keys of {self._query.object_name} do not rise as numbers, which ranges need: {why}. {_ADVICE}"
        )
