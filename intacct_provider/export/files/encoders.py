"""Rows to the bytes of a file, the same bytes however the rows arrive in pages."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

import msgspec

from intacct_provider.client.arguments import check_choice
from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.export.files.compression import (
    COMPRESSIONS,
    Squeezed,
    compressor,
    require_pyarrow,
)
from intacct_provider.export.schema.columns import REST, Column
from intacct_provider.export.schema.values import values_of

__all__ = ["FORMATS", "Encoder", "MakeEncoder", "encoder_for", "values_of"]

FORMATS = ("jsonl", "csv", "parquet")

Sink = Callable[[bytes], Any]
#: Structs of one form, or whole records as mappings.
Rows = Sequence[Any]


class Encoder(Protocol):
    """Writes the rows of one file."""

    @property
    def size(self) -> int:
        """Bytes so far: before compression, or of the row groups that are complete in a Parquet file."""

    def write(self, keys: Sequence[str], rows: Rows, most: int | None) -> int:
        """Take rows, one at least, until ``size`` is ``most`` or more, and return how many were taken."""

    def close(self) -> None:
        """Write what is left."""


#: Makes the encoder of one file, given what takes its bytes.
MakeEncoder = Callable[[Sink], Encoder]


def encoder_for(
    file_format: str, columns: Sequence[Column], *, compression: str | None = None, csv_safe: bool = False
) -> MakeEncoder:
    """Return what makes the encoders of an export's files.

    :param file_format: one of :data:`FORMATS`.
    :param compression: ``gzip``, ``zstd`` or None; Parquet compresses its columns, by zstd unless told otherwise.
    :param csv_safe: have CSV files hold no cell that a spreadsheet takes for a formula.
    :raises IntacctArgumentError: for what there is not, or what is not installed.
    """
    check_choice("file_format", file_format, FORMATS)
    if compression is not None:
        check_choice(
            "compression", compression, (*COMPRESSIONS, *(["none"] if file_format == "parquet" else []))
        )
    if csv_safe not in (True, False) or (csv_safe and file_format != "csv"):
        raise IntacctArgumentError(
            f"csv_safe must be True or False, and is for file_format 'csv' only, not {csv_safe!r} with {file_format!r}."
        )
    if file_format == "parquet":
        require_pyarrow("file_format 'parquet'")
        return partial(_parquet, columns, compression or "zstd")
    if compression == "zstd":
        require_pyarrow("compression 'zstd'")
    if file_format == "csv":
        from intacct_provider.export.files.csv import CsvLines

        table = CsvLines(columns, safe=csv_safe)
        return partial(_Text, table.encode, table.header, compression)
    return partial(_Text, JsonLines(columns).encode, b"", compression)


def _parquet(columns: Sequence[Column], compression: str, sink: Sink) -> Encoder:
    # Loaded when the first row is there: until then it can load while the first page is on its way.
    from intacct_provider.export.files.parquet import ParquetEncoder

    return ParquetEncoder(columns, compression, sink)


class _Text:
    """A file of lines, where rows are encoded one by one and a part of them is a part of the bytes."""

    def __init__(
        self, encode: Callable[[Rows], bytes], header: bytes, compression: str | None, sink: Sink
    ) -> None:
        self._encode = encode
        self._squeezed = Squeezed(compressor(compression), sink) if compression else None
        self._sink = self._squeezed.write if self._squeezed else sink
        self.size = len(header)
        if header:
            self._sink(header)

    def write(self, keys: Sequence[str], rows: Rows, most: int | None) -> int:  # noqa: ARG002
        data = self._encode(rows)
        if most is not None and self.size + len(data) > most:
            room = most - self.size
            counts = range(1, len(rows))
            taken = bisect_left(counts, room, key=lambda count: len(self._encode(rows[:count]))) + 1
            rows = rows[:taken]
            data = self._encode(rows)
        self._sink(data)
        self.size += len(data)
        return len(rows)

    def close(self) -> None:
        if self._squeezed:
            self._squeezed.close()


class JsonLines:
    """One JSON object a line, members named and ordered like the columns; numbers keep every digit.

    Whole records are written as Intacct sent them where the columns include :data:`REST`, else with the members that
    are columns.
    """

    def __init__(self, columns: Sequence[Column]) -> None:
        self._columns = columns
        self._whole = any(column.name == REST for column in columns)
        self._encode_lines = msgspec.json.Encoder(decimal_format="number").encode_lines
        self._row_type = msgspec.defstruct(
            "Line",
            [(f"c{n}", Any, None) for n in range(len(columns))],
            rename={f"c{n}": column.name for n, column in enumerate(columns)},
            gc=False,
        )

    def encode(self, rows: Rows) -> bytes:
        """Return the lines of rows of one kind."""
        if not rows:
            return b""
        if isinstance(rows[0], Mapping):
            if not self._whole:
                rows = [{column.name: row.get(column.field) for column in self._columns} for row in rows]
            return self._encode_lines(rows)
        if tuple(type(rows[0]).__struct_encode_fields__) != tuple(column.name for column in self._columns):
            rows = [self._row_type(*values) for values in values_of(rows, self._columns)]
        return self._encode_lines(rows)
