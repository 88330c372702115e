"""A big export whose worker is killed at random moments, with Airflow's next attempt after each.

In the end, there must be exactly what an undisturbed export leaves: the same files, byte by byte, nothing
beside them, and the same manifest but for its section about the run.

``INTACCT_EXPORT_KILLS`` says how often, ``INTACCT_EXPORT_SEED`` when.
"""

from __future__ import annotations

import os
import random
import time
from contextlib import suppress

import psutil
import pytest
from export_deaths import left
from sandbox_client import running

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

CUSTOMER = "accounts-receivable/customer"
ROWS = 200_000
KILLS = int(os.environ.get("INTACCT_EXPORT_KILLS", "5"))
SEED = int(os.environ.get("INTACCT_EXPORT_SEED", "20260630"))
FORMS = ["jsonl_in_parts", "parquet_in_parts", "ranges", "one_gzip_file"]


@pytest.fixture(scope="module")
def company():
    with running(f"{CUSTOMER}={ROWS}") as one:
        yield one


class Killer:
    """Kills tasks of a DAG's runs at random moments.

    :param seconds: how long an undisturbed run works; a task is killed when it has worked for less than that.
    """

    def __init__(self, company, rng, seconds):
        self.waits = []
        self._company = company
        self._rng = rng
        self._seconds = seconds

    def disturb(self, run, kills):
        """Kill this many attempts of a run, or fewer if it is over before."""
        for _ in range(kills):
            process = self._one_at_work(run)
            if process is None:
                return
            self.waits.append(round(self._rng.uniform(0, self._seconds), 3))
            time.sleep(self.waits[-1])
            with suppress(psutil.NoSuchProcess):
                process.kill()
                process.wait(60)

    def _one_at_work(self, run):
        """Wait until a task reads or commits; return its process, or None when the run is over."""
        seen = len(self._company.requests)

        def begun():
            tasks = [task for task in run.tasks() if task["task_id"] != "plan"]
            if all(task["state"] == "success" for task in tasks):
                return [None]
            running = [task["pid"] for task in tasks if task["state"] == "running" and task["pid"]]
            if not running or len(self._company.requests) == seen:
                return None
            with suppress(psutil.NoSuchProcess):
                return [psutil.Process(self._rng.choice(running))]

        return run.until("a task is at work", begun)[0]


@pytest.mark.parametrize("form", FORMS)
def test_an_export_that_is_killed_is_the_same_in_the_end(airflow, company, tmp_path, form):
    kills = len(range(FORMS.index(form), KILLS, len(FORMS)))
    if not kills:
        pytest.skip(f"{KILLS} kills are for the other forms")
    dag_id = f"export_{form}"
    conn = airflow.connect(dag_id, company)
    folder = tmp_path / "exports"

    before = len(company.requests)
    first = airflow.run(dag_id, conn=conn, folder=str(folder))
    first.until("it has begun", lambda: len(company.requests) > before)
    begun = time.monotonic()
    first.until("the manifest is there", lambda: list(folder.glob("[!.]*.manifest.json")))
    seconds = time.monotonic() - begun
    first.succeed()
    undisturbed = left(folder)
    [manifest] = [name for name in undisturbed if name.endswith(".manifest.json")]
    assert undisturbed[manifest]["rows"] == ROWS

    seed = f"{SEED} {form}"
    killer, again = Killer(company, random.Random(seed), seconds), 0
    while again < kills:
        run = airflow.run(dag_id, conn=conn, folder=str(folder))
        killer.disturb(run, kills - again)
        # A task that was killed after it had reported its success to Airflow is not retried.
        again += sum(task["try_number"] - 1 for task in run.succeed())
        assert left(folder) == undisturbed, f"seed {seed}, killed after {killer.waits} s"
    print(f"{form}: seed {seed}, {again} tries killed, after {killer.waits} s of {seconds:.1f} s")
