"""Reading every row of a query by position, where keys cannot be used or the user wants an order: checked passes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from intacct_provider.client.batches import BATCH_SIZE
from intacct_provider.client.paging.fetcher import PageFetcher
from intacct_provider.client.paging.keyset import KEY_ORDER
from intacct_provider.client.paging.pages import Page
from intacct_provider.client.query.request import Query
from intacct_provider.exceptions import IntacctIncompleteReadError

#: Passes over records that move, before the read is given up.
MAX_PASSES = 4


def read_by_position(fetcher: PageFetcher, query: Query, done: set[str]) -> Iterator[Page]:
    """Yield every row once, pass after pass until nothing moved during one, in no order that can be relied on.

    :param query: asks for ``key``.
    :param done: keys of rows that are not wanted again; gets those of all rows.
    :raises IntacctIncompleteReadError: if each pass was disturbed.
    """
    query = replace(query, order_by=KEY_ORDER)
    for _ in range(MAX_PASSES):
        offset_pass = OffsetPass(fetcher, query)
        for page in offset_pass:
            yield _take_new(page, done)
        if not offset_pass.moved:
            return
    raise _moved_error(query, "Read it at a quieter time, or narrow the filters.")


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
    first = fetcher.fetch(ordered)
    if _is_whole(first) and len(set(first.keys)) == len(first):
        yield first
        return
    witnesses = read_keys()
    for _ in range(MAX_PASSES):
        offset_pass = OffsetPass(fetcher, ordered)
        pages = list(offset_pass)
        missing = witnesses.difference(key for page in pages for key in page.keys)
        if not offset_pass.moved and not _any_exists(fetcher, query, missing):
            yield from pages
            return
    raise _moved_error(
        query,
        "Read it at a quieter time, narrow the filters, or leave out order_by: reading in order of key is not affected "
        "by changes.",
    )


class OffsetPass:
    """One pass over pages by position; ``moved`` says afterwards whether anything moved during it.

    Each page starts at the last row of the one before: if that row is somewhere else now, rows before it were added or
    deleted, and some may have been skipped.
    """

    def __init__(self, fetcher: PageFetcher, query: Query) -> None:
        self._fetcher = fetcher
        self._query = query
        self.moved = False

    def __iter__(self) -> Iterator[Page]:
        """Yield the rows in pages, without those that repeat the last row of the page before."""
        seen: set[str] = set()
        start = 1
        page = rest = self._fetcher.fetch(self._query, start)
        total = page.total_count
        while rest.rows:
            self.moved |= not seen.isdisjoint(rest.keys) or len(set(rest.keys)) < len(rest)
            seen.update(rest.keys)
            yield rest
            if len(page) < page.page_size and total is not None and len(seen) >= total:
                break
            start += len(page) - 1
            last = rest.keys[-1]
            page = self._fetcher.fetch(self._query, start)
            self.moved |= page.total_count != total or page.keys[:1] != [last]
            rest = page.part(1)
        self.moved |= total is not None and len(seen) != total


def _take_new(page: Page, done: set[str]) -> Page:
    """Return the rows of a page whose keys are not done yet, each once, and note that they are."""
    new = {key: n for n, key in reversed([*enumerate(page.keys)]) if key not in done}
    done.update(new)
    if len(new) == len(page):
        return page
    places = sorted(new.values())
    return replace(page, rows=[page.rows[n] for n in places], keys=[page.keys[n] for n in places])


def _any_exists(fetcher: PageFetcher, query: Query, keys: set[str]) -> bool:
    """Whether a record with one of these keys exists now."""
    some = sorted(keys)
    for start in range(0, len(some), BATCH_SIZE):
        among = query.narrow({"$in": {"key": some[start : start + BATCH_SIZE]}})
        if fetcher.fetch(replace(among, fields=("key",), order_by=()), size=1).rows:
            return True
    return False


def _is_whole(page: Page) -> bool:
    """Whether nothing is left behind the page.

    A full page never shows it: if the count were wrong by one, the last record would be lost.
    """
    if page.total_count is None or len(page) >= page.page_size:
        return not page.rows
    return len(page) >= page.total_count


def _moved_error(query: Query, advice: str) -> IntacctIncompleteReadError:
    return IntacctIncompleteReadError(
        f"{query.object_name} changed during each of {MAX_PASSES} passes over it, so the read cannot be proven "
        f"complete. {advice}"
    )
