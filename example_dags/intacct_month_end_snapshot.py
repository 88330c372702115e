"""Record what every customer owes at the end of each month, with totals that an auditor can check.

On the first day of a month, all customers that existed at the end of the previous month are written to a file. Intacct
is also asked for the totals of their balances and credit limits. Unless the rows add up to these totals to the cent,
the task fails and there is no file. The manifest next to the file has the totals, the number of rows and the SHA-256.

Intacct does not store past balances of customers, so the file has the balances at the time of the run. ``as_of``
decides which month ``CURRENT_MONTH`` is, so a later run leaves out customers that were created after that month. Set
the param ``as_of`` for the end of another month.

People open this file in spreadsheets, so cells that look like formulas are neutralized. A run that would need more than
100 billed transactions stops before it makes them.

Needs a connection ``intacct_default`` of type ``intacct``.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pendulum
from airflow.sdk import DAG, Asset, Param

from intacct_provider.client.query import CURRENT_MONTH, field
from intacct_provider.transfers.intacct_to_object_storage import IntacctToObjectStorageOperator

month_end_customers = Asset("intacct_month_end_customers")

#: Last day of the month before the run.
MONTH_END = "{{ params.as_of or ((dag_run.run_after.replace(day=1) - macros.timedelta(days=1)) | ds) }}"

with DAG(
    dag_id="intacct_month_end_snapshot",
    schedule="0 6 1 * *",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=5)},
    params={
        "folder": Param(
            f"file://{Path.home()}/intacct_exports", type="string", description="Folder for the files."
        ),
        "as_of": Param(
            None,
            type=["null", "string"],
            format="date",
            description="Last day of another month than the previous one.",
        ),
    },
    doc_md=__doc__,
    tags=["intacct", "example"],
):
    IntacctToObjectStorageOperator(
        task_id="snapshot",
        object_name="accounts-receivable/customer",
        fields={
            "key": "key",
            "id": "customer",
            "name": "name",
            "parent.id": "parent",
            "status": "status",
            "currency": "currency",
            "totalDue": "total_due",
            "creditLimit": "credit_limit",
            "lastInvoiceCreatedDate": "last_invoice",
        },
        filters=field("audit.createdDateTime") <= CURRENT_MONTH,
        as_of=MONTH_END,
        control_totals=["totalDue", "creditLimit"],
        destination=f"{{{{ params.folder }}}}/customers_{MONTH_END}.csv",
        file_format="csv",
        csv_safe=True,
        max_transactions=100,
        outlets=[month_end_customers],
    )
