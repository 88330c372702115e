"""A sandbox company and a separate Airflow home, for the demo, the pictures and ``make airflow``."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "example_dags"
#: Everything that the demo writes.
HOME = ROOT / ".demo"
STOP_SECONDS = 10


class ToolError(Exception):
    """An error whose text is for the user."""


def fresh_home(home: Path = HOME) -> None:
    """Create an empty home, without the results of earlier runs."""
    shutil.rmtree(home, ignore_errors=True)
    (home / "logs").mkdir(parents=True)


def airflow_env(home: Path = HOME, dags: Path = EXAMPLES) -> dict[str, str]:
    """Return the environment of a quiet Airflow that writes to a folder only."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    scripts = sysconfig.get_path("scripts")
    # Else the parts of Airflow look for each other behind the proxy that the environment names.
    direct = ",".join(filter(None, (os.environ.get("NO_PROXY") or os.environ.get("no_proxy"), "127.0.0.1")))
    return kept | {
        "NO_PROXY": direct,
        "no_proxy": direct,
        # Airflow starts its components by their command names.
        "PATH": f"{scripts}{os.pathsep}{os.environ.get('PATH', '')}",
        # The export's default folder is below the home directory, which is not the user's here.
        "HOME": str(home),
        "AIRFLOW_HOME": str(home / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "NO_COLOR": "1",
        "PYTHONWARNINGS": "ignore",
    }


def airflow(*arguments: str) -> list[str]:
    """Return a command line of the Airflow in this virtual environment."""
    return [str(Path(sysconfig.get_path("scripts")) / "airflow"), *arguments]


def link_examples(folder: Path, names: Iterable[str]) -> Path:
    """Create a folder with links to some of the example DAGs and to their data, and return it."""
    folder.mkdir()
    for name in ("data", *(f"{name}.py" for name in names)):
        (folder / name).symlink_to(EXAMPLES / name)
    return folder


@contextmanager
def process(
    command: list[str], log: Path, env: dict[str, str] | None = None, *, piped: bool = True
) -> Iterator[subprocess.Popen[str]]:
    """Run a process in a separate group, which is ended with the block.

    What it prints is to be read from the process, or with ``piped=False`` in ``log``, where its errors go, too.
    """
    with log.open("w") as file:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if piped else file,
            stderr=file,
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
def sandbox(home: Path = HOME, name: str = "company") -> Iterator[tuple[str, str]]:
    """Run a sandbox with the demo company; yield its URL and its connection as JSON."""
    secret = secrets.token_urlsafe(24)
    command = [sys.executable, "-m", "intacct_provider.sandbox", "--port", "0", "--seed", "demo"]
    command += ["--db", str(home / f"{name}.db")]
    log = home / "logs" / f"{name}.log"
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
