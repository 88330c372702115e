"""The table of faults: each test names its row, and the table is built from the tests that passed.

``INTACCT_WRITE_RELIABILITY=1`` writes docs/reliability.md; without it, a difference fails the last test.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from reliability_table import Table
from reliability_work import PAGE, SEED
from sandbox_client import client_of, running

HERE = Path(__file__).parent
LAST = "test_table.py"
NO_LINES = {LAST, "test_soak.py", "test_under_change.py"}
#: Filled by the tests of this folder only.
table = Table()


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker that names a row of the table."""
    config.addinivalue_line(
        "markers",
        "line(section, fault, does, result='exact'): the row of docs/reliability.md that this test proves",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Run the test of the table last."""
    mine = [item for item in items if item.path.parent == HERE]
    for item in mine:
        lines = [mark.args for mark in item.iter_markers("line")]
        assert lines or item.path.name in NO_LINES, f"{item.nodeid} proves no row of the table"
    last = [item for item in mine if item.path.name == LAST]
    items[:] = [item for item in items if item not in last] + last


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> object:
    """Add the result of a test to its rows."""
    report = yield
    if item.path.parent == HERE and report.when == "call":
        for mark in item.iter_markers("line"):
            table.add_result(item.path.name, *mark.args, passed=report.passed)
    return report


@pytest.fixture(scope="session")
def proven() -> Table:
    """The results of the tests so far."""
    return table


@pytest.fixture
def sandbox():
    """A sandbox with three pages of records."""
    with running(SEED) as company:
        yield company


@pytest.fixture
def client(sandbox):
    """A client of the sandbox."""
    with client_of(sandbox, page_size=PAGE) as ours:
        yield ours
