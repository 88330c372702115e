"""One reading of a source: its pages, and the proof that they are everything."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from intacct_provider.client.paging.key_intervals import Bounds, Interval
from intacct_provider.client.paging.pages import Page
from intacct_provider.client.paging.proof import Proof, prove
from intacct_provider.client.paging.row_formats import StructRows

if TYPE_CHECKING:
    from intacct_provider.client import IntacctClient
    from intacct_provider.export.completeness.tally import Tally
    from intacct_provider.export.source import Source


class Reading:
    """The rows of a source, to be read once.

    :param client: reads ahead, as far as its connection allows.
    :param above: the key that an earlier try came to, or where the source begins.
    """

    def __init__(self, client: IntacctClient, source: Source, *, above: str | None) -> None:
        self._client = client
        self._source = source
        fields = ["key"] if source.detail else source.query.fields
        if source.early and above == source.above:
            self._pages = source.early.pop()
            return
        source.close()
        self._pages = client.read_pages(
            replace(source.query, fields=tuple(fields)),
            StructRows(fields),
            above=above,
            upto=source.upto,
            sums=source.sums,
        )

    @property
    def by_position(self) -> bool:
        """Whether rows come in no order of keys, because those are of no use; known with the first page."""
        return self._pages.by_position

    @property
    def expected(self) -> int | None:
        """How many rows there will be, by the newest page; None if untold."""
        return self._pages.expected

    def __iter__(self) -> Iterator[Page]:
        """Yield every row that existed during the whole read, once, or raise.

        :raises IntacctIncompleteReadError: if completeness cannot be proven.
        """
        if not self._source.detail:
            yield from self._pages
            return
        for records in self._client.read_records(self._source.object_name, iter(self._pages)):
            yield Page(records, keys=[str(record["key"]) for record in records])

    def prove(self, tally: Tally, *, earlier: Tally | None = None) -> Proof:
        """Compare what was read with what Intacct counts, after the last page.

        :param tally: all rows.
        :param earlier: those of them that an earlier try has read.
        """
        before = None
        if earlier is not None and earlier.rows:
            before = Interval(int(earlier.first_key or 0), int(earlier.last_key or 0), earlier.rows)
        return prove(
            self._pages,
            rows=tally.rows,
            sums=tally.sums,
            earlier=before,
            above=Bounds.from_text(self._source.above, None).above,
        )
