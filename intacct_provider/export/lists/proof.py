"""Proves that whole records have all rows of their lists: a GET may leave out rows that a query returns."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from intacct_provider.client.paging.pages import Page
from intacct_provider.exceptions import IntacctAPIError, IntacctIncompleteReadError
from intacct_provider.export.facts import ListCompleteness
from intacct_provider.export.lists.owner_counts import KEYS_AT_ONCE, OwnerCounts
from intacct_provider.export.lists.row_counts import Difference, RowCounts
from intacct_provider.export.schema.element_models import Element
from intacct_provider.export.schema.lists import count_elements

if TYPE_CHECKING:
    from intacct_provider.client import IntacctClient
    from intacct_provider.export.source import Source

log = logging.getLogger(__name__)

#: Readings of a record and of its count, before they are said to differ.
_TRIES = 3
_STAMP = ("audit", "modifiedDateTime")


class Summary(msgspec.Struct, frozen=True):
    """What is compared of a record.

    :param stamp: when it last changed; None if it does not say.
    :param rows: in its lists, by their object.
    """

    key: str
    stamp: str | None
    rows: list[int]


class ListProof:
    """Compares the rows of lists with queries of their objects; close it at the end.

    One query for each object counts its records by owner. Records for which it differs are read again, since they may
    have changed meanwhile.
    """

    def __init__(self, client: IntacctClient, source: Source) -> None:
        self._client, self._object, self._lists = client, source.object_name, source.lists
        self._elements = tuple(dict.fromkeys(one.element for one in source.lists if one.element))
        self._masks = source.masks
        self._counts = RowCounts()

    def close(self) -> None:
        """Forget everything."""
        self._counts.close()

    def begin(self) -> None:
        """Start with no records."""
        self._counts.clear()

    def add(self, page: Page) -> None:
        """Add records, before their lists are taken out of them."""
        self.restore(self.summarize(page))

    def summarize(self, page: Page) -> list[Summary]:
        """Return what is compared of records."""
        return [
            Summary(key, self._read_stamp(record), [count_elements(record, one) for one in self._elements])
            for key, record in zip(page.keys, page.rows, strict=True)
        ]

    def restore(self, records: Sequence[Summary]) -> None:
        """Add records by what is compared of them, such as those that an earlier attempt has read."""
        self._counts.add_records({record.key: record.stamp for record in records})
        for n, element in enumerate(self._elements):
            shown = {record.key: record.rows[n] for record in records if record.rows[n]}
            self._counts.add_shown(element.object, shown)

    def compare(self) -> dict[str, ListCompleteness]:
        """Return how complete each list is, by its name.

        :raises IntacctIncompleteReadError: if records have fewer rows than a query counts.
        """
        found = {element: self._compare_element(element) for element in self._elements}
        results = {one.name: found[one.element] if one.element else _VALUES for one in self._lists}
        for name, result in results.items():
            if result.result == "unproven":
                log.warning("%s: the rows of %s are unproven: %s.", self._object, name, result.reason)
        return results

    def _compare_element(self, element: Element) -> ListCompleteness:
        if any(self._hides(path) for path in element.paths):
            return _unproven(f"mask hides some of the lists that hold records of {element.object}")
        if not element.owner:
            return _unproven(f"no model of {element.object} says which of its references is the owner")
        owners = OwnerCounts(self._client, element)
        try:
            owners.read(self._counts)
            changed = self._settle(element, owners)
        except (IntacctAPIError, _FewerError) as err:
            if isinstance(err, IntacctAPIError) and err.retryable:
                raise
            return _unproven(f"a query of {element.object} cannot count them: {err}")
        result = "changed meanwhile" if changed else "equal"
        return ListCompleteness(result=result, counted=self._counts.total_counted(element.object))

    def _settle(self, element: Element, owners: OwnerCounts) -> bool:
        """Read again what differs, until it agrees; return whether records have changed meanwhile."""
        left = {one.key: one for one in self._counts.differences(element.object)}
        changed = False
        for _ in range(_TRIES):
            now = self._read_again(list(left), element, owners)
            for key in [key for key in left if key not in now or now[key].agrees]:
                changed |= self._judge(left.pop(key), now.get(key), element)
            if not left:
                return changed
        fewer = [now[key] for key in left if now[key].shown < now[key].counted]
        if not fewer:
            raise _FewerError(f"it has fewer than the record with key {next(iter(left))} shows")
        raise self._reject(element, fewer[0].key, fewer[0].shown, fewer[0].counted)

    def _read_again(self, keys: Sequence[str], element: Element, owners: OwnerCounts) -> dict[str, _Now]:
        """Return how many rows records have now, and how many a query counts; without those that are gone."""
        found: dict[str, _Now] = {}
        for start in range(0, len(keys), KEYS_AT_ONCE):
            some = list(keys[start : start + KEYS_AT_ONCE])
            records = [
                record
                for read in self._client.read_records(self._object, [Page([], keys=some)])
                for record in read
            ]
            counted = owners.count(some)
            for record in records:
                key = str(record["key"])
                shown = count_elements(record, element)
                found[key] = _Now(key, self._read_stamp(record), shown, counted.get(key, 0))
        return found

    def _judge(self, exported: Difference, now: _Now | None, element: Element) -> bool:
        """Return whether a record has changed since it was exported.

        :raises IntacctIncompleteReadError: if it did not change, and rows were left out.
        """
        if now is None or now.shown < exported.shown:
            return True
        changed = None not in (now.stamp, exported.stamp) and now.stamp != exported.stamp
        if now.shown > exported.shown and not changed:
            raise self._reject(element, now.key, exported.shown, now.counted)
        return now.shown != exported.shown

    def _hides(self, path: Sequence[str]) -> bool:
        return any(".".join(path[:end]) in self._masks for end in range(1, len(path) + 1))

    def _read_stamp(self, record: Mapping[str, Any]) -> str | None:
        audit = None if self._hides(_STAMP) else record.get(_STAMP[0])
        found = audit.get(_STAMP[1]) if isinstance(audit, Mapping) else None
        return found if isinstance(found, str) else None

    def _reject(self, element: Element, key: str, shown: int, counted: int) -> IntacctIncompleteReadError:
        name = element.object
        return IntacctIncompleteReadError(
            f"The record of {self._object} with key {key} came with {shown} rows of {name}, and a query counts "
            f"{counted}: Intacct left some out. Export {name} by itself, which reads all of them by queries, and leave "
            "its lists out of fields here."
        )


class _FewerError(Exception):
    """The query shows fewer rows than the records."""


class _Now(NamedTuple):
    """A record whose exported rows were not as many as a query counted, as it is now."""

    key: str
    stamp: str | None
    shown: int
    counted: int

    @property
    def agrees(self) -> bool:
        return self.shown == self.counted


def _unproven(reason: str) -> ListCompleteness:
    return ListCompleteness(result="unproven", reason=reason)


_VALUES = _unproven("its elements are values, which cannot be queried")
