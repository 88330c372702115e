"""Create customers with their contacts, in ``@task`` functions that use the hook.

There is no operator for this: each mapped task creates a contact and a customer that refers to it in one call. When
Airflow retries a task, Intacct recognizes what the first attempt wrote, so nothing is written twice. A customer that
exists already, as in a second run of the DAG, is left as it is.

Needs a connection ``intacct_default`` of type ``intacct``.
"""

from __future__ import annotations

import pendulum
from airflow.sdk import DAG, task

NEW_CUSTOMERS = [
    {"id": "ROE", "name": "Roe Ltd", "contact": "Jane Roe"},
    {"id": "DOE", "name": "Doe and Partners", "contact": "John Doe"},
]

with DAG(
    dag_id="intacct_onboard_customers",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    params={"customers": NEW_CUSTOMERS},
    doc_md=__doc__,
    tags=["intacct", "example"],
):

    @task
    def new_customers(params: dict | None = None) -> list[dict]:
        """Return the customers to create; a real DAG would read them from their source."""
        return params["customers"]

    @task(retries=2)
    def onboard(customer: dict) -> str:
        """Create a contact and its customer unless it exists, and return the customer's key."""
        from intacct_provider.hooks.intacct import IntacctHook

        contact = {"id": customer["contact"], "printAs": customer["contact"]}
        with IntacctHook().client as client:
            if existing := client.find("accounts-receivable/customer", customer["id"]):
                return existing["key"]
            results = client.composite(
                [
                    {
                        "method": "POST",
                        "path": "/objects/company-config/contact",
                        "body": contact,
                        "resultReference": "contact",
                    },
                    {
                        "method": "POST",
                        "path": "/objects/accounts-receivable/customer",
                        "body": {
                            "id": customer["id"],
                            "name": customer["name"],
                            "contacts": {"primary": {"key": "@{contact.key}"}},
                        },
                    },
                ]
            )
        for result in results:
            if not result.ok:
                raise result.error
        return results[-1].result["key"]

    onboard.expand(customer=new_customers())
