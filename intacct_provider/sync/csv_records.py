"""Desired records in a CSV file, as spreadsheets write it."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from intacct_provider.client.errors import IntacctArgumentError, did_you_mean
from intacct_provider.sync.diff import unflatten
from intacct_provider.sync.problems import refuse, shown

_PATH = re.compile(r"[^.\[\]]+(\.[^.\[\]]+)*(\[\](\.[^.\[\]]+)*)?")
_SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab"}


@dataclass(frozen=True, slots=True)
class _Column:
    """A header cell: ``member`` is what follows ``[]``, or None for a column that is not a list."""

    header: str
    path: str
    member: str | None


def parse_csv(source: str, text: str, *, match_on: str) -> list[tuple[int, dict[str, Any]]]:
    """Return each record with the line it starts on; every value is text, a list, or a JSON cell.

    The separator is the one that the header line has: comma, semicolon or tab (spreadsheets in many
    countries write the latter two). Header cells are dotted paths. ``groupMembers[].id`` is a list
    of objects, given as ``C-001|C-002`` in one cell; several such columns of a list run in parallel.
    A cell that is a JSON object or array is taken as JSON. An empty cell leaves the field out,
    and so never clears anything; rows without any text are skipped.

    :raises IntacctArgumentError: for a header or row that cannot be read as one meaning, naming the
        line and the column.
    """
    rows = _rows(source, text)
    line, header = next(rows, (0, []))
    if not header:
        raise IntacctArgumentError(f"{source}: line 1: the file is empty; it needs a header line and records")
    columns = _columns(source, line, header, match_on)
    records: list[tuple[int, dict[str, Any]]] = []
    problems: list[str] = []
    for line, cells in rows:
        if len(cells) == len(columns):
            records.append((line, _record(columns, cells, line, problems)))
        else:
            problems.append(
                f"line {line}: {len(cells)} cells under a header of {len(columns)}; "
                "put a value that holds the separator in double quotes"
            )
    if problems:
        refuse(source, problems)
    return records


def _rows(source: str, text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield rows that have any text, each with its first line (a quoted cell may span lines)."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_separator(source, text), strict=True)
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise IntacctArgumentError(
                f"{source}: line {line}: not valid CSV ({error}); check the double quotes from here on"
            ) from None
        if any(cell.strip() for cell in cells):
            yield line, cells


def _separator(source: str, text: str) -> str:
    lines = enumerate(io.StringIO(text), start=1)
    number, header = next(((n, line) for n, line in lines if line.strip(" \t\r\n,;")), (1, ""))
    header = re.sub(r'"[^"]*"', "", header)
    found = [separator for separator in _SEPARATORS if separator in header]
    if len(found) > 1:
        names = " and ".join(_SEPARATORS[separator] for separator in found)
        raise IntacctArgumentError(
            f"{source}: line {number}: the header has {names}, so the separator is not clear; use commas"
        )
    return found[0] if found else ","


def _columns(source: str, line: int, header: Sequence[str], match_on: str) -> list[_Column]:
    names = [name.strip() for name in header]
    problems = [
        f"line {line}, column {number}: {problem}"
        for number, name in enumerate(names, start=1)
        if (problem := _header_problem(name, names[: number - 1]))
    ]
    if match_on not in names:
        guess = did_you_mean(match_on, [name for name in names if name])
        problems.append(f"line {line}: there is no column {match_on!r} to match records on.{guess}")
    if problems:
        refuse(source, problems)
    return [_column(name) for name in names]


def _column(name: str) -> _Column:
    path, marker, member = name.partition("[]")
    return _Column(name, path, member.removeprefix(".") if marker else None)


def _header_problem(name: str, before: Sequence[str]) -> str:
    if not name:
        return "the header is blank; name the field or remove the column"
    if name in before:
        return f"the header {name!r} is in column {before.index(name) + 1} already; keep one of them"
    if not _PATH.fullmatch(name):
        return f"{shown(name)} is not a field path; write it like 'term.id' or 'groupMembers[].id'"
    clash = next((other for other in before if other and _clash(name, other)), None)
    return f"{name!r} and {clash!r} set the same field; keep one of them" if clash else ""


def _clash(one: str, other: str) -> bool:
    """Tell whether one path is inside the other, or one takes a list for what the other does not."""
    left, right = (path.replace("[]", ".[]").split(".") for path in (one, other))
    shared = next((i for i, pair in enumerate(zip(left, right, strict=False)) if pair[0] != pair[1]), None)
    if shared is None:
        return True
    return shared > 0 and "[]" in (left[shared], right[shared])


def _record(columns: list[_Column], cells: list[str], line: int, problems: list[str]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    lists: dict[str, list[tuple[_Column, list[str]]]] = {}
    for column, cell in zip(columns, cells, strict=True):
        if not cell.strip():
            continue
        if column.member is None:
            flat[column.path] = _cell(cell)
        else:
            parts = [part.strip() for part in cell.split("|")]
            lists.setdefault(column.path, []).append((column, parts))
    for path, given in lists.items():
        flat[path] = _elements(given, line, problems)
    return unflatten(flat)


def _cell(cell: str) -> Any:
    if cell.lstrip()[:1] not in {"{", "["}:
        return cell
    try:
        return json.loads(cell, parse_float=Decimal, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return cell


def _no_constant(name: str) -> None:
    raise ValueError(name)


def _elements(given: list[tuple[_Column, list[str]]], line: int, problems: list[str]) -> list[Any]:
    """Build the elements of a list from its parallel columns."""
    first, texts = given[0]
    for column, parts in given:
        if len(parts) != len(texts):
            problems.append(
                f"line {line}, column {column.header!r}: {len(parts)} parts, but {first.header!r} has "
                f"{len(texts)}; give one part per element, separated by |"
            )
            return []
    if any(not any(element) for element in zip(*(parts for _, parts in given), strict=True)):
        problems.append(
            f"line {line}, column {first.header!r}: an empty part between two |; remove it or fill it in"
        )
        return []
    if first.member == "":
        return list(texts)
    return [
        unflatten(
            {str(column.member): part for (column, _), part in zip(given, element, strict=True) if part}
        )
        for element in zip(*(parts for _, parts in given), strict=True)
    ]
