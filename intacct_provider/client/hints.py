"""What to add to Intacct's rejections: the closest name that exists."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from intacct_provider.client.model import WELL_KNOWN_OBJECTS, ModelField, list_queryable
from intacct_provider.client.nested import get_nested
from intacct_provider.client.spelling import did_you_mean, find_nearest
from intacct_provider.exceptions import IntacctAPIError

#: The error ids for a field that does not exist or cannot be used in a query, and for a path through a list.
_NOT_IN_QUERIES = {"REST-1106", "REST-1107"}
#: Error ids that concern a field's name.
_FIELD_ERRORS = {"REST-1043", "REST-1050", *_NOT_IN_QUERIES}

#: What Intacct says of a field that the object does not have, which can come without an id.
_MISSING = re.compile(r"(?:The (\S+) field does not exist|(\S+) is not a valid field)", re.IGNORECASE)

#: Reads the fields of the object concerned; called only when they are needed, since that may cost a call.
ReadFields = Callable[[], Mapping[str, ModelField]]


def hint_for_object(object_name: str, objects: Sequence[str]) -> str:
    """Return what is wrong with an object's path, or an empty string when it exists.

    :param objects: those of the company; empty if they are unknown.
    """
    if object_name in objects:
        return ""
    closest = did_you_mean(object_name, objects or WELL_KNOWN_OBJECTS)
    return f"There is no object {object_name!r}.{closest}" if objects or closest else ""


def hint_for_field(error: IntacctAPIError, read_fields: ReadFields) -> str:
    """Return the closest name for a field that does not exist, or why a query cannot return it."""
    ids = {error.error_id, *(detail.error_id for detail in error.details)}
    texts = (error.message, *(detail.message for detail in error.details))
    missing = next(filter(None, map(_MISSING.search, texts)), None)
    if not ids.intersection(_FIELD_ERRORS) and not missing:
        return ""
    target = error.target or (missing[1] or missing[2] if missing else "")
    name = (error.placeholders.get("FIELD") or target).strip("/").replace("/", ".")
    if not name or any(part.isdigit() for part in name.split(".")):
        # A field of a list's element, such as accountRanges.0.rangeTo: the model does not describe those.
        return ""
    fields = read_fields()
    if ids & _NOT_IN_QUERIES:
        return _hint_for_query(name, fields)
    return "" if name in fields else did_you_mean(name, fields).strip()


def hint_for_value(error: IntacctAPIError, record: Mapping[str, Any], read_fields: ReadFields) -> str:
    """Return the closest value of an enumeration, when the one that was written is not among its values.

    :param record: what was written.
    """
    for target in (error.target, *(detail.target for detail in error.details)):
        name = target.strip("/").replace("/", ".")
        value = get_nested(record, name)
        if not isinstance(value, str):
            continue
        found = read_fields().get(name)
        allowed = [text for text in found.enum if isinstance(text, str)] if found else []
        if allowed and value not in allowed:
            return f"{name} is {value!r}.{did_you_mean(value, allowed)}"
    return ""


def _hint_for_query(name: str, fields: Mapping[str, ModelField]) -> str:
    """Return what to query instead of a name that the query service rejected."""
    found = fields.get(name)
    among = list_queryable(fields)
    if found is None:
        inside = [one for one in among if one.startswith(f"{name}.")]
        best = find_nearest(f"{name}.id", inside) or (inside[0] if inside else None)
        return f"Did you mean {best!r}?" if best else did_you_mean(name, among).strip()
    if found.is_list:
        return (
            f"{name!r} is a list; lists and write-only fields cannot be queried: read it with client.get()."
        )
    if found.is_metadata:
        return f"{name!r} is what Intacct says about a record, which cannot be queried: leave it out."
    if found.write_only:
        return f"{name!r} is write-only; lists and write-only fields cannot be queried: leave it out."
    return (
        f"The model lists {name!r}, but the query service does not take it there: leave it out, and name the fields "
        "you need if you asked for '*'."
    )
