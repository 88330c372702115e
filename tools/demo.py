"""A demo on one screen: real Airflow syncs customer groups and exports account groups against the sandbox."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from company import (
    EXAMPLES,
    HOME,
    ROOT,
    ToolError,
    airflow,
    airflow_env,
    check,
    exit_on_signals,
    fresh_home,
    link_examples,
    process,
    sandbox,
    say,
    step,
)
from pyarrow import parquet

DESIRED = EXAMPLES / "data" / "customer_groups.csv"
EXPORTS = HOME / "exports"
SYNC = "intacct_sync_customer_groups"
EXPORT = "intacct_export_account_groups"


def main() -> None:
    """Run the demo.

    :raises ToolError: if a result is not as expected.
    """
    fresh_home()
    step("Starting a local Intacct (the sandbox, with its demo company)")
    with sandbox() as (url, connection):
        dags = link_examples(HOME / "dags", [SYNC, EXPORT])
        env = airflow_env(HOME, dags) | {"AIRFLOW_CONN_INTACCT_DEFAULT": connection}
        say(url)
        step("Preparing Airflow in .demo/airflow")
        run(airflow("db", "migrate"), env, "migrate.log")
        step(f"Airflow runs {SYNC}: {relative(DESIRED)} becomes the live customer groups")
        first = sync(env, "sync-1.log")
        check(sum(first[name] for name in ("created", "updated")) > 0, "the first sync wrote nothing")
        step(f"Airflow runs {EXPORT}")
        export(env)
        step(f"Airflow runs {SYNC} again: nothing is left to change")
        second = sync(env, "sync-2.log")
        left = {name: second[name] for name in ("created", "updated", "deleted", "rejected")}
        check(not any(left.values()), f"the second sync still found {left}")
        say(f"It cost {second['transactions']} billed API transactions, all of them reads.")
    step("Done. All files are in .demo, and all processes have ended.")


def sync(env: dict[str, str], log: str) -> dict[str, int]:
    """Run the sync DAG, show its plan and counts, and return the counts."""
    lines = run(
        airflow("dags", "test", SYNC, "--conf", json.dumps({"desired": f"file://{DESIRED}"})), env, log
    )
    for line in plan_lines(lines):
        say(line)
    return billed(lines, counts(lines))


def export(env: dict[str, str]) -> None:
    """Run the export DAG, check the file against its manifest, and show both."""
    run(
        airflow("dags", "test", EXPORT, "--conf", json.dumps({"folder": f"file://{EXPORTS}"})),
        env,
        "export.log",
    )
    files = list(EXPORTS.glob("*.parquet"))
    check(len(files) == 1, "the export left no file")
    manifest = json.loads(Path(f"{files[0]}.manifest.json").read_text())
    table = parquet.read_table(files[0])
    rows = table.num_rows
    check(rows == manifest["rows"], f"the file has {rows} rows and its manifest says {manifest['rows']}")
    cost = manifest["run"]["transactions"]
    say(f"{relative(files[0])}: {rows} rows, billed API transactions: {cost}")
    for row in [table.column_names, *zip(*(column.to_pylist()[:3] for column in table.columns), strict=True)]:
        say(f"  {' | '.join(map(str, row))[:110]}")


def run(command: list[str], env: dict[str, str], log: str) -> list[str]:
    """Run a command with a progress indicator, and return the lines of its output."""
    path, errors = HOME / "logs" / log, HOME / "logs" / f"{log}.err"
    started, lines = time.monotonic(), []
    with process(command, errors, env) as child, path.open("w") as copy:
        for line in child.stdout or ():
            copy.write(line)
            lines.append(line.rstrip("\n"))
            if sys.stdout.isatty():
                print(f"\r  ... {time.monotonic() - started:.0f} s ", end="", flush=True)
        code = child.wait()
    if sys.stdout.isatty():
        print("\r", end="")
    if code:
        tail = "\n".join(f"    {line[:160]}" for line in lines[-12:])
        raise ToolError(f"{' '.join(command[1:4])} ended with {code}; see {relative(path)}:\n{tail}")
    return lines


def plan_lines(lines: list[str]) -> Iterator[str]:
    """Yield the counts and tables of the plan from a task's log."""
    inside = False
    for line in lines:
        inside = inside or "Plan for " in line
        if inside and line.startswith(("|", "*")):
            yield line.partition(" [airflow.")[0]
        if inside and " loc=" in line:  # the end of a message of several lines
            return
    raise ToolError("The sync showed no plan.")


def counts(lines: list[str]) -> dict[str, int]:
    """Return the counts that the sync logged: created, updated, deleted, unchanged, rejected."""
    text = next((line for line in lines if " created, " in line and " rejected" in line), None)
    if text is None:
        raise ToolError("The sync logged no counts.")
    words = text.partition(": ")[2].partition(".")[0].replace(",", "").split()
    return {name: int(number) for number, name in zip(words[::2], words[1::2], strict=True)}


def billed(lines: list[str], found: dict[str, int]) -> dict[str, int]:
    """Add the billed transactions that the task logged."""
    text = next(line for line in lines if "billed API transactions: " in line)
    return found | {"transactions": int(text.partition("transactions: ")[2].split()[0])}


def relative(path: Path) -> Path:
    """Return the path relative to the project's folder."""
    return path.relative_to(ROOT)


if __name__ == "__main__":
    exit_on_signals()
    try:
        main()
    except ToolError as problem:
        sys.exit(f"\nThe demo failed. {problem}")
    except KeyboardInterrupt:
        sys.exit("\nStopped; all processes have ended.")
    except subprocess.SubprocessError as problem:
        sys.exit(f"\nThe demo failed: {problem}")
