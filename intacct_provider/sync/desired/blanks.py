"""Values that say nothing: they leave a field alone, so that nothing is cleared by accident."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

#: Types of pandas' markers for a missing value, recognized by name because pandas may not be installed.
_MISSING_TYPES = frozenset({"NAType", "NaTType"})


def is_missing(value: Any) -> bool:
    """Return whether a value is a marker such as NaN, NaT or NA, which data frames put where they have none."""
    kind = value.__class__
    if value is None or kind in (str, int, bool, dict, list, tuple):  # most values by far
        return False
    if kind.__name__ in _MISSING_TYPES:
        return True
    if isinstance(value, Decimal):
        return value.is_nan()  # a signaling NaN cannot be compared
    try:
        return bool(value != value)
    except (TypeError, ValueError, ArithmeticError):
        return False


def drop_nulls(value: Any) -> Any:
    """Return a value without the null members of objects in it, and without members that become empty by that.

    Parquet and data frames give every row all members, so a null there does not say that something is to be cleared.
    Conditions of a filter (``{"$eq": {"status": None}}``) keep theirs, since there null is an operand.
    """
    if isinstance(value, list | tuple):
        return [drop_nulls(item) for item in value]
    if not isinstance(value, Mapping) or any(str(name).startswith("$") for name in value):
        return value
    members = {name: drop_nulls(item) for name, item in value.items() if item is not None}
    return {
        name: item
        for name, item in members.items()
        if not is_missing(item) and not (item == {} and value[name] != {})
    }


def drop_inner_nulls(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record whose own nulls stay, to clear the field, while those inside its values are dropped."""
    cleared = {name: None for name, value in record.items() if value is None}
    kept = drop_nulls(record)
    return {name: cleared.get(name, kept.get(name)) for name in record if name in cleared or name in kept}
