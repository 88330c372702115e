"""Which fields of a live record differ from what the user wants, in Intacct's own terms."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from intacct_provider.client.model import entries
from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.sync.same import has_conditions, is_blank, same_element, same_set, same_value

__all__ = [
    "LIST",
    "WRITE_ONLY",
    "FieldChange",
    "compare",
    "differences",
    "fields_of",
    "flatten",
    "is_blank",
    "match_text",
    "patch_for",
    "type_of",
    "types_of",
    "unflatten",
    "value_at",
]

#: Type of a field that queries cannot read.
LIST = "list"
#: Type of a field that Intacct takes and never shows, so that it cannot be compared.
WRITE_ONLY = "write-only"
#: What an element has that is nothing but a reference to another record.
_REFERENCE = frozenset({"key", "id", "href", "name", "sortOrder"})


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


def match_text(value: Any) -> str:
    """Return a ``match_on`` value as text, which is how desired and live records are paired."""
    return "" if value is None else str(value)


def flatten(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the leaves of a record by dotted path: ``{"term": {"id": "N30"}}`` has ``term.id``.

    Lists and empty objects are leaves. Names that are dotted already, as in query rows, are kept.

    :raises IntacctArgumentError: if a path is given twice, nested and dotted.
    """
    flat: dict[str, Any] = {}
    _gather(record, "", flat)
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


def value_at(flat: Mapping[str, Any], path: str) -> Any:
    """Return the value at ``path`` of a flat record: a whole object is gathered from its parts.

    :param flat: from :func:`flatten`.
    :returns: None if the path is absent or nothing below it has a value.
    """
    if path in flat:
        return flat[path]
    below = {name[len(path) + 1 :]: value for name, value in flat.items() if name.startswith(f"{path}.")}
    return None if is_blank(below) else unflatten(below)


def fields_of(
    flat: Iterable[Mapping[str, Any]], types: Mapping[str, str], *, match_on: str = "id"
) -> tuple[list[str], bool]:
    """Return the dotted paths that a comparison needs, and whether records must be fetched by key for them.

    The paths are ``key``, ``match_on``, then the rest sorted. A whole object that is to be cleared (``{"term": null}``)
    stands for its typed fields, because Intacct can be asked for ``term.id`` but not for ``term``. Filters bring their
    ``filterExpression``, which says whether their order means anything. Lists appear under their own path; Intacct's
    query service cannot read them, whether they are given or cleared.

    :param flat: desired records, from :func:`flatten`.
    :param types: from :func:`types_of`.
    """
    given: set[str] = set()
    lists = False
    for record in flat:
        for path, value in record.items():
            if value is None or value.__class__ in (str, bool):  # most values by far
                given.add(path)
            elif value != {}:
                given.add(path)
                lists = lists or isinstance(value, list | tuple)
    wanted = {leaf for path in given for leaf in _readable(path, types)}
    wanted |= {_expression(path) for path in wanted if path.endswith(".filters")}
    seen = sorted(path for path in wanted if types.get(path) != WRITE_ONLY)
    full = lists or any(types.get(path) == LIST for path in seen)
    return list(dict.fromkeys(["key", match_on, *seen])), full


def compare(
    desired: Mapping[str, Any], live: Mapping[str, Any], types: Mapping[str, str]
) -> list[FieldChange]:
    """Return the fields, among those that ``desired`` gives, whose live value is another one.

    Values compare as :func:`~intacct_provider.sync.same.same_value` says. The conditions of a filter are a set,
    unless its ``filterExpression`` numbers them. What can only be written is not compared.

    :param desired: nested or dotted.
    :param live: nested (from GET) or dotted (a query row).
    :param types: from :func:`types_of`.
    """
    return differences(flatten(desired), flatten(live), types)


def differences(
    wanted: Mapping[str, Any], current: Mapping[str, Any], types: Mapping[str, str]
) -> list[FieldChange]:
    """Return what :func:`compare` does, of records that are flat already."""
    changes = []
    for path, new in wanted.items():
        old = current[path] if path in current else value_at(current, path)
        if new is old or (new.__class__ is str and new == old):
            continue  # most values by far
        if new == {} or types.get(path) == WRITE_ONLY or same_value(new, old, path, types):
            continue
        if has_conditions(new) and not _numbered(path, wanted, current) and same_set(new, old):
            continue
        changes.append(FieldChange(path, old, new))
    return changes


def patch_for(changes: Sequence[FieldChange], desired: Mapping[str, Any]) -> dict[str, Any]:
    """Return the nested body of a PATCH that makes ``changes`` and touches nothing else.

    A list of references or values goes whole, as Intacct replaces it. A list of records that the record owns, such
    as ``accountGroupMembers``, is merged by Intacct element by element: those with a key change, those without are
    added, those that are not wanted have to be named. An object that holds a list, such as ``memberFilter``, goes as
    far as ``desired`` gives it: its ``filterExpression`` numbers the conditions in its ``filters``, so half of it
    would mean something else.
    """
    wanted = flatten(desired)
    parents = {path.rpartition(".")[0] for path, value in wanted.items() if isinstance(value, list | tuple)}
    wholes = [
        f"{parent}."
        for parent in parents - {""}
        if any(change.path.startswith(f"{parent}.") for change in changes)
    ]
    body = {path: value for path, value in wanted.items() if path.startswith(tuple(wholes))}
    return unflatten(body | {change.path: _sent(change) for change in changes})


def types_of(model: Mapping[str, Any]) -> dict[str, str]:
    """Return the type of every field of a model by dotted path; list elements as ``lines[].id``.

    Types are ``string``, ``number``, ``integer``, ``boolean``, ``decimal`` (an exact amount sent as text),
    ``date``, ``date-time``, :data:`LIST` and :data:`WRITE_ONLY`; any other is passed through as the model writes it.

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
        yield f"{prefix}{name}", WRITE_ONLY if spec.get("writeOnly") is True else type_of(spec)
    for kind in ("groups", "refs"):
        for name, part in entries(model, kind).items():
            yield from _types(part, f"{prefix}{name}.")
    for name, part in entries(model, "lists").items():
        yield f"{prefix}{name}", LIST
        yield from _types(part, f"{prefix}{name}[].")


def _gather(record: Mapping[str, Any], prefix: str, flat: dict[str, Any]) -> None:
    for name, value in record.items():
        path = prefix + name
        if value.__class__ is not str and value and isinstance(value, Mapping):
            _gather(value, f"{path}.", flat)
        elif path in flat:
            raise IntacctArgumentError(f"{path} is given twice, nested and dotted; give it once")
        else:
            flat[path] = value


def _readable(path: str, types: Mapping[str, str]) -> list[str]:
    if path in types:
        return [path]
    below = [known for known in types if known.startswith(f"{path}.") and "[]" not in known]
    return [known for known in below if not known.endswith(".href")] or [path]


def _expression(path: str) -> str:
    return f"{path.removesuffix('filters')}filterExpression"


def _numbered(path: str, wanted: Mapping[str, Any], current: Mapping[str, Any]) -> bool:
    """Tell whether the conditions at ``path`` are joined by an expression that counts them."""
    name = _expression(path)
    expression = wanted[name] if name in wanted else current.get(name)
    return str(expression or "and").strip().lower() not in ("and", "or")


def _sent(change: FieldChange) -> Any:
    """Return the value that a PATCH needs; for a list of owned records, what turns the old one into the new."""
    new, old = change.new, change.old
    if not isinstance(old, list | tuple) or not isinstance(new, list | tuple | None):
        return new
    wanted = new or []
    if not _owned(wanted, old):
        return new
    if len(wanted) == len(old):
        pairs = zip(wanted, old, strict=True)
        return [{**item, "key": was["key"]} for item, was in pairs if not same_element(item, was)]
    kept = 0
    merge = []
    for was in old:
        if kept < len(wanted) and same_element(wanted[kept], was):
            kept += 1
        else:
            merge.append({"key": was["key"], "ia::operation": "delete"})
    return [*merge, *wanted[kept:]]


def _owned(new: Sequence[Any], old: Sequence[Any]) -> bool:
    """Tell whether a list holds records of its own, rather than references to others or values.

    Models do not say it. Owned records have keys, and something to them besides what names a record.
    """
    if not old or not all(isinstance(item, Mapping) and item.get("key") for item in old):
        return False
    given: Collection[Any] = new or old
    return all(isinstance(item, Mapping) and not item.keys() <= _REFERENCE for item in given)
