"""Reading every row of a query by position, where keys cannot be used or the user wants an order: checked passes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace

from intacct_provider.client.batches import BATCH_SIZE
from intacct_provider.client.paging.fetcher import PageFetcher
from intacct_provider.client.paging.key_intervals import select_keys
from intacct_provider.client.paging.keyset import KEY_ORDER
from intacct_provider.client.paging.pages import Page
from intacct_provider.client.query.request import Query
from intacct_provider.exceptions import IntacctIncompleteReadError

#: Calls for passes over records that move, besides twice those of an undisturbed one, before the read is given up.
SPARE_CALLS = 6
#: Passes at most, whatever the count promises: it may be wrong each time.
MOST_PASSES = 20
#: What a page has as the key of a row without one.
_NO_KEY = str(None)


def read_by_position(fetcher: PageFetcher, query: Query, done: set[str]) -> Iterator[Page]:
    """Yield every row once, pass after pass until nothing moved during one, in no order that can be relied on.

    :param query: asks for ``key``.
    :param done: keys of rows that are not wanted again; gets those of all rows.
    :raises IntacctIncompleteReadError: if each pass was disturbed.
    """
    passes = _Passes(fetcher, replace(query, order_by=KEY_ORDER))
    for offset_pass in passes:
        for page in offset_pass:
            yield _take_new(page, done)
        if not offset_pass.moved:
            return
    raise passes.build_error("Read it at a quieter time, or narrow the filters.")


def read_in_order(fetcher: PageFetcher, query: Query, read_keys: Callable[[], set[str]]) -> Iterator[Page]:
    """Yield every row once, in the query's own order, from one pass during which nothing moved.

    All rows are held in memory, because only such a pass can be handed on in order.

    :param query: asks for ``key``.
    :param read_keys: returns the keys of all records, to compare a pass of several pages with: what existed before a
        pass, exists after it and is not in it, is lost. Counts and anchors do not see a row that moves to the front
        while another is deleted there and a third is added.
    :raises IntacctIncompleteReadError: if each pass was disturbed.
    """
    tie_break = () if any("key" in item for item in query.order_by) else KEY_ORDER
    ordered = replace(query, order_by=(*query.order_by, *tie_break))
    first = _fetch_first(fetcher, ordered)
    if _is_whole(first) and len(set(first.keys)) == len(first):
        yield first
        return
    witnesses = read_keys()
    passes = _Passes(fetcher, ordered)
    for offset_pass in passes:
        pages = list(offset_pass)
        missing = witnesses.difference(key for page in pages for key in page.keys)
        if not offset_pass.moved and not _any_exists(fetcher, query, missing):
            yield from pages
            return
    raise passes.build_error(
        "Read it at a quieter time, narrow the filters, or leave out order_by: reading in order of key is not affected "
        "by changes."
    )


class OffsetPass:
    """One pass over pages by position, which ends when it is complete or something has moved.

    Each page starts at the last row of the one before: if that row is somewhere else now, rows before it were added or
    deleted, and some may have been skipped.

    :ivar moved: whether anything moved during the pass; known afterwards.
    :ivar pages: how many the first page says that there are.
    :ivar calls: that the pass has made.
    :ivar repeated_at: position from which Intacct sent nothing but rows that it had sent before, twice; else None. That
        ends the pass.
    """

    def __init__(self, fetcher: PageFetcher, query: Query) -> None:
        self._fetcher = fetcher
        self._query = query
        self.moved = False
        self.calls = 0
        self.pages = 1
        self.repeated_at: int | None = None

    def __iter__(self) -> Iterator[Page]:
        """Yield the rows in pages, without those that repeat the last row of the page before."""
        seen: set[str] = set()
        start = 1
        page = rest = self._fetch(1)
        total = page.total_count
        self.pages = math.ceil((total or 0) / max(1, len(page) - 1))
        while rest.rows:
            self.moved |= not seen.isdisjoint(rest.keys) or len(set(rest.keys)) < len(rest)
            seen.update(rest.keys)
            yield rest
            if self.moved or _is_whole(page):
                break
            # A server that sends one row at a time leaves no room for an overlap.
            overlap = min(1, len(page) - 1)
            start += len(page) - overlap
            last = rest.keys[-overlap:]
            page = self._fetch(start)
            if _brings_nothing(page, seen):
                page = self._fetch(start)
                if _brings_nothing(page, seen):
                    self.repeated_at, self.moved = start, True
                    # A count that promises more than there is must not pay for passes without end.
                    self.pages = min(self.pages, self.calls)
                    return
            self.moved |= page.total_count != total or page.keys[:overlap] != last[:overlap]
            # Without an overlap, one that goes hides from counts another that comes.
            self.moved |= not overlap and bool(page.rows)
            rest = page.part(overlap)
        self.moved |= total is not None and len(seen) != total

    def _fetch(self, start: int) -> Page:
        page = self._fetch_once(start)
        # What one answer alone says is not believed: that there are no rows, or that a row has no key.
        if (start == 1 and not page.rows) or _NO_KEY in page.keys:
            page = self._fetch_once(start)
        return page

    def _fetch_once(self, start: int) -> Page:
        self.calls += 1
        return self._fetcher.fetch(self._query, start)


class _Passes:
    """Passes over the rows of a query, until the caller is content or they would cost too much."""

    def __init__(self, fetcher: PageFetcher, query: Query) -> None:
        self._fetcher, self._query = fetcher, query
        self._made: list[OffsetPass] = []

    def __iter__(self) -> Iterator[OffsetPass]:
        most = math.inf
        while sum(one.calls for one in self._made) < most and len(self._made) < MOST_PASSES:
            self._made.append(OffsetPass(self._fetcher, self._query))
            yield self._made[-1]
            most = min(one.pages for one in self._made) + SPARE_CALLS

    def build_error(self, advice: str) -> IntacctIncompleteReadError:
        """Return the exception for passes that were all disturbed."""
        name, start = self._query.object_name, self._made[-1].repeated_at
        if start is not None:
            return IntacctIncompleteReadError(
                f"{name} cannot be read by position: asked for rows from number {start} on, Intacct sends rows that it "
                "has sent before, and the same when it is asked again. Leave out order_by, or narrow the filters until "
                "the rows fit one page."
            )
        return IntacctIncompleteReadError(
            f"{name} changed during each of {len(self._made)} passes over it, so the read cannot be proven complete. "
            f"{advice}"
        )


def _fetch_first(fetcher: PageFetcher, query: Query) -> Page:
    """Return the first page; if it is empty, it is asked for once more before that is believed."""
    page = fetcher.fetch(query)
    return page if page.rows else fetcher.fetch(query)


def _is_whole(page: Page) -> bool:
    """Whether nothing is left behind the page.

    A full page never shows it: if the count were wrong by one, the last record would be lost.
    """
    if page.next is not None:
        return False
    behind = page.count_behind(page.start)
    return not page.rows if behind is None or len(page) >= page.page_size else behind <= 0


def _brings_nothing(page: Page, seen: set[str]) -> bool:
    """Whether a page has no new row, although it should: it has more than the planned overlap, or says so."""
    return seen.issuperset(page.keys) and (page.is_followed(page.start) or len(page) > 1)


def _take_new(page: Page, done: set[str]) -> Page:
    """Return the rows of a page whose keys are not done yet, each once, and note that they are."""
    new = {key: n for n, key in reversed([*enumerate(page.keys)]) if key not in done}
    done.update(new)
    if len(new) == len(page):
        return page
    return page.pick(sorted(new.values()))


def _any_exists(fetcher: PageFetcher, query: Query, keys: set[str]) -> bool:
    """Whether a record with one of these keys exists now."""
    some = sorted(keys)
    for start in range(0, len(some), BATCH_SIZE):
        among = select_keys(query, some[start : start + BATCH_SIZE])
        if fetcher.fetch(replace(among, fields=("key",), order_by=()), size=1).rows:
            return True
    return False
