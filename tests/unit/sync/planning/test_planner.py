"""Plans: what each mode does, in which order, and what desired and live records cannot agree on."""

from __future__ import annotations

import datetime as dt
import json
import random
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intacct_provider.client.query.expressions import field
from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.sync.applying.staleness import find_stale_steps, is_done
from intacct_provider.sync.object_facts import collect_types
from intacct_provider.sync.plan import MODES, FieldChange, Plan, Step
from intacct_provider.sync.planning.cost import count_reads, count_transactions, count_verifying
from intacct_provider.sync.planning.live import Live
from intacct_provider.sync.planning.planner import plan_changes
from intacct_provider.sync.request import SyncRequest
from intacct_provider.sync.selection import Selection

CUSTOMER = "accounts-receivable/customer"
TEXT = {"type": "string"}
MODEL = {
    "fields": {
        "key": {"type": "string", "readOnly": True, "mutable": False},
        "id": {"type": "string", "mutable": False},
        "name": TEXT,
        "creditLimit": {"type": "number"},
        "startDate": {"type": "string", "format": "date"},
        "status": {"type": "string", "enum": [None, "active", "inactive"]},
        "password": {"type": "string", "writeOnly": True},
    },
    "groups": [],
    "refs": {
        "term": {"apiObject": "accounts-receivable/term", "fields": {"key": TEXT, "id": TEXT}},
        "parent": {"apiObject": CUSTOMER, "fields": {"key": TEXT, "id": TEXT}},
    },
    "lists": {"members": {"apiObject": "x/y"}},
}
TYPES = collect_types(MODEL)
LIVE = [
    {"key": "1", "id": "C-1", "name": "North", "creditLimit": 10, "status": "active"},
    {"key": "2", "id": "C-2", "name": "South", "creditLimit": Decimal("20.00"), "status": "active"},
    {"key": "3", "id": "C-3", "name": "East", "creditLimit": None, "status": "inactive"},
]
DESIRED = [
    {"id": "C-9", "name": "New", "creditLimit": None, "term": {"id": "N30"}},
    {"id": "C-2", "name": "South-West", "creditLimit": 20},
    {"id": "C-1", "name": "North"},
]


def plan(desired=DESIRED, live=LIVE, *, mode="upsert", in_scope=None, protected=(), **kwargs) -> Plan:
    scope = None if in_scope is None else frozenset(in_scope)
    seen = live if isinstance(live, Live) else Live(live, scope, frozenset(protected))
    facts = {name: kwargs.pop(name) for name in ("entity_id", "source", "origin") if name in kwargs}
    request = SyncRequest(CUSTOMER, mode, scope="all", **kwargs)
    return replace(plan_changes(desired, seen, MODEL, request), **facts)


def matches(made: Plan, action: str) -> list[str]:
    return [step.match for step in made.steps if step.action == action]


def refusal(*args, **kwargs) -> str:
    with pytest.raises(IntacctArgumentError) as caught:
        plan(*args, **kwargs)
    return str(caught.value)


# --- modes


@pytest.mark.parametrize(
    ("mode", "creates", "updates", "deletes", "left_alone"),
    [
        ("create", ["C-9"], [], [], 1),
        ("update", [], ["C-2"], [], 1),
        ("upsert", ["C-9"], ["C-2"], [], 0),
        ("mirror", ["C-9"], ["C-2"], ["C-3"], 0),
    ],
)
def test_modes(mode, creates, updates, deletes, left_alone):
    made = plan(mode=mode)
    assert (matches(made, "create"), matches(made, "update"), matches(made, "delete")) == (
        creates,
        updates,
        deletes,
    )
    assert (made.unchanged, made.left_alone, made.live, made.desired) == (1, left_alone, 3, 3)
    assert made.touched == {*creates, *updates, *deletes}
    assert not made.is_empty


def test_steps_say_what_is_sent_and_why():
    made = plan(mode="mirror", entity_id="10", source="c.csv", origin="d/r/t")
    create, update, delete = made.steps
    assert create == Step(
        "create",
        "C-9",
        reason="not in Intacct",
        changes=(
            FieldChange("id", None, "C-9"),
            FieldChange("name", None, "New"),
            FieldChange("term.id", None, "N30"),
        ),
        body={"id": "C-9", "name": "New", "term": {"id": "N30"}},
    )
    assert (update.key, update.reason, update.body) == ("2", "1 field differs", {"name": "South-West"})
    assert update.changes == (FieldChange("name", "South", "South-West"),)
    assert (delete.key, delete.reason, delete.body) == ("3", "not desired", {})
    assert delete.changes == (FieldChange("id", "C-3", None), FieldChange("name", "East", None))
    assert len(update.fingerprint) == len(delete.fingerprint) == 64
    assert made.fields == ("key", "id", "creditLimit", "name", "term.id")
    assert (made.entity_id, made.source, made.origin) == ("10", "c.csv", "d/r/t")
    assert made.full_records is False


def test_two_fields_that_differ_are_two():
    made = plan([{"id": "C-2", "name": "x", "creditLimit": 21}])
    assert made.steps[0].reason == "2 fields differ"


def test_lists_ask_for_full_records():
    assert plan([{"id": "C-1", "members": []}]).full_records is True
    assert plan([{"id": "C-1", "name": "x"}], Live(LIVE, full_records=True)).full_records is True


def test_a_plan_without_changes_is_empty_and_free():
    made = plan([{"id": "C-1", "name": "North"}])
    assert made.is_empty
    assert (made.unchanged, made.transactions) == (1, 0)


def test_nothing_desired_plans_nothing():
    assert plan([]).is_empty


def test_matching_on_another_field():
    assert plan([{"name": "South", "creditLimit": 5}], match_on="name").steps[0].key == "2"
    made = plan([{"key": "3", "name": "West"}], match_on="key", mode="update")
    assert (made.steps[0].key, made.steps[0].body) == ("3", {"name": "West"})


def test_dates_given_as_dates_are_no_difference_to_their_text():
    live = [{"key": "1", "id": "C-1", "startDate": "2026-03-01"}]
    assert plan([{"id": "C-1", "startDate": dt.date(2026, 3, 1)}], live).is_empty
    made = plan([{"id": "C-1", "startDate": dt.date(2026, 3, 2)}], live)
    assert made.steps[0].body == {"startDate": "2026-03-02"}


@pytest.mark.parametrize("cleared", [{"term": None}, {"term": {"id": None}}, {"term.id": None}])
def test_a_reference_that_is_cleared_is_told_by_its_name(cleared):
    live = [{"key": "1", "id": "C-1", "term.id": "N30", "term.key": "7"}]
    [step] = plan([{"id": "C-1", **cleared}], live).steps
    assert step.changes == (FieldChange("term.id", "N30", None),)
    assert step.body == {"term": {"id": None}}
    assert step.reason == "1 field differs"


def test_a_reference_without_an_id_is_told_by_its_key():
    [step] = plan(
        [{"id": "C-1", "term": None}], [{"key": "1", "id": "C-1", "term.id": None, "term.key": "7"}]
    ).steps
    assert step.changes == (FieldChange("term.key", "7", None),)


def test_what_can_only_be_written_is_sent_with_a_creation_alone():
    made = plan([{"id": "C-1", "password": "p"}, {"id": "C-9", "password": "p"}])
    assert [step.match for step in made.steps] == ["C-9"]
    assert made.steps[0].body == {"id": "C-9", "password": "p"}


def test_nothing_given_is_changed_by_making_a_plan():
    before = json.dumps([DESIRED, LIVE], default=str)
    plan(mode="mirror")
    assert json.dumps([DESIRED, LIVE], default=str) == before


# --- scope, protection, deactivation


def test_a_mirror_leaves_alone_what_is_out_of_scope():
    made = plan(mode="mirror", in_scope=["1", "2"])
    assert matches(made, "delete") == []
    assert (made.live, made.in_scope) == (3, 2)


def test_desired_records_out_of_scope_are_named_all_at_once():
    message = refusal(mode="mirror", in_scope=["3"])
    assert "2 desired records" in message
    assert "out of scope" in message
    assert "'C-1', 'C-2'" in message


def test_protected_records_are_counted_and_never_touched():
    made = plan(mode="mirror", protected=["2", "3"])
    assert [step.match for step in made.steps] == ["C-9"]
    assert (made.protected, made.unchanged) == (2, 1)


def test_a_protected_record_that_is_as_desired_is_unchanged():
    made = plan(protected=["1"])
    assert (made.protected, made.unchanged) == (0, 1)


def test_deactivation_takes_the_place_of_a_deletion():
    live = [*LIVE, {"key": "4", "id": "C-4", "name": "Old", "creditLimit": None, "status": "active"}]
    made = plan(live=live, mode="mirror", on_delete="deactivate")
    [step] = [step for step in made.steps if step.action == "deactivate"]
    assert (step.match, step.key, step.body) == ("C-4", "4", {"status": "inactive"})
    assert step.changes == (FieldChange("status", "active", "inactive"),)
    assert matches(made, "delete") == []
    # C-1 is as desired; C-3 is not desired and inactive already.
    assert made.unchanged == 2
    assert "status" in made.fields


def test_deactivation_needs_a_status():
    model = {**MODEL, "fields": {**MODEL["fields"], "status": {"type": "string", "enum": ["open"]}}}
    with pytest.raises(IntacctArgumentError, match="no status that can be inactive"):
        plan_changes(
            DESIRED, Live(LIVE), model, SyncRequest(CUSTOMER, "mirror", scope="all", on_delete="deactivate")
        )
    assert plan_changes(
        DESIRED, Live(LIVE), model, SyncRequest(CUSTOMER, "upsert", on_delete="deactivate")
    ).steps


# --- what they cannot agree on


@pytest.mark.parametrize(
    ("desired", "live", "options", "parts"),
    [
        (DESIRED, LIVE, {"mode": "mirrors"}, ["one of create, update, upsert, mirror, not 'mirrors'", "'mirror'?"]),
        (DESIRED, LIVE, {"on_delete": "deactivte"}, ["not 'deactivte'", "'deactivate'?"]),
        ([{"id": "a"}, {"id": "a"}], LIVE, {}, ["'a' is desired more than once"]),
        ([{"name": "a", "ID": "x"}], LIVE, {}, ["desired record 1 has no id"]),
        ([{"id": "C-1"}], [LIVE[0], LIVE[0] | {"key": "8"}], {}, ["Two live records have id 'C-1'", "keys 1 and 8"]),
        ([{"id": "C-1"}], [{"id": "C-1", "kye": "1"}], {}, ["has no key", "Did you mean 'kye'?"]),
        ([{"id": "C-1"}], [{"id": "C-1", "key": None}], {}, ["id 'C-1' has no key"]),
        ([{"id": "C-1"}], [{"key": "1", "name": "x"}], {"mode": "mirror"}, ["(key '1')", "has no id"]),
        ([{"id": "C-1"}], [{"key": "7", "id": None}], {"mode": "mirror"}, ["key 7", "blank id", "would delete it"]),
        ([{"key": "99", "name": "x"}], LIVE, {"match_on": "key"}, ["no live record with key '99'", "mode update"]),
        ([{"id": "C-1", "creditLimit": float("inf")}], LIVE, {}, ["inf", "use null"]),
    ],
)  # fmt: skip
def test_make_plan_refuses(desired, live, options, parts):
    message = refusal(desired, live, **options)
    for part in parts:
        assert part in message


def test_of_many_problems_ten_are_named():
    desired = [{"id": f"C-{n:02}"} for n in range(12)]
    live = [{"key": str(n), "id": f"C-{n:02}"} for n in range(12)]
    message = refusal(desired, live, mode="mirror", in_scope=["99"])
    assert message.startswith("12 desired records")
    assert "'C-09'" in message
    assert "'C-10'" not in message
    assert message.endswith("and 2 more.")


def test_a_name_that_is_live_in_two_cases_is_no_problem_when_one_is_desired():
    live = [{"key": "1", "id": "a", "name": "x"}, {"key": "2", "id": "A", "name": "y"}]
    assert plan([{"id": "a", "name": "x"}], live).is_empty
    assert matches(plan([{"id": "a", "name": "x"}], live, mode="mirror"), "delete") == ["A"]


def test_a_live_record_that_is_desired_itself_stands_in_nobodys_way():
    live = [{"key": "1", "id": "a", "name": "x"}]
    assert matches(plan([{"id": "a", "name": "x"}, {"id": "A", "name": "y"}], live), "create") == ["A"]


def test_live_records_with_a_blank_match_are_ignored_unless_they_would_be_deleted():
    assert plan([{"id": "C-1", "name": "North"}], [*LIVE, {"key": "7", "id": None}]).is_empty
    made = plan([{"id": "C-1"}], [LIVE[0], {"key": "7", "id": None}], mode="mirror", in_scope=["1"])
    assert made.is_empty


# --- order


def family(**parents):
    return [
        {"id": name, "parent": {"id": parent}} if parent else {"id": name} for name, parent in parents.items()
    ]


def order(made: Plan) -> list[tuple[str, int]]:
    return [(step.match, step.level) for step in made.steps]


def test_parents_are_created_before_their_children():
    made = plan(family(a="b", b="c", c=None, d=None, e="elsewhere"), [])
    assert order(made) == [("c", 0), ("d", 0), ("e", 0), ("b", 1), ("a", 2)]


def test_updates_that_swap_parent_and_child_free_the_new_parent_first():
    live = [
        {"key": "1", "id": "a", "parent.id": None, "parent.key": None},
        {"key": "2", "id": "b", "parent.id": "a", "parent.key": "1"},
    ]
    made = plan([{"id": "a", "parent": {"id": "b"}}, {"id": "b", "parent": {"id": None}}], live)
    assert order(made) == [("b", 0), ("a", 1)]
    made = plan([{"id": "a", "parent": {"key": "2"}}, {"id": "b", "parent": {"key": None}}], live)
    assert order(made) == [("b", 0), ("a", 1)]


def test_children_are_deleted_before_their_parents():
    live = [
        {"key": "1", "id": "a", "parent.key": None},
        {"key": "2", "id": "b", "parent.key": "1"},
        {"key": "3", "id": "c", "parent.key": "2"},
        {"key": "4", "id": "keep", "parent.key": None},
    ]
    made = plan([{"id": "keep"}], live, mode="mirror")
    assert order(made) == [("c", 0), ("b", 1), ("a", 2)]


def test_members_are_created_before_the_group_that_lists_them():
    group = "general-ledger/account-group"
    desired = [
        {"id": "All", "accountGroupMembers": [{"accountGroup": {"id": "Cash"}}]},
        {"id": "Cash", "accountRanges": [{"rangeFrom": "1", "rangeTo": "2"}]},
    ]
    made = plan_changes(desired, Live([]), {"fields": {}}, SyncRequest(group))
    assert order(made) == [("Cash", 0), ("All", 1)]


def test_records_that_need_each_other_are_refused():
    message = refusal(family(a="b", b="a"), [])
    assert "in a cycle ('a' -> 'b' -> 'a')" in message


def test_steps_come_by_action_then_level_then_name():
    live = [{"key": str(n), "id": f"D-{n}", "name": "x"} for n in range(3)]
    desired = [{"id": "Z"}, {"id": "A"}, {"id": "D-1", "name": "y"}]
    made = plan(desired, live, mode="mirror")
    assert [(step.action, step.match) for step in made.steps] == [
        ("create", "A"),
        ("create", "Z"),
        ("update", "D-1"),
        ("delete", "D-0"),
        ("delete", "D-2"),
    ]


# --- cost


@pytest.mark.parametrize(
    ("actions", "live", "full", "reads"),
    [
        ([], 10_000, False, 0),
        (["update"], 10_000, False, 1),
        (["update"] * 500, 10_000, False, 1),
        (["update"] * 501, 10_000, False, 2),
        (["update"] * 10_000, 10_000, False, 3 + 1),
        (["update"] * 10_000, 1_000_000, False, 20),
        (["update"] * 501, 501, False, 1),
        (["create"], 10_000, False, 1 + 1),
        (["create"] * 600, 0, True, 1 + 1),
        (["create"] * 600 + ["update"] * 600, 10_000, True, 3 + 1 + 2),
        (["delete"], 10_000, False, 1 + 1),
    ],
)
def test_what_reading_before_an_application_costs(actions, live, full, reads):
    assert count_reads(actions, live, full_records=full) == reads


def test_a_plan_costs_its_records_and_its_reads():
    made = plan(mode="mirror")
    assert made.transactions == 3 + (1 + 1) + 1
    bounded = replace(
        made, scope=Selection(({"$eq": {"id": "A"}},)), protect=Selection(({"$eq": {"id": "B"}},))
    )
    assert count_transactions(bounded) == made.transactions + 1 + 2


@pytest.mark.parametrize(
    ("actions", "live", "full", "reads"),
    [
        ([], 10_000, False, 0),
        (["create"] * 600, 10_000, False, 2),
        (["create"] * 600, 10_000, True, 2 + 2),
        (["delete"], 10_000, False, 1 + 1),
        (["delete"] * 501 + ["update"], 10_000, True, 2 + 1 + 1),
    ],
)
def test_what_looking_afterwards_costs(actions, live, full, reads):
    assert count_verifying(actions, live, full_records=full) == reads


# --- properties

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False, width=32)
    | st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-(10**12), max_value=10**12)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text("pqr", min_size=1, max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)
ROWS = st.dictionaries(
    st.sampled_from("ABCDE"), st.fixed_dictionaries({"v": VALUES, "w": VALUES}), min_size=1
)


def rows(given, *, keyed):
    return [
        {"id": match} | record | ({"key": str(ord(match))} if keyed else {})
        for match, record in given.items()
    ]


@settings(derandomize=True, deadline=None)
@given(desired=ROWS, live=ROWS, mode=st.sampled_from(MODES), entity=st.sampled_from([None, "", "E-1"]))
def test_a_plan_is_saved_exactly_and_is_not_stale_until_something_changes(desired, live, mode, entity):
    made = plan(rows(desired, keyed=False), rows(live, keyed=True), mode=mode, entity_id=entity)
    again = Plan.from_json(made.to_json())
    assert again == made
    assert again.to_json() == made.to_json()
    assert find_stale_steps(again, rows(live, keyed=True), TYPES) == ()
    by_id = {row["id"]: row for row in rows(live, keyed=True)}
    assert not any(is_done(step, by_id.get(step.match), TYPES) for step in again.steps)
    writes = sum(step.action in ("create", "update") for step in made.steps)
    assert len(desired) == writes + made.unchanged + made.left_alone


@settings(derandomize=True, deadline=None)
@given(desired=ROWS, live=ROWS, mode=st.sampled_from(MODES), seed=st.integers())
def test_the_same_records_in_any_order_give_the_same_bytes(desired, live, mode, seed):
    one, other = rows(desired, keyed=False), rows(live, keyed=True)
    made = plan(one, other, mode=mode).to_json()
    shuffle = random.Random(seed).shuffle
    shuffle(one)
    shuffle(other)
    assert plan(one, other, mode=mode).to_json() == made


# --- scope and protection


@pytest.mark.parametrize(
    ("filters", "kept"),
    [
        (None, None),
        ([], None),
        ({"$eq": {"id": "A"}}, Selection(({"$eq": {"id": "A"}},))),
        ([{"$lt": {"n": 0.5}}, {"$in": {"d": (dt.date(2026, 1, 2),)}}],
         Selection(({"$lt": {"n": Decimal("0.5")}}, {"$in": {"d": ["2026-01-02"]}}))),
        (field("id").startswith("F") | ~(field("n").gt(Decimal("1.50"))),
         Selection(({"$startsWith": {"id": "F"}}, {"$lte": {"n": "1.50"}}), "1 or 2")),
    ],
)  # fmt: skip
def test_a_plan_carries_its_scope_and_what_it_protects(filters, kept):
    request = SyncRequest(CUSTOMER, "upsert", scope=filters, protect=filters)
    made = plan_changes(DESIRED, Live(LIVE), MODEL, request)
    assert (made.scope, made.protect) == (kept, kept)
    assert Plan.from_json(made.to_json()) == made
