"""Give the tests an Airflow of their own: a new home, and a new database in it."""

import os
import tempfile
from pathlib import Path

import pytest

# Airflow reads these once, when it is first imported.
home = tempfile.TemporaryDirectory()
os.environ["AIRFLOW_HOME"] = home.name
os.environ["AIRFLOW__CORE__DAGS_FOLDER"] = str(Path(__file__).parent)
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"


@pytest.fixture(scope="session", autouse=True)
def airflow_database():
    from airflow.utils.db import initdb

    initdb()
