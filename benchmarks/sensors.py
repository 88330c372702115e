"""Let 1,000 deferred sensors of one connection wait in a real triggerer, and check what they take.

    python benchmarks/sensors.py            # 1,000 that poll every 60 s, for 3 minutes
    python benchmarks/sensors.py --smoke    # 300 that poll every 5 s, for CI

The tasks are put into Airflow's database as deferred, as a worker would leave them. Fails if requests in flight,
connections or tokens are more than they may be, or if something of ours blocks the event loop.

Airflow warns of what blocks it for 0.1 s. A garbage collection of all objects of the process can take longer, since
Airflow alone has 270,000. So the same number of tasks first waits with Airflow's own DateTimeTrigger, which only
sleeps, and the facts show for both how often Airflow warned, how often Python collected, and what that takes.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
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

HERE = Path(__file__).parent
IN_FLIGHT = 4
NEVER = "never"
#: The tasks of ``deferring.py``.
POLLS, SLEEPS = "wait", "wait_for_ever"
LOG, COLLECTIONS = "triggerer.log", "collections.jsonl"
#: Seconds of a collection that make Airflow warn. It counts the 0.1 s for which its watchdog sleeps.
LONG = 0.09
#: Times the objects with Airflow's own trigger that there may be with ours.
MOST_OBJECTS = 1.15
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
        measure_sleep(tasks=50, seconds=2)
        measure(sensors=300, interval=5, seconds=25)
        return
    peer = measure_sleep(tasks=1000, seconds=200)
    fact = measure(sensors=1000, interval=60, seconds=200)
    # Only here, by hand on a quiet machine, does time decide.
    check(fact["polls_a_second"] > fact["expected"] / 2, "the sensors poll too seldom")
    check(
        fact["warnings"] <= fact["long_collections"],
        "the event loop was blocked by more than Python's garbage collection",
    )
    times = fact["objects"] / peer["objects"]
    check(times <= MOST_OBJECTS, f"there are {times:.2f} times the objects that there are with Airflow's own")


def measure_sleep(tasks: int, seconds: int) -> dict[str, Any]:
    """Let tasks wait with Airflow's own trigger; return what was measured."""
    print(f"{tasks:,} deferred tasks with Airflow's own trigger", flush=True)
    with tempfile.TemporaryDirectory(prefix="intacct-bench-") as home:
        environment = make_environment(Path(home), "http://127.0.0.1:9")
        run([sys.executable, "-m", "airflow", "db", "migrate"], environment)
        add(environment, first=0, count=1, interval=60, task_id=SLEEPS)
        with triggerer(Path(home), environment) as supervisor, Watchdog() as watchdog:
            wait_for(lambda: count_logs(Path(home)) > 0, 120)
            process = find_runner(supervisor)
            one = resident_megabytes(process)
            add(environment, first=1, count=tasks - 1, interval=60, task_id=SLEEPS)
            wait_for(lambda: count_logs(Path(home)) >= tasks, 300)
            time.sleep(seconds)
            all_of_them = resident_megabytes(process)
            loop = look_at_loop(Path(home), process)
    return report(loop | weigh(one, all_of_them, tasks, watchdog))


def measure(sensors: int, interval: int, seconds: int) -> dict[str, Any]:
    """Let one sensor wait, then the others, too; return what was measured."""
    print(f"{sensors:,} deferred sensors that poll every {interval} s", flush=True)
    with tempfile.TemporaryDirectory(prefix="intacct-bench-") as home, FastServer() as server:
        environment = make_environment(Path(home), server.site)
        run([sys.executable, "-m", "airflow", "db", "migrate"], environment)
        add(environment, first=0, count=1, interval=interval, task_id=POLLS)
        server.change(rows=1000)
        with triggerer(Path(home), environment) as supervisor, Watchdog() as watchdog:
            wait_for(lambda: server.stats()["queries"] > 0, 120)
            process = find_runner(supervisor)
            one = resident_megabytes(process)
            add(environment, first=1, count=sensors - 1, interval=interval, task_id=POLLS)
            wait_for(lambda: server.stats()["queries"] > sensors, 300)
            before, most = server.stats(), 0
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                most = max(most, count_connections(process, server.site))
                time.sleep(0.5)
            stats, all_of_them = server.stats(), resident_megabytes(process)
            loop = look_at_loop(Path(home), process)
    fact = {
        "polls_a_second": round((stats["queries"] - before["queries"]) / seconds, 1),
        "expected": round(sensors / (interval * 1.05), 1),
        "most_in_flight": stats["most_in_flight"],
        "most_connections": most,
        "tokens": stats["tokens"],
        "refused": stats["refused"],
    }
    report(fact := fact | loop | weigh(one, all_of_them, sensors, watchdog))
    check(stats["most_in_flight"] <= IN_FLIGHT, f"more than {IN_FLIGHT} requests were in flight")
    check(most <= IN_FLIGHT, f"there were more than {IN_FLIGHT} connections")
    check(stats["tokens"] <= 2, "more than 2 tokens were asked for")
    return fact


def look_at_loop(home: Path, process: psutil.Process) -> dict[str, Any]:
    """Return how often the event loop was blocked, and what a collection takes, which is made now."""
    warnings = WARNING.findall((home / LOG).read_text(errors="replace"))
    collections = read_collections(home, process)
    process.send_signal(signal.SIGUSR1)
    wait_for(lambda: len(read_collections(home, process)) == len(collections) + 2, 60)
    counted, last = read_collections(home, process)[-2:]
    return {
        "warnings": len(warnings),
        "blocked_event_loop_for": ", ".join(warnings) or NEVER,
        "long_collections": sum(one["seconds"] >= LONG for one in collections),
        "collections_took": ", ".join(f"{one['seconds']:.2f}" for one in collections) or NEVER,
        "one_more_takes_cpu_seconds": round(last["cpu_seconds"], 3),
        "objects": counted["objects"],
    }


def read_collections(home: Path, process: psutil.Process) -> list[dict[str, Any]]:
    """Return what a process has written about the collections of all its objects."""
    file = home / COLLECTIONS
    lines = file.read_text().splitlines() if file.exists() else []
    return [one for one in map(json.loads, lines) if one["pid"] == process.pid]


def count_logs(home: Path) -> int:
    """Return how many triggers have begun: each has a log."""
    return sum(1 for _ in home.glob("logs/**/*.trigger.*"))


def weigh(one: float, all_of_them: float, tasks: int, watchdog: Watchdog) -> dict[str, Any]:
    """Return what the triggers weigh, and whether the machine was busy."""
    return {
        "an_idle_process_was_late": watchdog.late,
        "mb_with_one": round(one, 1),
        "mb_with_all": round(all_of_them, 1),
        "kb_for_each": round((all_of_them - one) * 1024 / (tasks - 1), 1),
    }


def report(fact: dict[str, Any]) -> dict[str, Any]:
    """Print facts, and return them."""
    for name, value in fact.items():
        print(f"  {name:30} {value}", flush=True)
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
    run([sys.executable, str(HERE / "deferring.py"), json.dumps(which)], environment)


def run(command: list[str], environment: dict[str, str]) -> None:
    """Run a command, and show what it says only if it fails."""
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    check(done.returncode == 0, f"{command[1:3]} failed\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")


@contextmanager
def triggerer(home: Path, environment: dict[str, str]) -> Iterator[psutil.Process]:
    """Run a triggerer, and give its process, whose child runs the triggers."""
    with (home / LOG).open("wb") as log:
        supervisor = subprocess.Popen(
            [sys.executable, str(HERE / "triggerer.py"), str(home / COLLECTIONS), "--skip-serve-logs"],
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
