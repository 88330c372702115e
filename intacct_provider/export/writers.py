"""Rows to bytes, one row at a time."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from intacct_provider.client import wire
from intacct_provider.client.errors import IntacctArgumentError, did_you_mean

Row = Mapping[str, Any]
Writer = Callable[[Iterable[Row], Sequence[str]], Iterator[bytes]]


def jsonl(rows: Iterable[Row], fields: Sequence[str]) -> Iterator[bytes]:
    """Yield one JSON object a line, names in the order of ``fields``; numbers keep every digit."""
    for row in rows:
        yield wire.encode({name: row[name] for name in fields}) + b"\n"


def csv_lines(rows: Iterable[Row], fields: Sequence[str]) -> Iterator[bytes]:
    """Yield a header and one line per row: UTF-8, comma, quotes where needed, ``true`` and ``false``.

    Null and empty text both become an empty cell; JSONL keeps them apart.
    """
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")

    def line(cells: Iterable[Any]) -> bytes:
        writer.writerow(cells)
        text = buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()
        return text.encode()

    yield line(fields)
    for row in rows:
        yield line(_cell(row[name]) for name in fields)


WRITERS: dict[str, Writer] = {"jsonl": jsonl, "csv": csv_lines}


def writer_for(file_format: str) -> Writer:
    """Return the writer of a format.

    :raises IntacctArgumentError: for a format that there is no writer for.
    """
    if file_format not in WRITERS:
        raise IntacctArgumentError(
            f"file_format must be one of {', '.join(WRITERS)}, not {file_format!r}."
            f"{did_you_mean(str(file_format), WRITERS)}"
        )
    return WRITERS[file_format]


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else value
