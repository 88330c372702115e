"""Read a company while its people work, in every way that the provider reads, and judge what comes of it.

    python tools/reliability_under_change.py                        # every cell, and docs/reliability.md is written
    python tools/reliability_under_change.py --only "SQL merge"     # some readers; nothing is written
    python tools/reliability_under_change.py --rows 50000           # without the company of a million records

Each cell is one read over HTTP of a server of our own (``tests/support/moving_server.py``). It must be green, it must
have every record that existed during the whole read once and nothing that never existed, and change may cost at most
twice the calls of the undisturbed read plus ten.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import platform
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "reliability.md"
#: The table stands between these lines of the page.
BEGIN, END = "<!-- under change -->", "<!-- /under change -->"
KINDS = (
    "insertions at the end",
    "insertions in between",
    "deletions",
    "insertions and deletions",
    "into and out of the filter",
)
#: Changes per request, and per second and the seconds of latency with each.
PER_REQUEST = (1, 5, 20, 100)
PER_SECOND = ((5, 0.2), (20, 0.2))
LARGE = (5, 0.02)
READERS = (
    "JSONL", "Parquet", "control totals", "SQL merge", "SQL replace", "mapped ranges", "incremental, deletions",
    "iter_rows", "plan of a sync",
)  # fmt: skip
PACKAGES = ("apache-airflow-core", "msgspec", "pyarrow", "requests", "urllib3")


class Cell(NamedTuple):
    """One cell of the table."""

    rows: int
    kind: str
    per_request: int
    per_second: int
    latency: float
    reader: str

    @property
    def line(self) -> tuple[int, str, str]:
        """The line of the table."""
        often = (
            f"{self.per_request} per request"
            if self.per_request
            else f"{self.per_second} a second, {1000 * self.latency:.0f} ms"
        )
        return self.rows, self.kind, often


def main() -> int:
    """Run the cells and print them; return 1 unless all are green, exact and within the bound."""
    options = _options()
    readers = options.only or list(READERS)
    rows = options.rows or [50_000, 1_000_000]
    cells = [cell for cell in _cells(rows, readers) if not options.kinds or cell.kind in options.kinds]
    begun = time.monotonic()
    results = _run(cells, options.processes)
    bad = sum(not result["good"] for result in results.values())
    print(f"{len(cells)} cells, {bad} of them not good, in {time.monotonic() - begun:.0f} s")
    text = "\n".join(_render(results))
    if options.only or options.rows or options.kinds:
        print(text)
    else:
        write(text)
    return 1 if bad else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=READERS, help="only these readers")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, help="only these changes")
    parser.add_argument("--rows", nargs="+", type=int, help="sizes of the company (default: 50000 1000000)")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="default: the cores")
    return parser.parse_args()


def _cells(sizes: list[int], readers: list[str]) -> Iterator[Cell]:
    for rows in sizes:
        often: list[tuple[int, int, float]] = [(0, LARGE[0], LARGE[1])]
        if rows < 1_000_000:
            often = [(n, 0, 0.0) for n in PER_REQUEST] + [(0, *rate) for rate in PER_SECOND]
        for kind in KINDS:
            for one in often:
                for reader in readers:
                    yield Cell(rows, kind, *one, reader)


def _run(cells: list[Cell], processes: int) -> dict[Cell, dict[str, Any]]:
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn"), initializer=prepare) as pool:
        rest = {(cell.rows, cell.reader, cell.kind == KINDS[-1]): None for cell in cells}
        quiet = dict(zip(rest, pool.map(run_at_rest, rest), strict=True))
        known = [quiet[cell.rows, cell.reader, cell.kind == KINDS[-1]] for cell in cells]
        results = {}
        for cell, result in zip(cells, pool.map(run_cell, cells, known), strict=True):
            results[cell] = result
            print(f"{' | '.join(map(str, cell.line))} | {cell.reader}: {result['text']}", flush=True)
            for note in result["notes"]:
                print(f"    {note}", flush=True)
    return results


def prepare() -> None:
    """Let a process be a worker of Airflow that logs nothing."""
    os.environ["AIRFLOW_HOME"] = tempfile.mkdtemp(prefix="intacct-airflow-")
    os.environ |= {"AIRFLOW__LOGGING__LOGGING_LEVEL": "CRITICAL", "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
    import logging

    import structlog

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    logging.disable(logging.CRITICAL)
    sys.path.insert(0, str(ROOT / "tests" / "support"))


def run_at_rest(what: tuple[int, str, bool]) -> int:
    """Return the calls of a read during which nothing happens."""
    from moving_reads import read
    from moving_server import Behavior

    rows, reader, filtered = what
    result = read(reader, Behavior(), count=rows, filtered=filtered)
    if not result.exact:
        raise AssertionError(f"{reader} is not exact at rest: {result.red} {result.wrong}")
    return int(result.calls)


def run_cell(cell: Cell, quiet: int) -> dict[str, Any]:
    """Return the outcome of a read."""
    from moving_reads import compare
    from moving_server import Behavior

    behavior = Behavior(
        kind=cell.kind,
        per_request=cell.per_request,
        per_second=cell.per_second,
        latency=cell.latency,
        most=10 * quiet + 100,
    )
    result = compare(cell.reader, behavior, quiet=quiet, count=cell.rows, filtered=cell.kind == KINDS[-1])
    notes = [result.red[:300]] * bool(result.red) + result.wrong[:5]
    state = "red" if result.red else "wrong" if result.wrong else ""
    fits = result.calls <= result.bound
    calls = f"{result.calls} of {result.bound}"
    shown = f"**{state}** {calls}" if state else calls if fits else f"**{calls}**"
    text = f"{result}, {result.rows} rows, {result.seconds:.1f} s"
    return {"good": result.good, "text": text, "shown": shown, "notes": notes}


def _render(results: dict[Cell, dict[str, Any]]) -> Iterator[str]:
    readers = [reader for reader in READERS if any(cell.reader == reader for cell in results)]
    yield "| records | what changes | how often | " + " | ".join(readers) + " |"
    yield "| --- | --- | --- |" + " --- |" * len(readers)
    lines: dict[tuple[int, str, str], dict[str, str]] = {}
    for cell, result in results.items():
        lines.setdefault(cell.line, {})[cell.reader] = result["shown"]
    for (rows, kind, often), shown in lines.items():
        yield f"| {rows:,} | {kind} | {often} | " + " | ".join(shown[reader] for reader in readers) + " |"
    yield ""
    yield f"Measured on {dt.datetime.now(dt.UTC):%Y-%m-%d}: {machine()}."


def machine() -> str:
    """Return the machine and versions that were measured."""
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return (
        f"{os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}, "
        f"SQLite {sqlite3.sqlite_version}, {packages}"
    )


def write(table: str) -> None:
    """Write a table to its place in the page."""
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}", encoding="utf-8")
    print(f"{PAGE.relative_to(ROOT)} is written.")


if __name__ == "__main__":
    sys.exit(main())
