"""What the model service reports of an object, and what is known of the main objects beyond that."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from intacct_provider.client.model import WELL_KNOWN_OBJECTS, get_entries, get_object_name

#: Type of a field that queries cannot read.
LIST = "list"
#: Type of a field that can be written and never read, so that it cannot be compared.
WRITE_ONLY = "write-only"
#: What Intacct sets on every record, whether or not its model says so, and on every element of a list.
SET_BY_INTACCT = frozenset({"key", "href", "audit"})
#: When a record was created, and when any of its fields was changed last.
CREATED = "audit.createdDateTime"
MODIFIED = "audit.modifiedDateTime"
#: Fields that a new record must have; Intacct's model marks no field as required. A customer's ``id`` is missing here,
#: because Intacct can number customers.
REQUIRED: Mapping[str, tuple[str, ...]] = {
    "accounts-receivable/customer": ("name",),
    "accounts-receivable/customer-group": ("id", "name"),
    "general-ledger/account-group": ("id",),
    "general-ledger/account-group-purpose": ("id",),
}

#: Kind (``fields``, ``groups``, ``refs`` or ``lists``) and description of a model's members, by name.
Members = dict[str, tuple[str, Mapping[str, Any]]]

KINDS = ("fields", "groups", "refs", "lists")
_TEXT = {"type": "string"}
_INTEGER = {"type": "integer"}
_FIXED = {"type": "string", "readOnly": True}


def _choice(*values: str | None) -> dict[str, Any]:
    return {"type": "string", "enum": list(values)}


def _reference(object_name: str) -> dict[str, Any]:
    return {"apiObject": object_name, "fields": {"key": _TEXT, "id": _TEXT, "name": _FIXED, "href": _FIXED}}


def _formula() -> dict[str, Any]:
    as_of = _choice("forPeriod", "startOfPeriod", "endOfPeriod")
    return {
        "fields": {"constant": _TEXT, "asOf": as_of},
        "refs": {
            "glAccount": _reference("general-ledger/account"),
            "glAccountGroup": _reference("general-ledger/account-group"),
        },
    }


#: The elements of owned lists, by the object that the model names for them.
_OWNED: Mapping[str, dict[str, Any]] = {
    "general-ledger/account-range": {"fields": {"sortOrder": _INTEGER, "rangeFrom": _TEXT, "rangeTo": _TEXT}},
    "general-ledger/account-group-member": {
        "fields": {"sortOrder": _INTEGER},
        "refs": {"accountGroup": _reference("general-ledger/account-group")},
    },
    "general-ledger/account-group-category-member": {
        "fields": {"sortOrder": _INTEGER},
        "refs": {"accountCategory": _reference("general-ledger/reporting-category")},
    },
    "general-ledger/account-group-computation": {
        "fields": {
            "operator": _choice("add", "subtract", "multiply", "divide"),
            "numberOfDecimalPlaces": _INTEGER,
            "displayAs": _choice(
                "number", "percent", "ratioWithDecimals", "ratioWithoutDecimals",
                "dailyAverage", "weeklyAverage", "monthlyAverage", "quarterlyAverage",
            ),
            "unit": _TEXT,
            "unitPlacement": _choice(None, "left", "right"),
        },
        "groups": {"formulaLeft": _formula(), "formulaRight": _formula()},
    },
}  # fmt: skip


def describe_elements(spec: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what is known of a list's elements, in the form of a part of a model.

    With the member ``references`` they are references and nothing else; with ``open`` they may have other fields too.
    """
    if any(spec.get(kind) for kind in ("fields", "groups", "refs")):
        return spec
    name = get_object_name(spec)
    if name in WELL_KNOWN_OBJECTS:
        reference = _reference(name)
        return {**reference, "fields": {**reference["fields"], "sortOrder": _FIXED}, "references": True}
    if name not in _OWNED:
        return {**spec, "fields": {"key": _TEXT, "id": _TEXT}, "open": True} if name else spec
    # Every owned record has these; a key in an element names the stored one that it changes.
    owned = _OWNED[name]
    return {**owned, "fields": {"key": _TEXT, "id": _FIXED, "href": _FIXED, **owned["fields"]}}


class ModelMembers:
    """The members of a model's parts by name, collected once and not once per record."""

    def __init__(self) -> None:
        # The parts are kept, so that no other object gets the identity of one meanwhile.
        self._members: dict[int, tuple[Mapping[str, Any], Members]] = {}
        self._elements: dict[int, tuple[Mapping[str, Any], Mapping[str, Any]]] = {}

    def of(self, part: Mapping[str, Any]) -> Members:
        """Return the members of a model, or of a part of it."""
        if id(part) not in self._members:
            members = {name: (kind, spec) for kind in KINDS for name, spec in get_entries(part, kind).items()}
            self._members[id(part)] = part, members
        return self._members[id(part)][1]

    def elements(self, spec: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the description of a list's elements, as :func:`describe_elements` does."""
        if id(spec) not in self._elements:
            self._elements[id(spec)] = spec, describe_elements(spec)
        return self._elements[id(spec)][1]


def collect_types(model: Mapping[str, Any]) -> dict[str, str]:
    """Return the type of every field of a model by dotted path; list elements as ``lines[].id``.

    Types are ``string``, ``number``, ``integer``, ``boolean``, ``decimal`` (an exact amount sent as text),
    ``date``, ``date-time``, :data:`LIST` and :data:`WRITE_ONLY`; any other is passed through as the model writes it.

    :param model: the response of Intacct's model service; its empty maps may be ``[]``.
    """
    return dict(_walk_types(model, ""))


def read_type(spec: Mapping[str, Any]) -> str:
    """Return the type of one field of a model, as :func:`collect_types` names it."""
    form = str(spec.get("format") or "")
    if form.startswith("decimal"):
        return "decimal"
    return form if form in {"date", "date-time"} else str(spec.get("type", "string"))


def find_self_references(model: Mapping[str, Any], object_name: str) -> tuple[str, ...]:
    """Return the dotted paths of the references from an object to itself, such as a customer's ``parent``."""
    return tuple(_walk_self_references(model, object_name, ""))


def has_owned_lists(model: Mapping[str, Any], object_name: str) -> bool:
    """Return whether an object owns records in lists, which may refer to the object as a group's members do."""
    owned = f"{object_name}-"
    return any(
        str(part.get("apiObject", "")).startswith(owned) for part in get_entries(model, "lists").values()
    )


def _walk_types(model: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
    for name, spec in get_entries(model, "fields").items():
        yield f"{prefix}{name}", WRITE_ONLY if spec.get("writeOnly") is True else read_type(spec)
    for kind in ("groups", "refs"):
        for name, part in get_entries(model, kind).items():
            yield from _walk_types(part, f"{prefix}{name}.")
    for name, part in get_entries(model, "lists").items():
        yield f"{prefix}{name}", LIST
        yield from _walk_types(part, f"{prefix}{name}[].")


def _walk_self_references(model: Mapping[str, Any], object_name: str, prefix: str) -> Iterator[str]:
    for name, part in get_entries(model, "refs").items():
        if get_object_name(part) == object_name:
            yield f"{prefix}{name}"
    for name, part in get_entries(model, "groups").items():
        yield from _walk_self_references(part, object_name, f"{prefix}{name}.")
