"""Columns of an export: their names, and the types that Intacct's model service gives their fields."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

import msgspec

from intacct_provider.client.model import ModelField, get_entries, read_fields
from intacct_provider.exceptions import IntacctNotFoundError

ColumnType = Literal["string", "boolean", "integer", "decimal", "date", "timestamp", "json", "struct", "list"]

#: Digits after the point of numbers whose precision the model does not give, such as rates and quantities.
FREE_SCALE = 10
#: Column for members of a record that its model does not describe, as JSON text; only exports of whole records have
#: it. Elements of lists have a member of this name.
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


class Column(msgspec.Struct, frozen=True, omit_defaults=True):
    """One column of an export, as manifests and the state of exports have it.

    :param name: in the file or table.
    :param field: of the object, as queries name it; with whole records the member of that name.
    :param type: ``json`` is JSON text of what has no fixed form.
    :param scale: digits after the point of a ``decimal``; at most 38 digits in all.
    :param members: of a ``struct``; the one member of a ``list`` is its element.
    :param mask: ``sha256`` if its values are hashed.
    """

    name: str
    field: str
    type: ColumnType
    scale: int | None = None
    members: tuple[Column, ...] = ()
    mask: str | None = None

    @property
    def nested(self) -> bool:
        """Whether its values are objects or lists."""
        return self.type in ("struct", "list", "json")


ModelOf = Callable[[str], Mapping[str, Any]]

_REST = Column(REST, REST, "json")
_REFERENCE = tuple(Column(name, name, "string") for name in ("key", "id", "href"))


def query_columns(fields: Mapping[str, str], model_fields: Mapping[str, ModelField]) -> tuple[Column, ...]:
    """Return the columns of an export of a query's rows.

    A field that the model does not describe, such as one of a custom object's relation, is text.

    :param fields: column names by field, in their order.
    """
    return tuple(_column(name, field, model_fields.get(field)) for field, name in fields.items())


def detail_columns(model: Mapping[str, Any], element_model: ModelOf | None = None) -> tuple[Column, ...]:
    """Return the columns of an export of whole records: groups and references are structs, lists are lists.

    The last column is :data:`REST`, and so is the last member of the elements of lists, for members that no model
    describes: nothing of a record is lost.

    :param element_model: returns the model of an object by its path, for the types of the members of list elements, and
        of the lists within them; without it, and where Intacct has no model, these are ``key``, ``id``, ``href`` and
        :data:`REST`.
    """
    return (*_members(model, element_model), _REST)


def find_alike(columns: Sequence[Column]) -> Iterator[tuple[str, str]]:
    """Yield names of columns, and of members of one, that differ by case only, which many readers take for the same."""
    seen: dict[str, str] = {}
    for column in columns:
        other = seen.setdefault(column.name.casefold(), column.name)
        if other != column.name:
            yield other, column.name
        yield from find_alike(column.members)


def _column(name: str, field: str, found: ModelField | None) -> Column:
    if found is None:
        return Column(name, field, "string")
    if found.is_list:
        return Column(name, field, "json")
    precision = _PRECISION.fullmatch(found.format)
    if precision or found.type == "number":
        scale = min(int(precision[1]), _MAX_SCALE) if precision else FREE_SCALE
        return Column(name, field, "decimal", scale)
    return Column(name, field, _PLAIN.get(found.type) or _TEXT.get(found.format) or "string")


def _members(
    model: Mapping[str, Any], element_model: ModelOf | None, above: frozenset[str] = frozenset()
) -> tuple[Column, ...]:
    """Return the columns of a model or a part of it: fields with ``key`` first, then groups, references and lists.

    :param above: objects whose elements this is within, lest an object that holds its own kind has columns without end.
    """
    own = {
        name: found
        for name, found in read_fields(model).items()
        if not ("." in name or found.write_only or found.is_metadata)
    }
    plain = sorted((n for n, found in own.items() if found.kind == "field"), key=lambda n: (n != "key", n))
    columns = [_column(name, name, own[name]) for name in plain]
    for kind in ("groups", "refs"):
        for name, inner in sorted(get_entries(model, kind).items()):
            members = _members(inner, element_model, above)
            # Parquet has no struct without members.
            columns.append(_struct(name, members) if members else Column(name, name, "json"))
    for name, part in sorted(get_entries(model, "lists").items()):
        columns.append(Column(name, name, "list", members=(_element(part, element_model, above),)))
    return _unique(columns)


def _element(part: Mapping[str, Any], element_model: ModelOf | None, above: frozenset[str]) -> Column:
    path = str(part.get("apiObject") or "").removeprefix("objects/")
    if not path:
        plain = part.get("type") in ("string", "boolean", "integer", "number")
        return _column("item", "item", _field(part)) if plain else Column("item", "item", "json")
    try:
        model = element_model(path) if element_model and path not in above else {}
    except IntacctNotFoundError:
        model = {}
    # A list shows little more of another record than its key and id, whatever the record itself has.
    members = () if model.get("type") == "rootObject" else _members(model, element_model, above | {path})
    return _struct("item", (*(members or _REFERENCE), _REST))


def _struct(name: str, members: tuple[Column, ...]) -> Column:
    return Column(name, name, "struct", members=members)


def _field(part: Mapping[str, Any]) -> ModelField:
    return read_fields({"fields": {"item": part}})["item"]


def _unique(columns: Sequence[Column]) -> tuple[Column, ...]:
    """Return the columns; of two with the same name, the first."""
    first: dict[str, Column] = {}
    for column in columns:
        first.setdefault(column.name, column)
    return tuple(first.values())
