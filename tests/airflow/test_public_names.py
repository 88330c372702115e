"""The names that DAGs and scripts import and call. They must not move, and the reference shows no others."""

from __future__ import annotations

import importlib
import inspect
import re
from importlib.metadata import entry_points
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")

#: What users import, by module. A name can be added; none may be removed or moved.
PUBLIC = {
    "intacct_provider.hooks.intacct": ["IntacctHook"],
    "intacct_provider.client": [
        "CompleteRead",
        "CompositeResult",
        "CredentialStore",
        "EventBatch",
        "IdempotencyKeys",
        "IntacctClient",
        "IntacctConfig",
        "JobStatus",
        "MappingRows",
        "ModelField",
        "Page",
        "Query",
        "QueuedEvent",
        "RecordResult",
        "RetryPolicy",
        "RowFormat",
        "StructRows",
        "Totals",
        "Usage",
    ],
    "intacct_provider.client.query": [
        "CURRENT_MONTH",
        "CURRENT_QUARTER",
        "CURRENT_WEEK",
        "CURRENT_YEAR",
        "LAST_WEEK",
        "PRIOR_MONTH",
        "PRIOR_QUARTER",
        "PRIOR_YEAR",
        "TODAY",
        "YESTERDAY",
        "Expression",
        "Field",
        "Query",
        "field",
    ],
    "intacct_provider.operators.records": [
        "IntacctListRecordsOperator",
        "IntacctGetRecordOperator",
        "IntacctCreateRecordOperator",
        "IntacctUpdateRecordOperator",
        "IntacctDeleteRecordOperator",
    ],
    "intacct_provider.operators.query": ["IntacctQueryOperator"],
    "intacct_provider.operators.sync": [
        "IntacctPlanSyncOperator",
        "IntacctApplySyncOperator",
        "IntacctSyncOperator",
    ],
    "intacct_provider.operators.jobs": ["IntacctBulkJobOperator"],
    "intacct_provider.operators.export": ["IntacctExportOperator"],
    "intacct_provider.operators.export_ranges": ["IntacctKeyRangesOperator", "IntacctCommitExportOperator"],
    "intacct_provider.transfers.intacct_to_object_storage": ["IntacctToObjectStorageOperator"],
    "intacct_provider.transfers.intacct_to_sql": ["IntacctToSqlOperator"],
    "intacct_provider.sensors.query": ["IntacctQuerySensor"],
    "intacct_provider.sensors.records": ["IntacctRecordSensor"],
    "intacct_provider.triggers.changes": ["IntacctChangeTrigger"],
    "intacct_provider.triggers.polling": ["PollingTrigger"],
    "intacct_provider.triggers.query": ["IntacctQueryTrigger"],
    "intacct_provider.assets.changes": ["build_change_filters"],
    "intacct_provider.triggers.events": ["IntacctEventQueueTrigger"],
    "intacct_provider.policies.retry": ["IntacctRetryPolicy"],
    "intacct_provider.sensors.jobs": ["IntacctBulkJobSensor"],
    "intacct_provider.triggers.jobs": ["IntacctBulkJobTrigger"],
    "intacct_provider.assets.intacct": ["create_asset", "sanitize_uri", "convert_asset_to_openlineage"],
    "intacct_provider.exceptions": ["IntacctError"],
    "intacct_provider.sandbox": ["Call", "EventQueue", "Fault", "Faults", "Sandbox"],
    "intacct_provider.testing": ["intacct_sandbox", "intacct_sandbox_session"],
    "intacct_provider.get_provider_info": ["get_provider_info"],
}

#: What users call on the client, with the arguments that they give by position or name.
CLIENT = {
    "list": ["object_name"],
    "get": ["object_name", "key"],
    "get_many": ["object_name", "keys"],
    "find": ["object_name", "id"],
    "create": ["object_name", "record"],
    "create_many": ["object_name", "records", "atomic"],
    "update": ["object_name", "key", "changes"],
    "update_many": ["object_name", "changes", "atomic"],
    "delete": ["object_name", "key"],
    "delete_many": ["object_name", "keys"],
    "query": [
        "object_name",
        "fields",
        "filters",
        "filter_expression",
        "filter_parameters",
        "order_by",
        "start",
        "size",
    ],
    "iter_rows": [
        "object_name",
        "fields",
        "filters",
        "filter_expression",
        "filter_parameters",
        "order_by",
    ],
    "fields": ["object_name"],
    "model": ["object_name"],
    "composite": ["requests"],
    "submit_job": [],
    "job_status": ["job_id"],
    "job_result": ["job_id"],
    "count_events": [],
    "list_events": [],
    "acknowledge_events": ["ack_id"],
    "close": [],
}

#: What users give to operators and sensors, beside what Airflow's own base classes take.
ARGUMENTS = {
    "operators.records.IntacctGetRecordOperator": ["object_name", "key", "record_id"],
    "operators.records.IntacctCreateRecordOperator": ["object_name", "record"],
    "operators.records.IntacctUpdateRecordOperator": ["object_name", "key", "record_id", "changes"],
    "operators.records.IntacctDeleteRecordOperator": ["object_name", "key", "record_id", "missing_ok"],
    "operators.query.IntacctQueryOperator": ["object_name", "fields", "filters", "max_records"],
    "operators.sync.IntacctPlanSyncOperator": ["object_name", "desired", "mode", "match_on"],
    "operators.sync.IntacctSyncOperator": ["object_name", "desired", "mode", "match_on"],
    "operators.sync.IntacctApplySyncOperator": ["plan", "on_stale"],
    "operators.jobs.IntacctBulkJobOperator": ["object_name", "operation", "records", "deferrable"],
    "transfers.intacct_to_object_storage.IntacctToObjectStorageOperator": [
        "object_name",
        "fields",
        "destination",
        "file_format",
        "delimiter",
        "bom",
        "mask",
        "filters",
    ],
    "transfers.intacct_to_sql.IntacctToSqlOperator": [
        "object_name",
        "fields",
        "sql_conn_id",
        "table",
        "mode",
    ],
    "sensors.query.IntacctQuerySensor": ["object_name", "filters", "at_least", "deferrable"],
    "sensors.jobs.IntacctBulkJobSensor": ["job_id", "deferrable"],
    "sensors.records.IntacctRecordSensor": ["object_name", "key", "record_id", "conditions"],
}


def resolve(path: str) -> object:
    """Return what a dotted path names: a module, or a member of one."""
    try:
        return importlib.import_module(path)
    except ModuleNotFoundError:
        parent, _, name = path.rpartition(".")
        return getattr(resolve(parent), name)


def list_arguments(function: object) -> list[str]:
    """Return the names of a function's arguments."""
    return list(inspect.signature(function).parameters)


def list_all_arguments(cls: type) -> set[str]:
    """Return the names of the arguments of a class and its bases."""
    return {
        name for base in cls.__mro__ if "__init__" in vars(base) for name in list_arguments(base.__init__)
    }


@pytest.mark.parametrize(("module", "name"), [(module, name) for module in PUBLIC for name in PUBLIC[module]])
def test_a_public_name_can_be_imported(module, name):
    assert hasattr(importlib.import_module(module), name)


@pytest.mark.parametrize("name", CLIENT)
def test_a_method_of_the_client_takes_its_arguments(name):
    from intacct_provider.client import IntacctClient

    taken = list_arguments(getattr(IntacctClient, name))
    assert [argument for argument in taken if argument in CLIENT[name]] == CLIENT[name]


def test_the_client_counts_its_billed_transactions():
    from intacct_provider.client import IntacctClient

    assert isinstance(inspect.getattr_static(IntacctClient, "transactions"), property)


def test_the_hook_takes_a_connection_and_an_entity():
    from intacct_provider.hooks.intacct import IntacctHook

    assert {"intacct_conn_id", "entity_id"} <= list_all_arguments(IntacctHook)
    assert IntacctHook.default_conn_name == "intacct_default"
    assert {"client", "test_connection"} <= set(dir(IntacctHook))


@pytest.mark.parametrize("path", ARGUMENTS)
def test_an_operator_takes_its_arguments(path):
    taken = list_all_arguments(resolve(f"intacct_provider.{path}"))
    assert {*ARGUMENTS[path], "intacct_conn_id", "entity_id"} <= taken


def test_a_watcher_of_events_and_a_retry_policy_take_their_arguments():
    watcher = {"intacct_conn_id", "object_name", "actions", "check_interval", "include_payload"}
    assert watcher <= list_all_arguments(resolve("intacct_provider.triggers.events.IntacctEventQueueTrigger"))
    policy = resolve("intacct_provider.policies.retry.IntacctRetryPolicy")
    assert "wait_for_budget" in list_all_arguments(policy)


def test_every_exception_can_be_imported_from_one_module():
    from intacct_provider import exceptions

    text = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "intacct_provider").rglob("*.py"))
    defined = set(re.findall(r"^class (Intacct\w*Error)\(", text, re.MULTILINE))
    assert len(defined) > 20
    for name in defined:
        assert issubclass(getattr(exceptions, name), exceptions.IntacctError), name


def test_pytest_finds_the_fixtures():
    (found,) = [one for one in entry_points(group="pytest11") if one.value == "intacct_provider.testing"]
    assert found.load().intacct_sandbox


def list_reference() -> list[str]:
    """Return the paths that the Python reference documents."""
    return re.findall(r"^\.\. auto\w+:: (\S+)", REFERENCE, re.MULTILINE)


def test_the_reference_shows_something():
    assert len(list_reference()) > 30


@pytest.mark.parametrize("path", list_reference())
def test_the_reference_shows_only_public_names(path):
    resolve(path)
    if path not in PUBLIC:
        module, _, name = path.rpartition(".")
        assert name in PUBLIC.get(module, []), f"{path} is not a public name"
        assert name in getattr(importlib.import_module(module), "__all__", [name])
