"""One export of one task: what it reads, what it remembers of the last one, and how it is made sure of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import pendulum

from intacct_provider.export.completeness.progress import Progress
from intacct_provider.export.completeness.tally import Tally
from intacct_provider.export.schema.columns import column_facts

if TYPE_CHECKING:
    from intacct_provider.client import IntacctClient
    from intacct_provider.client.paging.pages import Page
    from intacct_provider.client.paging.proof import Proof
    from intacct_provider.client.query.request import Query
    from intacct_provider.export.completeness.budget import Budget
    from intacct_provider.export.deletes.detection import Deletions
    from intacct_provider.export.incremental.state import ExportState
    from intacct_provider.export.incremental.window import Window
    from intacct_provider.export.reading import Reading
    from intacct_provider.export.source import Source

#: Readings of everything, before an export that cannot be proven complete is given up.
READINGS = 3


class Sink(Protocol):
    """Takes the rows of an export.

    :ivar resumable: whether a next try may go on after rows that are whole; not if they come in no order of keys.
    """

    resumable: bool

    def begin(self) -> Tally | None:
        """Make ready; return what is known of rows that an earlier try left whole, which are not read again."""

    def write(self, page: Page) -> None:
        """Take rows."""

    def finish(self) -> Tally:
        """Take no more; return the facts about all rows."""

    def discard(self) -> None:
        """Forget all rows, for another beginning."""


@dataclass(frozen=True)
class Export:
    """One export, ready to be read.

    :param source: what is read; that of an incremental export is of its window.
    :param whole: the query without the window.
    :param state: of earlier exports; None if nothing is remembered.
    :param run_id: of the DAG run.
    :param window: None unless incremental.
    """

    client: IntacctClient
    source: Source
    budget: Budget
    log: Any
    whole: Query
    state: ExportState | None = None
    run_id: str = ""
    window: Window | None = None
    started: pendulum.DateTime = field(default_factory=lambda: pendulum.now("UTC"))

    def read_into(self, sink: Sink) -> Proof:
        """Read everything into a sink, and prove it complete; read again what cannot be proven.

        :raises IntacctIncompleteReadError: if it cannot be proven complete at all.
        """
        for number in range(1, READINGS + 1):
            left = sink.begin()
            reading = self.source.read(self.client, above=left.last_key if left else None)
            for page in self._told(reading, left.rows if left else 0):
                sink.resumable = not reading.by_position
                sink.write(page)
            tally = sink.finish()
            proof = reading.prove(tally, earlier=left)
            if not proof.again:
                return proof
            self.log.warning("%s, reading %d: %s", self.source.object_name, number, proof.problem)
            sink.discard()
        raise proof.error()

    def commit(self, deletions: Deletions | None = None) -> None:
        """Let the next export begin where this one ended, now that the manifest is there."""
        if self.state is None:
            return
        unneeded = self.state.commit(
            self.run_id,
            window=self.window,
            columns=column_facts(self.source.columns),
            deletions=deletions.state() if deletions else None,
        )
        if deletions:
            deletions.tidy(unneeded)

    def run_facts(self) -> dict[str, Any]:
        """Return what differs from run to run, for the manifest."""
        return {
            "started_at": self.started.to_iso8601_string(),
            "finished_at": pendulum.now("UTC").to_iso8601_string(),
            "transactions": self.client.transactions,
        }

    def _told(self, reading: Reading, earlier: int) -> Iterator[Page]:
        """Yield the pages, and tell how far things are."""
        if earlier:
            self.log.info("%s: continues after %d rows of an earlier try.", self.source.object_name, earlier)
        progress = Progress(
            self.log,
            self.source.object_name,
            self.client,
            total=lambda: reading.expected,
            earlier=earlier,
            sums=bool(self.source.sums),
            detail=self.source.detail,
            budget=self.budget,
        )
        for page in reading:
            progress.rows(len(page))
            yield page
        progress.done()
