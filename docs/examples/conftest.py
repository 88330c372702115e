"""Give the tests an Airflow of their own: a new home, and a new database in it."""

import os
import tempfile
from pathlib import Path

import pytest

home = tempfile.TemporaryDirectory()

# Airflow reads all Python files in its folder and below, so it gets the DAG files alone, without a .venv beside them.
dags = Path(home.name, "dags")
dags.mkdir()
for file in Path(__file__).parent.glob("*_dag.py"):
    (dags / file.name).symlink_to(file)

# Airflow reads these once, when it is first imported.
os.environ["AIRFLOW_HOME"] = home.name
os.environ["AIRFLOW__CORE__DAGS_FOLDER"] = str(dags)
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"


@pytest.fixture(scope="session", autouse=True)
def airflow_database():
    from airflow.utils.db import initdb

    initdb()
