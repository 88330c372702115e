"""A sandbox company and a separate Airflow home, for the demo and ``make airflow``."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".demo"
STOP_SECONDS = 10


class ToolError(Exception):
    """An error whose text is for the user."""


def fresh_home() -> None:
    """Create an empty home, without the results of earlier runs."""
    shutil.rmtree(HOME, ignore_errors=True)
    (HOME / "logs").mkdir(parents=True)


def airflow_env() -> dict[str, str]:
    """Return the environment of a quiet Airflow in the demo's folder."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    scripts = sysconfig.get_path("scripts")
    return kept | {
        # Airflow starts its components by their command names.
        "PATH": f"{scripts}{os.pathsep}{os.environ.get('PATH', '')}",
        # The export's default folder is below the home directory, which is not the user's here.
        "HOME": str(HOME),
        "AIRFLOW_HOME": str(HOME / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "example_dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "NO_COLOR": "1",
        "PYTHONWARNINGS": "ignore",
    }


def airflow(*arguments: str) -> list[str]:
    """Return a command line of the Airflow in this virtual environment."""
    return [str(Path(sysconfig.get_path("scripts")) / "airflow"), *arguments]


@contextmanager
def process(
    command: list[str], log: Path, env: dict[str, str] | None = None, *, output: Path | None = None
) -> Iterator[subprocess.Popen[str]]:
    """Run a process in a separate group, which is ended with the block.

    What it prints is to be read from the process, or goes to ``output``; its errors go to ``log``.
    """
    with log.open("w") as errors, (output or Path(os.devnull)).open("w") as printed:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=printed if output else subprocess.PIPE,
            stderr=errors,
            text=True,
            env=env,
            cwd=ROOT,
            start_new_session=True,
        )
    try:
        yield child
    finally:
        _end(child)


@contextmanager
def sandbox() -> Iterator[tuple[str, str]]:
    """Run the sandbox with its demo company; yield its URL and its connection as JSON."""
    secret = secrets.token_urlsafe(24)
    command = [sys.executable, "-m", "intacct_provider.sandbox", "--port", "0", "--seed", "demo"]
    command += ["--db", str(HOME / "company.db")]
    log = HOME / "logs" / "sandbox.log"
    with process(command, log, os.environ | {"INTACCT_SANDBOX_CLIENT_SECRET": secret}) as child:
        line = child.stdout.readline() if child.stdout else ""
        url = line.strip().rpartition(" ")[2]
        if not url.startswith("http://127.0.0.1:"):
            raise ToolError(f"The sandbox did not start; see {log}.")
        parts = {"login": "sandbox-client", "password": secret}
        extra = {"company_id": "SANDBOX", "user_id": "airflow"}
        yield url, json.dumps({"conn_type": "intacct", "host": url, **parts, "extra": extra})


def exit_on_signals() -> None:
    """Exit through every ``finally`` on a signal, as with Ctrl-C."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda caught, _frame: sys.exit(128 + caught))


def _end(child: subprocess.Popen[str]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        child.wait(STOP_SECONDS)
    # The rest of the group, such as a grandchild that does not stop.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def check(fine: bool, problem: str) -> None:
    """Fail with a message unless the condition holds."""
    if not fine:
        raise ToolError(f"Not as it should be: {problem}.")


def step(text: str) -> None:
    """Print the title of the next step."""
    print(f"\n== {text}", flush=True)


def say(text: str) -> None:
    """Print a line of the current step."""
    print(f"   {text}", flush=True)
