"""Queries and rows of a sandbox with variants."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from intacct_provider.sandbox.errors import ApiError
from intacct_provider.sandbox.faults.plan import Faults
from intacct_provider.sandbox.query.columns import Tables, parse_aggregate

Row = dict[str, Any]


#: What a query without fields returns, where it is allowed.
REFERENCE = ("key", "id", "href")


def add_fields(request: Mapping[str, Any], faults: Faults) -> Mapping[str, Any]:
    """Return a query with fields, if the variant is on."""
    named = "fields" in request or not faults.varies("queries-without-fields")
    return request if named else {**request, "fields": list(REFERENCE)}


def ignore_unknown_fields(request: Mapping[str, Any], tables: Tables, faults: Faults) -> Mapping[str, Any]:
    """Return a query without the fields that do not exist, if the variant is on."""
    if not faults.varies("unknown-fields-ignored"):
        return request
    return {**request, "fields": [name for name in request.get("fields", ()) if _is_known(tables, name)]}


def _is_known(tables: Tables, name: object) -> bool:
    try:
        return isinstance(name, str) and bool(parse_aggregate(tables, name) or tables.column(name))
    except ApiError:
        return False


def vary_rows(rows: list[Row], tables: Tables, faults: Faults) -> list[Row]:
    """Return the rows as the variants have them."""
    if faults.varies("nulls-left-out"):
        rows = [{name: value for name, value in row.items() if value is not None} for row in rows]
    return [_nest(row, tables) for row in rows] if faults.varies("nested-related-fields") else rows


def _nest(row: Row, tables: Tables) -> Row:
    nested: Row = {}
    for name, value in row.items():
        first, _, rest = name.partition(".")
        if rest and tables.is_reference(name):
            nested.setdefault(first, {})[rest] = value
        else:
            nested[name] = value
    return nested
