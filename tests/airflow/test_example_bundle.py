"""Airflow's default settings: it looks for the example DAGs of every provider, and logs what it cannot find."""

from __future__ import annotations

import logging
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NAME = "airflow-provider-intacct-example-dags"


def test_airflow_finds_the_examples_and_logs_nothing_about_them(airflow_db, monkeypatch, caplog):
    from airflow.dag_processing.bundles.manager import DagBundlesManager

    monkeypatch.setenv("AIRFLOW__CORE__LOAD_EXAMPLES", "True")
    with caplog.at_level(logging.WARNING):
        bundles = {bundle.name: bundle for bundle in DagBundlesManager().get_all_dag_bundles()}
    assert [one for one in caplog.messages if "intacct" in one] == []
    names = {path.name for path in bundles[NAME].path.glob("*.py")}
    assert names == {path.name for path in (ROOT / "example_dags").glob("*.py")}
