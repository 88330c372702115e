"""Relative dates in filters, such as ``priorMonth``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Period:
    """A range of days, including both ends."""

    first: date
    last: date


def resolve_period(macro: str, today: date) -> Period | None:
    """Return the days of a relative date; ``None`` for any other text.

    Sage documents ten names, relative to ``asOfDate`` or else to the current date: with ``asOfDate``
    2022-04-01 ``priorMonth`` is all of March. Names are case-sensitive. Sage does not document on which day a
    week starts; here it is Monday. ``lastWeek`` is the whole week before the current one.
    """
    days = _PERIODS.get(macro)
    return days(today) if days else None


def _day(day: date) -> Period:
    return Period(day, day)


def _week(day: date) -> Period:
    monday = day - day.weekday() * DAY
    return Period(monday, monday + 6 * DAY)


def _month(day: date) -> Period:
    return _months(day.replace(day=1), 1)


def _quarter(day: date) -> Period:
    return _months(day.replace(month=(day.month - 1) // 3 * 3 + 1, day=1), 3)


def _year(day: date) -> Period:
    return Period(day.replace(month=1, day=1), day.replace(month=12, day=31))


def _months(first: date, count: int) -> Period:
    """Return `count` months from `first`, which is a month's first day."""
    last = first
    for _ in range(count):
        last = (last.replace(day=28) + 4 * DAY).replace(day=1)
    return Period(first, last - DAY)


_PERIODS: Mapping[str, Callable[[date], Period]] = {
    "today": _day,
    "yesterday": lambda today: _day(today - DAY),
    "currentWeek": _week,
    "lastWeek": lambda today: _week(today - 7 * DAY),
    "currentMonth": _month,
    "priorMonth": lambda today: _month(_month(today).first - DAY),
    "currentQuarter": _quarter,
    "priorQuarter": lambda today: _quarter(_quarter(today).first - DAY),
    "currentYear": _year,
    "priorYear": lambda today: _year(_year(today).first - DAY),
}

MACROS = frozenset(_PERIODS)
