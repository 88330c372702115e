"""The model service's description of an object: its fields by the names that queries use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

#: Objects that Sage documents and people ask for most. They suggest a spelling, and are also treated as known to exist,
#: and as standalone objects when they appear in a list.
WELL_KNOWN_OBJECTS = (
    "accounts-payable/bill", "accounts-payable/payment", "accounts-payable/vendor",
    "accounts-receivable/customer", "accounts-receivable/customer-group",
    "accounts-receivable/customer-type", "accounts-receivable/invoice", "accounts-receivable/payment",
    "accounts-receivable/term", "accounts-receivable/territory", "company-config/contact",
    "company-config/department", "company-config/employee", "company-config/entity",
    "company-config/location", "company-config/user", "general-ledger/account",
    "general-ledger/account-group", "general-ledger/account-group-purpose",
    "general-ledger/journal-entry", "general-ledger/journal-entry-line", "inventory-control/item",
    "order-entry/document", "projects/project", "purchasing/document",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ModelField:
    """A field of an object, as the model service describes it.

    There is no ``required`` and no length: Intacct calls no field required, not even those that are, and gives no
    lengths.

    :param name: dotted name, such as ``status``, ``audit.modifiedDateTime`` or ``term.id``.
    :param kind: ``field``, or ``list`` for a list of records or values, which queries do not return.
    :param type: ``string``, ``integer``, ``number``, ``boolean`` and so on; empty if unknown.
    :param format: such as ``date``, ``date-time`` or ``decimal-precision-2``; empty if there is none.
    :param enum: values that it may have, None among them where Intacct lists it; empty when any value is allowed.
    :param nullable: whether None clears it.
    :param mutable: whether it can be changed after the record was created.
    :param read_only: whether Intacct alone sets it.
    :param write_only: whether it can be written but never read.
    :param deprecated: whether Sage advises against it, or against the reference that it belongs to.
    """

    name: str
    kind: Literal["field", "list"]
    type: str
    format: str
    enum: tuple[Any, ...]
    nullable: bool
    mutable: bool
    read_only: bool
    write_only: bool
    deprecated: bool

    @property
    def queryable(self) -> bool:
        """Whether a query can return it, as far as the model says: it is not a list, write-only or metadata."""
        return not (self.is_list or self.write_only or self.is_metadata)

    @property
    def is_list(self) -> bool:
        """Whether it has several values, or parts of its own, which queries do not return."""
        return self.kind == "list" or self.type in ("array", "object")

    @property
    def is_metadata(self) -> bool:
        """Whether Intacct says something about the record by it, as by ``ia::status``, and does not keep it."""
        return any(part.startswith("ia::") for part in self.name.split("."))


def read_fields(model: Mapping[str, Any]) -> dict[str, ModelField]:
    """Return the fields and lists of a model by dotted name, those of groups and references included."""
    return {found.name: found for found in _walk_fields(model, "", deprecated=False)}


def list_queryable(fields: Mapping[str, ModelField]) -> list[str]:
    """Return the names that queries can return: ``key`` first, the others sorted, whatever order Intacct sent."""
    return sorted(
        (name for name, found in fields.items() if found.queryable), key=lambda name: (name != "key", name)
    )


def read_model(model: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of a model, or of a part of it, in which empty maps are maps; Intacct sends them as ``[]``."""
    read = dict(model)
    for kind in ("fields", "groups", "refs", "lists"):
        if kind in read:
            parts = get_entries(model, kind)
            read[kind] = (
                {name: read_model(part) for name, part in parts.items()}
                if kind in ("groups", "refs")
                else parts
            )
    return read


def get_entries(model: Mapping[str, Any], kind: str) -> dict[str, Mapping[str, Any]]:
    """Return one of the maps of a model, or of a part of it; Intacct sends an empty one as ``[]``.

    :param kind: ``fields``, ``groups``, ``refs`` or ``lists``.
    """
    found = model.get(kind)
    if not isinstance(found, Mapping):
        return {}
    return {name: part for name, part in found.items() if isinstance(part, Mapping)}


def find_reference(model: Mapping[str, Any], name: str) -> tuple[str, str] | None:
    """Return the object that the first reference in a dotted name leads to, with the rest of the name."""
    first, _, rest = name.partition(".")
    if not rest:
        return None
    for kind in ("refs", "groups"):
        inner = get_entries(model, kind).get(first, {})
        target = get_object_name(inner) if kind == "refs" else ""
        if target:
            return target, rest
        if inner:
            return find_reference(inner, rest)
    return None


def get_object_name(part: Mapping[str, Any]) -> str:
    """Return the path of the object that a reference or list of a model leads to; ``""`` if unknown."""
    return str(part.get("apiObject") or "").removeprefix("objects/")


def _walk_fields(model: Mapping[str, Any], prefix: str, *, deprecated: bool) -> Iterator[ModelField]:
    for name, part in get_entries(model, "fields").items():
        yield _read_field(prefix + name, "field", part, deprecated=deprecated)
    for kind in ("groups", "refs"):
        for name, inner in get_entries(model, kind).items():
            yield from _walk_fields(
                inner, f"{prefix}{name}.", deprecated=deprecated or inner.get("deprecated") is True
            )
    for name, part in get_entries(model, "lists").items():
        yield _read_field(prefix + name, "list", part, deprecated=deprecated)


def _read_field(
    name: str, kind: Literal["field", "list"], part: Mapping[str, Any], *, deprecated: bool
) -> ModelField:
    enum = part.get("enum")
    return ModelField(
        name=name,
        kind=kind,
        type=str(part.get("type") or ""),
        format=str(part.get("format") or ""),
        enum=tuple(enum) if isinstance(enum, list) else (),
        nullable=part.get("nullable") is not False,
        mutable=part.get("mutable") is not False,
        read_only=part.get("readOnly") is True,
        write_only=part.get("writeOnly") is True,
        deprecated=deprecated or part.get("deprecated") is True,
    )
