"""What to add to Intacct's refusals: the closest name that exists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from intacct_provider.client.model import WELL_KNOWN_OBJECTS, ModelField, every_queryable
from intacct_provider.client.spelling import did_you_mean, nearest
from intacct_provider.exceptions import (
    IntacctAPIError,
    IntacctError,
    IntacctNotFoundError,
    IntacctValidationError,
)

if TYPE_CHECKING:
    from intacct_provider.client.reads import ReadCalls

#: Says that a field cannot be used in a query, or that there is none of that name.
_NOT_IN_QUERIES = "REST-1106"
#: Error ids that concern a field's name.
_FIELD_ERRORS = ("REST-1043", _NOT_IN_QUERIES, "REST-1050")


class Hints:
    """Finds the closest existing name for one that Intacct refused.

    Asks the model service, and only after a refusal: a name that is right costs nothing.
    """

    def __init__(self, client: ReadCalls) -> None:
        self._client = client
        self._objects: list[str] | None = None

    def explained(
        self, error: IntacctAPIError, object_name: str, record: Mapping[str, Any] | None = None
    ) -> IntacctAPIError:
        """Return the error with a hint, where a wrong name or value can be the cause.

        :param record: what was written, when it was a write.
        """
        if not isinstance(error, IntacctNotFoundError | IntacctValidationError):
            return error
        # The closest name says more than the general advice on the error.
        error.hint = (
            self.for_object(object_name)
            or self._for_field(error, object_name)
            or self._for_value(error, object_name, record or {})
            or error.hint
        )
        return error

    def for_object(self, object_name: str) -> str:
        """Return what is wrong with an object's path, or an empty string when it exists."""
        if object_name in WELL_KNOWN_OBJECTS:
            return ""
        if self._objects is None:
            try:
                self._objects = self._client.object_names()
            except IntacctError:
                # The refusal itself is what the caller must see; without the list it goes unexplained.
                self._objects = []
        if object_name in self._objects:
            return ""
        closest = did_you_mean(object_name, self._objects or WELL_KNOWN_OBJECTS)
        return f"There is no object {object_name!r}.{closest}" if self._objects or closest else ""

    def _for_field(self, error: IntacctAPIError, object_name: str) -> str:
        ids = {error.error_id, *(error_id for _text, error_id, _target in error.details)}
        if not ids.intersection(_FIELD_ERRORS):
            return ""
        name = (error.placeholders.get("FIELD") or error.target).strip("/").replace("/", ".")
        if not name or any(part.isdigit() for part in name.split(".")):
            # A field of a list's element, such as accountRanges.0.rangeTo: the model does not tell those.
            return ""
        fields = self._fields(object_name)
        if _NOT_IN_QUERIES in ids:
            return _for_query(name, fields)
        return "" if name in fields else did_you_mean(name, fields).strip()

    def _for_value(self, error: IntacctAPIError, object_name: str, record: Mapping[str, Any]) -> str:
        """Name the closest of an enumeration's values, when the one that was written is none of them."""
        for target in (error.target, *(target for _text, _error_id, target in error.details)):
            path = target.strip("/").split("/")
            name, value = ".".join(path), _value_at(record, path)
            if not isinstance(value, str):
                continue
            found = self._fields(object_name).get(name)
            allowed = [text for text in found.enum if isinstance(text, str)] if found else []
            if allowed and value not in allowed:
                return f"{name} is {value!r}.{did_you_mean(value, allowed)}"
        return ""

    def _fields(self, object_name: str) -> Mapping[str, ModelField]:
        """Return the object's fields; none when the model service fails, since the refusal itself must be seen."""
        try:
            return self._client.fields(object_name)
        except IntacctError:
            return {}


def _for_query(name: str, fields: Mapping[str, ModelField]) -> str:
    """Return what to query instead of a name that the query service refused."""
    found = fields.get(name)
    among = every_queryable(fields)
    if found is None:
        inside = [one for one in among if one.startswith(f"{name}.")]
        best = nearest(f"{name}.id", inside) or (inside[0] if inside else None)
        return f"Did you mean {best!r}?" if best else did_you_mean(name, among).strip()
    if found.kind == "list":
        return (
            f"{name!r} is a list; lists and write-only fields cannot be queried: read it with client.get()."
        )
    if found.write_only:
        return f"{name!r} is write-only; lists and write-only fields cannot be queried: leave it out."
    return (
        f"The model lists {name!r}, but the query service does not take it there: leave it out, and name the fields "
        "you need if you asked for '*'."
    )


def _value_at(record: Any, path: Sequence[str]) -> Any:
    for name in path:
        record = record.get(name) if isinstance(record, Mapping) else None
    return record
