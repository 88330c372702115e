"""The billed calls that applying a plan takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from intacct_provider.client.batches import BATCH_SIZE
from intacct_provider.client.config import MAX_PAGE_SIZE
from intacct_provider.sync.plan import Action


def count_reads(
    actions: Iterable[Action], live: int, *, full_records: bool, page_size: int = MAX_PAGE_SIZE
) -> int:
    """Return how many read calls applying a plan takes: reading its records again, and whole before a deletion.

    The object's model, which a client reads once, may be one more.

    :param actions: what the plan does, one for each record.
    :param live: number of live records.
    :param full_records: whether records are fetched by key.
    """
    counts = Counter(actions)
    steps = counts.total()
    if not steps:
        return 0
    reads = live // page_size + 1 if reads_by_page(steps, live, page_size) else count_batches(steps)
    existing = steps - counts["create"]
    return reads + (count_batches(existing) if full_records else 0) + count_batches(counts["delete"])


def reads_by_page(steps: int, live: int, page_size: int) -> bool:
    """Return whether reading all records takes fewer calls than selecting those of the steps."""
    return live // page_size + 1 < count_batches(steps)


def count_batches(records: int) -> int:
    """Return how many batches this many records make."""
    return -(-records // BATCH_SIZE)
