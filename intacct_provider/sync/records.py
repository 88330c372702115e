"""Records as dictionaries, nested and flat: their paths, blank values, and what pairs two of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from intacct_provider.exceptions import IntacctArgumentError


def match_text(value: Any) -> str:
    """Return a ``match_on`` value as text, by which desired and live records are paired."""
    return "" if value is None else str(value)


def flatten(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the leaves of a record by dotted path: ``{"term": {"id": "N30"}}`` has ``term.id``.

    Lists and empty objects are leaves. Names that are already dotted, as in query rows, are kept.

    :raises IntacctArgumentError: if a path is given twice, nested and dotted.
    """
    flat: dict[str, Any] = {}
    _collect_leaves(record, "", flat)
    return flat


def unflatten(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Return the nested record whose leaves are ``flat``; the inverse of :func:`flatten`.

    :raises IntacctArgumentError: if a path is both a value and a parent (``term`` and ``term.id``).
    """
    record: dict[str, Any] = {}
    for path, value in flat.items():
        *parents, leaf = path.split(".")
        node: Any = record
        for parent in parents:
            node = node.setdefault(parent, {})
            if not isinstance(node, dict):
                raise IntacctArgumentError(f"{path} and {parent} are both given; give one of them")
        if leaf in node:
            raise IntacctArgumentError(f"{path} and a field below it are both given; give one of them")
        # A new object, because later paths may be put into it.
        node[leaf] = {} if value == {} else value
    return record


def value_at(flat: Mapping[str, Any], path: str) -> Any:
    """Return the value at ``path`` of a flat record; an object is put together from its parts.

    :param flat: from :func:`flatten`.
    :return: None if the path is missing or nothing below it has a value.
    """
    if path in flat:
        return flat[path]
    below = {name[len(path) + 1 :]: value for name, value in flat.items() if name.startswith(f"{path}.")}
    return None if is_blank(below) else unflatten(below)


def look_up(record: Mapping[str, Any], path: str) -> Any:
    """Return the value at a dotted path of a record, nested or dotted; None if it is missing."""
    if path in record:
        return record[path]
    name, _, rest = path.partition(".")
    inner = record.get(name)
    return look_up(inner, rest) if rest and isinstance(inner, Mapping) else None


def is_blank(value: Any) -> bool:
    """Return whether Intacct would show nothing: null, empty text, or an object or list without content.

    An empty reference arrives as an object full of nulls, which is blank too.
    """
    if isinstance(value, Mapping):
        return all(is_blank(item) for item in value.values())
    return value is None or (isinstance(value, str | list | tuple) and len(value) == 0)


def _collect_leaves(record: Mapping[str, Any], prefix: str, flat: dict[str, Any]) -> None:
    for name, value in record.items():
        path = prefix + name
        if value.__class__ is not str and value and isinstance(value, Mapping):
            _collect_leaves(value, f"{path}.", flat)
        elif path in flat:
            raise IntacctArgumentError(f"{path} is given twice, nested and dotted; give it once")
        else:
            flat[path] = value


def is_given(record: Mapping[str, Any], path: str) -> bool:
    """Return whether a whole record has a field, even if it is empty, or may have it below an empty object."""
    name, _, rest = path.partition(".")
    if path in record:
        return True
    if name not in record:
        return False
    inner = record[name]
    return inner is None or (isinstance(inner, Mapping) and is_given(inner, rest))
