"""What is known of Intacct's main objects that its model service does not tell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from intacct_provider.client.model import WELL_KNOWN_OBJECTS, entries

#: Fields that a new record must have. Intacct's model calls no field required; a customer's ``id`` can be numbered
#: by Intacct.
REQUIRED: Mapping[str, tuple[str, ...]] = {
    "accounts-receivable/customer": ("name",),
    "accounts-receivable/customer-group": ("id", "name"),
    "general-ledger/account-group": ("id",),
    "general-ledger/account-group-purpose": ("id",),
}

#: Kind (``fields``, ``groups``, ``refs`` or ``lists``) and description of a model's members, by name.
Known = dict[str, tuple[str, Mapping[str, Any]]]

_KINDS = ("fields", "groups", "refs", "lists")
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


def elements_of(spec: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what is known of a list's elements, in the form of a model's part.

    With the member ``references`` they are nothing but references, with ``open`` they may have any other field.
    """
    if any(spec.get(kind) for kind in ("fields", "groups", "refs")):
        return spec
    name = object_of(spec)
    if name in WELL_KNOWN_OBJECTS:
        reference = _reference(name)
        return {**reference, "fields": {**reference["fields"], "sortOrder": _FIXED}, "references": True}
    if name not in _OWNED:
        return {**spec, "fields": {"key": _TEXT, "id": _TEXT}, "open": True} if name else spec
    # Every owned record has these; a key in an element names the stored one that it changes.
    owned = _OWNED[name]
    return {**owned, "fields": {"key": _TEXT, "id": _FIXED, "href": _FIXED, **owned["fields"]}}


class Parts:
    """What the parts of a model list by name, put together once and not once per record."""

    def __init__(self) -> None:
        # The parts are kept, so that no other object gets the identity of one meanwhile.
        self._known: dict[int, tuple[Mapping[str, Any], Known]] = {}
        self._elements: dict[int, tuple[Mapping[str, Any], Mapping[str, Any]]] = {}

    def of(self, part: Mapping[str, Any]) -> Known:
        """Return the members of a model, or of a part of it."""
        if id(part) not in self._known:
            known = {name: (kind, spec) for kind in _KINDS for name, spec in entries(part, kind).items()}
            self._known[id(part)] = part, known
        return self._known[id(part)][1]

    def elements(self, spec: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return what :func:`elements_of` does."""
        if id(spec) not in self._elements:
            self._elements[id(spec)] = spec, elements_of(spec)
        return self._elements[id(spec)][1]


def object_of(spec: Mapping[str, Any]) -> str:
    """Return the path of the object that a reference or list of the model leads to; ``""`` if it says none."""
    return str(spec.get("apiObject") or "").removeprefix("objects/")


def types_of(model: Mapping[str, Any]) -> dict[str, str]:
    """Return the type of every field of a model by dotted path; list elements as ``lines[].id``.

    Types are ``string``, ``number``, ``integer``, ``boolean``, ``decimal`` (an exact amount sent as text),
    ``date``, ``date-time``, :data:`LIST` and :data:`WRITE_ONLY`; any other is passed through as the model writes it.

    :param model: the answer of Intacct's model service; its empty maps may be ``[]``.
    """
    return dict(_types(model, ""))


def type_of(spec: Mapping[str, Any]) -> str:
    """Return the type of one field of a model, as :func:`types_of` names it."""
    form = str(spec.get("format") or "")
    if form.startswith("decimal"):
        return "decimal"
    return form if form in {"date", "date-time"} else str(spec.get("type", "string"))


def _types(model: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
    for name, spec in entries(model, "fields").items():
        yield f"{prefix}{name}", WRITE_ONLY if spec.get("writeOnly") is True else type_of(spec)
    for kind in ("groups", "refs"):
        for name, part in entries(model, kind).items():
            yield from _types(part, f"{prefix}{name}.")
    for name, part in entries(model, "lists").items():
        yield f"{prefix}{name}", LIST
        yield from _types(part, f"{prefix}{name}[].")


#: Type of a field that queries cannot read.
LIST = "list"
#: Type of a field that Intacct takes and never shows, so that it cannot be compared.
WRITE_ONLY = "write-only"
