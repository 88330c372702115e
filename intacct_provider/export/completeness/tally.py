"""What is known of the rows of an export: how many, from which key to which, and what they add up to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal, localcontext
from operator import attrgetter
from typing import Any

import msgspec

from intacct_provider.client.keys import order_key
from intacct_provider.client.paging.control_totals import EXACT
from intacct_provider.client.paging.pages import Page
from intacct_provider.exceptions import IntacctIncompleteReadError


class Tally(msgspec.Struct):
    """Facts about rows, exact, in no more memory for a million of them than for one.

    :param sums: by field, of the fields that are added up.
    """

    rows: int = 0
    first_key: str | None = None
    last_key: str | None = None
    sums: dict[str, Decimal] = {}

    def join(self, later: Tally) -> None:
        """Add the facts about the rows that follow."""
        self.rows += later.rows
        self.first_key = self.first_key if self.first_key is not None else later.first_key
        self.last_key = later.last_key if later.last_key is not None else self.last_key
        for name, amount in later.sums.items():
            self.sums[name] = EXACT.add(self.sums.get(name, Decimal(0)), amount)

    def insert(self, others: Tally) -> None:
        """Add the facts about rows with keys among these."""
        firsts, lasts = (self.first_key, others.first_key), (self.last_key, others.last_key)
        self.join(others)
        self.first_key = min(filter(None, firsts), key=order_key, default=None)
        self.last_key = max(filter(None, lasts), key=order_key, default=None)

    def without(self, others: Tally) -> Tally:
        """Return the facts without some of the rows, but for the first and the last key."""
        sums = {
            name: EXACT.subtract(amount, others.sums.get(name, Decimal(0)))
            for name, amount in self.sums.items()
        }
        return Tally(self.rows - others.rows, self.first_key, self.last_key, sums)

    @classmethod
    def combine(cls, tallies: Iterable[Tally]) -> Tally:
        """Return the facts about the rows of several tallies, in their order."""
        combined = cls()
        for one in tallies:
            combined.join(one)
        return combined


class Counter:
    """Counts the rows of pages.

    :param fields: of the rows, in their order.
    :param sums: fields to add up.
    """

    def __init__(self, fields: Sequence[str], sums: Sequence[str] = ()) -> None:
        slots = {name: attrgetter(f"f{n}") for n, name in enumerate(fields)}
        self._sums = {name: slots[name] for name in sums}

    def __call__(self, page: Page) -> Tally:
        """Return the facts about a page's rows."""
        if not page.rows:
            return Tally(sums={name: Decimal(0) for name in self._sums})
        return Tally(
            rows=len(page.rows),
            first_key=page.keys[0],
            last_key=page.keys[-1],
            sums={name: _add_up(name, map(value, page.rows)) for name, value in self._sums.items()},
        )


def _add_up(name: str, values: Any) -> Decimal:
    try:
        with localcontext(EXACT):
            return sum((Decimal(str(value)) for value in values if value not in (None, "")), Decimal(0))
    except ArithmeticError:
        raise IntacctIncompleteReadError(
            f"{name} has a value that is not a number, so it has no total."
        ) from None
