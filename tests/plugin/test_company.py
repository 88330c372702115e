"""Somebody tests the DAGs of their own company: with a company file, and with as many records as they like."""

import json
import shutil
from pathlib import Path

import pytest
from companies import LINE, MACHINE, ledger, machines

pytestmark = pytest.mark.slow

CONFTEST = Path(__file__).resolve().parents[2] / "docs" / "examples" / "conftest.py"

FIELDS = [
    *("key", "journalEntry.key", "lineNumber", "txnType", "txnAmount", "glAccount.id"),
    *(f"dimensions.{name}.id" for name in ("location", "department", "nsp::plant", "nsp::machine")),
    "audit.modifiedDateTime",
]
DAG = f"""
from airflow.sdk import DAG, Param

from intacct_provider.transfers.intacct_to_object_storage import IntacctToObjectStorageOperator

with DAG("ledger", schedule=None, params={{"folder": Param(type="string")}}) as dag:
    IntacctToObjectStorageOperator(
        task_id="export_lines",
        object_name="{LINE}",
        fields={FIELDS},
        destination="{{{{ params.folder }}}}/lines.parquet",
        file_format="parquet",
    )
"""


def test_a_dag_reads_a_hundred_thousand_lines_with_custom_dimensions(project):
    shutil.copy(CONFTEST, project.folder)
    project.write("company.json", json.dumps(ledger()))
    project.write("ledger_dag.py", DAG)
    project.write(
        "test_ledger.py",
        f"""
        import pyarrow.compute as pc
        import pyarrow.parquet as pq
        import pytest
        from ledger_dag import dag

        @pytest.mark.intacct_sandbox(company="company.json", seed="{LINE}=100000")
        def test_every_line_is_exported(intacct_sandbox, tmp_path):
            assert dag.test(run_conf={{"folder": f"file://{{tmp_path}}"}}).state == "success"
            table = pq.read_table(tmp_path / "lines.parquet")
            assert len(table) == 100_000
            for dimension in ("nsp::plant", "nsp::machine", "department"):
                used = pc.unique(table[f"dimensions.{{dimension}}.id"].drop_null())
                assert len(used) > 1, dimension
            assert set(pc.unique(table["txnType"]).to_pylist()) == {{"debit", "credit"}}
        """,
    )
    result = project.run(AIRFLOW_HOME=None)
    assert result.counts == {"passed": 1}, result.output


def test_the_marker_and_the_ini_option_name_the_company(project):
    project.write(
        "pytest.ini", "[pytest]\naddopts = -p no:cacheprovider\nintacct_sandbox_company = all.json\n"
    )
    project.write("all.json", json.dumps(machines()))
    project.write("other.json", json.dumps(ledger()))
    project.write("wrong.json", '{"format": "other"}')
    project.write(
        "test_marked.py",
        f"""
        import pytest

        @pytest.mark.intacct_sandbox(seed="demo")
        def test_all(intacct_sandbox):
            assert len(intacct_sandbox.records("{MACHINE}")) >= 10

        def test_session(intacct_sandbox_session):
            assert len(intacct_sandbox_session.records("{MACHINE}")) >= 10

        @pytest.mark.intacct_sandbox(company="other.json")
        def test_marked(intacct_sandbox):
            assert intacct_sandbox.records("{LINE}") == []

        @pytest.mark.intacct_sandbox(company="wrong.json")
        def test_wrong(intacct_sandbox):
            pass
        """,
    )
    result = project.run()
    assert result.counts == {"passed": 3, "error": 1}, result.output
    assert "intacct_sandbox: the company file wrong.json: format must be 'intacct-company/1'" in result.output
