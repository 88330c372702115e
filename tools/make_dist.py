"""Build what a release consists of into ``dist/``: source distribution, wheel, and a list of what comes with the wheel.

The list (SBOM) is in the form of CycloneDX, and made from an environment that has nothing but the wheel and what it
needs, in the versions of ``constraints.txt``. The wheel is built from the source distribution, and both must pass
``twine check``. Takes about a minute. Nothing is uploaded.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import zipfile
from pathlib import Path

from check_package import INSTALL_SECONDS, check_files, run_all
from company import ROOT, ToolError, check, exit_on_signals, say, step
from install import pip_configuration, uv_settings

DIST = ROOT / "dist"
NAME = "airflow-provider-intacct"
#: Packages that the list must have, because the wheel asks for them.
EXPECTED = ("apache-airflow", "msgspec", "pendulum", "pyyaml", "requests")
BIN = Path(sys.executable).parent


def main() -> None:
    """Build and check everything; the first failure ends it."""
    shutil.rmtree(DIST, ignore_errors=True)
    env = {**os.environ, **uv_settings(pip_configuration())}
    step("Build source distribution and wheel")
    run_all([str(BIN / "uv"), "build", "-q", "--out-dir", str(DIST), str(ROOT)], ROOT, env, INSTALL_SECONDS)
    [wheel] = DIST.glob("*.whl")
    [source] = DIST.glob("*.tar.gz")
    check_files(wheel)
    step("Check what an index would show")
    run_all(
        [sys.executable, "-m", "twine", "check", "--strict", str(wheel), str(source)],
        ROOT,
        env,
        INSTALL_SECONDS,
    )
    say("README and metadata are in order")
    step("List what the wheel brings along")
    bill = DIST / f"{wheel.name.split('-py3')[0]}.cdx.json"
    with tempfile.TemporaryDirectory(prefix="intacct-dist-") as name:
        describe(wheel, bill, Path(name), env)
    say(f"{check_bill(bill, read_version(wheel))} packages")
    print("\nReady to publish:", *sorted(path.name for path in (wheel, source, bill)), sep="\n  ", flush=True)


def describe(wheel: Path, bill: Path, folder: Path, env: dict[str, str]) -> None:
    """Write the list of the packages in a new environment that has the wheel."""
    python = folder / "bin" / "python"
    uv = str(BIN / "uv")
    run_all([uv, "venv", "-q", "--python", sys.executable, str(folder)], ROOT, env)
    constraints = str(ROOT / "constraints.txt")
    command = [uv, "pip", "install", "-q", "--python", str(python), "-c", constraints, str(wheel)]
    run_all(command, ROOT, env, INSTALL_SECONDS)
    command = [str(BIN / "cyclonedx-py"), "environment", str(python), "--output-reproducible", "--of", "JSON"]
    about = ["--mc-type", "library", "--pyproject", str(ROOT / "pyproject.toml")]
    run_all([*command, *about, "-o", str(bill)], ROOT, env)
    # Where the wheel was when it was installed says nothing to anybody else.
    text = bill.read_text(encoding="utf-8").replace(wheel.as_uri(), wheel.name)
    bill.write_text(text, encoding="utf-8")


def check_bill(bill: Path, version: str) -> int:
    """Check that the list is about this release, has what it needs, and names no place of this machine."""
    text = bill.read_text(encoding="utf-8")
    found = json.loads(text)
    about = found["metadata"]["component"]
    check(found["bomFormat"] == "CycloneDX", "the list is not in the form of CycloneDX")
    check((about["name"], about["version"]) == (NAME, version), f"the list is about {about['name']}")
    names = {part["name"].lower() for part in found["components"]}
    missing = [name for name in EXPECTED if name not in names]
    check(not missing, f"not in the list: {', '.join(missing)}")
    places = [place for place in (str(ROOT), tempfile.gettempdir(), str(Path.home())) if f"{place}/" in text]
    check(not places, f"the list names {', '.join(places)}")
    return len(names)


def read_version(wheel: Path) -> str:
    """Return the version in the metadata of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        [name] = [one for one in archive.namelist() if one.endswith(".dist-info/METADATA")]
        lines = archive.read(name).decode().splitlines()
    return next(line for line in lines if line.startswith("Version: ")).removeprefix("Version: ")


if __name__ == "__main__":
    exit_on_signals()
    try:
        main()
    except ToolError as problem:
        sys.exit(f"\nFailed. {problem}")
