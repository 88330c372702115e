"""The DAG of docs/warehouse.md that partitions of an asset start: as Airflow stores it, and when it runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from airflow import sdk

PAGE = Path(__file__).resolve().parents[2] / "docs" / "warehouse.md"
CONSUMER, PRODUCER = "load_customers_of_a_day", "export_partition"
EXPORT = """
from airflow.sdk import DAG, Asset

from intacct_provider.transfers.intacct_to_object_storage import IntacctToObjectStorageOperator

with DAG("export_partition", schedule=None, params={"day": "", "folder": ""}):
    IntacctToObjectStorageOperator(
        task_id="export",
        object_name="accounts-receivable/customer",
        fields=["key"],
        destination="file://{{ params.folder }}/{{ params.day }}.jsonl",
        outlets=[Asset("intacct_customers")],
        partition_key="{{ params.day }}",
    )
"""

pytestmark = pytest.mark.skipif(
    not hasattr(sdk, "PartitionedAssetTimetable"), reason="Airflow before 3.3 has no partitions of assets"
)


@pytest.fixture
def bag(airflow_db, tmp_path):
    """Two DAGs: the one that the page shows, and one that exports a partition."""
    from airflow_parts import open_dag_bag

    code = r"^```python\n(.*?PartitionedAssetTimetable.*?)^```$"
    [shown] = re.findall(code, PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    (tmp_path / "consumer.py").write_text(shown)
    (tmp_path / "producer.py").write_text(EXPORT)
    found = open_dag_bag(str(tmp_path))
    assert not found.import_errors
    assert set(found.dags) == {CONSUMER, PRODUCER}
    return found


def test_airflow_stores_the_dag_of_the_page_as_one_that_partitions_start(bag):
    from airflow.serialization.serialized_objects import DagSerialization

    stored = DagSerialization.from_dict(DagSerialization.to_dict(bag.dags[CONSUMER]))
    assert stored.timetable.partitioned
    assert [key.name for key, _ in stored.timetable.asset_condition.iter_assets()] == ["intacct_customers"]
    mapper = stored.timetable.get_partition_mapper(name="intacct_customers")
    assert mapper.to_downstream("2026-11-30") == "2026-11-30"


@pytest.mark.slow
def test_the_scheduler_starts_the_dag_of_the_page_once_for_each_partition(bag, sandbox, tmp_path, capsys):
    from airflow.dag_processing.dagbag import sync_bag_to_db
    from airflow.jobs.job import Job
    from airflow.jobs.scheduler_job_runner import SchedulerJobRunner
    from airflow.models.dag import DagModel
    from airflow.models.dagbundle import DagBundleModel
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        session.merge(DagBundleModel(name="partitions"))
    sync_bag_to_db(bag, "partitions", None)
    with create_session() as session:
        session.get(DagModel, CONSUMER).is_paused = False
    days = ["2026-11-29", "2026-11-30"]
    for day in days:
        run = bag.dags[PRODUCER].test(run_conf={"day": day, "folder": str(tmp_path)})
        assert str(run.state) == "success"
    with create_session() as session:
        runner = SchedulerJobRunner(job=Job())
        assert runner._create_dagruns_for_partitioned_asset_dags(session) == {CONSUMER}
    with create_session() as session:
        started = session.scalars(select(DagRun.partition_key).where(DagRun.dag_id == CONSUMER))
        assert sorted(started) == days
    assert str(bag.dags[CONSUMER].test().state) == "success"
    assert "loading the customers of" in capsys.readouterr().out
