"""The files of one range of an export by many tasks: they stay hidden until all ranges are committed."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Self

from intacct_provider.export.files.file_part import split_name
from intacct_provider.export.files.manifest import SUFFIX, RangeManifest, encode_manifest, parse_manifest
from intacct_provider.export.files.options import FileOptions
from intacct_provider.export.files.publication import clear_staged, replace_file
from intacct_provider.export.files.sink import FilesSink, PublishedFiles
from intacct_provider.export.files.staging import Attempt
from intacct_provider.export.key_range import KeyRange, range_label
from intacct_provider.storage.claims import Claim, Holder
from intacct_provider.storage.conditions import read_version, remove_if
from intacct_provider.storage.files import ObjectStoragePath, list_beside, read_small, remove_proven

if TYPE_CHECKING:
    from intacct_provider.export.lists.proof import ListProof
    from intacct_provider.export.outcome import Outcome
    from intacct_provider.export.source import Source


class RangeSink(FilesSink):
    """Leaves the files of a range, and a manifest of them, to the task that commits all ranges."""

    def __init__(
        self,
        target: ObjectStoragePath,
        source: Source,
        options: FileOptions,
        attempt: Attempt,
        key_range: KeyRange,
        *,
        claim: Claim,
        proof: ListProof | None = None,
    ) -> None:
        super().__init__(target, source, options, attempt, claim=claim, proof=proof, label=key_range.label)
        self._range = key_range

    def __enter__(self) -> Self:
        forget_range(self._target, self._claim.target)
        return self

    def publish(self, outcome: Outcome) -> PublishedFiles:
        """Write the manifest of the range."""
        path = self._claim.target
        manifest = RangeManifest(
            **self._describe(outcome),
            range=self._range,
            staged=tuple(self._written),
            staged_lists=tuple(tuple(parts) for _, parts in self._lists),
        )
        with self._claim.publishing():
            if self._claim.exclusive:
                clear_staged(path)
            written = replace_file(self._claim, path, encode_manifest(manifest))
        self._published = True
        return PublishedFiles(manifest, str(path), written.sha256)

    def forget(self) -> None:
        """Forget what a next attempt would have needed."""
        self._parts.forget()


def range_manifest_path(target: ObjectStoragePath, number: int, holder: Holder) -> ObjectStoragePath:
    """Return where the manifest of a range is until the commit; it is hidden, since it is not about the whole.

    Each run has names of its own, so that two that export at the same time do not replace each other's ranges.
    """
    run = f".{_digest_run(holder)}" if holder.task else ""
    return target.with_name(f".{target.name}.{range_label(number)}{run}{SUFFIX}")


def list_range_manifests(target: ObjectStoragePath) -> list[ObjectStoragePath]:
    """Return the manifests of all ranges of a destination that were not forgotten."""
    name = re.compile(rf"{re.escape(f'.{target.name}')}\.r\d{{5,}}(\.[0-9a-f]{{8}})?{re.escape(SUFFIX)}")
    return [path for path in list_beside(target, f".{target.name}.r") if name.fullmatch(path.name)]


def forget_range(target: ObjectStoragePath, path: ObjectStoragePath) -> None:
    """Delete what is left of a range that was exported before, so that it is exported again.

    A range whose task has died is not touched: its next attempt continues.

    :param path: of its manifest.
    """
    version, content = read_version(path), read_small(path)
    if content is not None:
        prefix = f".{split_name(target.name)[0]}."
        for part in parse_manifest(content, path, RangeManifest).all_staged:
            if part.staged.startswith(prefix) and "/" not in part.staged:
                remove_proven(target.with_name(part.staged), part.sha256)
        remove_if(path, version)


def _digest_run(holder: Holder) -> str:
    return hashlib.sha256(f"{holder.dag_id}/{holder.run_id}".encode()).hexdigest()[:8]
