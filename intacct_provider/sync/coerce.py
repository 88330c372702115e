"""Desired records in the types of the object's model, with every mistake in them found first."""

from __future__ import annotations

import datetime as dt
import difflib
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from intacct_provider.client.errors import did_you_mean, nearest
from intacct_provider.client.model import entries
from intacct_provider.client.wire import wire_value
from intacct_provider.sync.diff import flatten, type_of, unflatten
from intacct_provider.sync.problems import refuse, shown

_INTEGER = re.compile(r"-?[0-9]{1,18}")
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_DATE_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})"
)
#: Set by Intacct on every object, whether or not its model says so.
_SET_BY_INTACCT = frozenset({"key", "href", "audit"})


def coerce(
    records: Sequence[Mapping[str, Any]],
    model: Mapping[str, Any],
    *,
    source: str,
    from_text: bool,
    match_on: str = "id",
) -> list[dict[str, Any]]:
    """Return the records nested and typed as the object's model says.

    Numbers become int or :class:`decimal.Decimal` without losing a digit; amounts that Intacct sends as
    text stay text; dates and times stay text in Intacct's form. A null stays, to clear the field.
    A field that the model does not list is passed through unless it looks like a misspelling of one
    that it does, because models leave some fields out; custom fields (``nsp::NAME``) always pass.

    :param records: nested or dotted, already through :func:`~intacct_provider.sync.desired.check_desired`.
    :param model: the answer of Intacct's model service for the object.
    :param source: what errors call the records.
    :param from_text: True when all values were text (CSV), so that ``true`` in a boolean field is a
        boolean; otherwise only JSON's own booleans are.
    :param match_on: dotted path of the field that identifies a record; it may be read-only, such as ``key``.
    :raises IntacctArgumentError: for read-only or misspelled fields, values of the wrong type and values
        that an enumeration does not have. Up to 10 are named with record, field and value.
    """
    problems: list[str] = []
    coerced = []
    for number, record in enumerate(records, start=1):
        flat = flatten(record)
        walk = _Walk(f"record {number} ({shown(flat.get(match_on))})", from_text, match_on, problems)
        coerced.append(walk.visit_object(unflatten(flat), model, ""))
    if problems:
        refuse(source, problems)
    return coerced


class _NotOfTypeError(ValueError):
    """What a value should have looked like."""


@dataclass(frozen=True, slots=True)
class _Walk:
    """One record on its way through the model; what is wrong goes to ``problems``."""

    place: str
    from_text: bool
    match_on: str
    problems: list[str]

    def visit_object(self, record: Mapping[str, Any], part: Mapping[str, Any], prefix: str) -> dict[str, Any]:
        known = {name: (kind, spec) for kind in _KINDS for name, spec in entries(part, kind).items()}
        return {
            name: self.visit_member(f"{prefix}{name}", name, value, known) for name, value in record.items()
        }

    def visit_member(
        self, path: str, name: str, value: Any, known: Mapping[str, tuple[str, Mapping[str, Any]]]
    ) -> Any:
        kind, spec = known.get(name, ("", {}))
        if self.read_only(path, name, spec):
            self.problem(path, f"(value {shown(value)}) is read-only; leave it out")
        elif not kind:
            self.unknown(path, name, value, known)
        elif value is None or value == {}:
            return value
        elif kind == "fields":
            return self.visit_field(path, value, spec)
        elif kind == "lists":
            return self.visit_list(path, value, spec)
        else:
            return self.visit_group(path, value, spec)
        return value

    def read_only(self, path: str, name: str, spec: Mapping[str, Any]) -> bool:
        if path == self.match_on:
            return False
        always = name == "href" or (path == name and name in _SET_BY_INTACCT)
        return always or spec.get("readOnly") is True

    def unknown(self, path: str, name: str, value: Any, known: Mapping[str, Any]) -> None:
        near = nearest(name, known)
        # Stricter than a guess for a message, because here a guess would refuse a record.
        alike = difflib.SequenceMatcher(None, name.casefold(), (near or "").casefold()).ratio()
        swapped = sorted(name.casefold()) == sorted((near or "").casefold())
        if near and (alike >= 0.8 or swapped) and "::" not in name:
            meant = f"{path.removesuffix(name)}{near}"
            self.problem(
                path, f"(value {shown(value)}) is not a field of the object. Did you mean {meant!r}?"
            )

    def visit_field(self, path: str, value: Any, spec: Mapping[str, Any]) -> Any:
        convert = _CONVERT.get(type_of(spec))
        if convert is None:
            return value
        try:
            typed = convert(wire_value(value), self.from_text)
        except _NotOfTypeError as error:
            self.problem(path, f"is {shown(value)}, {error}")
            return value
        self.check_enum(path, typed, spec.get("enum"))
        return typed

    def check_enum(self, path: str, value: Any, enum: Any) -> None:
        if not isinstance(enum, Sequence) or isinstance(enum, str) or not enum or value in enum:
            return
        names = [str(item) for item in enum if item is not None]
        allowed = ", ".join(name or "''" for name in names)
        self.problem(path, f"is {shown(value)}.{did_you_mean(str(value), names)} Allowed: {allowed}")

    def visit_group(self, path: str, value: Any, spec: Mapping[str, Any]) -> Any:
        if isinstance(value, Mapping):
            return self.visit_object(value, spec, f"{path}.")
        self.problem(path, f"is {shown(value)}, but it is a group of fields; give {_examples(path, spec)}")
        return value

    def visit_list(self, path: str, value: Any, spec: Mapping[str, Any]) -> Any:
        if isinstance(value, list | tuple):
            return [self.visit_element(path, item, spec) for item in value]
        if isinstance(value, Mapping):
            # A free object, such as a group's filter, may be described among the lists.
            return value
        self.problem(path, f"is {shown(value)}, but it is a list; in CSV name the column '{path}[].id'")
        return value

    def visit_element(self, path: str, value: Any, spec: Mapping[str, Any]) -> Any:
        # Filter conditions and sort orders have dotted names as content, and no fields in the model.
        if not isinstance(value, Mapping) or not any(entries(spec, kind) for kind in _KINDS):
            return value
        return self.visit_object(unflatten(flatten(value)), spec, f"{path}[].")

    def problem(self, path: str, text: str) -> None:
        self.problems.append(f"{self.place}: {path} {text}")


_KINDS = ("fields", "groups", "refs", "lists")


def _examples(path: str, spec: Mapping[str, Any]) -> str:
    """Name one or two fields of a group or reference, the identifying ones first."""
    names = list(entries(spec, "fields"))
    best = [name for name in ("id", "key") if name in names] or names[:2] or ["id"]
    return " or ".join(f"{path}.{name}" for name in best)


def _to_boolean(value: Any, from_text: bool) -> bool:
    if isinstance(value, bool):
        return value
    if from_text and isinstance(value, str) and value.strip().lower() in {"true", "false"}:
        return value.strip().lower() == "true"
    raise _NotOfTypeError("but must be true or false")


def _to_integer(value: Any, _from_text: bool) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and _INTEGER.fullmatch(value.strip()):
        return int(value)
    # Data frames make whole numbers 10.0; the size is bounded so that 1e999999 stays a small number.
    if isinstance(value, float | Decimal) and math.isfinite(value):
        number = Decimal(str(value))
        if abs(number) < 10**18 and number % 1 == 0:
            return int(number)
    raise _NotOfTypeError("but must be a whole number, such as 1000")


def _to_number(value: Any, _from_text: bool) -> int | Decimal:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, float | Decimal) and math.isfinite(value) and abs(Decimal(str(value))) < 10**30:
        return Decimal(str(value))
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        text = value.strip()
        return Decimal(text) if "." in text else int(text) if len(text) < 19 else Decimal(text)
    raise _NotOfTypeError("but must be a number, such as 1000.50, without thousands separators")


def _to_amount(value: Any, from_text: bool) -> str:
    if isinstance(value, str) and value == "":
        return value
    number = _to_number(value, from_text)
    return value.strip() if isinstance(value, str) else format(Decimal(number), "f")


def _to_text(value: Any, _from_text: bool) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise _NotOfTypeError("but must be text")


def _to_date(value: Any, _from_text: bool) -> str:
    if isinstance(value, str) and (value == "" or (_DATE.fullmatch(value) and _exists(value))):
        return value
    raise _NotOfTypeError("but must be a date written YYYY-MM-DD")


def _to_date_time(value: Any, _from_text: bool) -> str:
    if isinstance(value, str) and (value == "" or (_DATE_TIME.fullmatch(value) and _exists(value))):
        return value
    raise _NotOfTypeError("but must be a time written YYYY-MM-DDThh:mm:ssZ")


def _exists(moment: str) -> bool:
    try:
        dt.datetime.fromisoformat(moment)
    except ValueError:
        return False
    return True


_CONVERT: dict[str, Callable[[Any, bool], Any]] = {
    "boolean": _to_boolean,
    "integer": _to_integer,
    "number": _to_number,
    "decimal": _to_amount,
    "string": _to_text,
    "date": _to_date,
    "date-time": _to_date_time,
}
