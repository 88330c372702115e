"""What was read of the keys of an object: from which to which, and which, in little room."""

from __future__ import annotations

import zlib
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, islice
from operator import sub
from typing import Any, NamedTuple

from intacct_provider.exceptions import IntacctArgumentError


class Interval(NamedTuple):
    """What one page covers: all records with keys above the interval before it and up to ``last``.

    :param keys: what :func:`packed` made of the keys; empty if they are not known any more.
    """

    first: int
    last: int
    rows: int
    keys: bytes = b""


@dataclass(frozen=True, slots=True)
class Bounds:
    """The keys that a read is about: above one and up to another; None for no bound."""

    above: int | None = None
    upto: int | None = None

    @classmethod
    def checked(cls, above: str | None, upto: str | None) -> Bounds:
        """Take keys as text.

        :raises IntacctArgumentError: for what is no key.
        """
        return cls(_key("above", above), _key("upto", upto))


def packed(keys: Sequence[int]) -> bytes:
    """Return rising keys in little room: two bytes for each, or next to none where they follow each other."""
    try:
        if keys[-1] - keys[0] == len(keys) - 1:
            return b"r" + array("Q", (keys[0], len(keys))).tobytes()
        steps = array("Q", (keys[0], *map(sub, islice(keys, 1, None), keys)))
    except OverflowError:
        return b""
    return b"z" + zlib.compress(steps.tobytes(), 1)


def unpacked(kept: bytes) -> list[int]:
    """Return the keys that :func:`packed` took."""
    if kept[:1] == b"r":
        first, count = array("Q", kept[1:])
        return list(range(first, first + count))
    return list(accumulate(array("Q", zlib.decompress(kept[1:]))))


def _key(name: str, value: Any) -> int | None:
    if value is None:
        return None
    if not str(value).isdecimal():
        raise IntacctArgumentError(f"{name} must be a key, such as '24', not {value!r}.")
    return int(value)
