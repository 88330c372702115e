"""How a sheet of a workbook is laid out: merged cells and hidden rows, which its values do not show."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

# Found by their tags alone: parsing all cells once more would double the time that a large sheet takes.
_ROW = re.compile(rb"<(?:\w+:)?row\b([^>]*)>")
_ATTRIBUTE = re.compile(rb"""([\w:]+)\s*=\s*["']([^"']*)["']""")
_MERGED = re.compile(rb"""<(?:\w+:)?mergeCell\b[^>]*\bref\s*=\s*["']([^"']*)["']""")
#: Row and column of a cell, from 1.
Cell = tuple[int, int]


@dataclass(frozen=True, slots=True)
class SheetLayout:
    """The layout of a sheet; rows and columns count from 1.

    :param merged: by row and column, those of the first of the merged cells that a cell belongs to; it has the value.
    :param names: names of such first cells, such as ``B2``.
    :param hidden_rows: rows that Excel does not show, because a person has hidden them or a filter leaves them out.
    """

    merged: Mapping[Cell, Cell]
    names: Mapping[Cell, str]
    hidden_rows: frozenset[int]


def read_layout(data: bytes, part: str, cell_utils: Any) -> SheetLayout:
    """Return the layout of a sheet.

    :param data: the workbook.
    :param part: name of the sheet's file in it.
    :param cell_utils: openpyxl's module of this name.
    """
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        content = archive.read(part.removeprefix("/"))
    rows: set[int] = set()
    number = 0
    for found in _ROW.finditer(content):
        attributes = dict(_ATTRIBUTE.findall(found[1]))
        number = int(attributes.get(b"r", number + 1))
        if attributes.get(b"hidden") in (b"1", b"true"):
            rows.add(number)
    merged = [found[1].decode() for found in _MERGED.finditer(content)]
    bounds = [cell_utils.range_boundaries(name) for name in merged]
    names = {(top, left): f"{cell_utils.get_column_letter(left)}{top}" for left, top, _, _ in bounds}
    return SheetLayout(dict(_list_merged(bounds)), names, frozenset(rows))


def _list_merged(bounds: Iterable[tuple[int, int, int, int]]) -> Iterable[tuple[Cell, Cell]]:
    """Yield the cells of merged ranges, but for the first of each, with that one."""
    for left, top, right, bottom in bounds:
        for row in range(top, bottom + 1):
            for column in range(left, right + 1):
                if (row, column) != (top, left):
                    yield (row, column), (top, left)
