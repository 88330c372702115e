"""The columns of a query: the SQL of a dotted name, and the conversion of its values to JSON."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, TypeAlias

from intacct_provider.sandbox.errors import ApiError, invalid
from intacct_provider.sandbox.objects.catalog import Catalog
from intacct_provider.sandbox.objects.definitions import Field, ListField, ObjectType, Ref, parents
from intacct_provider.sandbox.objects.values import decimal_places, format_amount, format_cents
from intacct_provider.sandbox.records.render import MEMBER_FILTER
from intacct_provider.sandbox.store import quote

Type: TypeAlias = Literal[
    "key", "text", "integer", "number", "cents", "boolean", "date", "date-time", "href", "json"
]
Converter: TypeAlias = Callable[[Sequence[Any]], Sequence[Any]]
"""Converts one column of a page from stored values to those of JSON."""

# SQLite joins at most 64 tables.
MAX_JOINS = 60
AGGREGATES = ("count", "sum", "avg", "min", "max")
# Members of a filter that are arrays; queries do not return them.
ARRAYS = ("filters", "orderBy")

# The exact mean of cents, rounded half away from zero by integer arithmetic.
_MEAN_CENTS = (
    "CASE WHEN SUM({0}) >= 0 THEN (2 * SUM({0}) + COUNT({0})) / (2 * COUNT({0}))"
    " ELSE -((COUNT({0}) - 2 * SUM({0})) / (2 * COUNT({0}))) END"
)


@dataclass(frozen=True, slots=True)
class Column:
    """A queryable value: its SQL on the joined tables, and its type.

    :param places: the decimal places of an amount.
    """

    name: str
    sql: str
    type: Type
    places: int = 2

    @property
    def output(self) -> str:
        """The SQL to select; a key is text in the response."""
        return f"CAST({self.sql} AS TEXT)" if self.type == "key" else self.sql


class Tables:
    """The table of the queried object, and the tables joined to it for related fields.

    These are left joins on the related record's key, which never add or drop a row.
    """

    def __init__(self, object_type: ObjectType, catalog: Catalog) -> None:
        self.object_type = object_type
        self.catalog = catalog
        self.joins: dict[tuple[str, str], str] = {}
        self._joined: list[str] = []

    @property
    def sql(self) -> str:
        """The FROM clause for the columns so far."""
        return " ".join([f"{quote(self.object_type.name)} AS t", *self._joined])

    def column(self, name: str) -> Column:
        """Return the column of a field, also of related records at any depth (``parent.term.id``).

        :raises ApiError: REST-1106 for an unknown or write-only field, a list or an object, and REST-1107 for what is
            in a list.
        """
        object_type, table, path = self.object_type, "t", name
        while True:
            if path == "href":
                return Column(name, _href(object_type, table, "key"), "href")
            field = object_type.field(path)
            if field is not None and not field.write_only:
                places = decimal_places(field.format)
                sql = f"{table}.{quote(field.path)}"
                return Column(name, sql, _type(field), 2 if places is None else places)
            hop = None if field else object_type.hop(path)
            part = None if hop else _find_filter_part(object_type, path)
            if part:
                return Column(name, _extract_filter_part(table, *part), _type(part[1]))
            if hop is None:
                raise self.unqueryable(name)
            ref, path = hop
            if path == "key":
                return Column(name, f"{table}.{quote(ref.path + '.key')}", "key")
            if path == "href" and not ref.linked:
                raise self.unqueryable(name)
            if path == "href":
                return Column(name, _href(self.catalog.tables[ref.target], table, f"{ref.path}.key"), "href")
            object_type, table = self.catalog.tables[ref.target], self._join(table, ref)

    def comparable(self, name: str) -> Column:
        """Return the column of a field that can be filtered or sorted: any but ``href``."""
        found = self.column(name)
        if found.type == "href":
            raise self.unqueryable(name)
        return found

    def unqueryable(self, name: str) -> ApiError:
        """Return the error for a field that cannot be queried, in the words of recorded traffic."""
        return ApiError(
            400,
            "invalidRequest",
            f"The {name} field in {self.object_type.name} object cannot be used in query in version 1",
            error_id="REST-1107" if self._is_in_list(name) else "REST-1106",
            message_id="IA.THE_FIELD_IN_OBJECT_CANNOT_BE_USED_IN_QUERY",
            placeholders={"FIELD": name, "OBJECT": self.object_type.name, "VERSION": "1"},
        )

    def _is_in_list(self, name: str) -> bool:
        above = map(self.object_type.member, parents(name))
        return any(isinstance(member, ListField) and member.shape == "list" for member in above)

    def is_reference(self, name: str) -> bool:
        """Whether a name goes through a reference instead of being a field of the object itself."""
        return self.object_type.field(name) is None and self.object_type.hop(name) is not None

    def _join(self, table: str, ref: Ref) -> str:
        """Return the alias of the target table of a reference, which is joined on first use."""
        known = self.joins.get((table, ref.path))
        if known:
            return known
        if len(self.joins) == MAX_JOINS:
            raise invalid(f"The query needs more than {MAX_JOINS} related objects")
        alias = f"j{len(self.joins) + 1}"
        self.joins[(table, ref.path)] = alias
        key = f"{table}.{quote(ref.path + '.key')}"
        self._joined.append(f'LEFT JOIN {quote(ref.target)} AS {alias} ON {alias}."key" = {key}')
        return alias


def parse_aggregate(tables: Tables, name: str) -> Column | None:
    """Return the column of an aggregate such as ``sum:totalDue``; ``None`` for a plain field.

    A count is the number of values that are not null. Sums and means of amounts are exact, with two decimals;
    ``min:`` and ``max:`` keep the field's type. Sage does not document sums of text or dates, so they are rejected.
    """
    function, colon, path = name.partition(":")
    if not colon or function not in AGGREGATES:
        return None
    source = tables.comparable(path)
    if function in ("sum", "avg") and source.type not in ("integer", "number", "cents"):
        raise invalid(f"{name}: {function} needs a number or an amount, and {path} is neither")
    if function == "count":
        return Column(name, f"COUNT({source.sql})", "integer")
    if function == "avg" and source.type == "cents":
        return Column(name, _MEAN_CENTS.format(source.sql), "cents", source.places)
    if function == "sum" and source.type == "number":
        # Numbers are binary fractions, so their sum would show more digits than any of them.
        return Column(name, f"ROUND(SUM({source.sql}), 6)", "number")
    result: Type = "number" if function == "avg" else source.type
    return Column(name, f"{function.upper()}({source.sql})", result, source.places)


def find_converter(column: Column) -> Converter | None:
    """Return the conversion of a column to JSON; ``None`` if it needs none.

    Converting whole columns keeps decisions about types out of the loop over rows.
    """
    if column.type == "cents" and column.places != 2:
        return partial(_amounts, places=column.places)
    return _CONVERTERS.get(column.type)


def _booleans(values: Sequence[Any]) -> Sequence[Any]:
    return [None if value is None else value == 1 for value in values]


def _cents(values: Sequence[Any]) -> Sequence[Any]:
    return [None if value is None else format_cents(value) for value in values]


def _amounts(values: Sequence[Any], places: int) -> Sequence[Any]:
    return [None if value is None else format_amount(value, places) for value in values]


def _numbers(values: Sequence[Any]) -> Sequence[Any]:
    # Recorded responses say 10, not 10.0.
    return [int(value) if isinstance(value, float) and value.is_integer() else value for value in values]


_CONVERTERS: dict[Type, Converter] = {
    "boolean": _booleans,
    "cents": _cents,
    "number": _numbers,
}


def _href(object_type: ObjectType, table: str, key: str) -> str:
    return f"'/objects/{object_type.name}/' || {table}.{quote(key)}"


def _find_filter_part(object_type: ObjectType, path: str) -> tuple[ListField, Field] | None:
    """Return the filter that a path goes into and its scalar at the end, as in ``memberFilter.size``."""
    head, _, leaf = path.partition(".")
    kept = object_type.member(head)
    if not isinstance(kept, ListField) or kept.shape != "object":
        return None
    parts = [part for part in kept.items if isinstance(part, Field) and part.path not in ARRAYS]
    return next(((kept, part) for part in parts if part.path == leaf), None)


def _extract_filter_part(table: str, kept: ListField, part: Field) -> str:
    """Return the SQL of a scalar of a filter, with the same defaults as in the response to GET."""
    found = f"json_extract({table}.{quote(kept.path)}, '$.{part.path}')"
    default = MEMBER_FILTER.get(part.path)
    return f"COALESCE({found}, '{default}')" if default else found


def _type(field: Field) -> Type:
    if field.path == "key":
        return "key"
    if decimal_places(field.format) is not None:
        return "cents"
    if field.format == "date":
        return "date"
    if field.format == "date-time":
        return "date-time"
    return "text" if field.kind == "string" else field.kind
