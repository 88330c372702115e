"""Generate records that fit the model of an object, column by column, to be fast.

A value depends on the number of its record and on the name of its field only, so the same company is generated every
time. Nullable fields are null now and then, enumerations take each of their values, and references go round the records
of their targets.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from zlib import crc32

import msgspec

from intacct_provider.sandbox.objects.definitions import Field, ListField, ObjectType, Ref
from intacct_provider.sandbox.objects.names import ENTITY
from intacct_provider.sandbox.objects.owned import LIST, find_owner, list_ownerships
from intacct_provider.sandbox.objects.values import decimal_places, is_known_format, stamp
from intacct_provider.sandbox.records.addresses import web_url
from intacct_provider.sandbox.seed.forms import Make, find_null_share, shape_text
from intacct_provider.sandbox.store import Database, quote

FEW = 10
"""Records of an object in the demo company, and of an object that others refer to."""
LINES = 20
"""Elements of an owner, if the elements themselves are asked for; otherwise it has two in each list."""
BATCH = 10_000
SELF = 10
"""The first of this many records is the parent of the others."""
_LATEST = datetime(2026, 6, 30, 18, tzinfo=UTC)
_SPAN = 730 * 86400
_CURRENCIES = ("USD", "EUR", "GBP")


def generate(conn: Database, object_type: ObjectType, count: int) -> None:
    """Add `count` records after the existing ones; an object that they refer to gets a few if it has none."""
    generator = _Generator(conn)
    generator.add(object_type, count)
    generator.close_circles()


class _Generator:
    """Adds records and, before them, those that they refer to."""

    def __init__(self, conn: Database) -> None:
        self.conn = conn
        self.catalog = conn.catalog
        self.begun: set[str] = set()
        self.keys: dict[str, list[int]] = {}
        self.open: list[tuple[ObjectType, Ref]] = []

    def add(self, object_type: ObjectType, count: int, *, lists: bool = True) -> Sequence[int]:
        """Add records, and return their keys.

        :param lists: whether their lists get elements.
        """
        self.begun.add(object_type.name)
        owners = self._owners(object_type, count)
        made = self.make_columns(object_type)
        if owners is not None:
            made |= self._share_owners(object_type, *owners, count)
        added = self._insert(object_type, count, made)
        if lists:
            self._add_elements(object_type, added)
        return added

    def close_circles(self) -> None:
        """Set the references to records that were added after those that refer to them."""
        for object_type, ref in self.open:
            make, column = self._make_reference(object_type, ref), quote(f"{ref.path}.key")
            table = quote(object_type.name)
            keys = self.conn.execute(f'SELECT "key" FROM {table} WHERE {column} IS NULL').fetchall()  # noqa: S608
            sql = f'UPDATE {table} SET {column} = ? WHERE "key" = ?'  # noqa: S608 - our names
            self.conn.executemany(sql, [(make(row["key"]), row["key"]) for row in keys])

    def _prepare(self, target: str) -> None:
        """Give the target of a reference a few records if it has none."""
        if target not in self.begun and target != ENTITY and not self._read_keys(target):
            self.add(self.catalog.tables[target], FEW, lists=False)

    def _read_keys(self, target: str) -> list[int]:
        if not self.keys.get(target):
            sql = f'SELECT "key" FROM {quote(target)} ORDER BY "key" LIMIT 1000'  # noqa: S608 - our names
            self.keys[target] = [row["key"] for row in self.conn.execute(sql)]
        return self.keys[target]

    def _owners(self, object_type: ObjectType, count: int) -> tuple[str, Sequence[int]] | None:
        """Return the column of the owner and the owners, if the records are elements of a list.

        They are new ones if there are too few for the number of records.
        """
        for owner, kept in list_ownerships(self.catalog.objects.values()):
            if kept.target == object_type.name and owner.name not in self.begun:
                column = f"{find_owner(object_type, owner.name).path}.key"
                found = self._read_keys(owner.name)
                enough = len(found) * LINES >= count
                return column, found if enough else self.add(owner, -(-count // LINES), lists=False)
        return None

    def _add_elements(self, owner: ObjectType, keys: Sequence[int]) -> None:
        """Give each list of each owner two elements."""
        for kept in owner.lists:
            if not kept.owned or kept.target in self.begun:
                continue
            element, count = self.catalog.tables[kept.target or ""], 2 * len(keys)
            column = f"{find_owner(element, owner.name).path}.key"
            made = self.make_columns(element) | self._share_owners(element, column, keys, count)
            self._insert(element, count, made | {LIST: lambda _, path=kept.path: path})

    def make_columns(self, object_type: ObjectType) -> dict[str, Make]:
        """Return the makers of the columns of an object, whose targets get records first."""
        made: dict[str, Make] = {}
        for member in object_type.members:
            if isinstance(member, Field):
                made[member.path] = make_value(object_type, member)
            elif isinstance(member, Ref):
                if member.target != object_type.name:
                    self._prepare(member.target)
                made[f"{member.path}.key"] = self._make_reference(object_type, member)
            elif not member.owned:
                made[member.path] = make_list(member)
        return made

    def _share_owners(
        self, object_type: ObjectType, column: str, owners: Sequence[int], count: int
    ) -> dict[str, Make]:
        """Return the maker of the owner's column, which gives each owner as many of the new records."""
        first = self._first_key(object_type)
        return {column: lambda key: owners[(key - first) * len(owners) // count]}

    def _make_reference(self, object_type: ObjectType, ref: Ref) -> Make:
        if ref.target == object_type.name and not ref.owner:
            first = self._first_key(object_type)
            return lambda key: None if (key - first) % SELF == 0 else key - (key - first) % SELF
        keys = [] if ref.owner or ref.target == ENTITY else self._read_keys(ref.target)
        if not keys:
            if ref.target in self.begun and not ref.owner:
                self.open.append((object_type, ref))
            return lambda _: None
        mix = crc32(ref.path.encode()) | 1  # so that two references do not always meet the same pairs

        def choose(key: int) -> int:
            return keys[(key * mix >> 8) % len(keys)]

        if ref.path.startswith("audit.") or ref.required or not ref.nullable:
            return choose
        return _sometimes(ref.path, choose)

    def _first_key(self, object_type: ObjectType) -> int:
        sql = "SELECT COALESCE(MAX(seq), 0) + 1 FROM sqlite_sequence WHERE name = ?"
        return int(self.conn.execute(sql, (object_type.name,)).fetchone()[0])

    def _insert(self, object_type: ObjectType, count: int, made: dict[str, Make]) -> Sequence[int]:
        first = self._first_key(object_type)
        keys = range(first, first + count)
        names, marks = ", ".join(map(quote, made)), ", ".join("?" * len(made))
        sql = f"INSERT INTO {quote(object_type.name)} ({names}) VALUES ({marks})"  # noqa: S608 - our names
        numbers = iter(keys)
        while batch := list(islice(numbers, BATCH)):
            columns = [list(map(make, batch)) for make in made.values()]
            self.conn.executemany(sql, zip(*columns, strict=True))
        return keys


def make_value(object_type: ObjectType, field: Field) -> Make:
    """Return the maker of a field's column."""
    if field.path == "key":
        return lambda key: key
    if field.write_only:
        return lambda _: None
    if field.path == "webURL":
        return lambda key: web_url(f"{object_type.name} {key}")
    form = object_type.forms.get(field.path, {})
    if field.path == "id":
        return shape_text(form, _make_id(object_type, field), unique=True)
    make = _make_plain(field)
    if field.kind == "string" and not field.enum and not is_known_format(field.format):
        make = shape_text(form, make)
    always = not field.nullable or field.required or field.path.startswith(("audit.", "name"))
    return make if always else _sometimes(field.path, make, find_null_share(form))


def _make_id(object_type: ObjectType, field: Field) -> Make:
    application, _, name = object_type.name.partition("/")
    # The id of a custom object is its key.
    by_key = field.read_only or application == "platform-apps" or len(name) > 20
    return str if by_key else f"{name.upper()}-{{:05d}}".format


def make_list(member: ListField) -> Make:
    """Return the maker of a list of plain values; any other list is empty."""
    if member.free or member.whole or member.shape == "object":
        return lambda _: None
    values = [msgspec.json.encode([f"value {n}" for n in range(size)]).decode() for size in range(3)]
    return lambda key: values[key % 3]


def _make_plain(field: Field) -> Make:
    spread = crc32(field.path.encode()) % 89 + 11
    choices = [one for one in field.enum if one is not None]
    if choices:
        return lambda key: choices[(key + spread) % len(choices)]
    places = decimal_places(field.format)
    if places is not None:
        return lambda key: key * spread * 101 % 10 ** (places + 5)
    if field.path == "audit.createdDateTime":
        return lambda key: stamp(_LATEST - timedelta(days=key % 30, seconds=key * 7919 % _SPAN))
    if field.format == "date-time":
        return lambda key: stamp(_LATEST - timedelta(seconds=key * 7919 % _SPAN))
    if field.format == "date":
        return lambda key: (_LATEST - timedelta(days=key * spread % 730)).date().isoformat()
    return _make_text(field) if field.kind == "string" else _make_number(field.kind, spread)


def _make_number(kind: str, spread: int) -> Make:
    if kind == "boolean":
        return lambda key: int(key % 3 == spread % 3)
    return (lambda key: key * spread % 1000) if kind == "integer" else (lambda key: key * spread % 40000 / 4)


def _make_text(field: Field) -> Make:
    leaf = field.path.rpartition(".")[2].rpartition("::")[2]
    if leaf.endswith(("urrency", "urrencyCode")):
        return lambda key: _CURRENCIES[key % 3]
    if leaf in ("createdBy", "modifiedBy") or leaf.endswith("key"):
        return lambda _: "1"
    words = "".join(f" {one.lower()}" if one.isupper() else one for one in leaf).strip().capitalize()
    return lambda key: f"{words} {key}"[: field.max_length]


def _sometimes(path: str, make: Make, share: int | None = None) -> Make:
    """Return a maker whose values are null for one record of seven, or for a known share in a hundred."""
    spread = crc32(path.encode())
    if share is not None:
        return lambda key: None if (key * 37 + spread) % 100 < share else make(key)
    rest = spread % 7
    return lambda key: None if key % 7 == rest else make(key)


def fill_new_columns(conn: Database, object_type: ObjectType, known: ObjectType) -> None:
    """Generate the values of the columns that a built-in object does not have, for the records without any."""
    table = quote(object_type.name)
    keys = [row["key"] for row in conn.execute(f'SELECT "key" FROM {table}')]  # noqa: S608 - our names
    for path, make in _Generator(conn).make_columns(object_type).items():
        if path not in known.columns:
            sql = f'UPDATE {table} SET {quote(path)} = ? WHERE "key" = ? AND {quote(path)} IS NULL'  # noqa: S608
            conn.executemany(sql, [(make(key), key) for key in keys])
