"""Measure creating and updating records: ours in batches and limited to what differs, against one call per record.

The server is the sandbox, which supports writes; it runs in the measuring process. For a peer that would take a quarter
of an hour, fewer records are measured and the time is multiplied, since every record costs it the same call.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from common import CUSTOMER, GROUP, groups
from contestants import CONTESTANTS
from measuring import check
from racing import Racer

from intacct_provider.sandbox import Sandbox

RECORDS = 5000
GROUPS = 10_000
#: Measured records of a contestant that makes one call per record.
SAMPLE = 100
LATENCY = 0.2


def creation(
    names: Sequence[str] = ("create", "create-client", "create-sdk", "create-loop"),
    *,
    records: int = RECORDS,
    latency: float = LATENCY,
) -> list[dict[str, Any]]:
    """Create customers, each exactly once."""
    print(f"\nCreate {records:,} customers, {1000 * latency:g} ms")
    facts = []
    for name in names:
        some = records if CONTESTANTS[name].kind == "ours" else SAMPLE
        with Sandbox(faults={"latency": latency}) as sandbox:

            def right(sandbox: Sandbox = sandbox, some: int = some) -> bool:
                ids = [record["id"] for record in sandbox.records(CUSTOMER)]
                return sorted(ids) == [f"C-{n:05}" for n in range(1, some + 1)]

            facts.append(write_once(name, sandbox, records, right, records=some))
    return add_ratios(facts)


def sync(
    names: Sequence[str] = ("sync", "update-loop", "update-batches"),
    *,
    records: int = GROUPS,
    latency: float = LATENCY,
) -> list[dict[str, Any]]:
    """Sync groups of which one in a hundred differs."""
    print(f"\nSync {records:,} customer groups of which {records // 100} differ, {1000 * latency:g} ms")
    facts = []
    for name in names:
        some = SAMPLE if name == "update-loop" else records
        with Sandbox(seed=f"{CUSTOMER}=1,{GROUP}={records}", faults={"latency": latency}) as sandbox:

            def right(sandbox: Sandbox = sandbox, some: int = some) -> bool:
                live = {record["id"]: record["description"] for record in sandbox.records(GROUP)}
                return all(live[group["id"]] == group["description"] for group in groups(some))

            facts.append(write_once(name, sandbox, records, right, records=some))
    return add_ratios(facts)


def write_once(
    name: str, sandbox: Sandbox, wanted: int, right: Callable[[], bool], *, records: int
) -> dict[str, Any]:
    """Let a contestant write once, and return the measurements for all records."""
    site = sandbox.site.rstrip("/")
    with tempfile.TemporaryDirectory(prefix="intacct-bench-") as place, Racer(name, site) as racer:
        run = racer.run(Path(place), records=records)
    check(run["error"] is None and right(), f"{name} wrote something else: {run['error']}")
    times = wanted / records
    return {
        "contestant": name,
        "title": CONTESTANTS[name].title,
        "kind": CONTESTANTS[name].kind,
        "measured_on": records,
        "seconds": round(run["seconds"] * times, 2),
        "cpu_seconds": round(run["cpu_seconds"] * times, 2),
        "peak_mb": round(run["peak_mb"], 1),
        # The token and other constant costs count once.
        "calls": round((len(sandbox.requests) - 1) * times) + 1,
        "billed": round(sandbox.transactions * times),
        "connections": round(sandbox._state.connections * (times if name == "create-sdk" else 1)),
        "most_in_flight": sandbox._state.most_in_flight,
        "right": True,
    }


def add_ratios(facts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Print the facts, with ratios to the fastest peer's time and the cheapest peer's transactions."""
    for what in ("seconds", "billed"):
        peers = [one[what] for one in facts if one["kind"] == "peer"]
        for one in facts:
            one[f"{what}_of_best_peer"] = round(one[what] / min(peers), 4) if peers else None
    for one in facts:
        print(
            f"  {one['title']:44} {one['seconds']:8.2f} s {one['seconds_of_best_peer'] or 0:8.4f} "
            f"{one['calls']:6} calls {one['billed']:6} billed {one['billed_of_best_peer'] or 0:8.4f}  "
            f"measured on {one['measured_on']}",
            flush=True,
        )
    return facts
