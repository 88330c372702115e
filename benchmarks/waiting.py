"""Measure a thousand deferred sensors in one process, as in a triggerer.

``python benchmarks/waiting.py SITE`` is that process: it prints one line when all wait, one when all have fired.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from common import cpu_seconds, peak_megabytes
from measuring import FastServer, check
from ours import connection
from served import ACCOUNT

SENSORS = 1000
POLL = 5.0
WANTED = 2000


def sensors(server: FastServer) -> dict[str, Any]:
    """Start the sensors, add the records that they wait for, and measure until the last one has fired."""
    print(f"\n{SENSORS:,} deferred sensors that ask every {POLL:g} s")
    server.change(rows=WANTED - 1)
    with tempfile.TemporaryDirectory(prefix="intacct-bench-home-") as home:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
        environment |= {"AIRFLOW_HOME": home, "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
        with (
            (Path(home) / "log").open("w") as log,
            subprocess.Popen(
                [sys.executable, __file__, server.site],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=environment,
            ) as child,
        ):
            answers = child.stdout or ()
            before = json.loads(next(iter(answers)))
            time.sleep(3 * POLL)
            waiting = server.stats()
            server.change(rows=WANTED)
            begun = time.perf_counter()
            after = json.loads(next(iter(answers)))
            seconds, stats = time.perf_counter() - begun, server.stats()
    check(after["fired"] == SENSORS, f"only {after['fired']} sensors fired")
    fact = {
        "sensors": SENSORS,
        "poll_seconds": POLL,
        "seconds_until_all_fired": round(seconds, 2),
        "cpu_seconds": round(after["cpu_seconds"], 2),
        "peak_mb": round(after["peak_mb"], 1),
        "mb_for_each": round((after["peak_mb"] - before["peak_mb"]) / SENSORS, 3),
        "threads": after["threads"],
        "questions_a_second": round(waiting["queries"] / waiting["seconds"], 1),
        "connections": waiting["connections"],
        "tokens": waiting["tokens"],
        "most_in_flight": max(waiting["most_in_flight"], stats["most_in_flight"]),
        "refused": waiting["refused"] + stats["refused"],
    }
    print(f"  {fact}", flush=True)
    return fact


async def wait_all(site: str) -> None:
    """Run the triggers, in place of a triggerer."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    os.environ["AIRFLOW_CONN_INTACCT_DEFAULT"] = connection(site, 4000, 4)
    from intacct_provider.triggers.query import IntacctQueryTrigger

    condition = {
        "object_name": ACCOUNT,
        "filters": [],
        "filter_expression": "and",
        "filter_parameters": None,
        "bounds": {"at_least": str(WANTED)},
    }
    triggers = [
        IntacctQueryTrigger(
            intacct_conn_id="intacct_default", entity_id=None, condition=condition, poll_interval=POLL
        )
        for _ in range(SENSORS)
    ]
    print(json.dumps({"peak_mb": peak_megabytes()}), file=answers, flush=True)
    begun = cpu_seconds()

    async def fired(trigger: IntacctQueryTrigger) -> bool:
        async for event in trigger.run():
            return bool(event.payload["status"] == "success")
        return False

    events = await asyncio.gather(*map(fired, triggers))
    told = {"fired": sum(events), "cpu_seconds": cpu_seconds() - begun, "peak_mb": peak_megabytes()}
    print(json.dumps({**told, "threads": threading.active_count()}), file=answers, flush=True)


if __name__ == "__main__":
    asyncio.run(wait_all(sys.argv[1]))
