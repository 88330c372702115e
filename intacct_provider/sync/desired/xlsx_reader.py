"""Desired records in an Excel workbook."""

from __future__ import annotations

import datetime as dt
import importlib
import io
import re
import warnings
import zipfile
from collections.abc import Iterator
from decimal import Decimal
from typing import Any
from xml.etree.ElementTree import ParseError

from intacct_provider.client.spelling import did_you_mean
from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.sync.problems import show_value

#: Significant digits of a number that Excel keeps.
DIGITS = 15
_LEADING_ZEROS = re.compile(r"0{2,}")


class CellProblem:
    """A cell whose value is not known or not certain; the text is the rest of the sentence about it."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __str__(self) -> str:
        return self.text


def read_xlsx(source: str, data: bytes, sheet: str | None = None) -> Iterator[tuple[int, list[Any]]]:
    """Yield the rows of a sheet that have any value, each with its number in Excel.

    Numbers are exact to the 15 digits that Excel keeps, dates are dates, and a formula has the value that Excel last
    showed. A cell that cannot be trusted is a :class:`CellProblem`: a formula without a value, or a number with more
    digits than Excel keeps.

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
    try:
        with warnings.catch_warnings():
            # About styles and extensions, which do not matter here.
            warnings.simplefilter("ignore")
            values = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True)
            formulas = openpyxl.load_workbook(io.BytesIO(data), read_only=True)
            name = _choose_sheet(source, values, sheet)
            yield from _read_rows(values[name], formulas[name])
    except (zipfile.BadZipFile, KeyError, ValueError, TypeError, ParseError, EOFError) as error:
        if isinstance(error, IntacctArgumentError):
            raise
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


def _read_rows(values: Any, formulas: Any) -> Iterator[tuple[int, list[Any]]]:
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
        return value.date()
    return value


def _read_number(value: int | float, number_format: str) -> Any:
    number = Decimal(f"{value:.{DIGITS}g}")
    if number == number.to_integral_value():
        number = number.quantize(Decimal(1)) if abs(number) < 10**28 else number
        if abs(number) >= 10**DIGITS:
            return CellProblem(
                f"is {number:f}, a number of which Excel keeps only {DIGITS} digits; format the cell as text and enter "
                "the value again"
            )
        # An id that Excel shows as 00123 is stored as 123, with a format that adds the zeros.
        return (
            f"{int(number):0{len(number_format)}d}"
            if _LEADING_ZEROS.fullmatch(number_format)
            else int(number)
        )
    return number
