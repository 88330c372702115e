"""Tables as records: what the header of each column means, and a row's cells as the fields of a record."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from intacct_provider.client.spelling import did_you_mean
from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.sync.desired.json_reader import json_cell
from intacct_provider.sync.problems import REJECT, Problem, refuse, shown
from intacct_provider.sync.records import unflatten

#: Which column is which field: its name there, and a field's path or None to leave the column out.
Renames = Mapping[str, str | None]

_PATH = re.compile(r"[^.\[\]]+(\.[^.\[\]]+)*(\[\](\.[^.\[\]]+)*)?")
_NUMBERED = re.compile(r"(?P<path>.+?)\.(?P<number>[0-9]+)(\.(?P<member>.+))?")


@dataclass(frozen=True, slots=True)
class _Column:
    """A header cell.

    ``number`` is the element's, from 1, of ``groupMembers.1.id``; 0 is ``groupMembers[].id``, whose cell has all
    elements; None is a column that is no list. ``member`` is what follows either.
    """

    header: str
    path: str
    number: int | None
    member: str

    @property
    def named(self) -> str:
        """The path with the element in it."""
        return ".".join(part for part in (self.path, str(self.number or ""), self.member) if part)


class Table:
    """The columns of a table.

    :param source: what errors call the table.
    :param place: where its header is, such as ``line 1``.
    :param columns: which column is which field; the others have the path of a field as their name.
    :param null_marker: cell that clears its field; an empty cell leaves it alone.
    :raises IntacctDesiredStateError: for headers that have no clear meaning.
    """

    def __init__(
        self,
        headers: Sequence[str],
        *,
        source: str,
        place: str,
        match_on: str,
        columns: Renames | None = None,
        null_marker: str | None = None,
    ) -> None:
        names = [header.strip() for header in headers]
        check_renames(columns, names, source)
        paths = [_renamed(name, columns) for name in names]
        problems = [
            Problem(f"{place}, column {number}", "", "", shown(name), wrong)
            for number, name in enumerate(names, start=1)
            if (wrong := _header_problem(names[:number], paths[:number]))
        ]
        problems += [Problem(place, "", "", "", wrong) for wrong in _gaps(paths)]
        given = [path for path in paths if path]
        if match_on not in given:
            guess = did_you_mean(match_on, given)
            problems.append(
                Problem(place, "", match_on, "", f"is no column, so records cannot be matched on it.{guess}")
            )
        if problems:
            refuse(source, problems)
        self._columns = [
            _column(name, path) if path else None for name, path in zip(names, paths, strict=True)
        ]
        # Spreadsheets write empty columns too.
        self._blank = {number for number, name in enumerate(names, start=1) if not name}
        self._marker = null_marker

    @property
    def names(self) -> dict[str, str]:
        """What the table calls each field path."""
        return {column.named: column.header for column in self._columns if column}

    def record(self, cells: Sequence[Any], place: str) -> tuple[dict[str, Any], list[Problem]]:
        """Return a row as a nested record. A column without a value in it leaves its field alone."""
        flat: dict[str, Any] = {}
        lists: dict[str, list[tuple[_Column, Any]]] = {}
        problems: list[Problem] = []
        for number, (column, cell) in enumerate(zip(self._columns, cells, strict=True), start=1):
            value = self._value(cell)
            if column is None:
                if number in self._blank and value is not _NOTHING:
                    text = (
                        f"column {number} has no header, but a value here; name the field or remove the value"
                    )
                    problems.append(Problem(place, "", "", shown(cell), text))
            elif column.number is not None:
                lists.setdefault(column.path, []).append((column, value))
            elif value is not _NOTHING:
                flat[column.path] = value
        for path, given in lists.items():
            try:
                value = _list(given)
            except _ListError as wrong:
                column, text = wrong.args
                problems.append(Problem(place, "", column.header, "", text))
            else:
                if value is not _NOTHING:
                    flat[path] = value
        return unflatten(flat), problems

    def _value(self, cell: Any) -> Any:
        if cell is None or (isinstance(cell, str) and not cell.strip()):
            return _NOTHING
        if self._marker is not None and isinstance(cell, str) and cell.strip() == self._marker:
            return None
        return json_cell(cell) if isinstance(cell, str) else cell


class _Nothing:
    """The value of a cell that leaves its field alone."""


_NOTHING: Any = _Nothing()


class _ListError(Exception):
    """The column with which a list goes wrong, and how."""


def check_renames(columns: Renames | None, names: Sequence[str], source: str) -> None:
    """Refuse a mapping of columns that are not there.

    :raises IntacctArgumentError: naming the column and the nearest that is there.
    """
    if columns is None:
        return
    if not isinstance(columns, Mapping):
        raise IntacctArgumentError(f"columns must be a mapping of column to field path, not {shown(columns)}")
    for name, path in columns.items():
        if name not in names:
            raise IntacctArgumentError(
                f"{source}: columns names {shown(name)}, which is not there."
                f"{did_you_mean(str(name), names)} There are: {', '.join(map(shown, names[:20]))}"
            )
        if path is not None and (not isinstance(path, str) or not _PATH.fullmatch(path)):
            raise IntacctArgumentError(
                f"columns: {shown(name)} is to be {shown(path)}, which is not a field path; write it like "
                "'term.id', or None to leave the column out"
            )


def clash(one: str, other: str) -> bool:
    """Tell whether one path is inside the other, or one takes a list for what the other does not."""
    left, right = _parts(one), _parts(other)
    for level, (mark, another) in enumerate(zip(left, right, strict=False)):
        if mark != another:
            elements = _is_element(mark) or _is_element(another)
            return level > 0 and elements and not (mark.isdigit() and another.isdigit())
    return True


@lru_cache(maxsize=4096)
def _parts(path: str) -> tuple[str, ...]:
    return tuple(path.replace("[]", ".[]").split("."))


def _is_element(mark: str) -> bool:
    return mark == "[]" or mark.isdigit()


def _renamed(name: str, columns: Renames | None) -> str | None:
    if name in ("", REJECT):
        return None
    return columns.get(name, name) if columns else name


def _column(header: str, path: str) -> _Column:
    found = _NUMBERED.fullmatch(path)
    if found:
        return _Column(header, found["path"], int(found["number"]), found["member"] or "")
    path, marker, member = path.partition("[]")
    return _Column(header, path, 0 if marker else None, member.removeprefix("."))


def _header_problem(names: Sequence[str], paths: Sequence[str | None]) -> str:
    """Tell what is wrong with the last of some headers."""
    *before, name = names
    *others, path = paths
    if not path:
        return ""
    if name in before:
        return f"the header {name!r} is in column {before.index(name) + 1} already; keep one of them"
    if not _PATH.fullmatch(path):
        return f"{shown(path)} is not a field path; write it like 'term.id' or 'groupMembers.1.id'"
    if (found := _NUMBERED.fullmatch(path)) and found["number"].startswith("0"):
        return f"{path!r} has element {found['number']}; number the elements 1, 2, 3 and so on"
    other = next((n for n, given in enumerate(others) if given and clash(path, given)), None)
    if other is None:
        return ""
    return f"{name!r} and {before[other]!r} set the same field; keep one of them"


def _gaps(paths: Sequence[str | None]) -> Iterator[str]:
    """Yield what is wrong with the numbers of numbered columns."""
    numbers: dict[str, set[int]] = {}
    for path in paths:
        if path and (found := _NUMBERED.fullmatch(path)) and not found["number"].startswith("0"):
            numbers.setdefault(found["path"], set()).add(int(found["number"]))
    for path, given in numbers.items():
        missing = next(number for number in range(1, len(given) + 2) if number not in given)
        if missing <= len(given):
            yield (
                f"there is no column {path}.{missing}, but one of element {max(given)}; "
                "number them from 1, without gaps"
            )


def _list(given: list[tuple[_Column, Any]]) -> Any:
    """Return the list that the cells of its columns make."""
    if all(value is _NOTHING for _, value in given):
        return _NOTHING
    if given[0][0].number == 0:
        return _joined([(column, value) for column, value in given if value is not _NOTHING])
    return _numbered(given)


def _numbered(given: list[tuple[_Column, Any]]) -> list[Any]:
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
    return [_element(elements[number]) for number in sorted(elements)]


def _joined(given: list[tuple[_Column, Any]]) -> list[Any]:
    """Return the list of cells in which the elements are separated by ``|``."""
    if all(value is None for _, value in given):
        return []
    first = given[0][0]
    parts = [[part.strip() for part in _cell_text(column, value).split("|")] for column, value in given]
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
        _element({member: text for member, text in zip(members, row, strict=True) if text}) for row in rows
    ]


def _cell_text(column: _Column, value: Any) -> str:
    if isinstance(value, str):
        return value
    raise _ListError(column, f"is {shown(value)}, but must be text, with the elements separated by |")


def _element(members: dict[str, Any]) -> Any:
    return members[""] if "" in members else unflatten(members)
