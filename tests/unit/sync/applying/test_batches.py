"""A plan as calls: in which order, how many records each, and always cut in the same places."""

import random

from intacct_provider.client.batches import BATCH_BYTES
from intacct_provider.sync.applying.batches import split_batches
from intacct_provider.sync.plan import Plan, Step


def plan(*steps):
    return Plan("x/y", None, "mirror", "id", steps, 0, 0, 0, 0, 0, 0, ("key", "id"), False)


def cut(one):
    """Return action and records of each batch."""
    return [(batch.action, [one.steps[n].match for n in batch.steps]) for batch in split_batches(one)]


def test_what_adds_comes_before_what_takes_away_and_what_is_needed_before_what_needs_it():
    steps = [
        Step(action, f"{action}{level}", "1", level=level)
        for action in ("delete", "deactivate", "update", "create")
        for level in (1, 0)
    ]
    random.Random(5).shuffle(steps)
    assert cut(plan(*steps)) == [
        (action, [f"{action}{level}"])
        for action in ("create", "update", "deactivate", "delete")
        for level in (0, 1)
    ]
    assert [batch.number for batch in split_batches(plan(*steps))] == [*range(1, 9)]


def test_five_hundred_records_at_most():
    for action in ("create", "update", "deactivate", "delete"):
        one = plan(*(Step(action, str(n), "1", body={"id": str(n)}) for n in range(1001)))
        assert [len(batch.steps) for batch in split_batches(one)] == [500, 500, 1]
        assert [match for _, some in cut(one) for match in some] == [str(n) for n in range(1001)]


def test_no_more_than_a_call_can_carry():
    large = {"notes": "x" * (BATCH_BYTES // 3)}
    one = plan(*(Step("create", str(n), body=large) for n in range(5)))
    assert [len(batch.steps) for batch in split_batches(one)] == [2, 2, 1]


def test_nothing_to_do_is_no_call():
    assert split_batches(plan()) == []
