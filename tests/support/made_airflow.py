"""What `make airflow` starts, as a program of its own, with a home and a folder of DAGs of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests
from real_airflow import FINISHED, PATIENCE

ROOT = Path(__file__).resolve().parents[2]
START = """
import sys, pathlib
sys.path.insert(0, sys.argv[1])
import start_airflow
start_airflow.exit_on_signals()
start_airflow.main(*map(pathlib.Path, sys.argv[2:]))
"""
#: What needs a database with its table and has a schedule, and what needs a workbook and an approval.
KINDS = ["intacct_sync_from_spreadsheet", "intacct_sync_from_sql"]
#: Whether all of its example DAGs are to be run, and not only one of each kind.
RUNS_ALL = bool(os.environ.get("INTACCT_ALL_EXAMPLES"))


class MadeAirflow:
    """A running `make airflow`, and what it printed."""

    def __init__(self, home: Path, own_dags: Path) -> None:
        self.home, self.own_dags = home, own_dags
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
        self._child = subprocess.Popen(
            [sys.executable, "-c", START, str(ROOT / "tools"), str(home), str(own_dags)],
            stdout=subprocess.PIPE,
            env=environment,
            text=True,
            start_new_session=True,
        )
        self.printed = ""
        for line in self._child.stdout:
            self.printed += line
            if "Ctrl-C" in line:
                break
        else:
            pytest.fail(f"It ended.\n{self.printed}\n{self.tail()}")
        self.address, self.password = re.search(r"Airflow +(\S+)/ .* password (\S+)", self.printed).groups()
        self.api = requests.Session()
        self.api.trust_env = False
        login = {"username": "admin", "password": self.password}
        token = self.call("POST", "/auth/token", login)["access_token"]
        self.api.headers["Authorization"] = f"Bearer {token}"

    def stop(self) -> None:
        """Stop it as Ctrl-C does."""
        os.killpg(self._child.pid, signal.SIGTERM)
        self._child.wait(60)
        self._child.stdout.close()

    def call(self, method: str, path: str, body: object = None) -> dict:
        """Return what Airflow's REST API answers."""
        answer = self.api.request(method, f"{self.address}{path}", json=body, timeout=PATIENCE)
        answer.raise_for_status()
        return answer.json()

    def dags(self) -> set[str]:
        """Return the ids of the DAGs that Airflow lists."""
        return {dag["dag_id"] for dag in self.call("GET", "/api/v2/dags?limit=100")["dags"]}

    def run(self, dag_id: str) -> None:
        """Run a DAG as a click on Trigger does, and approve what it asks; fail unless each of its runs is green."""
        self.call("PATCH", f"/api/v2/dags/{dag_id}", {"is_paused": False})
        self.call("POST", f"/api/v2/dags/{dag_id}/dagRuns", {"logical_date": None})
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            runs = self.call("GET", f"/api/v2/dags/{dag_id}/dagRuns")["dag_runs"]
            if all(run["state"] in FINISHED for run in runs):
                break
            for run in runs:
                self.approve(f"/api/v2/dags/{dag_id}/dagRuns/{run['dag_run_id']}/taskInstances")
            time.sleep(0.3)
        states = [run["state"] for run in runs]
        assert set(states) == {"success"}, f"{dag_id}: {states}\n{self.log(dag_id)}"

    def approve(self, tasks: str) -> None:
        """Approve what a run asks for."""
        for task in self.call("GET", f"{tasks}?state=awaiting_input")["task_instances"]:
            name = task["task_id"]
            if self.may_answer(task["dag_id"], name, task["dag_run_id"]):
                answer = {"chosen_options": ["Approve"], "params_input": {}}
                self.call("PATCH", f"{tasks}/{name}/-1/hitlDetails", answer)

    def may_answer(self, dag_id: str, task_id: str, run_id: str) -> bool:
        """Return whether the scheduler has noticed that a task waits for somebody.

        Airflow 3.3.2 takes an answer before that for a task that was killed; a person is not that fast.
        """
        log = (self.home / "logs" / "airflow.log").read_text()
        return f"TaskInstance Finished: dag_id={dag_id}, task_id={task_id}, run_id={run_id}," in log

    def logs(self, dag_id: str) -> list[Path]:
        """Return the logs of the tasks of a DAG."""
        return sorted((self.home / "airflow" / "logs" / f"dag_id={dag_id}").rglob("*.log"))

    def log(self, dag_id: str) -> str:
        """Return the last lines of these logs."""
        return "\n".join(f"--- {file}\n{file.read_text()[-3000:]}" for file in self.logs(dag_id))

    def tail(self) -> str:
        """Return the last lines of the log of Airflow itself."""
        file = self.home / "logs" / "airflow.log"
        return file.read_text()[-3000:] if file.exists() else ""
