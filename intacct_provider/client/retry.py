"""Whether, and after how long, a request is sent again: one pure decision for the whole client."""

from __future__ import annotations

import email.utils
import time
from collections.abc import Mapping
from dataclasses import dataclass

#: Answers that say "later", not "no".
RETRY_STATUSES = frozenset({429, 500, 502, 503, 504})
#: Sage's pages spell these headers in more than one way.
_AFTER_HEADERS = (
    "Retry-After",
    "X-IA-Throttle-Limit-Retry-After",
    "X-IA-Throttle-Limit-RetryAfter",
    "X-IA-TENANT-Throttle-Limit-Retry-After",
    "X-IA-Hour-Rate-Limit-Retry-After",
    "X-IA-Minute-Rate-Limit-Retry-After",
)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How patient a client is.

    :param attempts: sendings at most, the first one included.
    :param base: seconds; the ceiling of the first random wait, doubled for each next one.
    :param longest: seconds; no random wait is longer.
    :param budget: seconds from the first sending after which no other one starts. A server that asks
        for a longer pause than is left ends the waiting at once.
    """

    attempts: int = 6
    base: float = 1.0
    longest: float = 30.0
    budget: float = 300.0


def retry_wait(
    policy: RetryPolicy,
    *,
    repeatable: bool,
    status: int | None,
    asked: float | None,
    attempt: int,
    elapsed: float,
    jitter: float,
) -> float | None:
    """Return the seconds to wait before sending again, or None to give up.

    :param repeatable: whether a second sending cannot do a second thing: a read, a deletion, or a
        write with an idempotency key.
    :param status: HTTP status, or None when there was no whole answer.
    :param asked: seconds that the answer's headers ask for; a lower bound of the wait.
    :param attempt: how many times the request was sent, from 1.
    :param elapsed: seconds since the first sending.
    :param jitter: a random number from 0 to 1, so that many tasks refused together do not come back
        together.
    """
    # A 429 was refused before anything was done, so even a write without a key may be sent again.
    may_repeat = repeatable or status == 429
    worth_it = status is None or status in RETRY_STATUSES
    if not (may_repeat and worth_it) or attempt >= policy.attempts:
        return None
    wait = jitter * min(policy.longest, policy.base * 2 ** (attempt - 1)) + (asked or 0.0)
    return wait if elapsed + wait <= policy.budget else None


def requested_pause(headers: Mapping[str, str]) -> float | None:
    """Return the longest pause in seconds that the headers ask for, as a number or an HTTP date."""
    pauses = [pause for name in _AFTER_HEADERS if (pause := _pause(headers.get(name))) is not None]
    return max(pauses, default=None)


def _pause(text: str | None) -> float | None:
    if not text:
        return None
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except ValueError:
        return None
