"""Seed a company: with nothing, the demo company, or any number of generated records."""

from __future__ import annotations

import random
from collections.abc import Container, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from functools import cache
from itertools import chain

from intacct_provider.sandbox.nearest import find_nearest
from intacct_provider.sandbox.objects.catalog import BUILT_IN, Catalog
from intacct_provider.sandbox.objects.definitions import ObjectType
from intacct_provider.sandbox.objects.names import CUSTOMER, ENTITY
from intacct_provider.sandbox.objects.owned import list_ownerships
from intacct_provider.sandbox.objects.values import stamp, to_stored
from intacct_provider.sandbox.records.audit import Author
from intacct_provider.sandbox.records.crud import Records
from intacct_provider.sandbox.seed import demo, demo_ledger, demo_neighbors, volume
from intacct_provider.sandbox.seed.generated import FEW, fill_new_columns
from intacct_provider.sandbox.store import Database, Store, find_key, quote

#: What needs no number of records.
COMPLETE = ("demo", "empty")
RANDOM_SEED = 20260630
FOUNDED = demo.DEMO_TIME - timedelta(days=1000)


def seed(store: Store, what: str) -> None:
    """Add the initial records of a company.

    :param what: ``empty`` (users and entities only), ``demo``, or ``accounts-receivable/customer=10000``;
        several separated by commas. ``demo`` does nothing if the company has customers, so that a file can
        be opened again; generated records are added to the existing ones.
    :raises ValueError: if `what` cannot be seeded; the message suggests the nearest.
    """
    parts = [_parse_part(part.strip(), store.catalog) for part in what.split(",")]
    if what in COMPLETE and store.is_untouched:
        store.copy(_company(what))
    else:
        _add(store, parts)


@cache
def _company(what: str) -> Store:
    """Return a company in memory that others are copied from: making the demo company takes 0.2 s."""
    store = Store()
    _add(store, [(what, 0)])
    return store


def _add(store: Store, parts: Iterable[tuple[str, int]]) -> None:
    with store.transaction() as connection:
        added = _add_missing(connection, demo_neighbors.company(store.catalog.entities))
        for name, count in parts:
            if name != "empty":
                added |= _add_missing(connection, chain(demo_neighbors.neighbors(), demo_ledger.accounts()))
                _update_added(connection, demo_neighbors.managers(), added)
                added = set()
            if name == "demo":
                _add_demo(connection)
                _add_described(connection)
            elif count:
                volume.insert(connection, connection.catalog.objects[name], count)


def _parse_part(part: str, catalog: Catalog) -> tuple[str, int]:
    """Return a name and the number of its records; 0 for ``demo`` and ``empty``."""
    name, equals, count = part.partition("=")
    if name in COMPLETE and not equals:
        return name, 0
    if name not in catalog.objects:
        raise ValueError(f"cannot seed {part!r}; did you mean {_suggest(name, catalog)}?")
    if not (count.isascii() and count.isdigit() and int(count[:10]) > 0):
        raise ValueError(f"cannot seed {part!r}; write {name}=1000 for a thousand records")
    return name, int(count)


def _suggest(name: str, catalog: Catalog) -> str:
    shapes = {"demo": "demo", "empty": "empty"}
    for known in catalog.objects:
        shapes[known] = shapes[known.partition("/")[2]] = f"{known}=1000"
    return shapes[find_nearest(name, shapes)]


def _add_missing(connection: Database, batch: Iterable[demo.Record]) -> set[tuple[str, object]]:
    """Add the records whose ids are missing, and return their objects and ids."""
    added: set[tuple[str, object]] = set()
    for record in batch:
        object_type, identifier = connection.catalog.objects[record.object_name], record.payload["id"]
        if find_key(connection, object_type.name, "id", identifier) is None:
            key = _create(connection, record, Author(1, None, FOUNDED))
            _set_columns(connection, object_type, key, _columns_set_by_sage(object_type, record))
            added.add((object_type.name, identifier))
    return added


def _update_added(
    connection: Database, batch: Iterable[demo.Record], added: Container[tuple[str, object]]
) -> None:
    """Change the records that were just added, and no others, because users may have changed those."""
    author = Author(1, None, FOUNDED)
    for record in batch:
        identifier = record.payload["id"]
        described = connection.catalog.is_described(record.object_name)
        if (record.object_name, identifier) in added and not described:
            key = find_key(connection, record.object_name, "id", identifier)
            change = {name: value for name, value in record.payload.items() if name != "id"}
            Records(connection, connection.catalog.objects[record.object_name], author).update(
                str(key), change
            )


def _create(connection: Database, record: demo.Record, author: Author) -> int:
    """Add a record of the demo company; an object of a company file gets what it has members for."""
    records = Records(connection, connection.catalog.objects[record.object_name], author)
    if connection.catalog.is_described(record.object_name):
        return records.create_fitting(record.payload)
    return records.create(record.payload)


def _columns_set_by_sage(object_type: ObjectType, record: demo.Record) -> dict[str, object]:
    """Return the columns of the read-only fields of a record."""
    fields = {path: object_type.field(path) for path in record.set_by_sage}
    return {path: to_stored(field, record.set_by_sage[path]) for path, field in fields.items() if field}


def _set_columns(
    connection: Database, object_type: ObjectType, key: int, columns: Mapping[str, object]
) -> None:
    columns = {path: value for path, value in columns.items() if path in object_type.columns}
    if columns:
        sets = ", ".join(f"{quote(path)} = ?" for path in columns)
        statement = f'UPDATE {quote(object_type.name)} SET {sets} WHERE "key" = ?'  # noqa: S608
        connection.execute(statement, (*columns.values(), key))


def _add_demo(connection: Database) -> None:
    if connection.execute(f"SELECT 1 FROM {quote(CUSTOMER)} LIMIT 1").fetchone():  # noqa: S608
        return
    generator = random.Random(RANDOM_SEED)  # noqa: S311 - the same company every time
    for batch in (
        demo_ledger.purposes(),
        demo_ledger.account_groups(),
        demo.customers(generator),
        demo.customer_groups(),
    ):
        for record, created in _add_dates(generator, batch):
            _write(connection, generator, record, created)
    volume.continue_numbering(connection)


def _add_described(connection: Database) -> None:
    """Give each object of the company file a few records, and those of the demo company values in new fields."""
    catalog = connection.catalog
    owned = {kept.target for _, kept in list_ownerships(catalog.objects.values())}
    described = [name for name in catalog.objects if catalog.is_described(name)]
    for name in sorted(described, key=lambda one: one in owned):  # owners bring their elements
        if connection.execute(f"SELECT 1 FROM {quote(name)} LIMIT 1").fetchone() is None:  # noqa: S608
            volume.insert(connection, catalog.objects[name], FEW)
        elif name in BUILT_IN.objects:
            fill_new_columns(connection, catalog.objects[name], BUILT_IN.objects[name])


def _add_dates(
    generator: random.Random, batch: Iterable[demo.Record]
) -> Iterator[tuple[demo.Record, datetime]]:
    records = list(batch)
    return zip(records, demo.random_times(generator, len(records)), strict=True)


def _write(connection: Database, generator: random.Random, record: demo.Record, created: datetime) -> None:
    """Add one record by its author, then set its read-only fields and its last change."""
    object_type = connection.catalog.objects[record.object_name]
    entity = find_key(connection, ENTITY, "id", record.entity) if record.entity else None
    author, editor = generator.randint(1, 4), generator.randint(1, 4)
    key = _create(connection, record, Author(author, entity, created))
    columns = _columns_set_by_sage(object_type, record)
    if generator.random() < 0.6:
        changed = created + (demo.DEMO_TIME - created) * generator.random()
        columns |= {
            "audit.modifiedDateTime": stamp(changed),
            "audit.modifiedBy": str(editor),
            "audit.modifiedByUser.key": editor,
        }
    _set_columns(connection, object_type, key, columns)
