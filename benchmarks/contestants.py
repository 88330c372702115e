"""The contestants, each in its own process.

    python benchmarks/contestants.py NAME SITE    # then one JSON command a line on standard input

A command has ``folder`` (for the output) and options; the answer is one JSON line: seconds, CPU seconds, peak memory,
and the result of the work or its error. Modules are imported before the first command, so that imports are not
measured.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ours
import peers
from common import Work, cpu_seconds, peak_megabytes


@dataclass(frozen=True, slots=True)
class Contestant:
    """One way to do the work.

    :param title: its name in tables.
    :param make: imports what is needed and returns the work: a function of the output's folder and the options.
    :param options: the fixed options of this way.
    :param kind: ``ours``, ``peer`` or ``reference``.
    """

    title: str
    make: Callable[[str], Work]
    options: dict[str, Any]
    kind: str = "peer"


_BEST = {"page_size": 4000, "ordered": True}
_JSONL, _PARQUET = {"file_format": "jsonl"}, {"file_format": "parquet"}
CONTESTANTS = {
    "operator": Contestant("our operator, JSONL", ours.operator, {}, "ours"),
    "operator-parquet": Contestant("our operator, Parquet", ours.operator, _PARQUET, "ours"),
    "mapped": Contestant("our operators, by ranges of keys", ours.mapped, {}, "ours"),
    "client": Contestant("our client, `iter_rows`", ours.client, {}, "ours"),
    "sdk": Contestant("sageintacctrestsdk", peers.sdk, {}),
    "sdk-best": Contestant("sageintacctrestsdk, best", peers.sdk, _BEST),
    "dlt": Contestant("dlt rest_api, rows only", peers.dlt_extract, {}),
    "dlt-best": Contestant("dlt rest_api, rows only, best", peers.dlt_extract, _BEST),
    "dlt-jsonl": Contestant("dlt pipeline, JSONL", peers.dlt_pipeline, _JSONL),
    "dlt-jsonl-best": Contestant(
        "dlt pipeline, JSONL, best", peers.dlt_pipeline, {**_JSONL, **_BEST, "plain": True}
    ),
    "dlt-parquet": Contestant("dlt pipeline, Parquet", peers.dlt_pipeline, _PARQUET),
    "dlt-parquet-best": Contestant("dlt pipeline, Parquet, best", peers.dlt_pipeline, {**_PARQUET, **_BEST}),
    "http": Contestant("HttpOperator, pagination_function", peers.http_operator, {}),
    "http-best": Contestant("HttpOperator, best", peers.http_operator, {**_BEST, "patient": True}),
    "loop": Contestant("loop with requests", peers.by_hand, {}),
    "loop-best": Contestant("loop with requests, best", peers.by_hand, {**_BEST, "session": True}),
    "loop-orjson": Contestant(
        "the same tuned by hand with orjson",
        peers.by_hand,
        {**_BEST, "session": True, "orjson": True},
        "reference",
    ),
    "ceiling": Contestant("ceiling: pages in parallel, not decoded", peers.ceiling, {}, "reference"),
    "create": Contestant("our operator, creating what is missing", ours.creation, {}, "ours"),
    "create-client": Contestant("our client, batches of 500", ours.client_creation, {}, "ours"),
    "create-sdk": Contestant("sageintacctrestsdk, one by one", peers.sdk_writes, {}),
    "create-loop": Contestant("loop with requests, one by one", peers.hand_writes, {}),
    "sync": Contestant("our operator", ours.sync, {}, "ours"),
    "update-loop": Contestant("loop with requests, one by one", peers.hand_updates, {"batch": 1}),
    "update-batches": Contestant("loop with requests, 500 a call", peers.hand_updates, {"batch": 500}),
}


def main() -> None:
    """Carry out commands until the end of standard input."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # output of libraries must not mix with the answers
    name, site = sys.argv[1:3]
    contestant = CONTESTANTS[name]
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="intacct-bench-home-") as home:
        os.environ |= {"AIRFLOW_HOME": home, "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
        work = contestant.make(site)
        send_answer(answers, {"import_seconds": time.perf_counter() - begun})
        for line in sys.stdin:
            command = json.loads(line)
            folder = Path(command.pop("folder"))
            folder.mkdir(parents=True, exist_ok=True)
            send_answer(answers, measure(work, folder, {**contestant.options, **command}))


def measure(work: Work, folder: Path, options: dict[str, Any]) -> dict[str, Any]:
    """Do the work once and return the measurements."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # reset the peak
    error, cpu, begun = None, cpu_seconds(), time.perf_counter()
    result = None
    try:
        result = work(folder, **options)
    except Exception as err:
        error = f"{type(err).__name__}: {str(err)[:200]}"
    seconds = time.perf_counter() - begun
    return {
        "seconds": seconds,
        "cpu_seconds": cpu_seconds() - cpu,
        "peak_mb": peak_megabytes(),
        "error": error,
        "result": result,
    }


def send_answer(answers: Any, what: dict[str, Any]) -> None:
    """Write an answer in one line."""
    answers.write(json.dumps(what) + "\n")
    answers.flush()


if __name__ == "__main__":
    main()
