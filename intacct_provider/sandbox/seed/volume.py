"""Generate many valid records fast, for tests of paging, volume and speed.

The records are simple but complete: every default is set and references are valid. Ids, names and dates vary, and
depend on the number of the record only.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import TypeAlias

from intacct_provider.sandbox.objects.definitions import ObjectType
from intacct_provider.sandbox.objects.names import (
    ACCOUNT_GROUP,
    ACCOUNT_GROUP_PURPOSE,
    CUSTOMER,
    CUSTOMER_GROUP,
    CUSTOMER_TYPE,
    TERM,
    TERRITORY,
    USER,
)
from intacct_provider.sandbox.objects.owned import LIST
from intacct_provider.sandbox.objects.values import stamp, to_stored
from intacct_provider.sandbox.records.addresses import web_url
from intacct_provider.sandbox.seed.generated import generate
from intacct_provider.sandbox.store import Database, quote, reserve_key

ACCOUNT_RANGE = "general-ledger/account-range"
# The first of every N customers is the parent of the others.
FAMILY = 10
_LATEST = datetime(2026, 6, 30, 18, tzinfo=UTC)
_SPAN = 730 * 86400

Columns: TypeAlias = dict[str, object]
Neighbors: TypeAlias = Mapping[str, list[int]]
"""The keys of possible targets of references, by object."""
Maker: TypeAlias = Callable[[int, int, Neighbors], Columns]
"""Takes the key of a record and the first key of the batch; returns the columns that vary."""


def insert(connection: Database, object_type: ObjectType, count: int) -> None:
    """Add `count` records after the existing ones."""
    if object_type.name not in MAKERS or connection.catalog.is_described(object_type.name):
        generate(connection, object_type, count)
    else:
        _insert_made(connection, object_type, count)
    continue_numbering(connection)


def _insert_made(connection: Database, object_type: ObjectType, count: int) -> None:
    first = _next_key(connection, object_type)
    rows = _rows(MAKERS[object_type.name], first, count, _neighbors(connection))
    sample = next(rows)
    fixed = {path: value for path, value in _defaults(object_type).items() if path not in sample}
    literals = [connection.execute("SELECT quote(?)", (value,)).fetchone()[0] for value in fixed.values()]
    names = ", ".join(map(quote, (*sample, *fixed)))
    values = ", ".join(["?"] * len(sample) + literals)
    statement = f"INSERT INTO {quote(object_type.name)} ({names}) VALUES ({values})"  # noqa: S608
    connection.executemany(statement, (tuple(row.values()) for row in chain([sample], rows)))
    if object_type.name == ACCOUNT_GROUP:
        _add_ranges(connection, range(first, first + count))


def _add_ranges(connection: Database, groups: range) -> None:
    """Give each account group a range of accounts."""
    user = _neighbors(connection)[USER][0]
    for number in groups:
        start = 1000 + number % 9000
        key = reserve_key(connection, ACCOUNT_RANGE)
        columns: Columns = {
            "key": key,
            "id": str(key),
            "sortOrder": 0,
            "rangeFrom": str(start),
            "rangeTo": str(start + 9),
            "glAccountGroup.key": number,
            LIST: "accountRanges",
            **_audit(number, user),
        }
        names, marks = ", ".join(map(quote, columns)), ", ".join("?" * len(columns))
        statement = f"INSERT INTO {quote(ACCOUNT_RANGE)} ({names}) VALUES ({marks})"  # noqa: S608
        connection.execute(statement, tuple(columns.values()))


def _next_key(connection: Database, object_type: ObjectType) -> int:
    """Return the key after the highest that was ever used."""
    statement = "SELECT COALESCE(MAX(seq), 0) + 1 FROM sqlite_sequence WHERE name = ?"
    return int(connection.execute(statement, (object_type.name,)).fetchone()[0])


def _neighbors(connection: Database) -> Neighbors:
    names = (USER, CUSTOMER_TYPE, TERM, TERRITORY)
    return {
        name: [row["key"] for row in connection.execute(f'SELECT "key" FROM {quote(name)} ORDER BY 1')]  # noqa: S608
        for name in names
    }


def continue_numbering(connection: Database) -> None:
    """Continue automatic customer numbers after the seeded ones."""
    number = 'SELECT MAX(CAST(substr("id", 3) AS INTEGER))'
    query = f"{number} FROM {quote(CUSTOMER)} WHERE \"id\" GLOB 'C-[0-9]*'"
    statement = (
        f'INSERT INTO "ia::counter" SELECT ?, COALESCE(({query}), 0) WHERE true '
        "ON CONFLICT (name) DO UPDATE SET value = MAX(value, excluded.value)"
    )
    connection.execute(statement, (CUSTOMER,))


def _rows(maker: Maker, first: int, count: int, neighbors: Neighbors) -> Iterator[Columns]:
    users = neighbors[USER]
    for key in range(first, first + count):
        yield {"key": key, **maker(key, first, neighbors), **_audit(key, users[key % len(users)])}


def _defaults(object_type: ObjectType) -> Columns:
    fields = [field for field in object_type.fields if field.default is not None]
    return {field.path: to_stored(field, field.default) for field in fields}


def _audit(number: int, user: int) -> Columns:
    """Return the audit columns; multiplying by a large prime spreads the records over two years."""
    changed = stamp(_LATEST - timedelta(seconds=number * 7919 % _SPAN))
    columns: Columns = {}
    for verb in ("created", "modified"):
        columns[f"audit.{verb}DateTime"] = changed
        columns[f"audit.{verb}By"] = str(user)
        columns[f"audit.{verb}ByUser.key"] = user
    return columns


def _customer(number: int, first: int, neighbors: Neighbors) -> Columns:
    head = first + (number - first) // FAMILY * FAMILY
    types, terms, territories = (neighbors[name] for name in (CUSTOMER_TYPE, TERM, TERRITORY))
    return {
        "id": f"C-{number:05d}",
        "name": f"{_WORDS[number % 7]} {_TRADES[number % 11]} {number}",
        "status": ("active", "active", "active", "inactive", "activeNonPosting")[number % 5],
        "parent.key": None if number == head else head,
        "customerType.key": types[number % len(types)],
        "term.key": terms[number % len(terms)],
        "territory.key": territories[number % len(territories)],
        "creditLimit": None if number % 13 == 0 else float(number % 100 * 1000),
        "totalDue": None if number % 17 == 0 else number * 10007 % 100_000_00,
        "taxId": None if number % 3 == 0 else f"{number % 90 + 10}-{number % 10_000_000:07d}",
        "currency": ("USD", "USD", "GBP", "EUR")[number % 4],
        "isOnHold": int(number % 19 == 0),
        "lastInvoiceCreatedDate": None if number % 17 == 0 else _date(number),
        "contacts.default.email1": f"ap{number}@customer.example",
        "contacts.default.printAs": f"{_WORDS[number % 7]} {_TRADES[number % 11]} {number}",
        "contacts.default.mailingAddress.city": _CITIES[number % 5],
        "webURL": web_url(f"bulk {number}"),
    }


def _customer_group(number: int, _first: int, _neighbors: Neighbors) -> Columns:
    members = {
        "object": CUSTOMER,
        "filterExpression": "and",
        "filters": [{"$eq": {"customerType.id": _TYPES[number % 6]}}],
        "orderBy": [{"id": "asc"}],
    }
    return {
        "id": f"GROUP-{number:05d}",
        "name": f"Customer group {number}",
        "description": None if number % 3 == 0 else f"Made for a test of volume, number {number}",
        "memberFilter": json.dumps(members),
        "isDimensionStructure": int(number % 4 == 0),
    }


def _account_group(number: int, _first: int, _neighbors: Neighbors) -> Columns:
    return {
        "id": f"Account group {number:05d}",
        "title": f"Account group {number}",
        "displayTotalLineAs": f"Total account group {number}",
        "normalBalance": ("debit", "credit")[number % 2],
        "manager": None if number % 3 else "Controller",
    }


def _purpose(number: int, _first: int, _neighbors: Neighbors) -> Columns:
    return {"id": f"Purpose {number:05d}", "status": ("active", "active", "inactive")[number % 3]}


def _date(number: int) -> str:
    return (_LATEST - timedelta(days=number * 31 % 730)).date().isoformat()


_WORDS = ("Alder", "Beacon", "Cobalt", "Delta", "Évasion", "Falcon", "O'Hara")
_TRADES = (
    *("Analytics", "Builders", "Clinic", "Consulting", "Electric", "Foundation"),
    *("Hospital", "Logistics", "Partners", "Software", "Supply"),
)
_CITIES = ("Boston", "Austin", "Köln", "Leeds", "San José")
_TYPES = ("Commercial", "Enterprise", "Public Sector", "Healthcare", "Nonprofit", "Education")

MAKERS: Mapping[str, Maker] = {
    CUSTOMER: _customer,
    CUSTOMER_GROUP: _customer_group,
    ACCOUNT_GROUP: _account_group,
    ACCOUNT_GROUP_PURPOSE: _purpose,
}
