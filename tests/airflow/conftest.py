"""A metadata database, a company to talk to, and DAG runs in this process."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from intacct_provider.sandbox import Sandbox

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def airflow_db() -> None:
    from airflow.utils.db import initdb

    initdb()


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """Run the demo company, with a secret that the audit can find, as ``intacct_default``."""
    with Sandbox(seed="demo", client_secret=secrets.token_urlsafe(24)) as running:
        monkeypatch.setenv("AIRFLOW_CONN_INTACCT_DEFAULT", running.connection())
        yield running


@pytest.fixture(scope="session")
def dag_files() -> dict[str, str]:
    """Return the file of each DAG; all of them are parsed once, and a test parses what it runs."""
    from airflow_parts import open_dag_bag

    files = {}
    for folder in (ROOT / "example_dags", ROOT / "tests" / "airflow" / "dags"):
        bag = open_dag_bag(str(folder))
        # What this Airflow lacks, the DAG says; its tests are skipped.
        assert [error for error in bag.import_errors.values() if "needs Airflow" not in error] == []
        files |= {dag_id: dag.fileloc for dag_id, dag in bag.dags.items()}
    return files


@pytest.fixture
def run_dag(airflow_db: None, dag_files: dict[str, str], sandbox: Sandbox) -> Callable[..., Any]:
    """Return a function that runs a DAG of one of the bundles and returns the finished run."""
    from airflow_parts import open_dag_bag

    def run(dag_id: str, **conf: Any) -> Any:
        return open_dag_bag(dag_files[dag_id]).dags[dag_id].test(run_conf=conf or None)

    return run
