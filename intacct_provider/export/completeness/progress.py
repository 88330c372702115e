"""Logs how far an export is, by time and not by page."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from intacct_provider.export.completeness.budget import Budget, calls_for

if TYPE_CHECKING:
    from intacct_provider.client import IntacctClient


class Progress:
    """Logs how many rows were read, how fast, how many are left, until when, and at what cost.

    Create it just before the reading begins. Only counts are logged, nothing of the rows.

    :param log: gets one line at level INFO every ``every`` seconds while rows come, and one at the end.
    :param what: what is read, such as the object's path.
    :param client: knows the billed transactions.
    :param total: rows in all, without those of ``earlier``, or a function that returns it; None while it is unknown.
    :param earlier: rows that an earlier attempt of the task has left complete.
    :param sums: whether control totals are asked for; for the forecast.
    :param detail: whether whole records are read by key; for the forecast.
    :param budget: gets the forecast; with a ``total`` that is a function, before the second page is paid for.
    :param every: seconds between two lines.
    :param clock: seconds since any time.
    :param now: the time from which the end is estimated.
    """

    def __init__(
        self,
        log: Any,
        what: str,
        client: IntacctClient,
        *,
        total: int | Callable[[], int | None] | None = None,
        earlier: int = 0,
        sums: bool = False,
        detail: bool = False,
        budget: Budget | None = None,
        every: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
    ) -> None:
        self._log, self._what, self._client = log, what, client
        self._ask = total if callable(total) else None
        self._known = None if callable(total) else total
        self._earlier = earlier
        self._sums, self._detail = sums, detail
        self._every, self._clock, self._now = every, clock, now
        self._before = client.transactions
        self._rows = 0
        self._page = 0
        self._begun = self._last = clock()
        self._budget = budget or Budget(client, what, None)
        self._budget.plan = self._plan

    def rows(self, number: int, total: int | None = None) -> None:
        """Count rows of a page; log a line when it is time for one.

        :param number: rows of one page.
        :param total: rows in all, if that is known by now.
        :raises IntacctBudgetError: if all of it would cost more than it may.
        """
        self._rows += number
        self._page = max(self._page, number)
        self._known = self._known if total is None else total
        self._budget.check()
        now = self._clock()
        if now - self._last >= self._every:
            self._last = now
            self._log.info("%s", self._line(now - self._begun))

    def done(self) -> None:
        """Log the last line: what was read, in which time, and at what cost."""
        seconds = self._clock() - self._begun
        speed = f" ({self._rate(seconds):,.0f} a second)" if self._rate(seconds) and seconds >= 1 else ""
        self._log.info(
            "%s: all %s read in %s%s; %s.%s",
            self._what,
            _quantity(self._rows, "row"),
            _spell(seconds),
            speed,
            _quantity(self._client.transactions, "billed transaction"),
            f" {_quantity(self._earlier, 'row')} were read by an earlier attempt." if self._earlier else "",
        )

    def _line(self, seconds: float) -> str:
        (done, total, forecast), rate = self._plan(), self._rate(seconds)
        cost = _quantity(self._client.transactions, "billed transaction")
        if total is None or forecast is None:
            return f"{self._what}: {_quantity(done, 'row')} so far, {rate:,.0f} a second; {cost} so far."
        end = f", done at about {self._end((total - done) / rate):%Y-%m-%d %H:%M} UTC" if rate else ""
        return (
            f"{self._what}: {done:,} of {total:,} rows ({100 * done // max(total, 1)}%), {rate:,.0f} a second{end}; "
            f"{cost} so far, about {forecast:,} in all."
        )

    def _end(self, seconds: float) -> dt.datetime:
        # Bounded, since logging must not fail: dates end with the year 9999.
        return self._now() + dt.timedelta(seconds=min(seconds, 1e9))

    def _rate(self, seconds: float) -> float:
        """Rows a second, of those that this attempt has read."""
        return self._rows / seconds if seconds > 0 else 0.0

    @property
    def _total(self) -> int | None:
        """Rows that this attempt has to read."""
        total = self._ask() if self._ask else None
        self._known = self._known if total is None else total
        return None if self._known is None else max(self._known, self._rows)

    @property
    def _all(self) -> int | None:
        """Rows in all, with records that were added since Intacct counted."""
        total = self._total
        return None if total is None else self._earlier + total

    def _plan(self) -> tuple[int, int | None, int | None]:
        """Rows so far, rows in all and billed transactions in all."""
        return self._earlier + self._rows, self._all, self._forecast()

    def _forecast(self) -> int | None:
        """Billed transactions in all, or None while the number of rows is unknown.

        Calls that read ahead are billed before their rows arrive, so this does not build on the bill so far.
        """
        total = self._total
        if total is None:
            return None
        # A server may return smaller pages than asked for. Batches of whole records say nothing about that.
        smaller = 0 < self._page < total and not self._detail
        size = self._page if smaller else self._client.config.page_size
        expected = calls_for(total, size, sums=self._sums, detail=self._detail)
        return max(self._before + expected, self._client.transactions)


def _quantity(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def _spell(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
