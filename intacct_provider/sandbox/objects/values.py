"""How the value of a field is stored in its column, and how it is written in JSON."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from decimal import Context, Decimal, InvalidOperation, Overflow
from functools import cache
from typing import Any

from intacct_provider.sandbox.objects.definitions import Field

CENTS = "decimal-precision-2"
_EXACT = Context(prec=400)
_DECIMAL = re.compile(r"decimal-precision-([0-9]{1,2})")


@cache
def decimal_places(format_: str | None) -> int | None:
    """Return the decimal places of an amount's format; ``None`` for any other format."""
    found = _DECIMAL.fullmatch(format_ or "")
    return int(found[1]) if found else None


def is_known_format(format_: str | None) -> bool:
    """Whether values of a format are checked and compared by it; others are plain text."""
    return format_ in ("date", "date-time") or decimal_places(format_) is not None


def sql_type(field: Field) -> str:
    """Return the SQL type of a field's column: cents and booleans are integers, dates are text."""
    if decimal_places(field.format) is not None or field.kind in ("integer", "boolean"):
        return "INTEGER"
    return "REAL" if field.kind == "number" else "TEXT"


def to_wire(field: Field, stored: object) -> object:
    """Return a stored value as in JSON: ``1`` as ``true``, cents as ``"170200.00"``, a key as ``"24"``."""
    if stored is None:
        return None
    if field.path == "key" or field.path.endswith(".key"):
        return str(stored)
    places = decimal_places(field.format)
    if places is not None and isinstance(stored, int):
        return format_cents(stored) if places == 2 else format_amount(stored, places)
    if field.kind == "boolean":
        return bool(stored)
    if field.kind == "number" and isinstance(stored, float) and stored.is_integer():
        return int(stored)  # recorded responses say 10, not 10.0
    return stored


def format_cents(cents: int) -> str:
    """Return an amount as a decimal string with two places."""
    return f"{'-' if cents < 0 else ''}{abs(cents) // 100}.{abs(cents) % 100:02d}"


def format_amount(units: int, places: int) -> str:
    """Return an amount, stored as a number of its smallest units, as a decimal string."""
    return f"{Decimal(units).scaleb(-places, _EXACT):f}"


def to_stored(field: Field, wire: object) -> object:
    """Return a JSON value as it is stored.

    :raises ValueError: if the value does not have the field's kind or format; the text completes a sentence.
    """
    if wire is None:
        return None
    places = decimal_places(field.format)
    if places is not None:
        return _amount(wire, places)
    if field.path == "key" or field.path.endswith(".key"):
        return int(str(wire))
    if field.kind == "boolean":
        return int(_check_type(wire, bool, "a boolean"))
    if field.kind == "integer":
        return _integer(wire)
    if field.kind == "number":
        return _number(wire)
    text = _check_type(wire, str, "a string")
    if field.format == "date":
        return datetime.strptime(text, "%Y-%m-%d").date().isoformat()  # noqa: DTZ007 - a date has no zone
    if field.format == "date-time":
        return stamp(datetime.fromisoformat(text))
    return text


def stamp(timestamp: datetime) -> str:
    """Return a time as the API writes it: UTC, whole seconds, ``Z``."""
    return timestamp.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _check_type(wire: object, kind: type, name: str) -> Any:
    if not isinstance(wire, kind):
        raise ValueError(f"must be {name}")
    return wire


def _integer(wire: object) -> int:
    # In JSON 5.0 is an integer, too.
    if isinstance(wire, float) and wire.is_integer():
        wire = int(wire)
    # A boolean is an int in Python, but not in JSON.
    if isinstance(wire, bool) or not isinstance(wire, int):
        raise ValueError("must be an integer")
    if not -(2**63) <= wire < 2**63:
        raise ValueError("is too large")
    return wire


def _number(wire: object) -> float:
    if isinstance(wire, bool) or not isinstance(wire, int | float):
        raise ValueError("must be a number")
    try:
        number = float(wire)
    except OverflowError:
        raise ValueError("is too large") from None
    if not math.isfinite(number):
        raise ValueError("must be a number")
    return number


def _amount(wire: object, places: int) -> int:
    try:
        units = Decimal(_check_type(wire, str, "a decimal string")).scaleb(places, _EXACT)
    except (InvalidOperation, Overflow):
        raise ValueError("must be a decimal string") from None
    if not units.is_finite() or units != units.to_integral_value():
        raise ValueError(f"must have at most {'two' if places == 2 else places} decimal places")
    return _integer(int(units))


def parse_key(wire: object) -> int | None:
    """Return a record key as a number; ``None`` for anything that cannot be a key."""
    text = wire if isinstance(wire, str) else ""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None
