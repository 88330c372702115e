"""What of an object's model is kept: its structure, in the form that the sandbox reads, and no data of the company."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from intacct_provider.client.model import get_entries, get_object_name

#: What a model says about an object as a whole.
_OBJECT = ("additionalQueryFilterParameters", "apiObject", "httpMethods", "idempotenceSupported", "type")
_TYPES = ("string", "integer", "number", "boolean", "array", "object")
#: Which kind a name stands for that stands for several, the first one here.
_MAPS = ("refs", "groups", "lists", "fields")
_ALWAYS_FIELDS = ("key", "id", "href")
_KINDS = {"fields": "field", "groups": "group", "refs": "reference", "lists": "list"}

Note = Callable[[str], None]


def extract_shape(model: Mapping[str, Any], note: Note = lambda _: None) -> dict[str, Any]:
    """Return the part of a model that describes the object, with all four maps.

    :param note: called with what is not kept as it is, since the sandbox could not run it.
    """
    head = {name: _make_plain(model[name]) for name in _OBJECT if _is_head(name, model.get(name))}
    maps = _extract_maps(model, "", note)
    return head | {kind: maps.get(kind, {}) for kind in ("fields", "groups", "refs", "lists")}


def _is_head(name: str, value: Any) -> bool:
    if name in ("additionalQueryFilterParameters", "idempotenceSupported"):
        return value is not None
    return isinstance(value, str)


def _extract_maps(part: Mapping[str, Any], prefix: str, note: Note) -> dict[str, Any]:
    """Return the maps of a model, or of a part of it, that have entries."""
    entries = {kind: get_entries(part, kind) for kind in _MAPS}
    # A reference to nothing only groups its fields.
    nowhere = {name: one for name, one in entries["refs"].items() if "/" not in get_object_name(one)}
    entries["refs"] = {name: one for name, one in entries["refs"].items() if name not in nowhere}
    entries["groups"] = nowhere | entries["groups"]
    maps: dict[str, Any] = {}
    taken: dict[str, str] = {}
    for kind in _MAPS:
        kept = {}
        for name, one in entries[kind].items():
            path = f"{prefix}{name}"
            problem = _find_problem(name, taken)
            if path in _ALWAYS_FIELDS and kind != "fields":
                problem = "it must be a field"
            if problem:
                note(f"the {_KINDS[kind]} {path!r} is left out, because {problem}")
                continue
            kept[name] = _extract_entry(kind, one, path, note)
        taken |= dict.fromkeys(kept, _KINDS[kind])
        if kept:
            maps[kind] = kept
    return maps


def _find_problem(name: str, taken: Mapping[str, str]) -> str:
    """Return why the sandbox cannot have a member of that name; empty if it can."""
    if name in taken:
        return f"it is also a {taken[name]}"
    if not name.strip() or "." in name or '"' in name or not name.isprintable():
        return "the sandbox cannot have such a name"
    return ""


def _extract_entry(kind: str, one: Mapping[str, Any], path: str, note: Note) -> dict[str, Any]:
    if kind == "fields":
        return _extract_field(one, path, note)
    kept: dict[str, Any] = {
        name: one[name] for name in ("apiObject", "type") if isinstance(one.get(name), str)
    }
    kept |= {name: one[name] for name in ("isOwner", "deprecated") if isinstance(one.get(name), bool)}
    return kept if kind == "lists" else kept | _extract_maps(one, f"{path}.", note)


def _extract_field(field: Mapping[str, Any], path: str, note: Note) -> dict[str, Any]:
    kept: dict[str, Any] = {
        name: field[name]
        for name, kind in _FIELD.items()
        if isinstance(field.get(name), kind) and (kind is bool or not isinstance(field[name], bool))
    }
    kind = field.get("type")
    if kind is not None and kind not in _TYPES:
        note(f"the type of the field {path!r} is not known, so it is a string")
        kept["type"] = "string"
    if "enum" in kept:
        kept["enum"] = [_make_plain(one) for one in kept["enum"] if not isinstance(one, Mapping | list)]
    # The default of free text can be data, such as the id of a record.
    default = field.get("default")
    is_choice = default in ("", *kept.get("enum", ())) if isinstance(default, str) else True
    if "default" in field and is_choice and not isinstance(default, Mapping | list):
        kept["default"] = _make_plain(default)
    return kept


#: What a model says about a field, besides its default. Everything else, such as a description, is left out.
_FIELD: Mapping[str, type] = {
    **dict.fromkeys(("type", "format"), str),
    "enum": list,
    **dict.fromkeys(("readOnly", "writeOnly", "required", "nullable", "mutable", "deprecated"), bool),
    **dict.fromkeys(("minLength", "maxLength"), int),
}


def _make_plain(value: Any) -> Any:
    """Return a value of JSON with numbers of Python's own types."""
    if isinstance(value, Mapping):
        return {name: _make_plain(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_make_plain(one) for one in value]
    if isinstance(value, Decimal):
        number = float(value)
        return number if math.isfinite(number) else str(value)
    return value
