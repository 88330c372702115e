"""Each example DAG that needs no cloud turns green as it is, and once more after that, in what `make airflow` makes.

tests/system/test_make_airflow.py has Airflow's own processes run them.
"""

from __future__ import annotations

import importlib
import json
import secrets
import sys
from pathlib import Path

import pytest

from intacct_provider.sandbox import Sandbox

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted(file.stem for file in (ROOT / "example_dags").glob("*.py"))


@pytest.fixture(scope="module")
def tool():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [str(ROOT / "tools"), *sys.path])
        yield importlib.import_module("start_airflow")


@pytest.fixture(scope="module")
def company(tool, airflow_db, tmp_path_factory):
    """Two companies, a warehouse and a home, as the tool makes them."""
    from airflow.providers.standard.operators.hitl import ApprovalOperator

    home = tmp_path_factory.mktemp("home")
    names = {"AIRFLOW_CONN_INTACCT_DEFAULT": "one", "AIRFLOW_CONN_INTACCT_STAGING": "other"}
    tool.make_warehouse(home / "warehouse.db")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(home))
        warehouse = {"conn_type": "sqlite", "host": str(home / "warehouse.db")}
        patch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps(warehouse))
        patch.setattr(
            ApprovalOperator, "execute", lambda *_, **__: {"chosen_options": ["Approve"], "params_input": {}}
        )
        sandboxes = [Sandbox(seed="demo", client_secret=secrets.token_urlsafe(24)) for _ in names]
        for name, sandbox in zip(names, sandboxes, strict=True):
            sandbox.start()
            patch.setenv(name, json.dumps(tool.connection(sandbox.connection())))
        yield
        for sandbox in sandboxes:
            sandbox.stop()


@pytest.mark.parametrize("dag_id", EXAMPLES)
def test_a_dag_is_green_twice(company, tool, dag_id):
    from airflow.dag_processing.dagbag import DagBag

    if dag_id in tool.CLOUDS:
        pytest.skip(f"{dag_id} needs {tool.CLOUDS[dag_id]}")
    for _ in range(2):
        dag = DagBag(str(ROOT / "example_dags" / f"{dag_id}.py")).dags[dag_id]
        for task in dag.tasks:
            task.retries = 0  # a task that fails does not wait for five minutes
        run = dag.test()
        states = {task.task_id: str(task.state) for task in run.get_task_instances()}
        assert str(run.state) == "success", states
