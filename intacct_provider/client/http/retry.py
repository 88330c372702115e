"""Whether, and after how long, a request is sent again: one pure decision for the whole client."""

from __future__ import annotations

import email.utils
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

#: Statuses that mean "later", not "no".
RETRY_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
#: Length of the longest pause before a token that worked is replaced, in durations of the request that was rejected.
TURN = 8.0
#: Sage's pages spell these headers in more than one way, and name one for each kind of limit.
_AFTER_HEADER = re.compile(r"(X-IA-[A-Za-z-]+-)?Retry-?After", re.IGNORECASE)

_SECONDS = re.compile(r"-?[0-9]+(\.[0-9]*)?")


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how long to retry.

    :param attempts: attempts at most, the first one included. One that is rejected because too many requests are in
        flight, with the seconds after which to try again, does not count, unless they are 0: the budget alone ends
        those.
    :param base: seconds; the ceiling of the first random wait, doubled for each next one.
    :param longest: seconds; no random wait is longer.
    :param budget: seconds from the first attempt after which no other one starts. A server that asks
        for a longer pause than the remaining budget ends the waiting at once.
    """

    attempts: int = 6
    base: float = 1.0
    longest: float = 30.0
    budget: float = 300.0


def compute_wait(
    policy: RetryPolicy,
    *,
    repeatable: bool,
    status: int | None,
    retry_after: float | None,
    locked: bool,
    attempt: int,
    elapsed: float,
    jitter: float,
) -> float | None:
    """Return the seconds to wait before sending again, or None to give up.

    :param repeatable: whether the request is safe to repeat: a read, a deletion, or a
        write with an idempotency key.
    :param status: HTTP status, or None when there was no complete response.
    :param retry_after: seconds that the response's headers ask for; a lower bound of the wait.
    :param locked: whether an earlier request under the same idempotency key is still being carried out, as far as
        a 409 shows.
    :param attempt: how many times the request was sent, from 1.
    :param elapsed: seconds since the first attempt.
    :param jitter: a random number from 0 to 1, so that many tasks rejected together do not come back
        together.
    """
    retryable = status is None or status in RETRY_STATUSES or locked
    if not (repeatable and retryable) or attempt >= policy.attempts:
        return None
    wait = jitter * min(policy.longest, policy.base * 2 ** (attempt - 1)) + (retry_after or 0.0)
    return wait if elapsed + wait <= policy.budget else None


def compute_token_pause(
    policy: RetryPolicy,
    *,
    suspected: bool,
    first_uses: int,
    unaccepted: int,
    seconds: float,
    elapsed: float,
    jitter: float,
) -> float | None:
    """Return the seconds to wait before another token is asked for, or None to give up.

    A token that worked is replaced after a pause of the length of some requests. Where each new token ends the tokens
    of other processes, that leaves them the time for a request. New tokens that never worked are replaced ever later.

    :param suspected: whether there is weak evidence only that the token was the reason; then one new token must do.
    :param first_uses: new tokens that this request was the first to use, and that were rejected.
    :param unaccepted: new tokens of this process that were rejected since one was accepted.
    :param seconds: what the rejected request took.
    :param elapsed: seconds since the first rejection.
    :param jitter: a random number from 0 to 1.
    """
    if first_uses >= (1 if suspected else policy.attempts) or unaccepted >= policy.attempts:
        return None
    back_off = policy.base * 2 ** (unaccepted - 1) if unaccepted else 0.0
    pause = jitter * min(policy.longest, max(back_off, TURN * seconds))
    return pause if elapsed + pause <= policy.budget else None


def read_pause(headers: Mapping[str, str]) -> float | None:
    """Return the longest pause in seconds that the headers ask for, as a number or an HTTP date.

    A date counts from the response's own ``Date``, so that a clock that is wrong here or there does not matter.
    """
    now = parse_date(headers.get("Date"))
    texts = (text for name, text in headers.items() if _AFTER_HEADER.fullmatch(name))
    pauses = (_parse_pause(text, time.time() if now is None else now) for text in texts)
    return max((pause for pause in pauses if pause is not None), default=None)


def _parse_pause(text: str, now: float) -> float | None:
    text = text.strip()
    if _SECONDS.fullmatch(text):
        # Of a thousand digits, infinity: longer than anybody waits.
        return max(0.0, float(text))
    timestamp = parse_date(text)
    return None if timestamp is None else max(0.0, timestamp - now)


@lru_cache(maxsize=64)  # several ask for the date of one response
def parse_date(text: str | None) -> float | None:
    """Return an HTTP date in seconds since 1970, or None if it is not a date."""
    try:
        return email.utils.parsedate_to_datetime(text or "").timestamp()
    except (ValueError, OverflowError, OSError):
        return None
