"""A project of somebody who tests DAGs, and pytest as they run it: in a process of its own."""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

import pytest

# Plugins of the development environment that a project of this size would only wait for.
OTHERS = ("schemathesis", "hypothesispytest", "anyio", "requests_mock", "timeout")


@dataclass
class Result:
    """A finished run."""

    code: int
    output: str

    @property
    def counts(self):
        """The outcomes, such as ``{"passed": 2, "failed": 1}``."""
        last = self.output.rstrip().splitlines()[-1]
        return {
            name.rstrip("s"): int(number)
            for number, name in re.findall(r"(\d+) (passed|failed|errors?)", last)
        }


class Project:
    """An empty folder to be filled with tests."""

    def __init__(self, folder: Path, home: Path) -> None:
        self.folder = folder
        self.home = home
        self.write("pytest.ini", "[pytest]\naddopts = --strict-markers --strict-config -p no:cacheprovider\n")

    def write(self, name, text):
        """Add a file."""
        (self.folder / name).write_text(dedent(text))

    def run(self, *arguments, **environment):
        """Run pytest; nothing of this run's own environment reaches it but where the programs are."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("AIRFLOW", "PYTEST", "INTACCT"))
        }
        kept |= {"HOME": str(self.home), "AIRFLOW_HOME": str(self.home / "airflow"), **environment}
        without = [part for name in OTHERS for part in ("-p", f"no:{name}")]
        run = subprocess.run(
            [sys.executable, "-m", "pytest", *without, *arguments],
            cwd=self.folder,
            env={name: value for name, value in kept.items() if value is not None},
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
        return Result(run.returncode, run.stdout + run.stderr)


@pytest.fixture
def project(tmp_path):
    """An empty project, whose user has a home with nothing in it."""
    folder, home = tmp_path / "project", tmp_path / "home"
    folder.mkdir()
    home.mkdir()
    return Project(folder, home)
