"""Rows as lines of CSV."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from intacct_provider.export.schema.columns import REST, Column
from intacct_provider.export.schema.values import json_of, text_of, values_of

_MARKS = ',"\r\n'
_marked = re.compile(f"[{_MARKS}]").search
#: With one of these a spreadsheet begins a formula; it takes the wide ones for the narrow ones.
_FORMULA = frozenset("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20\u2212")
_NUMBER = frozenset("0123456789.")


class CsvLines:
    """CSV by RFC 4180: UTF-8, a header, CRLF, commas, quotes where needed.

    Null is an empty cell, and so is empty text; JSONL and Parquet keep them apart. Booleans are ``true`` and ``false``,
    amounts have every digit and no exponent, objects and lists are JSON.

    :param safe: put ``'`` before text that a spreadsheet would take for a formula; numbers such as ``-12.50`` stay.
    """

    def __init__(self, columns: Sequence[Column], *, safe: bool = False) -> None:
        self._columns = columns
        self._safe = safe
        self.header = self._lines([column.name] for column in columns)

    def encode(self, rows: Sequence[Any]) -> bytes:
        """Return the lines of rows of one kind."""
        if not rows:
            return b""
        columns = list(zip(*values_of(rows, self._columns), strict=True))
        if self._columns[-1].name == REST and isinstance(rows[0], dict):
            columns[-1] = tuple(self._rest(row) for row in rows)
        return self._lines(
            map(json_of, values) if column.nested else values
            for column, values in zip(self._columns, columns, strict=True)
        )

    def _rest(self, row: dict[str, Any]) -> Any:
        """Return the members that are no columns; those within columns are in the JSON of these."""
        known = {column.field for column in self._columns}
        return {name: value for name, value in row.items() if name not in known} or None

    def _lines(self, columns: Iterable[Iterable[Any]]) -> bytes:
        cells = [self._cells(values) for values in columns]
        if len(cells) == 1:
            # A line with nothing on it would be no row.
            cells = [[cell or '""' for cell in cells[0]]]
        lines = list(map(",".join, zip(*cells, strict=True)))
        lines.append("")
        return "\r\n".join(lines).encode()

    def _cells(self, values: Iterable[Any]) -> list[str]:
        """Return a column's values as they stand in lines, looking at each only if there is something to look for."""
        # Empty text stays as it is either way, and False is no text.
        texts = [value if type(value) is str else text_of(value) or "" for value in values]
        if self._safe:
            texts = [_defused(text) if text and text[0] in _FORMULA else text for text in texts]
        together = "".join(texts)
        if any(mark in together for mark in _MARKS):
            texts = [_quoted(text) if _marked(text) else text for text in texts]
        return texts


def _quoted(text: str) -> str:
    doubled = text.replace('"', '""')
    return f'"{doubled}"'


def _defused(text: str) -> str:
    """Return text that begins like a formula so that no spreadsheet runs it."""
    if text[0] in "+-" and _NUMBER.issuperset(text[1:]) and text.count(".") <= 1 and text[-1] not in "+-.":
        return text
    return f"'{text}"
