"""Airflow in the three ways in which it is deployed: the executors, the databases, and what runs beside them."""

from __future__ import annotations

import platform
import re
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from importlib.metadata import version
from pathlib import Path

import psutil
from postgres import USER, Postgres, cluster, program
from real_airflow import Part, RealAirflow, Run
from redis_server import redis_server
from required import lack

DAGS = Path(__file__).resolve().parents[1] / "system" / "deployments" / "dags"
DATABASE = "airflow"
#: Names of the deployments, as the table of docs/deploying.md has them.
SQLITE, LOCAL, CELERY = (
    "LocalExecutor, SQLite",
    "LocalExecutor, PostgreSQL",
    "CeleryExecutor, Redis, PostgreSQL",
)
#: Tasks that one Celery worker runs at a time.
WORKER_SLOTS = 2
COMMON = {
    # The test starts each of them when it has prepared what the DAG works with.
    "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "True",
    # A task whose worker has died is tried again after this many seconds; the default is 300.
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "30",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "1",
}


class Deployment(RealAirflow):
    """A running Airflow, deployed in one of the ways.

    :param postgres: holds the database of Airflow; None for SQLite.
    :ivar workers: the Celery workers, which can be killed; none where the scheduler runs the tasks.
    """

    def __init__(
        self, home: Path, dags: Path, settings: Mapping[str, str], postgres: Postgres | None
    ) -> None:
        super().__init__(home, dags, {**COMMON, **settings})
        self.workers: list[Part] = []
        self._postgres = postgres

    def scheduled(self, dag_id: str) -> Run:
        """Let the scheduler run a DAG as its schedule says, and return the run."""
        self.pause(dag_id, paused=False)
        runs = self.until(f"{dag_id} is scheduled", lambda: self.read(f"/dags/{dag_id}/dagRuns")["dag_runs"])
        assert [run["run_type"] for run in runs] == ["scheduled"]
        return Run(self, dag_id, runs[0]["dag_run_id"])

    def set_variable(self, key: str, value: str) -> None:
        """Store an Airflow Variable."""
        self._post("/api/v2/variables", {"key": key, "value": value})

    def remove_variable(self, key: str) -> None:
        """Remove an Airflow Variable."""
        self._api.delete(self._url(f"/api/v2/variables/{key}"), timeout=60).raise_for_status()

    def set_pool(self, name: str, slots: int) -> None:
        """Make a pool, or change how many slots it has."""
        body = {"name": name, "slots": slots, "include_deferred": False}
        path = self._url(f"/api/v2/pools/{name}")
        if self._api.patch(path, json=body, timeout=60).status_code == 404:
            self._post("/api/v2/pools", body)

    def processes(self, run: Run) -> list[psutil.Process]:
        """Return the processes that run tasks of a DAG's run: their code, and not their supervisors."""
        parts = [self, *self.workers]
        found = []
        for task in run.tasks():
            if task["state"] == "running" and task["pid"]:
                with suppress(psutil.NoSuchProcess, ProcessLookupError):
                    process = psutil.Process(task["pid"])
                    assert any(part.owns(process) for part in parts)
                    found.append(process)
        return found

    def _prepare_database(self) -> None:
        if self._postgres is None:
            super()._prepare_database()

    def _stored(self) -> Iterator[tuple[str, str]]:
        if self._postgres is None:
            yield from super()._stored()
        else:
            yield f"{self.database.name} in PostgreSQL", self._postgres.dump(DATABASE)


@contextmanager
def deployed(
    name: str, home: Path, dags: Path = DAGS, *, workers: int = 2, env: Mapping[str, str] | None = None
) -> Iterator[Deployment]:
    """Run Airflow in one of the ways; skip the test when the machine lacks something, or fail it if that is required.

    :param home: an empty folder.
    :param dags: the folder of its DAGs.
    :param workers: how many Celery workers to start.
    :param env: more variables for the environment of all processes.
    """
    with ExitStack() as running:
        settings = dict(env or {})
        postgres = None
        if name != SQLITE:
            postgres = running.enter_context(cluster())
            with postgres.connect() as connection:
                connection.execute(f"CREATE DATABASE {DATABASE}")
            address = f"postgresql+psycopg2://{USER}@127.0.0.1:{postgres.port}/{DATABASE}"
            settings |= {
                "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": address,
                "AIRFLOW__DATABASE__SQL_ALCHEMY_POOL_ENABLED": "True",
            }
        if name == CELERY:
            settings |= celery_settings(running.enter_context(redis_server(home)))
        airflow = Deployment(home, dags, settings, postgres)
        running.callback(airflow.stop)
        airflow.start()
        if name == CELERY:
            for number in range(workers):
                command = worker_command(home, number + 1)
                airflow.workers.append(running.enter_context(airflow.part(command)))
        yield airflow


def celery_settings(redis: str) -> dict[str, str]:
    """Return the settings with which Celery workers run the tasks."""
    try:
        version("apache-airflow-providers-celery")
    except ImportError:
        lack("REDIS", "no Redis: apache-airflow-providers-celery is not installed")
    return {
        "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
        "AIRFLOW__CELERY__BROKER_URL": f"{redis}/0",
        "AIRFLOW__CELERY__RESULT_BACKEND": f"{redis}/1",
        "AIRFLOW__CELERY__WORKER_PREFETCH_MULTIPLIER": "1",
    }


def worker_command(home: Path, number: int, slots: int = WORKER_SLOTS) -> str:
    """Return the command of a Celery worker."""
    return f"celery worker -H w{number}@%h --pid {home}/w{number}.pid --concurrency {slots} --skip-serve-logs"


def describe_versions() -> str:
    """Return the versions of what the deployments consist of."""
    found = {
        "Airflow": version("apache-airflow"),
        "its Celery provider": version("apache-airflow-providers-celery"),
        "Celery": version("celery"),
        "Python": platform.python_version(),
        "SQLite": sqlite3.sqlite_version,
        "PostgreSQL": ask_version(program("postgres")),
        "Redis": ask_version(shutil.which("redis-server")),
    }
    return ", ".join(f"{name} {number}" for name, number in found.items())


def ask_version(server: str) -> str:
    """Return the version that a server's program prints."""
    printed = subprocess.run([server, "--version"], capture_output=True, text=True, check=True).stdout
    return re.search(r"\d+(\.\d+)+", printed)[0]
