"""The content of a response: read whole and decompressed, but never more of it than fits."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from urllib3.exceptions import DecodeError

from intacct_provider.client.redaction import clean_text

if TYPE_CHECKING:
    import requests

#: Bytes of a decompressed response at most; a page has some megabytes. A few hundred kilobytes of gzip can become
#: gigabytes.
LARGEST = 256 * 1024 * 1024
#: Bytes read, or decompressed, at a time; requests takes 10 KB at a time, which takes 50% longer.
_PIECE = 4 * 1024 * 1024
#: Encodings on top of each other; more than one is rare.
_MOST_ENCODINGS = 3


class ContentTooLargeError(Exception):
    """There is more content than fits."""


class UnknownEncodingError(Exception):
    """The content is encoded in a way that was not asked for; the message is its name."""


def read_content(response: requests.Response) -> bytes:
    """Return the whole content.

    :raises ContentTooLargeError: if it is longer than :data:`LARGEST`, compressed or not.
    :raises UnknownEncodingError: if it is neither plain nor compressed with gzip or deflate.
    :raises urllib3.exceptions.HTTPError: if it ends early, or cannot be decompressed.
    """
    header = response.headers.get("Content-Encoding", "").lower()
    encodings = [
        name for name in (part.strip() for part in header.split(",")) if name not in ("", "identity")
    ]
    if len(encodings) > _MOST_ENCODINGS or not {*encodings} <= {"gzip", "x-gzip", "deflate"}:
        raise UnknownEncodingError(clean_text(header)[:50])
    pieces = _limit(iter(lambda: response.raw.read(_PIECE, decode_content=False), b""))
    for encoding in reversed(encodings):
        pieces = _limit(_decompress(pieces, encoding))
    return b"".join(pieces)


def _limit(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Pass pieces on until they are too many."""
    left = LARGEST
    for piece in pieces:
        left -= len(piece)
        if left < 0:
            raise ContentTooLargeError
        yield piece


def _decompress(pieces: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    """Decompress pieces, one part of the result after the other."""
    inflater, members = None, 0
    for piece in pieces:
        data = piece
        while data:
            inflater = inflater or _open(encoding, data)
            try:
                inflated = inflater.decompress(data, _PIECE)
            except zlib.error:
                if members:
                    return  # padding after the end
                raise DecodeError("the content cannot be decompressed") from None
            data = inflater.unconsumed_tail
            yield inflated
            while len(inflated) == _PIECE and not data and not inflater.eof:
                inflated = inflater.decompress(b"", _PIECE)
                yield inflated
            if inflater.eof:
                data, inflater, members = inflater.unused_data, None, members + 1
    if inflater is not None:
        raise DecodeError("the compressed content has no end")


def _open(encoding: str, data: bytes) -> zlib._Decompress:
    """Return what decompresses content that begins with these bytes; some servers send deflate without its header."""
    if encoding != "deflate":
        return zlib.decompressobj(zlib.MAX_WBITS | 16)
    has_header = data[0] & 0x0F == zlib.DEFLATED and int.from_bytes(data[:2].ljust(2, b"\0"), "big") % 31 == 0
    return zlib.decompressobj(zlib.MAX_WBITS if has_header else -zlib.MAX_WBITS)
