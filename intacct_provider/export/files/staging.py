"""Complete parts of an export under hidden names beside their destination, and how they get their own.

A part is committed when a small file of facts about it was written after it. Whatever happens, the owner's next try
finds by these what is complete, also half way through publishing.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from intacct_provider.exceptions import IntacctIncompleteReadError
from intacct_provider.export.completeness.tally import Tally
from intacct_provider.storage.files import (
    Written,
    check_place,
    read_small,
    remove,
    rename,
    sha256_of,
    writable,
    write_small,
)

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

#: Endings that belong to the kind of a file and stay last in the names of its parts.
_ENDINGS = frozenset(
    {".jsonl", ".ndjson", ".json", ".csv", ".txt", ".parquet", ".pq", ".gz", ".gzip", ".zst", ".zstd"}
)


@dataclass(frozen=True, slots=True)
class Part:
    """A file of an export.

    :param number: from 1.
    :param name: under which it is published, in the destination's folder.
    :param staged: under which it waits for that, in the same folder.
    :param full: whether it was cut, rather than the rows being at an end, so that a next try can go on after it.
    :param tally: facts about its rows.
    """

    number: int
    name: str
    staged: str
    bytes: int
    sha256: str
    full: bool
    tally: Tally

    @property
    def rows(self) -> int:
        """How many rows it has."""
        return self.tally.rows

    @property
    def first_key(self) -> str | None:
        """The key of its first row; None if it has none."""
        return self.tally.first_key

    @property
    def last_key(self) -> str | None:
        """The key of its last row; None if it has none."""
        return self.tally.last_key

    def facts(self) -> dict[str, Any]:
        """Return what a manifest tells of it."""
        return {
            "name": self.name,
            "rows": self.rows,
            "bytes": self.bytes,
            "sha256": self.sha256,
            "first_key": self.first_key,
            "last_key": self.last_key,
        }

    def record(self) -> dict[str, Any]:
        """Return everything as JSON has it, for the next try or another task."""
        return {name: getattr(self, name) for name in _PLAIN} | {"tally": self.tally.facts()}

    @classmethod
    def of_record(cls, record: Mapping[str, Any]) -> Part:
        """Return what :meth:`record` told."""
        return cls(**{name: record[name] for name in _PLAIN}, tally=Tally.of_facts(record["tally"]))


_PLAIN = ("number", "name", "staged", "bytes", "sha256", "full")


def part_name(name: str, label: str, number: int) -> str:
    """Return the name of a part, such as ``customers-r00003-00001.jsonl.gz`` of ``customers.jsonl.gz``."""
    stem, endings = split_name(name)
    return "-".join(filter(None, (stem, label, f"{number:05}"))) + endings


def split_name(name: str) -> tuple[str, str]:
    """Return a file's name without the endings that tell its kind, and those."""
    stem, endings = name, ""
    while (dot := stem.rfind(".")) > 0 and stem[dot:].lower() in _ENDINGS:
        stem, endings = stem[:dot], stem[dot:] + endings
    return stem, endings


class Staging:
    """The parts of one owner for one destination.

    :param form: what the bytes depend on apart from the rows, as JSON has it; parts of another form are of no use.
    :param attempt: number of the owner's try. Each writes to files of its own, since Airflow may begin one while
        another, which it has lost sight of, is alive.
    """

    def __init__(
        self,
        target: ObjectStoragePath,
        *,
        owner: str,
        label: str = "",
        form: Sequence[Any] = (),
        attempt: int = 1,
    ) -> None:
        self._target = target
        self._prefix = f".{target.name}.{_digest([owner, label])[:16]}"
        self._form = _digest(form)
        self._attempt = attempt
        self._is_whole = not label

    def staged(self, number: int, attempt: int | None = None) -> ObjectStoragePath:
        """Return where a part is until it is published."""
        return self._beside(f"-{number:05}.{attempt or self._attempt}.part")

    def begin(self) -> list[Part]:
        """Return the parts that an earlier try committed, and delete what else it left.

        A part that is not full is not among them: with rows that came since it would be another one.

        :raises IntacctArgumentError: if the destination cannot be written.
        """
        check_place(self._target)
        with writable(self._target):
            self._target.fs.invalidate_cache()
            found = list(self._committed())
            self._clear(len(found) + 1)
            self._remove_half_written(found)
        return found

    def commit(self, part: Part) -> None:
        """Keep a part, whose file is complete, for whatever comes."""
        record = {"form": self._form, **part.record()}
        write_small(self._facts(part.number), msgspec.json.encode(record))

    def publish(self, parts: Sequence[Part], manifest: ObjectStoragePath) -> None:
        """Give parts their names; may be called again after it failed half way."""
        publish(self._target, parts, manifest)

    def done(self, parts: Sequence[Part]) -> None:
        """Delete what is known about parts that are published, and about what they replaced."""
        if self._is_whole:  # what another task publishes, it forgets
            forget_replaced(self._target)
        # The last first: what is left if this fails is what a next try may begin from.
        for part in reversed(parts):
            remove(self._facts(part.number))

    def discard(self) -> None:
        """Delete every part that is not published."""
        self._clear(1)

    def _committed(self) -> Iterator[Part]:
        number = 1
        while (part := self._known(number)) and part.full and self._is_there(part):
            yield part
            number += 1

    def _known(self, number: int) -> Part | None:
        content = read_small(self._facts(number))
        try:
            record = msgspec.json.decode(content or b"")
            return Part.of_record(record) if record["form"] == self._form else None
        except (msgspec.DecodeError, LookupError, TypeError):
            return None  # written in part, or by another version

    def _is_there(self, part: Part) -> bool:
        """Whether the part's file is as it was written; it has its own name if publishing was interrupted."""
        for name in (part.staged, part.name):
            found = sha256_of(self._target.with_name(name))
            if found and (found.size, found.sha256) == (part.bytes, part.sha256):
                return True
        return False

    def _clear(self, first: int) -> None:
        """Delete the part of a number and those after it."""
        last = first
        while read_small(self._facts(last)) is not None:
            last += 1
        # The last first: at any moment those that are left follow on each other, for a next try to find them all.
        for number in range(last, first - 1, -1):
            known = self._known(number)
            remove(self._facts(number))
            remove(self._target.with_name(known.staged) if known else self.staged(number))

    def _remove_half_written(self, committed: Sequence[Part]) -> None:
        """Delete what earlier tries were writing when they ended: of each, the part after those committed by then."""
        for attempt in range(1, self._attempt):
            for part in committed:
                if part.staged != self.staged(part.number, attempt).name:
                    remove(self.staged(part.number, attempt))
            remove(self.staged(len(committed) + 1, attempt))

    def _facts(self, number: int) -> ObjectStoragePath:
        return self._beside(f"-{number:05}.facts.json")

    def _beside(self, ending: str) -> ObjectStoragePath:
        return self._target.with_name(self._prefix + ending)


def publish(target: ObjectStoragePath, parts: Sequence[Part], manifest: ObjectStoragePath) -> None:
    """Replace the export of a destination by staged parts; may be called again after it failed half way.

    The old manifest goes first, so that nobody takes new parts for what it tells of; then every part gets its name;
    last go parts of the old export that no new one replaced.

    :raises IntacctIncompleteReadError: if a part is not there any more.
    """
    target.fs.invalidate_cache()
    # Until there is a new manifest, nothing else knows what the old one named, and what got its name already.
    notes = _notes(target)
    before = {file: read_small(file) for file in (notes, manifest)}
    old = {name for name in _named(before.values()) if _belongs(name, target.name)}
    new = {part.name for part in parts}
    write_small(notes, msgspec.json.encode({"parts": [{"name": name} for name in sorted(old | new)]}))
    if before[manifest] is not None:
        remove(manifest)
    for part in parts:
        _give_name(target, part)
    for name in sorted(old - new):
        remove(target.with_name(name))


def forget_replaced(target: ObjectStoragePath) -> None:
    """Delete the notes of :func:`publish`, after the manifest was written."""
    remove(_notes(target))


def _notes(target: ObjectStoragePath) -> ObjectStoragePath:
    return target.with_name(f".{target.name}.replaced.json")


def _give_name(target: ObjectStoragePath, part: Part) -> None:
    staged, final = target.with_name(part.staged), target.with_name(part.name)
    if staged.fs.exists(staged.path) and staged.fs.size(staged.path) == part.bytes:
        rename(staged, final)
    elif sha256_of(final) != Written(part.bytes, part.sha256):
        raise IntacctIncompleteReadError(
            f"Part {part.name} of the export is neither staged nor in its place any more, so nothing was completed. "
            "Does another task write to the same destination?"
        )


def _named(contents: Iterable[bytes | None]) -> Iterator[str]:
    """Yield the names of files in manifests; none from one that cannot be read."""
    for content in contents:
        try:
            found = msgspec.json.decode(content or b"{}")
            parts = [*found.get("parts", ()), *(found.get("deletions") or {}).get("parts", ())]
            # The first version of manifests told of one file by its path.
            names = [part["name"] for part in parts] or [str(found.get("path", "")).rpartition("/")[2]]
        except (msgspec.DecodeError, LookupError, TypeError, AttributeError):
            continue
        yield from (name for name in names if isinstance(name, str))


def _belongs(name: str, target_name: str) -> bool:
    """Whether a file's name is one that an export to the destination gives; nothing else is ever deleted."""
    stem, endings = map(re.escape, split_name(target_name))
    return name == target_name or bool(re.fullmatch(rf"{stem}(\.deleted|-[^/]*\d{{5,}}){endings}", name))


def _digest(content: Any) -> str:
    return hashlib.sha256(msgspec.json.encode(content)).hexdigest()
