"""The file that names the records that are gone."""

from __future__ import annotations

from msgspec import structs

from intacct_provider.export.completeness.tally import Counter
from intacct_provider.export.deletes.detection import TOMBSTONE_COLUMNS, TOMBSTONES, Deletions
from intacct_provider.export.files.file_part import FilePart, added_name
from intacct_provider.export.files.manifest import ManifestDeletions
from intacct_provider.export.files.options import FileOptions
from intacct_provider.export.files.parts import Parts
from intacct_provider.export.files.staging import Attempt
from intacct_provider.storage.files import ObjectStoragePath


class TombstoneFile:
    """The tombstones of an export, such as ``customers.deleted.jsonl`` beside ``customers.jsonl``.

    :param target: of the export.
    :param deletions: settled.
    """

    def __init__(
        self, target: ObjectStoragePath, deletions: Deletions, options: FileOptions, attempt: Attempt
    ) -> None:
        self._deletions = deletions
        own_options = structs.replace(options, rows_per_part=None, bytes_per_part=None)
        count = Counter(TOMBSTONES.fields)
        self._parts = Parts(tombstone_target(target), TOMBSTONE_COLUMNS, own_options, attempt, count=count)
        self.written: list[FilePart] = []

    def write(self) -> None:
        """Write it under a hidden name."""
        self._parts.discard()
        for page in self._deletions.pages():
            self._parts.write(page)
        self.written = self._parts.finish()

    def describe(self) -> ManifestDeletions:
        """Return what the manifest says about it."""
        parts = tuple(part.summarize() for part in self.written)
        return ManifestDeletions(**structs.asdict(self._deletions.summary), parts=parts)

    def forget(self) -> None:
        """Forget what a next attempt would have needed, after the manifest was written."""
        self._parts.forget()


def tombstone_target(target: ObjectStoragePath) -> ObjectStoragePath:
    """Return where the tombstones of an export are."""
    return target.with_name(added_name(target.name, "deleted"))
