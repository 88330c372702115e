"""Applying plans in processes that can be killed, and what must be true afterwards."""

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from sandbox_client import config_of
from sync_work import OWNER

MORTAL = Path(__file__).parent / "mortal.py"
#: What a child that killed itself answers.
KILLED = {"signal": 9}


class Mortals:
    """Runs applications of plans in processes of their own."""

    def __init__(self, process):
        self._process = process

    def start(self, *jobs):
        """Start jobs at the same time and return their process ids."""
        self._process.stdin.write(json.dumps(jobs) + "\n")
        self._process.stdin.flush()
        return self._told()["pids"]

    def ended(self):
        """Wait for the end of the jobs and return what came out of each."""
        return self._told()["answers"]

    def run(self, *jobs):
        """Start jobs and wait for their end."""
        self.start(*jobs)
        return self.ended()

    def _told(self):
        line = self._process.stdout.readline()
        assert line, "the process that runs the jobs has ended"
        return json.loads(line)


@contextmanager
def mortals():
    """Run the process that runs jobs."""
    command = [sys.executable, str(MORTAL)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes, start_new_session=True) as process:
        try:
            yield Mortals(process)
        finally:
            # With all of its children, of which one may wait for a call that a test holds back.
            os.killpg(process.pid, signal.SIGKILL)


def job(sandbox, path, *, owner=OWNER, moment=0, **how):
    """Return the application of a saved plan.

    :param moment: before which operation on a file beside the plan the process kills itself; 0 for never.
    """
    config = {name: value for name, value in asdict(config_of(sandbox)).items() if value is not None}
    folder = str(path.parent)
    return {
        "config": config,
        "path": str(path),
        "folder": folder,
        "owner": owner,
        "moment": moment,
        "how": how,
    }
