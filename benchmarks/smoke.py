"""The benchmarks in small, for CI: all is right, takes no more calls than it took, and is not ten times slower.

    python benchmarks/smoke.py

Only counts and ratios within this run decide, the ratios with wide margins; no number of seconds does.
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
from racing import race, waiting_racers

Race = Callable[..., list[dict[str, Any]]]
ROWS = 50_000
#: Pages, token, model, and the count that proves the rows complete.
EXPORT_CALLS = 13 + 3
#: Of a file that one page fills there is nothing to count.
SMALL_CALLS = 1 + 2


def main() -> None:
    """Measure the little and judge."""
    check_server.main()
    with FastServer() as server, waiting_racers() as ready:
        again = partial(race, server, ready=ready)
        peak = speed(again)
        waiting(again)
        memory(again, peak)
        faults(again)
    writing()
    parsing()
    print("\nAll in order.")


def speed(race: Race) -> float:
    """Without waiting: nothing is to be done for each row that was not done before. Return the peak of memory."""
    print(f"\n{ROWS:,} rows, 0 ms")
    facts = by_name(race(("operator", "operator-parquet", "loop-best"), rows=ROWS, rounds=3))
    for name in ("operator", "operator-parquet"):
        at_most(f"API calls of the {name}", facts[name]["calls"], EXPORT_CALLS)
    # It takes half of the loop's time when nothing else runs, and Parquet one and a half of JSONL's.
    at_most("the operator, of the loop's time", facts["operator"]["least"] / facts["loop-best"]["least"], 3)
    at_most("Parquet, of JSONL's time", facts["operator-parquet"]["least"] / facts["operator"]["least"], 10)
    print("\n1,000 rows, 0 ms")
    small = by_name(race(("operator",), rows=1000, rounds=1))
    at_most("API calls of a small export", small["operator"]["calls"], SMALL_CALLS)
    return float(facts["operator"]["peak_mb"])


def waiting(race: Race) -> None:
    """With waiting: pages come beside each other."""
    print(f"\n{ROWS:,} rows, 200 ms")
    facts = by_name(race(("operator", "ceiling"), rows=ROWS, rounds=1, latency=0.2))
    at_most("API calls", facts["operator"]["calls"], EXPORT_CALLS)
    at_most("the operator, of the ceiling's time", facts["operator"]["least"] / facts["ceiling"]["least"], 3)
    check(facts["operator"]["most_in_flight"] == 4, "the export does not use the four requests it may")


def memory(race: Race, few: float) -> None:
    """Four times the rows take the same memory."""
    print("\n200,000 rows, 0 ms")
    many = by_name(race(("operator",), rows=4 * ROWS, rounds=1))["operator"]["peak_mb"]
    at_most("MB for 150,000 more rows", many - few, 50)


def faults(race: Race) -> None:
    """Every row is there whatever happens, and a fault costs a call or two."""
    planned: dict[str, Any] = {"cut": (30,), "expire": (50,), "delete": (20,), "delete_keys": GONE}
    print(f"\n{ROWS:,} rows in pages of 500, with a cut answer, a dead token and deletions")
    options = {"page_size": 500}
    facts = by_name(race(("operator",), rows=ROWS, rounds=1, deleted=GONE, options=options, **planned))
    # 101 pages that overlap, and for each request in flight one that the dead token lost.
    at_most("API calls", facts["operator"]["calls"], 125)


def writing() -> None:
    """Batches, and only what differs."""
    created = by_name(writes.creation(("create", "create-client"), records=1000, latency=0.0))
    at_most("API calls to create 1,000 customers", created["create"]["calls"], 5)
    at_most("the same without looking", created["create-client"]["calls"], 3)
    synced = by_name(writes.sync(("sync",), records=1000, latency=0.0))
    at_most("API calls of a sync of 1,000 groups", synced["sync"]["calls"], 4)
    at_most("transactions of it, of which 10 are changes", synced["sync"]["billed"], 12)


def parsing() -> None:
    """A DAG file is read without loading the world."""
    facts = {one["name"]: one["min"] for one in starting.parsing(2)}
    empty, ours = facts.values()
    at_most("five operators, of the time of five EmptyOperators", ours / empty, 40)


def by_name(facts: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the facts by contestant; every output has to be right."""
    for one in facts:
        check(one["right"], f"{one['contestant']}: {one.get('wrong')}")
    return {one["contestant"]: one | {"least": one.get("min", one["seconds"])} for one in facts}


def at_most(what: str, found: float, limit: float) -> None:
    """Tell a number, and end if it is too high."""
    print(f"  {what}: {found:.3g}, at most {limit:.3g}", flush=True)
    if found > limit:
        sys.exit(f"Wrong: {what}: {found:.3g} is more than {limit:.3g}.")


if __name__ == "__main__":
    main()
