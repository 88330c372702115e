"""The example that loads the general ledger for dbt, run by Airflow on the models that the package ships."""

from __future__ import annotations

import secrets

import pytest
from postgres import cluster
from sandbox_client import client_of

from intacct_provider.sandbox import Sandbox

LINE = "general-ledger/journal-entry-line"
SEED = f"{LINE}=40,general-ledger/account=5,company-config/location=2"
#: What the staging models of the package read.
DETAIL = """
recordno accountno accounttitle amount basecurr batch_date batch_no batch_title batchkey bookid classid classname
creditamount currency customerid customername debitamount departmentid departmenttitle description docnumber document
entry_date entry_state entrydescription line_no locationid locationname modified prdescription recordid recordtype
totaldue totalentered totalpaid tr_type trx_amount trx_creditamount trx_debitamount vendorid vendorname whencreated
whendue whenmodified whenpaid
"""
ACCOUNT = """
recordno accountno title accounttype category categorykey closetoacctkey closingaccountno closingaccounttitle
closingtype normalbalance alternativeaccount status taxable createdby modifiedby whencreated whenmodified
"""


def run_statement(connection, sql):
    """Run a statement, and return its rows if it has any."""
    cursor = connection.execute(sql)
    return cursor.fetchall() if cursor.description else []


@pytest.fixture
def database(monkeypatch):
    with cluster() as server:
        monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", server.connection("postgres"))
        with server.connect() as connection:
            yield lambda sql: run_statement(connection, sql)


@pytest.mark.slow
def test_the_views_have_the_columns_and_signs_that_the_package_reads(
    airflow_db, dag_files, database, monkeypatch, tmp_path
):
    from airflow.dag_processing.dagbag import DagBag

    dag_id = "intacct_general_ledger_for_dbt"
    dag = DagBag(dag_files[dag_id]).dags[dag_id]
    for task in dag.tasks:
        task.retries = 0  # which would wait for minutes
    with Sandbox(company="shipped", seed=SEED, client_secret=secrets.token_urlsafe(24)) as sandbox:
        monkeypatch.setenv("AIRFLOW_CONN_INTACCT_DEFAULT", sandbox.connection())
        run = dag.test(run_conf={"folder": f"file://{tmp_path}"})
        assert {str(one.state) for one in run.get_task_instances()} == {"success"}
        with client_of(sandbox) as client:
            rows = [*client.iter_rows(LINE, ["key", "txnType", "baseAmount", "glAccount.id"])]
    wanted = sorted((row["key"], row["txnType"], row["glAccount.id"]) for row in rows)
    signs = {"1": "debit", "-1": "credit"}
    found = database("SELECT recordno, tr_type, accountno FROM gl_detail")
    assert sorted((key, signs[str(sign)], account) for key, sign, account in found) == wanted
    assert {sign for _, sign, _ in found} == {1, -1}
    wrong = (
        "amount <> debitamount - creditamount OR tr_type * amount < 0 OR "
        "trx_amount <> trx_debitamount - trx_creditamount"
    )
    assert database(f"SELECT count(*) FROM gl_detail WHERE {wrong}") == [(0,)]  # noqa: S608
    for view, columns in (("gl_detail", DETAIL), ("gl_account", ACCOUNT)):
        names = database(f"SELECT column_name FROM information_schema.columns WHERE table_name = '{view}'")  # noqa: S608
        assert {name for [name] in names} == {*columns.split()}
    # The next night names the columns again, although dbt's own views depend on these.
    database(
        "CREATE VIEW staging AS SELECT d.recordno, a.title FROM gl_detail d JOIN gl_account a USING (accountno)"
    )
    for statement in dag.get_task("name_columns").sql:
        database(statement)
    types = {kind for [kind] in database("SELECT DISTINCT accounttype FROM gl_account")}
    assert types <= {"balancesheet", "incomestatement"}
