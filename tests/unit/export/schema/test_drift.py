"""Columns against those of the last export: every difference is named, and the policy decides what it means."""

import logging

import msgspec
import pytest
from msgspec.structs import replace

from intacct_provider.exceptions import IntacctArgumentError, IntacctSchemaChangedError
from intacct_provider.export.schema.columns import Column
from intacct_provider.export.schema.drift import Change, Drift, compare

CUSTOMER = "accounts-receivable/customer"
KEY = Column("key", "key", "string")
DUE = Column("due", "totalDue", "decimal", 2)
SINCE = Column("since", "audit.createdDateTime", "timestamp")
NUMBER = replace(KEY, type="integer")


def test_nothing_before_and_nothing_new_is_no_drift():
    assert not compare(None, [KEY])
    assert not compare([KEY, DUE], [KEY, replace(DUE)])
    for policy in ("warn", "fail", "add"):
        compare([KEY], [KEY]).check(policy, CUSTOMER)


def test_what_came_went_and_changed_is_told_apart():
    drift = compare([KEY, DUE], [NUMBER, SINCE])
    assert (drift.added, drift.removed) == (("since",), ("due",))
    assert drift.changed == {"key": Change("string", "integer")}
    assert msgspec.to_builtins(drift) == {
        "added": ("since",),
        "removed": ("due",),
        "changed": {"key": {"was": "string", "is": "integer"}},
        "moved": False,
    }


@pytest.mark.parametrize(
    ("now", "words"),
    [
        (replace(DUE, scale=10), "due was decimal with 2 decimals and is decimal with 10 decimals"),
        (
            replace(DUE, field="totalPaid"),
            "due was decimal with 2 decimals from totalDue and is decimal .* from totalPaid",
        ),
        (Column("due", "totalDue", "struct", members=(KEY,)), "is struct of key string"),
    ],
)
def test_a_change_of_the_decimals_the_source_or_the_members_is_a_change(now, words):
    with pytest.raises(IntacctSchemaChangedError, match=words):
        compare([DUE], [now]).check("fail", CUSTOMER)


def test_another_order_is_a_drift_since_csv_has_no_names_per_row():
    drift = compare([KEY, DUE], [DUE, KEY])
    assert drift == Drift(changed={}, moved=True)
    with pytest.raises(IntacctSchemaChangedError, match="reordered"):
        drift.check("add", CUSTOMER)


def test_a_new_column_between_others_is_no_other_order():
    assert not compare([KEY, DUE], [KEY, SINCE, DUE]).moved


def test_fail_names_every_difference_and_what_to_do_and_no_retry_mends_it():
    with pytest.raises(IntacctSchemaChangedError) as caught:
        compare([KEY, DUE], [NUMBER, SINCE]).check("fail", CUSTOMER)
    for words in (CUSTOMER, "new since", "gone due", "key was string and is integer", "schema_drift='warn'"):
        assert words in str(caught.value)
    assert not caught.value.retryable


def test_warn_takes_everything_and_says_so(caplog):
    with caplog.at_level(logging.INFO):
        compare([KEY, DUE], [KEY]).check("warn", CUSTOMER)
    assert [(one.levelname, "gone due" in one.getMessage()) for one in caplog.records] == [("WARNING", True)]


def test_add_takes_new_columns_and_nothing_else(caplog):
    with caplog.at_level(logging.INFO):
        compare([KEY], [KEY, DUE]).check("add", CUSTOMER)
    assert [one.levelname for one in caplog.records] == ["INFO"]
    with pytest.raises(IntacctSchemaChangedError, match="gone key"):
        compare([KEY], [DUE]).check("add", CUSTOMER)


def test_an_unknown_policy_is_refused_by_the_nearest_known():
    with pytest.raises(IntacctArgumentError, match=r"schema_drift must be .*, not 'ad'.* Did you mean 'add'"):
        compare([KEY], [KEY]).check("ad", CUSTOMER)
