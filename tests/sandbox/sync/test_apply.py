"""Applying plans and their reverses against the sandbox: order, calls, refusals, files, and what is billed."""

import json
from dataclasses import replace

import pytest
from sandbox_client import calls, client_of, running, stored
from sync_work import OWNER, applied, planned, saved, undone

from intacct_provider.exceptions import (
    IntacctArgumentError,
    IntacctPlanInUseError,
    IntacctServerError,
    IntacctStalePlanError,
    IntacctSyncGuardError,
    IntacctValidationError,
)
from intacct_provider.sync.applying.apply import apply_plan
from intacct_provider.sync.applying.journal import Journal
from intacct_provider.sync.applying.outcomes import Outcome
from intacct_provider.sync.plan import Plan

CUSTOMER = "accounts-receivable/customer"
GROUP = "accounts-receivable/customer-group"
ACCOUNT_GROUP = "general-ledger/account-group"
PURPOSE = "general-ledger/account-group-purpose"
NEW = {
    CUSTOMER: {"id": "NEW", "name": "New"},
    GROUP: {"id": "NEW", "name": "New", "groupType": "all"},
    ACCOUNT_GROUP: {"id": "NEW", "title": "New", "accountRanges": [{"rangeFrom": "1", "rangeTo": "2"}]},
    PURPOSE: {"id": "NEW"},
}
#: What people have called their records.
NAMES = ["Größe, 日本 😀", "a/b\\c", " two words ", "x,y;z", "100%", 'O\'Brien "&" <Co>', "?q=1#2", "e\u0301"]


def purposes(*ids, status="active"):
    return [{"id": one, "status": status} for one in ids]


def live(client, object_name=PURPOSE, value="status"):
    return {row["id"]: row[value] for row in client.iter_rows(object_name, ["id", value])}


def written(sandbox):
    """Return the calls that wanted to change something, as method and number of records written."""
    changing = [call for call in calls(sandbox, "/objects") if call.method in ("POST", "PATCH", "DELETE")]
    return [(call.method, call.transactions) for call in changing]


def in_full(client, object_name):
    """Return all records by id, with everything but what Intacct alone sets."""
    keys = [row["key"] for row in client.iter_rows(object_name, ["key"])]
    return {record["id"]: settable(record) for record in client.get_many(object_name, keys)}


def settable(value):
    if isinstance(value, list):
        return [settable(item) for item in value]
    if not isinstance(value, dict):
        return value
    own = {
        "key",
        "href",
        "audit",
        "webURL",
        "totalDue",
        "lastInvoiceCreatedDate",
        "lastStatementGeneratedDate",
    }
    numbered = {"id"} if value.get("id") == value.get("key") else set()  # an element of a list
    return {name: settable(item) for name, item in value.items() if name not in own | numbered}


def numbers(outcome):
    """Return what an outcome counts, without zeros."""
    names = ("created", "updated", "deactivated", "deleted", "held", "found")
    return {name: getattr(outcome, name) for name in names if getattr(outcome, name)}


# --- what is written


@pytest.mark.parametrize(
    ("on_delete", "deed", "after"),
    [
        ("delete", "deleted", {"A": "active", "B": "inactive", "D": "active"}),
        ("deactivate", "deactivated", {"A": "active", "B": "inactive", "C": "inactive", "D": "active"}),
    ],
)
def test_a_plan_is_written_and_its_reverse_takes_it_back(sandbox, client, tmp_path, on_delete, deed, after):
    sandbox.seed(PURPOSE, purposes("A", "B", "C"))
    before = live(client)
    desired = [*purposes("A", "D"), *purposes("B", status="inactive")]
    plan = planned(client, PURPOSE, desired, mode="mirror", on_delete=on_delete)
    path = saved(plan, tmp_path)
    assert numbers(applied(client, path)) == {"created": 1, "updated": 1, deed: 1}
    assert live(client) == after
    assert planned(client, PURPOSE, desired, mode="mirror", on_delete=on_delete).is_empty
    undone(client, path)
    assert live(client) == before


@pytest.mark.parametrize("object_name", [CUSTOMER, GROUP, ACCOUNT_GROUP, PURPOSE])
def test_what_a_plan_has_deleted_comes_back_with_every_field_that_can_be_set(tmp_path, object_name):
    with running("demo") as company, client_of(company) as client:
        before = in_full(client, object_name)
        path = saved(planned(client, object_name, [NEW[object_name]], mode="mirror"), tmp_path)
        outcome = applied(client, path, max_rejects=len(before))
        assert outcome.deleted > len(before) / 3
        undone(client, path)
        assert in_full(client, object_name) == before


def test_everything_goes_in_calls_of_500_in_the_order_of_what_needs_what(sandbox, client, tmp_path):
    sandbox.seed(CUSTOMER, [{"id": f"U{n}", "name": "u"} for n in range(501)])
    sandbox.seed(CUSTOMER, [{"id": "D0", "name": "d"}, {"id": "D1", "name": "d", "parent": {"id": "D0"}}])
    desired = [{"id": f"U{n}", "name": "new"} for n in range(501)]
    desired += [
        {"id": "TOP", "name": "t"},
        *({"id": f"K{n}", "name": "k", "parent.id": "TOP"} for n in range(502)),
    ]
    path = saved(planned(client, CUSTOMER, desired, mode="mirror"), tmp_path)
    assert numbers(applied(client, path)) == {"created": 503, "updated": 501, "deleted": 2}
    assert written(sandbox) == [
        ("POST", 1),
        ("POST", 500),
        ("POST", 2),
        ("PATCH", 500),
        ("PATCH", 1),
        ("DELETE", 1),
        ("DELETE", 1),
    ]


@pytest.mark.parametrize("match_on", ["id", "name"])
def test_whatever_records_are_called(sandbox, client, tmp_path, match_on):
    sandbox.seed(CUSTOMER, [{"id": f"Old {one}"[:20], "name": f"Old {one}"} for one in NAMES])
    gone = [{"id": f"Old {one}"[:20], "name": f"Old {one}", "notes": "x"} for one in NAMES[:4]]
    desired = [*gone, *({"id": one, "name": one} for one in NAMES)]
    path = saved(planned(client, CUSTOMER, desired, mode="mirror", match_on=match_on), tmp_path)
    before = live(client, CUSTOMER, "notes")
    assert numbers(applied(client, path)) == {"created": 8, "updated": 4, "deleted": 4}
    assert live(client, CUSTOMER, "name").keys() >= set(NAMES)
    undone(client, path)
    assert live(client, CUSTOMER, "notes") == before


def test_nothing_to_do_is_done_without_a_call(sandbox, client, tmp_path):
    sandbox.seed(PURPOSE, purposes("A"))
    path = saved(planned(client, PURPOSE, purposes("A")), tmp_path)
    before = len(sandbox.requests)
    assert applied(client, path) == Outcome()
    assert len(sandbox.requests) == before
    assert [one.name for one in tmp_path.iterdir()] == ["groups.plan.journal", "groups.plan.json"]


@pytest.mark.parametrize("object_name", [PURPOSE, GROUP])
@pytest.mark.parametrize("fresh", [False, True])
def test_it_costs_what_the_plan_says_and_less_when_the_plan_is_fresh(
    sandbox, client, tmp_path, object_name, fresh
):
    sandbox.seed(CUSTOMER, [{"id": one, "name": one} for one in "AB"])
    extra = {} if object_name == PURPOSE else {"name": "x", "groupType": "specific"}
    members = {} if object_name == PURPOSE else {"groupMembers": [{"id": "A"}, {"id": "B"}]}
    other = {"status": "inactive"} if object_name == PURPOSE else {"groupMembers": [{"id": "B"}, {"id": "A"}]}
    sandbox.seed(object_name, [{"id": f"P{n}", **extra, **members} for n in range(10)])
    desired = [{"id": f"P{n}", **extra, **other} for n in range(5)] + [{"id": "N", **extra, **members}]
    plan = planned(client, object_name, desired, mode="mirror")
    path, before = saved(plan, tmp_path), sandbox.transactions
    applied(client, path, fresh=fresh)
    billed = sandbox.transactions - before
    reread = (1 if object_name == PURPOSE else 2) if fresh else 0
    assert billed == plan.transactions - reread
    undo = Plan.from_json(path.with_name("groups.plan.undo.json").read_bytes())
    before = sandbox.transactions
    undone(client, path)
    assert sandbox.transactions - before <= undo.transactions


def test_a_plan_in_an_entity_is_taken_back_there(sandbox, tmp_path):
    with client_of(sandbox, entity_id="UK") as client:
        path = saved(planned(client, PURPOSE, purposes("U"), entity_id="UK"), tmp_path)
        applied(client, path)
        assert [*live(client)] == ["U"]
        assert Plan.from_json(path.with_name("groups.plan.undo.json").read_bytes()).entity_id == "UK"
        undone(client, path)
        assert live(client) == {}


# --- what is refused


BAD = {"id": "BAD", "name": "Bad", "parent": {"id": "NOBODY"}}


def with_one_refused(client):
    """Return a plan with two creations, of which one is refused, and two deletions."""
    client.create_many(CUSTOMER, [{"id": one, "name": one} for one in ("GOES", "GOES TOO")])
    return planned(client, CUSTOMER, [{"id": "NEW", "name": "New"}, BAD], mode="mirror")


@pytest.mark.parametrize(
    ("limits", "deleted"),
    [({}, 0), ({"max_rejects": 1}, 2), ({"max_reject_percent": 24.9}, 0), ({"max_reject_percent": 25}, 2)],
)
def test_nothing_is_deleted_when_more_is_refused_than_tolerated(sandbox, client, tmp_path, limits, deleted):
    path = saved(with_one_refused(client), tmp_path)
    outcome = applied(client, path, **limits)
    assert (outcome.created, outcome.deleted, outcome.held) == (1, deleted, 2 - deleted)
    assert [reject.match for reject in outcome.rejects] == ["BAD"]
    assert ("GOES" in stored(sandbox, CUSTOMER)) == (not deleted)


def test_nothing_is_deactivated_when_more_is_refused_than_tolerated(sandbox, client, tmp_path):
    client.create(CUSTOMER, {"id": "GOES", "name": "Goes"})
    plan = planned(client, CUSTOMER, [BAD], mode="mirror", on_delete="deactivate")
    assert numbers(applied(client, saved(plan, tmp_path))) == {"held": 1}
    assert live(client, CUSTOMER) == {"GOES": "active"}


def test_what_was_held_back_is_done_when_the_same_task_tolerates_more(sandbox, client, tmp_path):
    path = saved(with_one_refused(client), tmp_path)
    applied(client, path)
    outcome = applied(client, path, max_rejects=1)
    assert numbers(outcome) == {"created": 1, "deleted": 2}
    assert [reject.match for reject in outcome.rejects] == ["BAD"]
    assert stored(sandbox, CUSTOMER) == ["NEW"]
    undone(client, path)
    assert sorted(stored(sandbox, CUSTOMER)) == ["GOES", "GOES TOO"]


def test_refused_records_are_in_a_file_that_can_be_corrected_and_given_again(sandbox, client, tmp_path):
    sandbox.seed(CUSTOMER, [{"id": "CHANGES", "name": "Before"}, {"id": "USED", "name": "u"}])
    sandbox.seed(CUSTOMER, [{"id": "USES", "name": "u", "parent": {"id": "USED"}}])
    desired = [
        {"id": "CHANGES", "name": "After", "term": {"id": "NEVER"}},
        {"id": "USES", "name": "u"},
        {"id": "NEW", "name": "New", "term": {"id": "NEVER"}},
    ]
    path = saved(planned(client, CUSTOMER, desired, mode="mirror"), tmp_path)
    outcome = applied(client, path, max_rejects=2)
    file = path.with_name("groups.plan.rejects.jsonl")
    lines = [json.loads(line) for line in file.read_bytes().splitlines()]
    assert [line["id"] for line in lines] == ["NEW", "CHANGES", "USED"]
    new, changed, used = (line.pop("_reject") for line in lines)
    assert lines[:2] == [desired[2], desired[0]]
    assert lines[2] == {"id": "USED"}
    assert [why["action"] for why in (new, changed, used)] == ["create", "update", "delete"]
    assert (new["status"], new["field"], changed["field"]) == (400, "term.id", "term.id")
    assert "NEVER" in new["message"]
    assert "support id" in str(outcome.rejects[0].error)
    assert new["support_id"] == outcome.rejects[0].error.support_id != ""
    assert used["code"] == "REST-7001"

    sandbox.seed("accounts-receivable/term", [{"id": "NEVER", "description": "x"}])
    again = saved(planned(client, CUSTOMER, lines[:2]), tmp_path)
    assert numbers(applied(client, again)) == {"created": 1, "updated": 1}
    assert not file.exists(), "it was about the plan before"


def test_what_was_refused_is_tried_anew_when_the_task_is_cleared(sandbox, client, tmp_path):
    path = saved(with_one_refused(client), tmp_path)
    [first] = applied(client, path, max_rejects=1).rejects
    [second] = applied(client, path, max_rejects=1).rejects
    assert (type(first.error), first.error.message) == (type(second.error), second.error.message)
    assert (first.action, first.match, first.record) == (second.action, second.match, second.record)
    sandbox.seed(CUSTOMER, [{"id": "NOBODY", "name": "Somebody"}])
    outcome = applied(client, path, max_rejects=1)
    assert (numbers(outcome), outcome.rejects) == ({"created": 2, "deleted": 2}, ())
    assert written(sandbox)[-1] == ("POST", 1), "only what had been refused is sent"
    assert numbers(applied(client, path)) == {"created": 2, "deleted": 2}
    assert written(sandbox)[-1] == ("POST", 1)


LEFT = [{"code": "unprocessed"}, {"code": "atomicOperationFailure"}]


@pytest.mark.parametrize("left", LEFT)
def test_what_intacct_did_not_process_is_not_rejected_and_can_be_applied_again(
    sandbox, client, tmp_path, left
):
    sandbox.seed(CUSTOMER, [{"id": "GOES", "name": "Goes"}])
    desired = [{"id": one, "name": one} for one in ("A", "B", "C")]
    path = saved(planned(client, CUSTOMER, desired, mode="mirror"), tmp_path)
    skipped = {"ia::error": {**left, "message": "Skipped"}, "ia::status": 422}
    wrong = {"ia::error": {"code": "invalidRequest", "message": "No"}, "ia::status": 400}
    sandbox.fail(
        status=207, path=f"/objects/{CUSTOMER}", method="POST", body={"ia::result": [skipped, wrong, skipped]}
    )
    outcome = applied(client, path, max_rejects=1)
    assert ([one.match for one in outcome.rejects], outcome.unprocessed) == (["B"], ("A", "C"))
    assert (outcome.created, outcome.held) == (0, 1), (
        "nothing is deleted while what replaces it may be missing"
    )
    file = path.with_name("groups.plan.rejects.jsonl")
    assert [json.loads(line)["id"] for line in file.read_bytes().splitlines()] == ["B"]
    outcome = applied(client, path)
    assert numbers(outcome) == {"created": 3, "deleted": 1}
    assert (outcome.rejects, outcome.unprocessed) == ((), ())
    assert stored(sandbox, CUSTOMER) == ["A", "B", "C"]


def test_what_a_batch_read_says_of_records_is_not_in_the_reverse_plan(sandbox, client, tmp_path):
    before = [{"id": one, "name": one, "notes": "kept"} for one in ("A", "B")]
    keys = sandbox.seed(CUSTOMER, before)
    path = saved(planned(client, CUSTOMER, [{"id": "C", "name": "C"}], mode="mirror"), tmp_path)
    status = {"ia::status": 200}
    found = [
        {**record, **status, "term": {"key": None, "id": None, **status}, "ia::result": None}
        for record in client.get_many(CUSTOMER, keys)
    ]
    sandbox.fail(status=207, path=f"/objects/{CUSTOMER}/", method="GET", body={"ia::result": found})
    applied(client, path)
    undo = path.with_name("groups.plan.undo.json").read_text()
    assert "ia::" not in undo
    undone(client, path)
    assert stored(sandbox, CUSTOMER) == ["A", "B"]


def test_a_refused_deletion_does_not_hold_itself_back_when_the_task_is_cleared(sandbox, client, tmp_path):
    sandbox.seed(CUSTOMER, [{"id": "USED", "name": "u"}])
    [key] = sandbox.seed(CUSTOMER, [{"id": "USES", "name": "u", "parent": {"id": "USED"}}])
    path = saved(planned(client, CUSTOMER, [{"id": "USES"}], mode="mirror"), tmp_path)
    [reject] = applied(client, path).rejects
    assert (reject.action, reject.match) == ("delete", "USED")
    client.delete(CUSTOMER, key)
    assert applied(client, path) == Outcome(deleted=1, removed={"deleted": ("USED",)})
    assert stored(sandbox, CUSTOMER) == []


def test_another_try_before_the_end_knows_what_was_refused(sandbox, client, tmp_path):
    path = saved(with_one_refused(client), tmp_path)
    sandbox.fail(status=503, headers={"Retry-After": "3600"}, method="DELETE", path="/objects")
    with pytest.raises(IntacctServerError):
        applied(client, path, max_rejects=1)
    sent = len(calls(sandbox, "/objects", "POST"))
    [reject] = applied(client, path, max_rejects=1).rejects
    assert len(calls(sandbox, "/objects", "POST")) == sent
    assert (reject.match, type(reject.error)) == ("BAD", IntacctValidationError)
    assert "NOBODY" in str(reject.error)
    assert "support id" in str(reject.error)


def test_a_plan_that_breaks_a_limit_is_not_applied(sandbox, client, tmp_path):
    plan = replace(planned(client, PURPOSE, purposes("A")), breaches=("It creates 1 record, more than 0.",))
    before = len(sandbox.requests)
    with pytest.raises(IntacctSyncGuardError, match=r"more than 0\. Nothing was written"):
        applied(client, saved(plan, tmp_path))
    assert len(sandbox.requests) == before
    assert [one.name for one in tmp_path.iterdir()] == ["groups.plan.json"]


def test_a_misspelled_choice_is_told_before_anything_happens(sandbox, client, tmp_path):
    path = saved(planned(client, PURPOSE, purposes("A")), tmp_path)
    before = len(sandbox.requests)
    with pytest.raises(
        IntacctArgumentError, match=r"on_stale must be 'fail' or 'skip', not 'skp'\. Did you mean"
    ):
        applied(client, path, on_stale="skp")
    assert len(sandbox.requests) == before


# --- whose it is


def test_the_same_task_again_is_told_what_came_out_and_writes_nothing(sandbox, client, tmp_path):
    sandbox.seed(PURPOSE, purposes("A", "B"))
    path = saved(planned(client, PURPOSE, purposes("A", "C", status="inactive"), mode="mirror"), tmp_path)
    first, sent = applied(client, path), written(sandbox)
    assert applied(client, path) == first
    assert first == Outcome(created=1, updated=1, deleted=1, removed={"deleted": ("B",)})
    assert written(sandbox) == sent


def test_the_same_task_again_is_not_told_that_all_is_well_when_it_is_not(sandbox, client, tmp_path):
    path = saved(planned(client, PURPOSE, purposes("A", "B")), tmp_path)
    applied(client, path)
    client.delete(PURPOSE, client.find(PURPOSE, "A")["key"])
    with pytest.raises(
        IntacctStalePlanError, match=r"1 of 2 records .*: 'A' no longer exists.*applied the plan before"
    ):
        applied(client, path)
    assert stored(sandbox, PURPOSE) == ["B"]


def test_another_task_is_told_whose_the_plan_is(sandbox, client, tmp_path):
    path = saved(planned(client, PURPOSE, purposes("A")), tmp_path)
    applied(client, path)
    with pytest.raises(
        IntacctPlanInUseError, match=rf"^{OWNER} has applied the plan and completed it at \d{{4}}-"
    ):
        applied(client, path, owner="dag/other/apply")
    path = saved(planned(client, PURPOSE, purposes("B")), tmp_path)
    Journal(path, Plan.from_json(path.read_bytes()), OWNER).begin()
    with pytest.raises(IntacctPlanInUseError, match=rf"^{OWNER} is applying the plan; started at \d{{4}}-"):
        applied(client, path, owner="dag/other/apply")
    assert stored(sandbox, PURPOSE) == ["A"]


def test_another_plan_at_the_same_path_is_another_matter(sandbox, client, tmp_path):
    for names in ("A", "AB", "ABC"):
        path = saved(planned(client, PURPOSE, purposes(*names)), tmp_path)
        applied(client, path, owner=f"dag/{names}/apply")
    assert stored(sandbox, PURPOSE) == ["A", "B", "C"]
    assert len([*(tmp_path / "groups.plan.journal").iterdir()]) == 3
    undone(client, path)
    assert stored(sandbox, PURPOSE) == ["A", "B"], "the way back is that of the last plan"


def test_an_unfinished_plan_is_found_again_by_its_owner_only(sandbox, client, tmp_path):
    plan = planned(client, PURPOSE, purposes("A"))
    path = saved(plan, tmp_path)
    assert Journal.unfinished(path, OWNER) is None
    Journal(path, plan, OWNER).begin()
    assert Journal.unfinished(path, OWNER) == plan
    assert Journal.unfinished(path, "dag/other/apply") is None
    assert Journal.unfinished(path.with_name("other.plan.json"), OWNER) is None
    applied(client, path)
    assert Journal.unfinished(path, OWNER) is None


def test_a_fresh_plan_like_one_that_was_applied_before_is_applied_again(sandbox, client, tmp_path):
    for turn in range(3):
        path = saved(planned(client, PURPOSE, purposes("A", "B")), tmp_path)
        assert numbers(applied(client, path, fresh=True)) == {"created": 2}, f"turn {turn}"
        client.delete_many(PURPOSE, [row["key"] for row in client.iter_rows(PURPOSE, ["key"])])


def test_without_a_journal_nothing_is_kept_and_all_is_written(sandbox, client):
    plan = planned(client, PURPOSE, purposes("A", "B"))
    assert numbers(apply_plan(client, plan)) == {"created": 2}
    assert stored(sandbox, PURPOSE) == ["A", "B"]
    assert numbers(apply_plan(client, plan)) == {"found": 2}
    client.update(PURPOSE, client.find(PURPOSE, "B")["key"], {"status": "inactive"})
    with pytest.raises(IntacctStalePlanError, match="'B' exists now"):
        apply_plan(client, plan)
