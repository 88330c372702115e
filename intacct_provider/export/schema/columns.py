"""Columns of an export: their names, and the types that Intacct's model service gives their fields."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from intacct_provider.client.model import ModelField, get_entries, read_fields
from intacct_provider.exceptions import IntacctNotFoundError

ColumnType = Literal["string", "boolean", "integer", "decimal", "date", "timestamp", "json", "struct", "list"]

#: Digits after the point of numbers of which the model tells no precision, such as rates and quantities.
FREE_SCALE = 10
#: Column for what a record has and its model has not, as JSON text; only exports of whole records have it. Elements of
#: lists have a member of this name.
REST = "_rest"
_PRECISION = re.compile(r"decimal-precision-(\d{1,2})")
_MAX_SCALE = 38
_PLAIN: dict[str, ColumnType] = {
    "boolean": "boolean",
    "integer": "integer",
    "object": "json",
    "array": "json",
}
_TEXT: dict[str, ColumnType] = {"date": "date", "date-time": "timestamp"}


@dataclass(frozen=True, slots=True)
class Column:
    """One column of an export.

    :param name: in the file.
    :param field: of the object, as queries name it; with whole records the member of that name.
    :param type: ``json`` is JSON text of what has no fixed form.
    :param scale: digits after the point of a ``decimal``; at most 38 digits in all.
    :param members: of a ``struct``; the one of a ``list`` is its element.
    """

    name: str
    field: str
    type: ColumnType
    scale: int | None = None
    members: tuple[Column, ...] = ()

    @property
    def nested(self) -> bool:
        """Whether its values are objects or lists."""
        return self.type in ("struct", "list", "json")

    def facts(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        facts: dict[str, Any] = {"name": self.name, "field": self.field, "type": self.type}
        if self.scale is not None:
            facts["scale"] = self.scale
        if self.members:
            facts["members"] = column_facts(self.members)
        return facts


ModelOf = Callable[[str], Mapping[str, Any]]

_REST = Column(REST, REST, "json")
_REFERENCE = tuple(Column(name, name, "string") for name in ("key", "id", "href"))


def columns_of(fields: Mapping[str, str], model_fields: Mapping[str, ModelField]) -> tuple[Column, ...]:
    """Return the columns of an export of a query's rows.

    A field that the model does not describe, such as one of a custom object's relation, is text.

    :param fields: names of columns by field, in their order.
    """
    return tuple(_column(name, field, model_fields.get(field)) for field, name in fields.items())


def detail_columns(model: Mapping[str, Any], element_model: ModelOf | None = None) -> tuple[Column, ...]:
    """Return the columns of an export of whole records: groups and references are structs, lists are lists.

    Last comes :data:`REST`, and so it does in the elements of lists, for members that no model tells of: nothing of a
    record is lost.

    :param element_model: returns the model of an object by its path, for the types of what the elements of lists are
        made of; without it, and where Intacct has none, these are ``key``, ``id``, ``href`` and :data:`REST`.
    """
    return (*_members(model, element_model), _REST)


def column_facts(columns: Iterable[Column]) -> list[dict[str, Any]]:
    """Return columns as JSON has them, for the manifest."""
    return [column.facts() for column in columns]


def columns_from_facts(facts: Iterable[Mapping[str, Any]]) -> tuple[Column, ...]:
    """Return the columns that :func:`column_facts` told.

    :raises ValueError: for what it cannot have told.
    """
    found = []
    for fact in facts:
        if fact.get("type") not in get_args(ColumnType):
            raise ValueError(f"{fact.get('type')!r} is no type of a column")
        members = columns_from_facts(fact.get("members", ()))
        found.append(Column(fact["name"], fact["field"], fact["type"], fact.get("scale"), members))
    return tuple(found)


def _column(name: str, field: str, found: ModelField | None) -> Column:
    if found is None:
        return Column(name, field, "string")
    if found.kind == "list":
        return Column(name, field, "json")
    precision = _PRECISION.fullmatch(found.format)
    if precision or found.type == "number":
        scale = min(int(precision[1]), _MAX_SCALE) if precision else FREE_SCALE
        return Column(name, field, "decimal", scale)
    return Column(name, field, _PLAIN.get(found.type) or _TEXT.get(found.format) or "string")


def _members(model: Mapping[str, Any], element_model: ModelOf | None) -> tuple[Column, ...]:
    """Return the columns of a model or a part of it: fields with ``key`` first, then groups, references and lists."""
    own = {
        name: found for name, found in read_fields(model).items() if "." not in name and not found.write_only
    }
    plain = sorted((n for n, found in own.items() if found.kind == "field"), key=lambda n: (n != "key", n))
    columns = [_column(name, name, own[name]) for name in plain]
    for kind in ("groups", "refs"):
        for name, inner in sorted(get_entries(model, kind).items()):
            members = _members(inner, element_model)
            # Parquet knows no struct without members.
            columns.append(_struct(name, members) if members else Column(name, name, "json"))
    for name, part in sorted(get_entries(model, "lists").items()):
        columns.append(Column(name, name, "list", members=(_element(part, element_model),)))
    return _unique(columns)


def _element(part: Mapping[str, Any], element_model: ModelOf | None) -> Column:
    path = str(part.get("apiObject") or "").removeprefix("objects/")
    if not path:
        plain = part.get("type") in ("string", "boolean", "integer", "number")
        return _column("item", "item", _field(part)) if plain else Column("item", "item", "json")
    try:
        model = element_model(path) if element_model else {}
    except IntacctNotFoundError:
        model = {}
    # Of another record a list shows little more than who it is, whatever that record has itself.
    members = () if model.get("type") == "rootObject" else _members(model, None)
    return _struct("item", (*(members or _REFERENCE), _REST))


def _struct(name: str, members: tuple[Column, ...]) -> Column:
    return Column(name, name, "struct", members=members)


def _field(part: Mapping[str, Any]) -> ModelField:
    return read_fields({"fields": {"item": part}})["item"]


def _unique(columns: Sequence[Column]) -> tuple[Column, ...]:
    """Return the columns, of two with one name the first."""
    first: dict[str, Column] = {}
    for column in columns:
        first.setdefault(column.name, column)
    return tuple(first.values())
