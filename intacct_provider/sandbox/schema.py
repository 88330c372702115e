"""Every object that the sandbox knows, by its name in the API."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from intacct_provider.sandbox import (
    objects_ledger,
    objects_neighbors,
    objects_people,
    objects_places,
    objects_receivable,
)
from intacct_provider.sandbox.audit_history import AUDIT_HISTORY
from intacct_provider.sandbox.fields import Field, Kind, ListField, Member, ObjectType, Ref, parents

__all__ = ["OBJECTS", "QUERYABLE", "Field", "Kind", "ListField", "Member", "ObjectType", "Ref", "parents"]

OBJECTS: Mapping[str, ObjectType] = MappingProxyType(
    {
        object_type.name: object_type
        for object_type in (
            *objects_receivable.OBJECT_TYPES,
            *objects_ledger.OBJECT_TYPES,
            *objects_people.OBJECT_TYPES,
            *objects_places.OBJECT_TYPES,
            *objects_neighbors.OBJECT_TYPES,
        )
    }
)

QUERYABLE: Mapping[str, ObjectType] = MappingProxyType({**OBJECTS, AUDIT_HISTORY.name: AUDIT_HISTORY})
"""Those objects, and what has no address of its own and is for queries alone."""
