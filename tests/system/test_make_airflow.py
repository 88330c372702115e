"""What `make airflow` starts: every example DAG turns green, twice, and what it prints leads somewhere.

The short version runs one DAG of each kind; `make examples` runs all of them.
"""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest
import requests
from made_airflow import KINDS, ROOT, RUNS_ALL, MadeAirflow
from real_airflow import PATIENCE

from intacct_provider.client import IntacctClient, IntacctConfig

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

OWN = """
from airflow.sdk import DAG, task

with DAG("my_own"):

    @task
    def nothing(): ...

    nothing()
"""


@pytest.fixture(scope="module")
def interface(tmp_path_factory):
    one = MadeAirflow(tmp_path_factory.mktemp("interface") / "home", tmp_path_factory.mktemp("own"))
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
    chosen = sorted(interface.dags() - {"my_own"}) if RUNS_ALL else KINDS
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
