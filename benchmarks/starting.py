"""Measure what our code adds to parsing a DAG file and to starting a process, in milliseconds."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from intacct_provider.get_provider_info import get_provider_info

_CHILD = """
import sys, time
import airflow.sdk
from airflow.sdk import DAG, BaseOperator
{before}
begun = time.perf_counter()
exec(compile(open(sys.argv[1]).read(), sys.argv[1], "exec"), {{"__name__": "dag_file"}})
print(1000 * (time.perf_counter() - begun))
"""
_EMPTY = """
from airflow.sdk import DAG
from airflow.providers.standard.operators.empty import EmptyOperator
with DAG("five", schedule=None):
    for number in range(5):
        EmptyOperator(task_id=f"task_{number}")
"""
_OURS = """
from airflow.sdk import DAG
from intacct_provider.operators.query import IntacctQueryOperator
from intacct_provider.operators.records import IntacctCreateRecordOperator
from intacct_provider.operators.sync import IntacctSyncOperator
from intacct_provider.sensors.query import IntacctQuerySensor
from intacct_provider.transfers.intacct_to_object_storage import IntacctToObjectStorageOperator
with DAG("five", schedule=None):
    where = {"object_name": "accounts-receivable/customer"}
    IntacctQueryOperator(task_id="query", fields=["key"], **where)
    IntacctCreateRecordOperator(task_id="create", record={"id": "C-1"}, **where)
    IntacctSyncOperator(task_id="sync", desired=[{"id": "C-1"}], **where)
    IntacctQuerySensor(task_id="wait", deferrable=True, **where)
    IntacctToObjectStorageOperator(task_id="export", fields=["key"], destination="out.jsonl", **where)
"""
_FIVE_FIRST = "import airflow.providers.standard.operators.empty"


def parsing(rounds: int) -> list[dict[str, Any]]:
    """Parse a DAG file with five of our operators, and one with five EmptyOperators, in alternating new processes."""
    print("\nRead a DAG file, in a process that has airflow.sdk")
    times: dict[str, list[float]] = {"five EmptyOperators": [], "five of our operators": []}
    for number in range(-1, rounds):
        for name, source in zip(times, (_EMPTY, _OURS), strict=True):
            milliseconds = run_child(source)
            if number >= 0:
                times[name].append(milliseconds)
    return summarize(times)


def imports(rounds: int) -> list[dict[str, Any]]:
    """Import each public module, in new processes that have ``airflow.sdk``."""
    print("\nImport, in a process that has airflow.sdk")
    times: dict[str, list[float]] = {name: [] for name in public_modules()}
    for number in range(-1, rounds):
        for name in times:
            milliseconds = run_child(f"import {name}")
            if number >= 0:
                times[name].append(milliseconds)
    return summarize(times)


def public_modules() -> list[str]:
    """Return the modules that a DAG file may import, from the provider's metadata, and the client."""
    info = get_provider_info()
    listed = [
        name
        for kind in ("hooks", "operators", "sensors", "triggers")
        for group in info[kind]
        for name in group["python-modules"]
    ]
    moved = [transfer["python-module"] for transfer in info["transfers"]]
    return ["intacct_provider", *listed, *moved, "intacct_provider.client"]


def run_child(source: str, before: str = "") -> float:
    """Return the milliseconds of some code in a new process."""
    with tempfile.TemporaryDirectory(prefix="intacct-bench-") as home:
        file = Path(home) / "dag_file.py"
        file.write_text(source)
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
        environment |= {"AIRFLOW_HOME": home, "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
        done = subprocess.run(
            [sys.executable, "-c", _CHILD.format(before=before), str(file)],
            env=environment,
            capture_output=True,
            text=True,
        )
    if done.returncode:
        sys.exit(done.stderr)
    return float(done.stdout.split()[-1])


def summarize(times: dict[str, list[float]]) -> list[dict[str, Any]]:
    """Print and return medians, minimums and maximums."""
    facts = []
    for name, values in times.items():
        fact = {"name": name, "ms": round(statistics.median(values), 1)}
        fact |= {"min": round(min(values), 1), "max": round(max(values), 1)}
        print(
            f"  {name:60} {fact['ms']:7.1f} ms   min {fact['min']:7.1f}   max {fact['max']:7.1f}", flush=True
        )
        facts.append(fact)
    return facts
