"""What must be settled before anything imports Airflow, and the audits of what the suite logs and answers.

The environment is set here and not in fixtures, because Airflow reads it once, when it is imported.
"""

from __future__ import annotations

import atexit
import json
import logging
import os
import re
import secrets
import shutil
import sys
import tempfile
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from log_audit import LogAudit
from parallel import ModuleScheduling, order_items
from wire_audit import WireAudit

ROOT = Path(__file__).resolve().parent.parent
#: What ``-m`` selects for all tests and for those that `make test` runs.
SUITES = ("", "not slow")
#: Where Airflow 3.2 and later, and Airflow 3.1, keep what hides secrets in a task's log.
MASKERS = ("airflow.sdk._shared.secrets_masker", "airflow.sdk.execution_time.secrets_masker")
_home = tempfile.mkdtemp(prefix="intacct-tests-")
atexit.register(shutil.rmtree, _home, ignore_errors=True)


def _bundle(name: str, path: Path) -> dict[str, object]:
    classpath = "airflow.dag_processing.bundles.local.LocalDagBundle"
    return {"name": name, "classpath": classpath, "kwargs": {"path": str(path)}}


# A developer's own Airflow must not reach a test.
for _name in [name for name in os.environ if name.startswith("AIRFLOW")]:
    del os.environ[_name]
os.environ |= {
    "AIRFLOW_HOME": _home,
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "example_dags"),
    "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps(
        [
            _bundle("examples", ROOT / "example_dags"),
            _bundle("cookbook", ROOT / "docs" / "examples" / "cookbook"),
            _bundle("tests", ROOT / "tests" / "airflow" / "dags"),
        ]
    ),
    # Without one the process that writes airflow.cfg may use another key than those that read it.
    "AIRFLOW__CORE__FERNET_KEY": urlsafe_b64encode(secrets.token_bytes(32)).decode(),
    "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
    "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
}

# A property tries the same examples in every run, and no clock decides about it.
settings.register_profile(
    "repeatable", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("repeatable")

audit = LogAudit()
wire = WireAudit()


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name bytes that are not text by their argument: the head of a file can hold the time when it was made."""
    return argname if isinstance(val, bytes) and not val.isascii() else None


def pytest_configure() -> None:
    """Listen to everything that is logged and answered from now on, and learn each token as a sandbox issues it."""
    wire.install()
    root = logging.getLogger()
    root.addHandler(audit)
    root.setLevel(logging.DEBUG)

    from intacct_provider.exceptions import IntacctError
    from intacct_provider.sandbox.auth import Tokens
    from intacct_provider.sandbox.identity import CLIENT_SECRET, Identity

    audit.listen_to(IntacctError)
    issue, made = Tokens._issue, Identity.__init__

    def issue_and_tell(self, *args):
        token = issue(self, *args)
        audit.secrets.add(token)
        return token

    def make_and_tell(self, *args, **kwargs):
        made(self, *args, **kwargs)
        # The default is printed on purpose, in the start-up help of the command line.
        audit.secrets.update({self.client_secret} - {CLIENT_SECRET})

    Tokens._issue = issue_and_tell
    Identity.__init__ = make_and_tell


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    """Check what a test raised, even if it was caught, and let Airflow forget the secrets of its sandboxes.

    Airflow builds one expression of all secrets that a process has had, again for each new one. With those of
    thousands of tests that took more than half of the suite's time.
    """
    audit.check_raised(item.nodeid)
    for name in MASKERS:
        if (module := sys.modules.get(name)) is not None:
            module._secrets_masker().reset_masker()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Check what a test printed; Airflow's task logs get there, too. A worker has checked its own."""
    if hasattr(report, "node"):
        return
    for title, text in report.sections:
        audit.check(text, f"{title} of {report.nodeid}")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the run when anything logged a secret or answered what is not documented, whichever test it was."""
    audit.check_xcoms(Path(_home, "airflow.db"))
    if is_worker(session.config):
        session.config.workeroutput["audits"] = (audit.findings(), wire.findings())
        return
    unseen = whole_suite(session.config) and not (wire.answers and audit.exceptions and audit.xcoms)
    if (audit.leaks or wire.violations or unseen) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take over what the audits of a worker have found; one that crashed has failed the run already."""
    if found := getattr(node, "workeroutput", {}).get("audits"):
        audit.add(found[0])
        wire.add(found[1])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give whole modules to the workers."""
    return ModuleScheduling(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with what takes longest when workers share the tests, which all of them must collect alike."""
    changing = [item.nodeid for item in items if re.search(r" at 0x[0-9a-f]{6}", item.nodeid)]
    if changing:
        raise pytest.UsageError(f"Name the values of these tests, whose ids hold an address: {changing}")
    if is_worker(config):
        items[:] = order_items(items)


def is_worker(config: pytest.Config) -> bool:
    """Whether this process runs a part of the tests for another."""
    return hasattr(config, "workerinput")


def whole_suite(config: pytest.Config) -> bool:
    """Whether nobody chose some of the tests; sandboxes have answered then."""
    chosen = config.option.keyword or config.option.markexpr not in SUITES or config.option.collectonly
    return config.args_source is pytest.Config.ArgsSource.TESTPATHS and not chosen


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was audited, so that an audit of nothing shows."""
    terminalreporter.write_line(
        f"log audit: {audit.texts} texts, {audit.exceptions} exceptions and {audit.xcoms} XComs, "
        f"{audit.known} secrets and tokens, {len(audit.leaks)} leaks"
    )
    for leak in audit.leaks[:20]:
        terminalreporter.write_line(f"  SECRET LOGGED: {leak}", red=True)
    terminalreporter.write_line(
        f"wire audit: {wire.answers} answers, {len(wire.schemas)} schemas, {wire.violations.total()} violations",
        red=whole_suite(terminalreporter.config) and not wire.answers,
    )
    for violation, times in wire.violations.most_common(20):
        terminalreporter.write_line(f"  NOT AS DOCUMENTED: {violation}, {times} times", red=True)
