"""What a page proves about the size of pages, and when it proves nothing."""

from __future__ import annotations

import pytest

from intacct_provider.probe.asking import Page
from intacct_provider.probe.questions.pages import judge_next, judge_page, judge_total


def page(rows, size=4000, start=1, **meta):
    """Return a page; its members of ``ia::meta`` are given by name."""
    return Page(start, size, [{"key": str(n)} for n in range(rows)], meta)


@pytest.mark.parametrize(
    ("found", "outcome"),
    [
        (page(4000, totalCount=9000, pageSize=4000), "works"),
        (page(4000), "works"),
        (page(1000, totalCount=9000, pageSize=1000), "clamped"),
        (page(1000, totalCount=9000, pageSize=4000), "clamped"),  # its own word is wrong
        (page(1000, totalCount=9000), "clamped"),
        (page(1000, next=1001), "clamped"),
        (page(240, totalCount=240, pageSize=1000), "clamped"),
        (page(240, totalCount=240, pageSize=4000), "works"),
        (page(240, totalCount=240), "unclear"),
        (page(240, totalCount=240, pageSize=240), "unclear"),
        (page(240, totalCount=240, pageSize=100), "unclear"),
        (page(0, totalCount=0), "unclear"),
        (page(240), "unclear"),
    ],
)
def test_a_page_is_judged_by_what_it_proves(found, outcome):
    assert judge_page(found) == outcome


@pytest.mark.parametrize(
    ("found", "answer"),
    [
        ([page(5, 5, totalCount=9, next=6)], "holds"),
        ([page(4, 5, start=6, totalCount=9, next=None)], "unknown"),
        ([page(5, 5, totalCount=9)], "contradicted"),
        ([page(5, 5, totalCount=9, next="/services/core/query?start=6")], "contradicted"),
        ([page(5, 5, totalCount=9, next=1)], "contradicted"),
        ([page(1, 1, totalCount=9, next=True)], "contradicted"),
        ([page(5, 5)], "unknown"),
        ([], "unknown"),
    ],
)
def test_next_is_judged_where_another_page_is_known(found, answer):
    assert judge_next(found).answer == answer


@pytest.mark.parametrize(
    ("found", "answer"),
    [
        ([], "unknown"),
        ([page(5)], "contradicted"),
        ([page(5, totalCount=4)], "contradicted"),
        ([page(5, totalCount=5)], "holds"),
    ],
)
def test_the_total_is_judged_by_the_rows(found, answer):
    assert judge_total(found).answer == answer
