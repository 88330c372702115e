"""List customers whose names differ in case, spaces and punctuation only."""

import csv

import pendulum
from airflow.sdk import DAG, ObjectStoragePath, task

from intacct_provider.hooks.intacct import IntacctHook

with DAG(
    dag_id="find_duplicates",
    schedule="@weekly",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    default_args={"retries": 2},
    params={"folder": "s3://aws_default@finance"},
):

    @task
    def find_customers_with_one_name(folder):
        found = {}
        client = IntacctHook("intacct_default").client
        for row in client.iter_rows("accounts-receivable/customer", ["id", "name", "taxId"]):
            letters = "".join(one for one in row["name"].casefold() if one.isalnum())
            found.setdefault(letters, []).append(row)
        duplicates = [rows for rows in found.values() if len(rows) > 1]
        with ObjectStoragePath(f"{folder}/duplicates.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["id", "name", "taxId"])
            writer.writerows(row.values() for rows in duplicates for row in rows)
        return len(duplicates)

    find_customers_with_one_name("{{ params.folder }}")
