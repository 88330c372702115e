"""The fields in which a live record differs from the desired one, and the body that changes them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from intacct_provider.sync.object_facts import LIST, WRITE_ONLY
from intacct_provider.sync.plan import FieldChange
from intacct_provider.sync.planning.equality import has_conditions, same_element, same_set, same_value
from intacct_provider.sync.records import flatten, unflatten, value_at

#: Fields of an element that is only a reference to another record.
_REFERENCE = frozenset({"key", "id", "href", "name", "sortOrder"})

#: Types of fields that queries do not return.
_LISTS = (LIST, "array", "object")


def select_fields(
    flat: Iterable[Mapping[str, Any]], types: Mapping[str, str], *, match_on: str = "id"
) -> tuple[list[str], bool]:
    """Return the dotted paths that a comparison needs, and whether records must be fetched by key for them.

    The paths are ``key``, ``match_on``, then the rest sorted. A whole object that is cleared (``{"term": null}``)
    stands for its typed fields, because queries can return ``term.id`` but not ``term``. Filters bring their
    ``filterExpression``, which says whether their order matters. Lists appear under their own path; queries cannot
    return them.

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
    wanted = {leaf for path in given for leaf in _list_readable(path, types)}
    wanted |= {_expression_path(path) for path in wanted if path.endswith(".filters")}
    seen = sorted(path for path in wanted if types.get(path) != WRITE_ONLY)
    full = lists or any(types.get(path) in _LISTS for path in seen)
    return list(dict.fromkeys(["key", match_on, *seen])), full


def compare(
    desired: Mapping[str, Any], live: Mapping[str, Any], types: Mapping[str, str]
) -> list[FieldChange]:
    """Return the fields, among those that ``desired`` gives, whose live value differs.

    Values compare as :func:`~intacct_provider.sync.planning.equality.same_value` says. The conditions of a filter
    are a set, unless its ``filterExpression`` numbers them. Write-only fields are not compared.

    :param desired: nested or dotted.
    :param live: nested (from GET) or dotted (a query row).
    :param types: from :func:`types_of`.
    """
    return compare_flat(flatten(desired), flatten(live), types)


def compare_flat(
    wanted: Mapping[str, Any], current: Mapping[str, Any], types: Mapping[str, str]
) -> list[FieldChange]:
    """Do as :func:`compare` does, with records that are flat already."""
    changes = []
    for path, new in wanted.items():
        old = current[path] if path in current else value_at(current, path)
        if new is old or (new.__class__ is str and new == old):
            continue  # most values by far
        if new == {} or types.get(path) == WRITE_ONLY or same_value(new, old, path, types):
            continue
        if has_conditions(new) and not _is_numbered(path, wanted, current) and same_set(new, old):
            continue
        changes.append(FieldChange(path, old, new))
    return changes


def build_patch(changes: Sequence[FieldChange], desired: Mapping[str, Any]) -> dict[str, Any]:
    """Return the nested body of a PATCH that makes ``changes`` and touches nothing else.

    A list of references or values is sent as a whole, since Intacct replaces it. A list of records that the record
    owns, such as ``accountGroupMembers``, is merged by Intacct element by element: those with a key change, those
    without are added, those to remove have to be named. Of an object that holds a list, such as ``memberFilter``, all
    that ``desired`` gives is sent: its ``filterExpression`` numbers the conditions in its ``filters``, so a part would
    mean something else.
    """
    wanted = flatten(desired)
    parents = {path.rpartition(".")[0] for path, value in wanted.items() if isinstance(value, list | tuple)}
    wholes = [
        f"{parent}."
        for parent in parents - {""}
        if any(change.path.startswith(f"{parent}.") for change in changes)
    ]
    body = {path: value for path, value in wanted.items() if path.startswith(tuple(wholes))}
    return unflatten(body | {change.path: _build_sent_value(change) for change in changes})


def _list_readable(path: str, types: Mapping[str, str]) -> list[str]:
    if path in types:
        return [path]
    below = [known for known in types if known.startswith(f"{path}.") and "[]" not in known]
    return [known for known in below if not known.endswith(".href")] or [path]


def _expression_path(path: str) -> str:
    return f"{path.removesuffix('filters')}filterExpression"


def _is_numbered(path: str, wanted: Mapping[str, Any], current: Mapping[str, Any]) -> bool:
    """Return whether the conditions at ``path`` are joined by an expression that numbers them."""
    name = _expression_path(path)
    expression = wanted[name] if name in wanted else current.get(name)
    return str(expression or "and").strip().lower() not in ("and", "or")


def _build_sent_value(change: FieldChange) -> Any:
    """Return the value for a PATCH; for a list of owned records, what turns the old list into the new one."""
    new, old = change.new, change.old
    if not isinstance(old, list | tuple) or not isinstance(new, list | tuple | None):
        return new
    wanted = new or []
    if not _is_owned(wanted, old):
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


def _is_owned(new: Sequence[Any], old: Sequence[Any]) -> bool:
    """Return whether a list holds records that the record owns, rather than references or values.

    Models do not say so. Owned records have keys, and fields besides those of a reference.
    """
    if not old or not all(isinstance(item, Mapping) and item.get("key") for item in old):
        return False
    given: Collection[Any] = new or old
    return all(isinstance(item, Mapping) and not item.keys() <= _REFERENCE for item in given)
