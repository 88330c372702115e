"""The records a user wants Intacct to have: read from a file or taken from a task, with what is wrong in them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from intacct_provider.client.spelling import did_you_mean
from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.sync.desired.columns import Renames, Table, check_renames, clash
from intacct_provider.sync.desired.csv_reader import csv_rows
from intacct_provider.sync.desired.json_reader import json_lines, json_records
from intacct_provider.sync.desired.parquet_reader import parquet_rows
from intacct_provider.sync.desired.state import Desired
from intacct_provider.sync.desired.yaml_reader import yaml_records
from intacct_provider.sync.identity import identity_problems
from intacct_provider.sync.problems import REJECT, Problem, shown
from intacct_provider.sync.records import flatten, unflatten

_TEXTS = {
    ".json": json_records, ".jsonl": json_lines, ".ndjson": json_lines, ".yaml": yaml_records, ".yml": yaml_records,
}  # fmt: skip
_SUFFIXES = (".csv", *_TEXTS, ".parquet")
#: Place and content of each record, before it is known whether it is one.
_Rows = list[tuple[str, Any]]


def read_desired(
    source_name: str,
    data: bytes,
    *,
    match_on: str,
    columns: Renames | None = None,
    constants: Mapping[str, Any] | None = None,
    null_marker: str | None = None,
) -> Desired:
    """Read desired records from the content of a file; the suffix of its name tells the format.

    ``.csv`` and ``.parquet`` are tables. A column is named by a dotted path (``term.id``); one of a list by the
    element's number from 1 (``groupMembers.1.id``, ``groupMembers.2.id``), where empty cells at the end of a row end
    the list, or by ``groupMembers[].id`` with all ids in one cell, separated by ``|``. A cell may also be a JSON object
    or array. An empty cell leaves its field alone.

    ``.json`` and ``.yaml`` (``.yml``) hold a list of objects and ``.jsonl`` (``.ndjson``) one object a line, nested or
    with dotted names. There null clears the field. Numbers keep every digit. What YAML has without quotes is read
    as the field's type says, so that no text becomes a number, date or boolean. Text is UTF-8, with or without
    a byte-order mark.

    A member or column ``_reject`` is left out. Records with such a member come from a file of rejected ones, which
    has ``columns`` and ``constants`` applied already.

    :param source_name: path or URI of the file; also named in errors.
    :param match_on: dotted path of the field that identifies a record.
    :param columns: field path of each column that has another name; None leaves a column out.
    :param constants: fields that every record gets, by path.
    :param null_marker: the text of a table's cell that clears the field, such as ``NULL``.
    :raises IntacctArgumentError: if the file cannot be read or has no records. What is wrong with some records is
        told in ``problems`` instead.
    """
    suffix = PurePosixPath(source_name).suffix.lower()
    if suffix not in _SUFFIXES:
        raise IntacctArgumentError(
            f"{source_name}: {shown(suffix)} is not a format of desired records; use .csv, .json, .jsonl (also named "
            f".ndjson), .yaml (also named .yml) or .parquet.{did_you_mean(suffix, _SUFFIXES)}"
        )
    reading = _Reading(source_name, match_on, columns, constants, null_marker)
    if suffix == ".csv":
        return reading.csv(_text(source_name, data))
    if suffix == ".parquet":
        return reading.parquet(data)
    return reading.objects(_TEXTS[suffix](source_name, _text(source_name, data)), from_text=False)


def desired_of(
    records: Iterable[Mapping[str, Any]],
    *,
    source: str,
    match_on: str,
    columns: Renames | None = None,
    constants: Mapping[str, Any] | None = None,
    null_marker: str | None = None,
    from_text: bool = False,
    table: bool = False,
) -> Desired:
    """Take desired records from what a task or function returns, or from the rows of a query.

    :param records: objects of fields, nested or dotted.
    :param source: what errors call them.
    :param from_text: whether all values are text, as those that :mod:`csv` reads.
    :param table: whether they are rows of a table, in which None leaves a field alone and only ``null_marker`` clears
        it, and columns may be numbered as in a CSV file. Otherwise None clears the field.
    :raises IntacctArgumentError: if there are no records, or they are not objects. The other parameters, and what is
        wrong with some records, are as in :func:`read_desired`.
    """
    if isinstance(records, str | bytes | Mapping) or not isinstance(records, Iterable):
        raise IntacctArgumentError(
            f"{source}: desired records must be a list of objects, not {type(records).__name__}"
        )
    reading = _Reading(source, match_on, columns, constants, null_marker)
    name = "row" if table else "record"
    rows: _Rows = [(f"{name} {number}", record) for number, record in enumerate(records, start=1)]
    return reading.rows(rows) if table else reading.objects(rows, from_text=from_text)


@dataclass(frozen=True)
class _Reading:
    """The parameters of :func:`read_desired` on their way through each kind of source."""

    source: str
    match_on: str
    columns: Renames | None
    constants: Mapping[str, Any] | None
    null_marker: str | None

    def csv(self, text: str) -> Desired:
        rows = csv_rows(self.source, text)
        line, header = next(rows, (0, []))
        if not header:
            raise IntacctArgumentError(
                f"{self.source}: line 1: the file is empty; it needs a header line and records"
            )
        placed = ((f"line {number}", cells) for number, cells in rows)
        return self.table(header, f"line {line}", placed)

    def parquet(self, data: bytes) -> Desired:
        names, rows = parquet_rows(self.source, data)
        placed = ((f"row {number}", cells) for number, cells in enumerate(rows, start=1))
        return self.table(names, "schema", placed)

    def rows(self, rows: _Rows) -> Desired:
        """Take the rows of a query, each under the names of its columns."""
        if not rows:
            raise _no_records(self.source)
        for place, row in rows:
            if not isinstance(row, Mapping) or any(not isinstance(name, str) for name in row):
                raise IntacctArgumentError(
                    f"{self.source}: {place}: a row must be an object with names of columns, not {shown(row)}"
                )
        names = list(dict.fromkeys(name for _, row in rows for name in row))
        placed = ((place, [row.get(name) for name in names]) for place, row in rows)
        return self.table(names, "columns", placed)

    def table(self, header: list[str], place: str, rows: Iterable[tuple[str, list[Any]]]) -> Desired:
        table = Table(
            header,
            source=self.source,
            place=place,
            match_on=self.match_on,
            columns=self.columns,
            null_marker=self.null_marker,
        )
        found = _Found()
        for row_place, cells in rows:
            record: dict[str, Any] = {}
            if len(cells) == len(header):
                record, wrong = table.record(cells, row_place)
                found.problems += wrong
            else:
                found.wrong(
                    row_place,
                    f"{len(cells)} cells under a header of {len(header)}; "
                    "put a value that holds the separator in double quotes",
                )
            found.add(row_place, record)
        return self.finished(found, table.names, from_text=True)

    def objects(self, rows: _Rows, *, from_text: bool) -> Desired:
        """Take records that are objects; those with ``_reject`` have names and constants applied already."""
        if any(isinstance(record, Mapping) and REJECT in record for _, record in rows):
            bare = _Reading(self.source, self.match_on, None, None, None)
            return bare.renamed_objects(rows, from_text=True)
        if self.null_marker is not None:
            raise IntacctArgumentError(
                f"{self.source}: null_marker is for the cells of tables; in records use null to clear a field"
            )
        return self.renamed_objects(rows, from_text=from_text)

    def renamed_objects(self, rows: _Rows, *, from_text: bool) -> Desired:
        found = _Found()
        flats = [found.tried(place, _flat, record) for place, record in rows]
        columns = self.columns or {}
        if self.columns is not None:
            given = {name for flat in flats for path in flat for name in _prefixes(path)}
            check_renames(self.columns, sorted(given), self.source)
        for (place, _), flat in zip(rows, flats, strict=True):
            found.add(place, found.tried(place, _nested, flat, columns))
        return self.finished(
            found, {path: name for name, path in columns.items() if path}, from_text=from_text
        )

    def finished(self, found: _Found, names: Mapping[str, str], *, from_text: bool) -> Desired:
        """Add the constants, and what is wrong in how the records are identified."""
        if not found.records:
            raise _no_records(self.source)
        records = _with_constants(found.records, self.constants, names, self.source)
        readable = [
            (place, record)
            for place, given, record in zip(found.places, found.records, records, strict=True)
            if given or place not in found.unreadable
        ]
        wrong = identity_problems(readable, self.match_on, names.get(self.match_on, self.match_on))
        return Desired(
            tuple(records),
            tuple(found.places),
            self.source,
            from_text,
            names,
            (*found.problems, *wrong),
        )


class _Found:
    """Records in the order of their places, and what is wrong with them."""

    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []
        self.places: list[str] = []
        self.problems: list[Problem] = []
        self.unreadable: set[str] = set()

    def add(self, place: str, record: dict[str, Any]) -> None:
        self.places.append(place)
        self.records.append(record)

    def wrong(self, place: str, text: str) -> None:
        self.unreadable.add(place)
        self.problems.append(Problem(place, "", "", "", text))

    def tried(self, place: str, make: Callable[..., dict[str, Any]], *given: Any) -> dict[str, Any]:
        """Return what is made, or an empty record and why it cannot be."""
        try:
            return make(*given)
        except IntacctArgumentError as error:
            self.wrong(place, str(error))
            return {}


def _flat(record: Any) -> dict[str, Any]:
    if not isinstance(record, Mapping):
        raise IntacctArgumentError(f"a record must be an object of fields, not {type(record).__name__}")
    if odd := [name for name in record if not isinstance(name, str)]:
        raise IntacctArgumentError(f"the field name {shown(odd[0])} is not text")
    return flatten({name: value for name, value in record.items() if name != REJECT})


def _prefixes(path: str) -> list[str]:
    parts = path.split(".")
    return [".".join(parts[:count]) for count in range(1, len(parts) + 1)]


def _nested(flat: Mapping[str, Any], columns: Renames) -> dict[str, Any]:
    """Return the fields nested, under the paths that ``columns`` gives them; the longest name counts."""
    found: dict[str, Any] = {}
    for name, value in flat.items():
        path: str | None = name
        column = next((prefix for prefix in reversed(_prefixes(name)) if prefix in columns), None)
        if column is not None:
            target = columns[column]
            path = target and f"{target}{name[len(column) :]}"
        if path in found:
            raise IntacctArgumentError(f"{path} is given twice, once through columns; give it once")
        if path is not None:
            found[path] = value
    return unflatten(found)


def _no_records(source: str) -> IntacctArgumentError:
    return IntacctArgumentError(
        f"{source}: there are no records; an empty desired state is refused, "
        "because in mode mirror it would delete everything"
    )


def _with_constants(
    records: list[dict[str, Any]], constants: Mapping[str, Any] | None, names: Mapping[str, str], source: str
) -> list[dict[str, Any]]:
    if not constants:
        return records
    if not isinstance(constants, Mapping):
        raise IntacctArgumentError(
            f"constants must be a mapping of field path to value, not {shown(constants)}"
        )
    fixed = _flat(constants)
    given = dict.fromkeys([*names, *(path for record in records for path in flatten(record))])
    for path in fixed:
        found = next((other for other in given if clash(path, other)), None)
        if found is not None:
            raise IntacctArgumentError(
                f"constants gives {path}, but so does {source} in {shown(names.get(found, found))}; give it once"
            )
    return [unflatten({**flatten(record), **fixed}) for record in records]


def _text(source: str, data: bytes) -> str:
    try:
        return data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise IntacctArgumentError(
            f"{source}: line {line}: the byte at offset {error.start} is not UTF-8; save the file as UTF-8 "
            "(in a spreadsheet: 'CSV UTF-8')"
        ) from None
