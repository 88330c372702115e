"""Complete parts of an export under hidden names beside their destination, kept for the next attempt.

A part is committed when a small record of it was written after it. Whatever happens, the owner's next attempt finds by
these records what is complete, even partway through publishing. What no attempt will continue from, since the last one
was killed, a later export to the destination finds by them, too.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import structs

from intacct_provider.export.completeness.tally import Tally
from intacct_provider.export.files.file_part import FilePart, belongs
from intacct_provider.storage.files import (
    ObjectStoragePath,
    check_place,
    hash_file,
    list_beside,
    make_unique,
    read_age,
    read_small,
    remove,
    remove_proven,
    writable,
    write_small,
)
from intacct_provider.storage.kinds import WITHOUT_FOLDERS, check_regular

#: Age at which no attempt is expected to continue after a part.
LEFT = dt.timedelta(days=7)
_RECORD = re.compile(r"(?P<prefix>\.(?P<name>.+)\.[0-9a-f]{16})-\d{5,}\.facts\.json")


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
        # Two processes may run the same attempt, when Airflow has lost contact with the first one.
        self._unique = make_unique()

    def staged_path(self, number: int, *, revised: bool = False) -> ObjectStoragePath:
        """Return the path of a part until it is published.

        :param revised: whether it takes the place of one that the attempt has written before.
        """
        ending = "revised.part" if revised else "part"
        return self._beside(f".{self._unique}-{number:05}.{self._attempt}.{ending}")

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
            self.clear(found)
        return found

    def announce(self, number: int, name: str, staged: ObjectStoragePath) -> None:
        """Record a part that is about to be written, where a process that is killed leaves what it has written."""
        if staged.protocol not in WITHOUT_FOLDERS:
            self.commit(FilePart(number, name, staged.name, 0, "", full=False, tally=Tally()))

    def retract(self, number: int) -> None:
        """Forget a part that is not written after all."""
        if self._target.protocol not in WITHOUT_FOLDERS:
            remove(self._record(number))

    def commit(self, part: FilePart) -> None:
        """Keep a part, whose file is complete, for the next attempt."""
        record = {"form": self._form, **structs.asdict(part)}
        write_small(self._record(part.number), msgspec.json.encode(record))

    def forget(self, parts: Sequence[FilePart]) -> None:
        """Delete what is known about parts, after they were published and their manifest was written.

        With them goes what tasks have left whose last attempt was killed.
        """
        # In reverse: if this fails, what is left is what a next attempt may continue from.
        for part in reversed(parts):
            remove(self._record(part.number))
        for record in list_beside(self._target, f".{self._target.name}."):
            named = _RECORD.fullmatch(record.name)
            if named and named["name"] == self._target.name:
                self._remove_left(record, named["prefix"])

    def discard(self) -> None:
        """Delete every part that is not published."""
        self.clear(())

    def clear(self, kept: Sequence[FilePart]) -> None:
        """Delete all of the owner's hidden files, but for those of some parts."""
        names = {name for part in kept for name in (part.staged, self._record(part.number).name)}
        # In reverse: files go before the records of them, and what is left has consecutive numbers.
        for path in reversed(list_beside(self._target, self._prefix)):
            if path.name not in names:
                check_regular(path)
                remove(path)

    def _list_committed(self) -> Iterator[FilePart]:
        number = 1
        while (part := self._read_part(number)) and part.full and self._is_intact(part):
            yield part
            number += 1

    def _remove_left(self, record: ObjectStoragePath, prefix: str) -> None:
        """Delete an old part, and the record of it, if it is as the record says.

        :param prefix: of the names that the owner of the record gives.
        """
        part = _parse(read_small(record))
        if part is None or not self._has_names(part, prefix):
            return
        file = self.find(part)
        if any((age := read_age(path)) is not None and age < LEFT for path in (record, file)):
            return
        if part.sha256:
            remove_proven(file, part.sha256)
        else:
            remove(file)  # never complete, under a name that nobody else can know
        if read_age(file) is None:
            remove(record)

    def _read_part(self, number: int) -> FilePart | None:
        part = _parse(read_small(self._record(number)), self._form)
        return part if part and self._has_names(part, self._prefix) else None

    def _has_names(self, part: FilePart, prefix: str) -> bool:
        """Whether a part has names that an owner gives."""
        return (
            part.staged.startswith(f"{prefix}.")
            and "/" not in part.staged
            and belongs(part.name, self._target.name)
        )

    def _is_intact(self, part: FilePart) -> bool:
        """Whether the part's file is as it was written; it may have its final name if publishing was interrupted."""
        for name in (part.staged, part.name):
            found = hash_file(self._target.with_name(name))
            if found and (found.size, found.sha256) == (part.bytes, part.sha256):
                return True
        return False

    def _record(self, number: int) -> ObjectStoragePath:
        return self._beside(f"-{number:05}.facts.json")

    def _beside(self, ending: str) -> ObjectStoragePath:
        return self._target.with_name(self._prefix + ending)


def _parse(record: bytes | None, form: str | None = None) -> FilePart | None:
    """Return what a record says; None if it was written in part, or by another version.

    :param form: that the part must have; None for any.
    """
    try:
        if form is not None and msgspec.json.decode(record or b"", type=_Form).form != form:
            return None
        return msgspec.json.decode(record or b"", type=FilePart)
    except msgspec.DecodeError:
        return None


def _digest(content: Any) -> str:
    return hashlib.sha256(msgspec.json.encode(content)).hexdigest()
