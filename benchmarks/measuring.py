"""Shared by the benchmarks: servers in separate processes, and the format of results."""

from __future__ import annotations

import json
import os
import platform
import re
import sqlite3
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

PACKAGES = ("msgspec", "starlette", "uvicorn", "httptools")


@contextmanager
def sandbox(*options: str) -> Iterator[tuple[int, float]]:
    """Run a sandbox in a separate process; yield its port and the seconds until it was ready."""
    command = [sys.executable, "-m", "intacct_provider.sandbox", "--port", "0", *options]
    begun = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        try:
            line = child.stdout.readline() if child.stdout else ""
            seconds = time.perf_counter() - begun
            address = re.search(r"http://127\.0\.0\.1:(\d+)/", line)
            if address is None:
                sys.exit("The sandbox did not start.")
            yield int(address[1]), seconds
        finally:
            child.terminate()
            child.communicate()  # read the rest of its output: a closed pipe would be an error


class FastServer:
    """The benchmark's own server in a separate process, for the duration of the ``with`` block."""

    def __enter__(self) -> Self:
        command = [sys.executable, str(Path(__file__).with_name("server.py"))]
        self._child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        line = self._child.stdout.readline() if self._child.stdout else ""
        if not line.strip().isdigit():
            sys.exit("The server did not start.")
        self.site = f"http://127.0.0.1:{int(line)}"
        self.url = f"{self.site}/ia/api/v1"
        return self

    def __exit__(self, *_: object) -> None:
        self._child.terminate()
        self._child.communicate()

    def change(self, **settings: Any) -> None:
        """Set how the server behaves, with defaults for the rest, and reset its counters."""
        self._bench(json.dumps(settings).encode())

    def stats(self) -> dict[str, Any]:
        """Return the server's counters."""
        return dict(json.loads(self._bench(None)))

    def _bench(self, body: bytes | None) -> bytes:
        # A new connection each time, because this is not a measured client.
        with urllib.request.urlopen(f"{self.site}/bench", body, timeout=120) as reply:  # noqa: S310
            return bytes(reply.read())


def machine() -> str:
    """Return the machine and versions that the times depend on."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        cpu = next(
            (line.partition(": ")[2] for line in info.read_text().splitlines() if "model name" in line), cpu
        )
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return (
        f"{cpu}, {os.cpu_count()} cores, {platform.system()}; "
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {packages}"
    )


def spread(seconds: list[float]) -> str:
    """Return median, minimum and maximum, in milliseconds."""
    middle, least, most = (1000 * value for value in (statistics.median(seconds), min(seconds), max(seconds)))
    return f"median {middle:6.1f} ms   min {least:6.1f}   max {most:6.1f}"


def check(fine: bool, problem: str) -> None:
    """Exit with a message unless the condition holds."""
    if not fine:
        sys.exit(f"Wrong: {problem}.")
