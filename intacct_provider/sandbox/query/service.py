"""The query service: returns one page of flat rows for a request."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import count
from typing import Any

from intacct_provider.sandbox.errors import gateway, invalid
from intacct_provider.sandbox.faults.plan import Faults
from intacct_provider.sandbox.objects.catalog import Catalog
from intacct_provider.sandbox.objects.definitions import ObjectType
from intacct_provider.sandbox.query.columns import Column, Tables, find_converter, parse_aggregate
from intacct_provider.sandbox.query.filters import Settings, Sql, build_condition, join_all
from intacct_provider.sandbox.query.variants import add_fields, ignore_unknown_fields, vary_rows
from intacct_provider.sandbox.store import Database

DEFAULT_SIZE = 100

# Without orderBy, rows of real responses are sorted neither by key nor by id. Multiplying keys by an odd number modulo
# 2**32 sorts them in an order that looks random; with a fixed number, Knuth's, the order is stable.
_SCATTERED = '(t."key" * {}) % 4294967296'
_KNUTH = 2654435761
_OTHERS = count(1, 2)

_MEMBERS = {
    "object": str,
    "fields": list,
    "filters": list,
    "filterExpression": str,
    "filterParameters": dict,
    "orderBy": list,
    "start": int,
    "size": int,
}
_PARAMETERS = {
    "asOfDate": str,
    "includeHierarchyFields": bool,
    "caseSensitiveComparison": bool,
    "includePrivate": bool,
}
_JSON_NAMES = {str: "a string", list: "an array", dict: "an object", int: "an integer", bool: "a boolean"}


@dataclass(frozen=True, slots=True)
class Page:
    """The requested page; rows are counted from 1."""

    start: int
    size: int

    def meta(self, total: int) -> dict[str, int | None]:
        """Return ``ia::meta``; ``next`` and ``previous`` are the `start` of those pages, or null."""
        following = self.start + self.size
        return {
            "totalCount": total,
            "start": self.start,
            "pageSize": self.size,
            "next": following if following <= total else None,
            "previous": max(1, self.start - self.size) if self.start > 1 else None,
        }


@dataclass(frozen=True, slots=True)
class Selection:
    """The requested columns, in the order of their names; with aggregates, rows are grouped by all other columns.

    :param stray: name of a column that was not requested, which real responses have first; ``None`` if there is none.
    """

    columns: Sequence[Column]
    aggregates: frozenset[str]
    stray: str | None

    @property
    def names(self) -> list[str]:
        """The names in a row, in order."""
        return ([self.stray] if self.stray else []) + [column.name for column in self.columns]

    @property
    def sql(self) -> str:
        """The SELECT list."""
        return ", ".join((["NULL"] if self.stray else []) + [column.output for column in self.columns])

    @property
    def grouping(self) -> str:
        """The GROUP BY clause; empty without aggregates, or with aggregates only."""
        groups = [column.sql for column in self.columns if column.name not in self.aggregates]
        return f" GROUP BY {', '.join(groups)}" if self.aggregates and groups else ""


def run_query(
    conn: Database, body: object, *, entity_key: int | None, today: date, faults: Faults
) -> dict[str, Any]:
    """Return the page of records for a query, as ``{"ia::result": [...], "ia::meta": {...}}``.

    Rows are flat: each has all requested dotted names. An older name is returned under that name. As in recorded
    traffic, names are in alphabetical order, and rows have an extra column if no related field is requested. Nulls
    sort first in ascending order. The order of ties in `orderBy` is undefined.

    :param entity_key: the entity of the session, which sees its own and the shared records. ``None`` is the top
        level, which sees the private records of entities only with ``filterParameters.includePrivate``.
    :param today: the date for relative dates, unless ``filterParameters.asOfDate`` is set.
    :raises ApiError: 400 for an invalid query, 403 for a denied object.
    """
    if isinstance(body, list):
        raise invalid("This sandbox has no calls with several queries; send them one by one")
    request = add_fields(_check_members(body, _MEMBERS, "query payload"), faults)
    parameters = _check_members(request.get("filterParameters", {}), _PARAMETERS, "filterParameters")
    page = _read_page(request, faults)
    tables = _open_tables(request, conn.catalog, faults)
    settings = Settings(
        today=_read_as_of(parameters, today),
        case_sensitive=parameters.get("caseSensitiveComparison", True),
        faults=faults,
    )
    matching = build_condition(
        tables, request.get("filters", []), request.get("filterExpression", "and"), settings
    )
    visible = _visibility(entity_key, include_private=parameters.get("includePrivate", False))
    where = join_all([matching, visible])
    # The FROM clause before the selection adds joins, which do not change the number of rows.
    counted = tables.sql
    request = ignore_unknown_fields(request, tables, faults)
    selection = _selection(tables, request)
    order = _order(tables, selection, request.get("orderBy", []), faults)
    total = _count(conn, tables.sql if selection.aggregates else counted, where, selection)
    rows = _rows(conn, tables, where, selection, order, page) if page.start <= total else []
    return {"ia::result": vary_rows(rows, tables, faults), "ia::meta": page.meta(total)}


def _check_members(value: object, known: Mapping[str, type], where: str) -> dict[str, Any]:
    """Check the names and JSON types of the members of an object, and return it.

    A null member counts as missing, because real clients send ``"filterExpression": null``.
    """
    if not isinstance(value, dict):
        raise invalid(f"{where} must be an object")
    for name, content in value.items():
        if name not in known:
            raise invalid(f"Unrecognized key {name} in {where}")
        # A boolean is an int in Python, but not in JSON.
        fits = isinstance(content, known[name]) and not (known[name] is int and isinstance(content, bool))
        if content is not None and not fits:
            raise invalid(f"{name} in {where} must be {_JSON_NAMES[known[name]]}")
    return {name: content for name, content in value.items() if content is not None}


def _read_page(request: Mapping[str, Any], faults: Faults) -> Page:
    start, size = request.get("start", 1), request.get("size", DEFAULT_SIZE)
    if not 1 <= start < 2**53:
        raise invalid("start must be at least 1: records are counted from 1")
    if size < 1 or (size > faults.max_size and not faults.clamp):
        raise invalid(f"size must be between 1 and {faults.max_size}")
    return Page(start, min(size, faults.max_size))


def _open_tables(request: Mapping[str, Any], catalog: Catalog, faults: Faults) -> Tables:
    if "object" not in request:
        raise invalid("A query needs an object")
    name = request["object"]
    object_type = catalog.queryable.get(name) or _find_unqualified(catalog, name)
    if object_type is None:
        raise invalid(f"This sandbox has no object {name} that can be queried")
    if object_type.name in faults.denied:
        raise gateway(403, "GW-0042", f"The user may not see {object_type.name}")
    return Tables(object_type, catalog)


def _find_unqualified(catalog: Catalog, name: str) -> ObjectType | None:
    """Return the only object with a name without its application, which Sage's samples use, too."""
    found = [one for path, one in catalog.queryable.items() if path.rpartition("/")[2] == name]
    return found[0] if len(found) == 1 else None


def _read_as_of(parameters: Mapping[str, Any], today: date) -> date:
    given = parameters.get("asOfDate", "")
    try:
        return date.fromisoformat(given) if "asOfDate" in parameters else today
    except ValueError:
        raise invalid(f"asOfDate {given[:40]!r} is not a date: use YYYY-MM-DD") from None


def _visibility(entity_key: int | None, *, include_private: bool) -> Sql | None:
    if entity_key is not None:
        return Sql('(t."entity.key" IS NULL OR t."entity.key" = ?)', (entity_key,))
    return None if include_private else Sql('t."entity.key" IS NULL')


def _selection(tables: Tables, request: Mapping[str, Any]) -> Selection:
    names = request.get("fields", [])
    if not names or not all(isinstance(name, str) for name in names):
        raise invalid("fields must name at least one field")
    columns: list[Column] = []
    aggregates: set[str] = set()
    for name in sorted(set(names)):
        aggregated = parse_aggregate(tables, name)
        if aggregated:
            aggregates.add(name)
        columns.append(aggregated or tables.column(name))
    plain = not aggregates and not any(tables.is_reference(name) for name in names)
    stray = f"API_QUERY_ALIAS__{len(columns)}" if plain else None
    return Selection(columns, frozenset(aggregates), stray)


def _order(tables: Tables, selection: Selection, order_by: Sequence[object], faults: Faults) -> str:
    """Return the ORDER BY clause; groups without `orderBy` come in SQLite's order."""
    terms = [_term(tables, selection, item, faults) for item in order_by]
    if not terms and not selection.aggregates:
        terms = [_SCATTERED.format(_KNUTH * next(_OTHERS) % 2**32 if faults.unordered else _KNUTH)]
    return f" ORDER BY {', '.join(terms)}" if terms else ""


def _term(tables: Tables, selection: Selection, item: object, faults: Faults) -> str:
    if not isinstance(item, dict) or len(item) != 1:
        raise invalid('Each element of orderBy must name one field, such as {"name": "asc"}')
    [(name, direction)] = item.items()
    if direction not in ("asc", "desc"):
        raise invalid(f"orderBy {name}: the direction must be asc or desc")
    column = _find_sort_column(tables, selection, name)
    as_text = column.type == "key" and (faults.text_keys or faults.varies("keys-order-as-text"))
    return f"{column.output if as_text else column.sql} {direction.upper()}"


def _find_sort_column(tables: Tables, selection: Selection, name: str) -> Column:
    if not selection.aggregates:
        return tables.comparable(name)
    for column in selection.columns:
        if column.name == name and column.type != "href":
            return column
    raise invalid(f"orderBy {name}: a query with aggregates can only be sorted by its fields")


def _count(connection: sqlite3.Connection, tables: str, where: Sql | None, selection: Selection) -> int:
    filtered = f"FROM {tables}{_where(where)}"
    if selection.aggregates and not selection.grouping:
        return 1
    if selection.aggregates:
        filtered = f"FROM (SELECT 1 {filtered}{selection.grouping})"
    [[total]] = _fetch(connection, f"SELECT COUNT(*) {filtered}", where.values if where else ())
    return int(total)


def _rows(
    connection: sqlite3.Connection,
    tables: Tables,
    where: Sql | None,
    selection: Selection,
    order: str,
    page: Page,
) -> list[dict[str, Any]]:
    # All names in the SQL are from the catalog; values from a client are bound.
    source = f"{tables.sql}{_where(where)}{selection.grouping}{order} LIMIT ? OFFSET ?"
    if not selection.aggregates:
        # Find the keys of the page first: the rows before it need no joins, and sorting moves keys instead of rows.
        source = f'{tables.sql} WHERE t."key" IN (SELECT t."key" FROM {source}){order}'  # noqa: S608
    statement = f"SELECT {selection.sql} FROM {source}"  # noqa: S608
    values = (*(where.values if where else ()), page.size, page.start - 1)
    rows = _convert(_fetch(connection, statement, values), selection)
    names = selection.names
    return [dict(zip(names, row, strict=True)) for row in rows]


def _fetch(connection: sqlite3.Connection, statement: str, values: Sequence[object]) -> list[tuple[Any, ...]]:
    cursor = connection.cursor()
    cursor.row_factory = None  # plain tuples are faster than the connection's named rows
    return cursor.execute(statement, values).fetchall()


def _convert(rows: list[tuple[Any, ...]], selection: Selection) -> Iterable[Sequence[Any]]:
    """Convert the rows to JSON values, column by column."""
    first = 1 if selection.stray else 0
    converters = {index: find_converter(column) for index, column in enumerate(selection.columns, first)}
    needed = {index: convert for index, convert in converters.items() if convert}
    if not needed or not rows:
        return rows
    by_column: list[Sequence[Any]] = list(zip(*rows, strict=True))
    for index, convert in needed.items():
        by_column[index] = convert(by_column[index])
    return zip(*by_column, strict=True)


def _where(where: Sql | None) -> str:
    return f" WHERE {where.text}" if where else ""
