"""What pages of keys prove about their order, and which range distinguishes numbers from text."""

from __future__ import annotations

import random

import pytest

from intacct_provider.probe.questions.keys import find_range, judge_order


def pages(numbers, key, size):
    """Return the first page and the last one, the highest first, as a server that sorts so sends them."""
    ordered = [str(number) for number in sorted(numbers, key=key)]
    return ordered[:size], ordered[::-1][:size]


@pytest.mark.parametrize(
    ("ascending", "descending", "answer"),
    [
        ([], [], "unknown"),
        (["5"], ["5"], "unknown"),
        (["1", "2"], ["2", "1"], "unknown"),
        (["9", "10"], ["10", "9"], "holds"),
        (["10", "9"], ["9", "10"], "contradicted"),
        (["100", "300"], ["999", "400"], "unknown"),
        (["9000", "9001"], ["13999", "13998"], "holds"),
        (["10000", "10001"], ["9099", "9098"], "contradicted"),
        (["3", "1", "2"], ["3", "2", "1"], "contradicted"),
        (["A1", "A2"], ["A2", "A1"], "contradicted"),
        (["01", "2"], ["2", "01"], "unknown"),
    ],
)
def test_the_order_is_judged_by_what_the_pages_prove(ascending, descending, answer):
    assert judge_order(ascending, descending).answer == answer


def test_no_set_of_keys_leads_to_a_wrong_answer():
    chance = random.Random(18)
    for _ in range(2000):
        numbers = chance.sample(range(1, 10 ** chance.randint(1, 6)), chance.randint(0, 9))
        size = chance.randint(1, 10)
        assert judge_order(*pages(numbers, int, size)).answer in ("holds", "unknown"), numbers
        assert judge_order(*pages(numbers, str, size)).answer in ("contradicted", "unknown"), numbers


def test_a_range_has_its_key_as_numbers_and_is_empty_as_text():
    chance = random.Random(18)
    for _ in range(2000):
        key = str(chance.randrange(1, 10 ** chance.randint(1, 9)))
        found = find_range([key])
        if found is None:
            assert key.strip("0") == "1"
            continue
        first, last = found
        assert int(first) <= int(key) <= int(last)
        assert not first <= last
