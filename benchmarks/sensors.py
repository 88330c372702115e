"""Let 1,000 deferred sensors of one connection wait in a real triggerer, and check what they take.

    python benchmarks/sensors.py            # 1,000 that poll every 60 s, for 3 minutes
    python benchmarks/sensors.py --smoke    # 300 that poll every 5 s, for CI

The tasks are put into Airflow's database as deferred, as a worker would leave them. Fails if Airflow warns of a blocked
event loop, or if requests in flight, connections or tokens are more than they may be.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import psutil
from measuring import FastServer, check
from ours import connection

IN_FLIGHT = 4
NEVER = "never"
#: What Airflow logs when something holds up the event loop, with the seconds.
WARNING = re.compile(r"async thread was blocked for ([0-9.]+) seconds")


def main() -> None:
    """Measure, print and check."""
    parser = argparse.ArgumentParser()
    parser.add_argument(
        "--smoke", action="store_true", help="fewer sensors that poll more often, for half a minute"
    )
    arguments = parser.parse_args()
    if arguments.smoke:
        measure(sensors=300, interval=5, seconds=25)
        return
    fact = measure(sensors=1000, interval=60, seconds=200)
    # Only here, by hand on a quiet machine, does time decide.
    check(fact["polls_a_second"] > fact["expected"] / 2, "the sensors poll too seldom")
    check(fact["blocked_event_loop_for"] == NEVER, "the event loop was blocked")


def measure(sensors: int, interval: int, seconds: int) -> dict[str, Any]:
    """Let one sensor wait, then the others, too; return what was measured."""
    print(f"{sensors:,} deferred sensors that poll every {interval} s", flush=True)
    with tempfile.TemporaryDirectory(prefix="intacct-bench-") as home, FastServer() as server:
        environment = make_environment(Path(home), server.site)
        run([sys.executable, "-m", "airflow", "db", "migrate"], environment)
        add(environment, first=0, count=1, interval=interval)
        server.change(rows=1000)
        with triggerer(Path(home), environment) as supervisor, Watchdog() as watchdog:
            wait_for(lambda: server.stats()["queries"] > 0, 120)
            process = find_runner(supervisor)
            one = resident_megabytes(process)
            add(environment, first=1, count=sensors - 1, interval=interval)
            wait_for(lambda: server.stats()["queries"] > sensors, 300)
            before, most = server.stats(), 0
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                most = max(most, count_connections(process, server.site))
                time.sleep(0.5)
            stats, all_of_them = server.stats(), resident_megabytes(process)
            warnings = WARNING.findall((Path(home) / "triggerer.log").read_text(errors="replace"))
    fact = {
        "polls_a_second": round((stats["queries"] - before["queries"]) / seconds, 1),
        "expected": round(sensors / (interval * 1.05), 1),
        "most_in_flight": stats["most_in_flight"],
        "most_connections": most,
        "tokens": stats["tokens"],
        "refused": stats["refused"],
        "blocked_event_loop_for": ", ".join(warnings) or NEVER,
        "an_idle_process_was_late": watchdog.late,
        "mb_with_one": round(one, 1),
        "mb_with_all": round(all_of_them, 1),
        "kb_for_each": round((all_of_them - one) * 1024 / (sensors - 1), 1),
    }
    for name, value in fact.items():
        print(f"  {name:30} {value}", flush=True)
    check(stats["most_in_flight"] <= IN_FLIGHT, f"more than {IN_FLIGHT} requests were in flight")
    check(most <= IN_FLIGHT, f"there were more than {IN_FLIGHT} connections")
    check(stats["tokens"] <= 2, "more than 2 tokens were asked for")
    return fact


class Watchdog:
    """Does nothing but look at the clock, as Airflow's watchdog does in the triggerer.

    :ivar late: how often it could do so only after the time from which Airflow warns.
    """

    def __enter__(self) -> Self:
        self.late = 0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def _watch(self) -> None:
        looked = time.monotonic()
        while not self._stopped.wait(0.1):
            self.late += time.monotonic() - looked > 0.2
            looked = time.monotonic()


def make_environment(home: Path, site: str) -> dict[str, str]:
    """Return the environment of an Airflow with a home of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    return kept | {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db?timeout=60",
        "AIRFLOW__TRIGGERER__CAPACITY": "2000",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "AIRFLOW_CONN_INTACCT_DEFAULT": connection(site, 4000, IN_FLIGHT),
        "PYTHONWARNINGS": "ignore",
    }


def add(environment: dict[str, str], **which: Any) -> None:
    """Add deferred tasks, in a process with that Airflow."""
    run([sys.executable, str(Path(__file__).with_name("deferring.py")), json.dumps(which)], environment)


def run(command: list[str], environment: dict[str, str]) -> None:
    """Run a command, and show what it says only if it fails."""
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    check(done.returncode == 0, f"{command[1:3]} failed\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")


@contextmanager
def triggerer(home: Path, environment: dict[str, str]) -> Iterator[psutil.Process]:
    """Run a triggerer, and give its process, whose child runs the triggers."""
    with (home / "triggerer.log").open("wb") as log:
        supervisor = subprocess.Popen(
            [sys.executable, "-m", "airflow", "triggerer", "--skip-serve-logs"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
        )
    parent = psutil.Process(supervisor.pid)
    try:
        yield parent
    finally:
        for process in (*parent.children(recursive=True), parent):
            process.kill()
        supervisor.wait()


def find_runner(supervisor: psutil.Process) -> psutil.Process:
    """Return the process that runs the triggers, which lives as long as the triggerer."""
    children = supervisor.children()
    check(bool(children), "the triggerer does not run")
    return min(children, key=lambda one: one.create_time())


def wait_for(happened: Any, seconds: float) -> None:
    """Wait until something has happened."""
    end = time.monotonic() + seconds
    while not happened():
        check(time.monotonic() < end, f"something did not happen within {seconds} s")
        time.sleep(0.2)


def resident_megabytes(process: psutil.Process) -> float:
    """Return how much memory a process has."""
    return float(process.memory_info().rss) / 2**20


def count_connections(process: psutil.Process, site: str) -> int:
    """Return how many connections to the server are open."""
    port = int(site.rpartition(":")[2])
    return sum(
        bool(one.raddr) and one.raddr.port == port and one.status == psutil.CONN_ESTABLISHED
        for one in process.net_connections("tcp")
    )


if __name__ == "__main__":
    main()
