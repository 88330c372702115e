"""Keep what every customer owed at the end of each month, with totals that an auditor can check.

On the first of a month all customers that were there by the end of the month before go to a file of their own. Intacct
is asked for the totals of what they owe and may owe, too: the task fails, and there is no file, unless the rows add up
to them to the cent. The manifest beside the file keeps the totals, the number of rows and the SHA-256.

Intacct keeps no balances of the past on its customers, so a file has the balances of the moment at which it is
made. ``as_of`` decides which month ``CURRENT_MONTH`` is, so that a run of a later day leaves out customers that came
after that month; give the param ``as_of`` to name another month's end.

Cells that a spreadsheet would take for formulas are made harmless, since people open this file. A run that would need
more than 100 billed transactions stops before it does.

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

#: The last day of the month before the run.
MONTH_END = "{{ params.as_of or ((dag_run.run_after.replace(day=1) - macros.timedelta(days=1)) | ds) }}"

with DAG(
    dag_id="intacct_month_end_snapshot",
    schedule="0 6 1 * *",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=5)},
    params={
        "folder": Param(
            f"file://{Path.home()}/intacct_exports", type="string", description="Folder that the files go to."
        ),
        "as_of": Param(
            None,
            type=["null", "string"],
            format="date",
            description="Last day of the month, if not the last one.",
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
