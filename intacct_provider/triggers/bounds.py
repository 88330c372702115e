"""The numbers that a count or an aggregate is compared with."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from intacct_provider.client.arguments import as_plain_number, check_whole_number
from intacct_provider.exceptions import IntacctArgumentError

#: The arguments by the words that say what they mean.
WORDS = {"at_least": "at least", "at_most": "at most", "exactly": "exactly"}


def read_bounds(given: Mapping[str, Any], *, whole: bool) -> dict[str, str]:
    """Return bounds as decimal text, which JSON keeps exactly; those that are None are left out.

    :param given: ``at_least``, ``at_most``, ``exactly``; numbers, decimals, or their text, as a template renders them.
    :param whole: whether they are counts.
    :raises IntacctArgumentError: naming the argument that is not a number, or that contradicts another.
    """
    bounds = {
        name: _read_number(name, value, whole=whole) for name, value in given.items() if value is not None
    }
    if "exactly" in bounds and len(bounds) > 1:
        other = next(name for name in bounds if name != "exactly")
        raise IntacctArgumentError(
            f"exactly={bounds['exactly']} and {other}={bounds[other]}: give one of them."
        )
    low, high = bounds.get("at_least"), bounds.get("at_most")
    if low is not None and high is not None and low > high:
        raise IntacctArgumentError(f"at_least={low} is more than at_most={high}, so nothing can be both.")
    return {name: format(value, "f") for name, value in bounds.items()}


def is_within(value: Decimal, bounds: Mapping[str, str]) -> bool:
    """Whether a value is within all bounds."""
    limits = {name: Decimal(text) for name, text in bounds.items()}
    return (
        limits.get("at_least", value) <= value <= limits.get("at_most", value)
        and limits.get("exactly", value) == value
    )


def describe_bounds(bounds: Mapping[str, str]) -> str:
    """Return the bounds in words, such as ``at least 5 and at most 8``."""
    return " and ".join(f"{words} {bounds[name]}" for name, words in WORDS.items() if name in bounds)


def _read_number(argument: str, value: Any, *, whole: bool) -> Decimal:
    number = _parse(value)
    if number is None or not number.is_finite():
        kind = "a whole number" if whole else "a number, best as text or Decimal"
        raise IntacctArgumentError(f"{argument} must be {kind}, not {value!r}.")
    if whole:
        is_whole = number == number.to_integral_value()
        check_whole_number(argument, int(number) if is_whole else value, low=int(argument == "at_least"))
        return Decimal(int(number))
    return number


def _parse(value: Any) -> Decimal | None:
    value = as_plain_number(value)
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        return None
    try:
        # The text of a float is what its author wrote.
        return Decimal(str(value).strip())
    except InvalidOperation:
        return None
