"""Sets of keys too large for memory: in order on disk or in a gzip file, and compared as they stream by."""

from __future__ import annotations

import hashlib
import heapq
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import IO, TYPE_CHECKING, Any, TypeVar

import msgspec

from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.storage.files import sha256_of

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

_BUFFER = 20_000
_LINES = 4096
_BLOCK = 1 << 18
_GZIP = 31
_ADVICE = {
    "Held": "Without it nobody can tell what was deleted since: run once with full_refresh=True, and take that export "
    "in place of all that you have.",
    "Gone": "Without it the run cannot tell its deletions again: run it without detect_deletes.",
}
_encoder = msgspec.json.Encoder()


class Held(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A record that an export has given to whoever reads it.

    :param id: where the export reads it.
    """

    key: str
    id: str | None = None


class Gone(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A record that was exported and is not there any more.

    :param reason: ``deleted``, or ``left`` when the record lives but does not meet the export's filters now.
    :param deleted_at: where the audit history tells it, as Intacct wrote it.
    """

    key: str
    id: str | None
    reason: str
    deleted_at: str | None


Entry = TypeVar("Entry", Held, Gone)


def order(entry: Held | Gone) -> tuple[int, str]:
    """Return what entries are sorted by: that puts keys that are numbers in the order of the numbers."""
    return len(entry.key), entry.key


class Spool:
    """Entries in the order of their keys, on the local disk; in memory there are never more than 20,000.

    They may come in any order, and are quickest in that of keys. Of two with one key, the one that came later stays.

    :param kind: what they are.
    """

    def __init__(self, kind: type[Any] = Held) -> None:
        self.count = 0
        self._decoder = msgspec.json.Decoder(kind)
        self._buffer: list[Any] = []
        self._last: tuple[int, str] | None = None
        self._files: list[IO[bytes]] = []

    def add(self, entries: Iterable[Held | Gone]) -> None:
        """Take some more."""
        for entry in entries:
            self._buffer.append(entry)
            self.count += 1
            if len(self._buffer) >= _BUFFER:
                self._flush()

    def __iter__(self) -> Iterator[Any]:
        """Yield all that came so far; can be asked for again, one at a time."""
        self._flush()
        last = None
        # The latest file first, since of equals the merge gives that of the first.
        for entry in heapq.merge(*map(self._read, reversed(self._files)), key=order):
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
        some = sorted({entry.key: entry for entry in self._buffer}.values(), key=order)
        if self._last is None or order(some[0]) <= self._last:
            self._files.append(tempfile.TemporaryFile())  # noqa: SIM115 - closed by close()
        file, self._last = self._files[-1], order(some[-1])
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


def packed(entries: Iterable[Held | Gone]) -> Iterator[bytes]:
    """Yield the content of a gzip file of entries, a JSON array on each line; equal entries make equal bytes."""
    compress = zlib.compressobj(6, zlib.DEFLATED, _GZIP)
    rest = iter(entries)
    while some := list(islice(rest, _LINES)):
        yield compress.compress(_encoder.encode_lines(some))
    yield compress.flush()


def unpacked(path: ObjectStoragePath, sha256: str, kind: type[Entry]) -> Iterator[Entry]:
    """Yield the entries of such a file, and make sure at the end that it is the one that was written.

    :raises IntacctArgumentError: if it is gone or is another one.
    """
    decoder, digest, left = msgspec.json.Decoder(kind), hashlib.sha256(), b""
    decompress = zlib.decompressobj(_GZIP)
    try:
        with path.fs.open(path.path, "rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
                lines, _, left = (left + decompress.decompress(block)).rpartition(b"\n")
                yield from decoder.decode_lines(lines)
    except (OSError, zlib.error, msgspec.MsgspecError):
        digest = hashlib.sha256()  # that of nothing
    if digest.hexdigest() != sha256:
        raise IntacctArgumentError(
            f"{path} is gone or is not what an export left there. {_ADVICE[kind.__name__]}"
        )


def intact(path: ObjectStoragePath, sha256: str) -> bool:
    """Whether such a file is the one that was written."""
    found = sha256_of(path)
    return found is not None and found.sha256 == sha256


def united(first: Iterable[Held], second: Iterable[Held]) -> Iterator[Held]:
    """Yield the entries of two sets in order, of two with one key that of the first, with whatever id is known."""
    theirs = iter(second)
    other = next(theirs, None)
    for entry in first:
        while other is not None and order(other) < order(entry):
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


def without(entries: Iterable[Held], others: Iterable[Held | Gone]) -> Iterator[Held]:
    """Yield the entries of a set in order whose keys are not in the other."""
    theirs = iter(others)
    other = next(theirs, None)
    if other is None:
        yield from entries
        return
    for entry in entries:
        while other is not None and order(other) < order(entry):
            other = next(theirs, None)
        if other is None or other.key != entry.key:
            yield entry
