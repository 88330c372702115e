"""One reading of a source: its pages, and the proof that they are everything."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING

from intacct_provider.client.paging.control_totals import ChangedRows
from intacct_provider.client.paging.key_intervals import Bounds
from intacct_provider.client.paging.pages import Page
from intacct_provider.client.paging.proof import Proof, prove
from intacct_provider.client.paging.row_formats import StructRows
from intacct_provider.export.completeness.tally import Counter
from intacct_provider.export.schema.masks import Masker

if TYPE_CHECKING:
    from intacct_provider.client import IntacctClient
    from intacct_provider.client.paging.complete_read import CompleteRead
    from intacct_provider.export.completeness.tally import Tally
    from intacct_provider.export.source import Source


class Reading:
    """The rows of a source, to be read once.

    :param client: reads ahead, as far as its connection allows.
    :param earlier: the rows that an earlier attempt has left behind, after which this one begins.
    :param begun: pages of the source whose first one was asked for already.
    """

    def __init__(
        self,
        client: IntacctClient,
        source: Source,
        *,
        earlier: Tally | None = None,
        begun: CompleteRead | None = None,
    ) -> None:
        self._client, self._source, self._earlier = client, source, earlier
        fields = ("key",) if source.detail else source.query.fields
        asked = (*fields, source.stamp) if source.stamp and source.stamp not in fields else fields
        self._masker = Masker(source.masks, None if source.detail else fields)
        self._changed = ChangedRows(Counter(fields, source.sums)) if source.stamp else None
        self._pages = begun or client.read_pages(
            replace(source.query, fields=asked),
            StructRows(fields, stamp=source.stamp),
            above=(earlier.last_key if earlier else None) or source.above,
            upto=source.upto,
        )

    @property
    def by_position(self) -> bool:
        """Whether rows do not come in order of key, because keys cannot be used; known with the first page."""
        return self._pages.by_position

    @property
    def expected(self) -> int | None:
        """How many rows there will be, by the newest page; None if unknown."""
        return self._pages.expected

    def __iter__(self) -> Iterator[Page]:
        """Yield every row that existed during the whole read, once, or raise; late ones last. What is hidden is masked.

        :raises IntacctIncompleteReadError: if completeness cannot be proven.
        """
        if not self._source.detail:
            for page in self._pages:
                if self._changed:
                    self._changed.add(page, self._pages.began)
                yield self._masker.mask(page)
            return
        with closing(iter(self._pages)) as pages:
            for late, some in groupby(pages, attrgetter("late")):
                for records in self._client.read_records(self._source.object_name, some):
                    keys = [str(record["key"]) for record in records]
                    yield self._masker.mask(Page(records, keys=keys, late=late))

    def prove(self, tally: Tally) -> Proof:
        """Compare what was read with what Intacct counts, after the last page.

        :param tally: of all rows, those of an earlier attempt included.
        """
        earlier = None
        if self._earlier is not None:
            earlier = Bounds.from_text(self._source.above, self._earlier.last_key), self._earlier.rows
        return prove(self._pages, rows=tally.rows, sums=tally.sums, earlier=earlier, changed=self._changed)
