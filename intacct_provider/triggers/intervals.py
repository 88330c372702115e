"""The pauses between polls, and what polling costs."""

from __future__ import annotations

import math
import random
from datetime import UTC, datetime, timedelta
from typing import Any

from intacct_provider.exceptions import IntacctArgumentError

#: Failed polls in a row after which a wait fails; fewer are treated as temporary.
MAX_FAILURES = 5
#: Seconds before the first poll. Airflow 3.3 loses a task whose trigger fires before its worker has reported the
#: deferral (apache/airflow #66374, #71580), and the operator has just asked.
FIRST_WAIT = 6.0
#: Seconds between polls at least, since each is a billed call.
MIN_INTERVAL = 1.0
#: Seconds between polls at most, when polls fail and the interval is shorter.
LONGEST_BACK_OFF = 900.0
#: Seconds that the scheduler waits for a trigger beyond the deadline that the trigger itself keeps.
TIMEOUT_GRACE = 60
#: Transactions a month that Intacct's first performance tier includes.
TIER_1 = 100_000
#: Seconds.
DAY = 86_400.0


def check_interval(argument: str, seconds: Any) -> float:
    """Return an interval in seconds, from a number or a timedelta; reject one that polls without a pause.

    :raises IntacctArgumentError: if it is not a finite number, or below 1 second.
    """
    number = seconds.total_seconds() if isinstance(seconds, timedelta) else seconds
    finite = isinstance(number, int | float) and not isinstance(number, bool) and math.isfinite(number)
    if not finite or number < MIN_INTERVAL:
        raise IntacctArgumentError(
            f"{argument} must be at least {MIN_INTERVAL:g} second, not {seconds!r}: each poll is a billed API "
            "transaction."
        )
    return float(number)


def next_wait(
    interval: float,
    failures: int = 0,
    *,
    polls: int = 0,
    exponential_backoff: bool = False,
    max_wait: float | None = None,
    asked: float | None = None,
) -> float:
    """Return the seconds until the next poll: the interval, and up to a tenth of it at random.

    :param failures: polls that failed in a row. Each doubles the wait, up to 15 minutes.
    :param polls: polls that were answered so far.
    :param exponential_backoff: double the wait with each of these after the first one, too.
    :param max_wait: seconds at most, with ``exponential_backoff`` and as long as no poll fails.
    :param asked: seconds that Intacct asks to wait at least, of which a day counts.
    """
    wait = interval
    if exponential_backoff:
        doubled = interval * 2.0 ** min(max(polls - 1, 0), 60)
        wait = doubled if max_wait is None else min(doubled, max_wait)
    if failures:
        wait = max(wait, min(interval * 2.0 ** min(failures, 60), LONGEST_BACK_OFF))
    wait = max(MIN_INTERVAL, wait, min(asked or 0.0, DAY))
    return wait * random.uniform(1, 1.1)  # noqa: S311


def describe_cost(
    interval: float, *, exponential_backoff: bool = False, max_wait: float | None = None
) -> str:
    """Return what polling costs, such as ``every 300 s: 288 a day, 8.6 % of tier 1``.

    :param exponential_backoff: whether each poll doubles the interval, as in :func:`next_wait`; then it is the cost of
        the first day.
    :param max_wait: seconds at most, with ``exponential_backoff``.
    """
    longest = (max_wait or math.inf) if exponential_backoff else interval
    polls, left, wait = 0, DAY, min(interval, longest)
    how = f"every {wait:g} s"
    if wait < longest:
        how += ", doubled each time" + (f" up to {longest:g} s" if max_wait else "")
    while wait < min(longest, left):
        polls, left, wait = polls + 1, left - wait, min(wait * 2, longest)
    a_day = polls + left / wait
    return f"{how}: {a_day:,.0f} a day, {a_day * 30 / TIER_1:.1%} of tier 1".replace("%", " %")


def describe_pause(seconds: float) -> str:
    """Return when the next poll is, as a sentence such as "Next poll in 300 s, at 03:05:12 UTC."."""
    due = datetime.now(UTC) + timedelta(seconds=seconds)
    return f"Next poll in {seconds:.0f} s, at {due:%H:%M:%S} UTC."
