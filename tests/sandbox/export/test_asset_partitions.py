"""The partition of its assets that an export is: reported where Airflow has partitions, and checked before it costs."""

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, Asset

from intacct_provider.transfers.intacct_to_object_storage import IntacctToObjectStorageOperator

CUSTOMERS = Asset("customers")


class Event:
    """An event of an asset, as Airflow had it before 3.3."""

    extra = None


class PartitionedEvent(Event):
    """An event with partitions."""

    def __init__(self):
        self.partitions = []

    def add_partitions(self, keys):
        self.partitions.append(keys)


@pytest.fixture
def export(sandbox, monkeypatch, tmp_path):
    monkeypatch.setenv("AIRFLOW_CONN_INTACCT_DEFAULT", sandbox.connection())

    def run(partition_key, event):
        operator = IntacctToObjectStorageOperator(
            task_id="export",
            object_name="accounts-receivable/customer",
            fields=["key"],
            destination=str(tmp_path / "customers.jsonl"),
            outlets=[CUSTOMERS],
            partition_key=partition_key,
        )
        operator.execute({"outlet_events": {CUSTOMERS: event}})

    return run


def test_the_event_of_the_asset_gets_the_partition(export):
    event = PartitionedEvent()
    export("2026-11-30", event)
    assert event.partitions == ["2026-11-30"]
    assert event.extra["rows"] == 0


def test_an_export_without_one_has_no_partition(export):
    event = PartitionedEvent()
    export(None, event)
    assert event.partitions == []


def test_an_airflow_without_partitions_gets_the_event_alone(export):
    event = Event()
    export("2026-11-30", event)
    assert event.extra["rows"] == 0


@pytest.mark.parametrize("key", ["", " ", "None", "x" * 251])
def test_a_partition_that_airflow_would_refuse_after_the_export_costs_nothing(export, sandbox, key):
    with pytest.raises(AirflowFailException, match="partition_key"):
        export(key, PartitionedEvent())
    assert sandbox.transactions == 0
