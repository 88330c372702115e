"""Desired records in an Excel workbook."""

from __future__ import annotations

import datetime as dt
import importlib
import io
import re
import warnings
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from intacct_provider.client.spelling import did_you_mean
from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.sync.desired.xlsx_layout import Cell, SheetLayout, read_layout
from intacct_provider.sync.problems import show_value

#: Significant digits of a number that Excel keeps.
DIGITS = 15
_LEADING_ZEROS = re.compile(r"0{2,}")
#: What of a number's format does not change how its digits read: colors and conditions, padding, separators.
_PLAIN_FORMAT = re.compile(r"(\[[^$\]]*\]|_.|\*.|\\ |General|@|[0#?,. ]|E\+)*", re.IGNORECASE)
#: A character that XML cannot have, or that looks like such a mark.
_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")


class CellProblem:
    """A cell whose value is not known or not certain; the text is the rest of the sentence about it."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __str__(self) -> str:
        return self.text


class ShownDate(dt.date):
    """A date in a sheet, which may have been another text when it was entered: Excel makes a date of ``3-1``."""


class ShownNumber(int):
    """A whole number that Excel shows with other characters than its digits.

    :ivar shown: its format, such as ``000-000``.
    """

    shown = ""


class ShownPercent(Decimal):
    """A number that Excel shows as a percentage: a hundred times what is in the cell."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """A sheet of a workbook.

    :param rows: the rows that have any value, each with its number in Excel.
    :param layout: what Excel does not show.
    """

    rows: Iterator[tuple[int, list[Any]]]
    layout: SheetLayout


def read_xlsx(source: str, data: bytes, sheet: str | None = None) -> Sheet:
    """Return the rows of a sheet and its layout.

    Numbers are exact to the 15 digits that Excel keeps, dates are dates, and a formula has the value that Excel last
    showed. A cell that cannot be trusted is a :class:`CellProblem`: a formula without a value, a number with more
    digits than Excel keeps, or one that is merged with another.

    :param sheet: name of the sheet; None for the only one that is visible and has values.
    :raises IntacctArgumentError: if it is not a workbook, the sheet is ambiguous, or openpyxl is missing (extra
        ``xlsx``).
    """
    try:
        openpyxl = importlib.import_module("openpyxl")
    except ImportError:
        raise IntacctArgumentError(
            f"{source}: reading Excel workbooks needs openpyxl; install the provider with its extra 'xlsx'"
        ) from None
    with _readable(source), warnings.catch_warnings():
        # About styles and extensions, which do not matter here.
        warnings.simplefilter("ignore")
        values = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True)
        formulas = openpyxl.load_workbook(io.BytesIO(data), read_only=True)
        name = _choose_sheet(source, values, sheet)
        layout = read_layout(data, values[name]._worksheet_path, openpyxl.utils.cell)
        return Sheet(_read_rows(source, values[name], formulas[name], layout), layout)


@contextmanager
def _readable(source: str) -> Iterator[None]:
    """Turn whatever openpyxl raises for a file that it cannot read into an error that names it."""
    try:
        yield
    except IntacctArgumentError:
        raise
    except Exception as error:
        raise IntacctArgumentError(
            f"{source}: the workbook cannot be read ({type(error).__name__}); save it as .xlsx in Excel, without a "
            "password"
        ) from None


def _choose_sheet(source: str, workbook: Any, sheet: str | None) -> str:
    sheets: dict[str, Any] = {each.title: each for each in workbook.worksheets}
    if sheet is not None:
        if sheet in sheets:
            return sheet
        raise IntacctArgumentError(
            f"{source}: there is no sheet {show_value(sheet)}.{did_you_mean(sheet, sheets)} Sheets: "
            f"{', '.join(map(show_value, sheets))}"
        )
    filled = [name for name, each in sheets.items() if each.sheet_state == "visible" and _has_values(each)]
    if len(filled) > 1:
        raise IntacctArgumentError(
            f"{source}: the workbook has {len(filled)} sheets; say which one with sheet=: "
            f"{', '.join(map(show_value, filled))}"
        )
    return filled[0] if filled else next(iter(sheets))


def _has_values(sheet: Any) -> bool:
    sheet.reset_dimensions()
    return any(value is not None for row in sheet.iter_rows(values_only=True) for value in row)


def _read_rows(
    source: str, values: Any, formulas: Any, layout: SheetLayout
) -> Iterator[tuple[int, list[Any]]]:
    with _readable(source):
        rows = _read_cells(values, formulas)
        yield from _mark_merged_cells(rows, layout) if layout.merged else rows


def _mark_merged_cells(
    rows: Iterable[tuple[int, list[Any]]], layout: SheetLayout
) -> Iterator[tuple[int, list[Any]]]:
    filled: set[Cell] = set()
    width = 0
    for number, given in rows:
        # A row may end before the cells that show the value of one above them.
        cells = given + [None] * (width - len(given))
        places = [(number, column) for column in range(1, len(cells) + 1)]
        filled.update(
            p for p, cell in zip(places, cells, strict=True) if p in layout.names and cell is not None
        )
        # Titles above a table are often merged.
        if width:
            cells = [_mark_merged(p, cell, layout, filled) for p, cell in zip(places, cells, strict=True)]
        width = width or len(cells)
        yield number, cells


def _mark_merged(place: Cell, cell: Any, layout: SheetLayout, filled: Collection[Cell]) -> Any:
    """Return a cell; a problem if it has no value, and Excel shows that of a cell which it is merged with."""
    origin = layout.merged.get(place) if cell is None else None
    if origin is None or origin not in filled:
        return cell
    return CellProblem(f"is merged with {layout.names[origin]}; unmerge the cells and fill in each")


def _read_cells(values: Any, formulas: Any) -> Iterator[tuple[int, list[Any]]]:
    # Some programs write wrong dimensions, which would cut rows or columns off.
    values.reset_dimensions()
    formulas.reset_dimensions()
    pairs = zip(values.iter_rows(), formulas.iter_rows(), strict=True)
    for number, (row, originals) in enumerate(pairs, start=1):
        cells = [_read_cell(cell, original) for cell, original in zip(row, originals, strict=True)]
        if any(cell is not None and cell != "" for cell in cells):
            yield number, cells


def _read_cell(cell: Any, original: Any) -> Any:
    value = cell.value
    if value is None and original.data_type == "f" and cell.data_type == "n":
        return CellProblem(
            "is a formula without a value; open the workbook in Excel, calculate it and save it"
        )
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return _read_number(value, cell.number_format)
    if isinstance(value, dt.datetime) and value.time() == dt.time():
        return ShownDate(value.year, value.month, value.day)
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), value) if isinstance(value, str) else value


def _read_number(value: int | float, number_format: str) -> Any:
    number = Decimal(f"{value:.{DIGITS}g}")
    if number == number.to_integral_value():
        number = number.quantize(Decimal(1)) if abs(number) < 10**28 else number
        if abs(number) >= 10**DIGITS:
            return CellProblem(
                f"is {number:f}, a number of which Excel keeps only {DIGITS} digits; format the cell as text and enter "
                "the value again"
            )
        if "%" not in number_format:
            return _format_whole(int(number), number_format.partition(";")[0])
    return ShownPercent(number) if "%" in number_format else number


def _format_whole(number: int, number_format: str) -> Any:
    """Return a whole number as Excel shows it, as far as that is certain."""
    # An id that Excel shows as 00123 is stored as 123, with a format that adds the zeros.
    if _LEADING_ZEROS.fullmatch(number_format):
        return f"{number:0{len(number_format)}d}"
    if _PLAIN_FORMAT.fullmatch(number_format):
        return number
    shown = ShownNumber(number)
    shown.shown = number_format
    return shown
