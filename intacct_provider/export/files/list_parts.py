"""Records and the rows of their lists into files of their own, which are staged and published together."""

from __future__ import annotations

from collections.abc import Container, Sequence

import msgspec
from msgspec import structs

from intacct_provider.client.paging.pages import Page
from intacct_provider.export.completeness.tally import Counter, Tally
from intacct_provider.export.files.file_part import FilePart, added_name
from intacct_provider.export.files.options import FileOptions
from intacct_provider.export.files.parts import Parts
from intacct_provider.export.files.staging import Attempt
from intacct_provider.export.lists.proof import ListProof, Summary
from intacct_provider.export.schema.columns import Column
from intacct_provider.export.schema.lists import ListTable, split_page
from intacct_provider.storage.files import ObjectStoragePath

#: Member of the names of the parts with what is compared of each record; no list has this name.
_PROOF = ".proof"
_PROOF_COLUMNS = tuple(Column(name, name, "string") for name in Summary.__struct_fields__)
_decode = msgspec.json.Decoder(Summary).decode


class ListParts:
    """Writes records to their parts, and each of their lists to parts of its own.

    The rows of a list come in the order of the records; those of records that were found last come last. Where a part
    of the records ends, those of the lists do, so that a retry continues after it. What is compared of its records is
    kept for the retry, too, in parts that stay hidden.

    :param records: the parts of the records.
    :param proof: compares the rows of lists.
    """

    def __init__(
        self,
        records: Parts,
        target: ObjectStoragePath,
        lists: Sequence[ListTable],
        options: FileOptions,
        attempt: Attempt,
        *,
        proof: ListProof,
        label: str = "",
    ) -> None:
        self._records, self._lists, self._proof, self._in_parts = records, lists, proof, options.in_parts

        def make(name: str, columns: Sequence[Column], options: FileOptions) -> Parts:
            own = list_target(target, name)
            return Parts(own, columns, options, attempt, count=Counter(()), label=label, keyed=False)

        self._parts = [make(one.name, one.columns, options) for one in lists]
        self._summaries = make(_PROOF, _PROOF_COLUMNS, FileOptions("jsonl", "gzip"))
        self._written: list[list[FilePart]] = []

    @property
    def _others(self) -> list[Parts]:
        """The parts that end where those of the records do."""
        return [*self._parts, self._summaries] if self._in_parts else self._parts

    @property
    def _all(self) -> list[Parts]:
        return [self._records, *self._others]

    def begin(self) -> Tally | None:
        """Find what an earlier attempt has left complete: records, with all rows of their lists."""
        found = [{"", *(part.staged for part in parts.read_committed())} for parts in self._others]
        last = next((part for part in self._records.read_committed() if _is_whole(part, found)), None)
        names = (last.staged, *last.lists) if last else ("",) * len(self._all)
        for parts, name in zip(self._all, names, strict=True):
            parts.resume(name)
        if not last:
            return None
        for lines in self._summaries.read():
            self._proof.restore([_decode(line) for line in lines])
        return Tally.combine(part.tally for part in self._records.complete)

    def write(self, page: Page, *, resumable: bool = True) -> None:
        """Write records and the rows of their lists."""
        while len(page):
            some = page.part(0, self._records.room)
            records, rows = split_page(some, self._lists)
            taken = self._records.fill(records, resumable=resumable)
            if taken < len(some):
                some = some.part(0, taken)
                rows = split_page(some, self._lists)[1]
            self._write_lists(rows, resumable=resumable)
            if self._in_parts:
                summaries = [structs.asdict(one) for one in self._proof.summarize(some)]
                self._summaries.write(Page(summaries, keys=some.keys), resumable=resumable)
            if self._records.is_full:
                self._cut(resumable=resumable)
            page = page.part(taken)

    def insert(self, late: Sequence[Page]) -> None:
        """Put records among the others in order of key, and the rows of their lists at the end."""
        split = [split_page(page, self._lists) for page in late]
        # A part that is written again has records whose lists are not written yet.
        self._records.insert([records for records, _ in split], resumable=False)
        for _, rows in split:
            self._write_lists(rows, resumable=False)

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
        if self._in_parts:
            self._summaries.discard()

    def abandon(self) -> None:
        """Drop what is half written."""
        for parts in self._all:
            parts.abandon()

    @property
    def written(self) -> list[tuple[ListTable, list[FilePart]]]:
        """The complete parts of each list."""
        return list(zip(self._lists, self._written, strict=True))

    def _write_lists(self, rows: Sequence[Page], *, resumable: bool) -> None:
        for parts, page in zip(self._parts, rows, strict=True):
            parts.write(page, resumable=resumable)

    def _cut(self, *, resumable: bool) -> None:
        """End a part of the records, after those of the lists, which a retry needs to continue after it."""
        for parts in self._others:
            parts.cut(full=resumable)
        self._records.cut(full=resumable, lists=tuple(parts.last for parts in self._others))


def _is_whole(part: FilePart, found: Sequence[Container[str]]) -> bool:
    """Whether the lists of the records up to a part have all of their rows.

    :param found: the complete parts of each list.
    """
    return len(part.lists) == len(found) and all(
        name in names for name, names in zip(part.lists, found, strict=True)
    )


def list_target(target: ObjectStoragePath, name: str) -> ObjectStoragePath:
    """Return the destination of a list: ``groups.accountRanges.jsonl`` beside ``groups.jsonl``."""
    return target.with_name(added_name(target.name, name.replace("/", "_")))
