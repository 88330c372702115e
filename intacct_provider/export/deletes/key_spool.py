"""Sets of keys too large for memory: sorted on disk or in a gzip file, and compared as streams."""

from __future__ import annotations

import hashlib
import heapq
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import IO, Any, TypeVar

import msgspec

from intacct_provider.client.keys import order_key
from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.export.facts import FileRef
from intacct_provider.storage.files import GZIP_WINDOW, hash_file, open_path

_BUFFER = 20_000
_LINES = 4096
_BLOCK = 1 << 18
_ADVICE = {
    "ExportedKey": "Without it, deletions since then are unknown: run once with full_refresh=True, and replace all "
    "that you have by that export.",
    "Tombstone": "Without it the run cannot report its deletions again: run it without detect_deletes.",
}
_encoder = msgspec.json.Encoder()


class ExportedKey(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A record that the readers of an export hold.

    :param id: where the export reads it.
    """

    key: str
    id: str | None = None


class Tombstone(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A record that was exported and is gone.

    :param reason: ``deleted``, or ``left`` when the record still exists and no longer meets the export's filters.
    :param deleted_at: where the audit history has it, as Intacct wrote it.
    """

    key: str
    id: str | None
    reason: str
    deleted_at: str | None


Entry = TypeVar("Entry", ExportedKey, Tombstone)


def sort_key(entry: ExportedKey | Tombstone) -> tuple[int, str]:
    """Return what entries are sorted by."""
    return order_key(entry.key)


class Spool:
    """Entries in the order of their keys, on the local disk; never more than 20,000 of them in memory.

    They may be added in any order, and fastest in that of keys. Of two with the same key, the later one is kept.

    :param kind: type of the entries.
    """

    def __init__(self, kind: type[Any] = ExportedKey) -> None:
        self.count = 0
        self._decoder = msgspec.json.Decoder(kind)
        self._buffer: list[Any] = []
        self._last: tuple[int, str] | None = None
        self._files: list[IO[bytes]] = []

    def add(self, entries: Iterable[ExportedKey | Tombstone]) -> None:
        """Add entries."""
        for entry in entries:
            self._buffer.append(entry)
            self.count += 1
            if len(self._buffer) >= _BUFFER:
                self._flush()

    def __iter__(self) -> Iterator[Any]:
        """Yield all entries so far; may be repeated, with one iteration at a time."""
        self._flush()
        last = None
        # The latest file first: of equal entries, the merge yields that of the first file first.
        for entry in heapq.merge(*map(self._read, reversed(self._files)), key=sort_key):
            if entry.key != last:
                yield entry
            last = entry.key

    def close(self) -> None:
        """Remove the files."""
        for file in self._files:
            file.close()
        self._files.clear()

    def _flush(self) -> None:
        if not self._buffer:
            return
        some = sorted({entry.key: entry for entry in self._buffer}.values(), key=sort_key)
        if self._last is None or sort_key(some[0]) <= self._last:
            self._files.append(tempfile.TemporaryFile())  # noqa: SIM115 - closed by close()
        file, self._last = self._files[-1], sort_key(some[-1])
        file.seek(0, 2)
        file.write(_encoder.encode_lines(some))
        self._buffer.clear()

    def _read(self, file: IO[bytes]) -> Iterator[Any]:
        at = 0
        while True:
            file.seek(at)
            lines = file.readlines(_BLOCK)
            if not lines:
                return
            at = file.tell()
            yield from self._decoder.decode_lines(b"".join(lines))


def pack(entries: Iterable[ExportedKey | Tombstone]) -> Iterator[bytes]:
    """Yield the content of a gzip file of entries, a JSON array on each line; equal entries make equal bytes."""
    compress = zlib.compressobj(6, zlib.DEFLATED, GZIP_WINDOW)
    rest = iter(entries)
    while some := list(islice(rest, _LINES)):
        yield compress.compress(_encoder.encode_lines(some))
    yield compress.flush()


def unpack(ref: FileRef, kind: type[Entry]) -> Iterator[Entry]:
    """Yield the entries of such a file, and check at the end that it is the one that was written.

    :raises IntacctArgumentError: if it is gone or differs.
    """
    decoder, digest, left = msgspec.json.Decoder(kind), hashlib.sha256(), b""
    decompress = zlib.decompressobj(GZIP_WINDOW)
    path = open_path(ref.path)
    try:
        with path.fs.open(path.path, "rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
                lines, _, left = (left + decompress.decompress(block)).rpartition(b"\n")
                yield from decoder.decode_lines(lines)
    except (OSError, zlib.error, msgspec.MsgspecError):
        digest = hashlib.sha256()  # that of nothing
    if digest.hexdigest() != ref.sha256:
        raise IntacctArgumentError(
            f"{ref.path} is gone or is not what an export left there. {_ADVICE[kind.__name__]}"
        )


def is_intact(ref: FileRef) -> bool:
    """Whether such a file is the one that was written."""
    found = hash_file(open_path(ref.path))
    return found is not None and found.sha256 == ref.sha256


def unite(first: Iterable[ExportedKey], second: Iterable[ExportedKey]) -> Iterator[ExportedKey]:
    """Yield the entries of two sorted sets; of equal keys the first one, with the id that is known."""
    theirs = iter(second)
    other = next(theirs, None)
    for entry in first:
        while other is not None and sort_key(other) < sort_key(entry):
            yield other
            other = next(theirs, None)
        if other is None or other.key != entry.key:
            yield entry
            continue
        yield other if entry.id is None else entry
        other = next(theirs, None)
    if other is not None:
        yield other
        yield from theirs


def subtract(
    entries: Iterable[ExportedKey], others: Iterable[ExportedKey | Tombstone]
) -> Iterator[ExportedKey]:
    """Yield the entries of a sorted set whose keys are not in the other."""
    theirs = iter(others)
    other = next(theirs, None)
    if other is None:
        yield from entries
        return
    for entry in entries:
        while other is not None and sort_key(other) < sort_key(entry):
            other = next(theirs, None)
        if other is None or other.key != entry.key:
            yield entry
