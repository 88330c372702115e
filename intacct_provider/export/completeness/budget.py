"""What an export will cost, and the limit on it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from intacct_provider.client.arguments import check_whole_number
from intacct_provider.client.batches import BATCH_SIZE
from intacct_provider.exceptions import IntacctBudgetError

if TYPE_CHECKING:
    from intacct_provider.client import IntacctClient


class Budget:
    """Counts every call of a client against a limit, before the call is sent.

    :param client: from now on it makes no call that would exceed the limit, on any thread.
    :param what: what is read, such as the object's path.
    :param limit: billed transactions at most, by this client in all; None for no limit.
    :raises IntacctArgumentError: for a limit that is not a whole number of 1 or more.
    """

    def __init__(self, client: IntacctClient, what: str, limit: int | str | None) -> None:
        self._client = client
        self._what = what
        self.limit = _whole(limit)
        #: Returns rows so far, rows in all and billed transactions in all, as far as they are known.
        self.plan: Callable[[], tuple[int, int | None, int | None]] = lambda: (0, None, None)
        if self.limit is not None:
            client.before_call = self.check

    def check(self, transactions: int = 0) -> None:
        """Fail if this many transactions, or those that the plan comes to, exceed the limit.

        :raises IntacctBudgetError: in that case.
        """
        if self.limit is not None and max(transactions, self.plan()[2] or 0) > self.limit:
            raise IntacctBudgetError(self.describe)

    def describe(self) -> str:
        """Return what was read and spent, and what the rest would cost."""
        done, total, forecast = self.plan()
        rows = f"{done:,} rows" if total is None else f"{done:,} of {total:,} rows"
        need = f" All of it needs about {forecast:,}." if forecast else ""
        return (
            f"{self._what}: stopped before it costs more than max_transactions={self.limit}. Read so far: {rows}, for "
            f"{self._client.transactions:,} billed transactions.{need} Nothing of it was published. Raise "
            "max_transactions, or narrow the filters."
        )


def calls_for(rows: int, page_size: int, *, sums: bool = False, detail: bool = False) -> int:
    """Return how many billed transactions it takes to read this many rows and to prove them complete.

    If one page is everything, it is the proof, too; if it has no rows, it is asked for once more. Else the highest key
    costs a call, and pages after the second overlap by one row.

    :param sums: whether control totals are asked for, which costs a call.
    :param detail: whether whole records are read, by key.
    """
    pages = 1 if rows else 2
    if rows > page_size:
        pages = 2 + math.ceil(max(0, rows - 2 * page_size) / max(page_size - 1, 1))
    highest = int(rows >= page_size)
    return pages + highest + int(sums) + (math.ceil(rows / BATCH_SIZE) if detail else 0)


def _whole(limit: Any) -> int | None:
    if limit is None:
        return None
    # A template renders text.
    number = int(limit) if isinstance(limit, str) and limit.isdecimal() else limit
    check_whole_number("max_transactions", number)
    return int(number)
