"""Rows as a Parquet file. This is the only module of the export that imports pyarrow at the top."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from intacct_provider.exceptions import IntacctColumnError
from intacct_provider.export.schema.columns import REST, Column
from intacct_provider.export.schema.values import PRECISION, convert_values, find_rest, read_columns

#: Approximate number of values in a row group: enough for fast reading, few enough for a worker's memory, and so that
#: most groups are written while more rows arrive.
_GROUP_VALUES = 1 << 20
_MOST_ROWS = 1 << 14
#: Largest dictionary of a column, in bytes: keys and ids do not benefit from a large one.
_DICTIONARY = 1 << 15
_FEWEST_ROWS = 1 << 10
_TIMESTAMP = pa.timestamp("us", "UTC")
_PLAIN = {
    "string": pa.string(),
    "json": pa.string(),
    "boolean": pa.bool_(),
    "integer": pa.int64(),
    "date": pa.date32(),
    "timestamp": _TIMESTAMP,
}


class ParquetEncoder:
    """A Parquet file whose row groups begin at the same rows however the rows arrive.

    :param compression: of the columns: ``zstd``, ``gzip`` or ``none``.
    """

    def __init__(self, columns: Sequence[Column], compression: str, sink: Callable[[bytes], Any]) -> None:
        self._columns = columns
        self._schema = build_schema(columns)
        self._has_rest = any(column.name == REST for column in columns)
        self._group_rows = rows_per_group(columns)
        self._file = _SinkFile(sink)
        self._writer = pq.ParquetWriter(
            self._file, self._schema, compression=compression, dictionary_pagesize_limit=_DICTIONARY
        )
        self._batches: list[pa.RecordBatch] = []
        self._waiting = 0

    @property
    def size(self) -> int:
        """Bytes of the row groups that are complete."""
        return self._file.size

    def write(self, keys: Sequence[str], rows: Sequence[Any], most: int | None) -> int:  # noqa: ARG002
        """Write rows, at most up to the end of a row group, where the caller checks the size."""
        taken = min(len(rows), self._group_rows - self._waiting)
        self._batches.append(self._batch(keys[:taken], rows[:taken]))
        self._waiting += taken
        if self._waiting == self._group_rows:
            self._write_group()
        return taken

    def close(self) -> None:
        """Write what is left, and the footer."""
        if self._waiting:
            self._write_group()
        self._writer.close()

    def _write_group(self) -> None:
        # One piece for each column, since the bytes depend on where pieces end.
        table = pa.Table.from_batches(self._batches, self._schema).combine_chunks()
        self._batches, self._waiting = [], 0
        self._writer.write_table(table, row_group_size=self._group_rows)
        del table
        # Arrow keeps freed memory for itself, which in a long export grows beyond what one group needs.
        pa.default_memory_pool().release_unused()

    def _batch(self, keys: Sequence[str], rows: Sequence[Any]) -> pa.RecordBatch:
        if isinstance(rows, pa.RecordBatch):  # of a file that was written before
            return pa.RecordBatch.from_arrays(rows.columns, schema=self._schema)
        values = read_columns(rows, self._columns)
        if any(column.nested for column in self._columns):
            rest = self._find_rest(keys, rows, values)
            if self._has_rest:
                values[-1] = rest
        arrays = [
            _array(column, of_column, keys) for column, of_column in zip(self._columns, values, strict=True)
        ]
        return pa.RecordBatch.from_arrays(arrays, schema=self._schema)

    def _find_rest(
        self, keys: Sequence[str], rows: Sequence[Any], values: Sequence[Sequence[Any]]
    ) -> list[Any]:
        """Return the members of each record that no column covers, for the column of the rest."""
        if not (self._has_rest and isinstance(rows[0], Mapping)):
            fields = [column.field for column in self._columns]
            rows = [dict(zip(fields, of_row, strict=True)) for of_row in zip(*values, strict=True)]
        found = [find_rest(row, self._columns) or None for row in rows]
        for key, rest in zip(keys, found, strict=True):
            if rest and not self._has_rest:
                raise IntacctColumnError(
                    f"Record {key} has members within {', '.join(map(repr, rest))} that the model does not describe, "
                    "and no column for them. Leave fields out, since all columns include one for the rest, or write "
                    "jsonl, which accepts whatever Intacct sends."
                )
        return found


class _SinkFile:
    """A file for pyarrow to write to."""

    closed = False

    def __init__(self, sink: Callable[[bytes], Any]) -> None:
        self._sink = sink
        self.size = 0

    def write(self, data: Any) -> int:
        content = bytes(data)
        self._sink(content)
        self.size += len(content)
        return len(content)

    def tell(self) -> int:
        return self.size

    def flush(self) -> None:
        pass

    def close(self) -> None:
        pass


def build_schema(columns: Sequence[Column]) -> pa.Schema:
    """Return the schema of a file with the columns; any value may be null."""
    return pa.schema([(column.name, _type(column)) for column in columns])


def rows_per_group(columns: Sequence[Column]) -> int:
    """Return how many rows a row group has, which depends on the columns alone."""
    return max(_FEWEST_ROWS, min(_MOST_ROWS, _GROUP_VALUES // max(1, _leaves(columns))))


def _leaves(columns: Sequence[Column]) -> int:
    return sum(_leaves(column.members) if column.members else 1 for column in columns)


def _type(column: Column) -> pa.DataType:
    if column.type == "decimal":
        return pa.decimal128(PRECISION, column.scale)
    if column.type == "struct":
        return pa.struct([(member.name, _type(member)) for member in column.members])
    if column.type == "list":
        return pa.list_(pa.field("item", _type(column.members[0])))
    return _PLAIN[column.type]


def _array(column: Column, values: Sequence[Any], keys: Sequence[str]) -> pa.Array:
    """Return a column's values; Arrow is a hundred times faster than Python, but does not report which one fails."""
    if not column.nested:
        try:
            return _by_arrow(column, values)
        except (pa.ArrowException, ValueError, TypeError, OverflowError):
            pass
    return pa.array(convert_values(column, values, keys), _type(column))


def _by_arrow(column: Column, values: Sequence[Any]) -> pa.Array:
    if column.type == "integer":
        if not {int, type(None)}.issuperset(map(type, values)):
            raise TypeError("Arrow would treat 0x10 as 16, and True as 1")
        return pa.array(values, pa.int64())
    if column.type in ("string", "boolean"):
        return pa.array(values, _type(column))
    if column.type == "decimal":
        return pa.array(_texts_within(column, values), pa.string()).cast(_type(column))
    made = pa.array(values, pa.string()).cast(_type(column))
    pc.min_max(made).as_py()  # raises for what Python has no date for: the year 0, and 9999 in another zone
    return made


def _texts_within(column: Column, values: Sequence[Any]) -> Sequence[str | None]:
    """Return amounts as text, if Arrow's cast keeps them: longer ones, and exponents, become other amounts."""
    texts = [value if value is None else str(value) for value in values]
    room = PRECISION - (column.scale or 0)
    if max(map(len, filter(None, texts)), default=0) > room or "E" in "".join(filter(None, texts)).upper():
        raise ValueError("Arrow may change these")
    return texts
