"""Every object that the sandbox has, by its name in the API."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from intacct_provider.sandbox.nearest import find_nearest
from intacct_provider.sandbox.objects import ledger, neighbors, people, places, receivable
from intacct_provider.sandbox.objects.audit_history import AUDIT_HISTORY
from intacct_provider.sandbox.objects.definitions import ObjectType
from intacct_provider.sandbox.objects.owned import list_owned

OBJECTS: Mapping[str, ObjectType] = MappingProxyType(
    {
        object_type.name: object_type
        for object_type in (
            *receivable.OBJECT_TYPES,
            *ledger.OBJECT_TYPES,
            *people.OBJECT_TYPES,
            *places.OBJECT_TYPES,
            *neighbors.OBJECT_TYPES,
        )
    }
)

OWNED: Mapping[str, ObjectType] = MappingProxyType(list_owned(OBJECTS.values()))
"""The objects whose records exist only in lists of others."""

QUERYABLE: Mapping[str, ObjectType] = MappingProxyType(
    {**OBJECTS, AUDIT_HISTORY.name: AUDIT_HISTORY, **OWNED}
)
"""The objects above, and those that have no address and can only be queried."""


def find_object(name: str) -> ObjectType:
    """Return the object of that name.

    :raises ValueError: for an unknown name; the message suggests the nearest.
    """
    if name not in OBJECTS:
        near = find_nearest(name, OBJECTS)
        raise ValueError(f"{name!r} is not an object of the sandbox; did you mean {near!r}?")
    return OBJECTS[name]
