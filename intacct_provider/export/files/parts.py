"""The files of an export: staged under hidden names, kept for the next try, and published together."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from intacct_provider.client.paging.pages import Page
from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.export.completeness.tally import Tally
from intacct_provider.export.files.encoders import Encoder, encoder_for
from intacct_provider.export.files.staging import Part, Staging, part_name
from intacct_provider.export.schema.columns import Column, column_facts
from intacct_provider.storage.files import Upload

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

__all__ = ["Part", "Parts"]

#: Goes up when the same rows make other bytes, so that no export continues from parts of another kind.
_BYTES_VERSION = 1


class Parts:
    """Writes rows to one file, or to several of about equal size.

    In order: :meth:`begin`, :meth:`write` for each page, :meth:`finish`, :meth:`publish`, the manifest, :meth:`done`.
    Nothing is to be seen before :meth:`publish`. If a task dies, its next try begins after the last part that was cut
    full; the bytes are those of an undisturbed export. As a context manager it drops what is half written.

    :param target: the file's destination; several parts are called after it, ``customers-00001.jsonl`` and so on.
    :param rows_per_part: rows after which a part ends.
    :param bytes_per_part: a part ends with the row, in a Parquet file with the row group, that makes it so big; before
        compression, but after it in a Parquet file.
    :param owner: the same for all tries of one task and for no other task.
    :param counter: makes the facts about a page's rows.
    :param attempt: number of the owner's try.
    :param label: goes into the names of parts, which are numbered even if there is only one.
    :raises IntacctArgumentError: for a format, compression or size that there is not.
    """

    def __init__(
        self,
        target: ObjectStoragePath,
        *,
        columns: Sequence[Column],
        file_format: str = "jsonl",
        compression: str | None = None,
        csv_safe: bool = False,
        rows_per_part: int | None = None,
        bytes_per_part: int | None = None,
        owner: str,
        counter: Callable[[Page], Tally],
        attempt: int = 1,
        label: str = "",
    ) -> None:
        self._rows_per_part = _whole_number("rows_per_part", rows_per_part)
        self._bytes_per_part = _whole_number("bytes_per_part", bytes_per_part)
        self._encoder_for = encoder_for(file_format, columns, compression=compression, csv_safe=csv_safe)
        self._needs_pyarrow = file_format == "parquet" or compression == "zstd"
        self._target, self._counter, self._label = target, counter, label
        self._one = not (rows_per_part or bytes_per_part or label)
        form = [_BYTES_VERSION, column_facts(columns), file_format, compression, csv_safe]
        form += [rows_per_part, bytes_per_part]
        self._staging = Staging(target, owner=owner, label=label, form=form, attempt=attempt)
        #: Whether complete parts are kept for the next try; not where rows come in no order that it could go on in.
        self.resumable = True
        self._parts: list[Part] = []
        self._open: _OpenPart | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.abandon()

    def begin(self) -> Tally | None:
        """Make sure that the destination can be written, and find what an earlier try of the owner left.

        :return: facts about the rows of parts that are complete, which need not be read again; None if there are none.
        :raises IntacctArgumentError: if the destination cannot be written.
        """
        if self._needs_pyarrow:
            # It takes longer to load than a page to arrive.
            threading.Thread(target=_load_pyarrow, name="load-pyarrow").start()
        self._parts = self._staging.begin()
        if not self._parts:
            return None
        return Tally.joined(part.tally for part in self._parts)

    def write(self, page: Page) -> None:
        """Take rows: structs of one form or, with whole records, mappings.

        :raises IntacctColumnError: if a value does not fit its column.
        """
        while len(page):
            taken = self._write_some(page)
            page = page.part(taken)

    def finish(self) -> list[Part]:
        """Complete the last part; there is at least one, with no rows if there are none."""
        if self._open is None and not self._parts:
            self._open = self._next()
        if self._open:
            self._commit(full=False)
        return list(self._parts)

    def publish(self, manifest: ObjectStoragePath) -> None:
        """Give the parts their names in place of what the manifest, if there is one, tells of."""
        self._staging.publish(self._parts, manifest)

    def done(self) -> None:
        """Forget the export, after its manifest was written; the owner's next export begins anew."""
        self._staging.done(self._parts)

    def abandon(self) -> None:
        """Drop the part that is half written; those that are complete stay for the next try."""
        if self._open:
            self._open.upload.abandon()
            self._open = None

    def discard(self) -> None:
        """Delete everything that is not published."""
        self.abandon()
        self._staging.discard()
        self._parts = []

    def _write_some(self, page: Page) -> int:
        part = self._open = self._open or self._next()
        rows = page.part(0, self._rows_per_part - part.tally.rows) if self._rows_per_part else page
        taken = part.encoder.write(rows.keys, rows.rows, self._bytes_per_part)
        part.tally.join(self._counter(rows if taken == len(rows) else rows.part(0, taken)))
        if (self._rows_per_part and part.tally.rows >= self._rows_per_part) or (
            self._bytes_per_part and part.encoder.size >= self._bytes_per_part
        ):
            self._commit(full=True)
        return taken

    def _next(self) -> _OpenPart:
        number = len(self._parts) + 1
        upload = Upload(self._staging.staged(number))
        return _OpenPart(number, upload, self._encoder_for(upload.write))

    def _commit(self, *, full: bool) -> None:
        part, self._open = self._open, None
        assert part is not None  # noqa: S101 -- both callers have looked
        try:
            part.encoder.close()
            written = part.upload.close()
        except BaseException:
            part.upload.abandon()
            raise
        name = self._target.name if self._one else part_name(self._target.name, self._label, part.number)
        goes_on = full and self.resumable
        made = Part(
            part.number, name, part.upload.path.name, written.size, written.sha256, goes_on, part.tally
        )
        self._staging.commit(made)
        self._parts.append(made)


@dataclass(slots=True)
class _OpenPart:
    number: int
    upload: Upload
    encoder: Encoder
    tally: Tally = field(default_factory=Tally)


def _whole_number(name: str, value: Any) -> int | None:
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and value > 0):
        return value
    raise IntacctArgumentError(
        f"{name} must be a whole number above zero, not {value!r}; leave it out for one file."
    )


def _load_pyarrow() -> None:
    import pyarrow.parquet  # noqa: F401
