"""Desired records with problems: the others go on, nothing is deleted because of them, their file can be corrected."""

from __future__ import annotations

import json

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from hypothesis import given, settings
from hypothesis import strategies as st
from sandbox_client import calls, client_of, running

from intacct_provider.exceptions import IntacctDesiredStateError, IntacctSyncGuardError
from intacct_provider.operators.sync import (
    IntacctApplySyncOperator,
    IntacctPlanSyncOperator,
    IntacctSyncOperator,
)

GROUP = "accounts-receivable/customer-group"
PURPOSE = "general-ledger/account-group-purpose"


@pytest.fixture
def airflow(sandbox, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_INTACCT_DEFAULT", sandbox.connection())
    return sandbox


def sync(desired, operator=IntacctSyncOperator, object_name=PURPOSE, **arguments):
    if arguments.get("mode") == "mirror":
        arguments.setdefault("scope", "all")
    return operator(task_id="t", object_name=object_name, desired=desired, **arguments).execute({})


def plan(desired, folder, **arguments):
    arguments.setdefault("plan_path", f"file://{folder}/x.plan.json")
    return sync(desired, IntacctPlanSyncOperator, **arguments)


def live(sandbox, object_name=PURPOSE):
    with client_of(sandbox) as client:
        return {row["id"]: row["status"] for row in client.iter_rows(object_name, ["id", "status"])}


def start(sandbox, **statuses):
    with client_of(sandbox) as client:
        client.create_many(PURPOSE, [{"id": name, "status": status} for name, status in statuses.items()])


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def writes(sandbox):
    return sum(call.method in ("POST", "PATCH", "DELETE") for call in calls(sandbox, "/objects"))


DESIRED = [{"id": "A", "status": "inactive"}, {"id": "B", "status": "wrong"}, {"id": "C", "status": "active"}]


def test_by_default_one_invalid_record_refuses_all(airflow, tmp_path):
    with pytest.raises(AirflowFailException, match="status is 'wrong'"):
        sync(DESIRED, plan_path=f"file://{tmp_path}/x.plan.json", max_rejects=5)
    assert writes(airflow) == 0


def test_good_records_go_on_within_the_threshold(airflow, tmp_path):
    start(airflow, A="active", B="active")
    counts = sync(DESIRED, on_invalid="reject", max_rejects=1, plan_path=f"file://{tmp_path}/x.plan.json")
    assert (counts["updated"], counts["created"], counts["invalid"]) == (1, 1, 1)
    assert live(airflow) == {"A": "inactive", "B": "active", "C": "active"}
    [line] = lines(tmp_path / "x.plan.rejects.jsonl")
    assert line["id"] == "B"
    assert line["_reject"]["place"] == "record 2"
    assert counts["rejects"] == f"file://{tmp_path}/x.plan.rejects.jsonl"


@pytest.mark.parametrize("limit", [{}, {"max_rejects": 0}, {"max_reject_percent": 33}])
def test_more_invalid_records_than_tolerated_stop_before_the_first_write(airflow, tmp_path, limit):
    with pytest.raises(
        AirflowFailException, match="1 desired record for general-ledger/account-group-purpose with problems"
    ) as caught:
        sync(DESIRED, on_invalid="reject", plan_path=f"file://{tmp_path}/x.plan.json", **limit)
    assert isinstance(caught.value.__cause__, IntacctSyncGuardError)
    assert writes(airflow) == 0
    assert len(lines(tmp_path / "x.plan.rejects.jsonl")) == 1


def test_no_good_record_is_an_error(airflow):
    with pytest.raises(AirflowFailException) as caught:
        sync([DESIRED[1]], on_invalid="reject", max_rejects=9)
    assert isinstance(caught.value.__cause__, IntacctDesiredStateError)


def test_rejects_of_plan_and_apply_are_in_one_file_and_count_together(airflow, tmp_path):
    customers = "accounts-receivable/customer"
    with client_of(airflow) as client:
        client.create(customers, {"id": "C-1", "name": "One"})
        client.create(
            GROUP, {"id": "G-1", "name": "One", "groupType": "specific", "groupMembers": [{"id": "C-1"}]}
        )
    # Intacct refuses to delete a customer that a group refers to.
    desired = [{"id": "C-2", "name": "Two"}, {"id": "C-3", "name": "Three", "status": "wrong"}]
    arguments = {
        "object_name": customers, "mode": "mirror", "scope": "all", "on_invalid": "reject",
        "plan_path": f"file://{tmp_path}/x.plan.json",
    }  # fmt: skip
    with pytest.raises(AirflowFailException, match="Intacct rejected 1 record"):
        sync(desired, max_rejects=1, **arguments)
    found = lines(tmp_path / "x.plan.rejects.jsonl")
    assert [line["id"] for line in found] == ["C-3", "C-1"]
    counts = sync(desired, max_rejects=2, **arguments)
    assert (counts["rejected"], counts["invalid"]) == (1, 1)


def test_a_record_that_refers_to_one_that_is_left_out_is_left_out_too(airflow):
    customers = "accounts-receivable/customer"
    desired = [
        {"id": "C-1", "name": "Parent", "status": "wrong"},
        {"id": "C-2", "name": "Child", "parent": {"id": "C-1"}},
        {"id": "C-3", "name": "Grandchild", "parent": {"id": "C-2"}},
        {"id": "C-4", "name": "Alone"},
    ]
    counts = sync(desired, object_name=customers, on_invalid="reject", max_rejects=3)
    assert counts["invalid"] == 3
    assert live(airflow, customers).keys() == {"C-4"}


def test_both_records_of_one_id_are_left_out(airflow):
    desired = [
        {"id": "A", "status": "active"},
        {"id": "a", "status": "inactive"},
        {"id": "B", "status": "active"},
    ]
    counts = sync(desired, on_invalid="reject", max_rejects=2)
    assert counts["invalid"] == 2
    assert live(airflow) == {"B": "active"}


# --- mirrors


def test_a_mirror_spares_the_live_records_of_invalid_ones(airflow):
    start(airflow, A="active", B="active", X="active")
    counts = sync(DESIRED, mode="mirror", on_invalid="reject", max_rejects=1)
    assert live(airflow) == {"A": "inactive", "B": "active", "C": "active"}
    assert counts["deleted"] == 1


@pytest.mark.parametrize("wrong", [{"id": "B "}, {"id": ""}, {"id": 1.5}, "B", {"status": "active"}])
def test_a_mirror_deletes_nothing_if_it_is_not_certain_which_record_is_invalid(airflow, wrong):
    start(airflow, A="active", B="active", X="active")
    desired = [{"id": "A", "status": "inactive"}, wrong]
    counts = sync(desired, mode="mirror", on_invalid="reject", max_rejects=1)
    assert live(airflow) == {"A": "inactive", "B": "active", "X": "active"}
    assert counts["deleted"] == 0


def test_a_mirror_spares_what_an_import_template_marks(airflow, tmp_path):
    start(airflow, A="active", B="active", X="active")
    file = tmp_path / "template.csv"
    file.write_text("DONOTIMPORT,ID,STATUS\n#,Required,Optional\n,A,inactive\n#,B,inactive\n")
    sync(str(file), mode="mirror")
    assert live(airflow) == {"A": "inactive", "B": "active"}


def test_a_file_of_rejects_is_not_all_that_is_desired(airflow, tmp_path):
    start(airflow, A="active", B="active", X="active")
    arguments = {"mode": "mirror", "plan_path": f"file://{tmp_path}/x.plan.json", "on_invalid": "reject"}
    sync([DESIRED[0], DESIRED[1], {"id": "X"}], max_rejects=1, **arguments)
    rejects = tmp_path / "x.plan.rejects.jsonl"
    rejects.write_text(rejects.read_text().replace('"wrong"', '"inactive"', 1))
    sync(str(rejects), max_rejects=1, **arguments)
    assert live(airflow) == {"A": "inactive", "B": "inactive", "X": "active"}


@pytest.fixture(scope="module")
def company():
    with running("empty") as sandbox:
        yield sandbox


@given(
    rows=st.dictionaries(
        st.sampled_from("ABCDEF"),
        st.sampled_from(["active", "inactive", "wrong", "", 5]),
        min_size=1,
    )
)
@settings(max_examples=15, deadline=None)
def test_property_invalid_records_never_change_or_delete_their_live_ones(company, rows):
    with pytest.MonkeyPatch.context() as patch, client_of(company) as client:
        patch.setenv("AIRFLOW_CONN_INTACCT_DEFAULT", company.connection())
        keys = [row["key"] for row in client.iter_rows(PURPOSE, ["key"])]
        client.delete_many(PURPOSE, keys) if keys else None
        client.create_many(PURPOSE, [{"id": name, "status": "active"} for name in "ABCX"])
        desired = [{"id": name, "status": status} for name, status in rows.items()]
        good = {name: status for name, status in rows.items() if status in ("active", "inactive")}
        bad = rows.keys() - good.keys()
        if not good:
            return
        sync(desired, mode="mirror", on_invalid="reject", max_reject_percent=100)
        assert live(company) == {**good, **{name: "active" for name in bad if name in "ABCX"}}


# --- outputs and inputs


def test_a_corrected_file_of_rejects_is_given_back_with_the_same_arguments(airflow, tmp_path):
    table = tmp_path / "groups.csv"
    table.write_text("Purpose,State\nA,active\nB,wrong\nC,false\n")
    arguments = {
        "columns": {"Purpose": "id", "State": "status"},
        "plan_path": f"file://{tmp_path}/x.plan.json",
    }
    with pytest.raises(AirflowFailException):
        plan(str(table), tmp_path, **arguments)
    rejects = tmp_path / "x.plan.rejects.jsonl"
    assert [line["id"] for line in lines(rejects)] == ["B", "C"]

    half = rejects.read_text().replace('"wrong"', '"inactive"', 1)
    rejects.write_text(half)
    with pytest.raises(AirflowFailException):
        plan(str(rejects), tmp_path, **arguments)
    assert rejects.read_text() == half
    second = tmp_path / "x.plan.rejects-2.jsonl"
    assert [line["id"] for line in lines(second)] == ["C"]

    rejects.write_text(half.replace('"false"', '"active"', 1))
    result = sync(str(rejects), **arguments)
    assert "rejects" not in result
    assert rejects.exists()
    assert not second.exists()
    assert live(airflow) == {"B": "inactive", "C": "active"}


def test_a_file_of_rejects_goes_when_a_run_has_none(airflow, tmp_path):
    with pytest.raises(AirflowFailException):
        plan(DESIRED, tmp_path)
    rejects = tmp_path / "x.plan.rejects.jsonl"
    assert rejects.exists()
    plan(DESIRED[:1], tmp_path)
    assert not rejects.exists()


def test_the_invalid_records_of_a_plan_stay_when_it_is_applied(airflow, tmp_path):
    result = plan(DESIRED, tmp_path, on_invalid="reject", max_rejects=1)
    IntacctApplySyncOperator(task_id="apply", plan=result["plan"]).execute({})
    assert live(airflow) == {"A": "inactive", "C": "active"}
    assert [line["id"] for line in lines(tmp_path / "x.plan.rejects.jsonl")] == ["B"]


@pytest.mark.parametrize(
    ("later", "how"),
    [
        ([{"id": "D", "status": "active"}], {}),
        (
            [{"id": "D", "status": "active"}, {"id": "E", "status": "odd"}],
            {"on_invalid": "reject", "max_rejects": 1},
        ),
        ([{"id": "D", "status": "active"}, {"id": "E", "status": "odd"}], {}),
    ],
)
def test_each_plan_on_one_path_has_rejects_of_its_own(airflow, tmp_path, later, how):
    first = plan(DESIRED, tmp_path, on_invalid="reject", max_rejects=1)
    kept = (tmp_path / "x.plan.rejects.jsonl").read_bytes()
    assert first["rejects"].endswith("/x.plan.rejects.jsonl")
    wrong = len(later) > 1
    if wrong and not how:
        with pytest.raises(AirflowFailException):
            plan(later, tmp_path)
    else:
        second = plan(later, tmp_path, **how)
        assert second["plan"] != first["plan"]
        assert ("rejects" in second) == wrong
        # Applying it keeps the records that its own plan has left out.
        IntacctApplySyncOperator(task_id="apply", plan=second).execute({})
    assert (tmp_path / "x.plan.rejects.jsonl").read_bytes() == kept
    others = [path for path in tmp_path.glob("*.rejects.jsonl") if path.name != "x.plan.rejects.jsonl"]
    assert [[line["id"] for line in lines(path)] for path in others] == ([["E"]] if wrong else [])
    IntacctApplySyncOperator(task_id="apply", plan=first).execute({})
    assert [line["id"] for line in lines(tmp_path / "x.plan.rejects.jsonl")] == ["B"]


@pytest.mark.parametrize(
    ("desired", "plan_path"),
    [
        ("x.json", "x.json"),
        ("x.json", "./y/../x.json"),
        ("link.json", "x.json"),
        ("x.plan.undo.json", "x.plan.json"),
    ],
)
def test_a_plan_that_would_overwrite_the_desired_records_is_refused(airflow, tmp_path, desired, plan_path):
    content = '[{"id": "A", "status": "active"}]'
    (tmp_path / desired.replace("link", "x")).write_text(content)
    if desired == "link.json":
        (tmp_path / desired).symlink_to(tmp_path / "x.json")
    for source in (str(tmp_path / desired), lambda: str(tmp_path / desired)):
        with pytest.raises(AirflowFailException, match="would overwrite desired"):
            plan(source, tmp_path, plan_path=f"file://{tmp_path}/{plan_path}")
        assert (tmp_path / desired).read_text() == content
    assert writes(airflow) == 0
