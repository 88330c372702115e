"""Ranges of keys, so that many workers read one object: each range by one of them, and every record by exactly one."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from intacct_provider.client.arguments import check_whole_number
from intacct_provider.client.query.expressions import field
from intacct_provider.client.query.request import Query
from intacct_provider.exceptions import IntacctArgumentError, IntacctValidationError
from intacct_provider.export.files.manifest import SUFFIX, encoded, read_manifest
from intacct_provider.export.files.staging import Part
from intacct_provider.export.key_range import KeyRange, range_label
from intacct_provider.storage.files import read_small, remove, write_whole

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    from intacct_provider.client import IntacctClient

_HERE_IS_NO_USE = "Leave the ranges out, and export it in one task."


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


def range_manifest_of(target: ObjectStoragePath, number: int) -> ObjectStoragePath:
    """Return where the manifest of a range is until the commit; it is hidden, since it is not about the whole."""
    return target.with_name(f".{target.name}.{range_label(number)}{SUFFIX}")


def write_range(
    target: ObjectStoragePath, key_range: KeyRange, content: Mapping[str, Any], parts: Sequence[Part]
) -> dict[str, str]:
    """Leave what a task has exported of a range to the task that commits all of them; the parts stay hidden.

    :param content: the manifest that the range would have by itself.
    :return: ``manifest`` and ``manifest_sha256``, which the commit needs.
    """
    path = range_manifest_of(target, key_range.number)
    own = {"range": key_range.facts(), "staged": [part.record() for part in parts]}
    written = write_whole(path, [encoded({**content, **own})], alone=True)
    return {"manifest": str(path), "manifest_sha256": written.sha256}


def forget_range(target: ObjectStoragePath, number: int) -> None:
    """Delete what is left of a range that was exported before, so that it is exported anew.

    A range whose task has died is not touched: its next try goes on.
    """
    path = range_manifest_of(target, number)
    found = read_manifest(path)
    if found:
        for part in found["staged"]:
            remove(target.with_name(part["staged"]))
        remove(path)


def digest_of(path: ObjectStoragePath) -> str | None:
    """Return the SHA-256 of a small file, or None if it is not there."""
    content = read_small(path)
    return None if content is None else hashlib.sha256(content).hexdigest()


class _Keys:
    """The keys of one query's records, asked for one by one."""

    def __init__(self, client: IntacctClient, query: Query) -> None:
        self._client = client
        self._query = query

    def count_and_highest(self) -> tuple[int, int]:
        """Return how many records there are and the highest key, 0 where there is none."""
        count, keys = self._ask(self._query, 1, "desc")
        if count is None:
            raise self._no_use("Intacct does not tell how many there are")
        return count, self._number(keys[0]) if keys else 0

    def check_comparison(self, highest: int) -> None:
        """Make sure that filters compare keys as numbers: as text, the last of all keys is above "1000"."""
        beyond = 10 ** len(str(highest))
        _, keys = self._ask(self._query.narrow(field("key") > str(beyond)), 1, "desc")
        if any(self._number(key) <= beyond for key in keys):
            raise self._no_use(f"Intacct compares them as text: key {keys[0]} is above {beyond} for it")

    def boundaries(self, count: int, step: int, highest: int) -> list[str]:
        """Return up to so many keys, each with ``step`` records from the one before up to it."""
        found: list[str] = []
        last = 0
        for _ in range(count):
            above = self._query.narrow(field("key") > found[-1]) if found else self._query
            _, keys = self._ask(above, step)
            key = self._number(keys[0]) if keys else highest
            if key <= last:
                raise self._no_use(f"key {key} follows {last}")
            if key >= highest:
                break  # so many were deleted meanwhile
            found.append(str(key))
            last = key
        return found

    def _ask(self, query: Query, position: int, direction: str = "asc") -> tuple[int | None, list[str]]:
        """Return how many records there are, and the key of the one at a position, if there is one."""
        try:
            ordered = replace(query, fields=("key",), order_by=({"key": direction},))
            page = self._client.query(ordered, start=position, size=1)
        except IntacctValidationError as err:
            if query is self._query:
                raise
            raise self._no_use(f"Intacct refuses a filter on key ({err.message})") from err
        return page.total_count, [str(row["key"]) for row in page.rows]

    def _number(self, key: str) -> int:
        if not key.isdecimal():
            raise self._no_use(f"key {key!r} is none")
        return int(key)

    def _no_use(self, why: str) -> IntacctArgumentError:
        return IntacctArgumentError(
            f"The keys of {self._query.object_name} do not rise as numbers, which ranges need: {why}. {_HERE_IS_NO_USE}"
        )
