"""Measure the provider against the alternatives. Needs the environment of ``make bench``.

    python benchmarks/run.py                          # everything, about 25 minutes
    python benchmarks/run.py --only exports,faults    # some of it; other results of the same day are kept

Results are saved in ``benchmarks/results`` by date, and shown in docs/performance.md.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import exports
import report
import starting
import targets
import waiting
import writes
from measuring import FastServer, machine

PEERS = (
    "apache-airflow",
    "requests",
    "pyarrow",
    "sageintacctrestsdk",
    "dlt",
    "apache-airflow-providers-http",
    "orjson",
)


def main() -> None:
    """Measure, print and save."""
    parser = argparse.ArgumentParser(description="Measure the provider against its peers.")
    parser.add_argument("--only", default="", help=f"some of {', '.join(WORK)}")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each short export (default: 3)")
    arguments = parser.parse_args()
    chosen = [name for name in arguments.only.split(",") if name] or list(WORK)
    where = f"{machine()}, {', '.join(f'{name} {version(name)}' for name in PEERS)}"
    print(where)
    sections: dict[str, Any] = {}
    begun = time.monotonic()
    with FastServer() as server:
        for name in chosen:
            sections |= WORK[name](server, arguments.rounds)
            print(f"  [{name} done after {time.monotonic() - begun:.0f} s]", flush=True)
    date = dt.datetime.now(dt.UTC).date().isoformat()
    file = Path(__file__).with_name("results") / f"{date}.json"
    if chosen != list(WORK) and file.exists():
        sections = json.loads(file.read_text())["sections"] | sections
    busiest = max((fact.get("server_cpu_share", 0) for fact in all_facts(sections)), default=0)
    print(f"\nThe server's own share of a processor was {busiest:.0%} at most.")
    where = f"{where}. The server's own share of a processor was {busiest:.0%} at most."
    report.write({"date": date, "machine": where, "sections": sections}, file)
    print("\nTargets:")
    if not targets.compare(sections):
        sys.exit("A target is missed.")


def all_facts(sections: dict[str, Any]) -> list[dict[str, Any]]:
    """Return all facts of all sections."""
    return [fact for facts in sections.values() if isinstance(facts, list) for fact in facts]


WORK: dict[str, Callable[[FastServer, int], dict[str, Any]]] = {
    "exports": lambda server, rounds: exports.plain(server, rounds=rounds),
    "faults": lambda server, _: exports.faults(server),
    "mapped": lambda server, _: {"mapped": exports.mapped(server)},
    "creation": lambda *_: {"creation": writes.creation()},
    "sync": lambda *_: {"sync": writes.sync()},
    "starting": lambda _, rounds: {"parsing": starting.parsing(rounds), "imports": starting.imports(1)},
    "sensors": lambda server, _: {"sensors": waiting.sensors(server)},
}

if __name__ == "__main__":
    main()
