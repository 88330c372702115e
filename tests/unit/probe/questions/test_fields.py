"""What rows prove about fields without a value."""

from __future__ import annotations

import pytest

from intacct_provider.probe.questions.fields import judge_nulls


@pytest.mark.parametrize(
    ("rows", "answer"),
    [
        ([], "unknown"),
        ([{"key": "1", "name": "A"}], "unknown"),
        ([{"key": "1", "name": None}], "holds"),
        ([{"key": "1"}], "contradicted"),
        ([{"key": "1", "name": None}, {"key": "2"}], "contradicted"),
    ],
)
def test_nulls_are_judged_by_the_rows(rows, answer):
    assert judge_nulls(["key", "name"], rows).answer == answer


@pytest.mark.parametrize("value", ["N30", None])
def test_a_nested_field_is_not_left_out(value):
    assert judge_nulls(["key", "term.id"], [{"key": "1", "term": {"id": value}}]).answer == "unknown"
