"""Whether two values are equal to Intacct."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from intacct_provider.sync.records import is_blank, look_up

_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?")
_NUMERIC_TYPES = frozenset({"number", "integer", "decimal"})


def same_value(new: Any, old: Any, path: str = "", types: Mapping[str, str] | None = None) -> bool:
    """Return whether a live value is already the desired one.

    Null, empty text and a missing field are equal. Numeric fields, and any pair with a JSON number in it, compare
    as exact numbers; times compare as instants; booleans equal only booleans; text is compared exactly. Lists must
    have the same length and order, and their elements are compared by the fields of the desired element; filter
    conditions (``{"$eq": {...}}``) must be equal throughout.

    :param path: dotted path of the field.
    :param types: from :func:`~intacct_provider.sync.object_facts.collect_types`.
    """
    if is_blank(new) or is_blank(old):
        return is_blank(new) and is_blank(old)
    if isinstance(new, list | tuple):
        return (
            isinstance(old, list | tuple)
            and len(new) == len(old)
            and all(same_element(n, o, f"{path}[]", types) for n, o in zip(new, old, strict=True))
        )
    return _same_scalar(new, old, (types or {}).get(path))


def same_element(new: Any, old: Any, path: str = "", types: Mapping[str, str] | None = None) -> bool:
    """Return whether an element of a live list has all that the desired element gives."""
    if not isinstance(new, Mapping):
        return same_value(new, old, path, types)
    if not isinstance(old, Mapping):
        return is_blank(new) and is_blank(old)
    if any(name.startswith("$") for name in new):
        return _equal(new, old)
    return all(
        same_element(value, look_up(old, name), f"{path}.{name}", types) for name, value in new.items()
    )


def same_set(new: Any, old: Any) -> bool:
    """Return whether two lists of conditions are equal as sets."""
    if not isinstance(new, list | tuple) or not isinstance(old, list | tuple):
        return False
    return all(any(same_element(n, o) for o in old) for n in new) and all(
        any(same_element(n, o) for n in new) for o in old
    )


def _equal(new: Any, old: Any) -> bool:
    """Return whether two values are equal throughout, with nothing missing on either side."""
    if isinstance(new, Mapping) and isinstance(old, Mapping):
        return new.keys() == old.keys() and all(_equal(new[name], old[name]) for name in new)
    if isinstance(new, list | tuple) and isinstance(old, list | tuple):
        return len(new) == len(old) and all(_equal(n, o) for n, o in zip(new, old, strict=True))
    return _same_scalar(new, old, None)


def _same_scalar(new: Any, old: Any, kind: str | None) -> bool:
    if isinstance(new, bool) or isinstance(old, bool):
        return new is old  # In Python True equals 1; for Intacct it does not.
    if (
        kind in _NUMERIC_TYPES
        or isinstance(new, int | float | Decimal)
        or isinstance(old, int | float | Decimal)
    ):
        left, right = _parse_number(new), _parse_number(old)
        if left is not None and right is not None:
            return left == right
    if kind == "date-time":
        earlier, later = parse_time(new), parse_time(old)
        if earlier is not None and later is not None:
            return earlier == later
    return bool(new == old)


def _parse_number(value: Any) -> Decimal | None:
    if isinstance(value, int | float | Decimal):
        return Decimal(str(value))
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return Decimal(value)
    return None


def parse_time(value: Any) -> dt.datetime | None:
    """Return a time with an offset in the whole seconds that Intacct keeps; None for other text."""
    try:
        time = dt.datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return time.replace(microsecond=0) if time.tzinfo else None


def has_conditions(value: Any) -> bool:
    """Return whether a list holds filter conditions, such as ``{"$eq": {"status": "active"}}``."""
    return isinstance(value, Sequence) and any(
        isinstance(item, Mapping) and any(name.startswith("$") for name in item) for item in value
    )
