"""Tests that workers share: what stays together, and that the audits of every worker reach the process that judges."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from parallel import unit_of_work

ROOT = Path(__file__).resolve().parents[3]
#: Plugins that take long to load.
UNNEEDED = ("schemathesis", "hypothesispytest", "anyio", "requests_mock", "timeout", "cacheprovider")
LEAK = """
import logging

def test_leak():
    logging.getLogger("anybody").warning("Authorization: Bearer abcdefgh12345678")
"""
VIOLATION = """
import conftest

def test_violation():
    conftest.wire.check("GET", "/ia/api/v1/services/core/model", 299, {}, b"")
"""


@pytest.mark.parametrize(
    ("nodeid", "unit"),
    [
        ("tests/unit/client/test_model.py::test_a", "tests/unit/client/test_model.py"),
        ("tests/unit/client/test_model.py::TestModel::test_a[x/y::z]", "tests/unit/client/test_model.py"),
        ("tests/reliability/test_table.py::test_a", "tests/reliability"),
        ("tests/system/test_tokens.py::test_a", "tests/system"),
        ("tests/system/deployments/test_deployments.py::test_a[x]", "tests/system/deployments"),
        ("tests/airflow/test_retries.py::test_a", "tests/airflow"),
    ],
)
def test_modules_stay_together_and_so_do_folders_that_share_something(nodeid, unit):
    assert unit_of_work(nodeid) == unit


@pytest.mark.slow
def test_what_the_audits_of_workers_find_fails_a_run_whose_tests_pass(tmp_path):
    code, output = run_in_two_workers(tmp_path, LEAK, VIOLATION)
    assert "2 passed" in output
    assert "SECRET LOGGED: anybody (WARNING)" in output
    assert "NOT AS DOCUMENTED: GET /services/core/model 299: the status is not documented" in output
    assert code == pytest.ExitCode.TESTS_FAILED


def run_in_two_workers(folder, *modules):
    """Run modules with the hooks of this suite and return exit code and output."""
    for number, text in enumerate(modules):
        (folder / f"test_{number}.py").write_text(text)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "AIRFLOW"))}
    path = os.pathsep.join(map(str, (ROOT, ROOT / "tests", ROOT / "tests" / "support")))
    plugins = ("conftest", *(f"no:{name}" for name in UNNEEDED))
    options = [
        *(part for name in plugins for part in ("-p", name)),
        "-q",
        "-n",
        "2",
        "--rootdir",
        str(folder),
    ]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(folder)],
        cwd=folder,
        env={**kept, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=200,
    )
    return done.returncode, done.stdout + done.stderr
