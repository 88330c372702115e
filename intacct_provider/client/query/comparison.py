"""How Intacct compares values of a field, as far as that is certain."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal, InvalidOperation
from itertools import zip_longest
from typing import Any, Literal

from intacct_provider.client.query.dates import read_date
from intacct_provider.client.query.periods import (
    CURRENT_MONTH,
    CURRENT_QUARTER,
    CURRENT_WEEK,
    CURRENT_YEAR,
    LAST_WEEK,
    PERIODS,
    PRIOR_MONTH,
    PRIOR_QUARTER,
    PRIOR_YEAR,
    TODAY,
    YESTERDAY,
)

Kind = Literal["boolean", "date", "date-time", "integer", "key", "number", "text"]

#: Periods, each with those that end before it begins, whatever day it is.
_EARLIER = {
    TODAY: (YESTERDAY, LAST_WEEK, PRIOR_MONTH, PRIOR_QUARTER, PRIOR_YEAR),
    CURRENT_WEEK: (LAST_WEEK,),
    CURRENT_MONTH: (PRIOR_MONTH, PRIOR_QUARTER, PRIOR_YEAR),
    CURRENT_QUARTER: (PRIOR_QUARTER, PRIOR_YEAR),
    CURRENT_YEAR: (PRIOR_YEAR,),
}
#: By how much a time without an offset may differ from the same in UTC.
_OFFSET = dt.timedelta(hours=14)
_DAY = dt.timedelta(days=1)


def compare(left: Any, right: Any, kind: Kind | None) -> int | None:
    """Return -1 if a value comes before another, 1 if after, 0 if they are equal; None if that is not certain.

    :param kind: of the field; None if unknown: certain is then what holds for every kind that has such values.
    """
    if kind is not None:
        return _COMPARE[kind](left, right)
    found = {one(left, right) for one in _list_readings(left, right)}
    return found.pop() if len(found) == 1 else None


def are_equal(left: Any, right: Any, kind: Kind | None) -> bool:
    """Whether two values are certainly equal."""
    return to_text(left) == to_text(right) or compare(left, right, kind) == 0


def are_different(left: Any, right: Any, kind: Kind | None) -> bool:
    """Whether two values are certainly different."""
    if kind == "text":
        return _fold(left) != _fold(right)
    if kind is not None:
        return compare(left, right, kind) in (-1, 1)
    others = [one for one in _list_readings(left, right) if one is not _compare_text]
    return _fold(left) != _fold(right) and all(one(left, right) in (-1, 1) for one in others)


def to_text(value: Any) -> str:
    """Return a value as the text that Intacct compares."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def to_number(value: Any) -> Decimal | None:
    """Return a value as a number; None if it is not one."""
    text = "" if isinstance(value, bool) else str(value).strip()
    try:
        number = Decimal(text) if "_" not in text else None
    except InvalidOperation:
        return None
    return number if number is not None and number.is_finite() else None


def _list_readings(left: Any, right: Any) -> Iterator[Callable[[Any, Any], int | None]]:
    """Yield the comparisons that are possible for two values."""
    yield _compare_text
    for read, comparison in _READINGS:
        if read(left) is not None and read(right) is not None:
            yield comparison


def _order(left: Any, right: Any) -> int:
    return int(left > right) - int(left < right)


def _compare_text(left: Any, right: Any) -> int | None:
    """Compare by the first characters that differ, if letters and digits; no server sorts these in another order."""
    left, right = to_text(left), to_text(right)
    if left == right:
        return 0
    for one, other in zip_longest(_fold(left), _fold(right), fillvalue=""):
        if one != other:
            plain = all(char.isascii() and (char.isalnum() or not char) for char in (one, other))
            return _order(one, other) if plain and _order(one, other) == _order(left, right) else None
    return None


def _fold(value: Any) -> str:
    return to_text(value).strip().casefold()


def _compare_numbers(left: Any, right: Any) -> int | None:
    first, second = to_number(left), to_number(right)
    return None if first is None or second is None else _order(first, second)


def _compare_booleans(left: Any, right: Any) -> int | None:
    first, second = _to_boolean(left), _to_boolean(right)
    return None if first is None or second is None else _order(first, second)


def _to_boolean(value: Any) -> bool | None:
    return {"true": True, "false": False}.get(to_text(value))


def _compare_dates(left: Any, right: Any) -> int | None:
    first, second = read_date(left), read_date(right)
    return _compare_times(left, right) if first is None or second is None else _order(first, second)


def _compare_times(left: Any, right: Any) -> int | None:
    """Compare times, dates and periods; a date may mean its first moment or all of the day."""
    if left in PERIODS or right in PERIODS:
        return int(right in _EARLIER.get(left, ())) - int(left in _EARLIER.get(right, ())) or None
    first, second = read_date(left), read_date(right)
    if first is not None and second is not None:
        return _order(first, second) or None
    one, other = _to_span(left), _to_span(right)
    if one is None or other is None:
        return None
    # Intacct keeps whole seconds.
    second_apart = dt.timedelta(seconds=1)
    if one == other and one[0] == one[1]:
        return 0
    return -1 if other[0] - one[1] >= second_apart else 1 if one[0] - other[1] >= second_apart else None


def _to_span(value: Any) -> tuple[dt.datetime, dt.datetime] | None:
    """Return the earliest and the latest moment that a date or time may mean."""
    try:
        moment = dt.datetime.fromisoformat(value.upper()) if isinstance(value, str) else None
        if moment is None or len(value) < 10:
            return None
        if moment.tzinfo is not None:
            return moment.astimezone(dt.UTC), moment.astimezone(dt.UTC)
        moment = moment.replace(tzinfo=dt.UTC)
        return moment - _OFFSET, moment + _OFFSET + (_DAY if len(value) == 10 else dt.timedelta(0))
    except (ValueError, OverflowError):
        return None


def _to_time(value: Any) -> Any:
    return value if isinstance(value, str) and value in PERIODS else _to_span(value)


_COMPARE: Mapping[Kind, Callable[[Any, Any], int | None]] = {
    "boolean": _compare_booleans,
    "date": _compare_dates,
    "date-time": _compare_times,
    "integer": _compare_numbers,
    "key": _compare_numbers,
    "number": _compare_numbers,
    "text": _compare_text,
}
_READINGS: tuple[tuple[Callable[[Any], Any], Callable[[Any, Any], int | None]], ...] = (
    (to_number, _compare_numbers),
    (_to_boolean, _compare_booleans),
    (_to_time, _compare_times),
)
