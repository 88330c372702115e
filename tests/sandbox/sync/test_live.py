"""What is read before a plan is made or applied: complete, in the fewest calls, and just what counts."""

from dataclasses import replace

import pytest
from sandbox_client import calls, client_of, running

from intacct_provider.client.query.expressions import field
from intacct_provider.exceptions import (
    IntacctArgumentError,
    IntacctDesiredStateError,
    IntacctIncompleteReadError,
    IntacctPermissionError,
)
from intacct_provider.sync.applying.reread import reread_records
from intacct_provider.sync.applying.staleness import find_stale_steps
from intacct_provider.sync.build import build_plan
from intacct_provider.sync.desired.sources import Layout, read_desired_records
from intacct_provider.sync.object_facts import collect_types
from intacct_provider.sync.plan import FieldChange
from intacct_provider.sync.planning.live import fetch_records, read_live
from intacct_provider.sync.planning.planner import plan_changes
from intacct_provider.sync.request import SyncRequest

CUSTOMER = "accounts-receivable/customer"
CUSTOMER_GROUP = "accounts-receivable/customer-group"
ACCOUNT_GROUP = "general-ledger/account-group"
PURPOSE = "general-ledger/account-group-purpose"
QUERY = "/services/core/query"
ODD = ["a, b", "a/b", "a b", "Ünïcode", "日本", "it's", '"q"', "10%", "x;y"]


def live_of(client, object_name, desired, *, mode="upsert", match_on="id", **how):
    request = request_for(object_name, mode, match_on=match_on, **how)
    return read_live(client, desired, client.model(object_name), request)


def request_for(object_name, mode, **how):
    return SyncRequest(object_name, mode, **({"scope": "all"} if mode == "mirror" else {}) | how)


def plan_of(client, object_name, desired, *, mode="upsert", on_delete="delete", **how):
    live = live_of(client, object_name, desired, mode=mode, **how)
    request = request_for(object_name, mode, on_delete=on_delete, **how)
    return plan_changes(desired, live, client.model(object_name), request)


def ids(live):
    return [row["id"] for row in live.rows]


@pytest.fixture
def purposes(sandbox, client):
    """Six purposes, of which two are ours by name and two are inactive."""
    names = ["FIN-1", "FIN-2", "HR-1", "HR-2", "x", "y"]
    status = ["active", "inactive", "active", "inactive", "active", "active"]
    sandbox.seed(PURPOSE, [{"id": one, "status": two} for one, two in zip(names, status, strict=True)])
    return client


# --- what is read


def test_only_what_counts_is_kept_and_all_is_counted(purposes):
    live = live_of(purposes, PURPOSE, [{"id": "FIN-1"}, {"id": "hr-2"}, {"id": "new"}])
    assert ids(live) == ["FIN-1", "HR-2"]  # desired, and spelled almost like one that is
    assert (live.count, live.in_scope, live.protected, live.full_records) == (6, None, frozenset(), False)


def test_a_mirror_keeps_all(purposes):
    assert len(live_of(purposes, PURPOSE, [{"id": "FIN-1"}], mode="mirror").rows) == 6


@pytest.mark.parametrize("scope", [None, [], {}])
def test_a_mirror_without_a_scope_is_refused_before_a_call(purposes, sandbox, scope):
    purposes.model(PURPOSE)
    before = len(sandbox.requests)
    with pytest.raises(IntacctArgumentError, match=r'mode mirror needs scope.*give scope="all"'):
        live_of(purposes, PURPOSE, [{"id": "FIN-1"}], mode="mirror", scope=scope)
    assert len(sandbox.requests) == before


def test_a_scope_that_is_another_text_is_refused(purposes):
    with pytest.raises(
        IntacctArgumentError, match="scope must be filters, or the text \"all\", not 'everything'"
    ):
        live_of(purposes, PURPOSE, [{"id": "FIN-1"}], mode="mirror", scope="everything")


@pytest.mark.parametrize(
    "scope",
    [
        field("id").startswith("FIN-"),
        [{"$startsWith": {"id": "FIN-"}}],
        {"$startsWith": {"id": "FIN-"}},
        field("id").in_(["FIN-1", "FIN-2"]),
    ],
)
def test_a_scope_is_evaluated_by_intacct(purposes, scope):
    live = live_of(purposes, PURPOSE, [{"id": "FIN-1"}], mode="mirror", scope=scope)
    assert ids(live) == ["FIN-1", "FIN-2"]
    assert (len(live.in_scope), live.count) == (2, 6)
    plan = plan_of(purposes, PURPOSE, [{"id": "FIN-1"}], mode="mirror", scope=scope)
    assert [step.match for step in plan.steps] == ["FIN-2"]


def test_a_desired_record_out_of_scope_is_refused(purposes):
    with pytest.raises(IntacctArgumentError, match=r"out of scope.*'HR-1'"):
        plan_of(purposes, PURPOSE, [{"id": "HR-1"}], mode="mirror", scope=field("id").startswith("FIN-"))


def test_protected_records_are_left_out(purposes):
    desired = [{"id": "FIN-1", "status": "inactive"}, {"id": "x", "status": "inactive"}]
    plan = plan_of(purposes, PURPOSE, desired, mode="mirror", protect=field("status") == "active")
    assert [(step.action, step.match) for step in plan.steps] == [("delete", "FIN-2"), ("delete", "HR-2")]
    assert plan.protected == 4


def test_deactivation_leaves_inactive_ones_alone(purposes):
    plan = plan_of(purposes, PURPOSE, [{"id": "x"}], mode="mirror", on_delete="deactivate")
    assert [(step.action, step.match) for step in plan.steps] == [
        ("deactivate", "FIN-1"),
        ("deactivate", "HR-1"),
        ("deactivate", "y"),
    ]
    assert plan.unchanged == 1 + 2


@pytest.mark.parametrize("odd", ODD)
def test_odd_ids_are_found_and_found_again(sandbox, client, odd):
    sandbox.seed(PURPOSE, [{"id": one, "status": "active"} for one in ODD])
    plan = plan_of(client, PURPOSE, [{"id": odd, "status": "inactive"}, {"id": f"{odd}!"}])
    assert [(step.action, step.match) for step in plan.steps] == [("create", f"{odd}!"), ("update", odd)]
    assert [row["id"] for row in reread_records(client, plan)] == [odd]


def test_an_id_that_differs_only_by_case_is_never_created(purposes):
    desired = read_desired_records([{"id": "fin-1"}], Layout(match_on="id"), source="x")
    with pytest.raises(
        IntacctDesiredStateError, match=r"'FIN-1' \(the live record with key \d+\) differs .* by case"
    ):
        build_plan(purposes, desired, SyncRequest(PURPOSE))


@pytest.mark.parametrize("twin", ["FIN-2\u200b", "\u200fFIN-2", "F\u0406N-2", "FIN\u20112", "\uff26IN-2"])
@pytest.mark.parametrize("mode", ["upsert", "mirror", "update"])
def test_a_mirror_never_swaps_a_record_for_its_twin(purposes, twin, mode):
    desired = read_desired_records([{"id": twin}], Layout(match_on="id"), source="x")
    request = SyncRequest(PURPOSE, mode, scope="all" if mode == "mirror" else None)
    with pytest.raises(
        IntacctDesiredStateError, match=r"record 1 .*U\+.* looks like 'FIN-2' of the live record"
    ):
        build_plan(purposes, desired, request)


def test_what_intacct_counts_as_one_matches_on_another_field(sandbox, client):
    sandbox.seed(CUSTOMER, [{"id": "C-1", "name": "North"}, {"id": "C-2", "name": "South"}])
    plan = plan_of(client, CUSTOMER, [{"name": "South", "notes": "x"}], match_on="name")
    assert [(step.match, step.key) for step in plan.steps] == [("South", "2")]


# --- records read whole


@pytest.fixture
def groups(sandbox, client):
    """Four groups, three with the same two members."""
    sandbox.seed(CUSTOMER, [{"id": one, "name": one} for one in "AB"])
    some = [{"id": f"G-{n}", "name": "n", "groupMembers": [{"id": "A"}, {"id": "B"}]} for n in range(3)]
    sandbox.seed(CUSTOMER_GROUP, [*some, {"id": "G-3", "name": "n"}])
    return client


def gets(sandbox):
    return [call.path.rpartition("/")[2] for call in calls(sandbox, "/objects", "GET")]


def test_only_desired_records_are_read_whole(groups, sandbox):
    live = live_of(groups, CUSTOMER_GROUP, [{"id": "G-0", "groupMembers": []}, {"id": "G-2"}])
    assert gets(sandbox) == ["1,3"]
    assert live.full_records
    assert [sorted(row) for row in live.rows] == [["groupMembers", "id", "key"]] * 2
    assert [member["key"] for member in live.rows[0]["groupMembers"]] == ["1", "2"]


def test_members_that_are_as_desired_are_not_held_twice(groups):
    members = [{"id": "A"}, {"id": "B"}]
    [row] = live_of(groups, CUSTOMER_GROUP, [{"id": "G-0", "groupMembers": members}]).rows
    assert row["groupMembers"] is members


def test_members_compare_by_id_and_by_key_and_in_order(groups):
    desired = [
        {"id": "G-0", "groupMembers": [{"id": "A"}, {"id": "B"}]},
        {"id": "G-1", "groupMembers": [{"key": "1"}, {"key": "2", "id": "B"}]},
        {"id": "G-2", "groupMembers": [{"id": "B"}, {"id": "A"}]},
    ]
    plan = plan_of(groups, CUSTOMER_GROUP, desired)
    assert [step.match for step in plan.steps] == ["G-2"]
    assert plan.full_records


def test_a_mirror_of_lists_reads_what_it_deletes_whole_too(groups):
    desired = [{"id": "G-0", "groupMembers": [{"id": "A"}, {"id": "B"}]}]
    plan = plan_of(groups, CUSTOMER_GROUP, desired, mode="mirror")
    assert [step.match for step in plan.steps] == ["G-1", "G-2", "G-3"]
    assert [change.path for change in plan.steps[0].changes] == ["id", "groupMembers"]
    assert (
        find_stale_steps(plan, reread_records(groups, plan), collect_types(groups.model(CUSTOMER_GROUP)))
        == ()
    )


def test_conditions_in_another_order_are_no_difference(sandbox, client):
    filters = [{"$eq": {"status": "active"}}, {"$gt": {"totalDue": "10"}}]
    sandbox.seed(
        CUSTOMER_GROUP, [{"id": "G", "name": "n", "memberFilter": {"object": CUSTOMER, "filters": filters}}]
    )
    assert plan_of(client, CUSTOMER_GROUP, [{"id": "G", "memberFilter": {"filters": filters[::-1]}}]).is_empty
    numbered = {"filters": filters[::-1], "filterExpression": "1 and 2"}
    assert not plan_of(client, CUSTOMER_GROUP, [{"id": "G", "memberFilter": numbered}]).is_empty


def test_a_field_that_queries_cannot_read_after_all_is_read_with_the_record(sandbox, client):
    sandbox.seed(CUSTOMER, [{"id": one, "name": one} for one in "AB"])
    live = live_of(client, CUSTOMER, [{"id": "B", "notInTheModel": "x"}])
    assert live.full_records
    assert gets(sandbox) == ["2"]
    plan = plan_of(client, CUSTOMER, [{"id": "B", "notInTheModel": "x"}])
    assert plan.full_records
    assert plan.steps[0].changes == (FieldChange("notInTheModel", None, "x"),)
    assert [row["id"] for row in reread_records(client, replace(plan, full_records=False))] == ["B"]


def test_another_refusal_of_a_query_is_told(purposes, sandbox):
    sandbox.fail(path=QUERY, status=403, times=1)
    with pytest.raises(IntacctPermissionError):
        live_of(purposes, PURPOSE, [{"id": "x"}])
    plan = plan_of(purposes, PURPOSE, [{"id": "x", "status": "inactive"}])
    sandbox.fail(path=QUERY, status=403, times=1)
    with pytest.raises(IntacctPermissionError):
        reread_records(purposes, plan)


def test_records_that_vanish_while_they_are_read_are_left_out(groups, sandbox):
    with client_of(sandbox) as person:
        person.delete_many(CUSTOMER_GROUP, ["2"])
    assert list(fetch_records(groups, CUSTOMER_GROUP, ["1", "2", "3"])) == ["1", "3"]
    assert fetch_records(groups, CUSTOMER_GROUP, ["2"]) == {}
    assert fetch_records(groups, CUSTOMER_GROUP, []) == {}


def test_records_that_cannot_be_read_whole_are_not_taken_for_gone(groups, sandbox):
    sandbox.fail(path="/objects", method="GET", status=404, times=10)
    with pytest.raises(IntacctIncompleteReadError, match="kept being deleted"):
        fetch_records(groups, CUSTOMER_GROUP, ["1", "2"])


@pytest.mark.parametrize("mode", ["upsert", "mirror"])
def test_the_same_records_give_the_same_bytes_whoever_reads_them(groups, sandbox, mode):
    desired = [
        {"id": "G-2", "groupMembers": [{"id": "B"}]},
        {"id": "N", "name": "n"},
        {"id": "G-0", "name": "o"},
    ]
    with client_of(sandbox, page_size=2) as other:
        one, two = (
            plan_of(groups, CUSTOMER_GROUP, desired, mode=mode),
            plan_of(other, CUSTOMER_GROUP, desired[::-1], mode=mode),
        )
    assert one.to_json() == two.to_json()
    assert len(one.steps) == (3 if mode == "upsert" else 5)


# --- read again before it is applied


def touched(client, plan):
    return sorted(row["id"] for row in reread_records(client, plan))


def test_touched_records_are_read_in_one_call(purposes, sandbox):
    plan = plan_of(purposes, PURPOSE, [{"id": "FIN-1", "status": "inactive"}, {"id": "new"}])
    before = len(calls(sandbox, QUERY))
    assert touched(purposes, plan) == ["FIN-1"]
    assert len(calls(sandbox, QUERY)) == before + 1


def test_an_empty_plan_reads_nothing(purposes, sandbox):
    plan = plan_of(purposes, PURPOSE, [{"id": "FIN-1"}])
    before = len(sandbox.requests)
    assert reread_records(purposes, plan) == []
    assert len(sandbox.requests) == before


MEANWHILE = {
    "nothing": (lambda client: None, []),
    "created": (lambda client: client.create(PURPOSE, {"id": "new"}), ["new"]),
    "another changed": (lambda client: client.update(PURPOSE, "3", {"status": "inactive"}), []),
    "changed": (lambda client: client.update(PURPOSE, "2", {"status": "active"}), ["FIN-2"]),
    "renamed": (lambda client: client.update(PURPOSE, "2", {"id": "other"}), ["FIN-2"]),
    "deleted": (lambda client: client.delete(PURPOSE, "2"), ["FIN-2"]),
    "made again": (
        lambda client: (
            client.delete(PURPOSE, "2"),
            client.create(PURPOSE, {"id": "FIN-2", "status": "inactive"}),
        ),
        ["FIN-2"],
    ),
    "renamed to the new": (lambda client: client.update(PURPOSE, "2", {"id": "new"}), ["new", "FIN-2"]),
}


@pytest.mark.parametrize("what", MEANWHILE)
def test_what_a_person_did_meanwhile_is_seen(purposes, sandbox, what):
    person, stale = MEANWHILE[what]
    desired = [{"id": "FIN-2", "status": "active"}, {"id": "x", "status": "inactive"}, {"id": "new"}]
    plan = plan_of(purposes, PURPOSE, desired)
    with client_of(sandbox) as other:
        person(other)
    found = find_stale_steps(plan, reread_records(purposes, plan), collect_types(purposes.model(PURPOSE)))
    assert [step.match for step in found] == stale


def test_a_member_that_was_deleted_makes_its_group_stale(groups, sandbox):
    desired = [{"id": "G-0", "name": "changed", "groupMembers": [{"id": "A"}, {"id": "B"}]}]
    plan = plan_of(groups, CUSTOMER_GROUP, desired)
    with client_of(sandbox) as person:
        person.update(CUSTOMER_GROUP, "1", {"groupMembers": [{"id": "A"}]})
    assert [step.match for step in find_stale_steps(plan, reread_records(groups, plan), {})] == ["G-0"]


def test_many_touched_records_are_read_page_by_page():
    with running(f"{CUSTOMER_GROUP}=1300") as sandbox, client_of(sandbox) as client:
        desired = [{"id": f"GROUP-{n:05}", "name": "new name"} for n in range(1, 1201)]
        plan = plan_of(client, CUSTOMER_GROUP, desired)
        before = len(calls(sandbox, QUERY))
        rows = reread_records(client, plan)
        assert len(calls(sandbox, QUERY)) == before + 1
        assert {row["id"] for row in rows} == plan.touched
        some = plan_of(client, CUSTOMER_GROUP, desired[:500])
        assert len(reread_records(client, some)) == 500


# --- order


def test_parents_come_first_and_leave_last(sandbox, client):
    sandbox.seed(CUSTOMER, [{"id": "a", "name": "a"}])
    sandbox.seed(CUSTOMER, [{"id": "b", "name": "b", "parent": {"id": "a"}}])
    sandbox.seed(CUSTOMER, [{"id": "keep", "name": "k"}])
    desired = [
        {"id": "z", "name": "z", "parent": {"id": "top"}},
        {"id": "top", "name": "t", "parent": {"id": "keep"}},
        {"id": "keep"},
    ]
    plan = plan_of(client, CUSTOMER, desired, mode="mirror")
    assert [(step.action, step.match, step.level) for step in plan.steps] == [
        ("create", "top", 0),
        ("create", "z", 1),
        ("delete", "b", 0),
        ("delete", "a", 1),
    ]


def test_account_groups_leave_before_their_members(sandbox, client):
    sandbox.seed(ACCOUNT_GROUP, [{"id": one, "groupType": "accounts"} for one in ("keep", "a")])
    members = [{"accountGroup": {"id": "a"}}]
    sandbox.seed(ACCOUNT_GROUP, [{"id": "all", "groupType": "groups", "accountGroupMembers": members}])
    plan = plan_of(client, ACCOUNT_GROUP, [{"id": "keep"}], mode="mirror")
    assert [(step.match, step.level) for step in plan.steps] == [("all", 0), ("a", 1)]
    assert not plan.full_records
    assert gets(sandbox) == ["2,3"]


def test_one_deletion_has_no_order_that_would_be_read(sandbox, client):
    sandbox.seed(ACCOUNT_GROUP, [{"id": one, "groupType": "accounts"} for one in ("keep", "a")])
    assert len(plan_of(client, ACCOUNT_GROUP, [{"id": "keep"}], mode="mirror").steps) == 1
    assert gets(sandbox) == []
