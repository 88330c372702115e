"""What Intacct accepted and did not do is noticed, and scope and protection hold when a plan is applied."""

import json

import pytest
from sandbox_client import QUERY, InterruptedClient, calls, client_of, stored
from sync_work import applied, planned, saved, undone

from intacct_provider.client.query.expressions import field
from intacct_provider.exceptions import IntacctServerError, IntacctStalePlanError
from intacct_provider.sync.applying import verify

CUSTOMER = "accounts-receivable/customer"
GROUP = "accounts-receivable/customer-group"
OBJECTS = f"/objects/{CUSTOMER}"


@pytest.fixture(autouse=True)
def slept(monkeypatch):
    """Keep the pauses, without their time."""
    pauses = []
    monkeypatch.setattr(verify, "wait", pauses.append)
    return pauses


def customers(*ids, **fields):
    return [{"id": one, "name": one, **fields} for one in ids]


def accept(sandbox, method, *records):
    """Let the sandbox accept the next write of records and do nothing."""
    done = {"POST": 201, "PATCH": 200, "DELETE": 204}[method]
    found = [{**record, "href": f"{OBJECTS}/{record['key']}", "ia::status": done} for record in records]
    counts = {"totalCount": len(found), "totalSuccess": len(found), "totalError": 0}
    body = None if method == "DELETE" else {"ia::result": found, "ia::meta": counts}
    sandbox.fail(status=done, method=method, path=OBJECTS, body=body)


def names(client):
    return {row["id"]: row["name"] for row in client.iter_rows(CUSTOMER, ["id", "name"])}


def reads(sandbox):
    return len(calls(sandbox, QUERY))


def writes(sandbox):
    return [call.method for call in calls(sandbox, "/objects") if call.method != "GET"]


def test_an_update_that_changed_nothing_is_reported_like_a_reject(sandbox, client, tmp_path, slept):
    a, b = sandbox.seed(CUSTOMER, customers("A", "B", notes="kept"))
    plan = planned(client, CUSTOMER, [{"id": "A", "name": "new A"}, {"id": "B", "name": "new B"}])
    path = saved(plan, tmp_path)
    accept(sandbox, "PATCH", {"key": a, "id": "A"}, {"key": b, "id": "B"})
    outcome = applied(client, path)
    assert (outcome.updated, [reject.match for reject in outcome.rejects]) == (0, ["A", "B"])
    first = outcome.rejects[0]
    assert "name is 'A', planned 'new A'" in str(first.error)
    assert (first.differing[0].path, first.differing[0].new, first.differing[0].old) == ("name", "new A", "A")
    assert slept == [20.0, 40.0]
    [line, _] = path.with_name("groups.plan.rejects.jsonl").read_text().splitlines()
    why = next(value for name, value in json.loads(line).items() if name not in ("id", "name"))
    assert why["differing"] == [{"field": "name", "wanted": "new A", "found": "A"}]
    assert why["field"] == "name"


def test_a_creation_and_a_deletion_that_did_not_happen_are_reported(sandbox, client, tmp_path):
    [a] = sandbox.seed(CUSTOMER, customers("A"))
    path = saved(planned(client, CUSTOMER, customers("N"), mode="mirror"), tmp_path)
    accept(sandbox, "POST", {"key": "999", "id": "N"})
    accept(sandbox, "DELETE", {"key": a})
    outcome = applied(client, path)
    assert (outcome.created, outcome.deleted) == (0, 0)
    texts = {reject.match: str(reject.error) for reject in outcome.rejects}
    assert "none with this id was found" in texts["N"]
    assert "it still exists" in texts["A"]


def test_only_what_is_not_yet_as_planned_is_asked_again(sandbox, client, tmp_path, monkeypatch):
    a, b = sandbox.seed(CUSTOMER, customers("A", "B"))
    path = saved(planned(client, CUSTOMER, [{"id": "A", "name": "a"}, {"id": "B", "name": "b"}]), tmp_path)
    accept(sandbox, "PATCH", {"key": a, "id": "A"}, {"key": b, "id": "B"})
    pauses = []

    def catch_up(seconds):
        record, name = [(a, "a"), (b, "b")][len(pauses)]
        pauses.append(seconds)
        with client_of(sandbox) as late:
            late.update(CUSTOMER, record, {"name": name})

    monkeypatch.setattr(verify, "wait", catch_up)
    asked = []
    with InterruptedClient(sandbox, lambda: None) as ours:
        send = ours._session.send
        ours._session.send = lambda request: asked.append((request.content or b"").decode()) or send(request)
        outcome = applied(ours, path)
    assert (outcome.updated, outcome.rejects, pauses) == (2, (), [20.0, 40.0])
    last = [one for one in asked if '"$in"' in one][-1]
    assert f'{{"$in":{{"key":["{b}"]}}}}' in last


def test_a_change_by_somebody_else_afterwards_is_not_a_reject(sandbox, tmp_path):
    a, b = sandbox.seed(CUSTOMER, customers("A", "B"))
    happened = []

    def change():
        if not happened:
            happened.append(1)
            sandbox.faults.clock_skew += 30
            with client_of(sandbox) as other:
                other.update(CUSTOMER, a, {"name": "theirs"})
                other.delete(CUSTOMER, b)

    with InterruptedClient(sandbox, change, concerns=lambda request: request.method == "PATCH") as client:
        path = saved(
            planned(client, CUSTOMER, [{"id": "A", "name": "a"}, {"id": "B", "name": "b"}]), tmp_path
        )
        outcome = applied(client, path)
    assert (outcome.updated, outcome.rejects) == (2, ())
    assert outcome.changed_meanwhile == ("A", "B")
    assert outcome.counts["changed_meanwhile"] == 2


def test_the_same_task_again_looks_again_and_writes_nothing(sandbox, client, tmp_path):
    a, b = sandbox.seed(CUSTOMER, customers("A", "B"))
    path = saved(planned(client, CUSTOMER, [{"id": "A", "name": "a"}, {"id": "B", "name": "b"}]), tmp_path)
    accept(sandbox, "PATCH", {"key": a, "id": "A"}, {"key": b, "id": "B"})
    assert len(applied(client, path).rejects) == 2
    sent = writes(sandbox)
    client.update(CUSTOMER, b, {"name": "b"})
    again = applied(client, path)
    assert [reject.match for reject in again.rejects] == ["A"]
    client.update(CUSTOMER, a, {"name": "a"})
    assert (applied(client, path).rejects, path.with_name("groups.plan.rejects.jsonl").exists()) == (
        (),
        False,
    )
    assert writes(sandbox) == [*sent, "PATCH", "PATCH"]


def test_a_task_that_dies_while_it_looks_goes_on_looking(sandbox, client, tmp_path):
    [a] = sandbox.seed(CUSTOMER, customers("A"))
    path = saved(planned(client, CUSTOMER, [{"id": "A", "name": "a"}]), tmp_path)
    accept(sandbox, "PATCH", {"key": a, "id": "A"})
    sandbox.fail(status=503, headers={"Retry-After": "3600"}, path=QUERY, skip=1)
    with pytest.raises(IntacctServerError):
        applied(client, path)
    sent = writes(sandbox)
    assert [reject.match for reject in applied(client, path).rejects] == ["A"]
    assert writes(sandbox) == sent == ["PATCH"]


@pytest.mark.parametrize("how", [{"verify": False}, {}])
def test_looking_costs_one_call_and_none_if_it_is_not_wanted(sandbox, client, tmp_path, how):
    sandbox.seed(CUSTOMER, customers("A", "B"))
    path = saved(planned(client, CUSTOMER, [{"id": "A", "name": "a"}]), tmp_path)
    before = reads(sandbox)
    assert applied(client, path, **how).updated == 1
    assert reads(sandbox) - before == (1 if how else 2)


def test_nothing_is_looked_at_when_nothing_was_written(sandbox, client, tmp_path):
    [a] = sandbox.seed(CUSTOMER, customers("A"))
    path = saved(planned(client, CUSTOMER, [{"id": "A", "name": "a"}]), tmp_path)
    client.update(CUSTOMER, a, {"name": "a"})
    before = reads(sandbox)
    assert applied(client, path).found == 1
    assert reads(sandbox) - before == 1


def test_members_are_looked_at_too(sandbox, client, tmp_path):
    sandbox.seed(CUSTOMER, customers("A", "B"))
    client.create(GROUP, {"id": "G", "name": "G", "groupType": "specific", "groupMembers": [{"id": "A"}]})
    key = client.find(GROUP, "G")["key"]
    path = saved(planned(client, GROUP, [{"id": "G", "groupMembers": [{"id": "B"}, {"id": "A"}]}]), tmp_path)
    sandbox.fail(
        status=200,
        method="PATCH",
        path=f"/objects/{GROUP}",
        body={"ia::result": [{"key": key, "id": "G", "ia::status": 200}]},
    )
    [reject] = applied(client, path).rejects
    assert "groupMembers" in str(reject.error)


# --- scope and protection


@pytest.mark.parametrize(
    ("notes", "reason"),
    [("someone else's", "is not in scope any more"), ("ours, keep", "is protected now")],
)
@pytest.mark.parametrize("record", ["B", "C"])
def test_what_left_the_scope_or_became_protected_is_stale(sandbox, client, tmp_path, record, notes, reason):
    keys = dict(zip("ABC", sandbox.seed(CUSTOMER, customers("A", "B", "C", notes="ours")), strict=True))
    how = {
        "mode": "mirror",
        "scope": field("notes").startswith("ours"),
        "protect": field("notes").contains("keep"),
    }
    plan = planned(client, CUSTOMER, [{"id": "A", "name": "A"}, {"id": "B", "name": "b"}], **how)
    assert plan.counts == {"update": 1, "delete": 1}
    path = saved(plan, tmp_path)
    client.update(CUSTOMER, keys[record], {"notes": notes})
    with pytest.raises(IntacctStalePlanError, match=f"'{record}' {reason}.*Nothing was written"):
        applied(client, path)
    before = names(client)
    outcome = applied(client, path, on_stale="skip")
    assert (outcome.stale, outcome.reasons) == ((record,), {record: reason})
    assert names(client)[record] == before[record]
    assert outcome.updated + outcome.deleted == 1


def test_what_a_plan_itself_moved_out_of_scope_can_be_undone(sandbox, client, tmp_path):
    sandbox.seed(CUSTOMER, customers("A", "B"))
    how = {"mode": "mirror", "scope": field("status") == "active", "on_delete": "deactivate"}
    path = saved(planned(client, CUSTOMER, [{"id": "A"}], **how), tmp_path)
    assert applied(client, path).deactivated == 1
    assert undone(client, path).updated == 1
    assert {row["status"] for row in client.iter_rows(CUSTOMER, ["key", "status"])} == {"active"}


KEPT, OURS = field("notes").contains("keep"), field("id").in_(["A", "B"])


@pytest.mark.parametrize(
    "how",
    [
        {"protect": KEPT},
        # The plan wrote the ids, so others have decided about nothing but the notes.
        {"protect": KEPT | (field("id") == "NOBODY")},
        {"mode": "mirror", "scope": OURS & field("notes").is_null()},
        {
            "mode": "mirror",
            "scope": OURS,
            "protect": (field("id") == "C") | (KEPT & field("notes").is_not_null()),
        },
    ],
)
def test_an_undo_leaves_alone_what_left_the_scope_or_became_protected(sandbox, client, tmp_path, how):
    path = saved(planned(client, CUSTOMER, customers("A", "B"), **how), tmp_path)
    assert applied(client, path).created == 2
    client.update(CUSTOMER, client.find(CUSTOMER, "A")["key"], {"notes": "keep"})
    outcome = undone(client, path, on_stale="skip")
    assert (outcome.deleted, outcome.stale) == (1, ("A",))
    assert stored(sandbox, CUSTOMER) == ["A"]


# --- undo restores what this plan did and nothing more


def test_an_undo_leaves_alone_what_somebody_else_made_of_a_rejected_record(sandbox, client, tmp_path):
    desired = [{"id": "GOOD", "name": "g"}, {"id": "BAD", "name": "b", "parent": {"id": "NOBODY"}}]
    path = saved(planned(client, CUSTOMER, desired), tmp_path)
    outcome = applied(client, path)
    assert [reject.match for reject in outcome.rejects] == ["BAD"]
    sandbox.seed(CUSTOMER, customers("NOBODY"))
    client.create(CUSTOMER, desired[1])
    undone(client, path)
    assert sorted(stored(sandbox, CUSTOMER)) == ["BAD", "NOBODY"]


def test_an_undo_of_a_part_leaves_alone_what_was_not_written_yet(sandbox, client, tmp_path):
    [a] = sandbox.seed(CUSTOMER, customers("A"))
    path = saved(planned(client, CUSTOMER, [{"id": "A", "name": "a"}, {"id": "N", "name": "n"}]), tmp_path)
    sandbox.fail(status=503, headers={"Retry-After": "3600"}, path="/objects", method="POST")
    with pytest.raises(IntacctServerError):
        applied(client, path)
    client.update(CUSTOMER, a, {"name": "a"})  # the same by hand
    undone(client, path)
    assert names(client) == {"A": "a"}
