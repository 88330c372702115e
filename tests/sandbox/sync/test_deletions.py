"""What is deleted has not been changed since the plan was made, and nothing that must not be touched is written."""

import pytest
from sandbox_client import client_of, stored
from sandbox_clocks import StandingClock
from sync_work import applied, planned, saved, undone

from intacct_provider.client.query.expressions import field
from intacct_provider.exceptions import IntacctStalePlanError
from intacct_provider.operators.sync import IntacctSyncOperator
from intacct_provider.sandbox import Sandbox
from intacct_provider.sync.applying import apply as apply_module

CUSTOMER = "accounts-receivable/customer"
GROUP = "accounts-receivable/customer-group"


@pytest.fixture
def clock():
    return StandingClock()


@pytest.fixture
def sandbox(clock):
    with Sandbox(clock=clock) as running:
        yield running


@pytest.fixture
def client(sandbox):
    with client_of(sandbox) as client:
        yield client


def customers(*ids, **fields):
    return [{"id": id_, "name": id_, **fields} for id_ in ids]


def change(client, clock, id_, **changes):
    """Change a record a minute later."""
    clock.seconds += 60
    client.update(CUSTOMER, client.find(CUSTOMER, id_)["key"], changes)


@pytest.mark.parametrize("scope", ["all", field("id").in_(["A", "B", "C"])])
def test_a_record_that_was_changed_in_any_field_is_not_deleted(sandbox, client, clock, tmp_path, scope):
    sandbox.seed(CUSTOMER, customers("A", "B", "C"))
    path = saved(planned(client, CUSTOMER, customers("A"), mode="mirror", scope=scope), tmp_path)
    change(client, clock, "B", notes="keep this one, we still invoice it")
    with pytest.raises(IntacctStalePlanError, match=r"'B' was changed.*Nothing was written"):
        applied(client, path)
    outcome = applied(client, path, on_stale="skip")
    assert (outcome.deleted, outcome.stale) == (1, ("B",))
    assert stored(sandbox, CUSTOMER) == ["A", "B"]


@pytest.mark.parametrize(
    ("notes", "reason"), [("theirs", "is not in scope any more"), ("ours, keep", "is protected now")]
)
def test_the_reason_is_scope_or_protection_rather_than_the_change(
    sandbox, client, clock, tmp_path, notes, reason
):
    sandbox.seed(CUSTOMER, customers("A", "B", notes="ours"))
    how = {"scope": field("notes").startswith("ours"), "protect": field("notes").contains("keep")}
    path = saved(planned(client, CUSTOMER, customers("A"), mode="mirror", **how), tmp_path)
    change(client, clock, "B", notes=notes)
    assert applied(client, path, on_stale="skip").reasons == {"B": reason}


def test_members_do_not_hide_such_a_change(sandbox, client, clock, tmp_path):
    sandbox.seed(CUSTOMER, customers("A"))
    client.create_many(GROUP, [{"id": one, "name": one, "groupType": "specific"} for one in ("G", "H")])
    desired = [{"id": "G", "groupMembers": [{"id": "A"}]}]
    plan = planned(client, GROUP, desired, mode="mirror")
    assert plan.full_records
    path = saved(plan, tmp_path)
    clock.seconds += 60
    client.update(GROUP, client.find(GROUP, "H")["key"], {"description": "keep"})
    assert applied(client, path, on_stale="skip").stale == ("H",)


def test_a_record_whose_other_fields_change_is_still_updated_and_deactivated(
    sandbox, client, clock, tmp_path
):
    sandbox.seed(CUSTOMER, customers("A", "B"))
    how = {"mode": "mirror", "on_delete": "deactivate"}
    path = saved(planned(client, CUSTOMER, [{"id": "A", "name": "a"}], **how), tmp_path)
    change(client, clock, "A", notes="n")
    change(client, clock, "B", notes="n")
    outcome = applied(client, path)
    assert (outcome.updated, outcome.deactivated) == (1, 1)


def test_an_undo_does_not_delete_what_somebody_else_worked_on(sandbox, client, clock, tmp_path):
    path = saved(planned(client, CUSTOMER, customers("A", "B")), tmp_path)
    assert applied(client, path).created == 2
    change(client, clock, "A", notes="first invoice sent")
    with pytest.raises(IntacctStalePlanError, match="'A' was changed"):
        undone(client, path)
    outcome = undone(client, path, on_stale="skip")
    assert (outcome.deleted, outcome.stale) == (1, ("A",))
    assert stored(sandbox, CUSTOMER) == ["A"]


# --- scope and protection in one task


@pytest.mark.parametrize(
    ("notes", "reason"),
    [("someone else's", "is not in scope any more"), ("ours, keep", "is protected now")],
)
@pytest.mark.parametrize("record", ["B", "C"])
@pytest.mark.parametrize("kept", [True, False])
def test_a_sync_in_one_task_asks_again_too(
    sandbox, client, tmp_path, monkeypatch, caplog, record, notes, reason, kept
):
    monkeypatch.setenv("AIRFLOW_CONN_INTACCT_DEFAULT", sandbox.connection())
    keys = dict(zip("ABC", sandbox.seed(CUSTOMER, customers("A", "B", "C", notes="ours")), strict=True))
    apply_plan = apply_module.apply_plan

    def change_first(*args, **how):
        client.update(CUSTOMER, keys[record], {"notes": notes})
        return apply_plan(*args, **how)

    monkeypatch.setattr(apply_module, "apply_plan", change_first)
    operator = IntacctSyncOperator(
        task_id="sync",
        object_name=CUSTOMER,
        desired=[{"id": "A", "name": "A"}, {"id": "B", "name": "b"}],
        mode="mirror",
        scope=field("notes").startswith("ours"),
        protect=field("notes").contains("keep"),
        plan_path=f"file://{tmp_path}/plan.json" if kept else None,
    )
    result = operator.execute({})
    assert result["stale"] == 1
    assert result["updated"] + result["deleted"] == 1
    assert stored(sandbox, CUSTOMER) == (["A", "B"] if record == "B" else ["A", "B", "C"])
    assert f"{record} {reason}" in caplog.text
