"""The model service's description of an object, and what it is asked for when a name seems wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

#: Objects that Sage documents and people ask for most; only ever used to suggest a spelling.
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


def field_names(model: Mapping[str, Any]) -> set[str]:
    """Return the dotted names of every field of a model answer, those of references included."""
    return set(_walk(model, ""))


def enum_of(model: Mapping[str, Any], path: Sequence[str]) -> list[str]:
    """Return the texts that the field at ``path`` may have, or none when it is not an enumeration."""
    for name in path[:-1]:
        model = entries(model, "groups").get(name) or entries(model, "refs").get(name) or {}
    enum = (entries(model, "fields").get(path[-1]) or {}).get("enum")
    return [value for value in enum if isinstance(value, str)] if isinstance(enum, list) else []


def entries(model: Mapping[str, Any], kind: str) -> dict[str, Mapping[str, Any]]:
    """Return one of the maps of a model, or of a part of it; Intacct sends an empty one as ``[]``.

    :param kind: ``fields``, ``groups``, ``refs`` or ``lists``.
    """
    found = model.get(kind)
    if not isinstance(found, Mapping):
        return {}
    return {name: part for name, part in found.items() if isinstance(part, Mapping)}


def _walk(model: Mapping[str, Any], prefix: str) -> Iterator[str]:
    for name in (*entries(model, "fields"), *entries(model, "lists")):
        yield prefix + name
    for kind in ("groups", "refs"):
        for name, inner in entries(model, kind).items():
            yield from _walk(inner, f"{prefix}{name}.")
