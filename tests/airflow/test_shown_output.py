"""What README.md and docs/quickstart.md show is what the sandbox and the operators print."""

from __future__ import annotations

import csv
import logging
import re
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

import pendulum
import pytest
from documented_costs import read_costs

from intacct_provider.sandbox import Sandbox

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^```(?P<kind>\S*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
SECONDS = re.compile(r"\(\d+\.\d s\)")
GROUP = "accounts-receivable/customer-group"


def find_block(page: str, kind: str, words: str) -> str:
    """Return the code block of a page that has certain words."""
    blocks = BLOCK.findall((ROOT / page).read_text(encoding="utf-8"))
    (found,) = [body for one, body in blocks if one == kind and words in body]
    return found


@pytest.fixture
def load_dag(airflow_db, sandbox, tmp_path):
    """Return a function that returns the DAG of a file with some code."""

    def load(code: str):
        from airflow_parts import open_dag_bag

        (tmp_path / "dags").mkdir()
        (tmp_path / "dags" / "page.py").write_text(code)
        bag = open_dag_bag(str(tmp_path / "dags"))
        assert not bag.import_errors
        (dag,) = bag.dags.values()
        return dag

    return load


def test_the_quickstart_logs_what_its_page_shows(load_dag, sandbox, capsys, caplog):
    page = "docs/quickstart.md"
    task = load_dag(find_block(page, "python", "first_sync")).get_task("sync")
    with caplog.at_level(logging.INFO):
        task.execute({})
    # Operators log through Airflow, which prints; the modules below them log through Python.
    logged = SECONDS.sub("", capsys.readouterr().out + "\n".join(caplog.messages))
    for line in filter(None, find_block(page, "text", "Plan for").splitlines()):
        assert SECONDS.sub("", line) in logged
    task.execute({})
    assert "**Nothing to change**; 1 unchanged" in capsys.readouterr().out


def test_the_dag_of_the_readme_runs_against_the_demo_company(load_dag, sandbox, tmp_path, capsys):
    dag = load_dag(find_block("README.md", "python", "customers_daily"))
    sample = ROOT / "example_dags" / "data" / "customer_groups.csv"
    (tmp_path / "customer_groups.csv").write_bytes(sample.read_bytes())
    context = {
        "params": {"folder": f"file://{tmp_path}"},
        "dag_run": SimpleNamespace(run_after=pendulum.datetime(2026, 3, 4)),
    }
    for name in ("sync_groups", "export_open_balances"):
        task = dag.get_task(name)
        task.render_template_fields(context)
        task.execute({})
    logged = capsys.readouterr().out
    for line in list_plan_lines(find_block("README.md", "text", "Starting a local Intacct")):
        assert line in logged
    assert {"BLUESTONE", "NET-30-EDU", "WATCHLIST"} <= {group["id"] for group in sandbox.records(GROUP)}
    rows = list(csv.DictReader((tmp_path / "open_balances_2026-03-04.csv").read_text().splitlines()))
    assert rows
    assert all(Decimal(row["totalDue"]) > 0 for row in rows)


def list_plan_lines(shown: str) -> list[str]:
    """Return the lines of the first plan of the demo, without the ends that are cut."""
    first = shown.partition("== Airflow runs intacct_export")[0]
    return [line.strip().partition("…")[0] for line in first.splitlines() if line.strip()[:1] in ("|", "*")]


@pytest.mark.slow
def test_the_sandbox_starts_as_the_quickstart_shows():
    shown = find_block("docs/quickstart.md", "console", "-m intacct_provider.sandbox")
    command, *lines = shown.splitlines()
    assert command == "$ python -m intacct_provider.sandbox"
    child = subprocess.Popen(
        [sys.executable, "-m", "intacct_provider.sandbox", "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        address = re.search(r"http://127\.0\.0\.1:\d+", child.stdout.readline())[0]
        printed = [line.replace(address, "http://127.0.0.1:8765") for line in read_until(child, "Ctrl+C")]
    finally:
        child.terminate()
        child.wait(30)
        child.stdout.close()
    for line in lines[1:]:
        assert line.strip() == "..." or line in printed, printed


def read_until(child: subprocess.Popen[str], words: str) -> list[str]:
    """Return the lines that a process prints, up to one with certain words."""
    lines = []
    for line in child.stdout:
        lines.append(line.rstrip("\n"))
        if words in line:
            break
    return lines


def test_tasks_cost_what_the_page_about_cost_says(airflow_db, sandbox, monkeypatch, tmp_path):
    from intacct_provider.operators.sync import IntacctSyncOperator
    from intacct_provider.sensors.query import IntacctQuerySensor
    from intacct_provider.transfers.intacct_to_object_storage import IntacctToObjectStorageOperator

    def measure(company, operator, **arguments):
        monkeypatch.setenv("AIRFLOW_CONN_INTACCT_DEFAULT", company.connection())
        before = company.transactions
        operator(task_id="task", **arguments).execute({})
        return company.transactions - before

    def export(company, object_name):
        file = {"destination": f"file://{tmp_path}/rows.jsonl", "file_format": "jsonl"}
        arguments = {"object_name": object_name, "fields": ["key", "id"], **file}
        return measure(company, IntacctToObjectStorageOperator, **arguments)

    desired = f"file://{ROOT}/example_dags/data/customer_groups.csv"
    sync = {"object_name": GROUP, "desired": desired}
    costs = {"export of 60 account groups": export(sandbox, "general-ledger/account-group")}
    with Sandbox(seed="accounts-receivable/customer=10000") as large:
        costs["export of 10,000 rows"] = export(large, "accounts-receivable/customer")
    first = "first sync of the sample customer groups, 3 created and 3 updated"
    costs[first] = measure(sandbox, IntacctSyncOperator, **sync)
    costs["second sync, nothing to change"] = measure(sandbox, IntacctSyncOperator, **sync)
    sensor = {"object_name": GROUP, "filters": [{"$ne": {"id": "nobody"}}]}
    costs["a check of a sensor"] = measure(sandbox, IntacctQuerySensor, **sensor)
    assert {work: str(cost) for work, cost in costs.items()} == read_costs("What Intacct bills")
