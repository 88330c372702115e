"""Load the general ledger every night, in the shape that the public dbt package ``sage_intacct`` reads.

The lines of journal entries are merged into a table: only those that changed are read, and deleted ones are removed.
Accounts and dimensions are few, so their tables are replaced. Two views, ``gl_detail`` and ``gl_account``, then have
the columns that the package reads. In the package, set ``sage_intacct_schema`` to the schema of the views, and
``sage_intacct__using_bills`` and ``sage_intacct__using_invoices`` to false.

The package was written for GLDETAIL of Intacct's XML API, which is not an object of the REST API. Columns that only
GLDETAIL has are null, and totals may differ from Intacct's own reports; see "General ledger for dbt" in the docs.

Needs a connection ``intacct_default`` of type ``intacct`` and ``warehouse`` of type ``postgres``.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pendulum
from airflow.providers.common.sql.operators.sql import SQLExecuteQueryOperator
from airflow.sdk import DAG, Asset, Param

from intacct_provider.transfers.intacct_to_sql import IntacctToSqlOperator

LINE_FIELDS = {
    "key": "line_key",
    "lineNumber": "line_number",
    "txnType": "txn_type",
    "txnAmount": "txn_amount",
    "baseAmount": "base_amount",
    "currency.txnCurrency": "txn_currency",
    "currency.baseCurrency": "base_currency",
    "entryDate": "entry_date",
    "state": "state",
    "description": "description",
    "documentId": "document_id",
    "glAccount.id": "account_id",
    "glAccount.name": "account_name",
    "journalEntry.key": "entry_key",
    "journalEntry.txnNumber": "entry_number",
    "journalEntry.postingDate": "posting_date",
    "journalEntry.description": "entry_description",
    **{
        f"dimensions.{name}.{part}": f"{name}_{part}"
        for name in ("location", "department", "class", "customer", "vendor")
        for part in ("id", "name")
    },
    "audit.createdDateTime": "created_at",
    "audit.modifiedDateTime": "modified_at",
}
ACCOUNT_FIELDS = {
    "key": "account_key",
    "id": "account_id",
    "name": "account_name",
    "accountType": "account_type",
    "category": "category",
    "closingType": "closing_type",
    "closeToGLAccount.key": "close_to_key",
    "closeToGLAccount.id": "close_to_id",
    "normalBalance": "normal_balance",
    "alternativeGLAccount": "alternative_account",
    "status": "status",
    "isTaxable": "is_taxable",
    "audit.createdDateTime": "created_at",
    "audit.modifiedDateTime": "modified_at",
}
DIMENSIONS = {
    "locations": "company-config/location",
    "departments": "company-config/department",
    "classes": "company-config/class",
}

#: Debits are positive and credits negative, as in GLDETAIL; what it has besides is null. Fields of the entry are text
#: in the table, since the model of the lines does not say their types.
GL_DETAIL = """
CREATE OR REPLACE VIEW gl_detail AS SELECT
  line_key AS recordno, entry_key AS batchkey, CAST(entry_number AS INTEGER) AS batch_no,
  CAST(posting_date AS DATE) AS batch_date, entry_description AS batch_title,
  account_id AS accountno, account_name AS accounttitle,
  CASE txn_type WHEN 'credit' THEN -1 ELSE 1 END AS tr_type,
  CASE txn_type WHEN 'credit' THEN -base_amount ELSE base_amount END AS amount,
  CASE txn_type WHEN 'credit' THEN base_amount ELSE 0 END AS creditamount,
  CASE txn_type WHEN 'credit' THEN 0 ELSE base_amount END AS debitamount,
  CASE txn_type WHEN 'credit' THEN -txn_amount ELSE txn_amount END AS trx_amount,
  CASE txn_type WHEN 'credit' THEN txn_amount ELSE 0 END AS trx_creditamount,
  CASE txn_type WHEN 'credit' THEN 0 ELSE txn_amount END AS trx_debitamount,
  txn_currency AS currency, base_currency AS basecurr,
  COALESCE(entry_date, CAST(posting_date AS DATE)) AS entry_date, line_number AS line_no,
  CASE state WHEN 'posted' THEN 'P' ELSE state END AS entry_state,
  description AS entrydescription, description AS description, document_id AS document,
  location_id AS locationid, location_name AS locationname,
  department_id AS departmentid, department_name AS departmenttitle,
  class_id AS classid, class_name AS classname,
  customer_id AS customerid, customer_name AS customername,
  vendor_id AS vendorid, vendor_name AS vendorname,
  created_at AS whencreated, modified_at AS whenmodified, modified_at AS modified,
  CAST(NULL AS VARCHAR(1)) AS bookid, CAST(NULL AS VARCHAR(1)) AS docnumber,
  CAST(NULL AS VARCHAR(1)) AS prdescription, CAST(NULL AS VARCHAR(1)) AS recordid,
  CAST(NULL AS VARCHAR(1)) AS recordtype, CAST(NULL AS DECIMAL) AS totaldue,
  CAST(NULL AS DECIMAL) AS totalentered, CAST(NULL AS DECIMAL) AS totalpaid,
  CAST(NULL AS DATE) AS whendue, CAST(NULL AS DATE) AS whenpaid
FROM intacct_journal_lines
"""
#: The package compares account types in lower case.
GL_ACCOUNT = """
CREATE OR REPLACE VIEW gl_account AS SELECT
  account_key AS recordno, account_id AS accountno, account_name AS title,
  LOWER(account_type) AS accounttype, category, closing_type AS closingtype,
  close_to_key AS closetoacctkey, close_to_id AS closingaccountno,
  normal_balance AS normalbalance, alternative_account AS alternativeaccount,
  status, is_taxable AS taxable, created_at AS whencreated, modified_at AS whenmodified,
  CAST(NULL AS VARCHAR(1)) AS categorykey, CAST(NULL AS VARCHAR(1)) AS closingaccounttitle,
  CAST(NULL AS VARCHAR(1)) AS createdby, CAST(NULL AS VARCHAR(1)) AS modifiedby
FROM intacct_accounts
"""

with DAG(
    dag_id="intacct_general_ledger_for_dbt",
    schedule="@daily",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=5)},
    params={
        "folder": Param(
            f"file://{Path.home()}/intacct_exports",
            type="string",
            description="Folder for the file with the keys of the lines.",
        ),
    },
    doc_md=__doc__,
    tags=["intacct", "example"],
):
    loads = [
        IntacctToSqlOperator(
            task_id="load_journal_lines",
            object_name="general-ledger/journal-entry-line",
            fields=LINE_FIELDS,
            incremental="audit.modifiedDateTime",
            detect_deletes="auto",
            keys_path="{{ params.folder }}/journal_lines",
            sql_conn_id="warehouse",
            table="intacct_journal_lines",
            mode="merge",
        ),
        IntacctToSqlOperator(
            task_id="load_accounts",
            object_name="general-ledger/account",
            fields=ACCOUNT_FIELDS,
            sql_conn_id="warehouse",
            table="intacct_accounts",
            mode="replace",
        ),
    ]
    loads += [
        IntacctToSqlOperator(
            task_id=f"load_{table}",
            object_name=object_name,
            fields=["key", "id", "name", "status"],
            sql_conn_id="warehouse",
            table=f"intacct_{table}",
            mode="replace",
        )
        for table, object_name in DIMENSIONS.items()
    ]
    name_columns = SQLExecuteQueryOperator(
        task_id="name_columns",
        conn_id="warehouse",
        sql=[GL_DETAIL, GL_ACCOUNT],
        outlets=[Asset("intacct_general_ledger")],
    )
    loads >> name_columns
