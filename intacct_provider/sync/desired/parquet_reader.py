"""Desired records in a Parquet file."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

from intacct_provider.exceptions import IntacctArgumentError


def read_parquet(source: str, data: bytes) -> tuple[list[str], Iterator[list[Any]]]:
    """Return the names of the columns, and the rows with Python values: decimals, dates, times, lists.

    :raises IntacctArgumentError: if it is not a Parquet file, or pyarrow is missing (extra ``parquet``).
    """
    try:
        arrow = importlib.import_module("pyarrow")
        parquet = importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise IntacctArgumentError(
            f"{source}: reading Parquet needs pyarrow; install the provider with its extra 'parquet'"
        ) from None
    try:
        file = parquet.ParquetFile(arrow.BufferReader(data))
        names = [str(name) for name in file.schema_arrow.names]
    except (arrow.ArrowException, OSError) as error:
        raise IntacctArgumentError(
            f"{source}: the Parquet file cannot be read ({type(error).__name__})"
        ) from None
    return names, _read_rows(source, arrow, file)


def _read_rows(source: str, arrow: Any, file: Any) -> Iterator[list[Any]]:
    try:
        for batch in file.iter_batches():
            columns = [_drop_nanoseconds(arrow, column).to_pylist() for column in batch.columns]
            yield from map(list, zip(*columns, strict=True))
    except (arrow.ArrowException, OSError, ValueError) as error:
        raise IntacctArgumentError(
            f"{source}: the Parquet file has content that cannot be read ({type(error).__name__})"
        ) from None


def _drop_nanoseconds(arrow: Any, column: Any) -> Any:
    """Return a column of times in microseconds, as far as Python goes; Intacct keeps seconds."""
    kind = column.type
    if arrow.types.is_timestamp(kind) and kind.unit == "ns":
        return column.cast(arrow.timestamp("us", kind.tz), safe=False)
    return column
