"""What a new sandbox company contains: nothing, the demo company, or any number of generated records."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Container, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from difflib import get_close_matches
from itertools import chain

from intacct_provider.sandbox.objects.catalog import OBJECTS
from intacct_provider.sandbox.objects.definitions import ObjectType
from intacct_provider.sandbox.records import crud
from intacct_provider.sandbox.records.validation import Author, find
from intacct_provider.sandbox.seed import demo, demo_ledger, demo_neighbors, volume
from intacct_provider.sandbox.store import Store, column, quote, stamp, to_stored

RANDOM_SEED = 20260630
FOUNDED = demo.DEMO_TIME - timedelta(days=1000)


def seed(store: Store, what: str) -> None:
    """Fill a company.

    :param what: ``empty`` (users and entities only), ``demo``, or ``accounts-receivable/customer=10000``;
        several separated by commas. ``demo`` does nothing when the company has customers, so that a file can
        be opened again; generated records come on top of those that exist.
    :raises ValueError: when `what` names nothing that can be made; the message names the nearest
    """
    parts = [_part(part.strip()) for part in what.split(",")]
    with store.transaction() as connection:
        added = _add(connection, demo_neighbors.company())
        for name, count in parts:
            if name != "empty":
                added |= _add(connection, chain(demo_neighbors.neighbors(), demo_ledger.accounts()))
                _change(connection, demo_neighbors.managers(), added)
                added = set()
            if name == "demo":
                _demo(connection)
            elif count:
                volume.insert(connection, OBJECTS[name], count)


def _part(part: str) -> tuple[str, int]:
    """Return a name and how many records of it; ``demo`` and ``empty`` have no number."""
    name, equals, count = part.partition("=")
    if name in ("demo", "empty") and not equals:
        return name, 0
    if name not in volume.MAKERS:
        raise ValueError(f"cannot seed {part!r}; did you mean {_nearest(name)}?")
    if not (count.isascii() and count.isdigit() and int(count[:10]) > 0):
        raise ValueError(f"cannot seed {part!r}; write {name}=1000 for a thousand records")
    return name, int(count)


def _nearest(name: str) -> str:
    shapes = {"demo": "demo", "empty": "empty"}
    for known in volume.MAKERS:
        shapes[known] = shapes[known.partition("/")[2]] = f"{known}=1000"
    return shapes[(get_close_matches(name, shapes, n=1, cutoff=0.0) or ["demo"])[0]]


def _add(connection: sqlite3.Connection, batch: Iterable[demo.Record]) -> set[tuple[str, object]]:
    """Add those records that are missing, by id, and return their objects and ids."""
    added: set[tuple[str, object]] = set()
    for record in batch:
        object_type, identifier = OBJECTS[record.object_name], record.payload["id"]
        if find(connection, object_type.name, "id", identifier) is None:
            key = crud.create(connection, object_type, record.payload, entity=None, user=1, now=FOUNDED)
            _set(connection, object_type, key, _set_by_sage(record))
            added.add((object_type.name, identifier))
    return added


def _change(
    connection: sqlite3.Connection, batch: Iterable[demo.Record], added: Container[tuple[str, object]]
) -> None:
    """Change records that were added just now; those that a user may have changed stay as they are."""
    author = Author(1, None, FOUNDED)
    for record in batch:
        identifier = record.payload["id"]
        if (record.object_name, identifier) in added:
            key = find(connection, record.object_name, "id", identifier)
            change = {name: value for name, value in record.payload.items() if name != "id"}
            crud.update(connection, OBJECTS[record.object_name], str(key), change, author)


def _set_by_sage(record: demo.Record) -> dict[str, object]:
    """Return the columns of the fields that a client cannot write."""
    object_type = OBJECTS[record.object_name]
    fields = {path: object_type.field(path) for path in record.set_by_sage}
    return {path: to_stored(field, record.set_by_sage[path]) for path, field in fields.items() if field}


def _set(
    connection: sqlite3.Connection, object_type: ObjectType, key: int, columns: Mapping[str, object]
) -> None:
    if columns:
        sets = ", ".join(f"{column(path)} = ?" for path in columns)
        statement = f'UPDATE {quote(object_type.name)} SET {sets} WHERE "key" = ?'  # noqa: S608
        connection.execute(statement, (*columns.values(), key))


def _demo(connection: sqlite3.Connection) -> None:
    if connection.execute(f"SELECT 1 FROM {quote(demo.CUSTOMER)} LIMIT 1").fetchone():  # noqa: S608
        return
    generator = random.Random(RANDOM_SEED)  # noqa: S311 - the same company every time
    for batch in (
        demo_ledger.purposes(),
        demo_ledger.account_groups(),
        demo.customers(generator),
        demo.customer_groups(),
    ):
        for record, created in _dated(generator, batch):
            _write(connection, generator, record, created)
    volume.continue_numbering(connection)


def _dated(generator: random.Random, batch: Iterable[demo.Record]) -> Iterator[tuple[demo.Record, datetime]]:
    written = list(batch)
    return zip(written, demo.moments(generator, len(written)), strict=True)


def _write(
    connection: sqlite3.Connection, generator: random.Random, record: demo.Record, created: datetime
) -> None:
    """Add one record as its author did, then what Sage set and who changed it last."""
    object_type = OBJECTS[record.object_name]
    entity = _key(connection, "company-config/entity", record.entity) if record.entity else None
    author, editor = generator.randint(1, 4), generator.randint(1, 4)
    key = crud.create(connection, object_type, record.payload, entity=entity, user=author, now=created)
    columns = _set_by_sage(record)
    if generator.random() < 0.6:
        changed = created + (demo.DEMO_TIME - created) * generator.random()
        columns |= {
            "audit.modifiedDateTime": stamp(changed),
            "audit.modifiedBy": str(editor),
            "audit.modifiedByUser.key": editor,
        }
    _set(connection, object_type, key, columns)


def _key(connection: sqlite3.Connection, object_name: str, identifier: str) -> int:
    statement = f'SELECT "key" FROM {quote(object_name)} WHERE "id" = ?'  # noqa: S608
    return int(connection.execute(statement, (identifier,)).fetchone()["key"])
