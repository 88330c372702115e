"""Compression of a file while it is written, with the same bytes however the content arrives."""

from __future__ import annotations

import importlib.util
import zlib
from collections.abc import Callable
from typing import Any, Protocol

from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.storage.files import GZIP_WINDOW

COMPRESSIONS = ("gzip", "zstd")
#: Compressors get pieces of this size, since what they return may depend on the pieces.
_PIECE = 1 << 18


class Compressor(Protocol):
    """Compresses content piece by piece."""

    def compress(self, data: memoryview | bytes, /) -> bytes:
        """Take content, and return the compressed bytes that are ready."""

    def flush(self) -> bytes:
        """Return the rest."""


class CompressedSink:
    """Compresses what is written to it.

    :param sink: takes the compressed bytes.
    """

    def __init__(self, compressor: Compressor, sink: Callable[[bytes], Any]) -> None:
        self._compressor = compressor
        self._sink = sink
        self._waiting = bytearray()

    def write(self, data: bytes) -> None:
        """Take content."""
        self._waiting += data
        whole = len(self._waiting) - len(self._waiting) % _PIECE
        if whole:
            self._feed(bytes(self._waiting[:whole]))
            del self._waiting[:whole]

    def close(self) -> None:
        """Write what is left."""
        self._feed(bytes(self._waiting))
        self._waiting.clear()
        self._sink(self._compressor.flush())

    def _feed(self, data: bytes) -> None:
        view = memoryview(data)
        for start in range(0, len(data), _PIECE):
            if ready := self._compressor.compress(view[start : start + _PIECE]):
                self._sink(ready)


class _Zstandard:
    """One frame of Zstandard, by pyarrow, which includes the library."""

    def __init__(self) -> None:
        import pyarrow as pa

        self._ready = _Ready()
        self._stream = pa.CompressedOutputStream(pa.PythonFile(self._ready, "w"), "zstd")

    def compress(self, data: memoryview | bytes, /) -> bytes:
        self._stream.write(data)
        return self._ready.take()

    def flush(self) -> bytes:
        self._stream.close()
        return self._ready.take()


class _Ready:
    """A file for pyarrow that keeps what is written until it is taken."""

    closed = False

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, data: Any) -> int:
        self._pieces.append(bytes(data))
        return len(self._pieces[-1])

    def take(self) -> bytes:
        taken = b"".join(self._pieces)
        self._pieces.clear()
        return taken

    def flush(self) -> None:
        pass

    def close(self) -> None:
        pass


def make_compressor(compression: str) -> Compressor:
    """Return a new compressor; the header of ``gzip`` has no time in it.

    :param compression: one of :data:`COMPRESSIONS`.
    """
    return zlib.compressobj(wbits=GZIP_WINDOW) if compression == "gzip" else _Zstandard()


def require_pyarrow(what: str) -> None:
    """Make sure that pyarrow is installed, without spending the time to load it.

    :raises IntacctArgumentError: naming the extra that brings it.
    """
    if importlib.util.find_spec("pyarrow") is None:
        raise IntacctArgumentError(
            f"{what} needs pyarrow, which is not installed: pip install 'airflow-provider-intacct[parquet]'."
        )
