"""Shared by the contestants: the company, the records to write, and measurements of a process."""

from __future__ import annotations

import json
import resource
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

CUSTOMER = "accounts-receivable/customer"
GROUP = "accounts-receivable/customer-group"
BASE = "/ia/api/v1"
QUERY = f"{BASE}/services/core/query"
TOKEN = f"{BASE}/oauth2/token"
ASCENDING = [{"key": "asc"}]
#: The sandbox's identity, repeated here so that contestants do not import the sandbox.
FORM = {
    "grant_type": "client_credentials",
    "client_id": "sandbox-client",
    "client_secret": "sandbox-secret",
    "username": "airflow@SANDBOX",
}

Work = Callable[..., Any]


def customers(count: int) -> list[dict[str, Any]]:
    """Return records to create."""
    return [{"id": f"C-{n:05}", "name": f"Customer {n}", "status": "active"} for n in range(1, count + 1)]


def groups(count: int) -> list[dict[str, Any]]:
    """Return the seeded groups of the sandbox, one in a hundred with a different description."""
    return [
        {
            "id": f"GROUP-{n:05}",
            "name": f"Customer group {n}",
            "description": "changed" if n % 100 == 0 else seeded_description(n),
        }
        for n in range(1, count + 1)
    ]


def seeded_description(number: int) -> str | None:
    """Return the description of a seeded group."""
    return None if number % 3 == 0 else f"Made for a test of volume, number {number}"


def write_lines(folder: Path, rows: Iterator[dict[str, Any]]) -> None:
    """Write rows as JSON lines with the standard library."""
    with (folder / "accounts.jsonl").open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row) + "\n")


def write_lines_with_orjson(folder: Path, rows: Iterator[dict[str, Any]]) -> None:
    """Write rows as JSON lines with orjson, for speed."""
    import orjson

    with (folder / "accounts.jsonl").open("wb") as file:
        for row in rows:
            file.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))


def cpu_seconds() -> float:
    """Return the processor time of this process and of its finished children."""
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(used.ru_utime + used.ru_stime for used in both)


def peak_megabytes() -> float:
    """Return the peak memory of this process."""
    try:
        status = Path("/proc/self/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) / 1024
    except (OSError, ValueError, IndexError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
