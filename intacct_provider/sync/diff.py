"""Which fields of a live record differ from what the user wants, in Intacct's own terms."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from intacct_provider.client.errors import IntacctArgumentError
from intacct_provider.client.model import entries

_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?")
_NUMERIC_TYPES = frozenset({"number", "integer", "decimal"})


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field that an update changes.

    :param path: dotted path of the field, such as ``term.id``.
    :param old: the live value; None when the live record has none.
    :param new: the value the user wants; None clears the field.
    """

    path: str
    old: Any
    new: Any


def flatten(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the leaves of a record by dotted path: ``{"term": {"id": "N30"}}`` has ``term.id``.

    Lists and empty objects are leaves. Names that are dotted already, as in query rows, are kept.

    :raises IntacctArgumentError: if a path is given twice, nested and dotted.
    """
    flat: dict[str, Any] = {}
    for path, value in _leaves(record, ""):
        if path in flat:
            raise IntacctArgumentError(f"{path} is given twice, nested and dotted; give it once")
        flat[path] = value
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
        # A fresh object, because later paths may be put into it.
        node[leaf] = {} if value == {} else value
    return record


def is_blank(value: Any) -> bool:
    """Tell whether Intacct would show nothing: null, empty text, or an object or list of nothing.

    An empty reference arrives as an object full of nulls, so that counts too.
    """
    if isinstance(value, Mapping):
        return all(is_blank(item) for item in value.values())
    return value is None or (isinstance(value, str | list | tuple) and len(value) == 0)


def value_at(flat: Mapping[str, Any], path: str) -> Any:
    """Return the value at ``path`` of a flat record: a whole object is gathered from its parts.

    :param flat: from :func:`flatten`.
    :returns: None if the path is absent or nothing below it has a value.
    """
    if path in flat:
        return flat[path]
    below = {name[len(path) + 1 :]: value for name, value in flat.items() if name.startswith(f"{path}.")}
    return None if is_blank(below) else unflatten(below)


def needs_full_records(desired: Iterable[Mapping[str, Any]]) -> bool:
    """Tell whether any desired record gives a list, such as ``groupMembers``.

    Intacct's query service cannot read lists; such live records must be fetched by key.
    """
    return any(isinstance(value, list | tuple) for record in desired for value in flatten(record).values())


def fields_to_read(
    desired: Iterable[Mapping[str, Any]], types: Mapping[str, str], *, match_on: str = "id"
) -> list[str]:
    """Return the dotted paths that a comparison needs: ``key``, ``match_on``, then the rest sorted.

    A whole object that is to be cleared (``{"term": null}``) stands for its typed fields, because
    Intacct can be asked for ``term.id`` but not for ``term``. Lists appear under their own path.

    :param types: from :func:`types_of`.
    """
    given = {path for record in desired for path, value in flatten(record).items() if value != {}}
    wanted = {leaf for path in given for leaf in _readable(path, types)}
    return list(dict.fromkeys(["key", match_on, *sorted(wanted)]))


def compare(
    desired: Mapping[str, Any], live: Mapping[str, Any], types: Mapping[str, str]
) -> list[FieldChange]:
    """Return the fields, among those that ``desired`` gives, whose live value is another one.

    Null, empty text and an absent field are the same. Numeric fields, and any pair with a JSON
    number in it, compare as exact numbers (``"10"``, ``"10.00"`` and ``10`` are equal); booleans equal
    only booleans; text is compared exactly. Lists must have the same length and order, and their
    elements are compared by the names that the desired element gives; filter conditions
    (``{"$eq": {...}}``) must be equal throughout.

    :param desired: nested or dotted.
    :param live: nested (from GET) or dotted (a query row).
    :param types: from :func:`types_of`.
    """
    current = flatten(live)
    changes = []
    for path, new in flatten(desired).items():
        old = value_at(current, path)
        if new != {} and not _same(new, old, path, types):
            changes.append(FieldChange(path, old, new))
    return changes


def patch_for(changes: Sequence[FieldChange], desired: Mapping[str, Any]) -> dict[str, Any]:
    """Return the nested body of a PATCH that makes ``changes`` and touches nothing else.

    A changed list goes whole. So does an object that holds a list, such as ``memberFilter``, as far
    as ``desired`` gives it: its ``filterExpression`` numbers the conditions in its ``filters``, so half
    of it would mean something else.
    """
    wanted = flatten(desired)
    parents = {path.rpartition(".")[0] for path, value in wanted.items() if isinstance(value, list | tuple)}
    wholes = [
        f"{parent}."
        for parent in parents - {""}
        if any(change.path.startswith(f"{parent}.") for change in changes)
    ]
    body = {path: value for path, value in wanted.items() if path.startswith(tuple(wholes))}
    return unflatten(body | {change.path: change.new for change in changes})


def types_of(model: Mapping[str, Any]) -> dict[str, str]:
    """Return the type of every field of a model by dotted path; list elements as ``lines[].id``.

    Types are ``string``, ``number``, ``integer``, ``boolean``, ``decimal`` (an exact amount sent as text),
    ``date`` and ``date-time``; any other is passed through as the model writes it.

    :param model: the answer of Intacct's model service; its empty maps may be ``[]``.
    """
    return dict(_types(model, ""))


def type_of(spec: Mapping[str, Any]) -> str:
    """Return the type of one field of a model, as :func:`types_of` names it."""
    form = str(spec.get("format") or "")
    if form.startswith("decimal"):
        return "decimal"
    return form if form in {"date", "date-time"} else str(spec.get("type", "string"))


def _types(model: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
    for name, spec in entries(model, "fields").items():
        yield f"{prefix}{name}", type_of(spec)
    for kind, mark in (("groups", "."), ("refs", "."), ("lists", "[].")):
        for name, part in entries(model, kind).items():
            yield from _types(part, f"{prefix}{name}{mark}")


def _leaves(record: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, value in record.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _readable(path: str, types: Mapping[str, str]) -> list[str]:
    if path in types:
        return [path]
    below = [known for known in types if known.startswith(f"{path}.") and "[]" not in known]
    return [known for known in below if not known.endswith(".href")] or [path]


def _same(new: Any, old: Any, path: str, types: Mapping[str, str]) -> bool:
    if is_blank(new) or is_blank(old):
        return is_blank(new) and is_blank(old)
    if isinstance(new, list | tuple):
        return (
            isinstance(old, list | tuple)
            and len(new) == len(old)
            and all(_same_element(n, o, f"{path}[]", types) for n, o in zip(new, old, strict=True))
        )
    return _same_scalar(new, old, numeric=types.get(path) in _NUMERIC_TYPES)


def _same_element(new: Any, old: Any, path: str, types: Mapping[str, str]) -> bool:
    if not isinstance(new, Mapping):
        return _same(new, old, path, types)
    if not isinstance(old, Mapping):
        return False
    if any(name.startswith("$") for name in new):
        return _equal(new, old)
    current = flatten(old)
    return all(
        _same(value, value_at(current, name), f"{path}.{name}", types) for name, value in flatten(new).items()
    )


def _equal(new: Any, old: Any) -> bool:
    """Compare whole values: nothing may be missing on either side."""
    if isinstance(new, Mapping) and isinstance(old, Mapping):
        return new.keys() == old.keys() and all(_equal(new[name], old[name]) for name in new)
    if isinstance(new, list | tuple) and isinstance(old, list | tuple):
        return len(new) == len(old) and all(_equal(n, o) for n, o in zip(new, old, strict=True))
    return _same_scalar(new, old, numeric=False)


def _same_scalar(new: Any, old: Any, *, numeric: bool) -> bool:
    if isinstance(new, bool) or isinstance(old, bool):
        return new is old  # In Python True equals 1; for Intacct it does not.
    if numeric or isinstance(new, int | float | Decimal) or isinstance(old, int | float | Decimal):
        left, right = _number(new), _number(old)
        if left is not None and right is not None:
            return left == right
    return bool(new == old)


def _number(value: Any) -> Decimal | None:
    if isinstance(value, int | float | Decimal):
        return Decimal(str(value))
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return Decimal(value)
    return None
