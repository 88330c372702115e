"""How a sheet of a workbook is laid out: merged cells and hidden rows, which its values do not show."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import iterparse

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
    rows: set[int] = set()
    merged: list[str] = []
    number = 0
    with zipfile.ZipFile(io.BytesIO(data)) as archive, archive.open(part.removeprefix("/")) as file:
        for _, element in iterparse(file):  # noqa: S314 - the workbook is the user's own, and openpyxl reads it too
            name = element.tag.rpartition("}")[2]
            if name == "row":
                number = int(element.get("r") or number + 1)
                if element.get("hidden") in ("1", "true"):
                    rows.add(number)
            elif name == "mergeCell":
                merged.append(str(element.get("ref")))
            if name not in ("sheetData", "worksheet"):
                element.clear()
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
