"""Whether the records of a plan are still what it saw."""

from decimal import Decimal

import pytest
from sync_plans import create, deactivate, plan

from intacct_provider.sync.applying.staleness import find_stale_steps, is_done
from intacct_provider.sync.plan import FieldChange, Step
from intacct_provider.sync.planning.fingerprint import fingerprint_record

# --- staleness

FIELDS = ("key", "id", "name", "term.id", "members")
TYPES = {"id": "string", "name": "string", "limit": "decimal"}
B = {"key": "2", "id": "B", "name": "South", "term.id": None, "members": [{"key": "5", "id": "C-5"}]}
C = {"key": "3", "id": "C", "name": "East", "term.id": "N30", "members": []}
PLAN = plan(
    create("A"),
    Step(
        "update", "B", "2", changes=(FieldChange("name", "South", "West"),), fingerprint=fingerprint_record(B, FIELDS)
    ),
    Step("delete", "C", "3", changes=(FieldChange("name", "East", None),), fingerprint=fingerprint_record(C, FIELDS)),
    fields=FIELDS,
)  # fmt: skip


def stale(*rows, made=PLAN):
    return [step.match for step in find_stale_steps(made, rows, TYPES)]


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        ([B, C], []),
        ([C, B], []),
        ([B, C, {"key": "9", "id": "X"}], []),
        ([B | {"href": "/x"}, C], []),
        ([B | {"term.id": ""}, C | {"members": None}], []),
        ([{"key": "2", "id": "B", "name": "South", "term": {"id": None}, "members": B["members"]}, C], []),
        ([B, C, {"key": "9", "id": "A"}], ["A"]),
        ([B, C, {"key": "9", "id": "a"}], []),
        ([C], ["B"]),
        ([B | {"key": "22"}, C], ["B"]),
        ([B | {"name": "North"}, C], ["B"]),
        ([B | {"members": [{"key": "6", "id": "C-6"}]}, C], ["B"]),
        ([B | {"members": []}, C], ["B"]),
        ([B, C | {"term.id": "N60"}], ["C"]),
        ([B, C, C | {"key": "33"}], ["C"]),
        ([], ["B", "C"]),
    ],
)
def test_a_step_is_stale_when_its_record_is_not_what_the_plan_saw(rows, found):
    assert stale(*rows) == found


def undo(old, new, key="2"):
    step = Step("update", "B", key, changes=(FieldChange("limit", old, new),), fingerprint=None)
    return plan(step, fields=("key", "id", "limit"), mode="undo")


@pytest.mark.parametrize(
    ("live", "found"), [("10", []), ("10.00", []), (Decimal(10), []), ("11", ["B"]), (None, ["B"])]
)
def test_without_a_fingerprint_old_values_are_compared_in_the_terms_of_intacct(live, found):
    assert stale({"key": "2", "id": "B", "limit": live}, made=undo("10", "5")) == found


def test_a_step_without_a_key_takes_the_record_that_has_its_name():
    row = {"key": "77", "id": "B", "limit": "10"}
    assert stale(row, made=undo("10", "5", key="")) == []
    assert stale(row, made=undo("10", "5")) == ["B"]


def test_only_the_field_that_is_matched_on_pairs():
    step = Step("update", "South", "2", changes=(FieldChange("limit", "1", "2"),), fingerprint=None)
    made = plan(step, match_on="name", fields=("key", "name", "limit"))
    assert stale({"key": "2", "id": "renamed", "name": "South", "limit": "1"}, made=made) == []
    assert stale({"key": "2", "id": "South", "name": "renamed", "limit": "1"}, made=made) == ["South"]


# --- what is done already


@pytest.mark.parametrize(
    ("step", "row", "done"),
    [
        (PLAN.steps[1], B, False),
        (PLAN.steps[1], B | {"name": "West"}, True),
        (PLAN.steps[1], None, False),
        (PLAN.steps[2], C, False),
        (PLAN.steps[2], None, True),
        (create("A", name="x", limit="10"), None, False),
        (create("A", name="x", limit="10"), {"key": "1", "id": "A", "name": "x", "limit": "10.00"}, True),
        (create("A", name="x", limit="10"), {"key": "1", "id": "A", "name": "y", "limit": "10"}, False),
        (deactivate("D"), {"key": "9", "id": "D", "status": "inactive"}, True),
        (deactivate("D"), {"key": "9", "id": "D", "status": "active"}, False),
    ],
)
def test_a_step_is_done_when_writing_it_would_change_nothing(step, row, done):
    assert is_done(step, row, TYPES) is done
