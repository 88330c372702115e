"""Limits on a plan, and whether its records are still what it saw."""

from decimal import Decimal

import pytest
from sync_plans import create, deactivate, delete, plan, update

from intacct_provider.exceptions import IntacctArgumentError, IntacctError, IntacctSyncGuardError
from intacct_provider.sync.applying.staleness import find_stale_steps, is_done
from intacct_provider.sync.plan import FieldChange, Step
from intacct_provider.sync.planning.fingerprint import fingerprint_record
from intacct_provider.sync.planning.limits import Guards, find_breaches

GROUP = "accounts-receivable/customer-group"


def steps(make, count):
    return [make(f"G-{n}") for n in range(1, count + 1)]


# --- limits


@pytest.mark.parametrize(
    ("limit", "make", "verb"),
    [
        ("max_creates", create, "creates"),
        ("max_updates", update, "updates"),
        ("max_deletes", delete, "deletes"),
        ("max_deletes", deactivate, "deactivates"),
    ],
)
def test_too_many_are_named_with_the_way_to_allow_them(limit, make, verb):
    made = plan(*steps(make, 7))
    assert find_breaches(made, Guards(**{limit: 7})) == ()
    [message] = find_breaches(made, Guards(**{limit: 2}))
    assert message == (
        f"The plan for {GROUP} {verb} 7 records ('G-1', 'G-2', 'G-3', 'G-4', 'G-5' and 2 more), more than {limit}=2. "
        f"To allow it, set {limit}=7."
    )


def test_deletions_and_deactivations_count_as_one():
    [message] = find_breaches(plan(deactivate("A"), delete("B")), Guards(max_deletes=1))
    assert "removes 2 records ('A', 'B')" in message


def test_a_limit_of_zero_refuses_any_and_says_record():
    [message] = find_breaches(plan(delete("A")), Guards(max_deletes=0))
    assert "deletes 1 record ('A'), more than max_deletes=0" in message


def test_a_limit_counts_only_its_own_steps():
    made = plan(create("A"), update("B"), delete("C"))
    assert find_breaches(made, Guards(max_creates=1, max_updates=1, max_deletes=1)) == ()


def test_the_percentage_is_of_the_live_records():
    made = plan(create("A"), update("B"), live=3)
    assert find_breaches(made, Guards(max_change_percent=66.7)) == ()
    [message] = find_breaches(made, Guards(max_change_percent=66.5))
    assert message == (
        f"The plan for {GROUP} changes 2 records ('B', 'A'), 66.7 % of the 3 live ones, more than "
        "max_change_percent=66.5. To allow it, set max_change_percent=67."
    )


def test_the_percentage_is_of_those_in_scope_where_there_is_one():
    made = plan(delete("A"), live=10_000, in_scope=4)
    assert "25.0 % of the 4 live ones" in find_breaches(made, Guards(max_change_percent=24))[0]


def test_the_percentage_of_an_empty_company_counts_as_of_one_record():
    made = plan(*steps(create, 2), live=0)
    assert find_breaches(made, Guards(max_change_percent=200)) == ()
    assert "200.0 %" in find_breaches(made, Guards(max_change_percent=199))[0]


def test_what_an_application_costs_is_limited():
    made = plan(update("A"), transactions=2)
    assert find_breaches(made, Guards(max_transactions=2)) == ()
    [message] = find_breaches(made, Guards(max_transactions=1))
    assert message == (
        f"Applying the plan for {GROUP} takes about 2 billed transactions, more than max_transactions=1. To allow it, "
        "set max_transactions=2."
    )


def test_every_breach_is_told():
    made = plan(create("A"), update("B"), delete("C"), transactions=4)
    guards = Guards(max_creates=0, max_updates=0, max_deletes=0, max_change_percent=0, max_transactions=0)
    assert len(find_breaches(made, guards)) == 5
    assert find_breaches(made, Guards()) == ()
    assert find_breaches(plan(), guards) == ()


@pytest.mark.parametrize(
    "name", ["max_creates", "max_updates", "max_deletes", "max_change_percent", "max_transactions"]
)
@pytest.mark.parametrize("limit", [-1, True, "5", float("nan")])
def test_a_limit_that_is_no_number_is_refused(name, limit):
    with pytest.raises(IntacctArgumentError, match=f"{name} is {limit!r}"):
        Guards(**{name: limit})


def test_a_breach_is_not_retried():
    assert issubclass(IntacctSyncGuardError, IntacctError)
    assert IntacctSyncGuardError.retryable is False


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
