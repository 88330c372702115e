"""A filter that asks for a value no record has fails tasks of every kind; a right one costs no call more."""

import dataclasses
import json

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from airflow_parts import TaskDeferred
from sandbox_client import calls, client_of, running
from sync_plans import EMPTY, create

from intacct_provider.client.query import field
from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.export.deletes.audit_history import AuditHistory
from intacct_provider.operators.export_ranges import IntacctKeyRangesOperator
from intacct_provider.operators.query import IntacctQueryOperator
from intacct_provider.operators.sync import IntacctPlanSyncOperator
from intacct_provider.sensors.query import IntacctQuerySensor
from intacct_provider.sensors.records import IntacctRecordSensor
from intacct_provider.sync.applying.reread import reread_records
from intacct_provider.sync.build import build_plan
from intacct_provider.sync.desired.sources import Layout, read_desired_records
from intacct_provider.sync.request import SyncRequest
from intacct_provider.transfers.intacct_to_object_storage import IntacctToObjectStorageOperator
from intacct_provider.transfers.intacct_to_sql import IntacctToSqlOperator

CUSTOMER = "accounts-receivable/customer"
MODEL, QUERY = "/services/core/model", "/services/core/query"
WRONG, RIGHT = field("status") == "Active", field("status") != "activeNonPosting"
NEAREST = r"status has no value 'Active'.* Did you mean 'active'\?"


@pytest.fixture(scope="module")
def company():
    with running("demo") as sandbox:
        yield sandbox


@pytest.fixture(autouse=True)
def airflow(company, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_INTACCT_DEFAULT", company.connection())


def count(sandbox, act):
    """Return how many calls for models and for queries something makes."""
    before = len(calls(sandbox, MODEL)), len(calls(sandbox, QUERY))
    act()
    return len(calls(sandbox, MODEL)) - before[0], len(calls(sandbox, QUERY)) - before[1]


def export_file(folder, **arguments):
    return IntacctToObjectStorageOperator(
        task_id="t",
        object_name=CUSTOMER,
        fields=["key", "id"],
        destination=f"{folder}/customers.jsonl",
        **arguments,
    )


def export_table(folder, **arguments):
    return IntacctToSqlOperator(
        task_id="t",
        object_name=CUSTOMER,
        fields=["key", "id"],
        sql_conn_id="db",
        table="customers",
        **arguments,
    )


def plan_ranges(_folder, **arguments):
    return IntacctKeyRangesOperator(task_id="t", object_name=CUSTOMER, ranges=2, **arguments)


def query(_folder, **arguments):
    return IntacctQueryOperator(task_id="t", object_name=CUSTOMER, fields=["key"], **arguments)


def add_up(_folder, **arguments):
    return IntacctQueryOperator(task_id="t", object_name=CUSTOMER, fields=["sum:totalDue"], **arguments)


def wait(_folder, **arguments):
    return IntacctQuerySensor(task_id="t", object_name=CUSTOMER, **arguments)


def wait_deferred(_folder, **arguments):
    return IntacctQuerySensor(task_id="t", object_name=CUSTOMER, deferrable=True, **arguments)


@pytest.mark.parametrize(
    "make",
    [export_file, export_table, plan_ranges, query, add_up, wait, wait_deferred],
    ids=lambda one: one.__name__,
)
def test_a_task_of_each_kind_fails_for_good_and_names_the_nearest_value(tmp_path, monkeypatch, make):
    monkeypatch.setenv(
        "AIRFLOW_CONN_DB", json.dumps({"conn_type": "sqlite", "host": str(tmp_path / "db.sqlite")})
    )
    with pytest.raises(AirflowFailException, match=NEAREST):
        make(tmp_path, filters=WRONG).execute({})
    assert [one.name for one in tmp_path.iterdir() if "customers" in one.name] == []


@pytest.mark.parametrize(
    "make",
    [export_file, export_table, plan_ranges, query, add_up, wait, wait_deferred],
    ids=lambda one: one.__name__,
)
@pytest.mark.parametrize(
    ("filters", "said"),
    [
        (field("totalDue").between(500, 100), r"Did you mean \[100, 500\]"),
        ((field("status") == "active") & (field("status") == "inactive"), r"\$in \['active', 'inactive'\]"),
        ({"$in": {"status": []}}, "takes a list of one value or more"),
    ],
    ids=["reversed", "contradictory", "empty"],
)
def test_a_task_of_each_kind_refuses_what_is_impossible_before_anything_is_paid(
    company, tmp_path, monkeypatch, make, filters, said
):
    monkeypatch.setenv(
        "AIRFLOW_CONN_DB", json.dumps({"conn_type": "sqlite", "host": str(tmp_path / "db.sqlite")})
    )
    before = company.transactions
    with pytest.raises(AirflowFailException, match=f"filters: .*{said}"):
        make(tmp_path, filters=filters).execute({})
    assert company.transactions == before


@pytest.mark.parametrize(
    "filters",
    [
        field("totalDue").between(1000, 500),
        field("lastInvoiceCreatedDate") == "2026-02-30",
        (field("totalDue") > 1000) & (field("totalDue") < 500),
    ],
    ids=str,
)
def test_an_export_reads_the_model_before_a_page_of_filters_that_look_wrong(company, tmp_path, filters):
    def refuse():
        with pytest.raises(AirflowFailException, match="filters: "):
            export_file(tmp_path, filters=filters).execute({})

    models, queries = count(company, refuse)
    assert (models, queries) == (1, 1), "one count looks whether a record matches all the same"


@pytest.mark.parametrize("argument", ["scope", "protect"])
@pytest.mark.parametrize(
    ("filters", "said"),
    [
        ({"$equals": {"id": "A"}}, "condition 1 has the unknown operator '\\$equals'"),
        ([{"$in": {"id": []}}], "condition 1: \\$in on 'id' takes a list of one value or more"),
        (field("totalDue").between(500, 100), "no record of accounts-receivable/customer can match"),
        (7, "must be a list of conditions"),
    ],
    ids=["operator", "empty", "reversed", "number"],
)
def test_errors_of_a_scope_and_a_protection_name_it_before_anything_is_paid(company, argument, filters, said):
    given = {"scope": field("id").startswith("C-"), argument: filters}
    operator = IntacctPlanSyncOperator(
        task_id="t", object_name=CUSTOMER, desired=[{"id": "A"}], plan_path=None, mode="mirror", **given
    )
    before = company.transactions
    with pytest.raises(AirflowFailException, match=f"IntacctArgumentError: {argument}:? {said}"):
        operator.execute({})
    assert company.transactions == before


@pytest.mark.parametrize("detail", [False, True])
def test_an_export_of_whole_records_or_of_entities_is_checked_too(tmp_path, detail):
    how = {"detail": True} if detail else {"entities": "all"}
    with pytest.raises(AirflowFailException, match=NEAREST):
        export_file(tmp_path, filters=WRONG, **how).execute({})


def test_a_record_sensor_would_wait_for_ever_for_a_status_that_there_is_not():
    sensor = IntacctRecordSensor(
        task_id="t", object_name=CUSTOMER, record_id="C-00001", conditions={"status": "Active"}
    )
    with pytest.raises(AirflowFailException, match=NEAREST):
        sensor.execute({})


def test_an_export_costs_what_it_costs_without_a_filter(company, tmp_path):
    plain = count(company, lambda: export_file(tmp_path).execute({}))
    for filters in (RIGHT, field("status").in_(["active", "inactive"]), field("term.id") != "nothing"):
        assert (
            count(company, lambda filters=filters: export_file(tmp_path, filters=filters).execute({}))
            == plain
        )


def test_a_sensor_checks_its_values_at_the_first_poll_only(company):
    sensor = IntacctQuerySensor(task_id="t", object_name=CUSTOMER, filters=RIGHT, at_least=10_000)
    assert [count(company, lambda: sensor.poke({})) for _ in range(3)] == [(1, 1), (0, 1), (0, 1)]
    rescheduled = IntacctQuerySensor(task_id="t", object_name=CUSTOMER, filters=RIGHT, at_least=10_000)
    assert count(company, lambda: rescheduled.poke({"task_reschedule_count": 1})) == (0, 1)


def test_a_trigger_does_not_check_again_what_its_sensor_has_checked(company):
    from intacct_provider.triggers.condition import Condition

    sensor = IntacctQuerySensor(
        task_id="t", object_name=CUSTOMER, filters=RIGHT, at_least=10_000, deferrable=True
    )
    with pytest.raises(TaskDeferred) as deferred:
        sensor.execute({})
    condition = Condition(**deferred.value.trigger.condition)
    with client_of(company) as client:
        assert count(company, lambda: condition.poll(client)) == (0, 1)
        with pytest.raises(IntacctArgumentError, match=NEAREST):
            Condition.build(CUSTOMER, filters=[{"$eq": {"status": "Active"}}]).poll(client)


@pytest.mark.parametrize("argument", ["scope", "protect"])
@pytest.mark.parametrize("wrong", [WRONG, field("status") != "Active"], ids=str)
def test_a_scope_or_a_protection_that_selects_nothing_or_everything_is_refused(company, argument, wrong):
    given = {"scope": field("id").startswith("C-"), argument: wrong}
    desired = read_desired_records([{"id": "C-00001", "name": "Changed"}], Layout("id"), source="a list")
    with client_of(company) as client, pytest.raises(IntacctArgumentError, match=f"^{argument}: {NEAREST}"):
        build_plan(client, desired, SyncRequest(CUSTOMER, "mirror", **given))


def test_what_the_provider_asks_by_itself_is_not_checked(company):
    plan = dataclasses.replace(
        EMPTY, object_name=CUSTOMER, match_on="taxId", steps=(create("T-1"), create("T-2")), live=10**6
    )
    with client_of(company) as client:
        history = AuditHistory(client, CUSTOMER)
        assert count(company, lambda: history.read_deletions("2026-01-01T00:00:00Z"))[0] == 0
        assert count(company, lambda: reread_records(client, plan))[0] == 0
