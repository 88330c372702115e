"""What ``"*"`` does not stand for, over real HTTP: fields that are excluded, and those that no query returns."""

import json

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from sandbox_client import calls, client_of, running

from intacct_provider.client.query import Query
from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.operators.query import IntacctQueryOperator
from intacct_provider.transfers.intacct_to_object_storage import IntacctToObjectStorageOperator

CUSTOMER = "accounts-receivable/customer"
MODEL, QUERY = "/services/core/model", "/services/core/query"


@pytest.fixture(scope="module")
def company():
    with running("demo") as sandbox:
        yield sandbox


@pytest.fixture(autouse=True)
def airflow(company, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_INTACCT_DEFAULT", company.connection())


@pytest.fixture
def client(company):
    with client_of(company) as client:
        yield client


def export(folder, **arguments):
    path = folder / "customers.jsonl"
    IntacctToObjectStorageOperator(
        task_id="t", object_name=CUSTOMER, destination=str(path), **arguments
    ).execute({})
    return json.loads(path.read_text().splitlines()[0])


def test_excluded_fields_are_not_asked_for(company, client, tmp_path):
    names = client.queryable_fields(CUSTOMER)
    groups = [name for name in names if name.startswith("contacts.")]
    assert len(groups) > 1
    left = [name for name in names if name not in ("taxId", "notes", *groups)]
    exclude = ["contacts", "taxId", "notes"]
    assert client.queryable_fields(CUSTOMER, exclude) == left
    assert list(client.query(CUSTOMER, "*", exclude=exclude, size=1).rows[0]) == left
    assert list(next(client.iter_rows(CUSTOMER, "*", exclude=exclude))) == left
    task = IntacctQueryOperator(task_id="t", object_name=CUSTOMER, fields="*", exclude=exclude)
    assert list(task.execute({})[0]) == left
    since = len(calls(company, QUERY))
    assert list(export(tmp_path, fields="*", exclude=exclude)) == left
    assert len(calls(company, QUERY)) > since


@pytest.mark.parametrize(
    ("fields", "exclude", "said"),
    [
        ("*", ["taxid"], "exclude has 'taxid', which is not a field of .* Did you mean 'taxId'"),
        ("*", ["taxI"], "Did you mean 'taxId'"),
        ("*", "taxId", "exclude must be a list of field names"),
        ("*", [1], "exclude must be a list of field names"),
        (["key"], ["taxId"], r"exclude goes with fields='\*'"),
    ],
)
def test_an_exclusion_that_cannot_be_right_is_refused(company, client, tmp_path, fields, exclude, said):
    with pytest.raises(IntacctArgumentError, match=said):
        client.query(CUSTOMER, fields, exclude=exclude)
    with pytest.raises(AirflowFailException, match=said):
        export(tmp_path, fields=fields, exclude=exclude)
    assert list(tmp_path.iterdir()) == []


def test_what_excludes_everything_or_belongs_elsewhere_is_refused(client, tmp_path):
    with pytest.raises(IntacctArgumentError, match="exclude leaves no field"):
        client.queryable_fields(CUSTOMER, client.queryable_fields(CUSTOMER))
    with pytest.raises(
        AirflowFailException, match=r"exclude needs detail=False: .* mask=\{'taxId': 'drop'\}"
    ):
        export(tmp_path, fields="*", exclude=["taxId"], detail=True)
    with pytest.raises(IntacctArgumentError, match="exclude cannot be given with a Query"):
        client.query(Query.build(CUSTOMER, ["key"]), exclude=["taxId"])


def test_arrays_and_metadata_in_a_model_are_not_asked_for(company, client, tmp_path):
    model = client.model(CUSTOMER)
    more = {"tags": {"type": "array"}, "ia::remark": {"type": "integer"}, "shape": {"type": "object"}}
    audit = model["groups"]["audit"]
    groups = {**model["groups"], "audit": {**audit, "fields": {**audit["fields"], **more}}}
    larger = {**model, "fields": {**model["fields"], **more}, "groups": groups}
    answer = {"ia::result": larger, "ia::meta": {"totalCount": 1, "totalSuccess": 1, "totalError": 0}}

    def answer_once():
        company.fail(path=MODEL, status=200, body=answer)

    answer_once()
    with client_of(company) as other:
        assert other.queryable_fields(CUSTOMER) == client.queryable_fields(CUSTOMER)
        assert other.query(CUSTOMER, "*", size=1).rows
    answer_once()
    assert list(export(tmp_path, fields="*")) == client.queryable_fields(CUSTOMER)
    for name, what in (("tags", "a list"), ("audit.shape", "a list"), ("ia::remark", "metadata")):
        answer_once()
        with pytest.raises(AirflowFailException, match=f"fields has '{name}', which is {what}"):
            export(tmp_path, fields=["key", name])
