"""Complete parts of an export under hidden names beside their destination, kept for the next attempt.

A part is committed when a small record of it was written after it. Whatever happens, the owner's next attempt finds by
these records what is complete, even partway through publishing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import msgspec
from msgspec import structs

from intacct_provider.export.files.file_part import FilePart
from intacct_provider.storage.files import (
    ObjectStoragePath,
    check_place,
    hash_file,
    read_small,
    remove,
    writable,
    write_small,
)


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt of the task that exports.

    :param owner: the same for all attempts of one task and for no other task.
    :param number: of the attempt. Each writes to its own files, since Airflow may begin one while another, which it has
        lost contact with, still runs.
    :param last: whether no other attempt will follow, so that nothing needs to be kept for one.
    """

    owner: str
    number: int = 1
    last: bool = False


class _Form(msgspec.Struct):
    form: str


class Staging:
    """The parts of one owner for one destination.

    :param form: what the bytes depend on apart from the rows, as JSON has it; parts of another form cannot be reused.
    :param label: goes into the names of the files.
    """

    def __init__(
        self, target: ObjectStoragePath, attempt: Attempt, *, form: Sequence[Any], label: str = ""
    ) -> None:
        self._target = target
        self._prefix = f".{target.name}.{_digest([attempt.owner, label])[:16]}"
        self._form = _digest(form)
        self._attempt = attempt.number

    def staged_path(
        self, number: int, attempt: int | None = None, *, revised: bool = False
    ) -> ObjectStoragePath:
        """Return the path of a part until it is published.

        :param revised: whether it takes the place of one that the attempt has written before.
        """
        ending = "revised.part" if revised else "part"
        return self._beside(f"-{number:05}.{attempt or self._attempt}.{ending}")

    def find(self, part: FilePart) -> ObjectStoragePath:
        """Return where the file of a part is."""
        return self._target.with_name(part.staged)

    def remove(self, part: FilePart) -> None:
        """Delete the file of a part that another one has taken the place of."""
        remove(self.find(part))

    def begin(self) -> list[FilePart]:
        """Return the parts that an earlier attempt committed, and delete everything else that it left.

        A part that is not full is not among them: with rows added since then it would be a different one.

        :raises IntacctArgumentError: if the destination cannot be written.
        """
        check_place(self._target)
        with writable(self._target):
            self._target.fs.invalidate_cache()
            found = list(self._list_committed())
            self._clear(len(found) + 1)
            self._remove_half_written(found)
        return found

    def commit(self, part: FilePart) -> None:
        """Keep a part, whose file is complete, for the next attempt."""
        record = {"form": self._form, **structs.asdict(part)}
        write_small(self._record(part.number), msgspec.json.encode(record))

    def forget(self, parts: Sequence[FilePart]) -> None:
        """Delete what is known about parts, after they were published and their manifest was written."""
        # In reverse: if this fails, what is left is what a next attempt may continue from.
        for part in reversed(parts):
            remove(self._record(part.number))

    def discard(self) -> None:
        """Delete every part that is not published."""
        self._clear(1)

    def _list_committed(self) -> Iterator[FilePart]:
        number = 1
        while (part := self._read_part(number)) and part.full and self._is_intact(part):
            yield part
            number += 1

    def _read_part(self, number: int) -> FilePart | None:
        content = read_small(self._record(number)) or b""
        try:
            same = msgspec.json.decode(content, type=_Form).form == self._form
            return msgspec.json.decode(content, type=FilePart) if same else None
        except msgspec.DecodeError:
            return None  # written in part, or by another version

    def _is_intact(self, part: FilePart) -> bool:
        """Whether the part's file is as it was written; it may have its final name if publishing was interrupted."""
        for name in (part.staged, part.name):
            found = hash_file(self._target.with_name(name))
            if found and (found.size, found.sha256) == (part.bytes, part.sha256):
                return True
        return False

    def _clear(self, first: int) -> None:
        """Delete the part of a number and those after it."""
        last = first
        while read_small(self._record(last)) is not None:
            last += 1
        # In reverse, so that those that are left have consecutive numbers and a next attempt finds them all.
        for number in range(last, first - 1, -1):
            known = self._read_part(number)
            remove(self._record(number))
            remove(self._target.with_name(known.staged) if known else self.staged_path(number))

    def _remove_half_written(self, committed: Sequence[FilePart]) -> None:
        """Delete what earlier attempts were writing when they ended: the part after those committed by then."""
        for attempt, revised in product(range(1, self._attempt), (False, True)):
            for part in committed:
                path = self.staged_path(part.number, attempt, revised=revised)
                if part.staged != path.name:
                    remove(path)
            remove(self.staged_path(len(committed) + 1, attempt, revised=revised))

    def _record(self, number: int) -> ObjectStoragePath:
        return self._beside(f"-{number:05}.facts.json")

    def _beside(self, ending: str) -> ObjectStoragePath:
        return self._target.with_name(self._prefix + ending)


def _digest(content: Any) -> str:
    return hashlib.sha256(msgspec.json.encode(content)).hexdigest()
