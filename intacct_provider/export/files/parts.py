"""Rows into the files of an export, which are staged under hidden names and kept for the next attempt."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain
from operator import itemgetter
from typing import Any, Self

from msgspec import structs

from intacct_provider.client.paging.key_intervals import pack_keys, unpack_keys
from intacct_provider.client.paging.pages import Page
from intacct_provider.export.completeness.tally import Tally
from intacct_provider.export.files.encoders import Encoder, encoder_factory
from intacct_provider.export.files.file_part import FilePart, part_name
from intacct_provider.export.files.options import FileOptions
from intacct_provider.export.files.staging import Attempt, Staging
from intacct_provider.export.files.stored import insert_rows, is_stored, read_stored
from intacct_provider.export.schema.columns import Column
from intacct_provider.storage.files import ObjectStoragePath, Upload, writable

#: Goes up when the same rows make other bytes, so that no export continues from parts of another kind.
_BYTES_VERSION = 1


class Parts:
    """Writes rows to one file, or to several of about equal size; as a context manager it drops what is half written.

    Call :meth:`begin`, :meth:`write` for each page, and :meth:`finish`. The files stay hidden. If a task dies, its next
    attempt begins after the last part that was cut full; the bytes are those of an undisturbed export.

    :param target: the destination; several parts are named after it, ``customers-00001.jsonl`` and so on.
    :param count: makes the facts about a page's rows.
    :param label: goes into the names of parts, which are numbered even if there is only one.
    :param keyed: whether each row has a key of its own, by which others can be put among them.
    """

    def __init__(
        self,
        target: ObjectStoragePath,
        columns: Sequence[Column],
        options: FileOptions,
        attempt: Attempt,
        *,
        count: Callable[[Page], Tally],
        label: str = "",
        keyed: bool = True,
    ) -> None:
        self._keyed = keyed
        self._target, self._options, self._count, self._label = target, options, count, label
        self._make_encoder = encoder_factory(columns, options)
        form = [_BYTES_VERSION, columns, *structs.astuple(options)]
        self._staging = Staging(target, attempt, form=form, label=label, keyed=keyed)
        self._parts: list[FilePart] = []
        self._open: _OpenPart | None = None
        #: Keys of the rows of each part that this attempt has written, in little memory.
        self._keys: dict[int, list[bytes]] = {}
        self._revised = False
        #: What rows add up to that are written a second time, as they are in a file.
        self._carried = Tally()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.abandon()

    def begin(self) -> Tally | None:
        """Make sure that the destination can be written, and find what an earlier attempt of the owner left.

        :return: facts about the rows of complete parts, which need not be read again; None if there are none.
        :raises IntacctArgumentError: if the destination cannot be written.
        """
        found = self.read_committed()
        self.resume(found[0].staged if found else "")
        return Tally.combine(part.tally for part in self._parts) if self._parts else None

    def read_committed(self) -> list[FilePart]:
        """Return the parts that earlier attempts of the owner left complete, the latest first.

        :raises IntacctArgumentError: if the destination cannot be written.
        """
        if self._options.needs_pyarrow:
            # It takes longer to load than a page to arrive.
            threading.Thread(target=_load_pyarrow, name="load-pyarrow").start()
        return self._staging.read_committed()

    def resume(self, last: str) -> None:
        """Continue after one of these parts, and delete what does not come before it.

        :param last: the part's hidden name; empty to begin with no parts.
        """
        self._parts = self._staging.resume(last)

    def write(self, page: Page, *, resumable: bool = True) -> None:
        """Write rows: structs of one form or, with whole records, mappings.

        :param resumable: whether rows come in order of key, so that a next attempt can continue after complete parts.
        :raises IntacctColumnError: if a value does not fit its column.
        """
        while len(page):
            page = page.part(self.fill(page, resumable=resumable))
            if self.is_full:
                self.cut(full=resumable)

    def fill(self, page: Page, *, resumable: bool = True) -> int:
        """Write rows, at least one, until there are no more or the part is full; return how many were written."""
        part = self._open = self._open or self._open_next()
        rows = page if self.room is None else page.part(0, self.room)
        written = part.encoder.write(rows.keys, rows.rows, self._options.bytes_per_part)
        rows = rows if written == len(rows) else rows.part(0, written)
        part.tally.join(_count_stored(rows) if is_stored(rows.rows) else self._count(rows))
        if resumable and self._keyed:
            self._keys.setdefault(part.number, []).append(rows.packed or pack_keys(list(map(int, rows.keys))))
        return written

    @property
    def room(self) -> int | None:
        """How many rows the part that is written may have still; None for any number."""
        most, part = self._options.rows_per_part, self._open
        return most - (part.tally.rows if part else 0) if most else None

    @property
    def is_full(self) -> bool:
        """Whether the part that is written has as many rows or bytes as it may have."""
        part, most = self._open, self._options.bytes_per_part
        return part is not None and (self.room == 0 or bool(most and part.encoder.size >= most))

    @property
    def complete(self) -> list[FilePart]:
        """The complete parts."""
        return list(self._parts)

    @property
    def last(self) -> str:
        """The hidden name of the last complete part; empty if there is none."""
        return self._parts[-1].staged if self._parts else ""

    def cut(self, *, full: bool, lists: tuple[str, ...] = ()) -> None:
        """Complete the part that is written, if there is one.

        :param full: whether a next attempt can continue after it.
        :param lists: the last part of each list by then.
        """
        if self._open:
            self._commit(full=full, lists=lists)

    def read(self) -> Iterator[Sequence[Any]]:
        """Yield the rows of the complete parts as they are stored, some at a time."""
        for part in self._parts:
            yield from read_stored(self._staging.find(part), self._options)

    def finish(self) -> list[FilePart]:
        """Complete the last part; there is at least one, with no rows if there are none."""
        if self._open is None and not self._parts:
            self._open = self._open_next()
        self.cut(full=False)
        return self.complete

    def insert(self, late: Sequence[Page], *, resumable: bool = True) -> None:
        """Put rows among those of the complete parts in order of key, which writes the parts from there on again.

        If the task dies meanwhile, its next attempt continues after the parts that are complete by then.

        :param late: rows of records with keys that the parts do not have yet.
        :param resumable: whether it may continue after parts that were written again, too.
        """
        self.finish()
        rows = sorted(
            ((int(key), page.part(n, n + 1)) for page in late for n, key in enumerate(page.keys)),
            key=itemgetter(0),
        )
        kept = sum(1 for part in self._parts if part.full and int(part.tally.last_key or 0) < rows[0][0])
        old = self._parts[kept:]
        for part in reversed(old):
            # Not what a next attempt may continue with, since it follows a part that is written again.
            self._staging.commit(structs.replace(part, full=False))
        packed = [one for part in old for one in self._keys.pop(part.number, ())]
        stored = (read_stored(self._staging.find(part), self._options) for part in old)
        self._parts, self._revised = self._parts[:kept], True
        self._carried = Tally(sums=Tally.combine(part.tally for part in old).sums)
        for page in insert_rows(
            chain.from_iterable(stored), chain.from_iterable(map(unpack_keys, packed)), rows
        ):
            self.write(page, resumable=resumable)
        self.finish()
        for part in old:
            self._staging.remove(part)

    def discard(self) -> None:
        """Delete everything that is not published."""
        self.abandon()
        self._staging.discard()
        self._parts, self._revised = [], False
        self._keys.clear()

    def forget(self) -> None:
        """Forget the export, after its manifest was written; the owner's next export starts from the beginning."""
        self._staging.forget(self._parts)

    def abandon(self) -> None:
        """Drop the part that is half written; those that are complete stay for the next attempt."""
        if self._open:
            self._drop(self._open)
            self._open = None

    def _open_next(self) -> _OpenPart:
        number = len(self._parts) + 1
        with writable(self._target):
            staged = self._staging.staged_path(number, revised=self._revised)
            self._staging.announce(number, self._name(number), staged)
            upload = Upload(staged)
        part = _OpenPart(number, upload, self._make_encoder(upload.write))
        part.tally.join(self._carried)
        self._carried = Tally()
        return part

    def _commit(self, *, full: bool, lists: tuple[str, ...]) -> None:
        part, self._open = self._open, None
        assert part is not None  # noqa: S101 -- the caller has looked
        try:
            part.encoder.close()
            written = part.upload.close()
            committed = FilePart(
                part.number,
                self._name(part.number),
                part.upload.path.name,
                written.size,
                written.sha256,
                full,
                part.tally,
                self.last,
                lists,
            )
            self._staging.commit(committed)
        except BaseException:
            self._drop(part)
            raise
        self._parts.append(committed)

    def _drop(self, part: _OpenPart) -> None:
        part.upload.abandon()
        with suppress(Exception):  # what has failed matters more
            self._staging.retract(part.upload.path)

    def _name(self, number: int) -> str:
        numbered = self._options.in_parts or self._label
        return part_name(self._target.name, self._label, number) if numbered else self._target.name


@dataclass(slots=True)
class _OpenPart:
    number: int
    upload: Upload
    encoder: Encoder
    tally: Tally = field(default_factory=Tally)


def _count_stored(page: Page) -> Tally:
    """Return the facts about rows whose amounts are counted already."""
    return Tally(len(page), page.keys[0], page.keys[-1])


def _load_pyarrow() -> None:
    import pyarrow.parquet  # noqa: F401
