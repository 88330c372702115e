"""Run Airflow's triggerer, and write down what Python's garbage collections take in its processes.

    python benchmarks/triggerer.py FILE --skip-serve-logs

A collection of all objects stops everything in its process, the event loop too, for longer the more objects there are.
Each adds a line of JSON to FILE. A process that gets SIGUSR1 counts its objects and
collects.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from airflow.__main__ import main

FULL = 2


def write_collections(file: Path) -> None:
    """Let each collection of all objects add a line to a file."""
    begun = (0.0, 0.0)

    def note(phase: str, info: dict[str, Any]) -> None:
        nonlocal begun
        if info["generation"] != FULL:
            return
        if phase == "start":
            begun = time.monotonic(), time.thread_time()
        else:
            write(seconds=time.monotonic() - begun[0], cpu_seconds=time.thread_time() - begun[1])

    def collect(*_: object) -> None:
        write(objects=len(gc.get_objects()))
        gc.collect()

    def write(**facts: float) -> None:
        with file.open("a") as lines:
            lines.write(json.dumps({"pid": os.getpid(), **facts}) + "\n")

    gc.callbacks.append(note)
    signal.signal(signal.SIGUSR1, collect)


if __name__ == "__main__":
    write_collections(Path(sys.argv[1]))
    sys.argv[1:2] = ["triggerer"]
    main()
