"""The deployments, one after another, and the table of docs/deploying.md.

``INTACCT_WRITE_DEPLOYMENTS=1`` writes the table from what passed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from deployments import CELERY, LOCAL, SQLITE, Deployment, deployed
from deployments_table import Table
from log_audit import LogAudit

HERE = Path(__file__).parent
#: Filled by the tests of this folder only.
table = Table()


@pytest.fixture(scope="module", params=[SQLITE, LOCAL, CELERY])
def deployment(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, audit: LogAudit
) -> Iterator[Deployment]:
    """Run Airflow in each of the ways; at the end, give what it has left behind to the audit of the suite."""
    before = set(audit.secrets)
    with deployed(request.param, tmp_path_factory.mktemp("deployment")) as one:
        yield one
        audit.leaks += one.leaks(audit.secrets - before)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> object:
    """Add the result of a test to the table."""
    report = yield
    if item.path.parent == HERE and report.when == "call":
        table.add_result(item.function.__doc__, item.callspec.params["deployment"], report)
    return report


def pytest_sessionfinish() -> None:
    """Write the table when that was asked for."""
    if os.environ.get("INTACCT_WRITE_DEPLOYMENTS"):
        table.write()
