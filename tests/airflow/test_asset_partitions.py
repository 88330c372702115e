"""The DAG of docs/warehouse.md that partitions of an asset start, as Airflow stores and reads it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from airflow import sdk

PAGE = Path(__file__).resolve().parents[2] / "docs" / "warehouse.md"

pytestmark = pytest.mark.skipif(
    not hasattr(sdk, "PartitionedAssetTimetable"), reason="Airflow before 3.3 has no partitions of assets"
)


def test_airflow_stores_the_dag_of_the_page_as_one_that_partitions_start(airflow_db, tmp_path):
    from airflow.dag_processing.dagbag import DagBag
    from airflow.serialization.serialized_objects import DagSerialization

    [shown] = re.findall(
        r"^```python\n(.*?PartitionedAssetTimetable.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL
    )
    (tmp_path / "page.py").write_text(shown)
    bag = DagBag(str(tmp_path))
    assert not bag.import_errors
    [dag] = bag.dags.values()
    stored = DagSerialization.from_dict(DagSerialization.to_dict(dag))
    assert stored.timetable.partitioned
    assert [key.name for key, _ in stored.timetable.asset_condition.iter_assets()] == ["intacct_customers"]
    assert (
        stored.timetable.get_partition_mapper(name="intacct_customers").to_downstream("2026-11-30")
        == "2026-11-30"
    )
