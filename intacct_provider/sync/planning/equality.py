"""Whether two values are the same to Intacct."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from intacct_provider.sync.records import is_blank

_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?")
_NUMERIC_TYPES = frozenset({"number", "integer", "decimal"})


def same_value(new: Any, old: Any, path: str = "", types: Mapping[str, str] | None = None) -> bool:
    """Tell whether a live value is already what is wanted.

    Null, empty text and an absent field are the same. Numeric fields, and any pair with a JSON number in it, compare
    as exact numbers; times compare as moments; booleans equal only booleans; text is compared exactly. Lists must
    have the same length and order, and their elements are compared by the names that the wanted element gives; filter
    conditions (``{"$eq": {...}}``) must be equal throughout.

    :param path: dotted path of the field.
    :param types: from :func:`~intacct_provider.sync.object_facts.types_of`.
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
    """Tell whether an element of a live list is the wanted one, as far as that says."""
    if not isinstance(new, Mapping):
        return same_value(new, old, path, types)
    if not isinstance(old, Mapping):
        return is_blank(new) and is_blank(old)
    if any(name.startswith("$") for name in new):
        return _equal(new, old)
    return all(
        same_element(value, _inside(old, name), f"{path}.{name}", types) for name, value in new.items()
    )


def same_set(new: Any, old: Any) -> bool:
    """Tell whether two lists of conditions hold the same, in whatever order and however often."""
    if not isinstance(new, list | tuple) or not isinstance(old, list | tuple):
        return False
    return all(any(same_element(n, o) for o in old) for n in new) and all(
        any(same_element(n, o) for n in new) for o in old
    )


def _inside(item: Mapping[str, Any], path: str) -> Any:
    """Return what an element has at a dotted path, or None."""
    if path in item:
        return item[path]
    name, _, rest = path.partition(".")
    inner = item.get(name)
    return _inside(inner, rest) if rest and isinstance(inner, Mapping) else None


def _equal(new: Any, old: Any) -> bool:
    """Compare whole values: nothing may be missing on either side."""
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
        left, right = _number(new), _number(old)
        if left is not None and right is not None:
            return left == right
    if kind == "date-time":
        earlier, later = _moment(new), _moment(old)
        if earlier is not None and later is not None:
            return earlier == later
    return bool(new == old)


def _number(value: Any) -> Decimal | None:
    if isinstance(value, int | float | Decimal):
        return Decimal(str(value))
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return Decimal(value)
    return None


def _moment(value: Any) -> dt.datetime | None:
    """Return a time with an offset as a moment, in the whole seconds that Intacct keeps."""
    try:
        moment = dt.datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return moment.replace(microsecond=0) if moment.tzinfo else None


def has_conditions(value: Any) -> bool:
    """Tell whether a list holds filter conditions, such as ``{"$eq": {"status": "active"}}``."""
    return isinstance(value, Sequence) and any(
        isinstance(item, Mapping) and any(name.startswith("$") for name in item) for item in value
    )
