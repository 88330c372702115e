"""Desired records from a file, from a task or from the rows of a query.

A table (``.csv``, ``.parquet``, the rows of a query) has a column for each field. A column is named by a dotted path
(``term.id``); one of a list by the element's number from 1 (``groupMembers.1.id``, ``groupMembers.2.id``), where empty
cells at the end of a row end the list, or by ``groupMembers[].id`` with all ids in one cell, separated by ``|``. A cell
may also be a JSON object or array. An empty cell leaves its field alone.

Objects (``.json``, ``.yaml``, the records of a task; one a line in ``.jsonl``) are nested or have dotted names. There
null clears the field, and numbers keep every digit. YAML values without quotes are read as the type of the field says,
so that no text becomes a number, date or boolean.

A member or column ``_reject`` is ignored. Objects with such a member come from a file of rejected records, in which
``columns`` and ``constants`` are applied already.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from intacct_provider.client.spelling import did_you_mean
from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.sync.desired.columns import (
    Renames,
    TableColumns,
    check_mapping,
    check_renames,
    paths_clash,
)
from intacct_provider.sync.desired.csv_reader import read_csv
from intacct_provider.sync.desired.identity import check_identity
from intacct_provider.sync.desired.json_reader import read_json, read_json_lines
from intacct_provider.sync.desired.parquet_reader import read_parquet
from intacct_provider.sync.desired.state import Desired
from intacct_provider.sync.desired.yaml_reader import read_yaml
from intacct_provider.sync.problems import REJECT, Problem, show_value
from intacct_provider.sync.records import flatten, unflatten

_OBJECT_READERS = {
    ".json": read_json, ".jsonl": read_json_lines, ".ndjson": read_json_lines, ".yaml": read_yaml, ".yml": read_yaml,
}  # fmt: skip
_SUFFIXES = (".csv", *_OBJECT_READERS, ".parquet")
#: Place and content of each record, before it is known whether it is an object.
_Rows = list[tuple[str, Any]]


@dataclass(frozen=True, slots=True)
class Layout:
    """How the records of a source become records of Intacct.

    :param match_on: dotted path of the field that identifies a record.
    :param columns: field path of each column that has another name; None leaves a column out.
    :param constants: fields that every record gets, by path.
    :param null_marker: the text of a table's cell that clears the field, such as ``NULL``.
    """

    match_on: str
    columns: Renames | None = None
    constants: Mapping[str, Any] | None = None
    null_marker: str | None = None


def read_desired_file(source_name: str, data: bytes, layout: Layout) -> Desired:
    """Read desired records from the content of a file; the suffix of its name is the format.

    Text is UTF-8, with or without a byte-order mark.

    :param source_name: path or URI of the file; also its name in errors.
    :raises IntacctArgumentError: if the file cannot be read or has no records. Problems of single records are in
        ``problems`` of the result.
    """
    suffix = PurePosixPath(source_name).suffix.lower()
    if suffix == ".csv":
        return _read_csv(source_name, _decode(source_name, data), layout)
    if suffix == ".parquet":
        names, rows = read_parquet(source_name, data)
        placed = ((f"row {number}", cells) for number, cells in enumerate(rows, start=1))
        return _read_table(source_name, names, "schema", placed, layout)
    if suffix in _OBJECT_READERS:
        records = _OBJECT_READERS[suffix](source_name, _decode(source_name, data))
        return _read_objects(source_name, records, layout, from_text=False)
    raise IntacctArgumentError(
        f"{source_name}: {show_value(suffix)} is not a format of desired records; use .csv, .json, .jsonl (also named "
        f".ndjson), .yaml (also named .yml) or .parquet.{did_you_mean(suffix, _SUFFIXES)}"
    )


def read_desired_records(
    records: Iterable[Mapping[str, Any]],
    layout: Layout,
    *,
    source: str,
    from_text: bool = False,
    table: bool = False,
) -> Desired:
    """Take desired records from what a task or function returns, or from the rows of a query.

    :param records: objects of fields, nested or dotted.
    :param source: their name in errors.
    :param from_text: whether all values are text, as :mod:`csv` reads them.
    :param table: whether they are rows of a table, in which None leaves a field alone and only ``null_marker`` clears
        it, and columns may be numbered as in a CSV file. Otherwise None clears the field.
    :raises IntacctArgumentError: if there are no records, or they are not objects. Problems of single records are in
        ``problems`` of the result.
    """
    if isinstance(records, str | bytes | Mapping) or not isinstance(records, Iterable):
        raise IntacctArgumentError(
            f"{source}: desired records must be a list of objects, not {type(records).__name__}"
        )
    name = "row" if table else "record"
    rows: _Rows = [(f"{name} {number}", record) for number, record in enumerate(records, start=1)]
    if table:
        return _read_query_rows(source, rows, layout)
    return _read_objects(source, rows, layout, from_text=from_text)


def _read_csv(source: str, text: str, layout: Layout) -> Desired:
    rows = read_csv(source, text)
    line, header = next(rows, (0, []))
    if not header:
        raise IntacctArgumentError(f"{source}: line 1: the file is empty; it needs a header line and records")
    placed = ((f"line {number}", cells) for number, cells in rows)
    return _read_table(source, header, f"line {line}", placed, layout)


def _read_query_rows(source: str, rows: _Rows, layout: Layout) -> Desired:
    """Read rows that are objects with the names of their columns."""
    if not rows:
        raise _no_records_error(source)
    for place, row in rows:
        if not isinstance(row, Mapping) or any(not isinstance(name, str) for name in row):
            raise IntacctArgumentError(
                f"{source}: {place}: a row must be an object with names of columns, not {show_value(row)}"
            )
    names = list(dict.fromkeys(name for _, row in rows for name in row))
    placed = ((place, [row.get(name) for name in names]) for place, row in rows)
    return _read_table(source, names, "columns", placed, layout)


def _read_table(
    source: str, header: list[str], header_place: str, rows: Iterable[tuple[str, list[Any]]], layout: Layout
) -> Desired:
    columns = TableColumns(
        header,
        source=source,
        place=header_place,
        match_on=layout.match_on,
        columns=layout.columns,
        null_marker=layout.null_marker,
    )
    found = _Found(source, layout, columns.names, from_text=True)
    for place, cells in rows:
        if len(cells) == len(header):
            record, problems = columns.record(cells, place)
            found.add(place, record, problems)
        else:
            found.add_unreadable(
                place,
                f"{len(cells)} cells under a header of {len(header)}; "
                "put a value that holds the separator in double quotes",
            )
    return found.finish()


def _read_objects(source: str, rows: _Rows, layout: Layout, *, from_text: bool) -> Desired:
    if any(isinstance(record, Mapping) and REJECT in record for _, record in rows):
        layout, from_text = Layout(layout.match_on), True
    if layout.null_marker is not None:
        raise IntacctArgumentError(
            f"{source}: null_marker is for the cells of tables; in records use null to clear a field"
        )
    check_mapping(layout.columns)
    columns = layout.columns or {}
    found = _Found(source, layout, {path: name for name, path in columns.items() if path}, from_text)
    flats = [found.attempt(place, _flatten_record, record) for place, record in rows]
    if layout.columns is not None:
        given = {name for flat in flats for path in flat or () for name in _list_prefixes(path)}
        check_renames(layout.columns, sorted(given), source)
    for (place, _), flat in zip(rows, flats, strict=True):
        record = None if flat is None else found.attempt(place, _rename_fields, flat, columns)
        found.add(place, record or {})
    return found.finish()


@dataclass
class _Found:
    """The records of a source as they are read, with what is wrong with them.

    :param names: names of fields in the source, by field path.
    """

    source: str
    layout: Layout
    names: Mapping[str, str]
    from_text: bool
    records: list[dict[str, Any]] = field(default_factory=list)
    places: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    unreadable: set[str] = field(default_factory=set)

    def add(self, place: str, record: dict[str, Any], problems: Iterable[Problem] = ()) -> None:
        self.places.append(place)
        self.records.append(record)
        self.problems += problems

    def add_unreadable(self, place: str, reason: str) -> None:
        self.reject(place, reason)
        self.add(place, {})

    def reject(self, place: str, reason: str) -> None:
        self.unreadable.add(place)
        self.problems.append(Problem(place, "", "", "", reason))

    def attempt(self, place: str, build: Callable[..., dict[str, Any]], *given: Any) -> dict[str, Any] | None:
        """Return what is built; None if that fails, which is noted as a problem of the record."""
        try:
            return build(*given)
        except IntacctArgumentError as error:
            self.reject(place, str(error))
            return None

    def finish(self) -> Desired:
        """Return the records with the constants added, and how they are identified checked."""
        if not self.records:
            raise _no_records_error(self.source)
        records = _add_constants(self.records, self.layout.constants, self.names, self.source)
        readable = [
            (place, record)
            for place, given, record in zip(self.places, self.records, records, strict=True)
            if given or place not in self.unreadable
        ]
        match_on = self.layout.match_on
        problems = (*self.problems, *check_identity(readable, match_on, self.names.get(match_on, match_on)))
        return Desired(tuple(records), tuple(self.places), self.source, self.from_text, self.names, problems)


def _flatten_record(record: Any) -> dict[str, Any]:
    if not isinstance(record, Mapping):
        raise IntacctArgumentError(f"a record must be an object of fields, not {type(record).__name__}")
    if odd := [name for name in record if not isinstance(name, str)]:
        raise IntacctArgumentError(f"the field name {show_value(odd[0])} is not text")
    return flatten({name: value for name, value in record.items() if name != REJECT})


def _list_prefixes(path: str) -> list[str]:
    parts = path.split(".")
    return [".".join(parts[:count]) for count in range(1, len(parts) + 1)]


def _rename_fields(flat: Mapping[str, Any], columns: Renames) -> dict[str, Any]:
    """Return the fields nested, under the paths that ``columns`` gives them; the longest name counts."""
    found: dict[str, Any] = {}
    for name, value in flat.items():
        path: str | None = name
        column = next((prefix for prefix in reversed(_list_prefixes(name)) if prefix in columns), None)
        if column is not None:
            target = columns[column]
            path = target and f"{target}{name[len(column) :]}"
        if path in found:
            raise IntacctArgumentError(f"{path} is given twice, once through columns; give it once")
        if path is not None:
            found[path] = value
    return unflatten(found)


def _no_records_error(source: str) -> IntacctArgumentError:
    return IntacctArgumentError(
        f"{source}: there are no records; an empty desired state is rejected, "
        "because in mode mirror it would delete everything"
    )


def _add_constants(
    records: list[dict[str, Any]], constants: Mapping[str, Any] | None, names: Mapping[str, str], source: str
) -> list[dict[str, Any]]:
    if not constants:
        return records
    if not isinstance(constants, Mapping):
        raise IntacctArgumentError(
            f"constants must be a mapping of field path to value, not {show_value(constants)}"
        )
    fixed = _flatten_record(constants)
    given = dict.fromkeys([*names, *(path for record in records for path in flatten(record))])
    for path in fixed:
        found = next((other for other in given if paths_clash(path, other)), None)
        if found is not None:
            column = show_value(names.get(found, found))
            raise IntacctArgumentError(
                f"constants gives {path}, but so does {source} in {column}; give it once"
            )
    return [unflatten({**flatten(record), **fixed}) for record in records]


def _decode(source: str, data: bytes) -> str:
    try:
        return data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise IntacctArgumentError(
            f"{source}: line {line}: the byte at offset {error.start} is not UTF-8; save the file as UTF-8 "
            "(in a spreadsheet: 'CSV UTF-8')"
        ) from None
