"""The pages of records of one object: searched, sorted and counted in SQL, to be fast with 200,000 records."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from intacct_provider.sandbox.objects.definitions import ObjectType
from intacct_provider.sandbox.objects.names import ENTITY
from intacct_provider.sandbox.pages.shell import Place
from intacct_provider.sandbox.store import Database, quote

SIZE = 50
MODIFIED = "audit.modifiedDateTime"
SORTS: Mapping[str, str] = MappingProxyType({"key": "key", "id": "id", "modified": MODIFIED})
ORDERS = tuple(sign + name for name in SORTS for sign in ("", "-"))
"""The orders of a list; ``-`` means descending."""
NAMES = ("name", "title", "description", "fullName", "printAs")


def count_records(conn: Database) -> dict[str, int]:
    """Return the number of records of each object, the largest first."""
    found = {
        name: int(conn.execute(f"SELECT count(*) FROM {quote(name)}").fetchone()[0])  # noqa: S608
        for name in conn.catalog.objects
    }
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def find_name_field(object_type: ObjectType) -> str | None:
    """Return the field that names a record besides its id; ``None`` if the object has none."""
    return next((name for name in NAMES if object_type.field(name)), None)


def list_records(
    conn: Database, object_type: ObjectType, search: str, order: str, requested: int
) -> tuple[list[dict[str, Any]], Place]:
    """Return the rows of a page, each with ``key``, ``id``, ``name``, ``status``, ``entity`` and ``modified``.

    :param search: part of the id or the name, in any case.
    :param order: one of :data:`ORDERS`.
    :param requested: number of the page.
    """
    table, name = quote(object_type.name), find_name_field(object_type)
    where, values = _condition(("id", name) if name else ("id",), search)
    total = conn.execute(f"SELECT count(*) FROM {table} WHERE {where}", values).fetchone()[0]  # noqa: S608
    place = Place(requested, SIZE, int(total))
    by, direction = quote(SORTS[order.lstrip("-")]), "DESC" if order.startswith("-") else "ASC"
    ordered = f'{by} {direction}, "key" {direction}'
    shown = {"key": "key", "id": "id", "name": name, "modified": MODIFIED}
    shown["status"] = "status" if object_type.field("status") else None
    wanted = ", ".join(f"{quote(path) if path else 'NULL'} AS {label}" for label, path in shown.items())
    entity = f'(SELECT e."id" FROM {quote(ENTITY)} e WHERE e."key" = {table}."entity.key") AS entity'  # noqa: S608
    # Only keys are sorted and skipped; whole rows are read for this page only.
    keys = f'SELECT "key" FROM {table} WHERE {where} ORDER BY {ordered} LIMIT {SIZE} OFFSET {place.offset}'  # noqa: S608
    sql = f'SELECT {wanted}, {entity} FROM {table} WHERE "key" IN ({keys}) ORDER BY {ordered}'  # noqa: S608
    return [dict(row) for row in conn.execute(sql, values)], place


def _condition(paths: tuple[str, ...], search: str) -> tuple[str, dict[str, str]]:
    """Return the SQL of a search, and its values.

    LIKE is fast, but ignores case for ASCII only. So it treats other letters as wildcards, and FOLD, which is
    slow, decides about the records that match.
    """
    if not search:
        return "true", {}
    literal = re.sub(r"([%_\\])", r"\\\1", search)
    values = {"like": "%" + re.sub(r"[^\x00-\x7f]+", "%", literal) + "%"}
    each = "{0} LIKE :like ESCAPE '\\'"
    if not search.isascii():
        each = f"({each} AND instr(FOLD({{0}}), :folded))"
        values["folded"] = search.casefold()
    return "(" + " OR ".join(each.format(quote(path)) for path in paths) + ")", values
