"""Export 800,000 rows by 8 ranges on 1, 2 and 4 Celery workers, and check what more workers gain.

    python benchmarks/workers.py

Each worker runs one task at a time, which has one call in flight; the company allows six. The server waits 200 ms and
50 us a row. The time begins when the first range does and ends when the last one has ended: neither the start of the
DAG nor its commit counts.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from measuring import FastServer, check, machine
from ours import connection

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "support"))
from deployments import CELERY, Deployment, deployed, worker_command
from deployments_table import write_section

DAGS = Path(__file__).with_name("dags")
ROWS = 800_000
#: Workers, and how many times as many rows a second as one worker they must export at least.
LEAST = {1: 1.0, 2: 1.8, 4: 3.2}


def main() -> None:
    """Measure, print and check."""
    print(machine(), flush=True)
    speeds: dict[int, float] = {}
    with (
        tempfile.TemporaryDirectory(prefix="intacct-bench-") as name,
        FastServer() as server,
        ExitStack() as more,
    ):
        home = Path(name, "home")
        home.mkdir()
        server.change(rows=ROWS, latency=0.2, row_cost=50e-6)
        env = {"AIRFLOW_CONN_INTACCT_DEFAULT": connection(server.site, 4000, 1)}
        airflow: Deployment = more.enter_context(deployed(CELERY, home, DAGS, workers=0, env=env))
        airflow.pause("ranges", paused=False)
        for workers in LEAST:
            for number in range(len(airflow.workers), workers):
                part = airflow.part(worker_command(home, number + 1, slots=1))
                airflow.workers.append(more.enter_context(part))
            airflow.until("the workers are there", lambda n=workers: count_ready(airflow) == n)
            server.change(rows=ROWS, latency=0.2, row_cost=50e-6)
            seconds = export(airflow, Path(name, f"exports-{workers}"))
            speeds[workers] = ROWS / seconds
            print(f"{workers} workers: {seconds:6.1f} s, {speeds[workers]:8,.0f} rows/s, "
                  f"{speeds[workers] / speeds[1]:.2f} times one worker, "
                  f"{server.stats()['most_in_flight']} calls in flight", flush=True)  # fmt: skip
    write_section("workers", render(speeds))
    for workers, least in LEAST.items():
        ratio = speeds[workers] / speeds[1]
        check(ratio >= least, f"{workers} workers export {ratio:.2f} times what one does, not {least}")


def render(speeds: Mapping[int, float]) -> str:
    """Return the table for docs/deploying.md."""
    rows = [f"| {n} | {speed:,.0f} | {speed / speeds[1]:.2f} |" for n, speed in speeds.items()]
    head = ["| workers | rows/s | times one worker |", "| ---: | ---: | ---: |"]
    return "\n".join([*head, *rows, "", f"Measured on {datetime.now(UTC).date().isoformat()}: {machine()}."])


def export(airflow: Deployment, folder: Path) -> float:
    """Run the DAG; return the seconds from the start of the first range to the end of the last one."""
    run = airflow.run("ranges", folder=str(folder))
    tasks = [task for task in run.succeed() if task["task_id"] == "export"]
    manifest = json.loads((folder / "accounts.jsonl.manifest.json").read_bytes())
    check(manifest["rows"] == ROWS, f"{manifest['rows']} rows were exported")
    begun = min(datetime.fromisoformat(task["start_date"]) for task in tasks)
    return (max(datetime.fromisoformat(task["end_date"]) for task in tasks) - begun).total_seconds()


def count_ready(airflow: Deployment) -> int:
    """Return how many Celery workers take tasks."""
    logs = airflow.logs.glob("celery-*/celery.log")
    return sum(" ready." in log.read_text(errors="replace") for log in logs)


if __name__ == "__main__":
    main()
