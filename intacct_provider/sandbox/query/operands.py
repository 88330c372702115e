"""The values of filters: checked against the field's type, and converted to the stored form."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation

from intacct_provider.sandbox.objects.values import stamp
from intacct_provider.sandbox.query.columns import Column, Type
from intacct_provider.sandbox.query.relative_dates import MACROS, Period, resolve_period

_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
#: The form of times in RFC 3339, whose zone may be missing, or a date.
_DATE_TIME = re.compile(
    _DATE.pattern + r"(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?)?", re.ASCII | re.IGNORECASE
)
_LARGEST = 2**63 - 1
# No column has more digits; arithmetic with larger decimals overflows.
_MOST_DIGITS = 400


@dataclass(frozen=True, slots=True)
class Span:
    """What a filter value means: one stored value (`low` equals `high`), or a range if it is a period."""

    low: object
    high: object


class Operand:
    """A column in a filter: the SQL to compare, and the conversion of the filter's values."""

    def __init__(self, column: Column, today: date, *, case_sensitive: bool, key_as_text: bool) -> None:
        self.column = column
        self.today = today
        self.fold = column.type == "text" and not case_sensitive
        self.key_as_text = key_as_text

    @property
    def sql(self) -> str:
        """The SQL to compare with values of :meth:`span`."""
        if self.key_as_text:
            return self.column.output
        return f"FOLD({self.column.sql})" if self.fold else self.column.sql

    def span(self, value: object) -> Span:
        """Return the stored values that `value` means.

        :raises ValueError: if the field cannot be compared with it; the message says why.
        """
        if value is None:
            raise ValueError("null can only be compared by $eq and $ne")
        if isinstance(value, list | dict):
            raise ValueError("the value must be a string, a number or a boolean")
        days = self._period(value) if self.column.type in ("date", "date-time") else None
        if days:
            return _days(days) if self.column.type == "date" else _instants(days)
        stored = self._read(value)
        if self.key_as_text:
            stored = str(stored)
        elif self.fold:
            stored = str(stored).casefold()
        return Span(stored, stored)

    def text(self, value: object) -> str:
        """Return `value` as text to search for.

        :raises ValueError: if the field is not text, or the value neither a string nor a number.
        """
        if self.column.type not in ("text", "key"):
            raise ValueError(f"the operator needs a text field, and this one is {_NAMES[self.column.type]}")
        text = _text(value)
        return text.casefold() if self.fold else text

    def text_sql(self) -> str:
        """Return the SQL to search for a :meth:`text`; a key is searched as its digits."""
        return self.column.output if self.column.type == "key" else self.sql

    def _read(self, value: object) -> object:
        if self.column.type == "cents":
            return _amount(value, self.column.places)
        return _READERS[self.column.type](value)

    def _period(self, value: object) -> Period | None:
        try:
            return resolve_period(value, self.today) if isinstance(value, str) else None
        except OverflowError:
            raise ValueError(f"{value} of {self.today} is outside the calendar") from None


def _days(days: Period) -> Span:
    return Span(days.first.isoformat(), days.last.isoformat())


def _instants(days: Period) -> Span:
    first = datetime.combine(days.first, time.min, UTC)
    # Stored times have whole seconds.
    last = datetime.combine(days.last, time(23, 59, 59), UTC)
    return Span(stamp(first), stamp(last))


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    raise ValueError("the value must be a string or a number")


def _key(value: object) -> int:
    text = _text(value)
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise ValueError(f"{text[:40]!r} is not a key: keys are whole numbers")
    return int(text)


def _decimal(value: object) -> Decimal:
    try:
        number = Decimal(_text(value))
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite():
        raise ValueError(f"{str(value)[:40]!r} is not a number")
    if number.adjusted() > _MOST_DIGITS:
        raise ValueError(f"{str(value)[:40]!r} is too large")
    return number


def _to_sqlite(number: Decimal) -> int | float:
    """Return a number that SQLite can store: whole numbers exactly, others as floating point."""
    whole = number == number.to_integral_value() and abs(number) <= _LARGEST
    return int(number) if whole else float(number)


def _number(value: object) -> float | int:
    bound = _to_sqlite(_decimal(value))
    if isinstance(bound, float) and not math.isfinite(bound):
        raise ValueError(f"{str(value)[:40]!r} is too large")
    return bound


def _amount(value: object, places: int) -> float | int:
    return _number(str(_decimal(value) * 10**places))


def _boolean(value: object) -> int:
    named = {"true": True, "false": False}.get(value) if isinstance(value, str) else value
    if not isinstance(named, bool):
        raise ValueError(f"{str(value)[:40]!r} is not a boolean: use true or false")
    return int(named)


def _date(value: object) -> str:
    try:
        return _parse_date(value)
    except (TypeError, ValueError):
        raise ValueError(
            f"{str(value)[:40]!r} is not a date: use YYYY-MM-DD or {', '.join(_PERIODS)}"
        ) from None


def _parse_date(value: object) -> str:
    if not isinstance(value, str) or not _DATE.fullmatch(value):
        raise ValueError
    return date.fromisoformat(value).isoformat()


def _date_time(value: object) -> str:
    """Return an instant as it is stored; a fraction of a second sorts after its whole second."""
    try:
        if not isinstance(value, str) or not _DATE_TIME.fullmatch(value):
            raise ValueError
        timestamp = datetime.fromisoformat(value)
        timestamp = timestamp.replace(tzinfo=timestamp.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"{str(value)[:40]!r} is not a date-time such as 2025-03-16T13:26:56Z") from None
    fraction = f".{timestamp.microsecond:06d}" if timestamp.microsecond else ""
    return stamp(timestamp) + fraction


_PERIODS = sorted(MACROS)
_READERS: Mapping[Type, Callable[[object], object]] = {
    "key": _key,
    "text": _text,
    "integer": _number,
    "number": _number,
    "boolean": _boolean,
    "date": _date,
    "date-time": _date_time,
}
_NAMES: Mapping[Type, str] = {
    "integer": "a number",
    "number": "a number",
    "cents": "an amount",
    "boolean": "a boolean",
    "date": "a date",
    "date-time": "a date-time",
}
