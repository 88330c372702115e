"""Check that the package works once installed: build the wheel and use it in a new environment.

The wheel holds the whole package and nothing beside it; the documentation's example passes in an empty project;
the sandbox starts and answers. Everything happens in a temporary directory, in about two minutes.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from company import ROOT, ToolError, check, exit_on_signals, say, step

PACKAGE = "intacct_provider"
ENTRY_POINTS = ("apache_airflow_provider", "pytest11")
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
        step("Install it, and nothing else of this project")
        python = install(wheel, folder / "venv")
        project = folder / "project"
        project.mkdir()
        env = own_environment(folder / "home")
        step("Start the sandbox")
        with sandbox(python, project, env) as site:
            check_site(site)
        step("Run the documentation's example")
        for file in (ROOT / "docs" / "examples").glob("*.py"):
            shutil.copy(file, project)
        say(run([python, "-m", "pytest", "-q", "-p", "no:cacheprovider"], project, env, TEST_SECONDS))
    print("\nThe package works.", flush=True)


def build(folder: Path) -> Path:
    """Build the wheel as ``pip install`` would."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "-q", "--no-deps"]
    run([*command, "-w", str(folder), str(ROOT)], ROOT, dict(os.environ), INSTALL_SECONDS)
    [wheel] = folder.glob("*.whl")
    return wheel


def check_files(wheel: Path) -> None:
    """Check that the wheel has exactly the files of the package's folder."""
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
        [entry_points] = [name for name in held if name.endswith(".dist-info/entry_points.txt")]
        sections = re.findall(r"\[(.+)\]", archive.read(entry_points).decode())
    metadata = entry_points.removesuffix("entry_points.txt")
    present = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / PACKAGE).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    say(f"{len(held)} files, {sum(name.startswith(f'{PACKAGE}/sandbox/') for name in held)} of the sandbox")
    missing = sorted(present - held)
    stray = sorted(name for name in held - present if not name.startswith(metadata))
    check(not missing, f"not in the wheel: {', '.join(missing)}")
    check(not stray, f"in the wheel, though not of the package: {', '.join(stray)}")
    check(set(sections) == set(ENTRY_POINTS), f"the entry points are {', '.join(sections)}")


def install(wheel: Path, folder: Path) -> str:
    """Install the wheel and pytest into a new environment; return its Python."""
    run([sys.executable, "-m", "venv", str(folder)], ROOT, dict(os.environ), INSTALL_SECONDS)
    python = str(folder / ("Scripts" if os.name == "nt" else "bin") / "python")
    command = [python, "-m", "pip", "--disable-pip-version-check", "install", "-q"]
    command += ["-c", str(ROOT / "constraints.txt"), str(wheel), "pytest"]
    run(command, folder, dict(os.environ), INSTALL_SECONDS)
    return python


def own_environment(home: Path) -> dict[str, str]:
    """Return an environment that uses neither this checkout nor the user's own Airflow."""
    home.mkdir()
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AIRFLOW", "INTACCT", "PYTEST", "PYTHON"))
    }
    return kept | {"HOME": str(home)}


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


def run(command: list[str], folder: Path, env: dict[str, str], seconds: int) -> str:
    """Run a command that must succeed; return the last line of its output."""
    try:
        done = subprocess.run(
            command, cwd=folder, env=env, timeout=seconds, check=True, capture_output=True, text=True
        )
    except subprocess.CalledProcessError as failed:
        print(f"{failed.stdout}\n{failed.stderr}")
        raise ToolError(f"{' '.join(command)} ended with {failed.returncode}.") from None
    except subprocess.TimeoutExpired:
        raise ToolError(f"{' '.join(command)} took longer than {seconds} s.") from None
    return done.stdout.strip().rpartition("\n")[2]


if __name__ == "__main__":
    exit_on_signals()
    try:
        main()
    except ToolError as problem:
        sys.exit(f"\nFailed. {problem}")
    except KeyboardInterrupt:
        sys.exit("\nStopped.")
