"""Tables: which field each column header names, and the cells of a row as a record."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from intacct_provider.client.spelling import did_you_mean
from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.sync.desired.blanks import drop_nulls, is_missing
from intacct_provider.sync.desired.cell_rules import CellRules
from intacct_provider.sync.desired.damage import describe_damage
from intacct_provider.sync.desired.identity import advise_match_on
from intacct_provider.sync.desired.import_template import find_mark_column, get_field_name, is_marked
from intacct_provider.sync.desired.json_reader import parse_cell
from intacct_provider.sync.desired.xlsx_reader import CellProblem
from intacct_provider.sync.lookalikes import is_unseen
from intacct_provider.sync.problems import REJECT, Problem, raise_problems, show_value
from intacct_provider.sync.records import unflatten

#: Field path of each column that has another name; None leaves the column out.
Renames = Mapping[str, str | None]

_PATH = re.compile(r"[^.\[\]]+(\.[^.\[\]]+)*(\[\](\.[^.\[\]]+)*)?")
_NUMBERED = re.compile(r"(?P<path>.+?)\.(?P<number>[0-9]+)(\.(?P<member>.+))?")


@dataclass(frozen=True, slots=True)
class _Column:
    """A header cell.

    :param number: of the element, from 1, in ``groupMembers.1.id``; 0 for ``groupMembers[].id``, whose cell holds all
        elements; None for a column that is not a list.
    :param member: path inside the element, such as ``id``.
    """

    header: str
    path: str
    number: int | None
    member: str

    @property
    def full_path(self) -> str:
        """The path, with number and member of the element."""
        return ".".join(part for part in (self.path, str(self.number or ""), self.member) if part)


class TableColumns:
    """The columns of a table.

    :param source: name of the table in errors.
    :param place: where its header is, such as ``line 1``.
    :param columns: field path of each column that has another name.
    :param null_markers: cells that clear their field; an empty cell leaves it alone.
    :param rules: which rows count, and what the values of cells stand for.
    :param allow_damaged_text: whether text such as ``#N/A`` is taken as it is.
    :raises IntacctDesiredStateError: for headers that do not name a field, or name one twice.
    """

    def __init__(
        self,
        headers: Sequence[str],
        *,
        source: str,
        place: str,
        match_on: str,
        columns: Renames | None = None,
        null_markers: Collection[str] = (),
        rules: CellRules = CellRules(),  # noqa: B008 - frozen
        allow_damaged_text: bool = False,
    ) -> None:
        names = [header.strip() for header in headers]
        check_renames(columns, names, source)
        rules.check_names(names, source)
        self._mark = find_mark_column(names)
        paths = [_get_path(name, columns, template=self._mark is not None) for name in names]
        if self._mark is not None:
            paths[self._mark] = None
        problems = [
            Problem(f"{place}, column {number}", "", "", show_value(name), wrong)
            for number, name in enumerate(names, start=1)
            if (wrong := _check_header(names[:number], paths[:number]))
        ]
        problems += [Problem(place, "", "", "", wrong) for wrong in _check_numbers(paths)]
        given = [path for path in paths if path]
        if match_on not in given:
            advice = advise_match_on(match_on, [name for name in names if name])
            text = f"is not a column, so records cannot be matched on it. {advice}"
            problems.append(Problem(place, "", match_on, "", text))
        if problems:
            raise_problems(source, problems)
        self._columns = [
            _parse_column(name, path) if path else None for name, path in zip(names, paths, strict=True)
        ]
        # Spreadsheets write empty columns too.
        self._blank = {number for number, name in enumerate(names, start=1) if not name}
        self._markers = frozenset(null_markers)
        self._headers = names
        self._rules = rules
        self._allow_damaged_text = allow_damaged_text

    def find_doubt(self, cells: Sequence[Any], place: str) -> Problem | None:
        """Return why it is not certain whether a row counts: the cell that says so has no value that can be trusted."""
        if self._mark is not None:
            mark = cells[self._mark]
            only_marks = isinstance(mark, str) and not mark.strip("# ")
            doubt = None if only_marks else self._doubt_cell(self._headers[self._mark], mark, place)
            if doubt or is_marked(mark):
                return doubt
        for name in self._rules.deciding:
            cell = cells[self._headers.index(name)]
            if not self._rules.wants(name, cell) and (doubt := self._doubt_cell(name, cell, place)):
                return doubt
        return None

    def _doubt_cell(self, name: str, cell: Any, place: str) -> Problem | None:
        if isinstance(cell, CellProblem):
            text = str(cell)
        elif isinstance(cell, str) and not self._allow_damaged_text and (damage := describe_damage(cell)):
            text = f"is {show_value(cell)}, {damage}"
        else:
            return None
        return Problem(place, "", name, show_value(str(cell)), f"{text}. It says whether the row counts")

    def is_marked(self, cells: Sequence[Any]) -> bool:
        """Return whether a row of an import template is marked as one that is not imported."""
        return self._mark is not None and is_marked(cells[self._mark])

    def selects(self, cells: Sequence[Any]) -> bool:
        """Return whether a row counts."""
        return self._rules.select(self._headers, cells)

    @property
    def names(self) -> dict[str, str]:
        """Name of the column of each field path."""
        return {column.full_path: column.header for column in self._columns if column}

    def record(self, cells: Sequence[Any], place: str) -> tuple[dict[str, Any], list[Problem]]:
        """Return a row as a nested record, and its problems. An empty cell leaves its field alone."""
        flat: dict[str, Any] = {}
        lists: dict[str, list[tuple[_Column, Any]]] = {}
        problems: list[Problem] = []
        for number, (column, cell) in enumerate(zip(self._columns, cells, strict=True), start=1):
            value = self._value(self._headers[number - 1], cell)
            if wrong := self._check_cell(number, column, cell, value, place):
                problems.append(wrong)
            elif column is None:
                continue
            elif column.number is not None:
                lists.setdefault(column.path, []).append((column, value))
            elif value is not _NOTHING:
                flat[column.path] = value
        for path, given in lists.items():
            try:
                value = _build_list(given)
            except _ListError as wrong:
                column, text = wrong.args
                problems.append(Problem(place, "", column.header, "", text))
            else:
                if value is not _NOTHING:
                    flat[path] = value
        return unflatten(flat), problems

    def _check_cell(
        self, number: int, column: _Column | None, cell: Any, value: Any, place: str
    ) -> Problem | None:
        if column and isinstance(cell, CellProblem):
            return Problem(place, "", column.header, "", str(cell))
        if number in self._blank and value is not _NOTHING:
            text = f"column {number} has a value but no header; name the field or remove the value"
            return Problem(place, "", "", show_value(cell), text)
        return None

    def _value(self, header: str, cell: Any) -> Any:
        cell, known = self._rules.interpret(header, cell)
        if known:
            return cell
        if cell is None or (isinstance(cell, str) and is_unseen(cell)):
            return _NOTHING
        if isinstance(cell, str) and cell.strip() in self._markers:
            return None
        value = drop_nulls(parse_cell(cell) if isinstance(cell, str) else cell)
        return _NOTHING if value == {} or is_missing(value) else value


class _Nothing:
    """The value of a cell that leaves its field alone."""


_NOTHING: Any = _Nothing()


class _ListError(Exception):
    """A list cannot be built from its columns; the arguments are the column and the rest of the sentence."""


def check_mapping(columns: Renames | None) -> None:
    """Reject columns that are not a mapping.

    :raises IntacctArgumentError: naming what was given.
    """
    if columns is not None and not isinstance(columns, Mapping):
        raise IntacctArgumentError(
            f"columns must be a mapping of column to field path, not {show_value(columns)}"
        )


def check_renames(columns: Renames | None, names: Sequence[str], source: str) -> None:
    """Reject a mapping of columns that do not exist.

    :raises IntacctArgumentError: naming the column and the nearest one that exists.
    """
    check_mapping(columns)
    for name, path in (columns or {}).items():
        if name not in names:
            raise IntacctArgumentError(
                f"{source}: columns names {show_value(name)}, which does not exist."
                f"{did_you_mean(str(name), names)} Columns: {', '.join(map(show_value, names[:20]))}"
            )
        if path is not None and (not isinstance(path, str) or not _PATH.fullmatch(path)):
            raise IntacctArgumentError(
                f"columns: {show_value(name)} is mapped to {show_value(path)}, which is not a field path; write it "
                "like 'term.id', or None to leave the column out"
            )


def paths_clash(one: str, other: str) -> bool:
    """Return whether one path is inside the other, or only one of them treats a field as a list."""
    left, right = _split_path(one), _split_path(other)
    for level, (mark, another) in enumerate(zip(left, right, strict=False)):
        if mark != another:
            elements = _is_element(mark) or _is_element(another)
            return level > 0 and elements and not (mark.isdigit() and another.isdigit())
    return True


@lru_cache(maxsize=4096)
def _split_path(path: str) -> tuple[str, ...]:
    return tuple(path.replace("[]", ".[]").split("."))


def _is_element(mark: str) -> bool:
    return mark == "[]" or mark.isdigit()


def _get_path(name: str, columns: Renames | None, *, template: bool) -> str | None:
    if name in ("", REJECT):
        return None
    return (columns or {}).get(name, get_field_name(name) if template else name)


def _parse_column(header: str, path: str) -> _Column:
    found = _NUMBERED.fullmatch(path)
    if found:
        return _Column(header, found["path"], int(found["number"]), found["member"] or "")
    path, marker, member = path.partition("[]")
    return _Column(header, path, 0 if marker else None, member.removeprefix("."))


def _check_header(names: Sequence[str], paths: Sequence[str | None]) -> str:
    """Return what is wrong with the last of some headers; ``""`` if nothing is."""
    *before, name = names
    *others, path = paths
    if not path:
        return ""
    if name in before:
        return f"the header {name!r} is also in column {before.index(name) + 1}; keep one of them"
    if not _PATH.fullmatch(path):
        return f"{show_value(path)} is not a field path; write it like 'term.id' or 'groupMembers.1.id'"
    if (found := _NUMBERED.fullmatch(path)) and found["number"].startswith("0"):
        return f"{path!r} has element {found['number']}; number the elements 1, 2, 3 and so on"
    other = next((n for n, given in enumerate(others) if given and paths_clash(path, given)), None)
    if other is None:
        return ""
    return f"{name!r} and {before[other]!r} set the same field; keep one of them"


def _check_numbers(paths: Sequence[str | None]) -> Iterator[str]:
    """Yield what is wrong with the numbers of numbered columns."""
    numbers: dict[str, set[int]] = {}
    for path in paths:
        if path and (found := _NUMBERED.fullmatch(path)) and not found["number"].startswith("0"):
            numbers.setdefault(found["path"], set()).add(int(found["number"]))
    for path, given in numbers.items():
        missing = next(number for number in range(1, len(given) + 2) if number not in given)
        if missing <= len(given):
            yield (
                f"there is a column of element {max(given)}, but no column {path}.{missing}; "
                "number them from 1, without gaps"
            )


def _build_list(given: list[tuple[_Column, Any]]) -> Any:
    """Return the list that is spread over the cells of its columns."""
    if all(value is _NOTHING for _, value in given):
        return _NOTHING
    if given[0][0].number == 0:
        return _build_joined([(column, value) for column, value in given if value is not _NOTHING])
    return _build_numbered(given)


def _build_numbered(given: list[tuple[_Column, Any]]) -> list[Any]:
    elements: dict[int, dict[str, Any]] = {}
    first: dict[int, _Column] = {}
    for column, value in given:
        number = column.number or 0
        first.setdefault(number, column)
        if value is not _NOTHING:
            elements.setdefault(number, {})[column.member] = value
    if set(elements) == {1} and all(value is None for value in elements[1].values()):
        return []
    empty = next((number for number in range(1, max(elements)) if number not in elements), None)
    if empty is not None:
        text = f"is empty, but element {max(elements)} is not; fill the elements from the first on"
        raise _ListError(first[empty], text)
    return [_build_element(elements[number]) for number in sorted(elements)]


def _build_joined(given: list[tuple[_Column, Any]]) -> list[Any]:
    """Return the list whose elements are separated by ``|`` in each cell."""
    if all(value is None for _, value in given):
        return []
    first = given[0][0]
    parts = [[part.strip() for part in _get_text(column, value).split("|")] for column, value in given]
    for (column, _), texts in zip(given, parts, strict=True):
        if len(texts) != len(parts[0]):
            raise _ListError(
                column,
                f"has {len(texts)} parts, but {first.header!r} has {len(parts[0])}; give one part per element, "
                "separated by |",
            )
    rows = list(zip(*parts, strict=True))
    if any(not any(row) for row in rows):
        raise _ListError(first, "has an empty part between two |; remove it or fill it in")
    members = [column.member for column, _ in given]
    return [
        _build_element({member: text for member, text in zip(members, row, strict=True) if text})
        for row in rows
    ]


def _get_text(column: _Column, value: Any) -> str:
    if isinstance(value, str):
        return value
    raise _ListError(column, f"is {show_value(value)}, but must be text, with the elements separated by |")


def _build_element(members: dict[str, Any]) -> Any:
    return members[""] if "" in members else unflatten(members)
