"""Compares what rows add up to with Intacct's own sums, also while people work.

Amounts that change during a read are not a loss. So where the sums of all records differ, those of the records that
have not changed since the read began are compared. Where it is not known which those are, the sums are not comparable.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal
from typing import Any, Protocol

from intacct_provider.client.paging.fetcher import QueryService
from intacct_provider.client.paging.pages import Page, Totals
from intacct_provider.client.query.expressions import field
from intacct_provider.client.query.request import Query

#: The field that says when a record last changed.
MODIFIED = "audit.modifiedDateTime"
#: What comes of a comparison: equal, equal as far as records did not change during the read, or undecided.
EQUAL, EQUAL_UNCHANGED, NOT_COMPARABLE = "equal", "equal for unchanged records", "not comparable"
#: Enough digits for any sum of amounts; with Python's default of 28, one could be rounded.
EXACT = Context(prec=200)
_SECOND = len("2026-06-30T12:00:00")


@dataclass(frozen=True, slots=True)
class SumsComparison:
    """How the sums of the rows compare with Intacct's.

    :param result: ``equal``, ``equal for unchanged records`` or ``not comparable``.
    :param reason: why they are not comparable; empty otherwise.
    :param problem: how they contradict each other, so that everything must be read again; empty if they do not.
    """

    result: str = EQUAL
    reason: str = ""
    problem: str = ""


ALL_EQUAL = SumsComparison()


class Tallied(Protocol):
    """Facts about some rows."""

    @property
    def rows(self) -> int:
        """How many they are."""

    @property
    def sums(self) -> Mapping[str, Decimal]:
        """What they add up to, by field."""


class ChangedRows:
    """Counts and adds up those rows of a read that changed after it began, or do not say when they changed.

    :param count: returns the facts about the rows of a page.
    """

    def __init__(self, count: Callable[[Page], Tallied]) -> None:
        self.rows = 0
        self.sums: dict[str, Decimal] = {}
        self._count = count

    def add(self, page: Page, began: str | None) -> None:
        """Add those of a page's rows that count.

        :param page: with stamps.
        :param began: when the read began, by the server's clock.
        """
        changed = [n for n, stamp in enumerate(page.stamps) if not is_before(stamp, began)]
        if not changed:
            return
        found = self._count(page.pick(changed))
        self.rows += found.rows
        for name, amount in found.sums.items():
            self.sums[name] = EXACT.add(self.sums.get(name, Decimal(0)), amount)


def compare_sums(
    service: QueryService,
    query: Query,
    totals: Totals,
    *,
    rows: int,
    sums: Mapping[str, Decimal],
    began: str | None,
    changed: Tallied | None = None,
) -> SumsComparison:
    """Compare the sums of the rows with Intacct's; one call at most, and none if all of them are equal.

    :param query: of everything that was read, within its bounds.
    :param totals: what Intacct counts and adds up now.
    :param rows: how many were read.
    :param sums: what they add up to, by field.
    :param began: when the read began, by the server's clock; None if that is unknown, or if some rows are older.
    :param changed: those of the rows that changed after that, where the rows say so.
    """
    if totals.count == rows and not _list_differences(sums, totals):
        return ALL_EQUAL
    if began is None or MODIFIED not in service.fields(query.object_name):
        why = f"the object has no {MODIFIED}" if began else "it is not known when the first row was read"
        return SumsComparison(NOT_COMPARABLE, f"amounts or records changed during the read, and {why}")
    unchanged = service.count(query.narrow(field(MODIFIED) < began), list(sums))
    ours = rows - (changed.rows if changed else 0)
    if unchanged.count != ours:
        why = f"of {rows} rows {ours} are from before {began}, and Intacct counts {unchanged.count}"
        return SumsComparison(NOT_COMPARABLE, f"records changed during the read: {why}")
    if changed:
        sums = {
            name: EXACT.subtract(amount, changed.sums.get(name, Decimal(0))) for name, amount in sums.items()
        }
    differences = _list_differences(sums, unchanged)
    return SumsComparison(EQUAL_UNCHANGED, problem=f"{'; '.join(differences)}." if differences else "")


def is_before(stamp: Any, began: str | None) -> bool:
    """Whether a record was last changed before the second in which a read began."""
    if began is None or not isinstance(stamp, str):
        return False
    if stamp[_SECOND:] not in ("", "Z") and stamp[_SECOND : _SECOND + 1] != ".":
        try:
            stamp = dt.datetime.fromisoformat(stamp).astimezone(dt.UTC).isoformat()
        except ValueError:
            return False
    return bool(stamp[:_SECOND] < began[:_SECOND])


def _list_differences(sums: Mapping[str, Decimal], totals: Totals) -> Sequence[str]:
    """Return which control totals differ, and by how much."""
    return [
        f"{name}: {sums.get(name, Decimal(0))} in the rows, {amount} in Intacct (difference "
        f"{amount - sums.get(name, Decimal(0))})"
        for name, amount in totals.sums.items()
        if amount != sums.get(name, Decimal(0))
    ]
