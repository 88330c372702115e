"""The files of one export: parts, tombstones of deleted records, and the manifest, which comes last."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Self

from intacct_provider.client.http import codec
from intacct_provider.export.completeness.tally import Counter, Tally
from intacct_provider.export.deletes.detection import TOMBSTONE_COLUMNS, TOMBSTONES
from intacct_provider.export.files.manifest import encoded, manifest, manifest_of
from intacct_provider.export.files.parts import Part, Parts
from intacct_provider.export.files.staging import split_name
from intacct_provider.export.key_range import KeyRange
from intacct_provider.export.ranges.plan import forget_range, write_range
from intacct_provider.storage.files import write_whole

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    from intacct_provider.client.paging.pages import Page
    from intacct_provider.client.paging.proof import Proof
    from intacct_provider.export.deletes.detection import Deletions
    from intacct_provider.export.run import Export


class Delivery:
    """Takes the rows of an export and, when they are proven complete, lets them be seen; used in a ``with`` statement.

    :param owner: names the task, for its next try to find what this one leaves.
    :param attempt: number of the try.
    :param form: ``file_format`` and ``compression``.
    :param cut: ``rows_per_part``, ``bytes_per_part`` and ``csv_safe``.
    :param key_range: the range that the export is of; its files stay hidden until all ranges are committed.
    :param deletions: told of every row; None if nobody wants to know what was deleted.
    """

    def __init__(
        self,
        target: ObjectStoragePath,
        export: Export,
        *,
        owner: str,
        attempt: int,
        form: Mapping[str, Any],
        cut: Mapping[str, Any],
        key_range: KeyRange | None,
        deletions: Deletions | None,
    ) -> None:
        self._target, self._export, self._form = target, export, form
        self._range, self.deletions = key_range, deletions
        source = export.source
        # Rows of another query, or of another range, are no beginning of these.
        self._owner = owner + codec.encode([source.facts(), source.above, source.upto]).decode()
        self._attempt, self._csv_safe = attempt, cut["csv_safe"]
        self._parts = Parts(
            target,
            columns=source.columns,
            owner=self._owner,
            attempt=attempt,
            counter=Counter(source.query.fields, source.sums),
            label=key_range.label if key_range else "",
            **form,
            **cut,
        )
        self._stack = ExitStack()
        self.written: list[Part] = []

    def __enter__(self) -> Self:
        if self._range:
            forget_range(self._target, self._range.number)
        self._stack.enter_context(self._parts)
        if self.deletions:
            self._stack.callback(self.deletions.close)
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    def begin(self) -> Tally | None:
        """Find what an earlier try left."""
        if self.deletions:
            self.deletions.begin()
        return self._parts.begin()

    @property
    def resumable(self) -> bool:
        """Whether a next try may go on after parts that are complete."""
        return self._parts.resumable

    @resumable.setter
    def resumable(self, value: bool) -> None:
        self._parts.resumable = value

    def write(self, page: Page) -> None:
        """Take rows."""
        if self.deletions:
            self.deletions.add(page)
        self._parts.write(page)

    def finish(self) -> Tally:
        """Complete the last part."""
        self.written = self._parts.finish()
        return self.tally

    @property
    def tally(self) -> Tally:
        """Facts about all rows."""
        return Tally.joined(part.tally for part in self.written)

    def discard(self) -> None:
        """Forget all rows; nothing of them was seen."""
        self._parts.discard()
        if self.deletions:
            self.deletions.discard()

    def publish(self, proof: Proof, run: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Let the files be seen, and write the manifest after them.

        :param run: what the manifest tells of this run beside times and cost.
        :return: the manifest, and where it is: ``manifest``, and for a range ``manifest_sha256``.
        """
        if self._range is not None:
            content = self._content(proof, run, {})
            return content, write_range(self._target, self._range, content, self.written)
        path = manifest_of(self._target)
        told = {}
        if self.deletions:
            tombstones = self._tombstones(self.deletions)
            told = {
                "deletions": self.deletions.facts() | {"parts": [one.facts() for one in tombstones.finish()]}
            }
        self._parts.publish(path)
        if self.deletions:
            tombstones.publish(path)
        content = self._content(proof, run, told)
        write_whole(path, [encoded(content)], alone=True)
        if self.deletions:
            tombstones.done()
        return content, {"manifest": str(path)}

    def done(self) -> None:
        """Forget what a next try would have needed."""
        self._parts.done()

    def _content(self, proof: Proof, run: Mapping[str, Any], told: Mapping[str, Any]) -> dict[str, Any]:
        config, window = self._export.client.config, self._export.window
        return manifest(
            self._export.source,
            target=self._target,
            parts=self.written,
            form={**self._form, **({"csv_safe": True} if self._csv_safe else {})},
            company={"company_id": config.company_id, "entity_id": config.entity_id},
            proof=proof.facts(),
            more={**({"window": window.facts()} if window else {}), **told},
            run={**self._export.run_facts(), **run},
        )

    def _tombstones(self, deletions: Deletions) -> Parts:
        """Return the file of tombstones, such as ``customers.deleted.jsonl``, ready to be finished and published."""
        stem, endings = split_name(self._target.name)
        parts = Parts(
            self._target.with_name(f"{stem}.deleted{endings}"),
            columns=TOMBSTONE_COLUMNS,
            owner=self._owner,
            attempt=self._attempt,
            counter=Counter(TOMBSTONES.fields),
            **self._form,
        )
        parts.discard()
        for page in deletions.pages():
            parts.write(page)
        return parts
