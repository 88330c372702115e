"""The billed calls that applying a plan takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from intacct_provider.client.batches import BATCH_SIZE
from intacct_provider.client.config import MAX_PAGE_SIZE
from intacct_provider.sync.plan import Action, Plan


def count_transactions(plan: Plan) -> int:
    """Return how many billed transactions applying a plan takes: one for each record and for each read call."""
    actions, live, full = [step.action for step in plan.steps], plan.live, plan.full_records
    return (
        len(actions)
        + count_reads(actions, live, full_records=full)
        + _count_rechecks(plan)
        + count_verifying(actions, live, full_records=full)
    )


def _count_rechecks(plan: Plan) -> int:
    """Return how many calls ask for scope and protection again."""
    existing = count_batches(sum(step.action != "create" for step in plan.steps))
    # As a rule nothing is protected, and a page without rows is asked for once more.
    return existing * (int(plan.scope is not None) + 2 * int(plan.protect is not None))


def count_verifying(actions: Iterable[Action], live: int, *, full_records: bool) -> int:
    """Return how many read calls it takes to look whether records are as planned, if they are at once.

    The parameters are those of :func:`count_reads`.
    """
    gone: dict[Action, Action] = {"create": "update", "delete": "create"}
    # What was created exists now, and what was deleted does not.
    return count_reads([gone.get(one, one) for one in actions], live, full_records=full_records)


def count_reads(
    actions: Iterable[Action], live: int, *, full_records: bool, page_size: int = MAX_PAGE_SIZE
) -> int:
    """Return how many read calls applying a plan takes: reading its records again, and whole before a deletion.

    The object's model, which a client reads once, may be one more.

    :param actions: what the plan does, one for each record.
    :param live: number of live records.
    :param full_records: whether records are fetched by key.
    """
    in_order = list(actions)
    counts, steps = Counter(in_order), len(in_order)
    if not steps:
        return 0
    # A page without rows is asked for once more.
    if reads_by_page(steps, live, page_size):
        reads = _count_pages(live, page_size) + int(not live)
    else:
        batches = [set(in_order[n : n + BATCH_SIZE]) for n in range(0, steps, BATCH_SIZE)]
        reads = len(batches) + batches.count({"create"})
    existing = steps - counts["create"]
    return reads + (count_batches(existing) if full_records else 0) + count_batches(counts["delete"])


def reads_by_page(steps: int, live: int, page_size: int) -> bool:
    """Return whether reading all records takes fewer calls than selecting those of the steps."""
    return _count_pages(live, page_size) < count_batches(steps)


def _count_pages(live: int, page_size: int) -> int:
    """Return how many calls reading all records takes; unless one page is everything, one is for the highest key."""
    return live // page_size + 1 + int(live >= page_size)


def count_batches(records: int) -> int:
    """Return how many batches this many records make."""
    return -(-records // BATCH_SIZE)
