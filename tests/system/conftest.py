"""One real Airflow for all of these tests, and a sandbox for each of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from log_audit import LogAudit
from real_airflow import RealAirflow
from sandbox_client import running

from intacct_provider.sandbox import Sandbox

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def audit(pytestconfig: pytest.Config) -> LogAudit:
    """The audit of the whole suite, which knows every secret and token as soon as a sandbox does."""
    return pytestconfig.pluginmanager.get_plugin(str(ROOT / "tests" / "conftest.py")).audit


@pytest.fixture(scope="session")
def airflow(tmp_path_factory: pytest.TempPathFactory, audit: LogAudit) -> Iterator[RealAirflow]:
    """Run it for the session; at the end, give what all of its tests have left behind to the audit of the suite."""
    before = set(audit.secrets)
    one = RealAirflow(tmp_path_factory.mktemp("airflow"))
    try:
        one.start()
        yield one
    finally:
        one.stop()
    audit.leaks += one.leaks(audit.secrets - before)


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with running("demo") as one:
        yield one
