"""Complete parts of an export under hidden names beside their destination, kept for the next attempt.

A part is committed when a small record of it was written after it. Whatever happens, the owner's next attempt finds by
these records what is complete, even partway through publishing. A record names the part that its own follows, and no
two attempts write the same record, so an attempt that runs on after the next one has begun changes nothing that this
one continues from. What no attempt will continue from, since the last one was killed, a later export to the
destination finds by them, too.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import structs

from intacct_provider.client.keys import order_key
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

if TYPE_CHECKING:
    from intacct_provider.storage.claims import Claim

#: Age at which no attempt is expected to continue after a part.
LEFT = dt.timedelta(days=7)
_RECORD = re.compile(
    r"(?P<prefix>\.(?P<name>.+)\.[0-9a-f]{16})\.[0-9a-f]{8}-\d{5,}\.\d+(\.revised)?\.facts\.json"
)
_PART_ENDING, _RECORD_ENDING = "part", "facts.json"


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt of the task that exports.

    :param owner: the same for all attempts of one task and for no other task.
    :param number: of the attempt. Each writes to its own files, since Airflow may begin one while another, which it has
        lost contact with, still runs.
    :param last: whether no other attempt will follow, so that nothing needs to be kept for one.
    :param claim: which an attempt must still have to commit a part, and to delete what others have left.
    """

    owner: str
    number: int = 1
    last: bool = False
    claim: Claim | None = None

    def check(self) -> None:
        """Make sure that no other attempt, or task, has taken the destination over.

        :raises IntacctDestinationInUseError: naming who has.
        """
        if self.claim:
            self.claim.check()


class _Form(msgspec.Struct):
    form: str


class Staging:
    """The parts of one owner for one destination.

    :param form: what the bytes depend on apart from the rows, as JSON has it; parts of another form cannot be reused.
    :param label: goes into the names of the files.
    :param keyed: whether each row has a key of its own, so that no two parts have rows of one key.
    """

    def __init__(
        self,
        target: ObjectStoragePath,
        attempt: Attempt,
        *,
        form: Sequence[Any],
        label: str = "",
        keyed: bool = True,
    ) -> None:
        self._target, self._keyed = target, keyed
        self._prefix = f".{target.name}.{_digest([attempt.owner, label])[:16]}"
        self._form = _digest(form)
        self._attempt = attempt
        #: What attempts have committed, by hidden name.
        self._committed: dict[str, FilePart] = {}
        # Two processes may run the same attempt, when Airflow has lost contact with the first one.
        self._unique = make_unique()

    def staged_path(self, number: int, *, revised: bool = False) -> ObjectStoragePath:
        """Return the path of a part until it is published.

        :param revised: whether it takes the place of one that the attempt has written before.
        """
        ending = "revised." if revised else ""
        name = f"{self._prefix}.{self._unique}-{number:05}.{self._attempt.number}.{ending}{_PART_ENDING}"
        return self._target.with_name(name)

    def find(self, part: FilePart) -> ObjectStoragePath:
        """Return where the file of a part is."""
        return self._target.with_name(part.staged)

    def remove(self, part: FilePart) -> None:
        """Delete the file of a part that another one has taken the place of, and the record of it."""
        remove(self.find(part))
        remove(self._record(part.staged))

    def read_committed(self) -> list[FilePart]:
        """Return the parts that earlier attempts have committed, each of which follows one before it; latest first.

        A part that is not full is not among them: with rows added since then it would be a different one.

        :raises IntacctArgumentError: if the destination cannot be written.
        """
        check_place(self._target)
        with writable(self._target):
            self._target.fs.invalidate_cache()
            self._committed = {}
            for part in sorted(self._read_parts(), key=attrgetter("number")):
                if part.full and self._follows(part) and self._is_intact(part):
                    self._committed[part.staged] = part
        return sorted(self._committed.values(), key=attrgetter("number"), reverse=True)

    def resume(self, last: str) -> list[FilePart]:
        """Return the parts up to a committed one, and delete everything else that attempts have left.

        :param last: the hidden name of the part; empty for no parts.
        """
        kept: list[FilePart] = []
        while last:
            kept.append(self._committed[last])
            last = kept[-1].after
        with writable(self._target):
            self.clear(kept)
        return kept[::-1]

    def announce(self, number: int, name: str, staged: ObjectStoragePath) -> None:
        """Record a part that is about to be written, where a process that is killed leaves what it has written."""
        if staged.protocol not in WITHOUT_FOLDERS:
            self._write_record(FilePart(number, name, staged.name, 0, "", full=False, tally=Tally()))

    def retract(self, staged: ObjectStoragePath) -> None:
        """Forget a part that is not written after all."""
        if staged.protocol not in WITHOUT_FOLDERS:
            remove(self._record(staged.name))

    def commit(self, part: FilePart) -> None:
        """Keep a part, whose file is complete, for the next attempt.

        :raises IntacctDestinationInUseError: if this attempt is not the owner of the destination anymore.
        """
        self._attempt.check()
        self._write_record(part)

    def forget(self, parts: Sequence[FilePart]) -> None:
        """Delete what is known about parts, after they were published and their manifest was written.

        With them goes what tasks have left whose last attempt was killed.
        """
        # In reverse: if this fails, what is left is what a next attempt may continue from.
        for part in reversed(parts):
            remove(self._record(part.staged))
        for record in list_beside(self._target, f".{self._target.name}."):
            named = _RECORD.fullmatch(record.name)
            if named and named["name"] == self._target.name:
                self._remove_left(record, named["prefix"])

    def discard(self) -> None:
        """Delete every part that is not published."""
        self.clear(())

    def clear(self, kept: Sequence[FilePart]) -> None:
        """Delete all of the owner's hidden files, but for those of some parts.

        :raises IntacctDestinationInUseError: if they are another attempt's by now.
        """
        self._attempt.check()
        names = {name for part in kept for name in (part.staged, self._record(part.staged).name)}
        # In reverse: files go before the records of them, and what is left has consecutive numbers.
        for path in reversed(list_beside(self._target, self._prefix)):
            if path.name not in names:
                check_regular(path)
                remove(path)

    def _read_parts(self) -> Iterator[FilePart]:
        """Yield what the owner's attempts have recorded."""
        for path in list_beside(self._target, f"{self._prefix}."):
            if path.name.endswith(_RECORD_ENDING):
                part = _parse(read_small(path), self._form)
                if part and self._has_names(part, self._prefix) and self._record(part.staged) == path:
                    yield part

    def _follows(self, part: FilePart) -> bool:
        """Whether a part is the first, or the next one after a committed part, by number and keys."""
        before = self._committed.get(part.after)
        if before is None:
            return part.number == 1 and not part.after
        last, first = before.tally.last_key or "", part.tally.first_key or ""
        in_order = order_key(last) < order_key(first) if self._keyed else order_key(last) <= order_key(first)
        return part.number == before.number + 1 and in_order

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

    def _record(self, staged: str) -> ObjectStoragePath:
        """Return where the record of a part is: beside its file, under nearly the same name."""
        return self._target.with_name(staged.removesuffix(_PART_ENDING) + _RECORD_ENDING)

    def _write_record(self, part: FilePart) -> None:
        record = {"form": self._form, **structs.asdict(part)}
        write_small(self._record(part.staged), msgspec.json.encode(record))


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
