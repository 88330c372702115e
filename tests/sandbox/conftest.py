"""A running sandbox and our client of it. Every call of these tests goes over real HTTP."""

import pytest
from sandbox_client import client_of, running


@pytest.fixture
def sandbox():
    """An empty company: users and entities only."""
    with running() as company:
        yield company


@pytest.fixture(scope="module")
def demo():
    """The demo company, for tests that only read."""
    with running("demo") as company:
        yield company


@pytest.fixture
def client(sandbox):
    """Our client of the empty company."""
    with client_of(sandbox) as ours:
        yield ours


@pytest.fixture
def demo_client(demo):
    """Our client of the demo company."""
    with client_of(demo) as ours:
        yield ours
