"""The examples of the documentation, run as they stand, by somebody who has nothing but Airflow and the provider."""

import json
import re
import shutil
import venv
from pathlib import Path

import pytest
from companies import machines

pytestmark = pytest.mark.slow

DOCS = Path(__file__).resolve().parents[2] / "docs"
EXAMPLE = DOCS / "examples"
ELSEWHERE = '{"conn_type": "intacct", "host": "http://127.0.0.1:9/ia/api/v1", "login": "a", "password": "b"}'


def test_the_documented_example_passes_in_an_empty_project(project):
    for file in EXAMPLE.glob("*.py"):
        shutil.copy(file, project.folder)
    result = project.run(AIRFLOW_HOME=None, AIRFLOW_CONN_INTACCT_DEFAULT=ELSEWHERE)
    assert result.counts == {"passed": 3}, result.output
    assert [path.name for path in project.home.iterdir()] == []


def test_the_documented_example_passes_beside_a_virtual_environment(project):
    """Airflow must not look for DAGs in it: a link in there leads to a folder that it has seen, which is an error."""
    for file in EXAMPLE.glob("*.py"):
        shutil.copy(file, project.folder)
    venv.create(project.folder / ".venv", with_pip=False, symlinks=True)
    (project.folder / ".venv" / "lib" / "link").symlink_to(project.folder / ".venv" / "lib")
    (project.folder / ".venv" / "lib" / "broken.py").write_text("raise Exception  # airflow dag\n")
    result = project.run("-k", "test_the_customer_is_in_the_group", AIRFLOW_HOME=None)
    assert result.counts == {"passed": 1}, result.output
    assert "broken.py" not in result.output


def test_the_other_tests_on_the_pages_pass(project):
    shutil.copy(EXAMPLE / "conftest.py", project.folder)
    project.write("company.json", json.dumps(machines()))
    pages = ("sandbox.md", "test-your-dags.md")
    text = "".join((DOCS / page).read_text(encoding="utf-8") for page in pages)
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    tests = [block for block in blocks if "def test_" in block]
    for number, block in enumerate(tests):
        project.write(f"test_block_{number}.py", block)
    result = project.run(AIRFLOW_HOME=None, AIRFLOW_CONN_INTACCT_DEFAULT=ELSEWHERE)
    assert len(tests) == 6
    assert result.counts == {"passed": 6}, result.output
