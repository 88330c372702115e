"""Encodes rows to the bytes of a file, the same bytes however the rows arrive in pages."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

import msgspec

from intacct_provider.export.files.compression import CompressedSink, make_compressor
from intacct_provider.export.files.options import FileOptions
from intacct_provider.export.files.stored import is_stored
from intacct_provider.export.schema.columns import REST, Column
from intacct_provider.export.schema.values import read_values

Sink = Callable[[bytes], Any]
#: Structs of one form, or whole records as mappings.
Rows = Sequence[Any]


class Encoder(Protocol):
    """Writes the rows of one file."""

    @property
    def size(self) -> int:
        """Bytes so far: before compression, or of the row groups that are complete in a Parquet file."""

    def write(self, keys: Sequence[str], rows: Rows, most: int | None) -> int:
        """Write rows, at least one, until ``size`` is ``most`` or more, and return how many were written."""

    def close(self) -> None:
        """Write what is left."""


#: Makes the encoder of one file, given the function that takes its bytes.
MakeEncoder = Callable[[Sink], Encoder]


def encoder_factory(columns: Sequence[Column], options: FileOptions) -> MakeEncoder:
    """Return what makes the encoders of an export's files.

    :param options: checked.
    """
    compression = options.compression
    if options.file_format == "parquet":
        return partial(_make_parquet_encoder, columns, compression or "zstd")
    if options.file_format == "csv":
        from intacct_provider.export.files.csv import CsvLines

        table = CsvLines(columns, safe=options.csv_safe, delimiter=options.delimiter, bom=options.bom)
        return partial(_LineEncoder, table.encode, table.header, compression)
    return partial(_LineEncoder, JsonLines(columns).encode, b"", compression)


def _make_parquet_encoder(columns: Sequence[Column], compression: str, sink: Sink) -> Encoder:
    # Imported with the first row: until then pyarrow loads while the first page is on its way.
    from intacct_provider.export.files.parquet import ParquetEncoder

    return ParquetEncoder(columns, compression, sink)


class _LineEncoder:
    """A file of lines: rows are encoded one by one, so that some of them are some of the bytes."""

    def __init__(
        self, encode: Callable[[Rows], bytes], header: bytes, compression: str | None, sink: Sink
    ) -> None:
        self._encode = encode
        self._compressed = CompressedSink(make_compressor(compression), sink) if compression else None
        self._sink = self._compressed.write if self._compressed else sink
        self.size = len(header)
        if header:
            self._sink(header)

    def write(self, keys: Sequence[str], rows: Rows, most: int | None) -> int:  # noqa: ARG002
        encode = b"".join if is_stored(rows) else self._encode
        data = encode(rows)
        if most is not None and self.size + len(data) > most:
            room = most - self.size
            counts = range(1, len(rows))
            taken = bisect_left(counts, room, key=lambda count: len(encode(rows[:count]))) + 1
            rows = rows[:taken]
            data = encode(rows)
        self._sink(data)
        self.size += len(data)
        return len(rows)

    def close(self) -> None:
        if self._compressed:
            self._compressed.close()


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
            rows = [self._row_type(*values) for values in read_values(rows, self._columns)]
        return self._encode_lines(rows)
