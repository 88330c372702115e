"""The files of one export: parts, tombstones of deleted records, and the manifest, which comes last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

from msgspec import UNSET, structs

from intacct_provider import __version__
from intacct_provider.client.http import codec
from intacct_provider.exceptions import IntacctError
from intacct_provider.export.completeness.tally import Counter, Tally
from intacct_provider.export.facts import describe_task
from intacct_provider.export.files.file_part import FilePart
from intacct_provider.export.files.list_parts import ListParts, list_target
from intacct_provider.export.files.manifest import Manifest, ManifestList, describe_parts, manifest_path
from intacct_provider.export.files.options import FileOptions
from intacct_provider.export.files.parts import Parts
from intacct_provider.export.files.publication import publish, remove_replaced
from intacct_provider.export.files.staging import Attempt
from intacct_provider.export.files.tombstones import TombstoneFile
from intacct_provider.export.schema.lists import ListTable
from intacct_provider.storage.claims import Claim
from intacct_provider.storage.conditions import read_version
from intacct_provider.storage.files import ObjectStoragePath

if TYPE_CHECKING:
    from intacct_provider.client.paging.pages import Page
    from intacct_provider.export.lists.proof import ListProof
    from intacct_provider.export.outcome import Outcome
    from intacct_provider.export.source import Source


@dataclass(frozen=True, slots=True)
class PublishedFiles:
    """Files that an export has published.

    :param manifest: their manifest.
    :param path: where it is.
    :param sha256: of the manifest.
    """

    manifest: Manifest
    path: str
    sha256: str


class FilesSink:
    """Writes an export to files; use it in a ``with`` statement.

    What is half written is dropped at the end. Complete parts are kept for the next attempt, unless none will follow.

    :param target: the destination.
    :param source: what the rows are.
    :param options: checked.
    :param claim: on what the sink publishes.
    :param proof: of lists that have files of their own.
    :param label: goes into the names of parts.
    """

    def __init__(
        self,
        target: ObjectStoragePath,
        source: Source,
        options: FileOptions,
        attempt: Attempt,
        *,
        claim: Claim,
        proof: ListProof | None = None,
        label: str = "",
    ) -> None:
        self._target, self._options, self._claim = target, options, claim
        self._before = read_version(manifest_path(target))
        # Rows of another query, or of another range, cannot be continued. The names of parts come from this, so its
        # form must stay: otherwise what an attempt before an upgrade has left would be neither found nor removed. That
        # holds for parts of an attempt with other masks, too, whose form distinguishes them.
        asked = [source.identity, source.above, source.upto]
        owner = attempt.owner + codec.encode(asked).decode()
        self._attempt = replace(attempt, owner=owner, claim=claim)
        count = Counter(source.query.fields, source.sums)
        self._parts: Parts | ListParts = Parts(
            target, source.columns, options, self._attempt, count=count, label=label
        )
        if proof:
            self._parts = ListParts(
                self._parts, target, source.lists, options, self._attempt, proof=proof, label=label
            )
        self._written: list[FilePart] = []
        self._tombstones: TombstoneFile | None = None
        self._published = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        hopeless = self._attempt.last or (isinstance(error, IntacctError) and not error.retryable)
        if isinstance(error, Exception) and hopeless and not self._published:
            self._parts.discard()
        self._parts.abandon()

    def find_published(self) -> None:
        """Return None: what an earlier attempt has published is replaced."""

    def begin(self) -> Tally | None:
        """Find the parts that an earlier attempt has left complete."""
        return self._parts.begin()

    def write(self, page: Page, *, resumable: bool) -> None:
        """Write rows."""
        self._parts.write(page, resumable=resumable)

    def insert(self, late: Sequence[Page]) -> None:
        """Put rows among the others in order of key."""
        self._parts.insert(late)

    def finish(self) -> Tally:
        """Complete the last part."""
        self._written = self._parts.finish()
        return Tally.combine(part.tally for part in self._written)

    def discard(self) -> None:
        """Forget all rows; nobody has seen any of them."""
        self._parts.discard()

    def publish(self, outcome: Outcome) -> PublishedFiles:
        """Give the files their names, and write the manifest after them."""
        if outcome.deletions:
            self._tombstones = TombstoneFile(self._target, outcome.deletions, self._options, self._attempt)
            self._tombstones.write()
        tombstones = self._tombstones
        manifest = Manifest(
            **self._describe(outcome), deletions=tombstones.describe() if tombstones else UNSET
        )
        parts = [*self._written, *self._list_parts, *(tombstones.written if tombstones else ())]
        written = publish(self._claim, parts, manifest, self._before)
        self._published = True
        return PublishedFiles(manifest, str(manifest_path(self._target)), written.sha256)

    def forget(self) -> None:
        """Delete what earlier exports have left, and forget what a next attempt would have needed."""
        remove_replaced(self._claim)
        for made in (self._tombstones, self._parts):
            if made:
                made.forget()

    def _describe(self, outcome: Outcome) -> dict[str, Any]:
        """Return the members that a manifest has in any case."""
        source = outcome.source
        return {
            "object": source.object_name,
            "query": source.asked,
            "detail": source.detail,
            "columns": source.columns,
            "company_id": outcome.company_id,
            "entity_id": outcome.entity_id,
            "file_format": self._options.file_format,
            "compression": self._options.compression,
            "csv_safe": self._options.csv_safe or UNSET,
            "delimiter": self._options.delimiter if self._options.delimiter != "," else UNSET,
            "bom": self._options.bom or UNSET,
            "path": str(self._target),
            **describe_parts(self._written),
            "lists": self._describe_lists(outcome) or UNSET,
            "completeness": outcome.completeness,
            "window": outcome.window or UNSET,
            "provider_version": __version__,
            "run": structs.replace(outcome.run, task=describe_task(self._claim.holder)),
        }

    @property
    def _lists(self) -> list[tuple[ListTable, list[FilePart]]]:
        return self._parts.written if isinstance(self._parts, ListParts) else []

    @property
    def _list_parts(self) -> list[FilePart]:
        return [part for _, parts in self._lists for part in parts]

    def _describe_lists(self, outcome: Outcome) -> tuple[ManifestList, ...]:
        return tuple(
            ManifestList(
                name=one.name,
                object=one.element.object if one.element else UNSET,
                columns=one.columns,
                path=str(list_target(self._target, one.name)),
                **describe_parts(parts),
                completeness=outcome.lists[one.name],
            )
            for one, parts in self._lists
        )
