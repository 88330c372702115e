"""What calls take, in numbers that a program can report as metrics."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Usage:
    """What one call took, as far as it is known when it is reported; a call is reported in parts.

    :param object_name: path of the object that it was about; ``""`` if it was about none, or about several.
    :param calls: HTTP requests that were sent, each retry included.
    :param retries: of them, those that repeated an earlier one.
    :param transactions: that Intacct bills.
    :param rows: that queries returned.
    :param throttled: seconds waited for a limit: in line, spaced out, or after a rejection for rate.
    :param seconds: from the call to its result, waits included; None unless the call has ended.
    """

    object_name: str = ""
    calls: int = 0
    retries: int = 0
    transactions: int = 0
    rows: int = 0
    throttled: float = 0.0
    seconds: float | None = None


#: Called on the thread that made the call; it must be quick, and must not raise.
OnUsage: TypeAlias = Callable[[Usage], None]


@dataclass(slots=True)
class Tally:
    """Counts what one call takes while it is made: requests, and seconds waited for a limit."""

    calls: int = 0
    throttled: float = 0.0
