"""Desired records from a file, from a task or from the rows of a query.

A table (``.csv``, ``.tsv``, ``.xlsx``, ``.parquet``, the rows of a query) has a column for each field. A column is
named by a dotted path (``term.id``); one of a list by the element's number from 1 (``groupMembers.1.id``,
``groupMembers.2.id``), where empty cells at the end of a row end the list, or by ``groupMembers[].id`` with all ids in
one cell, separated by ``|``. A cell may also be a JSON object or array. An empty cell leaves its field alone.

Objects (``.json``, ``.yaml``, the records of a task; one a line in ``.jsonl``) are nested or have dotted names. There
null clears the field, and numbers keep every digit. YAML values without quotes are read as the type of the field says,
so that no text becomes a number, date or boolean.

A member or column ``_reject`` is ignored. Objects with such a member come from a file of rejected records, in which
``columns`` and ``constants`` are applied already.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any

from intacct_provider.client.spelling import did_you_mean
from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.sync.desired.blanks import drop_inner_nulls, is_missing
from intacct_provider.sync.desired.cell_rules import CellRules
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
from intacct_provider.sync.desired.xlsx_layout import SheetLayout
from intacct_provider.sync.desired.xlsx_reader import read_xlsx
from intacct_provider.sync.desired.yaml_reader import read_yaml
from intacct_provider.sync.problems import REJECT, Problem, show_value
from intacct_provider.sync.records import flatten, match_text, unflatten

_OBJECT_READERS = {
    ".json": read_json, ".jsonl": read_json_lines, ".ndjson": read_json_lines, ".yaml": read_yaml, ".yml": read_yaml,
}  # fmt: skip
#: What separates the cells of a text file; None if its header shows it.
_SEPARATORS = {".csv": None, ".tsv": "\t", ".tab": "\t"}
_WORKBOOKS = (".xlsx", ".xlsm")
_SUFFIXES = (*_SEPARATORS, *_WORKBOOKS, *_OBJECT_READERS, ".parquet")
#: Place and content of each record, before it is known whether it is an object.
_Rows = list[tuple[str, Any]]


@dataclass(frozen=True, slots=True)
class Layout:
    """How the records of a source become records of Intacct.

    :param match_on: dotted path of the field that identifies a record.
    :param columns: field path of each column that has another name; None leaves a column out.
    :param constants: fields that every record gets, by path.
    :param null_marker: the text of a table's cell that clears the field, such as ``NULL``.
    :param rules: which rows count, and what the values of cells stand for.
    :param sheet: name of the sheet of a workbook; None for the only one with values.
    :param null_markers: further such texts.
    :param allow_damaged_text: whether text such as ``#N/A``, ``nan`` and ``4.7E+17`` is taken as it is.
    :param match_required: whether every record needs the field ``match_on``.
    :param why_some: why there must be records, as the end of a sentence.
    :raises IntacctArgumentError: if a marker is not text.
    """

    match_on: str
    columns: Renames | None = None
    constants: Mapping[str, Any] | None = None
    null_marker: str | None = None
    rules: CellRules = field(default_factory=CellRules)
    sheet: str | None = None
    null_markers: Collection[str] = ()
    allow_damaged_text: bool = False
    match_required: bool = True
    why_some: str = "an empty desired state is rejected, because in mode mirror it would delete everything"

    def __post_init__(self) -> None:
        one = [] if self.null_marker is None else [self.null_marker]
        several = self.null_markers if isinstance(self.null_markers, Collection) else [self.null_markers]
        for marker in (*one, *several):
            if not isinstance(marker, str):
                raise IntacctArgumentError(
                    "null_marker must be text, and null_markers a list of texts, as cells have them, such as 'NULL', "
                    f"not {show_value(marker)}"
                )

    @property
    def markers(self) -> frozenset[str]:
        """All texts that clear a field."""
        return frozenset(self.null_markers) | frozenset(
            [self.null_marker] if self.null_marker is not None else []
        )


def read_desired_file(source_name: str, data: bytes, layout: Layout) -> Desired:
    """Read desired records from the content of a file; the suffix of its name is the format.

    Text is UTF-8, with or without a byte-order mark, and may be compressed (``.csv.gz``).

    :param source_name: path or URI of the file; also its name in errors.
    :raises IntacctArgumentError: if the file cannot be read or has no records. Problems of single records are in
        ``problems`` of the result.
    """
    suffix, data = _decompress(source_name, data)
    if layout.sheet is not None and suffix not in _WORKBOOKS:
        raise IntacctArgumentError(f"{source_name}: sheet is for workbooks ({', '.join(_WORKBOOKS)})")
    if suffix in _SEPARATORS:
        lines = read_csv(source_name, _decode(source_name, data), separator=_SEPARATORS[suffix])
        return _read_lines(source_name, "line", lines, layout)
    if suffix in _WORKBOOKS:
        sheet = read_xlsx(source_name, data, layout.sheet)
        return _warn_of_hidden(_read_lines(source_name, "row", sheet.rows, layout), sheet.layout)
    if suffix == ".parquet":
        names, rows = read_parquet(source_name, data)
        placed = ((f"row {number}", cells) for number, cells in enumerate(rows, start=1))
        return _read_table(source_name, names, "schema", placed, layout)
    if suffix in _OBJECT_READERS:
        records = _OBJECT_READERS[suffix](source_name, _decode(source_name, data))
        return _read_objects(source_name, records, layout, from_text=False)
    raise IntacctArgumentError(
        f"{source_name}: {show_value(suffix)} is not a format of desired records; use .csv, .tsv, .xlsx, .json, .jsonl "
        "(also named .ndjson), .yaml (also named .yml) or .parquet; text may be compressed, as .csv.gz."
        f"{did_you_mean(suffix, _SUFFIXES)}"
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
    :param table: whether they are rows of a table, in which None leaves a field alone and only ``null_markers`` clear
        it, and columns may be numbered as in a CSV file. Otherwise None clears the field.
    :raises IntacctArgumentError: if there are no records, or they are not objects. Problems of single records are in
        ``problems`` of the result.
    """
    if (
        isinstance(records, str | bytes | Mapping)
        or not isinstance(records, Iterable)
        or hasattr(records, "columns")
    ):
        frame = "; give frame.to_dict('records')" if hasattr(records, "to_dict") else ""
        raise IntacctArgumentError(
            f"{source}: desired records must be a list of objects, not {type(records).__name__}{frame}"
        )
    name = "row" if table else "record"
    rows: _Rows = [(f"{name} {number}", record) for number, record in enumerate(records, start=1)]
    if table:
        return _read_query_rows(source, rows, layout)
    return _read_objects(source, rows, layout, from_text=from_text)


def _read_lines(
    source: str, kind: str, lines: Iterator[tuple[int, Sequence[Any]]], layout: Layout
) -> Desired:
    """Read a table whose first line is its header.

    :param kind: what a line is called: ``line`` or ``row``.
    """
    number, header = next(lines, (0, []))
    if not header:
        raise IntacctArgumentError(
            f"{source}: {kind} 1: the file is empty; it needs a header line and records"
        )
    names = ["" if cell is None else str(cell) for cell in header]
    placed = ((f"{kind} {number}", list(cells)) for number, cells in lines)
    return _read_table(source, names, f"{kind} {number}", placed, layout)


def _warn_of_hidden(desired: Desired, layout: SheetLayout) -> Desired:
    """Add a warning of rows that count although Excel does not show them."""
    hidden = {f"row {number}" for number in layout.hidden_rows}
    found = [place for place in desired.places if place in hidden]
    if not found:
        return desired
    rest = f" and {len(found) - 1:,} more" if len(found) > 1 else ""
    warning = (
        f"{found[0].capitalize()}{rest} of the sheet {'are' if rest else 'is'} hidden or filtered out in Excel, and "
        "counted all the same. To leave rows out, delete them, or give where."
    )
    return replace(desired, warnings=(*desired.warnings, warning))


def _read_query_rows(source: str, rows: _Rows, layout: Layout) -> Desired:
    """Read rows that are objects with the names of their columns."""
    if not rows:
        raise _no_records_error(source, layout)
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
        null_markers=layout.markers,
        rules=layout.rules,
        allow_damaged_text=layout.allow_damaged_text,
    )
    found = _Found(source, layout, columns.names, from_text=True)
    for place, given in rows:
        cells = _fit_row(given, len(header))
        if len(cells) > len(header):
            found.add_unreadable(
                place,
                f"{len(cells)} cells under a header of {len(header)}; "
                + (
                    "put a value that holds the separator in double quotes"
                    if header_place.startswith("line")
                    else "name their columns in the header, or remove the values"
                ),
            )
        elif doubt := columns.find_doubt(cells, place):
            record, problems = columns.record(cells, place)
            found.add(place, record, [doubt, *(one for one in problems if one.column != doubt.column)])
        elif columns.is_marked(cells):
            found.add_marked(columns.record(cells, place)[0])
        elif not columns.selects(cells):
            found.left_out += 1
        else:
            found.add(place, *columns.record(cells, place))
    return found.finish()


def _fit_row(cells: list[Any], width: int) -> list[Any]:
    """Return a row as wide as its header, since spreadsheets leave empty cells at its end out, or add some."""
    while len(cells) > width and cells[-1] in (None, ""):
        cells = cells[:-1]
    return [*cells, *[None] * (width - len(cells))]


def _read_objects(source: str, rows: _Rows, layout: Layout, *, from_text: bool) -> Desired:
    partial, read_record = False, _flatten_record
    if any(isinstance(record, Mapping) and REJECT in record for _, record in rows):
        # What the arguments say was done when the records were first read, so each null in them is one that clears.
        layout = Layout(layout.match_on, match_required=layout.match_required, why_some=layout.why_some)
        from_text, partial, read_record = True, True, _flatten_nested
    if layout.markers:
        raise IntacctArgumentError(
            f"{source}: null_marker and null_markers are for the cells of tables; in records use null to clear a field"
        )
    check_mapping(layout.columns)
    columns = layout.columns or {}
    names = {path: name for name, path in columns.items() if path}
    found = _Found(source, layout, names, from_text, partial=partial)
    flats = [found.attempt(place, read_record, record) for place, record in rows]
    given = sorted({name for flat in flats for path in flat or () for name in _list_prefixes(path)})
    if layout.columns is not None:
        check_renames(layout.columns, given, source)
    rules = layout.rules
    rules.check_names(given, source)
    for (place, _), flat in zip(rows, flats, strict=True):
        if flat is None:
            found.add(place, {})
        elif rules.select(flat, flat.values()):
            values = {name: rules.interpret(name, value)[0] for name, value in flat.items()}
            found.add(place, found.attempt(place, _rename_fields, values, columns) or {})
        else:
            found.left_out += 1
    return found.finish()


@dataclass
class _Found:
    """The records of a source as they are read, with what is wrong with them.

    :param names: names of fields in the source, by field path.
    :param partial: whether other desired records exist elsewhere, since these were rejected before.
    :param left_out: number of rows that do not count.
    :param marked: ids of rows that are marked as not to be imported.
    """

    source: str
    layout: Layout
    names: Mapping[str, str]
    from_text: bool
    records: list[dict[str, Any]] = field(default_factory=list)
    places: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    unreadable: set[str] = field(default_factory=set)
    partial: bool = False
    left_out: int = 0
    marked: set[str] = field(default_factory=set)

    def add(self, place: str, record: dict[str, Any], problems: Iterable[Problem] = ()) -> None:
        self.places.append(place)
        self.records.append(record)
        self.problems += problems

    def add_marked(self, record: dict[str, Any]) -> None:
        self.left_out += 1
        self.marked.add(match_text(flatten(record).get(self.layout.match_on)))

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
            raise _no_records_error(self.source, self.layout, self.left_out)
        records = _add_constants(self.records, self.layout.constants, self.names, self.source)
        match_on = self.layout.match_on
        column = self.names.get(match_on, match_on)
        known = {problem.place for problem in self.problems if problem.column == column}
        readable = [
            (place, record)
            for place, given, record in zip(self.places, self.records, records, strict=True)
            if (given or place not in self.unreadable) and place not in known
        ]
        required = self.layout.match_required
        problems = (*self.problems, *check_identity(readable, match_on, column, required=required))
        return Desired(
            tuple(records),
            tuple(self.places),
            self.source,
            self.from_text,
            self.names,
            problems,
            allow_damaged_text=self.layout.allow_damaged_text,
            left_out=self.left_out,
            spared=frozenset(self.marked - {""}),
            partial=self.partial,
        )


def _flatten_record(record: Any) -> dict[str, Any]:
    """Return the leaves of a record; nulls inside of its values leave those alone, and so do markers like NaN."""
    if not isinstance(record, Mapping):
        return _flatten_nested(record)
    given = {name: value for name, value in drop_inner_nulls(record).items() if not is_missing(value)}
    return _flatten_nested(given)


def _flatten_nested(record: Any) -> dict[str, Any]:
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


def _no_records_error(source: str, layout: Layout, left_out: int = 0) -> IntacctArgumentError:
    found = f"none of the {left_out} rows counts (where, DONOTIMPORT)" if left_out else "there are no records"
    return IntacctArgumentError(f"{source}: {found}; {layout.why_some}")


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


def _decompress(source: str, data: bytes) -> tuple[str, bytes]:
    """Return the suffix that says the format, and the content, of a file that may be compressed."""
    path = PurePosixPath(source.lower())
    if path.suffix != ".gz":
        return path.suffix, data
    suffix = path.with_suffix("").suffix
    if suffix not in (*_SEPARATORS, *_OBJECT_READERS):
        raise IntacctArgumentError(
            f"{source}: only text may be compressed with gzip, such as .csv.gz or .jsonl.gz"
        )
    try:
        return suffix, gzip.decompress(data)
    except (OSError, EOFError, zlib.error):
        raise IntacctArgumentError(f"{source}: this is not a complete gzip file; write it again") from None


def _decode(source: str, data: bytes) -> str:
    if b"\x00" in data[:4]:
        raise IntacctArgumentError(
            f"{source}: line 1: the file is UTF-16 (Unicode Text), not UTF-8; save it as UTF-8 (in a spreadsheet: 'CSV "
            "UTF-8')"
        )
    try:
        return data.decode("utf-8").lstrip("\ufeff")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise IntacctArgumentError(
            f"{source}: line {line}: the byte at offset {error.start} is not UTF-8; save the file as UTF-8 "
            "(in a spreadsheet: 'CSV UTF-8')"
        ) from None
