"""Exports of accounts: time, memory, calls, and whether all rows are exported."""

from __future__ import annotations

import shutil
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from measuring import FastServer, check
from racing import COUNTS, Racer, race, waiting_racers, warm
from served import key_of
from truth import is_right, judge

BEST = (
    "operator", "operator-parquet", "client", "sdk-best", "dlt-best", "dlt-jsonl-best", "dlt-parquet-best",
    "http-best", "loop-best", "loop-orjson", "ceiling",
)  # fmt: skip
USUAL = ("sdk", "dlt", "dlt-jsonl", "dlt-parquet", "http", "loop")
LATENCY = {"latency": 0.2, "row_cost": 50e-6}
SLOW_ONES = ("dlt-jsonl-best", "dlt-parquet-best", "dlt-best", "http-best", "client")


def plain(server: FastServer, *, rounds: int) -> dict[str, list[dict[str, Any]]]:
    """Export without faults."""
    results = {}
    print("\n50,000 rows, 0 ms")
    results["export_50k_0ms"] = race(
        server, BEST + USUAL, rows=50_000, rounds=rounds, once=("dlt-jsonl", "dlt-parquet")
    )
    print("\n50,000 rows, 200 ms + 50 us a row")
    results["export_50k_200ms"] = race(
        server, BEST + USUAL, rows=50_000, rounds=min(rounds, 2), once=USUAL, **LATENCY
    )
    for slots, peers in ((6, ("sdk-best", "loop-best")), (15, ())):
        print(f"\n1,000,000 rows, 200 ms + 50 us a row, {slots} slots")
        results[f"export_1m_200ms_{slots}"] = race(
            server,
            ("operator", "operator-parquet", "ceiling", *peers),
            rows=1_000_000,
            rounds=min(rounds, 2),
            fresh=True,
            once=peers,
            concurrency=slots,
            **LATENCY,
        )
    print("\n1,000,000 rows, 0 ms")
    results["export_1m_0ms"] = race(
        server, BEST, rows=1_000_000, rounds=min(rounds, 2), fresh=True, once=SLOW_ONES
    )
    return results


FAULTY = ("operator", "client", "sdk-best", "dlt-best", "dlt-jsonl-best", "http-best", "loop-best")
GONE = tuple(key_of(number) for number in range(100, 105))
#: With pages of 500 an export has a hundred calls; each fault applies to the call with its number.
SCENARIOS: dict[str, dict[str, Any]] = {
    "1 % rejected with 429, 1 % truncated": {"refuse": (30, 131), "cut": (70,)},
    "token expires mid-export": {"expire": (50,)},
    "5 rows deleted mid-export": {"delete": (20,), "delete_keys": GONE},
    "all faults combined": {
        "refuse": (30, 131),
        "cut": (70,),
        "expire": (50,),
        "delete": (20,),
        "delete_keys": GONE,
    },
}


def faults(server: FastServer) -> dict[str, list[dict[str, Any]]]:
    """Export 50,000 rows in pages of 500 while faults occur."""
    results = {}
    with waiting_racers() as ready:
        for title, planned in SCENARIOS.items():
            print(f"\n50,000 rows in pages of 500: {title}")
            results[f"faults: {title}"] = race(
                server,
                FAULTY,
                rows=50_000,
                rounds=1,
                deleted=planned.get("delete_keys", ()),
                options={"page_size": 500},
                ready=ready,
                **planned,
            )
    return results


def mapped(server: FastServer, rows: int = 600_000) -> list[dict[str, Any]]:
    """Export ranges of keys in 1, 2 and 4 parallel processes, each with four requests in flight."""
    print(f"\n{rows:,} rows, 200 ms + 50 us a row, by ranges of keys")
    facts: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="intacct-bench-") as place, ExitStack() as stack:
        racers = [stack.enter_context(Racer("mapped", server.site)) for _ in range(4)]
        for racer in racers:
            warm(server, racer, Path(place))
        for processes in (1, 2, 4):
            folder = Path(place) / f"out-{processes}"
            # Four requests in flight per process stay below the server's limit.
            server.change(rows=rows, concurrency=6 * processes, **LATENCY)
            begun = time.perf_counter()
            plan = check_run(racers[0].run(folder, ranges=processes))["result"]
            planned = time.perf_counter()
            for racer, key_range in zip(racers, plan, strict=False):
                racer.begin(folder, key_range=key_range)
            runs = [check_run(racer.end()) for racer in racers[: len(plan)]]
            exported = time.perf_counter()
            check_run(racers[0].run(folder, exports=[run["result"] for run in runs]))
            whole, stats, verdict = time.perf_counter() - begun, server.stats(), judge(folder, rows)
            shutil.rmtree(folder)
            check(is_right(verdict), f"{processes} processes: {verdict}")
            seconds = exported - planned
            fact = {
                "processes": processes,
                "seconds": round(seconds, 2),
                "with_plan_and_commit": round(whole, 2),
                "times_one": round(facts[0]["seconds"] / seconds, 2) if facts else 1.0,
                "rows_per_second": round(rows / seconds),
                "peak_mb": round(max(run["peak_mb"] for run in runs), 1),
                "cpu_seconds": round(sum(run["cpu_seconds"] for run in runs), 2),
                **{name: stats[name] for name in COUNTS},
                "server_cpu_share": round(stats["cpu_seconds"] / whole, 3),
                "right": True,
            }
            print(f"  {fact}", flush=True)
            facts.append(fact)
    return facts


def check_run(run: dict[str, Any]) -> dict[str, Any]:
    """Return a successful run; exit if it failed."""
    check(run["error"] is None, str(run["error"]))
    return run
