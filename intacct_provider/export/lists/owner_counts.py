"""How many records of an owned object each of its owners has, by queries."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from intacct_provider.client.paging.pages import Page, whole_number
from intacct_provider.client.query.expressions import Expression
from intacct_provider.client.query.expressions import field as condition_on
from intacct_provider.export.lists.row_counts import RowCounts
from intacct_provider.export.schema.element_models import Element

if TYPE_CHECKING:
    from intacct_provider.client import IntacctClient

#: Keys in one filter, as many as records are read at once.
KEYS_AT_ONCE = 500
_COUNT = "count:key"

#: Counts by the key of the owner; an owner without any is missing.
Counts = dict[str, int]


class NotComparableError(Exception):
    """The query cannot say how many rows there are."""


def read_counts(client: IntacctClient, element: Element, exported: RowCounts) -> Iterator[Counts]:
    """Yield the counts for all exported records, and for others between them where that takes fewer calls.

    :raises NotComparableError: if a query does not count by owner.
    """
    records, span = exported.count_records(), exported.key_span()
    if records > KEYS_AT_ONCE and span:
        key, size = condition_on(f"{element.owner}.key"), client.config.page_size
        for page in _read_pages(client, element, key.gte(span[0]) & key.lte(span[1])):
            if (page.total_count or 0) / size > records / min(KEYS_AT_ONCE, size):
                break
            yield _parse(page, element)
        else:
            return
    keys = exported.keys()
    for start in range(0, len(keys), KEYS_AT_ONCE):
        yield from read_counts_by_keys(client, element, keys[start : start + KEYS_AT_ONCE])


def read_counts_by_keys(client: IntacctClient, element: Element, keys: Sequence[str]) -> Iterator[Counts]:
    """Yield the counts for the records with some keys, 500 at most.

    :raises NotComparableError: if a query does not count by owner.
    """
    for page in _read_pages(client, element, condition_on(f"{element.owner}.key").in_(keys)):
        yield _parse(page, element)


def _read_pages(client: IntacctClient, element: Element, where: Expression) -> Iterator[Page]:
    start, owner = 1, f"{element.owner}.key"
    while True:
        page = client.query(
            element.object,
            [owner, _COUNT],
            filters=where,
            filter_parameters={"includePrivate": True},
            order_by=[{owner: "asc"}],
            start=start,
        )
        yield page
        if not page.rows or not page.is_followed(start):
            return
        start += len(page.rows)


def _parse(page: Page, element: Element) -> Counts:
    counts = {str(row.get(f"{element.owner}.key")): whole_number(row.get(_COUNT)) for row in page.rows}
    known = {key: count for key, count in counts.items() if count is not None}
    if len(known) < len(page.rows):
        raise NotComparableError("it does not return one count for each owner")
    return known
