"""Dates in filters: whether they exist, and which one is probably meant."""

from __future__ import annotations

import calendar
import datetime as dt
import re
from typing import Any, TypeGuard

_DATED = re.compile(r"\d{4}-\d\d-\d\d(?!\d)", re.ASCII)
_YEAR_FIRST = re.compile(r"(\d{4})([-/.]?)(\d\d?)\2(\d\d?)", re.ASCII)
_YEAR_LAST = re.compile(r"(\d\d?)([-/.])(\d\d?)\2(\d{4})", re.ASCII)


def read_date(value: Any) -> dt.date | None:
    """Return the date that a text such as ``2026-06-30`` is; None if it is not one that exists."""
    try:
        return dt.date.fromisoformat(value) if isinstance(value, str) and _DATED.fullmatch(value) else None
    except ValueError:
        return None


def is_impossible_date(value: Any) -> TypeGuard[str]:
    """Whether a text has the form of a date, or begins with one as times do, and there is no such day."""
    return isinstance(value, str) and bool(_DATED.match(value)) and read_date(value[:10]) is None


def suggest_date(text: str) -> str | None:
    """Return the date that is probably meant by a text that is not one; None if that is uncertain.

    For a day that does not exist it is the last one before; what follows the date stays.
    """
    if is_impossible_date(text):
        year, month, day = (max(int(part), 1) for part in text[:10].split("-"))
        last = calendar.monthrange(year, min(month, 12))[1]
        return f"{year:04}-{min(month, 12):02}-{min(day, last):02}{text[10:]}"
    if found := _YEAR_FIRST.fullmatch(text):
        possible = {_build_date(found[1], found[3], found[4])}
    elif found := _YEAR_LAST.fullmatch(text):
        possible = {_build_date(found[4], found[1], found[3]), _build_date(found[4], found[3], found[1])}
    else:
        return None
    known = possible - {None}
    return known.pop() if len(known) == 1 else None


def _build_date(year: str, month: str, day: str) -> str | None:
    try:
        return dt.date(int(year), int(month), int(day)).isoformat()
    except ValueError:
        return None
