"""The files of an export: what is known of each, and how they are named."""

from __future__ import annotations

import re

import msgspec

from intacct_provider.export.completeness.tally import Tally
from intacct_provider.export.files.file_names import ENDINGS


class FilePart(msgspec.Struct, frozen=True):
    """A file of an export, as the next attempt or another task finds it.

    :param number: from 1.
    :param name: under which it is published, in the folder of the destination.
    :param staged: under which it is kept until then, in the same folder.
    :param full: whether it was cut, rather than the rows having ended, so that a next attempt can continue after it.
    :param tally: facts about its rows.
    :param after: the hidden name of the part before it.
    :param lists: the hidden name of the last part of each list of the records by then, where lists have files of their
        own; empty for one that had none.
    """

    number: int
    name: str
    staged: str
    bytes: int
    sha256: str
    full: bool
    tally: Tally
    after: str = ""
    lists: tuple[str, ...] = ()

    def summarize(self) -> PartSummary:
        """Return what a manifest says about it."""
        tally = self.tally
        return PartSummary(self.name, tally.rows, self.bytes, self.sha256, tally.first_key, tally.last_key)


class PartSummary(msgspec.Struct, frozen=True):
    """What a manifest says about a file."""

    name: str
    rows: int
    bytes: int
    sha256: str
    first_key: str | None
    last_key: str | None


def part_name(name: str, label: str, number: int) -> str:
    """Return the name of a part, such as ``customers-r00003-00001.jsonl.gz`` of ``customers.jsonl.gz``."""
    stem, endings = split_name(name)
    return "-".join(filter(None, (stem, label, f"{number:05}"))) + endings


def added_name(name: str, what: str) -> str:
    """Return the name of a further file of an export, such as ``groups.accountRanges.jsonl`` of ``groups.jsonl``."""
    stem, endings = split_name(name)
    return f"{stem}.{what}{endings}"


def split_name(name: str) -> tuple[str, str]:
    """Return a file's name without the endings that belong to its kind, and these endings."""
    stem, endings = name, ""
    while (dot := stem.rfind(".")) > 0 and stem[dot:].lower() in ENDINGS:
        stem, endings = stem[:dot], stem[dot:] + endings
    return stem, endings


def belongs(name: str, target_name: str) -> bool:
    """Whether an export to a destination gives a file this name."""
    stem, endings = map(re.escape, split_name(target_name))
    return bool(re.fullmatch(rf"{stem}(\.[^/]+)?(-(r\d{{5,}}-)?\d{{5,}})?{endings}", name))
