"""One reading of a source: its pages, and the proof that they are everything."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from intacct_provider.client.paging.row_structs import RowForm, RowPage
from intacct_provider.export.completeness.proof import Proof, prove

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
            RowForm(fields),
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

    def __iter__(self) -> Iterator[RowPage]:
        """Yield every row that existed during the whole read, once, or raise.

        :raises IntacctIncompleteReadError: if completeness cannot be proven.
        """
        if not self._source.detail:
            yield from self._pages
            return
        for records in self._client.read_records(self._source.object_name, iter(self._pages)):
            yield RowPage([str(record["key"]) for record in records], records)

    def prove(self, tally: Tally, *, earlier: Tally | None = None) -> Proof:
        """Compare what was read with what Intacct counts, after the last page.

        :param tally: all rows.
        :param earlier: those of them that an earlier try has read.
        """
        return prove(self._client, self._pages, tally, committed=earlier, above=self._source.above)
