"""Check that the package works once installed: build the wheel and use it in a new environment.

The wheel holds the whole package and nothing beside it. All commands of the documentation do what their pages say, in
an empty folder and for a user with an empty home. Airflow finds the example DAGs, and the sandbox answers. Everything
happens in a temporary directory, in about three minutes.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from company import ROOT, ToolError, check, exit_on_signals, say, step
from documented_commands import PORT, follow_pages
from install import pip_configuration, uv_settings
from start_airflow import free_ports, is_free

PACKAGE = "intacct_provider"
#: Where Airflow looks for example DAGs: named after the distribution.
EXAMPLES = "airflow_provider_intacct"
ENTRY_POINTS = ("airflow.plugins", "apache_airflow_provider", "pytest11")
#: Airflow with its examples, as by default.
AIRFLOW_DEFAULTS = {"AIRFLOW__CORE__LOAD_EXAMPLES": "True"}
FIND_EXAMPLES = """
import logging
logged = []
logging.getLogger().addHandler(type("Keep", (logging.Handler,), {"emit": lambda _, record: logged.append(record)})())
from airflow.dag_processing.bundles.manager import DagBundlesManager
[bundle] = [one for one in DagBundlesManager().get_all_dag_bundles() if "intacct" in one.name]
assert not [record for record in logged if "intacct" in record.getMessage() and record.levelname != "INFO"], logged
print(bundle.name, len([*bundle.path.glob("*.py")]), "DAG files")
"""
#: Files that users copy.
INSTALL = ROOT / "docs" / "examples" / "install"
#: The commands for the client without Airflow.
ALONE = re.compile(r"^```text\n(pip install --no-deps .+?)^```$", re.MULTILINE | re.DOTALL)
USE_CLIENT = """
import importlib.util
from intacct_provider.client import IntacctClient, IntacctConfig
assert importlib.util.find_spec("airflow") is None
config = IntacctConfig(
    client_id="sandbox-client",
    client_secret="sandbox-secret",
    company_id="SANDBOX",
    user_id="airflow",
    base_url="{url}",
)
with IntacctClient(config) as client:
    rows = list(client.iter_rows("accounts-receivable/customer", ["id"]))
print(len(rows), "customers read without Airflow")
"""
INSTALL_SECONDS = 600
TEST_SECONDS = 300
STOP_SECONDS = 10
ANSWER_SECONDS = 10


def main() -> None:
    """Run all checks; the first failure ends them."""
    with tempfile.TemporaryDirectory(prefix="intacct-package-") as name:
        folder = Path(name)
        step("Build the wheel")
        wheel = build(folder / "dist")
        step(f"Check the files of {wheel.name}")
        check_files(wheel)
        step("Follow the documentation, from the installation to a DAG run in Airflow's user interface")
        project = folder / "project"
        project.mkdir()
        env = own_environment(folder / "home") | installer_environment(folder, wheel)
        port = PORT if is_free(int(PORT)) else str(free_ports(1)[0])
        follow_pages(project, env, port, skip=("make ",))
        python = str(project / ".venv" / "bin" / "python")
        step("Resolve the requirements of the installation page")
        say(resolve_requirements(wheel, folder))
        step("Look for the provider and its examples where Airflow looks")
        airflow = str(project / ".venv" / "bin" / "airflow")
        check(
            "airflow-provider-intacct" in run_all([airflow, "providers", "list"], project, env), "not listed"
        )
        say(run([python, "-c", FIND_EXAMPLES], project, env | AIRFLOW_DEFAULTS, TEST_SECONDS))
        step("Look at the sandbox's page")
        with sandbox(python, project, env) as site:
            check_site(site)
            step("Use the client where Airflow is not installed")
            say(use_client_alone(site, folder / "alone", env))
    print("\nThe package works.", flush=True)


def build(folder: Path) -> Path:
    """Build the wheel as ``pip install`` would."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "-q", "--no-deps"]
    run([*command, "-w", str(folder), str(ROOT)], ROOT, dict(os.environ), INSTALL_SECONDS)
    [wheel] = folder.glob("*.whl")
    return wheel


def check_files(wheel: Path) -> None:
    """Check that the wheel has exactly the files of the packages, and the example DAGs where Airflow looks for them."""
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
        [entry_points] = [name for name in held if name.endswith(".dist-info/entry_points.txt")]
        sections = re.findall(r"\[(.+)\]", archive.read(entry_points).decode())
    metadata = entry_points.removesuffix("entry_points.txt")
    present = {*list_files(PACKAGE), *list_files(EXAMPLES)}
    present |= {f"{EXAMPLES}/{name}" for name in list_files("example_dags")}
    say(f"{len(held)} files, {sum(name.startswith(f'{PACKAGE}/sandbox/') for name in held)} of the sandbox")
    missing = sorted(present - held)
    stray = sorted(name for name in held - present if not name.startswith(metadata))
    check(not missing, f"not in the wheel: {', '.join(missing)}")
    check(not stray, f"in the wheel, though not of the package: {', '.join(stray)}")
    check(set(sections) == set(ENTRY_POINTS), f"the entry points are {', '.join(sections)}")


def list_files(folder: str) -> set[str]:
    """Return the files of a folder of the checkout, relative to the checkout."""
    return {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def own_environment(home: Path) -> dict[str, str]:
    """Return an environment that uses neither this checkout nor the user's own Airflow."""
    home.mkdir()
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AIRFLOW", "INTACCT", "PYTEST", "PYTHON"))
    }
    return kept | {"HOME": str(home)}


def installer_environment(folder: Path, wheel: Path) -> dict[str, str]:
    """Return variables by which ``python3`` is this one, and pip installs the wheel and the tested versions."""
    programs, versions = folder / "bin", folder / "constraints.txt"
    programs.mkdir()
    python = programs / "python3"
    python.write_text(f'#!/bin/sh\nexec "{Path(sys.executable).resolve()}" "$@"\n')
    python.chmod(0o755)
    version = wheel.name.split("-")[1]
    pinned = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    versions.write_text(f"{pinned}\nairflow-provider-intacct=={version}\n", encoding="utf-8")
    places = [*os.environ.get("PIP_FIND_LINKS", "").split(), str(wheel.parent)]
    [port, *log_ports] = map(str, free_ports(3))
    return {
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "PYTHONUNBUFFERED": "1",
        "PIP_CONSTRAINT": str(versions),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_FIND_LINKS": " ".join(places),
        # What is usual there may be taken on this machine.
        "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{port}",
        "AIRFLOW__API__PORT": port,
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": log_ports[0],
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": log_ports[1],
    }


def resolve_requirements(wheel: Path, folder: Path) -> str:
    """Resolve each line that the page gives users to copy against the wheel; return what it became."""
    lines = [
        line
        for file in sorted(INSTALL.glob("requirements*.txt"))
        for line in file.read_text(encoding="utf-8").splitlines()
        # A file of Airflow's own, which the network has; the lines below it count here.
        if not line.startswith("--constraint ")
    ]
    given = folder / "requirements.txt"
    given.write_text("\n".join(lines), encoding="utf-8")
    uv = [sys.executable, "-m", "uv", "pip", "compile", "-q", "--no-header", "--no-deps", "--no-annotate"]
    found = run_all(
        [*uv, "--find-links", str(wheel.parent), str(given)],
        folder,
        os.environ | uv_settings(pip_configuration()),
    )
    version = wheel.name.split("-")[1]
    check(found.strip() == f"airflow-provider-intacct=={version}", f"the requirements became {found.strip()}")
    return f"{len(lines)} lines: {found.strip()}"


def use_client_alone(site: str, folder: Path, env: dict[str, str]) -> str:
    """Install the client as the page says, without Airflow, and query the sandbox; return what it printed."""
    commands = ALONE.findall((ROOT / "docs" / "install.md").read_text(encoding="utf-8"))
    check(len(commands) == 1, "the installation page does not say how to install the client alone")
    run(["python3", "-m", "venv", str(folder)], ROOT, env, INSTALL_SECONDS)
    for line in commands[0].splitlines():
        run([str(folder / "bin" / line.split()[0]), *line.split()[1:]], folder, env, INSTALL_SECONDS)
    code = USE_CLIENT.format(url=f"{site}ia/api/v1")
    return run([str(folder / "bin" / "python"), "-c", code], folder, env, TEST_SECONDS)


@contextmanager
def sandbox(python: str, folder: Path, env: dict[str, str]) -> Iterator[str]:
    """Run the sandbox from the command line; yield the address of its page."""
    command = [python, "-m", f"{PACKAGE}.sandbox", "--port", "0"]
    with subprocess.Popen(command, cwd=folder, env=env, stdout=subprocess.PIPE, text=True) as child:
        try:
            first = child.stdout.readline() if child.stdout else ""
            address = re.search(r"http://127\.0\.0\.1:\d+/", first)
            if address is None:
                raise ToolError("The sandbox did not start.")
            yield address[0]
        finally:
            child.terminate()
            try:
                child.communicate(timeout=STOP_SECONDS)
            except subprocess.TimeoutExpired:
                child.kill()
                raise ToolError("The sandbox did not stop.") from None
    check(child.returncode == 0, f"the sandbox ended with {child.returncode}")


def check_site(site: str) -> None:
    """Request the page, its static files, and the OpenAPI document."""
    page = get(site)
    check("<html" in page.lower(), f"{site} answers no page")
    files = re.findall(r'(?:href|src)="/?([^"?#]+\.(?:css|js|svg|ico))["?#]', page)
    for name in dict.fromkeys(files):
        get(site + name)
    paths = json.loads(get(f"{site}openapi.json")).get("paths", {})
    say(f"{site} answers with a page, {len(set(files))} files for it, and {len(paths)} addresses of the API")


def get(address: str) -> str:
    """Return the text at an address of the sandbox."""
    try:
        with urllib.request.urlopen(address, timeout=ANSWER_SECONDS) as answer:  # noqa: S310 - loopback only
            return str(answer.read().decode())
    except (urllib.error.URLError, OSError) as problem:
        raise ToolError(f"{address}: {problem}") from None


def run(command: list[str], folder: Path, env: Mapping[str, str], seconds: int) -> str:
    """Run a command that must succeed; return the last line of its output."""
    return run_all(command, folder, env, seconds).strip().rpartition("\n")[2]


def run_all(command: list[str], folder: Path, env: Mapping[str, str], seconds: int = TEST_SECONDS) -> str:
    """Run a command that must succeed; return its output."""
    try:
        done = subprocess.run(
            command, cwd=folder, env=dict(env), timeout=seconds, check=True, capture_output=True, text=True
        )
    except subprocess.CalledProcessError as failed:
        print(f"{failed.stdout}\n{failed.stderr}")
        raise ToolError(f"{' '.join(command)} ended with {failed.returncode}.") from None
    except subprocess.TimeoutExpired:
        raise ToolError(f"{' '.join(command)} took longer than {seconds} s.") from None
    return done.stdout


if __name__ == "__main__":
    exit_on_signals()
    try:
        main()
    except ToolError as problem:
        sys.exit(f"\nFailed. {problem}")
    except KeyboardInterrupt:
        sys.exit("\nStopped.")
