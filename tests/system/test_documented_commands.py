"""The commands of the documentation, as they are written; `make package` runs those that install and take long, too."""

from __future__ import annotations

import importlib
import os
import socket
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
#: What `make package` alone runs, or other tests: to install takes long, and `.ci/run` runs the targets of make.
SKIPPED = (
    "python3 -m venv",
    "pip install",
    "make ",
    "airflow standalone",
    "airflow dags test customers_daily",
    "pytest",
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture
def project(tmp_path):
    """An empty folder whose environment is this one."""
    scripts = tmp_path / "project" / ".venv" / "bin"
    scripts.mkdir(parents=True)
    (scripts / "activate").write_text(f'export PATH="{sysconfig.get_path("scripts")}:$PATH"\n')
    return tmp_path / "project"


@pytest.fixture
def env(tmp_path):
    (tmp_path / "home").mkdir()
    prefixes = ("AIRFLOW", "INTACCT", "PYTEST")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(prefixes)}
    return kept | {"HOME": str(tmp_path / "home"), "PYTHONUNBUFFERED": "1", "PYTHONWARNINGS": "ignore"}


@pytest.fixture
def port():
    with socket.create_server(("127.0.0.1", 0)) as one:
        return str(one.getsockname()[1])


def test_every_command_does_what_its_page_says(project, env, port, monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    tool = importlib.import_module("documented_commands")
    tool.follow_pages(project, env, port, SKIPPED)
    assert [*(tmp_path / "home").iterdir()] == []
