"""The table of faults: each test says which line of it stands on the test, and the table is made of what passed.

``INTACCT_WRITE_RELIABILITY=1`` writes docs/reliability.md anew; without it a difference fails the last test.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from reliability_table import Table
from reliability_work import PAGE, SEED
from sandbox_client import client_of, running

HERE = Path(__file__).parent
LAST = "test_table.py"
NO_LINES = {LAST, "test_soak.py"}
#: Tests of single faults in other folders prove lines of the table, too; these alone make it.
table = Table()


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker that names a line."""
    config.addinivalue_line(
        "markers",
        "line(section, fault, does, result='exact'): the line of docs/reliability.md that stands on this test",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put the test of the table behind the tests that it is about."""
    mine = [item for item in items if item.path.parent == HERE]
    for item in mine:
        lines = [mark.args for mark in item.iter_markers("line")]
        assert lines or item.path.name in NO_LINES, f"{item.nodeid} proves no line of the table"
    last = [item for item in mine if item.path.name == LAST]
    items[:] = [item for item in items if item not in last] + last


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> object:
    """Note the lines of a test, and whether it passed."""
    report = yield
    if item.path.parent == HERE and report.when == "call":
        for mark in item.iter_markers("line"):
            table.note(item.path.name, *mark.args, passed=report.passed)
    return report


@pytest.fixture(scope="session")
def proven() -> Table:
    """What the tests have proven so far."""
    return table


@pytest.fixture
def sandbox():
    """A company with three pages of records to read."""
    with running(SEED) as company:
        yield company


@pytest.fixture
def client(sandbox):
    """Our client of it."""
    with client_of(sandbox, page_size=PAGE) as ours:
        yield ours
