"""Runs Airflow's parts until standard input ends, as it does when the tests do, however they end.

    python keeper.py LOG_FOLDER COMMAND [COMMAND ...]

Airflow puts each task into a process group of its own, so that no group holds everything. The session does: this
process leads one, and ends whatever is in it. When a part ends by itself, the others are ended, too.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil


def main() -> None:
    """Start the parts, wait, and end them."""
    logs, *commands = sys.argv[1:]
    parts = {command: start(command.split(), Path(logs)) for command in commands}
    try:
        while not select.select([sys.stdin], [], [], 0.5)[0]:
            for command, part in parts.items():
                if part.poll() is not None:
                    sys.exit(f"airflow {command} ended by itself with exit code {part.returncode}")
    finally:
        end_session(os.getsid(0))


def start(command: list[str], logs: Path) -> subprocess.Popen[bytes]:
    """Start one part of Airflow with all that it says in a file."""
    with (logs / f"{command[0]}.log").open("wb") as file:
        return subprocess.Popen(
            [sys.executable, "-m", "airflow", *command],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
        )


def end_session(session: int) -> None:
    """Kill what is left of a session, and what it starts meanwhile, until nothing is but this process."""
    while others := [pid for pid in psutil.pids() if pid != os.getpid() and is_running(pid, session)]:
        for pid in others:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)


def is_running(pid: int, session: int) -> bool:
    """Whether a process belongs to a session and is more than an exit code."""
    with suppress(ProcessLookupError, PermissionError, psutil.Error):
        return os.getsid(pid) == session and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


if __name__ == "__main__":
    main()
