"""The queries of the example DAGs, asked of a sandbox that has nothing but the captured shape of the demo company."""

from __future__ import annotations

from pathlib import Path

import pytest
from capture_command import capture
from sandbox_client import client_of, running

from intacct_provider.sandbox import Sandbox

EXAMPLES = Path(__file__).resolve().parents[2] / "example_dags"
SEED = "accounts-receivable/customer=20,accounts-receivable/customer-group=3,general-ledger/account-group=3"
#: An example that is for another company: the models that the package ships.
OTHERS = {"intacct_general_ledger_for_dbt"}


def list_queries():
    """Return what each task reads: the DAG, the object, the fields, the filters, and whether whole records are read."""
    from airflow.dag_processing.dagbag import DagBag

    queries = []
    for dag_id, dag in sorted(DagBag(str(EXAMPLES)).dags.items()):
        for task in dag.tasks if dag_id not in OTHERS else ():
            given = {**vars(task), **getattr(task, "partial_kwargs", {})}
            if given.get("object_name") and given.get("fields"):
                fields = given["fields"]
                fields = fields if isinstance(fields, str) else [*fields]
                query = (given["object_name"], fields, given.get("filters"))
                queries.append((dag_id, *query, given.get("detail") is True))
    return queries


def run_query(client, object_name, fields, filters, *, detail):
    """Read as the task does; its templates are left out."""
    if detail:
        keys = [row["key"] for row in client.iter_rows(object_name, ["key"])]
        assert keys
        assert all(record.keys() >= {*fields} for record in client.get_many(object_name, keys))
    else:
        plain = None if "{{" in str(filters) else filters
        assert client.query(object_name, fields, filters=plain).total_count is not None


@pytest.mark.slow
def test_every_query_of_an_example_dag_runs_on_the_captured_company(tmp_path):
    with Sandbox(seed="demo", client_secret="of the demo company") as demo:
        company = capture(demo, tmp_path / "company.json")
    queries = list_queries()
    assert len({dag_id for dag_id, *_ in queries}) > 8
    with running(SEED, company=company) as sandbox, client_of(sandbox) as client:
        for dag_id, object_name, fields, filters, detail in queries:
            print(dag_id)
            run_query(client, object_name, fields, filters, detail=detail)
