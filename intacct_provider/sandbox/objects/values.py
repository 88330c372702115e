"""How the value of a field is stored in its column, and how it is written in JSON."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation, Overflow
from typing import Any

from intacct_provider.sandbox.objects.definitions import Field

CENTS = "decimal-precision-2"


def sql_type(field: Field) -> str:
    """Return the SQL type of a field's column: cents and booleans are integers, dates are text."""
    if field.format == CENTS or field.kind in ("integer", "boolean"):
        return "INTEGER"
    return "REAL" if field.kind == "number" else "TEXT"


def to_wire(field: Field, stored: object) -> object:
    """Return a stored value as in JSON: ``1`` as ``true``, cents as ``"170200.00"``, a key as ``"24"``."""
    if stored is None:
        return None
    if field.path == "key" or field.path.endswith(".key"):
        return str(stored)
    if field.format == CENTS and isinstance(stored, int):
        return format_cents(stored)
    if field.kind == "boolean":
        return bool(stored)
    if field.kind == "number" and isinstance(stored, float) and stored.is_integer():
        return int(stored)  # recorded responses say 10, not 10.0
    return stored


def format_cents(cents: int) -> str:
    """Return an amount as a decimal string with two places."""
    return f"{'-' if cents < 0 else ''}{abs(cents) // 100}.{abs(cents) % 100:02d}"


def to_stored(field: Field, wire: object) -> object:
    """Return a JSON value as it is stored.

    :raises ValueError: if the value does not have the field's kind or format; the text completes a sentence.
    """
    if wire is None:
        return None
    if field.format == CENTS:
        return _cents(wire)
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


def _cents(wire: object) -> int:
    try:
        cents = Decimal(_check_type(wire, str, "a decimal string")) * 100
    except (InvalidOperation, Overflow):
        raise ValueError("must be a decimal string") from None
    if not cents.is_finite() or cents != cents.to_integral_value():
        raise ValueError("must have at most two decimal places")
    return int(cents)


def parse_key(wire: object) -> int | None:
    """Return a record key as a number; ``None`` for anything that cannot be a key."""
    text = wire if isinstance(wire, str) else ""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None
