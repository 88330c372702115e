"""What Intacct says about the records of a query: a page of them, or how many there are and what they add up to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from intacct_provider.client.keys import as_number

#: A row by the names of its fields, dotted where they belong to a reference or a group.
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a query, or a part of one.

    :param rows: with just the fields asked for: mappings by dotted name, in the order asked for, or the structs of a
        :class:`~intacct_provider.client.paging.row_formats.StructRows`.
    :param total_count: records that the query matched when this page was made, or None if unknown.
    :param start: position of the first row, from 1.
    :param page_size: rows that the server says a page has; those asked for, if it does not say.
    :param next: ``start`` of the next page, or None on the last one.
    :param keys: one for each row, as Intacct sent it; none if the query did not ask for the key.
    :param moment: when the page was asked for, by the server's clock, as Intacct writes times; None if unknown.
    :param answered: when it was made.
    :param stamps: when each row's record last changed, where that was asked for.
    :param packed: the keys in little memory, where a read in order of key has made it; that of parts is empty.
    :param late: whether the rows come after others with higher keys, since they were found last.
    """

    rows: list[Any]
    total_count: int | None = None
    start: int = 1
    page_size: int = 0
    next: int | None = None
    keys: list[str] = field(default_factory=list, repr=False)
    moment: str | None = None
    answered: str | None = None
    stamps: list[Any] = field(default_factory=list, repr=False)
    packed: bytes = field(default=b"", repr=False)
    late: bool = False

    def __len__(self) -> int:
        return len(self.rows)

    def count_behind(self, start: int) -> int | None:
        """Return how many records the count says lie behind the page; negative if it has more rows than that.

        :param start: position of its first row.
        :return: None if there is no count.
        """
        return None if self.total_count is None else self.total_count - (start - 1 + len(self))

    def is_followed(self, start: int) -> bool:
        """Whether the page says that there are records behind it, by its count or by ``next``."""
        return self.next is not None or (self.count_behind(start) or 0) > 0

    def part(self, start: int, stop: int | None = None) -> Page:
        """Return some of the rows, by position."""
        some = slice(start, stop)
        rows = self.rows[some]
        packed = self.packed if len(rows) == len(self) else b""
        return replace(self, rows=rows, keys=self.keys[some], stamps=self.stamps[some], packed=packed)

    def pick(self, places: Sequence[int]) -> Page:
        """Return some of the rows, each by its position."""
        rows, keys, stamps = (
            [of[n] for n in places] if of else [] for of in (self.rows, self.keys, self.stamps)
        )
        return replace(self, rows=rows, keys=keys, stamps=stamps, packed=b"")


@dataclass(frozen=True, slots=True)
class Totals:
    """What Intacct itself counts and adds up.

    :param count: records.
    :param sums: exact, by field; zero where there is nothing to add.
    """

    count: int
    sums: dict[str, Decimal] = field(default_factory=dict)


def build_page(rows: list[Any], keys: list[str], meta: Any, start: int, size: int) -> Page:
    """Return a page with what its ``ia::meta`` says about it.

    :param start: asked for.
    :param size: asked for.
    """
    known = meta if isinstance(meta, Mapping) else {}
    following = whole_number(known.get("next"))
    if following is None and known.get("next") is not None:
        following = start + len(rows)  # a link, or what else is not null, means that there is more
    return Page(
        rows=rows,
        total_count=whole_number(known.get("totalCount")),
        start=whole_number(known.get("start")) or start,
        page_size=whole_number(known.get("pageSize")) or size,
        next=following,
        keys=keys,
    )


def whole_number(value: Any) -> int | None:
    """Return a number that the server may send as text, or None."""
    return as_number(value)
