"""The package can be installed with each release of Airflow that it says it supports."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
FILES = sorted((ROOT / "constraints").glob("airflow-*.txt"))
#: What a package needs that it does not come with; these are Airflow's own, and those of extras that ask for them.
PROVIDERS = {"apache-airflow-providers-common-sql", "apache-airflow-providers-openlineage"}
#: Modules of Airflow that one of 3.1 to 3.4 lacks, or keeps elsewhere, and the modules of ours that may name them.
MOVED = re.compile(
    r"airflow\.(sdk\.(configuration|exceptions|lineage|observability)|configuration|exceptions|lineage|stats"
    r"|providers\.common\.compat\.sdk)\b"
)
NEWER = {"airflow.triggers.shared_stream"}

releases = pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])


def read_pins(file: Path) -> dict[str, str]:
    lines = [line for line in file.read_text(encoding="utf-8").splitlines() if line and line[0] != "#"]
    return {canonicalize_name(name): pin for name, _, pin in (line.partition("==") for line in lines)}


def list_requirements() -> list[Requirement]:
    extras = PROJECT["optional-dependencies"]
    users = [name for name in extras if "dev" not in name and name != "release"]
    ours = [*PROJECT["dependencies"], *(one for name in users for one in extras[name])]
    return [Requirement(one) for one in ours]


def list_imports() -> list[tuple[str, str, bool]]:
    """Return the file, the module, and whether the import is done when the file is loaded, for each import."""
    found = []
    for path in sorted((ROOT / "intacct_provider").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        loaded = set(map(id, tree.body))
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module:
                found.append((path.name, node.module, id(node) in loaded))
    return found


def test_each_supported_line_has_its_constraints():
    assert [file.stem for file in FILES] == [f"airflow-3.{minor}" for minor in (1, 2, 3, 4)]


@releases
def test_the_packages_of_the_time_of_a_release_are_allowed(file):
    """Airflow's official constraints hold the same: what was the newest when the release came."""
    pins = read_pins(file)
    refused = [
        f"{one} excludes {pins[canonicalize_name(one.name)]}"
        for one in list_requirements()
        if not one.specifier.contains(Version(pins[canonicalize_name(one.name)]), prereleases=True)
    ]
    assert refused == []


@releases
def test_the_file_is_of_the_line_that_it_is_named_after(file):
    pins = read_pins(file)
    assert file.stem == "airflow-" + ".".join(pins["apache-airflow"].split(".")[:2])
    assert pins["apache-airflow"] == pins["apache-airflow-core"]
    head = file.read_text(encoding="utf-8").splitlines()[0]
    assert re.fullmatch(
        rf"# .* Airflow {re.escape(pins['apache-airflow'])}, as of 2\d{{3}}-\d\d-\d\d\.", head
    )


@releases
def test_it_names_no_place_to_install_from(file):
    assert not re.search(r"://|^-| @ ", file.read_text(encoding="utf-8"), re.MULTILINE)


def test_no_provider_is_needed_beside_those_that_airflow_brings_along():
    needed = {one.name for one in list_requirements() if one.name.startswith("apache-airflow-providers-")}
    assert needed == PROVIDERS
    assert not [one for one in map(Requirement, PROJECT["dependencies"]) if "providers" in one.name]


def test_names_that_have_moved_are_imported_in_one_module():
    moved = [(file, module) for file, module, _ in list_imports() if MOVED.match(module)]
    assert {file for file, _ in moved} == {"_compat.py"}


def test_what_newer_releases_have_is_imported_where_it_is_used():
    early = {file for file, module, loaded in list_imports() if loaded and module in NEWER}
    assert early == {"queue_stream.py"}  # which a triggerer loads only if it has such streams


def test_the_page_has_a_row_for_each_line():
    page = (ROOT / "docs" / "versions.md").read_text(encoding="utf-8")
    rows = re.findall(
        r"^\| (3\.\d+)\.\S+ \| [\d-]+ \| 3\.\d+\.\d+ \| [\d,]+ / \d+ / \d+, [\d-]+ \|", page, re.MULTILINE
    )
    assert sorted(set(rows)) == [file.stem.removeprefix("airflow-") for file in FILES]
