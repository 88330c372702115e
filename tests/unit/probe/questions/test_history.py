"""What the age of a change says about the delay of the audit history."""

from __future__ import annotations

import datetime as dt

import pytest

from intacct_provider.probe.questions.history import judge_delay


@pytest.mark.parametrize(
    ("hours", "in_history", "answer"),
    [
        (1, True, "holds"),
        (3, True, "holds"),
        (4, True, "unknown"),
        (1, False, "unknown"),
        (99, False, "unknown"),
    ],
)
def test_only_a_young_change_that_is_there_proves_something(hours, in_history, answer):
    assert judge_delay(dt.timedelta(hours=hours), in_history)[0] == answer
