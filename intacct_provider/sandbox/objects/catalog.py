"""Every object that the sandbox knows, by its name in the API."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from types import MappingProxyType

from intacct_provider.sandbox.objects import ledger, neighbors, people, places, receivable
from intacct_provider.sandbox.objects.audit_history import AUDIT_HISTORY
from intacct_provider.sandbox.objects.definitions import (
    ObjectType,
)

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

QUERYABLE: Mapping[str, ObjectType] = MappingProxyType({**OBJECTS, AUDIT_HISTORY.name: AUDIT_HISTORY})
"""Those objects, and what has no address of its own and is for queries alone."""


def known_object(name: str) -> ObjectType:
    """Return an object by its name.

    :raises ValueError: when there is none; the message names the nearest
    """
    if name not in OBJECTS:
        near = get_close_matches(name, OBJECTS, n=1, cutoff=0.0)[0]
        raise ValueError(f"{name!r} is not an object of the sandbox; did you mean {near!r}?")
    return OBJECTS[name]
