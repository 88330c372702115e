"""The example of the documentation, run as it stands, by somebody who has nothing but Airflow and the provider."""

import shutil
from pathlib import Path

EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "examples"
ELSEWHERE = '{"conn_type": "intacct", "host": "http://127.0.0.1:9/ia/api/v1", "login": "a", "password": "b"}'


def test_the_documented_example_passes_in_an_empty_project(project):
    for file in EXAMPLE.glob("*.py"):
        shutil.copy(file, project.folder)
    result = project.run(AIRFLOW_HOME=None, AIRFLOW_CONN_INTACCT_DEFAULT=ELSEWHERE)
    assert result.counts == {"passed": 3}, result.output
    assert [path.name for path in project.home.iterdir()] == []
