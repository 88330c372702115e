"""Limits, which a template may have made into text."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.sync.problems import is_finite, show_value


def read_count(name: str, value: Any) -> int:
    """Return a number of records: ``5`` for 5, ``"5"`` and ``5.0``.

    :raises IntacctArgumentError: for what is not a whole number of 0 or more.
    """
    number = _read_number(value)
    if number is None or number != int(number):
        raise IntacctArgumentError(f"{name} is {show_value(value)}; it must be a whole number of 0 or more.")
    return int(number)


def read_percent(name: str, value: Any) -> float:
    """Return a percentage: ``2.5`` for 2.5 and ``"2.5"``.

    :raises IntacctArgumentError: for what is not a number of 0 or more.
    """
    number = _read_number(value)
    if number is None:
        raise IntacctArgumentError(f"{name} is {show_value(value)}; it must be a number of 0 or more.")
    return float(number)


def read_limits(limits: Any, counts: tuple[str, ...], percents: tuple[str, ...]) -> None:
    """Turn the limits of a frozen object into numbers; None stays None, for no limit.

    :raises IntacctArgumentError: for what is not a number of 0 or more.
    """
    for names, read in ((counts, read_count), (percents, read_percent)):
        for name in names:
            value = getattr(limits, name)
            if value is not None:
                object.__setattr__(limits, name, read(name, value))


def _read_number(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal | str):
        return None
    try:
        number = Decimal(str(value).strip())
    except InvalidOperation:
        return None
    return number if is_finite(number) and number >= 0 and number < Decimal(10) ** 18 else None
