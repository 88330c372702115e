"""Keep three customer groups by what their members owe."""

from decimal import Decimal

import pendulum
from airflow.sdk import DAG, task

from intacct_provider.client.query import field
from intacct_provider.operators.query import IntacctQueryOperator
from intacct_provider.operators.sync import IntacctSyncOperator

SEGMENTS = {"SEGMENT-A": Decimal("100000"), "SEGMENT-B": Decimal("25000"), "SEGMENT-C": Decimal("0")}

with DAG(
    dag_id="segment_customers",
    schedule="@weekly",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 2},
):
    customers = IntacctQueryOperator(
        task_id="read_balances",
        object_name="accounts-receivable/customer",
        fields=["key", "id", "totalDue"],
        filters=(field("status") == "active") & field("totalDue").gt("0"),
    )

    @task
    def build_groups(rows):
        members = {segment: [] for segment in SEGMENTS}
        for row in rows:
            segment = next(name for name, least in SEGMENTS.items() if Decimal(row["totalDue"]) > least)
            members[segment].append({"id": row["id"]})
        return [
            {
                "id": name,
                "name": f"Owes more than {least}",
                "groupType": "specific",
                "groupMembers": members[name],
            }
            for name, least in SEGMENTS.items()
        ]

    IntacctSyncOperator(
        task_id="sync_groups",
        object_name="accounts-receivable/customer-group",
        desired=build_groups(customers.output),
    )
