"""The documentation: links work, code blocks compile, lists are complete."""

from __future__ import annotations

import ast
import importlib.util
import re
from pathlib import Path

import pytest

from intacct_provider.client.config import EXTRAS

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").glob("*.md")),
]
TEXTS = {str(page.relative_to(ROOT)): page.read_text(encoding="utf-8") for page in PAGES}
FENCED = re.compile(r"^```(?P<kind>\S*)[^\n]*\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s]+)\)")
INCLUDED = re.compile(r"^```\{(?:literalinclude|include)\} (?P<path>\S+)", re.MULTILINE)
# Home and work folders of one machine; /tmp in a connection or a container is fine.
MACHINE_PATHS = re.compile(r"(?<![\w.])/(?:home|root|work|Users|mnt|opt|srv)/\w|[A-Z]:\\")
REGISTRIES = re.compile(
    r"pypi|pythonhosted|anaconda\.org|conda-forge|npmjs|shields\.io|readthedocs", re.IGNORECASE
)

pages = pytest.mark.parametrize("page", TEXTS)


def find_python_blocks() -> list[tuple[str, str]]:
    return [
        (page, block["body"])
        for page, text in TEXTS.items()
        for block in FENCED.finditer(text)
        if block["kind"] == "python"
    ]


def find_anchors(text: str) -> set[str]:
    """Return the anchors of a page's headings, as GitHub and MyST generate them."""
    headings = re.findall(r"^#{1,6} (.+)$", FENCED.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pages
def test_relative_links_work(page: str) -> None:
    folder = (ROOT / page).parent
    for target in LINK.findall(FENCED.sub("", TEXTS[page])):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        file = folder / path if path else ROOT / page
        assert file.exists(), f"{page} links to {target}"
        if anchor:
            assert anchor in find_anchors(file.read_text(encoding="utf-8")), f"{page} links to {target}"


@pages
def test_included_files_exist(page: str) -> None:
    for path in INCLUDED.findall(TEXTS[page]):
        assert ((ROOT / page).parent / path).is_file(), f"{page} includes {path}"


def test_there_are_blocks_to_check() -> None:
    assert len(find_python_blocks()) > 10


@pytest.mark.parametrize(("page", "code"), find_python_blocks())
def test_python_blocks_compile(page: str, code: str) -> None:
    compile(code, page, "exec")


@pytest.mark.parametrize(("page", "code"), find_python_blocks())
def test_names_imported_from_the_provider_exist(page: str, code: str) -> None:
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("intacct_provider"):
            missing = {alias.name for alias in node.names} - find_names(str(node.module))
            assert not missing, f"{page} imports {missing} from {node.module}"


def find_names(module: str) -> set[str]:
    """Return the names that can be imported from a module, without running it or Airflow."""
    spec = importlib.util.find_spec(module)
    assert spec is not None, f"module {module} not found"
    assert spec.origin is not None
    tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names}
    return names


def test_the_connection_page_names_every_extra() -> None:
    table = TEXTS["docs/connection.md"].partition("| extra | default |")[2].partition("\n\n")[0]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == list(EXTRAS)


def test_the_errors_page_names_every_error() -> None:
    sources = (ROOT / "intacct_provider").rglob("*.py")
    defined = {
        name
        for source in sources
        for name in re.findall(
            r"^class (Intacct\w+Error)\(", source.read_text(encoding="utf-8"), re.MULTILINE
        )
    }
    # Base classes, which are rarely raised themselves.
    listed = set(re.findall(r"^\| `(Intacct\w+)` \|", TEXTS["docs/errors.md"], re.MULTILINE))
    assert defined - {"IntacctError", "IntacctAPIError"} == listed


@pages
def test_no_page_names_a_machine_or_a_registry(page: str) -> None:
    assert not MACHINE_PATHS.search(TEXTS[page])
    assert not REGISTRIES.search(TEXTS[page])


def find_section(page: str, anchor: str) -> str:
    """Return the text of a page below the heading with an anchor; the whole page without one."""
    text = TEXTS[page]
    if not anchor:
        return text
    sections = re.split(r"^(?=#{2,3} )", text, flags=re.MULTILINE)
    (found,) = [one for one in sections if find_anchors(one.partition("\n")[0] + "\n") == {anchor}]
    return found


OPERATORS = TEXTS["docs/operators.md"]
ROWS = [
    (name, target)
    for row in re.findall(r"^\| .+ \|$", OPERATORS, re.MULTILINE)
    for name in re.findall(r"`(Intacct\w+)`", row.split(" | ")[1])
    for target in LINK.findall(row)
]


def test_the_page_of_operators_names_every_class_for_dags() -> None:
    folders = ("operators", "sensors", "transfers", "triggers", "policies")
    defined = {
        name
        for folder in folders
        for source in (ROOT / "intacct_provider" / folder).glob("*.py")
        for name in re.findall(r"^class (Intacct\w+)\(", source.read_text(encoding="utf-8"), re.MULTILINE)
    }
    bases = {"IntacctOperator", "IntacctConditionSensor", "IntacctExportOperator"}
    assert defined - bases == set(re.findall(r"`(Intacct\w+)`", OPERATORS)) - {"IntacctHook"}
    assert len(ROWS) > 15


@pytest.mark.parametrize(("name", "target"), ROWS)
def test_the_section_about_a_class_names_it(name: str, target: str) -> None:
    path, _, anchor = target.partition("#")
    section = find_section(f"docs/{path}", anchor)
    shown = INCLUDED.findall(section)
    included = "".join((ROOT / "docs" / file).read_text(encoding="utf-8") for file in shown)
    assert name in section + included


def test_the_numbers_of_the_start_page_are_the_measured_ones() -> None:
    start = TEXTS["docs/index.md"]
    faults = re.findall(r"^\| .+ \| \d+ \|$", TEXTS["docs/reliability.md"], re.MULTILINE)
    assert "More than 80 kinds of faults" in start
    assert len(faults) > 80
    runs = (
        TEXTS["docs/performance.md"].partition("<!-- export_1m_200ms_6 -->")[2].partition("<!-- end -->")[0]
    )
    ours, best = (
        re.search(rf"^\| {name} \| ([\d.]+)", runs, re.MULTILINE)
        for name in ("our operator, JSONL", "loop with requests, best")
    )
    assert ours is not None
    assert best is not None
    assert f"a million rows take {ours[1]} s; the best alternative took {best[1]} s" in start
    others = re.findall(r"^\| (?!our|ceiling)\S.*? \| ([\d.]+) \|", runs.partition("---")[2], re.MULTILINE)
    assert float(best[1]) == min(map(float, others))
