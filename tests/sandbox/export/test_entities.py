"""Exports, queries and plans of an entity that does not exist fail; what finds records pays nothing for it."""

import json

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from sandbox_client import client_of, running

from intacct_provider.client.query import Query, field
from intacct_provider.client.session import Session
from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.operators.sync import IntacctPlanSyncOperator
from intacct_provider.transfers.intacct_to_object_storage import IntacctToObjectStorageOperator
from intacct_provider.transfers.intacct_to_sql import IntacctToSqlOperator

CUSTOMER = "accounts-receivable/customer"
PRIVATE = {"includePrivate": True}


@pytest.fixture(scope="module")
def company():
    """A company with the entities US and UK; UK has two customers of its own, US has none."""
    with running(f"{CUSTOMER}=5") as sandbox:
        sandbox.seed(CUSTOMER, [{"id": f"UK{n}", "name": f"UK {n}"} for n in (1, 2)], entity="UK")
        yield sandbox


@pytest.fixture(autouse=True)
def _airflow(company, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_INTACCT_DEFAULT", company.connection())


@pytest.fixture
def sent(monkeypatch):
    """The contents of the calls of a test."""
    contents, send = [], Session.send

    def watched(session, request):
        contents.append(request.content or b"")
        return send(session, request)

    monkeypatch.setattr(Session, "send", watched)
    return contents


def export(path, **arguments):
    arguments = {"object_name": CUSTOMER, "fields": ["key"], "destination": str(path)} | arguments
    return IntacctToObjectStorageOperator(task_id="export", **arguments).execute({})


WRONG = [
    ({"entities": ["us"]}, r"entities: there is no entity 'us'.* Did you mean 'US'\? Entities: UK, US\."),
    ({"entities": ["UK", "U K"]}, r"entities: there is no entity 'U K'.* Did you mean 'UK'\?"),
    (
        {"entities": ["", "Nowhere"]},
        r"entities: there is no entity 'Nowhere', or the user may not see it\. Entities: UK",
    ),
    (
        {"filters": field("entity.id") == "uk", "filter_parameters": PRIVATE},
        r"filters: .* Did you mean 'UK'\?",
    ),
    (
        {"filters": field("entity.id").in_(["X", "Y"]), "detail": True, "fields": None},
        r"there is no entity 'X'",
    ),
]


@pytest.mark.parametrize(("arguments", "message"), WRONG)
@pytest.mark.parametrize("rows_per_part", [None, 2])
def test_an_export_of_an_entity_that_does_not_exist_publishes_nothing(
    tmp_path, arguments, message, rows_per_part
):
    with pytest.raises(AirflowFailException, match=message):
        export(tmp_path / "c.jsonl", rows_per_part=rows_per_part, **arguments)
    assert list(tmp_path.iterdir()) == []


def test_a_table_of_an_entity_that_does_not_exist_is_not_loaded(tmp_path, monkeypatch):
    monkeypatch.setenv(
        "AIRFLOW_CONN_WAREHOUSE", json.dumps({"conn_type": "sqlite", "host": str(tmp_path / "db")})
    )
    load = IntacctToSqlOperator(
        task_id="load",
        object_name=CUSTOMER,
        fields=["key"],
        entities=["uk"],
        sql_conn_id="warehouse",
        table="c",
    )
    with pytest.raises(AirflowFailException, match="Did you mean 'UK'"):
        load.execute({})


@pytest.mark.parametrize(
    ("entities", "rows", "lookups"),
    [(["UK"], 2, 0), (["UK", ""], 7, 0), ("all", 7, 0), ([""], 5, 0), (["US"], 0, 1), (["US", "UK"], 2, 1)],
)
def test_only_entities_without_records_are_looked_up_for_one_call(tmp_path, sent, entities, rows, lookups):
    assert export(tmp_path / "c.jsonl", entities=entities)["rows"] == rows
    assert sum(b'"company-config/entity"' in content for content in sent) == lookups


def test_whether_they_exist_may_be_unknown(company, tmp_path, caplog):
    company.faults.denied = ["company-config/entity"]
    try:
        assert export(tmp_path / "c.jsonl", entities=["US"])["rows"] == 0
    finally:
        company.faults.denied = []
    assert "no records of entities 'US', and whether these exist is unknown" in caplog.text


@pytest.mark.parametrize("read", ["query", "iter_rows", "totals"])
def test_a_query_that_finds_nothing_says_so(company, sent, read):
    with client_of(company) as client:
        for entity in ("UK", "US", "US"):
            run(client, read, entity)
        assert sum(b'"company-config/entity"' in content for content in sent) == 1
        with pytest.raises(
            IntacctArgumentError, match=r"filters: there is no entity 'us'.* Did you mean 'US'\?"
        ):
            run(client, read, "us")
        run(client, read, "us", caseSensitiveComparison=False)


def run(client, read, entity, **parameters):
    query = Query.build(
        CUSTOMER, ["key"], filters=field("entity.id") == entity, filter_parameters=PRIVATE | parameters
    )
    found = getattr(client, read)(query)
    return list(found) if read == "iter_rows" else found


def test_a_plan_whose_scope_is_an_entity_that_does_not_exist_fails(company, tmp_path):
    plan = IntacctPlanSyncOperator(
        task_id="plan",
        object_name=CUSTOMER,
        desired=[{"id": "C1", "name": "one"}],
        mode="mirror",
        scope=field("entity.id") == "uk",
        plan_path=str(tmp_path / "plan.json"),
    )
    with pytest.raises(AirflowFailException, match=r"there is no entity 'uk'.* Did you mean 'UK'\?"):
        plan.execute({})
