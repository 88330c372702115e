"""A column that is not a field is a problem when the plan is made, not a rejected record when it is applied."""

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from sandbox_client import calls, client_of

from intacct_provider.operators.sync import IntacctPlanSyncOperator

CUSTOMER = "accounts-receivable/customer"


@pytest.fixture
def airflow(sandbox, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_INTACCT_DEFAULT", sandbox.connection())
    with client_of(sandbox) as client:
        client.create(CUSTOMER, {"id": "C-1", "name": "One"})
    return sandbox


def plan(desired, **arguments):
    operator = IntacctPlanSyncOperator(
        task_id="p", object_name=CUSTOMER, desired=desired, plan_path=None, **arguments
    )
    return operator.execute({})


def refusal(desired, **arguments):
    with pytest.raises(AirflowFailException) as caught:
        plan(desired, **arguments)
    return str(caught.value)


@pytest.mark.parametrize("id_", ["C-1", pytest.param("C-2", marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("TERMNAME", "term.id"),
        ("RECORDNO", "key"),
        ("CUSTOMERID", "id"),
        ("CREDITLIMIT", "creditLimit"),
        ("CUSTNAME", "name"),
        ("CUSTTYPE", "customerType.id"),
        ("PARENTID", "parent.id"),
        ("TERRITORYID", "territory.id"),
        ("CUSTREPID", "salesRepresentative.id"),
        ("GLACCOUNTNO", "defaultRevenueGLAccount.id"),
        ("DISPLAYCONTACT.EMAIL1", "contacts.default.email1"),
        ("DISPLAYCONTACT.MAILADDRESS.ZIP", "contacts.default.mailingAddress.postCode"),
        ("BILLTO.CONTACTNAME", "contacts.billTo.id"),
        ("COMMENTS", "notes"),
        ("Our remark", ""),
        ("grumble", ""),
    ],
)
def test_a_column_that_is_no_field_is_a_problem_with_the_nearest_field(airflow, id_, name, near):
    message = refusal([{"id": id_, "name": "x", name: "y"}])
    assert f"{name} " in message
    assert "is not a field of" in message
    assert f"columns={{{name!r}: None}}" in message
    assert (f"Did you mean {near!r}?" in message) == bool(near)
    assert ("Did you mean" in message) == bool(near)
    assert plan([{"id": id_, "name": "x", name: "y"}], columns={name: None})["changed"]


def test_all_that_is_wrong_is_said_at_once(airflow):
    message = refusal([{"id": "C-1", "name": "#REF!"}, {"id": "C-3", "grumble": 1, "TERMNAME": "z"}])
    assert all(part in message for part in ("grumble is not", "TERMNAME is not", "name is '#REF!'"))


def test_columns_are_listed_where_the_id_is_missing(airflow, tmp_path):
    file = tmp_path / "customers.csv"
    file.write_text("CUSTOMERID,Name,paid\nC-1,x,y\n")
    message = refusal(str(file))
    assert "Columns: 'CUSTOMERID', 'Name', 'paid'" in message
    assert "Did you mean 'CUSTOMERID'?" in message
    assert "columns={'CUSTOMERID': 'id'}" in message
    file.write_text("paid,Name\nC-1,x\n")
    assert "Did you mean" not in refusal(str(file))
    assert "columns={" in refusal(str(file))


def test_fields_that_exist_cost_nothing_more(airflow):
    plan([{"id": "C-1", "name": "x"}])
    before = len(calls(airflow, "/objects"))
    plan([{"id": "C-1", "name": "x"}])
    assert len(calls(airflow, "/objects")) == before
