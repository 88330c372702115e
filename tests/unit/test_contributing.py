"""CONTRIBUTING.md describes the code as it is: packages, layers, where to look, commands and suites."""

from __future__ import annotations

import itertools
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "intacct_provider"
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LAYERS = [
    (contract["containers"][0], contract["layers"])
    for contract in PROJECT["tool"]["importlinter"]["contracts"]
    if contract["type"] == "layers"
]
#: Folders of tests/unit and tests/sandbox that are not about one package or module; "server" is the sandbox itself.
OTHERS = {"server", "support", "tools", "worlds"}


def section(title: str) -> str:
    """Return the text below a heading."""
    return TEXT.partition(f"# {title}\n")[2].partition("\n#")[0]


def cells(text: str) -> list[str]:
    """Return the first column of the tables in a text, where it is code."""
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| `")]
    return [row[0].strip("| ") for row in rows]


def list_modules(folder: Path) -> set[str]:
    """Return the names of the modules and folders in a folder of the package."""
    modules = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    return modules | {path.parent.name for path in folder.glob("*/__init__.py")}


@pytest.mark.parametrize(("container", "layers"), LAYERS)
def test_every_module_is_in_a_layer(container, layers):
    named = [module for layer in layers for module in re.split(r" [|:] ", layer)]
    assert sorted(named) == sorted(list_modules(ROOT / container.replace(".", "/")))


def test_the_picture_shows_the_layers_of_the_contract():
    [layers] = [layers for container, layers in LAYERS if container == "intacct_provider"]
    picture = section("Architecture").partition("```text\n")[2].partition("```")[0]
    drawn = [set(re.findall(r"\w+(?=/|\.py)", line)) for line in picture.splitlines()]
    height = {module: line for line, names in enumerate(drawn) for module in names}
    levels = [set(re.split(r" [|:] ", layer)) for layer in layers]
    assert set(height) == set().union(*levels)
    beside = {"sandbox", "testing"}  # drawn beside the others
    for above, below in itertools.pairwise(levels):
        highest, lowest = above - beside, below - beside
        assert max(height[one] for one in highest) <= min(height[one] for one in lowest)


def test_every_package_is_described():
    described = {
        name.strip("`").removesuffix("/").removesuffix(".py")
        for cell in cells(section("Architecture"))
        for name in cell.split(", ")
    }
    assert described == list_modules(PACKAGE)


def test_files_to_look_into_exist():
    named = re.findall(r"`([\w/]+\.py)`", section("Where to look"))
    assert len(named) > 20
    assert [name for name in named if not (PACKAGE / name).is_file()] == []


def test_commands_exist():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = set(re.findall(r"make ([a-z-]+)", TEXT))
    assert named <= targets
    assert {name for name in targets if name != "help"} <= named | set(re.findall(r"`([a-z-]+)`", TEXT))


def test_folders_of_tests_are_described():
    folders = {f"tests/{path.name}/" for path in (ROOT / "tests").iterdir() if any(path.glob("**/test_*.py"))}
    assert {cell.strip("`") for cell in cells(section("Tests")) if cell.startswith("`tests/")} == folders


@pytest.mark.parametrize("kind", ["unit", "sandbox"])
def test_tests_have_the_folders_of_what_they_test(kind):
    homes = {
        path.parent.relative_to(ROOT / "tests" / kind) for path in (ROOT / "tests" / kind).rglob("test_*.py")
    }
    names = {home for home in homes if home.parts and home.parts[0] not in OTHERS}
    assert {str(home) for home in names if not (PACKAGE / home).is_dir()} == set()


def test_unit_tests_are_named_after_the_module_that_they_test():
    tests = [
        path.relative_to(ROOT / "tests" / "unit") for path in (ROOT / "tests" / "unit").rglob("test_*.py")
    ]
    about_modules = [path for path in tests if len(path.parts) > 1 and path.parts[0] not in OTHERS]
    modules = {path: PACKAGE / path.parent / path.name.removeprefix("test_") for path in about_modules}
    assert {str(path) for path, module in modules.items() if not module.is_file()} == set()
