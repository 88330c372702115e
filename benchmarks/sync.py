"""Measure what a plan adds to its reads: time and memory, for 10,000 desired and 10,000 live records.

    python benchmarks/sync.py            # 10,000 customer groups, about a minute
    python benchmarks/sync.py --smoke    # 2,000, for CI: checks that it is correct and in proportion

Each round reads and decodes the same pages twice: once only that, once to make a plan. A plan may take three times as
long, and 150 MB more than the process had before. Each is measured in its own process, apart from the sandbox. A plan
that is wrong, too slow or too large ends with exit code 1.
"""

from __future__ import annotations

import argparse
import gc
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from measuring import check, machine, sandbox, spread

from intacct_provider.client import IntacctClient, IntacctConfig
from intacct_provider.sandbox.identity import Identity
from intacct_provider.sync.desired.sources import Layout, read_desired_records
from intacct_provider.sync.desired.typed_records import convert_records
from intacct_provider.sync.plan import Plan
from intacct_provider.sync.planning.live import read_live
from intacct_provider.sync.planning.planner import plan_changes
from intacct_provider.sync.request import SyncRequest

CUSTOMER = "accounts-receivable/customer"
GROUP = "accounts-receivable/customer-group"
FIELDS = ("key", "description", "groupType", "id", "isDimensionStructure", "name")
MEMBERS = 10
REQUEST = SyncRequest(GROUP, mode="upsert", match_on="id")
MOST_TIMES = 3.0
MOST_MEGABYTES = 150.0


def main() -> None:
    """Measure everything and print it."""
    parser = argparse.ArgumentParser(description="Measure plans.")
    parser.add_argument("--smoke", action="store_true", help="a fifth of the records, a few rounds")
    parser.add_argument("--measure", choices=MEASURES, help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    records, rounds = (2_000, 10) if arguments.smoke else (10_000, 20)
    if arguments.measure:
        print(json.dumps(MEASURES[arguments.measure](arguments.port, records, rounds)))
        return
    print(machine())
    with sandbox("--seed", f"{CUSTOMER}={MEMBERS},{GROUP}={records}") as (port, _):
        options = [*(["--smoke"] if arguments.smoke else []), "--port", str(port)]
        times = measure_in_process("time", options)
        print(
            f"{records:,} customer groups x {len(FIELDS)} fields, 1 in 100 of them different, {rounds} rounds"
        )
        for what in ("read", "plan"):
            print(f"  to {what} them   {spread(times[what])}")
        ratio = statistics.median(times["plan"]) / statistics.median(times["read"])
        print(f"  a plan takes {ratio:.2f} times the reading; at most {MOST_TIMES:.0f}")
        # The small run catches tenfold regressions, even on a busy machine.
        check(
            ratio <= MOST_TIMES * (10 if arguments.smoke else 1),
            f"a plan takes {ratio:.2f} times the reading",
        )
        print(f"  reading and typing the desired records takes {1000 * times['typed'][0]:.0f} ms besides")
        for what, title in (("flat", "of flat fields"), ("members", f"with {MEMBERS} members each")):
            if what == "members":
                measure_in_process("write", options)
            size = measure_in_process(what, options)["megabytes"]
            print(
                f"  memory for a plan {title}: {size:.0f} MB above the process's own; at most {MOST_MEGABYTES:.0f}"
            )
            check(size <= MOST_MEGABYTES, f"a plan {title} takes {size:.0f} MB")


def measure_times(port: int, records: int, rounds: int) -> dict[str, list[float]]:
    """Return the seconds of each round for reading and for planning, and of typing the desired records."""
    times: dict[str, list[float]] = {"read": [], "plan": []}
    with client_of(port) as client:
        desired = groups(records)
        model = client.model(GROUP)
        for number in range(-2, rounds):  # two rounds to warm up
            read = measure_time(lambda: sum(1 for _ in client.iter_rows(GROUP, FIELDS)))
            plan = measure_time(lambda: read_and_plan(client, desired, model))
            check(read[1] == records, f"{read[1]} rows instead of {records}")
            check_plan(plan[1], records)
            if number >= 0:
                times["read"].append(read[0])
                times["plan"].append(plan[0])
        given = measure_time(
            lambda: convert_records(
                read_desired_records(desired, Layout(match_on="id"), source="desired"), model, match_on="id"
            )
        )
        times["typed"] = [given[0]]
    return times


def flat_size(port: int, records: int, _rounds: int) -> dict[str, float]:
    """Return the megabytes of a plan with flat fields."""
    return measure_size(port, lambda: groups(records), records)


def members_size(port: int, records: int, _rounds: int) -> dict[str, float]:
    """Return the megabytes of a plan whose records have members."""
    return measure_size(port, lambda: groups(records, members()), records)


def give_members(port: int, records: int, _rounds: int) -> dict[str, float]:
    """Write the members of every group, in a separate process, so that the writes are not measured."""
    with client_of(port) as client:
        keys = [row["key"] for row in client.iter_rows(GROUP, ["key"])]
        results = client.update_many(GROUP, [{"key": key, "groupMembers": members()} for key in keys])
    check(len(results) == records and all(result.ok for result in results), "members are refused")
    return {}


def members() -> list[dict[str, Any]]:
    """Return the members of a group, as a new list."""
    return [{"id": f"C-{n:05}"} for n in range(1, MEMBERS + 1)]


def measure_size(port: int, desired: Callable[[], list[dict[str, Any]]], records: int) -> dict[str, float]:
    """Return the growth of the process in megabytes for desired and live records, the plan and its file."""
    with client_of(port) as client:
        model = client.model(GROUP)
        list(client.iter_rows(GROUP, ["key"], filters={"$eq": {"key": "1"}}))
        gc.collect()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        wanted = read_desired_records(desired(), Layout(match_on="id"), source="desired").records
        plan = read_and_plan(client, wanted, model)
        plan.to_json()
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        check_plan(plan, records)
    return {"megabytes": (after - before) / 1024}


MEASURES: dict[str, Callable[[int, int, int], Any]] = {
    "time": measure_times,
    "flat": flat_size,
    "members": members_size,
    "write": give_members,
}


def groups(records: int, listed: list[dict[str, Any]] | None = None) -> list[dict[str, Any]]:
    """Return the seeded groups, one in a hundred with a different description."""
    return [
        {
            "id": f"GROUP-{n:05}",
            "name": f"Customer group {n}",
            "description": "changed" if n % 100 == 0 else seeded_description(n),
            "groupType": "all",
            "isDimensionStructure": n % 4 == 0,
            **({} if listed is None else {"groupMembers": [dict(one) for one in listed]}),
        }
        for n in range(1, records + 1)
    ]


def seeded_description(number: int) -> str | None:
    """Return the description of a seeded group."""
    return None if number % 3 == 0 else f"Made for a test of volume, number {number}"


def read_and_plan(client: IntacctClient, desired: Any, model: Any) -> Plan:
    """Read the live records and return the plan."""
    live = read_live(client, desired, model, REQUEST)
    return plan_changes(desired, live, model, REQUEST)


def check_plan(plan: Plan, records: int) -> None:
    """Check that the plan changes exactly the records that differ."""
    changed = [f"GROUP-{n:05}" for n in range(100, records + 1, 100)]
    check([step.match for step in plan.steps] == changed, f"a plan of {len(plan.steps)} steps")
    check(all(len(step.changes) == 1 for step in plan.steps), "a plan that changes other fields")
    check(plan.unchanged == records - len(changed), f"{plan.unchanged} unchanged")


def measure_time(work: Callable[[], Any]) -> tuple[float, Any]:
    """Return the duration of some work, and its result."""
    gc.collect()
    begun = time.perf_counter()
    result = work()
    return time.perf_counter() - begun, result


def measure_in_process(what: str, options: list[str]) -> Any:
    """Run a measurement in a separate process."""
    command = [sys.executable, __file__, "--measure", what, *options]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    check(done.returncode == 0, f"measuring {what} failed")
    return json.loads(done.stdout)


def client_of(port: int) -> IntacctClient:
    """Return a client of the sandbox at a port."""
    identity = Identity()
    return IntacctClient(
        IntacctConfig(
            client_id=identity.client_id,
            client_secret=identity.client_secret,
            company_id=identity.company,
            user_id=identity.user,
            base_url=f"http://127.0.0.1:{port}/ia/api/v1",
        )
    )


if __name__ == "__main__":
    main()
