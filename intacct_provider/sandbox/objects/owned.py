"""Records that exist only in a list of another one, such as the members of an account group.

They are stored within their owners and have no address of their own, but a model each, and they can be queried.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from intacct_provider.sandbox.objects.definitions import HIDDEN_ENTITY_REF, ListField, ObjectType


def list_owned(owners: Iterable[ObjectType]) -> dict[str, ObjectType]:
    """Return the types of the records in the lists of some objects, by name; a list of references has none."""
    return {
        found.target or "": ObjectType(found.target or "", (*found.items, HIDDEN_ENTITY_REF))
        for _, found in _lists(owners)
    }


def make_views(owners: Iterable[ObjectType]) -> str:
    """Return the SQL that makes a view of each owned object; an object may be in several lists of its owner."""
    selects: dict[str, list[str]] = {}
    for owner, found in _lists(owners):
        selects.setdefault(found.target or "", []).append(_select(owner, found))
    return "".join(
        f'DROP VIEW IF EXISTS "{name}";\nCREATE VIEW "{name}" AS {" UNION ALL ".join(parts)};\n'
        for name, parts in selects.items()
    )


def _lists(owners: Iterable[ObjectType]) -> Iterator[tuple[ObjectType, ListField]]:
    for owner in owners:
        for found in owner.lists:
            if found.target and not found.whole:
                yield owner, found


def _select(owner: ObjectType, found: ListField) -> str:
    """Return the rows of one list, with the columns that the table of an object has."""
    element = ObjectType(found.target or "", found.items)
    own = [field.path for field in element.fields]
    own += [f"{ref.path}.key" for ref in element.refs if not ref.owner]
    columns = [f'json_extract(e.value, \'$."{name}"\') AS "{name}"' for name in own]
    columns += [f'o."key" AS "{ref.path}.key"' for ref in element.refs if ref.owner]
    return (
        f'SELECT {", ".join(columns)}, o."entity.key" AS "entity.key" '  # noqa: S608 - names of ours
        f'FROM "{owner.name}" AS o, json_each(o."{found.path}") AS e'
    )
