"""Limits on a plan."""

import pytest
from sync_plans import create, deactivate, delete, plan, update

from intacct_provider.exceptions import IntacctArgumentError, IntacctError, IntacctSyncGuardError
from intacct_provider.sync.applying.rejects import Tolerance
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
@pytest.mark.parametrize("limit", [-1, True, "many", "", "None", "-1", float("nan"), "inf"])
def test_a_limit_that_is_no_number_is_refused(name, limit):
    with pytest.raises(IntacctArgumentError, match=f"{name} is {limit!r}"):
        Guards(**{name: limit})


@pytest.mark.parametrize("limit", [5, "5", " 5 ", 5.0, "5.0"])
def test_a_limit_may_be_text_as_templates_make_it(limit):
    guards = Guards(max_deletes=limit, max_change_percent=limit)
    assert (guards.max_deletes, guards.max_change_percent) == (5, 5.0)
    assert Tolerance(limit, limit) == Tolerance(5, 5.0)
    with pytest.raises(IntacctArgumentError, match="max_rejects is 'many'"):
        Tolerance("many")
    with pytest.raises(IntacctArgumentError, match=r"max_creates is '2\.5'; it must be a whole number"):
        Guards(max_creates="2.5")


def test_a_breach_is_not_retried():
    assert issubclass(IntacctSyncGuardError, IntacctError)
    assert IntacctSyncGuardError.retryable is False
