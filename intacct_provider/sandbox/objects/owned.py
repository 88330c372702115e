"""Records that exist in a list of another one, such as the members of an account group.

They have a table of their own, in which each row names its owner and its list. A built-in one has no address, but a
model, and it can be queried.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from intacct_provider.sandbox.objects.definitions import HIDDEN_ENTITY_REF, ListField, ObjectType, Ref

LIST = "ia::list"
"""The column with the path of the list; null for the first list of the owner."""


def list_owned(owners: Iterable[ObjectType]) -> dict[str, ObjectType]:
    """Return the types of the records in the lists of some objects, by name; a list of references has none."""
    return {
        kept.target or "": ObjectType(kept.target or "", (*kept.items, HIDDEN_ENTITY_REF))
        for _, kept in list_ownerships(owners)
    }


def list_ownerships(owners: Iterable[ObjectType]) -> Iterator[tuple[ObjectType, ListField]]:
    """Yield each owner with each of its lists of owned records."""
    for owner in owners:
        for kept in owner.lists:
            if kept.owned:
                yield owner, kept


def find_owner(element: ObjectType, owner_name: str) -> Ref:
    """Return the reference of an owned object to its owner."""
    return next(ref for ref in element.refs if ref.owner and ref.target == owner_name)


def move_elements(owner: ObjectType, element: ObjectType, kept: ListField) -> str:
    """Return the SQL that adds the elements of a list which an older file has in a column of its owner."""
    names, values = [*sorted(element.columns), LIST], []
    for name in names:
        text = f"json_extract(e.value, '$.\"{name}\"')"
        if name == f"{find_owner(element, owner.name).path}.key":
            text = 'o."key"'
        elif name == "entity.key":
            text = 'o."entity.key"'
        elif name == LIST:
            text = f"'{kept.path}'"
        elif name.startswith("audit.") and name in owner.columns:  # older files have none of an element
            text = f'COALESCE({text}, o."{name}")'
        values.append(text)
    columns = ", ".join(f'"{name}"' for name in names)
    source = f'"{owner.name}" AS o, json_each(o."{kept.path}") AS e'
    return f'INSERT INTO "{element.name}" ({columns}) SELECT {", ".join(values)} FROM {source}'  # noqa: S608
