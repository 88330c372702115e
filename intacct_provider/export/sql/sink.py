"""The table of one export: its rows are loaded all at once, together with an entry in the log of loads."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from intacct_provider import __version__
from intacct_provider.client.query.request import Query
from intacct_provider.export.completeness.tally import Counter, Tally
from intacct_provider.export.sql.list_load import ListLoads
from intacct_provider.export.sql.load_log import LoadFacts, digest_query
from intacct_provider.export.sql.table_load import TableLoad

if TYPE_CHECKING:
    from intacct_provider.client.paging.pages import Page
    from intacct_provider.export.outcome import Outcome
    from intacct_provider.export.source import Source

log = logging.getLogger(__name__)


class TableSink:
    """Loads an export into a table.

    :param load: of the table, opened.
    :param source: what the rows are.
    :param whole: the query without the window of an incremental export.
    :param again: load even if an earlier attempt has loaded the rows.
    """

    def __init__(self, load: TableLoad, source: Source, whole: Query, *, again: bool) -> None:
        self._load, self._source, self._whole, self._again = load, source, whole, again
        self._count = Counter(source.query.fields, source.sums)
        self._tally = Tally()
        self._lists = ListLoads(load, source.lists)

    def find_published(self) -> LoadFacts | None:
        """Return what an earlier attempt of the task has loaded, if it must not be loaded again."""
        entry = self._load.begin(self._source.columns, self._digest(), again=self._again)
        if entry is None:
            self._lists.begin()
            return None
        log.info(
            "%s: an earlier attempt loaded its %d rows at %s; nothing is read.",
            self._load.table, entry.row_count, entry.finished_at,
        )  # fmt: skip
        return entry.facts

    def begin(self) -> None:
        """Start with no rows: those of an earlier attempt went with its connection."""
        self._tally = Tally()

    def write(self, page: Page, *, resumable: bool) -> None:  # noqa: ARG002 -- no next attempt continues
        """Write rows to the temporary table."""
        self._load.write(self._lists.write(page))
        self._tally.join(self._count(page))

    def insert(self, late: Sequence[Page]) -> None:
        """Write rows that were found last; a table has no order."""
        for page in late:
            self._load.write(self._lists.write(page))
            self._tally.insert(self._count(page))

    def finish(self) -> Tally:
        """Return the facts about all rows."""
        return self._tally

    def discard(self) -> None:
        """Forget all rows."""
        self._load.discard()
        self._lists.discard()

    def publish(self, outcome: Outcome) -> LoadFacts:
        """Make the rows part of the table, and remove the rows of deleted records."""
        deletions, window, source = outcome.deletions, outcome.window, outcome.source
        if deletions:
            self._load.remove(key for page in deletions.pages() for key in page.keys)
        self._lists.finish(key for page in (deletions.pages() if deletions else ()) for key in page.keys)
        facts = LoadFacts(
            object=source.object_name,
            query=source.asked,
            detail=source.detail,
            columns=source.columns,
            company_id=outcome.company_id,
            entity_id=outcome.entity_id,
            table=self._load.table,
            mode=self._load.mode,
            first_key=self._tally.first_key,
            last_key=self._tally.last_key,
            completeness=outcome.completeness,
            window=window,
            watermark=window.upper if window else None,
            deletions=deletions.summary if deletions else None,
            lists=self._lists.describe(outcome.lists),
            provider_version=__version__,
            run=outcome.run,
        )
        return self._load.publish(facts)

    def forget(self) -> None:
        """Do nothing: the temporary table goes with the connection."""

    def _digest(self) -> str:
        """Return what identifies the query, whatever the window."""
        source = replace(self._source, query=self._whole)
        masks = {"masks": source.masks} if source.masks else {}
        lists = {"lists": [one.name for one in source.lists]} if source.lists else {}
        return digest_query(
            {
                "object": source.object_name,
                "query": source.asked,
                "detail": source.detail,
                "columns": {column.name: column.field for column in source.columns},
                "above": source.above,
                "upto": source.upto,
                **masks,
                **lists,
            }
        )
