"""Nested records and the dotted names that queries use for what is in them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: Begins the names of what an answer says about a record.
METADATA = "ia::"


def get_nested(record: Any, name: str) -> Any:
    """Return the value at a dotted name such as ``term.id``; None if there is none."""
    for part in name.split("."):
        record = record.get(part) if isinstance(record, Mapping) else None
    return record


def flatten_record(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record under the dotted names that queries use, such as ``term.id``.

    All values of an empty reference are None, also where Intacct sent empty text. Lists stay as they are.
    """
    row: dict[str, Any] = {}
    for name, value in record.items():
        if not isinstance(value, Mapping):
            row[name] = value
            continue
        inner = flatten_record(value)
        if not inner:
            row[name] = None
        blank = _is_empty_reference(value, inner)
        row |= {f"{name}.{below}": None if blank else part for below, part in inner.items()}
    return row


def drop_metadata(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record without what Intacct says about it and in it: all members whose names begin with ``ia::``."""
    return {name: _drop_below(value) for name, value in record.items() if not name.startswith(METADATA)}


def _drop_below(value: Any) -> Any:
    if isinstance(value, dict):
        return drop_metadata(value)
    return [_drop_below(one) for one in value] if isinstance(value, list) else value


def _is_empty_reference(value: Mapping[str, Any], inner: Mapping[str, Any]) -> bool:
    return ("key" in value or "id" in value) and all(part is None or part == "" for part in inner.values())
