"""Rows of files that are written already, as they are there: read again so that others can be put among them."""

from __future__ import annotations

import zlib
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import IO, Any

from intacct_provider.client.paging.pages import Page
from intacct_provider.export.files.options import FileOptions
from intacct_provider.storage.files import GZIP_WINDOW, ObjectStoragePath

_BLOCK = 1 << 18

#: Lines of text files, line ends included, or a record batch of Arrow.
StoredRows = Sequence[Any]


def read_stored(path: ObjectStoragePath, options: FileOptions) -> Iterator[StoredRows]:
    """Yield the rows of a file in order, some at a time."""
    with path.fs.open(path.path, "rb") as file:
        if options.file_format == "parquet":
            from pyarrow import parquet

            yield from parquet.ParquetFile(file).iter_batches()
            return
        lines = _read_lines(_decompress(file, options.compression), quoted=options.file_format == "csv")
        if options.file_format == "csv":
            next(lines, None)  # a header of its own, since names may have line ends
        while some := list(islice(lines, 4096)):
            yield some


def is_stored(rows: Sequence[Any]) -> bool:
    """Whether rows, at least one, are such rows."""
    return not isinstance(rows, list) or isinstance(rows[0], bytes)


def insert_rows(
    stored: Iterable[StoredRows], keys: Iterator[int], late: Sequence[tuple[int, Page]]
) -> Iterator[Page]:
    """Yield stored rows with others among them, in order of key.

    :param keys: of the stored rows.
    :param late: the others, each a page of one row, in order of key.
    """
    place = 0
    for rows in stored:
        some, done = list(islice(keys, len(rows))), 0
        while some and place < len(late) and late[place][0] < some[-1]:
            here = bisect_left(some, late[place][0], done)
            if here > done:
                yield _build_page(rows[done:here], some[done:here])
            yield late[place][1]
            done, place = here, place + 1
        yield _build_page(rows[done:], some[done:])
    for _, page in late[place:]:
        yield page


def _build_page(rows: Any, keys: Sequence[int]) -> Page:
    return Page(rows, keys=list(map(str, keys)))


def _decompress(file: IO[bytes], compression: str | None) -> Iterator[bytes]:
    if compression == "zstd":
        import pyarrow as pa

        stream = pa.CompressedInputStream(pa.PythonFile(file, "r"), "zstd")
        while block := stream.read(_BLOCK):
            yield block
        return
    decompress = zlib.decompressobj(GZIP_WINDOW).decompress if compression == "gzip" else bytes
    while block := file.read(_BLOCK):
        yield decompress(block)


def _read_lines(blocks: Iterable[bytes], *, quoted: bool) -> Iterator[bytes]:
    """Yield lines with their ends.

    :param quoted: whether a line goes on after a line end within quotes.
    """
    left = record = b""
    for block in blocks:
        *lines, left = (left + block).split(b"\n")
        for line in lines:
            record += line + b"\n"
            # Within quotes, a quote is two of them.
            if not quoted or record.count(b'"') % 2 == 0:
                yield record
                record = b""
    if record or left:
        yield record + left
