"""What `make airflow` starts: every example DAG turns green, twice, and what it prints leads somewhere.

The short version runs one DAG of each kind; `make examples` runs all of them.
"""

from __future__ import annotations

import json
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

from intacct_provider.client import IntacctClient, IntacctConfig

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

ROOT = Path(__file__).resolve().parents[2]
START = """
import sys, pathlib
sys.path.insert(0, sys.argv[1])
import start_airflow
start_airflow.exit_on_signals()
start_airflow.main(*map(pathlib.Path, sys.argv[2:]))
"""
#: What needs a database with its table, and what needs a workbook and an approval.
KINDS = ["intacct_sync_from_spreadsheet", "intacct_sync_from_sql"]
OWN = """
from airflow.sdk import DAG, task

with DAG("my_own"):

    @task
    def nothing(): ...

    nothing()
"""


class Interface:
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
        self.address, password = re.search(r"Airflow +(\S+)/ .* password (\S+)", self.printed).groups()
        self.api = requests.Session()
        self.api.trust_env = False
        login = {"username": "admin", "password": password}
        token = self.call("POST", "/auth/token", login)["access_token"]
        self.api.headers["Authorization"] = f"Bearer {token}"

    def stop(self) -> None:
        """Stop it as Ctrl-C does."""
        os.killpg(self._child.pid, signal.SIGTERM)
        self._child.wait(60)
        self._child.stdout.close()

    def call(self, method: str, path: str, body: object = None) -> dict:
        """Return what Airflow's REST API answers."""
        answer = self.api.request(method, f"{self.address}{path}", json=body, timeout=60)
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
        """Approve what a run asks for, once the scheduler has noticed that the task waits.

        Airflow 3.3.2 takes an answer before that for a task that was killed; a person is not that fast.
        """
        log = (self.home / "logs" / "airflow.log").read_text()
        for task in self.call("GET", f"{tasks}?state=awaiting_input")["task_instances"]:
            name, run = task["task_id"], task["dag_run_id"]
            if f"TaskInstance Finished: dag_id={task['dag_id']}, task_id={name}, run_id={run}," in log:
                answer = {"chosen_options": ["Approve"], "params_input": {}}
                self.call("PATCH", f"{tasks}/{name}/-1/hitlDetails", answer)

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


@pytest.fixture(scope="module")
def interface(tmp_path_factory):
    one = Interface(tmp_path_factory.mktemp("interface") / "home", tmp_path_factory.mktemp("own"))
    yield one
    one.stop()


def test_what_it_prints_leads_somewhere(interface):
    for name in ("Airflow", "Intacct"):
        page = requests.get(re.search(rf"{name} +(http\S+)", interface.printed)[1], timeout=60)
        assert (page.status_code, "<html" in page.text.lower()) == (200, True)
    log = Path(re.search(r"Log +(\S+)", interface.printed)[1])
    assert "standalone" in log.read_text()
    left_out = {file.stem for file in (ROOT / "example_dags").glob("*.py")} - interface.dags()
    assert left_out
    assert left_out == set(re.findall(r"(intacct_\w+) \(needs", interface.printed))


def test_a_second_connection_can_be_made_of_what_it_prints(interface):
    labels = {
        "base_url": "API base URL",
        "client_id": "client ID",
        "client_secret": "client secret",
        "company_id": "company ID",
        "user_id": "user ID",
    }
    parts = {name: re.search(rf"{label} ([^\s,]+)", interface.printed)[1] for name, label in labels.items()}
    with IntacctClient(IntacctConfig(**parts)) as client:
        assert client.find("accounts-receivable/customer", "C-00001")


def test_a_dag_of_the_users_own_is_found(interface):
    folder = Path(re.search(r"Your DAGs +(\S+)", interface.printed)[1])
    (folder / "my_own.py").write_text(OWN)
    end = time.monotonic() + PATIENCE
    while "my_own" not in interface.dags() and time.monotonic() < end:
        time.sleep(0.5)
    assert "my_own" in interface.dags()


def test_example_dags_are_green_twice_and_log_no_noise(interface):
    chosen = sorted(interface.dags() - {"my_own"}) if os.environ.get("INTACCT_ALL_EXAMPLES") else KINDS
    for _ in range(2):
        for dag_id in chosen:
            interface.run(dag_id)
    logged = [
        json.loads(line)
        for dag_id in chosen
        for file in interface.logs(dag_id)
        for line in file.read_text().splitlines()
        if line.startswith("{")
    ]
    assert logged
    loud = [one for one in logged if one.get("level") in ("warning", "error", "critical")]
    assert [one for one in loud if "intacct" in f"{one.get('logger')} {one.get('event')}".lower()] == []
    assert [one for one in logged if "Unable to check" in str(one.get("event"))] == []
