"""Desired records in a CSV file, as spreadsheets write it."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator

from intacct_provider.exceptions import IntacctArgumentError

_SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab"}
#: The first line that says the separator, for Excel.
_SEPARATOR_LINE = re.compile(r'"?sep=(?P<separator>[^"\r\n])"?[ \t]*(\r\n|\r|\n|\Z)', re.IGNORECASE)


def read_csv(source: str, text: str, *, separator: str | None = None) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows that have any text, each with the line it starts on (a quoted cell may span lines).

    :param separator: what separates cells; None for the one that a first line such as ``sep=;`` says, or that is in the
        header line: comma, semicolon or tab (spreadsheets in many countries write the latter two).
    :raises IntacctArgumentError: if it is not valid CSV, or the separator is ambiguous.
    """
    # The csv module rejects cells of more than 128 KiB, which a long list can have; the limit is process-wide.
    csv.field_size_limit(max(csv.field_size_limit(), len(text)))
    before = 0
    if said := _SEPARATOR_LINE.match(text):
        text, before, separator = text[said.end() :], 1, said["separator"]
    separator = separator or _find_separator(source, text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    while True:
        line = reader.line_num + 1 + before
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


def _find_separator(source: str, text: str) -> str:
    lines = enumerate(io.StringIO(text, newline=""), start=1)
    number, header = next(((n, line) for n, line in lines if line.strip(" \t\r\n,;")), (1, ""))
    header = re.sub(r'"[^"]*"', "", header)
    found = [separator for separator in _SEPARATORS if separator in header]
    if len(found) > 1:
        names = " and ".join(_SEPARATORS[separator] for separator in found)
        raise IntacctArgumentError(
            f"{source}: line {number}: the header has {names}, so the separator is ambiguous; use commas"
        )
    return found[0] if found else ","
