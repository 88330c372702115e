"""The operators that plan and apply, as Airflow runs them: what they write to files and to Intacct, what stops them."""

from __future__ import annotations

import json
import sqlite3
from decimal import Decimal

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from sandbox_client import calls, client_of, stored

from intacct_provider.client.query.expressions import field
from intacct_provider.exceptions import IntacctServerError
from intacct_provider.operators.sync import (
    IntacctApplySyncOperator,
    IntacctPlanSyncOperator,
    IntacctSyncOperator,
)
from intacct_provider.sync.plan import Plan

CUSTOMER = "accounts-receivable/customer"
GROUP = "accounts-receivable/customer-group"
PURPOSE = "general-ledger/account-group-purpose"


@pytest.fixture
def airflow(sandbox, monkeypatch):
    """A, B and C are live in the company of Airflow's default connection."""
    monkeypatch.setenv("AIRFLOW_CONN_INTACCT_DEFAULT", sandbox.connection())
    with client_of(sandbox) as client:
        client.create_many(PURPOSE, purposes(A="active", B="active", C="active"))
    return sandbox


def purposes(**statuses):
    return [{"id": name, "status": status} for name, status in statuses.items()]


DESIRED = purposes(A="active", B="inactive", D="inactive")
WANTED = {"A": "active", "B": "inactive", "D": "inactive"}


class Task:
    """What the operators read of a task instance, and the XComs that they push."""

    def __init__(self, task_id="plan", run_id="r1", max_tries=2, try_number=1):
        self.dag_id, self.task_id, self.run_id, self.map_index = "d", task_id, run_id, -1
        self.max_tries, self.try_number = max_tries, try_number
        self.xcoms = {}

    def xcom_push(self, key, value):
        self.xcoms[key] = value


@pytest.fixture
def plan_path(tmp_path):
    return f"file://{tmp_path}/plans/purposes.plan.json"


def plan(plan_path, desired=DESIRED, task=None, object_name=PURPOSE, **arguments):
    operator = IntacctPlanSyncOperator(
        task_id="plan", object_name=object_name, desired=desired, plan_path=plan_path, **arguments
    )
    return operator.execute({"ti": task or Task()})


def apply(path, task=None, **arguments):
    operator = IntacctApplySyncOperator(task_id="apply", plan=path, **arguments)
    return operator.execute({"ti": task or Task("apply")})


def live(sandbox):
    with client_of(sandbox) as client:
        return {row["id"]: row["status"] for row in client.iter_rows(PURPOSE, ["id", "status"])}


def writes(sandbox):
    return [call for call in calls(sandbox, "/objects") if call.method in ("POST", "PATCH", "DELETE")]


def read(uri):
    with open(uri.removeprefix("file://"), "rb") as file:
        return file.read()


# --- plan, then apply, then undo


def test_a_plan_writes_nothing_and_its_application_exactly_it(airflow, plan_path):
    before, sent = live(airflow), len(writes(airflow))
    result = plan(plan_path, mode="mirror", scope="all")
    assert live(airflow) == before
    assert len(writes(airflow)) == sent
    assert result["plan"] == plan_path
    assert (result["to_create"], result["to_update"], result["to_delete"], result["unchanged"]) == (
        1,
        1,
        1,
        1,
    )
    assert result["changed"] is True
    assert b"<table" in read(result["page"])
    assert "| B | status | active | inactive |" in result["markdown"]
    done = apply(result["plan"])
    assert (done["created"], done["updated"], done["deleted"], done["rejected"]) == (1, 1, 1, 0)
    assert live(airflow) == WANTED
    assert done["transactions"] == result["estimated_transactions"] + 1, "and one for the model"


def test_the_reverse_plan_restores_what_was(airflow, plan_path):
    before = live(airflow)
    done = apply(plan(plan_path, mode="mirror", scope="all")["plan"])
    undone = apply(done["undo"], Task("undo"))
    assert live(airflow) == before
    assert (undone["created"], undone["updated"], undone["deleted"]) == (1, 1, 1)


def test_the_same_inputs_give_the_same_bytes(airflow, plan_path):
    first = read(plan(plan_path)["plan"])
    assert read(plan(plan_path)["plan"]) == first
    assert read(plan(plan_path, desired=DESIRED[::-1])["plan"]) != b""
    assert read(plan(plan_path, task=Task(run_id="r2"))["plan"]) != first, (
        "another run's plan is another plan"
    )


def test_the_plan_tells_old_and_new_values(airflow, plan_path):
    made = Plan.from_json(read(plan(plan_path)["plan"]))
    [update] = [step for step in made.steps if step.action == "update"]
    assert [(change.path, change.old, change.new) for change in update.changes] == [
        ("status", "active", "inactive")
    ]
    assert made.company_id == "SANDBOX"


def test_a_plan_with_nothing_to_do_is_applied_without_a_write(airflow, plan_path):
    result = plan(plan_path, desired=purposes(A="active"))
    assert result["changed"] is False
    before = len(airflow.requests)
    done = apply(result["plan"])
    assert [done[name] for name in ("created", "updated", "deleted")] == [0, 0, 0]
    assert [call for call in airflow.requests[before:] if call in writes(airflow)] == []


# --- what stops a plan


@pytest.mark.parametrize(
    ("guard", "text"),
    [
        ({"max_creates": 0}, "max_creates=0"),
        ({"max_updates": 0}, "max_updates=0"),
        ({"max_deletes": 0}, "max_deletes=0"),
        ({"max_change_percent": 10}, "max_change_percent=10"),
        ({"max_transactions": 1}, "max_transactions=1"),
    ],
)
def test_a_plan_that_breaks_a_limit_is_shown_and_never_applied(airflow, plan_path, guard, text):
    before, task = live(airflow), Task()
    with pytest.raises(AirflowFailException, match=text):
        plan(plan_path, task=task, mode="mirror", scope="all", **guard)
    returned = task.xcoms["return_value"]
    assert text in read(returned["page"]).decode()
    assert text in returned["markdown"].replace("\\", "")
    with pytest.raises(AirflowFailException, match=text):
        apply(returned["plan"])
    assert live(airflow) == before


def test_mirror_does_not_take_the_whole_object_by_accident(airflow, plan_path):
    with pytest.raises(AirflowFailException, match="scope"):
        plan(plan_path, mode="mirror")


def test_mirror_deletes_within_its_scope_only(airflow, plan_path):
    result = plan(plan_path, mode="mirror", scope=field("id").in_(["B", "C"]), desired=purposes(B="active"))
    assert (result["to_delete"], result["unchanged"]) == (1, 1)
    apply(result["plan"])
    assert live(airflow) == {"A": "active", "B": "active"}


def test_protected_records_are_never_touched(airflow, plan_path):
    result = plan(plan_path, mode="mirror", scope="all", protect=[{"$in": {"id": ["B", "C"]}}])
    assert (result["to_create"], result["to_update"], result["to_delete"], result["protected"]) == (
        1,
        0,
        0,
        2,
    )
    apply(result["plan"])
    assert live(airflow) == {"A": "active", "B": "active", "C": "active", "D": "inactive"}


def test_records_are_deactivated_in_place_of_deleted(airflow, plan_path):
    arguments = {"mode": "mirror", "scope": "all", "on_delete": "deactivate"}
    result = plan(plan_path, **arguments)
    assert (result["to_delete"], result["to_deactivate"]) == (0, 1)
    assert apply(result["plan"])["deactivated"] == 1
    assert live(airflow) == {**WANTED, "C": "inactive"}
    assert plan(plan_path, **arguments)["changed"] is False


def test_drift_fails_the_task_and_leaves_the_plan_to_be_read(airflow, plan_path):
    task = Task()
    with pytest.raises(
        AirflowFailException, match=r"IntacctOutOfSyncError.*1 to update, 1 to create"
    ) as caught:
        plan(plan_path, task=task, fail_on_change=True)
    assert plan_path in str(caught.value)
    assert task.xcoms["return_value"]["to_update"] == 1
    apply(plan_path)
    assert plan(plan_path, fail_on_change=True)["changed"] is False


def test_all_problems_are_told_together_and_kept_in_a_file_that_can_be_given_again(
    airflow, plan_path, tmp_path
):
    desired = [
        {"id": "C-1", "name": "One", "status": "actve"},
        {"id": "C-2", "term.id": "nowhere"},
        {"id": "C-3", "name": "Three", "parent": {"id": "nobody"}, "creditLimit": "much"},
    ]
    with pytest.raises(AirflowFailException) as caught:
        plan(plan_path, desired=desired, object_name=CUSTOMER)
    for text in ("'actve'", "'nowhere'", "name", "'much'", "'C-1'", "record 2"):
        assert text in str(caught.value)
    file = tmp_path / "plans" / "purposes.plan.rejects.jsonl"
    rejects = [json.loads(line) for line in file.read_text().splitlines()]
    assert [record["id"] for record in rejects] == ["C-1", "C-2", "C-3"]
    assert writes(airflow) == writes(airflow)[:1], "the fixture's"
    corrected = [
        {**rejects[0], "status": "active"},
        {**rejects[1], "name": "Two", "term.id": None, "term": {"id": None}},
        {**rejects[2], "creditLimit": "100", "parent": None},
    ]
    corrected[1].pop("term.id")
    file.write_text("".join(json.dumps(record) + "\n" for record in corrected))
    assert apply(plan(plan_path, desired=str(file), object_name=CUSTOMER)["plan"])["created"] == 3


# --- what stops an application


def test_a_stale_plan_is_refused_and_nothing_written(airflow, plan_path):
    result = plan(plan_path)
    with client_of(airflow) as client:
        client.update(PURPOSE, client.find(PURPOSE, "B")["key"], {"status": "inactive"})
        client.create(PURPOSE, {"id": "D", "status": "active"})
    before, sent = live(airflow), len(writes(airflow))
    with pytest.raises(AirflowFailException, match="IntacctStalePlanError") as caught:
        apply(result["plan"])
    assert "'D' exists now" in str(caught.value)
    assert live(airflow) == before
    assert len(writes(airflow)) == sent


def test_the_untouched_part_of_a_stale_plan_can_be_applied(airflow, plan_path):
    result = plan(plan_path)
    with client_of(airflow) as client:
        client.create(PURPOSE, {"id": "D", "status": "active"})
    done = apply(result["plan"], on_stale="skip")
    assert (done["created"], done["updated"], done["stale"]) == (0, 1, 1)
    assert live(airflow) == {"A": "active", "B": "inactive", "C": "active", "D": "active"}


def test_a_plan_belongs_to_the_task_that_began_it(airflow, plan_path):
    result = plan(plan_path)
    apply(result["plan"])
    with pytest.raises(AirflowFailException, match="d/r1/apply"):
        apply(result["plan"], Task("apply", run_id="r2"))
    assert live(airflow) == {**WANTED, "C": "active"}


def test_a_task_that_is_run_again_finds_its_work_done(airflow, plan_path):
    result = plan(plan_path)
    first, sent = apply(result["plan"]), len(writes(airflow))
    again = apply(result["plan"])
    assert {name: again[name] for name in ("created", "updated")} == {
        name: first[name] for name in ("created", "updated")
    }
    assert len(writes(airflow)) == sent


def test_a_plan_is_for_one_company_and_one_entity(airflow, plan_path, monkeypatch):
    result = plan(plan_path, entity_id="UK", desired=purposes(U="active"))
    with pytest.raises(AirflowFailException, match="'UK'"):
        apply(result["plan"], entity_id="US")
    connection = json.loads(airflow.connection())
    connection["extra"]["company_id"] = "OTHER"
    monkeypatch.setenv("AIRFLOW_CONN_INTACCT_OTHER", json.dumps(connection))
    with pytest.raises(AirflowFailException, match=r"company 'SANDBOX'.*'OTHER'"):
        apply(result["plan"], intacct_conn_id="intacct_other")
    assert apply(result["plan"])["created"] == 1
    with client_of(airflow, entity_id="UK") as client:
        assert client.find(PURPOSE, "U") is not None


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "not a sync plan"),
        (b"{}", "not a sync plan"),
        (b'{"version": "1"}', "version '1'"),
        (None, "cannot be read"),
    ],
)
def test_what_is_no_plan_is_told(airflow, tmp_path, content, text):
    path = tmp_path / "x.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(AirflowFailException, match=text):
        apply(f"file://{path}")


# --- both in one task


def test_a_sync_with_a_path_leaves_plan_page_and_way_back(airflow, plan_path):
    operator = IntacctSyncOperator(task_id="t", object_name=PURPOSE, desired=DESIRED, plan_path=plan_path)
    result = operator.execute({"ti": Task("t")})
    assert (result["created"], result["updated"]) == (1, 1)
    assert b"<table" in read(result["page"])
    apply(result["undo"], Task("undo"))
    assert live(airflow) == {"A": "active", "B": "active", "C": "active"}


def test_the_next_try_of_a_sync_continues_the_plan_of_the_one_before(airflow, plan_path):
    """The first attempt dies after its creations; the desired state has changed since, but not the plan."""

    def run(try_number, desired):
        operator = IntacctSyncOperator(task_id="t", object_name=PURPOSE, desired=desired, plan_path=plan_path)
        return operator.execute({"ti": Task("t", try_number=try_number)})

    airflow.fail(status=503, headers={"Retry-After": "3600"}, method="PATCH")
    with pytest.raises(IntacctServerError, match="503"):
        run(1, DESIRED)
    assert live(airflow) == {"A": "active", "B": "active", "C": "active", "D": "inactive"}
    airflow.clear_faults()
    result = run(2, purposes(B="active", Z="active"))
    assert (result["created"], result["updated"]) == (1, 1)
    assert live(airflow) == {**WANTED, "C": "active"}


# --- where desired records come from


def test_rows_of_a_database(airflow, plan_path, tmp_path, monkeypatch):
    pytest.importorskip("airflow.providers.sqlite")
    path = tmp_path / "w.db"
    with sqlite3.connect(path) as conn:
        conn.execute("CREATE TABLE t (code, state, remark)")
        conn.executemany(
            "INSERT INTO t VALUES (?, ?, ?)", [("B", "inactive", 1), ("D", "inactive", 2), ("A", None, 3)]
        )
    monkeypatch.setenv("AIRFLOW_CONN_W", json.dumps({"conn_type": "sqlite", "host": str(path)}))
    rows = {"desired": None, "sql_conn_id": "w", "columns": {"code": "id", "state": "status", "remark": None}}
    result = plan(plan_path, desired_sql="SELECT code, state, remark FROM t", **rows)
    assert (result["to_create"], result["to_update"], result["unchanged"]) == (1, 1, 1)
    for sql, text in (
        ("CREATE TABLE u (x)", "does not return rows"),
        ("SELECT code, code FROM t", "'code' twice"),
        ("SELECT code FROM t WHERE 0", "no records"),
    ):
        with pytest.raises(AirflowFailException, match=text):
            plan(plan_path, desired_sql=sql, **rows)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"desired": None}, "neither is given"),
        ({"desired_sql": "SELECT 1"}, "both are given"),
        ({"desired": None, "desired_sql": "SELECT 1"}, "needs sql_conn_id"),
        (
            {"desired": None, "desired_sql": "SELECT 1", "sql_conn_id": "intacct_default"},
            "is not a SQL connection",
        ),
        ({"mode": "mirorr", "scope": "all"}, "Did you mean 'mirror'"),
        ({"mode": "mirror", "scope": "al"}, "scope"),
        ({"on_delete": "deactivat", "mode": "mirror", "scope": "all"}, "on_delete"),
        ({"constants": {"stats": "active"}}, "stats"),
        ({"columns": {"nam": "id"}}, "nam"),
        ({"max_creates": -1}, "max_creates"),
        ({"match_on": None}, "match_on must be the path of a field"),
        ({"match_on": ["id"]}, "match_on must be the path of a field"),
        ({"null_marker": 0}, "null_marker must be text"),
        ({"null_markers": None}, "null_markers a list of texts"),
        ({"null_markers": ["NULL", 0]}, "null_markers a list of texts"),
        ({"trim": "yes"}, "trim must be True or False"),
        ({"fail_on_change": "x"}, "fail_on_change must be True or False"),
    ],
)
def test_arguments_that_are_refused(airflow, plan_path, arguments, text):
    sent = len(writes(airflow))
    with pytest.raises(AirflowFailException, match=text):
        plan(plan_path, **arguments)
    assert len(writes(airflow)) == sent


def test_a_function_makes_the_records_when_the_task_runs(airflow, plan_path):
    made = []

    def groups():
        made.append(1)
        return iter(DESIRED)

    operator = IntacctPlanSyncOperator(
        task_id="plan", object_name=PURPOSE, desired=groups, plan_path=plan_path
    )
    assert made == []
    operator.render_template_fields({"ti": Task()})
    assert made == [], "what it returns is not a rendered field, which Airflow would keep"
    assert operator.execute({"ti": Task()})["to_create"] == 1
    assert made == [1]


def test_yaml_and_parquet(airflow, plan_path, tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    text = "- {id: C-1, name: One, creditLimit: 10.50, isOnHold: true}\n- id: 0123\n  name: NO\n"
    (tmp_path / "c.yaml").write_text(text)
    table = {
        "id": ["C-1", "0123"],
        "name": ["One", "NO"],
        "creditLimit": pa.array([Decimal("10.50"), None]),
        "isOnHold": [True, None],
    }
    pq.write_table(pa.table(table), tmp_path / "c.parquet")
    first = plan(plan_path, desired=str(tmp_path / "c.yaml"), object_name=CUSTOMER)
    assert apply(first["plan"])["created"] == 2
    assert sorted(stored(airflow, CUSTOMER)) == ["0123", "C-1"]
    second = plan(
        plan_path, desired=str(tmp_path / "c.parquet"), object_name=CUSTOMER, task=Task(run_id="r2")
    )
    assert second["changed"] is False
