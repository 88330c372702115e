"""What of an object's model is kept: its structure, and nothing that is data of the company."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from intacct_provider.client.model import get_entries

#: What a model says about an object as a whole.
_OBJECT = ("additionalQueryFilterParameters", "apiObject", "httpMethods", "idempotenceSupported", "type")
#: What it says about a field. Everything else, such as a description, is left out.
_FIELD = (
    *("type", "format", "enum", "readOnly", "writeOnly", "required", "nullable", "mutable", "deprecated"),
    *("minLength", "maxLength"),
)
#: What it says about a group, a reference or a list as a whole.
_PART = ("apiObject", "type", "isOwner", "deprecated")


def extract_shape(model: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of a model that describes the object, with all four maps."""
    return {name: model[name] for name in _OBJECT if name in model} | _extract_maps(model, empty=True)


def _extract_maps(part: Mapping[str, Any], *, empty: bool = False) -> dict[str, Any]:
    """Return the maps of a model, or of a part of it.

    :param empty: whether those without entries are returned, too.
    """
    maps = {
        "fields": {name: _extract_field(one) for name, one in get_entries(part, "fields").items()},
        "groups": {name: _extract_part(one) for name, one in get_entries(part, "groups").items()},
        "refs": {name: _extract_part(one) for name, one in get_entries(part, "refs").items()},
        "lists": {name: _extract_part(one) for name, one in get_entries(part, "lists").items()},
    }
    return {kind: entries for kind, entries in maps.items() if entries or empty}


def _extract_part(part: Mapping[str, Any]) -> dict[str, Any]:
    return {name: part[name] for name in _PART if name in part} | _extract_maps(part)


def _extract_field(field: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: field[name] for name in _FIELD if name in field}
    # The default of free text can be data, such as the id of a record.
    default = field.get("default")
    if "default" in field and (not isinstance(default, str) or default in ("", *(field.get("enum") or ()))):
        kept["default"] = default
    return kept
