"""What a watcher remembers: the changes it has reported, and the event that may not be stored yet.

A change is a pair of a record's key and its timestamp. The pairs within the look-back are kept packed: keys that are
numbers as differences, compressed: 10,000 random keys take 25 to 75 KB, 100,000 up to 400 KB, and 100,000 keys in a row
6 KB. There are never more than :data:`MAX_PAIRS`: beyond that the look-back is shortened to the latest ones.
"""

from __future__ import annotations

import base64
import datetime as dt
import logging
import zlib
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

log = logging.getLogger(__name__)

#: Pairs that are remembered at most, unless one second alone has more.
MAX_PAIRS = 100_000
_VERSION = 1

#: The keys that have each timestamp.
Pairs = dict[str, set[str]]


class Cursor(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where a watcher stands; stored as text with the asset.

    :param polled: the server's time of the poll that it is from.
    :param floor: timestamp from which on changes are read.
    :param reported: the pairs from there on that were reported, packed.
    :param pending: the payload of an event that was sent and is not known to be stored. It is sent again, as it is.
    """

    polled: str
    floor: str
    reported: str = ""
    pending: dict[str, Any] | None = None
    version: int = _VERSION

    @classmethod
    def from_text(cls, text: str) -> Cursor | None:
        """Return the cursor that was stored; None if this version cannot read it."""
        try:
            cursor = msgspec.json.decode(text, type=cls)
        except msgspec.DecodeError:
            return None
        return cursor if cursor.version == _VERSION else None

    def to_text(self) -> str:
        """Return the cursor as text."""
        return msgspec.json.encode(self).decode()


def pack(pairs: Mapping[str, Iterable[str]]) -> str:
    """Return pairs as text; the same pairs as the same text."""
    lines = [(stamp, *_split_keys(pairs[stamp])) for stamp in sorted(pairs)]
    return base64.b85encode(zlib.compress(msgspec.json.encode(lines))).decode() if lines else ""


def unpack(text: str) -> Pairs:
    """Return the pairs of a text that :func:`pack` made."""
    if not text:
        return {}
    lines = msgspec.json.decode(zlib.decompress(base64.b85decode(text)))
    return {stamp: {*_add_up(steps), *others} for stamp, steps, others in lines}


def limit_pairs(pairs: Pairs, floor: str) -> tuple[Pairs, str]:
    """Drop what is earlier than the floor; raise the floor if too many pairs are left.

    :return: the pairs and their floor.
    """
    kept: Pairs = {}
    count = 0
    for stamp in sorted(pairs, key=parse_stamp, reverse=True):
        if parse_stamp(stamp) < parse_stamp(floor):
            break
        count += len(pairs[stamp])
        if kept and count > MAX_PAIRS:
            floor = min(kept, key=parse_stamp)
            log.warning(
                "Intacct: more than %d changes are within the look-back. It is shortened, and starts at %s: a change "
                "that appears with an earlier timestamp is not reported.",
                MAX_PAIRS, floor,
            )  # fmt: skip
            break
        kept[stamp] = pairs[stamp]
    return kept, floor


def parse_stamp(stamp: str) -> dt.datetime:
    """Return a timestamp as Intacct writes it; without an offset it is in UTC."""
    moment = dt.datetime.fromisoformat(stamp)
    return moment.replace(tzinfo=moment.tzinfo or dt.UTC)


def format_stamp(moment: dt.datetime) -> str:
    """Return a moment as Intacct writes timestamps."""
    return moment.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")


def _split_keys(keys: Iterable[str]) -> tuple[list[int], list[str]]:
    """Return whole numbers as differences, which compress well, and the other keys."""
    numbers, others = [], []
    for key in keys:
        if key.isascii() and key.isdigit() and (key[0] != "0" or key == "0"):
            numbers.append(int(key))
        else:
            others.append(key)
    numbers.sort()
    return [now - before for before, now in zip([0, *numbers], numbers, strict=False)], sorted(others)


def _add_up(steps: Iterable[int]) -> Iterable[str]:
    total = 0
    for step in steps:
        total += step
        yield str(total)
