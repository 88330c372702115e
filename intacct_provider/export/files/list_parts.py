"""Records and the rows of their lists into files of their own, which are staged and published together."""

from __future__ import annotations

from collections.abc import Sequence

from intacct_provider.client.paging.pages import Page
from intacct_provider.export.completeness.tally import Counter, Tally
from intacct_provider.export.files.file_part import FilePart, split_name
from intacct_provider.export.files.options import FileOptions
from intacct_provider.export.files.parts import Parts
from intacct_provider.export.files.staging import Attempt
from intacct_provider.export.schema.lists import ListTable, split_page
from intacct_provider.storage.files import ObjectStoragePath


class ListParts:
    """Writes records to their parts, and each of their lists to parts of its own.

    The rows of a list come in the order of the records; those of records that were found last come last. A retry begins
    with the first record: where a part of the records ends, those of the lists do not.

    :param records: the parts of the records.
    """

    def __init__(
        self,
        records: Parts,
        target: ObjectStoragePath,
        lists: Sequence[ListTable],
        options: FileOptions,
        attempt: Attempt,
        *,
        label: str = "",
    ) -> None:
        self._records, self._lists = records, lists
        self._parts = [
            Parts(
                list_target(target, one.name), one.columns, options, attempt, count=Counter(()), label=label
            )
            for one in lists
        ]
        self._written: list[list[FilePart]] = []

    @property
    def _all(self) -> list[Parts]:
        return [self._records, *self._parts]

    def begin(self) -> Tally | None:
        """Begin from nothing, whatever an earlier attempt has left."""
        self._records.discard()
        for parts in self._all:
            parts.begin()
        return None

    def write(self, page: Page, *, resumable: bool = True) -> None:
        """Write records and the rows of their lists."""
        records, rows = split_page(page, self._lists)
        self._records.write(records, resumable=resumable)
        self._write_lists(rows)

    def insert(self, late: Sequence[Page]) -> None:
        """Put records among the others in order of key, and the rows of their lists at the end."""
        split = [split_page(page, self._lists) for page in late]
        self._records.insert([records for records, _ in split])
        for _, rows in split:
            self._write_lists(rows)

    def finish(self) -> list[FilePart]:
        """Complete the last part of each; return those of the records."""
        written = self._records.finish()
        self._written = [parts.finish() for parts in self._parts]
        return written

    def discard(self) -> None:
        """Delete everything that is not published."""
        for parts in self._all:
            parts.discard()

    def forget(self) -> None:
        """Forget the export, after its manifest was written."""
        for parts in self._all:
            parts.forget()

    def abandon(self) -> None:
        """Drop what is half written."""
        for parts in self._all:
            parts.abandon()

    @property
    def written(self) -> list[tuple[ListTable, list[FilePart]]]:
        """The complete parts of each list."""
        return list(zip(self._lists, self._written, strict=True))

    def _write_lists(self, rows: Sequence[Page]) -> None:
        for parts, page in zip(self._parts, rows, strict=True):
            # Several rows have the key of one record, so keys do not say where to continue.
            parts.write(page, resumable=False)


def list_target(target: ObjectStoragePath, name: str) -> ObjectStoragePath:
    """Return the destination of a list: ``groups.accountRanges.jsonl`` beside ``groups.jsonl``."""
    stem, endings = split_name(target.name)
    return target.with_name(f"{stem}.{name.replace('/', '_')}{endings}")
