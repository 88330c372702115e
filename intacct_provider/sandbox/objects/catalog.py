"""The objects that a company has, by their names in the API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from intacct_provider.sandbox.nearest import find_nearest
from intacct_provider.sandbox.objects import ledger, neighbors, people, places, receivable
from intacct_provider.sandbox.objects.audit_history import AUDIT_HISTORY
from intacct_provider.sandbox.objects.company_file import CompanyFile
from intacct_provider.sandbox.objects.definitions import ObjectType
from intacct_provider.sandbox.objects.from_models import build_object_types
from intacct_provider.sandbox.objects.owned import list_owned

_BUILT_IN = {
    object_type.name: object_type
    for object_type in (
        *receivable.OBJECT_TYPES,
        *ledger.OBJECT_TYPES,
        *people.OBJECT_TYPES,
        *places.OBJECT_TYPES,
        *neighbors.OBJECT_TYPES,
    )
}


@dataclass(frozen=True, slots=True, eq=False)
class Catalog:
    """The objects of one company.

    :param objects: those that have an address.
    :param stubs: the targets of references that the company file does not describe. They are not part of the API,
        but every id is a record of theirs.
    :param entities: ids of the company's entities; empty for those of the demo company.
    :param owned: those without an address, whose records exist only in lists of others.
    :param queryable: those that can be queried: the first, the owned ones and the audit history.
    :param tables: those that have a table.
    """

    objects: Mapping[str, ObjectType]
    stubs: Mapping[str, ObjectType] = field(default_factory=lambda: MappingProxyType({}))
    entities: tuple[str, ...] = ()
    owned: Mapping[str, ObjectType] = field(init=False)
    queryable: Mapping[str, ObjectType] = field(init=False)
    tables: Mapping[str, ObjectType] = field(init=False)

    def __post_init__(self) -> None:
        owned = {
            name: one for name, one in list_owned(self.objects.values()).items() if name not in self.objects
        }
        object.__setattr__(self, "owned", MappingProxyType(owned))
        queryable = {**self.objects, AUDIT_HISTORY.name: AUDIT_HISTORY, **owned}
        object.__setattr__(self, "queryable", MappingProxyType(queryable))
        object.__setattr__(self, "tables", MappingProxyType({**self.objects, **owned, **self.stubs}))

    def find(self, name: str) -> ObjectType:
        """Return the object of that name.

        :raises ValueError: for an unknown name; the message suggests the nearest.
        """
        if name not in self.objects:
            near = find_nearest(name, self.objects)
            raise ValueError(
                f"This sandbox has no object {name!r}; did you mean {near!r}? Run it with --company for the objects "
                "of your own company"
            )
        return self.objects[name]

    def is_described(self, name: str) -> bool:
        """Whether a company file describes the object."""
        return self.objects[name] is not _BUILT_IN.get(name)


BUILT_IN = Catalog(MappingProxyType(_BUILT_IN))
"""The objects of a sandbox without a company file."""


def build_catalog(company: CompanyFile | None) -> Catalog:
    """Return the objects of a company; those of its file replace the built-in ones of the same names."""
    if company is None:
        return BUILT_IN
    # The audit history is made of the changes themselves, whatever a file says about its fields.
    own = {name: one for name, one in company.objects.items() if name != AUDIT_HISTORY.name}
    described, stubs = build_object_types(replace(company, objects=own), _BUILT_IN, BUILT_IN.owned)
    objects = {**_BUILT_IN, **described}
    stubs = {name: one for name, one in stubs.items() if name not in objects and name not in BUILT_IN.owned}
    return Catalog(MappingProxyType(objects), MappingProxyType(stubs), company.entities)
