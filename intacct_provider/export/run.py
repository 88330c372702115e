"""One export of one task: read a source into a sink, prove it complete, publish it, remember it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar

import msgspec
import pendulum
from msgspec import UNSET

from intacct_provider.export.completeness.progress import Progress
from intacct_provider.export.completeness.tally import Counter, Tally
from intacct_provider.export.facts import Completeness, ListCompleteness, RunFacts
from intacct_provider.export.outcome import Outcome
from intacct_provider.export.reading import Reading

if TYPE_CHECKING:
    from intacct_provider.client import IntacctClient
    from intacct_provider.client.paging.complete_read import CompleteRead
    from intacct_provider.client.paging.control_totals import SumsComparison
    from intacct_provider.client.paging.pages import Page
    from intacct_provider.client.paging.proof import Proof
    from intacct_provider.client.query.request import Query
    from intacct_provider.export.completeness.budget import Budget
    from intacct_provider.export.deletes.detection import Deletions
    from intacct_provider.export.entities import EntityCheck
    from intacct_provider.export.incremental.state import ExportState
    from intacct_provider.export.incremental.window import Window
    from intacct_provider.export.lists.proof import ListProof
    from intacct_provider.export.schema.drift import Drift
    from intacct_provider.export.source import Source

#: Readings of everything, before an export that cannot be proven complete is given up.
READINGS = 3

Published = TypeVar("Published", covariant=True)


class Sink(Protocol[Published]):
    """Where the rows of an export go. What is written is not to be seen before it is published."""

    def find_published(self) -> Published | None:
        """Return what an earlier attempt of the task has published, if there is nothing left to do."""

    def begin(self) -> Tally | None:
        """Get ready; return what is known of rows that an earlier attempt has left whole, which are not read again."""

    def write(self, page: Page, *, resumable: bool) -> None:
        """Write rows.

        :param resumable: whether a next attempt may continue after them; not if they come in no order of keys.
        """

    def insert(self, late: Sequence[Page]) -> None:
        """Put rows among those that were written, in order of key where there is one; called once, after the last."""

    def finish(self) -> Tally:
        """Write no more; return the facts about all rows."""

    def discard(self) -> None:
        """Forget all rows, since they are read again."""

    def publish(self, outcome: Outcome) -> Published:
        """Let the rows be seen, all at once."""

    def forget(self) -> None:
        """Forget what a next attempt would have needed."""


class Observer(Protocol):
    """What gets every row beside the sink."""

    def begin(self) -> None:
        """Start with no rows."""

    def add(self, page: Page) -> None:
        """Add rows."""

    def close(self) -> None:
        """Release what is held."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """One export, ready to be run; use it in a ``with`` statement, which closes what it has opened.

    :param source: what is read; that of an incremental export is of its window.
    :param whole: the query without the window.
    :param run_id: of the DAG run.
    :param state: of earlier exports; None if nothing is remembered.
    :param window: None unless incremental.
    :param deletions: gets every row; None unless deleted records are wanted.
    :param lists: compares the rows of lists; None unless they are exported on their own.
    :param entities: looks for those that filters ask for and that have no rows.
    :param drift: how the columns differ from those of the last export, for the manifest.
    :param begun: pages whose first one was asked for already.
    """

    client: IntacctClient
    source: Source
    whole: Query
    budget: Budget
    log: Any
    run_id: str = ""
    state: ExportState | None = None
    window: Window | None = None
    deletions: Deletions | None = None
    lists: ListProof | None = None
    entities: EntityCheck | None = None
    drift: Drift | None = None
    begun: CompleteRead | None = None
    started: pendulum.DateTime = field(default_factory=lambda: pendulum.now("UTC"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.begun is not None:
            self.begun.close()
        for observer in self._observers:
            observer.close()

    @property
    def _observers(self) -> list[Observer]:
        return [one for one in (self.deletions, self.lists, self.entities) if one is not None]

    def run(self, sink: Sink[Published]) -> Published:
        """Read everything into a sink and prove it complete, publish it, and let the next export begin after it.

        :return: what the sink says about it.
        :raises IntacctIncompleteReadError: if it cannot be proven complete.
        """
        published = sink.find_published()
        if published is None:
            proof = self._read_proven(sink)
            if self.entities:
                self.entities.check()
            if self.deletions:
                self.deletions.settle(proof.rows)
            lists = self.lists.compare() if self.lists else {}
            published = sink.publish(self._outcome(proof, lists))
        self._commit()
        sink.forget()
        return published

    def _read_proven(self, sink: Sink[Any]) -> Proof:
        """Read everything, again if it cannot be proven complete."""
        for number in range(1, READINGS + 1):
            for observer in self._observers:
                observer.begin()
            earlier = sink.begin()
            reading = self._open_reading(earlier, again=number > 1)
            late: list[Page] = []
            rows = earlier.rows if earlier else 0
            for page in self._report_progress(reading, rows):
                rows += len(page)
                for observer in self._observers:
                    observer.add(page)
                if page.late:
                    late.append(page)
                else:
                    sink.write(page, resumable=not reading.by_position)
            missed = self._read_missed(rows)
            if late or missed:
                sink.insert([*late, *missed])
            others = Tally.combine(map(Counter(self.source.query.fields, self.source.sums), missed))
            proof = reading.prove(sink.finish().without(others))
            if not proof.again:
                self._report_sums(proof.compared)
                return proof.include(others.rows, others.sums)
            self.log.warning("%s, reading %d: %s", self.source.object_name, number, proof.problem)
            sink.discard()
            if self.deletions:
                self.deletions.discard()
        raise proof.error()

    def _read_missed(self, rows: int) -> list[Page]:
        """Return the rows of records that no export had, and that no window from this one on will have.

        :param rows: that the export has without them.
        """
        if self.deletions is None:
            return []
        self.deletions.find(rows)
        pages: list[Page] = []
        for query in self.deletions.find_missed():
            source = replace(self.source, query=query, sums=(), stamp=None)
            pages += filter(len, Reading(self.client, source))
        if pages:
            what = self.source.object_name, sum(map(len, pages))
            self.log.info("%s: %d records that no export had are exported, too.", *what)
        for page in pages:
            self.deletions.add_missed(page)
            if self.lists:
                self.lists.add(page)
        return pages

    def _report_sums(self, compared: SumsComparison) -> None:
        """Log how control totals compare, if that is not simply equal."""
        name = self.source.object_name
        if compared.reason:
            self.log.warning("%s: control totals are not comparable: %s.", name, compared.reason)
        elif compared.result != "equal":
            self.log.info("%s: control totals are equal for the records that did not change meanwhile.", name)

    def _open_reading(self, earlier: Tally | None, *, again: bool) -> Reading:
        begun = None if again or earlier else self.begun
        return Reading(self.client, self.source, earlier=earlier, begun=begun)

    def _report_progress(self, reading: Reading, earlier: int) -> Iterator[Page]:
        """Yield the pages, and log how far the export is."""
        if earlier:
            self.log.info(
                "%s: continues after %d rows of an earlier attempt.", self.source.object_name, earlier
            )
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

    def _outcome(self, proof: Proof, lists: Mapping[str, ListCompleteness]) -> Outcome:
        config = self.client.config
        run = RunFacts(
            started_at=self.started.to_iso8601_string(),
            finished_at=pendulum.now("UTC").to_iso8601_string(),
            transactions=self.client.transactions,
            schema_drift=self.drift or UNSET,
        )
        completeness = msgspec.convert(proof.facts(), Completeness)
        return Outcome(
            self.source,
            config.company_id,
            config.entity_id,
            completeness,
            run,
            self.window,
            self.deletions,
            lists,
        )

    def _commit(self) -> None:
        """Let the next export begin where this one ended, now that it is published."""
        if self.state is None:
            return
        unneeded = self.state.commit(
            self.run_id,
            window=self.window,
            columns=self.source.all_columns,
            keys=self.deletions.keys if self.deletions else None,
            gone=self.deletions.found if self.deletions else None,
        )
        if self.deletions:
            self.deletions.remove_files(unneeded)
