"""What came and went during a pass over records: its keys against those that exist afterwards.

Answers that all agree about the number of rows are a proof. Where they do not, records came and went, or an answer was
wrong. Then the keys are read once more, up to the same end. What exists now and was not read is read, and added,
whatever its age: so change alone never fails a read, and cannot outrun it. What cannot be read fails it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, islice, takewhile

from intacct_provider.client.batches import BATCH_SIZE
from intacct_provider.client.paging.fetcher import PageFetcher, QueryService
from intacct_provider.client.paging.key_intervals import Bounds, Interval, pack_keys, select_keys, unpack_keys
from intacct_provider.client.paging.key_pass import KeyPass
from intacct_provider.client.paging.keyset import KeyOrder
from intacct_provider.client.paging.ordered_pool import Pool, Workers, in_order, make_pool
from intacct_provider.client.paging.pages import Page
from intacct_provider.client.paging.row_formats import MappingRows
from intacct_provider.exceptions import IntacctIncompleteReadError

#: How often records may be listed and not sent before it is more than that they come and go.
MOST_LISTED = 3
#: Pages that a second pass over keys takes besides those that its keys would fill, so that most have room for more.
SPARE_PAGES = 3
#: Keys that a message names.
MAX_KEYS_SHOWN = 5


@dataclass(slots=True)
class Changes:
    """How a pass differs from what exists afterwards.

    :param late: keys that exist and were not read, in order, and whose rows are still to be read.
    :param pages: their rows instead, if the query asks for nothing but the key: the second pass has brought them.
    :param vanished: how many rows were read of records that no longer match.
    """

    late: list[int] = field(default_factory=list)
    pages: list[Page] = field(default_factory=list)
    vanished: int = 0


def find_changes(
    order: KeyOrder,
    intervals: Sequence[Interval],
    end: int,
    service: QueryService,
    *,
    workers: Workers,
    pool: Callable[[Workers], Pool],
    stopped: threading.Event,
) -> Changes:
    """Read the keys again, up to the end of a pass, and compare.

    They are read between keys that are known, a little less than a page from one to the next: so no page overlaps
    another, and none has more rows than it has room for, unless many records came.

    :param order: of the pass.
    :param intervals: what it has read, also beyond that end.
    :raises IntacctIncompleteReadError: if they cannot be read.
    """
    query = replace(order.query, fields=("key",))
    same = query == order.query
    fetcher = order.fetcher if same else PageFetcher(service, MappingRows(()), order.fetcher.size, stopped)

    def read(bounds: Bounds) -> list[Page]:
        again = KeyPass(
            service,
            KeyOrder(fetcher, query, bounds, settled=True),
            workers=0,
            pool=make_pool,
            stopped=stopped,
            again=True,
        )
        return list(again)

    some = _cut(intervals, order.bounds.above, end, _choose_rows(intervals, order.fetcher.size))
    theirs = chain.from_iterable(in_order(pool(workers), workers, read, some, threading.Event()))
    ours = takewhile(lambda key: key <= end, _list_keys(intervals))
    return _compare(ours, theirs, keep_rows=same)


def _list_keys(intervals: Iterable[Interval]) -> Iterator[int]:
    return chain.from_iterable(one.unpack() for one in intervals)


def _choose_rows(intervals: Sequence[Interval], size: int) -> int:
    """Return how many known keys a page is asked for: with room for new ones, but for few pages more than needed."""
    rows = sum(one.rows for one in intervals)
    pages = -(-rows // size) + SPARE_PAGES
    return max(1, size - size // 16, min(size, -(-rows // pages)))


def _cut(intervals: Sequence[Interval], above: int | None, end: int, rows: int) -> Iterator[Bounds]:
    """Yield bounds from one key to another, each with this many of the rows that were read."""
    for key in islice(_list_keys(intervals), rows - 1, None, rows):
        if key >= end:
            break
        yield Bounds(above, key)
        above = key
    yield Bounds(above, end)


def _compare(ours: Iterator[int], theirs: Iterable[Page], *, keep_rows: bool) -> Changes:
    found = Changes()
    mine = next(ours, None)
    for page in theirs:
        late: dict[int, int] = {}
        for place, key in enumerate(unpack_keys(page.packed)):
            while mine is not None and mine < key:
                found.vanished += 1
                mine = next(ours, None)
            if mine == key:
                mine = next(ours, None)
            else:
                late[key] = place
        if late and keep_rows:
            found.pages.append(replace(page.pick([*late.values()]), packed=pack_keys([*late])))
        elif late:
            found.late += late
    found.vanished += (mine is not None) + sum(1 for _ in ours)
    return found


def read_late(order: KeyOrder, late: Sequence[int]) -> Iterator[Page]:
    """Yield the rows of records with these keys that still match, in order within each page.

    :raises IntacctIncompleteReadError: naming those that Intacct has and does not send.
    """
    left: list[int] = []
    for some in _batch(order, late):
        page = _fetch_some(order, some)
        yield page
        left += _without(some, page)
    for some in _batch(order, left):
        yield from _read_missing(order, some)


def _read_missing(order: KeyOrder, wanted: Sequence[int]) -> Iterator[Page]:
    """Yield the rows of records that did not come; they are gone only if their keys are not listed any more."""
    left, tries = _list_existing(order, wanted), 0
    while left:
        page = _fetch_some(order, left)
        if not page.rows:  # twice, since one that comes and goes may be gone whenever it is asked for
            page = _fetch_some(order, left)
        yield page
        tries = 0 if page.rows else tries + 1
        left = _without(left, page)
        left = _list_existing(order, left) if left else left
        if left and tries == MOST_LISTED:
            raise IntacctIncompleteReadError(
                f"The read of {order.query.object_name} cannot be proven complete: Intacct lists the records with keys "
                f"{name_keys(left)} and does not send them, and the same when it is asked again."
            )


def _batch(order: KeyOrder, keys: Sequence[int]) -> Iterator[Sequence[int]]:
    size = min(BATCH_SIZE, max(order.fetcher.size, 2))
    return (keys[start : start + size] for start in range(0, len(keys), size))


def _without(keys: Sequence[int], page: Page) -> list[int]:
    came = set(map(int, page.keys))
    return [key for key in keys if key not in came]


def _list_existing(order: KeyOrder, keys: Sequence[int]) -> list[int]:
    """Return those of some keys that exist now."""
    page, found = order.fetch(replace(select_keys(order.query, keys), fields=("key",)))
    existing = set(found or ())
    return (
        [key for key in keys if key in existing] if len(existing) == (page.total_count or 0) else list(keys)
    )


def _fetch_some(order: KeyOrder, keys: Sequence[int]) -> Page:
    """Fetch the rows with some keys, in order; twice if they are not those."""
    query = select_keys(order.query, keys)
    for _ in range(2):
        page, found = order.fetch(query)
        if found is not None and set(found) <= set(keys):
            return replace(page, packed=pack_keys(found) if found else b"")
    raise IntacctIncompleteReadError(
        f"Asked for the records of {order.query.object_name} with keys {name_keys(keys)}, Intacct sends others."
    )


def name_keys(keys: Sequence[int]) -> str:
    """Return the first of some keys, and how many more there are."""
    more = f" and {len(keys) - MAX_KEYS_SHOWN} more" if len(keys) > MAX_KEYS_SHOWN else ""
    return ", ".join(map(str, sorted(keys)[:MAX_KEYS_SHOWN])) + more
