"""Every row of a query, one by one, proven complete, or raising."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from dataclasses import replace

from intacct_provider.client.paging.by_position import read_in_order
from intacct_provider.client.paging.complete_read import CompleteRead, reject_aggregates
from intacct_provider.client.paging.fetcher import PageFetcher, QueryService
from intacct_provider.client.paging.key_intervals import Bounds
from intacct_provider.client.paging.key_pass import KeyPass
from intacct_provider.client.paging.keyset import KEY_ORDER, KeyOrder, KeysUnusableError, add_key
from intacct_provider.client.paging.ordered_pool import make_pool
from intacct_provider.client.paging.pages import Page, Row
from intacct_provider.client.paging.row_formats import MappingRows
from intacct_provider.client.query.request import Query
from intacct_provider.exceptions import IntacctIncompleteReadError, IntacctValidationError

log = logging.getLogger(__name__)


def iter_rows(service: QueryService, query: Query, page_size: int) -> Iterator[Row]:
    """Yield every row that existed during the whole read, once, or raise.

    Rows come in order of ``key``, with one page in memory, and each page is asked for when it is wanted. Records that
    are found to match only after that come last. A query with an order of its own comes in that order with ``key`` as
    tie-break and is held in memory as a whole. Where keys cannot be used, rows come by position, pass after pass, in no
    order that can be relied on.

    When the counts that come with the pages agree, they are the proof, and it costs one call, or none if one page is
    everything. When they do not, the keys are read again, up to the highest one that there was.

    :raises IntacctIncompleteReadError: if completeness cannot be proven, after the last row.
    """
    reject_aggregates(query)
    ordered = query.order_by not in ((), KEY_ORDER)
    if ordered:
        pages = _read_in_order(service, query, page_size)
    else:
        pages = iter(CompleteRead(service, query, MappingRows(query.fields), page_size=page_size))
    for page in pages:
        yield from page.rows


def _read_in_order(service: QueryService, query: Query, page_size: int) -> Iterator[Page]:
    fetcher = PageFetcher(service, MappingRows(query.fields), page_size)

    def read_keys() -> set[str]:
        keys_only = replace(query, fields=("key",), order_by=KEY_ORDER)
        keys_fetcher = PageFetcher(service, MappingRows(()), fetcher.size)
        order = KeyOrder(keys_fetcher, keys_only, Bounds())
        read = KeyPass(service, order, workers=0, pool=make_pool, stopped=threading.Event())
        try:
            return {key for page in read for key in page.keys}
        except (KeysUnusableError, IntacctIncompleteReadError, IntacctValidationError) as reason:
            log.info("Intacct: the order of %s is read without comparing keys: %s", query.object_name, reason)
            return set()

    return read_in_order(fetcher, add_key(query), read_keys)
