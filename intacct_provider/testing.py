"""The pytest plugin of the provider: a local Sage Intacct for tests of DAGs.

>>> def test_my_dag(intacct_sandbox):
...     assert dag.test().state == "success"
...     assert len(intacct_sandbox.records("accounts-receivable/customer")) == 1

pytest loads this module in every run, wherever the package is installed. So it imports nothing else of the provider
until a fixture is used.
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
ARGUMENTS = ("seed", "tier", "faults", "clock", "company", "variant")
SESSION_SEED = "intacct_sandbox_seed"
SESSION_COMPANY = "intacct_sandbox_company"
MARKER_HELP = (
    f"{MARKER}(seed='empty', tier=1, faults={{}}, clock=..., company='company.json'): "
    "arguments for the fixture of the same name; see intacct_provider.sandbox.Sandbox"
)

_stopping = pytest.StashKey[list[threading.Thread]]()
_in_test = pytest.StashKey[bool]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the ini option."""
    parser.addini(SESSION_SEED, "initial records of intacct_sandbox_session", default="demo")
    parser.addini(
        SESSION_COMPANY, "company file of both sandboxes, relative to the root directory", default=""
    )


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker."""
    config.addinivalue_line("markers", MARKER_HELP)
    config.stash[_stopping] = []
    config.stash[_in_test] = False


def pytest_unconfigure(config: pytest.Config) -> None:
    """Wait for the sandboxes that are still stopping."""
    for thread in config.stash[_stopping]:
        thread.join()


@pytest.fixture
def intacct_sandbox(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    """A new local Sage Intacct for this test, which Airflow reaches as the connection ``intacct_default``.

    The company has users and entities only, unless the marker sets a seed::

        @pytest.mark.intacct_sandbox(seed="demo", tier=2, faults={"latency": 0.1})

    The marker takes the arguments seed, tier, faults, clock, company and variant of Sandbox. It can be on a class or
    a module too; for each argument the nearest marker wins. The ini option ``intacct_sandbox_company`` names a company
    file for all tests.

    Useful members: ``seed(...)``, ``records(object)``, ``requests``, ``fail(...)``, ``faults``, ``transactions``,
    ``billed``, and ``connection(**extra)`` for connections under other names. See Sandbox in
    intacct_provider.sandbox.

    AIRFLOW_CONN_INTACCT_DEFAULT is set during the test and restored afterwards, so that the test never reaches a real
    company under that name. Only a secrets backend that you have configured takes precedence over the variable.
    """
    config = request.config
    with _run_sandbox(config, **_find_company(config) | _read_markers(request.node)) as sandbox:
        config.stash[_in_test] = True
        yield sandbox
        config.stash[_in_test] = False


@pytest.fixture(scope="session")
def intacct_sandbox_session(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    """One local Sage Intacct for the whole run: faster, for tests that only read.

    It has the demo company, or the seed in the ini option ``intacct_sandbox_seed``. Airflow reaches it as the
    connection ``intacct_default``, except in tests that use ``intacct_sandbox``.
    """
    config = request.config
    if config.stash[_in_test]:
        # The end of the test would restore the variable, and later tests would not reach this sandbox.
        _fail_test(
            "intacct_sandbox_session must start before intacct_sandbox: make it an argument of the test"
        )
    with _run_sandbox(config, **_find_company(config), seed=config.getini(SESSION_SEED)) as sandbox:
        yield sandbox


def _find_company(config: pytest.Config) -> dict[str, Any]:
    """Return the company file of the ini option; nothing if it is not set."""
    name = config.getini(SESSION_COMPANY)
    return {"company": name if name == "shipped" else config.rootpath / name} if name else {}


def _read_markers(node: pytest.Item) -> dict[str, Any]:
    """Return the arguments of a test's markers; those of the nearest win."""
    options: dict[str, Any] = {}
    for mark in reversed(list(node.iter_markers(MARKER))):
        if mark.args:
            _fail_test(f"the marker {MARKER} takes keyword arguments only, such as seed={mark.args[0]!r}")
        for name, value in mark.kwargs.items():
            if name not in ARGUMENTS:
                near = get_close_matches(name, ARGUMENTS, n=1, cutoff=0.0)[0]
                _fail_test(f"the marker {MARKER} has no argument {name}={value!r}; did you mean {near!r}?")
        options |= mark.kwargs
    return options


@contextmanager
def _run_sandbox(config: pytest.Config, **options: Any) -> Iterator[Sandbox]:
    """Run a sandbox, and set the connection to it.

    Stopping takes 0.2 s, which the next test does not wait for.
    """
    sandbox = _start_sandbox(options)
    try:
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv(VARIABLE, sandbox.connection())
            yield sandbox
    finally:
        thread = threading.Thread(target=sandbox.stop, name="intacct-sandbox-stop")
        config.stash[_stopping].append(thread)
        thread.start()


def _start_sandbox(options: dict[str, Any]) -> Sandbox:
    import secrets

    try:
        from intacct_provider.sandbox import Sandbox
    except ModuleNotFoundError as error:
        _fail_test(f"{error}; the sandbox needs: pip install 'airflow-provider-intacct[sandbox]'")
    try:
        # A unique secret, because clients in one process with the same secret share access tokens.
        sandbox = Sandbox(client_secret=secrets.token_urlsafe(24), **options)
        sandbox.start()
    except ValueError as error:
        _fail_test(f"{MARKER}: {error}")
    return sandbox


def _fail_test(text: str) -> NoReturn:
    """Fail the current test, without a traceback through the plugin."""
    pytest.fail(text, pytrace=False)
