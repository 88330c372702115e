"""Keys of an object, as numbers: from which to which, and which of them a read has returned, in little memory."""

from __future__ import annotations

import zlib
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, islice
from operator import sub
from typing import Any, NamedTuple

from intacct_provider.client.keys import as_number
from intacct_provider.client.query.request import Query
from intacct_provider.exceptions import IntacctArgumentError


class Interval(NamedTuple):
    """What one page covers: all records with keys above the interval before it and up to ``last``.

    :param packed: the keys, as :func:`pack_keys` returns them.
    """

    first: int
    last: int
    rows: int
    packed: bytes

    def unpack(self) -> list[int]:
        """Return the keys in rising order."""
        return unpack_keys(self.packed)


@dataclass(frozen=True, slots=True)
class Bounds:
    """The keys that a read is about: above one and up to another; None for no bound."""

    above: int | None = None
    upto: int | None = None

    @classmethod
    def from_text(cls, above: str | None, upto: str | None) -> Bounds:
        """Return bounds whose keys are text.

        :raises IntacctArgumentError: for text that is not a key.
        """
        return cls(_read_key("above", above), _read_key("upto", upto))

    def include(self, key: int) -> bool:
        """Whether a key lies within the bounds."""
        return (self.above is None or key > self.above) and (self.upto is None or key <= self.upto)

    def narrow(self, query: Query) -> Query:
        """Return the query of the records within the bounds."""
        return limit_keys(query, ("$gt", self.above), ("$lte", self.upto))


def limit_keys(query: Query, *limits: tuple[str, int | None]) -> Query:
    """Return the query of the records whose keys compare so with those given; None means no limit."""
    for operator, key in limits:
        if key is not None:
            query = query.narrow({operator: {"key": str(key)}})
    return query


def select_keys(query: Query, keys: Iterable[int | str]) -> Query:
    """Return the query of the records with one of these keys."""
    return query.narrow({"$in": {"key": list(map(str, keys))}})


def pack_keys(keys: Sequence[int]) -> bytes:
    """Return rising keys in little memory: about two bytes each, or next to none if they are consecutive."""
    try:
        if keys[-1] - keys[0] == len(keys) - 1:
            return b"r" + array("Q", (keys[0], len(keys))).tobytes()
        steps = array("Q", (keys[0], *map(sub, islice(keys, 1, None), keys)))
    except OverflowError:
        return b"t" + zlib.compress(",".join(map(str, keys)).encode(), 1)
    return b"z" + zlib.compress(steps.tobytes(), 1)


def unpack_keys(packed: bytes) -> list[int]:
    """Return the keys that :func:`pack_keys` was given."""
    if packed[:1] == b"r":
        first, count = array("Q", packed[1:])
        return list(range(first, first + count))
    if packed[:1] == b"t":
        return list(map(int, zlib.decompress(packed[1:]).split(b",")))
    return list(accumulate(array("Q", zlib.decompress(packed[1:]))))


def _read_key(name: str, value: Any) -> int | None:
    key = as_number(value)
    if value is not None and key is None:
        raise IntacctArgumentError(f"{name} must be a key, such as '24', not {value!r}.")
    return key
