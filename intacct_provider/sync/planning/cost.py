"""How many billed calls a plan takes to be applied."""

from __future__ import annotations

from collections.abc import Iterable

from intacct_provider.client.batches import BATCH_SIZE
from intacct_provider.client.config import MAX_PAGE_SIZE
from intacct_provider.sync.plan import Action


def reads_to_apply(
    actions: Iterable[Action], live: int, *, full_records: bool, page_size: int = MAX_PAGE_SIZE
) -> int:
    """Return how many read calls applying a plan takes: :func:`read_touched`, and records kept before a deletion.

    The object's model, which a client asks for once, may be one more.

    :param actions: what the plan does, one for each record.
    :param live: number of live records.
    """
    steps = list(actions)
    if not steps:
        return 0
    count, there = len(steps), sum(action != "create" for action in steps)
    reads = live // page_size + 1 if reads_by_page(count, live, page_size) else count_calls(count)
    kept = count_calls(sum(action == "delete" for action in steps))
    return reads + (count_calls(there) if full_records else 0) + kept


def reads_by_page(steps: int, live: int, page_size: int) -> bool:
    """Return whether reading all records takes fewer calls than asking for those of the steps."""
    return live // page_size + 1 < count_calls(steps)


def count_calls(records: int) -> int:
    """Return how many calls it takes to read so many records by key."""
    return -(-records // BATCH_SIZE)
