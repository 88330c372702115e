"""Exports in processes that die at a chosen moment, and what may be in the folder before and after the next attempt."""

import hashlib
import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

from sync_deaths import Mortals

MORTAL = Path(__file__).parent / "mortal_exports.py"
SUFFIX = ".manifest.json"
#: How a process ends that a moment has met.
DEATHS = ({"signal": int(signal.SIGKILL)}, {"signal": int(signal.SIGXFSZ)})
OWNER = {"dag_id": "books", "run_id": "run", "map_index": -1}


@contextmanager
def mortals():
    """Run the process that runs exports."""
    command = [sys.executable, str(MORTAL)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes, start_new_session=True) as process:
        try:
            yield Mortals(process)
        finally:
            os.killpg(process.pid, signal.SIGKILL)


class Exports:
    """Runs tasks against one company, with their files in one folder; ``extra`` goes to the connection."""

    def __init__(self, processes, company, folder, **extra):
        self.folder = folder
        self._processes = processes
        self._connection = json.loads(company.connection(**extra))

    def run(self, arguments, *, task="export", map_index=-1, kind="", moment=0, **extra):
        """Run the task to its end, or to its death before a moment; return what it returns, or None when it died.

        :param kind: ``send``, ``file`` or ``bytes``.
        """
        connection = self._connection | {"extra": self._connection["extra"] | extra}
        job = {
            "task": task,
            "arguments": arguments,
            "connection": json.dumps(connection),
            "folder": str(self.folder),
            "owner": OWNER | {"map_index": map_index},
            "kind": kind,
            "moment": moment,
        }
        [answer] = self._processes.run(job)
        if answer in DEATHS:
            return None
        assert "rows" in answer, answer
        return answer


def left(folder):
    """Return what is in a folder, hidden files included, by name: bytes, and manifests without their section "run"."""
    files = {file.name: file.read_bytes() for file in sorted(folder.iterdir())}
    return {name: lasting(content) if name.endswith(SUFFIX) else content for name, content in files.items()}


def lasting(manifest):
    """Return the content of a manifest without its section about the run."""
    content = json.loads(manifest)
    content.pop("run", None)
    return content


def assert_told_truly(folder):
    """Check that a manifest, if there is one, is about complete files that exist."""
    for manifest in folder.glob(f"[!.]*{SUFFIX}"):
        for part in json.loads(manifest.read_bytes())["parts"]:
            content = (folder / part["name"]).read_bytes()
            assert len(content) == part["bytes"], f"{manifest.name} lies about {part['name']}"
            assert hashlib.sha256(content).hexdigest() == part["sha256"], f"{manifest.name} lies"


def put(folder, files):
    """Make a folder hold exactly these files."""
    folder.mkdir(exist_ok=True)
    for file in folder.iterdir():
        file.unlink()
    for name, content in files.items():
        (folder / name).write_bytes(content)
