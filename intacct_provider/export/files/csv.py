"""Rows as lines of CSV."""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from collections.abc import Iterable, Sequence
from typing import Any

from intacct_provider.export.schema.columns import REST, Column
from intacct_provider.export.schema.values import read_columns, to_json, to_text

#: A spreadsheet treats text that begins with one of these as a formula, the full-width forms included.
_FORMULA = frozenset("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20\u2212")
_NUMBER = frozenset("0123456789.")


class CsvLines:
    """CSV by RFC 4180: UTF-8, a header, CRLF, commas or another delimiter, quotes where needed.

    Null is an empty cell, and so is empty text; JSONL and Parquet keep them apart. Booleans are ``true`` and ``false``,
    amounts have every digit and no exponent, objects and lists are JSON.

    :param safe: put ``'`` before text that a spreadsheet would treat as a formula; numbers such as ``-12.50`` stay.
    :param delimiter: between cells.
    :param bom: begin with a byte order mark.
    """

    def __init__(
        self, columns: Sequence[Column], *, safe: bool = False, delimiter: str = ",", bom: bool = False
    ) -> None:
        self._columns = columns
        self._safe = safe
        self._delimiter = delimiter
        self._marks = f'{delimiter}"\r\n'
        self._marked = re.compile(f"[{re.escape(self._marks)}]").search
        self.header = (BOM_UTF8 if bom else b"") + self._lines([column.name] for column in columns)

    def encode(self, rows: Sequence[Any]) -> bytes:
        """Return the lines of rows of one kind."""
        if not rows:
            return b""
        columns = read_columns(rows, self._columns)
        if self._columns[-1].name == REST and isinstance(rows[0], dict):
            columns[-1] = [self._rest(row) for row in rows]
        return self._lines(
            map(to_json, values) if column.nested else values
            for column, values in zip(self._columns, columns, strict=True)
        )

    def _rest(self, row: dict[str, Any]) -> Any:
        """Return the members that are not columns; those within columns are in the JSON of these."""
        known = {column.field for column in self._columns}
        return {name: value for name, value in row.items() if name not in known} or None

    def _lines(self, columns: Iterable[Iterable[Any]]) -> bytes:
        cells = [self._cells(values) for values in columns]
        if len(cells) == 1:
            # An empty line would not be a row.
            cells = [[cell or '""' for cell in cells[0]]]
        lines = list(map(self._delimiter.join, zip(*cells, strict=True)))
        lines.append("")
        return "\r\n".join(lines).encode()

    def _cells(self, values: Iterable[Any]) -> list[str]:
        """Return the cells of a column; each one is looked at only if something in the column needs it."""
        # Empty text stays as it is either way, and False is not text.
        texts = [value if type(value) is str else to_text(value) or "" for value in values]
        if self._safe:
            texts = [_defuse(text) if text and text[0] in _FORMULA else text for text in texts]
        together = "".join(texts)
        if any(mark in together for mark in self._marks):
            texts = [_quote(text) if self._marked(text) else text for text in texts]
        return texts


def _quote(text: str) -> str:
    doubled = text.replace('"', '""')
    return f'"{doubled}"'


def _defuse(text: str) -> str:
    """Return text that begins like a formula in a form that no spreadsheet runs."""
    if text[0] in "+-" and _NUMBER.issuperset(text[1:]) and text.count(".") <= 1 and text[-1] not in "+-.":
        return text
    return f"'{text}"
