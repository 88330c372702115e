"""One write each, in a task that is killed in the middle of it and tried again."""

from __future__ import annotations

from datetime import timedelta

import pendulum
from airflow.sdk import DAG

from intacct_provider.operators.base import IntacctOperator
from intacct_provider.operators.records import (
    IntacctCreateRecordOperator,
    IntacctDeleteRecordOperator,
    IntacctUpdateRecordOperator,
)
from intacct_provider.operators.sync import IntacctSyncOperator

CUSTOMER = "accounts-receivable/customer"
GROUP = "accounts-receivable/customer-group"
CONN = "{{ params.conn }}"
KEY = "{{ params.key }}"
#: Without ids, which Intacct gives then: a second creation would succeed.
CUSTOMERS = [{"name": f"Written once {n}"} for n in range(3)]


class CreateMany(IntacctOperator):
    """A user's own operator, which creates records in one call."""

    def execute(self, context):
        with self.client(context) as client:
            results = client.create_many(CUSTOMER, CUSTOMERS)
        return [result.key for result in results]


WRITES = {
    "create_customer": (IntacctCreateRecordOperator, {"object_name": CUSTOMER, "record": CUSTOMERS[0]}),
    "create_group": (
        IntacctCreateRecordOperator,
        {"object_name": GROUP, "record": {"id": "ONCE", "name": "Written once"}},
    ),
    # An element without a key is added by each update that is carried out.
    "update_customer": (
        IntacctUpdateRecordOperator,
        {
            "object_name": CUSTOMER,
            "key": KEY,
            "changes": {"contactList": [{"categoryName": "once", "contact": {"id": "{{ params.contact }}"}}]},
        },
    ),
    "delete_customer": (IntacctDeleteRecordOperator, {"object_name": CUSTOMER, "key": KEY}),
    "create_many": (CreateMany, {}),
    "sync": (IntacctSyncOperator, {"object_name": CUSTOMER, "desired": CUSTOMERS, "match_on": "name"}),
}

for name, (operator, arguments) in WRITES.items():
    with DAG(
        dag_id=f"write_{name}",
        schedule=None,
        start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
        params={"conn": "", "key": "", "contact": ""},
    ):
        operator(task_id="write", intacct_conn_id=CONN, retries=1, retry_delay=timedelta(0), **arguments)
