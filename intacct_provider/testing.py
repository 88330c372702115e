"""The pytest plugin of the provider: a local Sage Intacct for the tests of DAGs.

>>> def test_my_dag(intacct_sandbox):
...     assert dag.test().state == "success"
...     assert len(intacct_sandbox.records("accounts-receivable/customer")) == 1

pytest loads this module in every run of everybody who has the package installed, so it imports nothing of the
provider before a fixture is used.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

if TYPE_CHECKING:
    from intacct_provider.sandbox import Sandbox

VARIABLE = "AIRFLOW_CONN_INTACCT_DEFAULT"
MARKER = "intacct_sandbox"
ARGUMENTS = ("seed", "tier", "faults", "clock")
SESSION_SEED = "intacct_sandbox_seed"
MARKER_HELP = (
    f"{MARKER}(seed='empty', tier=1, faults={{}}, clock=...): "
    "how the fixture of the same name starts; see intacct_provider.sandbox.Sandbox"
)

_stopping = pytest.StashKey[list[threading.Thread]]()
_in_test = pytest.StashKey[bool]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the ini option."""
    parser.addini(SESSION_SEED, "what the company of intacct_sandbox_session starts with", default="demo")


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker."""
    config.addinivalue_line("markers", MARKER_HELP)
    config.stash[_stopping] = []
    config.stash[_in_test] = False


def pytest_unconfigure(config: pytest.Config) -> None:
    """Wait for the sandboxes that are still stopping, so that none outlives the run."""
    for thread in config.stash[_stopping]:
        thread.join()


@pytest.fixture
def intacct_sandbox(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    """A fresh local Sage Intacct for this test, which Airflow reaches as the connection ``intacct_default``.

    The company has users and entities only, unless the marker says otherwise::

        @pytest.mark.intacct_sandbox(seed="demo", tier=2, faults={"latency": 0.1})

    It takes seed, tier, faults and clock, as Sandbox does, and may also stand on a class or a module; the nearest
    one wins, argument by argument.

    Useful members: ``seed(...)``, ``records(object)``, ``requests``, ``fail(...)``, ``faults``, ``transactions``,
    ``billed``, and ``connection(**extra)`` for connections under other names. See Sandbox in
    intacct_provider.sandbox.

    AIRFLOW_CONN_INTACCT_DEFAULT is set for the time of the test and restored then, so that the test never reaches a
    real company under that name; only a secrets backend of your own would be asked before the variable.
    """
    config = request.config
    with _running(config, **_marked(request.node)) as sandbox:
        config.stash[_in_test] = True
        yield sandbox
        config.stash[_in_test] = False


@pytest.fixture(scope="session")
def intacct_sandbox_session(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    """One local Sage Intacct for the whole run: quicker, for tests that only read.

    It has the demo company, or what the ini option ``intacct_sandbox_seed`` names. Airflow reaches it as the
    connection ``intacct_default``, but for tests that have an ``intacct_sandbox`` of their own.
    """
    config = request.config
    if config.stash[_in_test]:
        # The end of the test would restore the variable under the feet of all tests that follow.
        _refuse(
            "intacct_sandbox_session must start before intacct_sandbox: name it as an argument of the test"
        )
    with _running(config, seed=config.getini(SESSION_SEED)) as sandbox:
        yield sandbox


def _marked(node: pytest.Item) -> dict[str, Any]:
    """Return the arguments of a test's markers, the nearest last."""
    options: dict[str, Any] = {}
    for mark in reversed(list(node.iter_markers(MARKER))):
        if mark.args:
            _refuse(f"the marker {MARKER} takes named arguments only, such as seed={mark.args[0]!r}")
        for name, value in mark.kwargs.items():
            if name not in ARGUMENTS:
                near = get_close_matches(name, ARGUMENTS, n=1, cutoff=0.0)[0]
                _refuse(f"the marker {MARKER} has no argument {name}={value!r}; did you mean {near!r}?")
        options |= mark.kwargs
    return options


@contextmanager
def _running(config: pytest.Config, **options: Any) -> Iterator[Sandbox]:
    """Run a sandbox, and let the connection name it meanwhile.

    Stopping takes 0.2 s, for which the next test does not wait.
    """
    sandbox = _started(options)
    try:
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv(VARIABLE, sandbox.connection())
            yield sandbox
    finally:
        thread = threading.Thread(target=sandbox.stop, name="intacct-sandbox-stop")
        config.stash[_stopping].append(thread)
        thread.start()


def _started(options: dict[str, Any]) -> Sandbox:
    import secrets

    try:
        from intacct_provider.sandbox import Sandbox
    except ModuleNotFoundError as missing:
        _refuse(f"{missing}; the sandbox needs: pip install 'airflow-provider-intacct[sandbox]'")
    try:
        # A secret of its own, because access tokens are shared by all clients of the process with the same one.
        sandbox = Sandbox(client_secret=secrets.token_urlsafe(24), **options)
        sandbox.start()
    except ValueError as wrong:
        _refuse(f"{MARKER}: {wrong}")
    return sandbox


def _refuse(text: str) -> NoReturn:
    """Fail the test that asked, without a traceback through the plugin."""
    pytest.fail(text, pytrace=False)
