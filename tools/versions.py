"""Install the package with each supported release of Airflow, as its users do, and run the tests there.

Call it as ``python tools/versions.py [--suite SUITE]... [RELEASE]...``, with releases such as ``3.1``; without any, all
of them. For each one a new environment gets Airflow and the built wheel, resolved as of a day on which that
release was the newest. Every module and every example DAG must load there, without a deprecation warning of our making.
Then the test tools are added, from ``constraints/airflow-<release>.txt``, and the suites run; each result goes into the
table of ``docs/versions.md``. The suite ``short`` is what touches Airflow. Each Python from 3.11 on that is on the path
has its turn, in a row of its own. ``--constraints`` writes the constraint files instead.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import re
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from check_package import build, own_environment
from company import ROOT, ToolError, check, exit_on_signals, say, step
from install import pip_configuration, uv_settings

PAGE = ROOT / "docs" / "versions.md"
#: The heading above the table.
TITLE = "## What was run"
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
EXTRAS = ("dev", "parquet", "sql", "openlineage")
#: What the suites are called in the table, and what they run. Slow tests start Airflow as processes: not here.
SUITES = {
    "short": [
        *(
            f"tests/unit/{room}"
            for room in ("assets", "hooks", "operators", "policies", "sensors", "triggers")
        ),
        "tests/airflow/test_provider.py",
    ],
    "unit": ["tests/unit"],
    "sandbox": ["tests/sandbox"],
    "dag.test()": ["tests/airflow"],
}
NOT_RUN = "not run"
INSTALL_SECONDS = 900
TEST_SECONDS = 3600
_ASK = "import platform; print(platform.python_version())"


@dataclass(frozen=True, slots=True)
class Release:
    """A release of Airflow, and a day on which it was the newest: what is newer than that day is not installed."""

    version: str
    day: str

    @property
    def name(self) -> str:
        """Its minor version, such as ``3.1``."""
        return ".".join(self.version.split(".")[:2])

    @property
    def constraints(self) -> Path:
        """The file with what the tests are installed with."""
        return ROOT / "constraints" / f"airflow-{self.name}.txt"


RELEASES = (
    Release("3.1.8", "2026-03-20"),
    Release("3.2.2", "2026-06-20"),
    Release("3.3.2", "2026-10-15"),
    Release("3.4.0b2", "2026-11-29"),
)
#: The first releases of the lines, whose users have the oldest packages: the package is installed and loaded there.
FIRST = {"3.1": Release("3.1.0", "2025-09-27"), "3.2": Release("3.2.0", "2026-04-10")}


def main(arguments: list[str]) -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("release", nargs="*", metavar="RELEASE", help="such as 3.1; all of them by default")
    parser.add_argument("--suite", action="append", choices=[*SUITES], help="run this one only")
    parser.add_argument("--constraints", action="store_true", help="write the constraint files")
    given = parser.parse_args(arguments)
    releases = [one for one in RELEASES if not given.release or one.name in given.release]
    unknown = set(given.release) - {one.name for one in RELEASES}
    check(
        not unknown,
        f"Unknown: {', '.join(sorted(unknown))}. There are {', '.join(one.name for one in RELEASES)}.",
    )
    if given.constraints:
        for release in releases:
            write_constraints(release)
        return
    with tempfile.TemporaryDirectory(prefix="intacct-versions-") as name:
        wheel = build(Path(name) / "dist")
        pythons = [sys.executable] if given.suite else list(find_pythons())
        failed = [
            f"Airflow {release.version}"
            for release in releases
            for python in pythons
            if not test(release, python, wheel, Path(name), suites=given.suite or [*SUITES][1:])
        ]
    check(not failed, f"Tests failed on {', '.join(failed)}")


def find_pythons() -> Iterator[str]:
    """Yield the paths of the Pythons that can be used, one of each minor version; this one comes first."""
    yield sys.executable
    own = f"{sys.version_info.major}.{sys.version_info.minor}"
    yield from filter(None, (shutil.which(f"python{minor}") for minor in PYTHONS if minor != own))


def test(release: Release, python: str, wheel: Path, folder: Path, *, suites: Sequence[str]) -> bool:
    """Install a release and the package, load all of it, and run the tests; return whether they passed."""
    first = FIRST.get(release.name)
    if first and "short" not in suites:
        load(first, make_environment(python, folder / f"first-{release.name}"), wheel)
    environment = make_environment(python, folder / f"{release.name}-{Path(python).name}")
    load(release, environment, wheel)
    step(f"Airflow {release.version}: install the test tools, as of {release.day}")
    packages = ["-e", f"{ROOT}[{','.join(EXTRAS)}]"]
    install(environment, "--compile-bytecode", "-c", str(release.constraints), *packages)
    failures = 0
    for suite in suites:
        step(f"Airflow {release.version}: {suite}")
        passed, failed, skipped = run_tests(environment, SUITES[suite])
        write_result(release, ask(environment, _ASK), suite, f"{passed:,} / {failed} / {skipped}")
        failures += failed
    shutil.rmtree(environment)
    return not failures


def make_environment(python: str, folder: Path) -> Path:
    """Make an empty virtual environment."""
    uv("venv", "-q", "--python", python, str(folder))
    return folder


def load(release: Release, environment: Path, wheel: Path) -> None:
    """Install a release with the wheel, as its users do, and load every module and every example DAG."""
    step(f"Airflow {release.version}: install it with the package, as of {release.day}, and load everything")
    check_day(release)
    requirements = [f"apache-airflow=={release.version}", str(wheel)]
    install(environment, "--exclude-newer", release.day, *requirements)
    home = environment / "home"
    env = own_environment(home) | {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "CRITICAL",
    }
    command = [
        find_python(environment),
        str(ROOT / "tools" / "load_everything.py"),
        str(ROOT / "example_dags"),
    ]
    done = subprocess.run(command, cwd=home, env=env, check=False, timeout=INSTALL_SECONDS)
    check(done.returncode == 0, f"On Airflow {release.version} not everything can be loaded")


def check_day(release: Release) -> None:
    """Check that a release was the newest on its day; pre-releases do not count."""
    found = resolve(release.day, "-", requirements="apache-airflow")
    newest = re.search(r"^apache-airflow==(\S+)$", found, re.MULTILINE)
    is_final = re.fullmatch(r"[\d.]+", release.version)
    check(not is_final or (newest is not None and newest[1] == release.version),
          f"{release.version} was not the newest Airflow on {release.day}")  # fmt: skip


def write_constraints(release: Release) -> None:
    """Write what the tests of a release are installed with, as it was resolved on its day."""
    extras = [word for extra in EXTRAS for word in ("--extra", extra)]
    pins = resolve(release.day, "-", str(ROOT / "pyproject.toml"), *extras,
                   requirements=f"apache-airflow=={release.version}")  # fmt: skip
    kept = [line for line in pins.splitlines() if "==" in line]
    head = f"# Every package of the tests with Airflow {release.version}, as of {release.day}."
    renew = "# Renew with: python tools/versions.py --constraints"
    release.constraints.write_text("\n".join([head, renew, *kept, ""]), encoding="utf-8")
    say(f"{release.constraints.relative_to(ROOT)}: {len(kept)} packages")


def resolve(day: str, *arguments: str, requirements: str) -> str:
    """Return the pins that requirements lead to on a day."""
    options = ["-q", "--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links"]
    return uv("pip", "compile", *options, "--python-version", PYTHONS[0], "--exclude-newer", day, *arguments,
              given=requirements)  # fmt: skip


def install(environment: Path, *arguments: str) -> None:
    """Install into an environment."""
    uv("pip", "install", "-q", "--python", find_python(environment), *arguments)


def uv(*arguments: str, given: str | None = None) -> str:
    """Run uv with the settings of pip; return what it prints."""
    env = {**os.environ, **uv_settings(pip_configuration())}
    command = [sys.executable, "-m", "uv", *arguments]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=env,
        input=given,
        capture_output=True,
        text=True,
        timeout=INSTALL_SECONDS,
        check=False,
    )
    if done.returncode:
        print(done.stderr)
    check(done.returncode == 0, f"uv {' '.join(arguments[:2])} ended with {done.returncode}")
    return done.stdout


def find_python(environment: Path) -> str:
    """Return the Python of an environment."""
    return str(environment / ("Scripts" if os.name == "nt" else "bin") / "python")


def ask(environment: Path, code: str) -> str:
    """Return what Python code prints there."""
    done = subprocess.run([find_python(environment), "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def run_tests(environment: Path, paths: list[str]) -> tuple[int, int, int]:
    """Run tests in an environment; return how many passed, failed and were skipped."""
    report = environment / "report.xml"
    report.unlink(missing_ok=True)
    path = f"{environment / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}"
    command = [
        find_python(environment),
        "-m",
        "pytest",
        "-q",
        "-n",
        "logical",
        "-m",
        "not slow",
        "--no-header",
    ]
    command += ["-p", "no:cacheprovider", f"--junitxml={report}", *paths]
    subprocess.run(command, cwd=ROOT, env={**os.environ, "PATH": path}, check=False, timeout=TEST_SECONDS)
    check(report.is_file(), f"pytest wrote no report on {' '.join(paths)}")
    suite = next(ET.parse(report).iter("testsuite")).attrib  # noqa: S314 - pytest's own
    failed, skipped = int(suite["failures"]) + int(suite["errors"]), int(suite["skipped"])
    return int(suite["tests"]) - failed - skipped, failed, skipped


def write_result(release: Release, python: str, suite: str, result: str) -> None:
    """Write the result of a suite into the row of a release and a Python."""
    say(f"{suite}: {result}")
    text = PAGE.read_text(encoding="utf-8")
    head, table, rest = split_page(text)
    minor = python.rpartition(".")[0]
    before = rf"\| {re.escape(release.name)}\.\S+ \| \S+ \| {re.escape(minor)}\.\d+ \| (.*) \|"
    old = next((found for one in table if (found := re.fullmatch(before, one))), None)
    results = dict(zip(SUITES, old[1].split(" | ") if old else [NOT_RUN] * len(SUITES), strict=True))
    results[suite] = f"{result}, {dt.datetime.now(dt.UTC).date().isoformat()}"
    row = f"| {' | '.join([release.version, release.day, python, *results.values()])} |"
    rows = sorted([*(one for one in table if not old or one != old[0]), row])
    PAGE.write_text("".join([head, *(f"{one}\n" for one in rows), rest]), encoding="utf-8")


def split_page(text: str) -> tuple[str, list[str], str]:
    """Return the page before the rows of its table of runs, the rows, and the page after them."""
    found = re.search(r"(?<=\| --- \|\n)(?:\| \d[^\n]*\n)*", text[text.index(TITLE) :])
    if found is None:
        raise ToolError(f"{PAGE.name} has no table below {TITLE!r}.")
    start, end = (text.index(TITLE) + at for at in found.span())
    return text[:start], found[0].splitlines(), text[end:]


if __name__ == "__main__":
    exit_on_signals()
    try:
        main(sys.argv[1:])
    except ToolError as problem:
        sys.exit(f"\nFailed. {problem}")
    except KeyboardInterrupt:
        sys.exit("\nStopped.")
