"""An approval belongs to the content of a plan: what the operators hand on, refuse, log and report."""

from __future__ import annotations

import json
import logging

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from hypothesis import given, settings
from hypothesis import strategies as st
from sandbox_client import calls, client_of

from intacct_provider.operators.sync import (
    IntacctApplySyncOperator,
    IntacctPlanSyncOperator,
    IntacctSyncOperator,
)

PURPOSE = "general-ledger/account-group-purpose"
SECOND = [{"id": "E", "status": "active"}]


class Task:
    def __init__(self, task_id="plan", run_id="r1"):
        self.dag_id, self.task_id, self.run_id, self.map_index = "d", task_id, run_id, -1
        self.max_tries, self.try_number = 2, 1
        self.xcoms = {}

    def xcom_push(self, key, value):
        self.xcoms[key] = value


@pytest.fixture
def airflow(sandbox, monkeypatch):
    """B is live in the company of Airflow's default connection."""
    monkeypatch.setenv("AIRFLOW_CONN_INTACCT_DEFAULT", sandbox.connection())
    with client_of(sandbox) as client:
        client.create_many(PURPOSE, [{"id": "B", "status": "active"}])
    return sandbox


DESIRED = [{"id": "B", "status": "inactive"}, {"id": "D", "status": "active"}]


@pytest.fixture
def path(tmp_path):
    return f"file://{tmp_path}/p.plan.json"


def plan(path, desired=DESIRED, run_id="r1", **arguments):
    operator = IntacctPlanSyncOperator(
        task_id="plan", object_name=PURPOSE, desired=desired, plan_path=path, **arguments
    )
    return operator.execute({"ti": Task(run_id=run_id)})


def apply(plan, run_id="r1", task_id="apply", **arguments):
    operator = IntacctApplySyncOperator(task_id=task_id, plan=plan, **arguments)
    return operator.execute({"ti": Task(task_id, run_id)})


def writes(sandbox):
    return [call for call in calls(sandbox, "/objects") if call.method in ("POST", "PATCH", "DELETE")]


def file_of(uri):
    return uri.removeprefix("file://")


def change(uri, old, new):
    with open(file_of(uri), "r+b") as file:
        content = file.read()
        assert old in content
        file.seek(0)
        file.truncate()
        file.write(content.replace(old, new, 1))


def test_the_digest_goes_with_the_plan_everywhere(airflow, path, caplog):
    caplog.set_level(logging.INFO)
    result = plan(path)
    digest = result["sha256"]
    with open(file_of(path), encoding="utf-8") as file:
        assert json.load(file)["sha256"] == digest
    with open(file_of(result["page"]), encoding="utf-8") as file:
        assert digest in file.read()
    assert digest in result["markdown"]
    done = apply(result)
    assert (done["created"], done["updated"], done["sha256"]) == (1, 1, digest)
    with open(file_of(done["journal"]) + "/begin.json", encoding="utf-8") as file:
        assert json.load(file)["plan"] == digest
    with open(file_of(done["undo"]), encoding="utf-8") as file:
        assert json.load(file)["sha256"] == done["undo_sha256"]
    assert apply(done["undo"], plan_sha256=done["undo_sha256"], task_id="undo")["deleted"] == 1


@pytest.mark.parametrize("with_path", [False, True])
def test_another_plan_under_the_path_is_refused(airflow, path, tmp_path, with_path):
    result = plan(path)
    other = plan(f"file://{tmp_path}/other.plan.json", SECOND, run_id="r2")
    with open(file_of(other["plan"]), "rb") as source, open(file_of(path), "wb") as target:
        target.write(source.read())
    given = {"plan": path, "plan_sha256": result["sha256"]} if with_path else {"plan": result}
    before = len(writes(airflow))
    with pytest.raises(AirflowFailException) as caught:
        apply(**given)
    for text in (path, result["sha256"], other["sha256"]):
        assert text in str(caught.value)
    assert len(writes(airflow)) == before
    assert apply(path)["created"] == 1, "a path alone is for scripts: any whole plan will do"


def test_a_plan_whose_breaches_were_removed_is_refused(airflow, path):
    with pytest.raises(AirflowFailException):
        plan(path, max_creates="0")
    with open(file_of(path), encoding="utf-8") as file:
        document = json.load(file)
    assert document["plan"]["breaches"]
    document["plan"]["breaches"] = []
    with open(file_of(path), "w", encoding="utf-8") as file:
        json.dump(document, file, indent=2)
    before = len(writes(airflow))
    with pytest.raises(AirflowFailException, match="changed after it was written"):
        apply(path)
    assert len(writes(airflow)) == before


def test_a_hand_edit_of_a_reverse_plan_is_refused(airflow, path):
    done = apply(plan(path))
    change(done["undo"], b'"delete"', b'"create"')
    before = len(writes(airflow))
    with pytest.raises(AirflowFailException, match="changed after it was written"):
        apply(done["undo"], task_id="undo")
    assert len(writes(airflow)) == before


@pytest.mark.parametrize("with_digest", [True, False])
def test_any_other_byte_is_refused_before_anything_is_sent(airflow, path, with_digest):
    result = plan(path)
    with open(file_of(path), "rb") as file:
        content = file.read()
    before = len(writes(airflow))

    @settings(max_examples=15, deadline=None)
    @given(place=st.integers(0, len(content) - 1), bit=st.integers(0, 7))
    def check(place, bit):
        changed = bytearray(content)
        changed[place] ^= 1 << bit
        with open(file_of(path), "wb") as file:
            file.write(changed)
        with pytest.raises(AirflowFailException):
            apply(result if with_digest else path)

    check()
    assert len(writes(airflow)) == before


def test_two_runs_on_one_path_keep_both_plans(airflow, path):
    first = plan(path, run_id="r1")
    second = plan(path, SECOND, run_id="r2")
    assert first["plan"] == path
    assert second["sha256"][:12] in second["plan"]
    assert apply(second, run_id="r2")["created"] == 1
    assert apply(first, run_id="r1")["created"] == 1


def test_a_run_makes_its_own_plan_again(airflow, path):
    plan(path)
    again = plan(path, SECOND)
    assert again["plan"] == path
    assert apply(again)["created"] == 1


def test_a_sync_in_one_task_continues_its_own_plan_beside_another_one(airflow, path):
    plan(path, SECOND, run_id="other")
    desired = [{"id": f"N-{n:04}", "status": "active"} for n in range(501)]

    def sync():
        operator = IntacctSyncOperator(
            task_id="sync", object_name=PURPOSE, desired=desired, plan_path=path, max_rejects="0"
        )
        return operator.execute({"ti": Task("sync")})

    result = sync()
    assert result["plan"] != path
    assert result["created"] == 501
    with open(file_of(result["journal"]) + "/begin.json", encoding="utf-8") as file:
        assert json.load(file)["plan"] == result["sha256"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_rejects", "many"),
        ("max_rejects", ""),
        ("max_rejects", "None"),
        ("max_reject_percent", "5 %"),
        ("max_rejects", True),
        ("max_rejects", [5]),
        ("max_reject_percent", float("nan")),
        ("verify", "maybe"),
    ],
)
def test_a_wrong_limit_is_an_error_before_anything_is_sent(airflow, path, name, value):
    result = plan(path)
    before = len(airflow.requests)
    with pytest.raises(AirflowFailException, match=f"{name} (is|must be) "):
        apply(result, **{name: value})
    with pytest.raises(AirflowFailException, match=f"{name} (is|must be) "):
        IntacctSyncOperator(task_id="s", object_name=PURPOSE, desired=DESIRED, **{name: value}).execute({})
    assert len(airflow.requests) == before


def test_limits_and_markers_are_templates():
    names = {
        "max_creates",
        "max_updates",
        "max_deletes",
        "max_change_percent",
        "max_transactions",
        "null_marker",
    }
    assert names <= set(IntacctPlanSyncOperator.template_fields)
    limits = {"max_rejects", "max_reject_percent"}
    assert limits <= set(IntacctApplySyncOperator.template_fields)
    assert limits | names <= set(IntacctSyncOperator.template_fields)


def test_what_is_deleted_and_what_was_there_already_is_logged(airflow, path, caplog):
    with client_of(airflow) as client:
        client.create_many(PURPOSE, [{"id": f"OLD-{n:02}", "status": "active"} for n in range(25)])
    result = plan(path, mode="mirror", scope="all")
    with client_of(airflow) as client:
        client.update(PURPOSE, client.find(PURPOSE, "B")["key"], {"status": "inactive"})
    caplog.set_level(logging.INFO)
    done = apply(result)
    assert (done["deleted"], done["found"]) == (25, 1)
    assert "'OLD-19' and 5 more, which the journal names." in caplog.text
    assert "'OLD-20'" not in caplog.text
    assert "1 already as planned" in caplog.text
    assert f"undoes this is {done['undo']}" in caplog.text


def test_drift_names_who_changed_a_record_and_when(airflow, path):
    with pytest.raises(
        AirflowFailException, match=r"Last changed: 'B' by \S+ at \d{4}-\d\d-\d\dT[\d:]+Z"
    ) as caught:
        plan(path, fail_on_change=True)
    assert path in str(caught.value)


def test_messages_name_the_path_of_the_plan(airflow, path):
    result = plan(path)
    with client_of(airflow) as client:
        client.update(PURPOSE, client.find(PURPOSE, "B")["key"], {"status": "inactive"})
        client.create(PURPOSE, {"id": "D", "status": "inactive"})
    with pytest.raises(AirflowFailException, match="changed since the plan was") as caught:
        apply(result)
    assert path in str(caught.value)
    with pytest.raises(AirflowFailException) as caught:
        apply(result, task_id="another")
    assert path in str(caught.value)


def test_a_plan_is_not_written_over_the_desired_records(airflow, tmp_path):
    file = tmp_path / "desired.json"
    file.write_text(json.dumps(DESIRED))
    with pytest.raises(AirflowFailException, match="plan_path"):
        plan(f"file://{file}", desired=str(file))
    assert json.loads(file.read_text()) == DESIRED
