"""The keys of records: which of them are numbers, and their order."""

from __future__ import annotations

import re
from collections.abc import Sequence

#: Intacct's keys are counted up from 1. What looks different, such as ``007`` or ``1.0``, would not come back from a
#: number as it was. No database has keys of a thousand digits, which Python may refuse to read.
_PLAIN_DIGITS = re.compile(r"0|[1-9][0-9]{0,999}")
_BEYOND = 10**1000


def as_number(key: object) -> int | None:
    """Return the number that a key is; None for a key that is not one and has to be left as it is.

    Only an ``int`` from 0, and text that is ``0`` or ASCII digits without a leading zero, are numbers.
    """
    if isinstance(key, bool):
        return None
    if isinstance(key, int):
        return key if 0 <= key < _BEYOND else None
    return int(key) if isinstance(key, str) and _PLAIN_DIGITS.fullmatch(key) else None


def as_numbers(keys: Sequence[str]) -> list[int] | None:
    """Return the numbers that keys are; None if one of them is not a number, as for :func:`as_number`."""
    # A page has thousands of keys, so the usual ones are looked at together.
    text = ",".join(keys)
    if text.isascii() and text.replace(",", "").isdigit() and not text.startswith("0") and ",0" not in text:
        try:
            numbers = list(map(int, keys))
        except ValueError:
            return None
        return numbers if max(numbers) < _BEYOND else None
    each = list(map(as_number, keys))
    return None if None in each else each  # type: ignore[return-value]


def order_key(key: str) -> tuple[int, str]:
    """Return what keys are sorted by: those that are numbers come in the order of the numbers."""
    return len(key), key


def text_or_none(value: object) -> str | None:
    """Return a key or an id of an answer as text; None where there is none, or what cannot be one."""
    return (
        str(value) if isinstance(value, str | int) and not isinstance(value, bool) and value != "" else None
    )
