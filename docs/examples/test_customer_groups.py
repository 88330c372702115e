"""A DAG tested against a local Intacct: real requests and real records, no account and no mocks."""

import pytest
from customer_groups_dag import dag

CUSTOMER = "accounts-receivable/customer"
GROUP = "accounts-receivable/customer-group"


@pytest.fixture
def conf(tmp_path):
    groups = tmp_path / "groups.csv"
    groups.write_text("id,name,groupMembers[].id\nKEY,Key accounts,ACME\n")
    return {"customer": "ACME", "groups": f"file://{groups}"}


def test_the_customer_is_in_the_group(intacct_sandbox, conf):
    assert dag.test(run_conf=conf).state == "success"

    [customer] = intacct_sandbox.records(CUSTOMER)
    [group] = intacct_sandbox.records(GROUP)
    assert (customer["id"], customer["name"]) == ("ACME", "Customer ACME")
    assert [member["id"] for member in group["groupMembers"]] == ["ACME"]


def test_a_customer_who_exists_is_not_made_twice(intacct_sandbox, conf):
    intacct_sandbox.seed(CUSTOMER, [{"id": "ACME", "name": "Acme"}])

    assert dag.test(run_conf=conf).state == "failed"

    assert len(intacct_sandbox.records(CUSTOMER)) == 1
    assert intacct_sandbox.records(GROUP) == []


@pytest.mark.intacct_sandbox(seed="demo", faults={"fail": [{"status": 503, "every": 5}]})
def test_a_busy_intacct_is_waited_out(intacct_sandbox, conf):
    groups = len(intacct_sandbox.records(GROUP))

    assert dag.test(run_conf=conf).state == "success"

    assert len(intacct_sandbox.records(GROUP)) == groups + 1
