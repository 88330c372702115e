"""Add up all posted lines up to the end of the month, by account, and refuse a file that does not balance."""

import csv
from decimal import Decimal

import pendulum
from airflow.sdk import DAG, ObjectStoragePath, task

from intacct_provider.client.query import field
from intacct_provider.operators.query import IntacctQueryOperator

MONTH_END = "{{ params.month_end or (dag_run.run_after.replace(day=1) - macros.timedelta(days=1)) | ds }}"

# An entry that was reversed later counts until the date of its reversal, which is an entry of its own.
IN_THE_LEDGER = ["posted", "reversalPending", "reversed", "reversal"]

with DAG(
    dag_id="trial_balance",
    schedule="0 6 5 * *",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    default_args={"retries": 2},
    params={"folder": "s3://aws_default@finance", "month_end": None},
):
    sums = IntacctQueryOperator(
        task_id="add_up_lines",
        object_name="general-ledger/journal-entry-line",
        fields=["glAccount.id", "glAccount.name", "txnType", "sum:baseAmount"],
        filters=field("state").in_(IN_THE_LEDGER) & (field("entryDate") <= MONTH_END),
        order_by=[{"glAccount.id": "asc"}],
    )

    @task
    def write_file(rows, month_end, folder):
        balances = {}
        for row in rows:
            sign = 1 if row["txnType"] == "debit" else -1
            account = (row["glAccount.id"], row["glAccount.name"])
            balances[account] = balances.get(account, Decimal(0)) + sign * Decimal(row["sum:baseAmount"])
        if difference := sum(balances.values()):
            raise ValueError(f"Debits and credits up to {month_end} differ by {difference}.")
        with ObjectStoragePath(f"{folder}/trial_balance_{month_end}.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["account", "name", "balance"])
            writer.writerows([*account, balance] for account, balance in balances.items())

    write_file(sums.output, MONTH_END, "{{ params.folder }}")
