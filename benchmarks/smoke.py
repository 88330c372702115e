"""Small benchmarks for CI: outputs are correct, take no more calls than before, and are not ten times slower.

    python benchmarks/smoke.py

Only counts and ratios within this run are checked, the ratios with wide margins; absolute times are not.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import check_server
import starting
import writes
from exports import GONE
from measuring import FastServer, check
from racing import SLOTS, race, waiting_racers

Race = Callable[..., list[dict[str, Any]]]
ROWS = 50_000
#: Pages, token, model, and the highest key.
EXPORT_CALLS = 13 + 3
#: A single page needs no other key.
SMALL_CALLS = 1 + 2


def main() -> None:
    """Measure and check."""
    check_server.main()
    with FastServer() as server, waiting_racers() as ready:
        again = partial(race, server, ready=ready)
        speed(again)
        waiting(again)
        memory(again)
        faults(again)
    writing()
    parsing()
    print("\nAll checks passed.")


def speed(race: Race) -> None:
    """Check the work per row, without latency."""
    print(f"\n{ROWS:,} rows, 0 ms")
    facts = by_name(race(("operator", "operator-parquet", "loop-best"), rows=ROWS, rounds=3))
    for name in ("operator", "operator-parquet"):
        at_most(f"API calls of the {name}", facts[name]["calls"], EXPORT_CALLS)
    # On a quiet machine it takes half of the loop's time, and Parquet 1.5 times the time of JSONL.
    at_most("the operator, of the loop's time", facts["operator"]["least"] / facts["loop-best"]["least"], 3)
    at_most("Parquet, of JSONL's time", facts["operator-parquet"]["least"] / facts["operator"]["least"], 10)
    print("\n1,000 rows, 0 ms")
    small = by_name(race(("operator",), rows=1000, rounds=1))
    at_most("API calls of a small export", small["operator"]["calls"], SMALL_CALLS)


def waiting(race: Race) -> None:
    """Check that pages are requested in parallel, with latency."""
    print(f"\n{ROWS:,} rows, 200 ms")
    facts = by_name(race(("operator", "ceiling"), rows=ROWS, rounds=1, latency=0.2))
    at_most("API calls", facts["operator"]["calls"], EXPORT_CALLS)
    at_most("the operator, of the ceiling's time", facts["operator"]["least"] / facts["ceiling"]["least"], 3)
    check(facts["operator"]["most_in_flight"] == SLOTS, "the export does not find the server's slots")
    check(facts["operator"]["refused"] == 0, "the export has more requests in flight than the server takes")


def memory(race: Race) -> None:
    """Check that four times the rows take the same memory, once as many pages wait as may."""
    print("\n200,000 and 800,000 rows, 0 ms")
    few, many = (
        by_name(race(("operator",), rows=rows, rounds=1))["operator"]["peak_mb"]
        for rows in (4 * ROWS, 16 * ROWS)
    )
    at_most("MB for 600,000 more rows", many - few, 50)


def faults(race: Race) -> None:
    """Check that no row is lost with faults, and that a fault costs a call or two."""
    planned: dict[str, Any] = {"cut": (30,), "expire": (50,), "delete": (20,), "delete_keys": GONE}
    print(f"\n{ROWS:,} rows in pages of 500, with a cut answer, an expired token and deletions")
    options = {"page_size": 500}
    facts = by_name(race(("operator",), rows=ROWS, rounds=1, deleted=GONE, options=options, **planned))
    # 101 overlapping pages, and a repeated call for each request in flight when the token expired.
    at_most("API calls", facts["operator"]["calls"], 125)


def writing() -> None:
    """Check that writes are batched, and limited to what differs."""
    created = by_name(writes.creation(("create", "create-client"), records=1000, latency=0.0))
    # What is not found is asked for once more, and what was written is read afterwards.
    at_most("API calls to create 1,000 customers", created["create"]["calls"], 7)
    at_most("the same without looking", created["create-client"]["calls"], 3)
    synced = by_name(writes.sync(("sync",), records=1000, latency=0.0))
    at_most("API calls of a sync of 1,000 groups", synced["sync"]["calls"], 5)
    at_most("transactions of it, of which 10 are changes", synced["sync"]["billed"], 13)


def parsing() -> None:
    """Check that parsing a DAG file does not load heavy modules."""
    facts = {one["name"]: one["min"] for one in starting.parsing(2)}
    empty, ours = facts.values()
    at_most("five operators, of the time of five EmptyOperators", ours / empty, 40)


def by_name(facts: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the facts by contestant; all outputs must be right."""
    for one in facts:
        check(one["right"], f"{one['contestant']}: {one.get('wrong')}")
    return {one["contestant"]: one | {"least": one.get("min", one["seconds"])} for one in facts}


def at_most(what: str, found: float, limit: float) -> None:
    """Print a number, and exit if it is too high."""
    print(f"  {what}: {found:.3g}, at most {limit:.3g}", flush=True)
    if found > limit:
        sys.exit(f"Wrong: {what}: {found:.3g} is more than {limit:.3g}.")


if __name__ == "__main__":
    main()
