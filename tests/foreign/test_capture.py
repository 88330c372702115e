"""A company that is not the sandbox, with an object of every oddity: captured, and its DAGs run on the sandbox."""

from __future__ import annotations

import json

import pyarrow.parquet as pq
import pytest
from companies import audit, field, model, reference
from odd_company import MARKER, OddCompany, refusal, run_capture
from raw_server import SECRET, TOKEN, raw_server, response
from sandbox_client import client_of, running, until
from sql_tables import Database

from intacct_provider.client.paths import collection_path
from intacct_provider.client.query.expressions import field as condition
from intacct_provider.operators.sync import IntacctSyncOperator
from intacct_provider.sensors.query import IntacctQuerySensor
from intacct_provider.sensors.records import IntacctRecordSensor
from intacct_provider.transfers.intacct_to_object_storage import IntacctToObjectStorageOperator
from intacct_provider.transfers.intacct_to_sql import IntacctToSqlOperator

ODD = "platform-apps/nsp::größe 1"
LINE, TAX, PLAN = "platform-apps/nsp::line", "platform-apps/nsp::tax", "platform-apps/nsp::plan"
MODEL, QUERY = "/services/core/model", "/services/core/query"
ROWS = 30
#: Reserved words of SQL and Python, and what is unusual in names.
NAMES = (
    "select",
    "from",
    "order",
    "None",
    "class",
    "группа",
    "with space",
    "a/b",
    "per%cent",
    "quote'",
    "rowid",
)


def models():
    """Return the models of a company that nobody has seen."""
    odd = model(
        ODD,
        fields={name: field() for name in NAMES}
        | {
            "name": field(description=MARKER, default=MARKER),
            "size": field("integer", enum=[1, 2, None]),
            "share": field("number", enum=[0.5, 1.5], default=0.5),
            "flag": field("boolean", default=None),
            "kind": field(enum=[None, "", "a", "b"], default=""),
            "amount": field(format="decimal-precision-10"),
            "day": field(format="date"),
            "moment": field(format="date-time"),
            "tags": field("array"),
            "more": field("object"),
            "price": field("money"),
        },
        groups={
            "g": {"groups": {"h": {"fields": {"leaf": field()}}}, "refs": {"plan": reference(PLAN, "name")}}
        },
        refs={
            "plan": reference(PLAN, "name"),
            "self": reference(ODD, "name"),
            "far": reference("x/nowhere", "name")
            | {"groups": {"deep": {"fields": {"leaf": field(readOnly=True)}}}},
            "nothing": {"apiObject": None, "fields": {"leaf": field()}},
        },
        lists={"lines": {"apiObject": LINE}, "loose": {}},
    )
    line = model(
        LINE,
        "ownedObject",
        fields={"id": field(readOnly=True), "quote'": field(), "amount": field(format="decimal-precision-2")},
        refs={"owner": reference(ODD, isOwner=True)},
        lists={"taxes": {"apiObject": TAX}},
    )
    tax = model(
        TAX, "ownedObject", fields={"rate": field("number")}, refs={"line": reference(LINE, isOwner=True)}
    )
    plan = model(PLAN, methods="OPTIONS,GET", fields={"name": field(readOnly=True)})
    bare = {
        "type": "rootObject",
        "httpMethods": "GET",
        "fields": {"name": field()},
        "groups": {"audit": audit()},
    }
    return {ODD: odd, LINE: line, TAX: tax, PLAN: plan, "x/bare": bare}


@pytest.fixture
def captured(tmp_path, monkeypatch, capsys):
    """Return a function that captures a company: the exit code, what was printed, and the file as text."""

    def run(company, *options, objects="*"):
        path = tmp_path / "company.json"
        with raw_server(company.answer) as server:
            code = run_capture(monkeypatch, server.url, path, *options, objects=objects)
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        assert [one for one in (MARKER, "Acme", SECRET, TOKEN) if one in text] == []
        return code, capsys.readouterr(), text

    return run


@pytest.fixture(scope="module")
def company(tmp_path_factory):
    """A sandbox of what was captured, with records."""
    path = tmp_path_factory.mktemp("odd") / "company.json"
    rows = [{"key": str(n), "name": f"{MARKER} {n}"} for n in range(4)]
    with pytest.MonkeyPatch.context() as patch, raw_server(OddCompany(models(), rows=rows).answer) as server:
        assert run_capture(patch, server.url, path, "--sample") == 0
    assert MARKER not in path.read_text(encoding="utf-8")
    with running(f"{ODD}={ROWS},x/bare=3", company=path) as sandbox:
        yield sandbox


@pytest.fixture
def client(company, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_INTACCT_DEFAULT", company.connection())
    with client_of(company) as ours:
        yield ours


def test_what_was_not_kept_as_it_is_was_said(captured):
    code, printed, text = captured(OddCompany(models()))
    assert code == 0
    assert f"  {ODD}: the type of the field 'price' is not known, so it is a string" in printed.out
    model_of = json.loads(text)["objects"][ODD]["model"]
    assert model_of["fields"]["share"] == field("number", enum=[0.5, 1.5], default=0.5)
    assert "default" not in model_of["fields"]["name"]
    assert model_of["groups"]["nothing"] == {"fields": {"leaf": field()}}


def test_its_objects_are_created_read_changed_and_deleted(client):
    new = dict.fromkeys(NAMES, "x") | {"name": "One", "size": 2, "share": 1.5, "kind": "", "more": {"a": [1]}}
    lines = [{"quote'": "y", "amount": "1.50", "taxes": [{"rate": 1.5}, {"rate": 2}]}, {"taxes": []}]
    other = client.create(ODD, {"name": "Other"})["key"]
    key = client.create(ODD, new | {"lines": lines, "nothing": {"leaf": "z"}})["key"]
    found = client.get(ODD, key)
    assert {name: found[name] for name in new} == new
    assert [[tax["rate"] for tax in line["taxes"]] for line in found["lines"]] == [[1.5, 2], []]
    client.update(
        ODD, key, {"select": None, "size": None, "self": {"key": other}, "g": {"h": {"leaf": "deep"}}}
    )
    row = client.query(ODD, ["select", "self.name", "g.h.leaf"], filters=condition("key") == key).rows[0]
    assert (row["select"], row["self.name"], row["g.h.leaf"]) == (None, "Other", "deep")
    client.delete(ODD, key)
    assert client.query(LINE, ["key"], filters=condition("owner.key") == key).rows == []


def test_its_objects_take_batches_composites_and_jobs(client, company):
    made = client.create_many(ODD, [{"name": "a"}, {"name": "b", "size": 3}])
    assert [one.ok for one in made] == [True, False]
    answers = client.composite([
        {"method": "POST", "path": collection_path(ODD), "body": {"name": "c"}, "resultReference": "one"},
        {"method": "GET", "path": f"{collection_path(ODD)}/@{{one.key}}"},
    ])  # fmt: skip
    assert "'c'" in str(answers[1])
    company.faults.job_seconds = 0
    client.submit_job(ODD, "create", [{"name": "d"}])
    until(lambda: client.query(ODD, ["key"], filters=condition("name") == "d").rows)


@pytest.mark.parametrize("name", [ODD, LINE, PLAN, "x/bare"])
def test_its_objects_are_exported_and_merged(name, client, company, tmp_path, monkeypatch):
    fields = [*client.queryable_fields(name)]
    file = str(tmp_path / "rows.parquet")
    export = {"object_name": name, "fields": fields, "destination": file, "file_format": "parquet"}
    rows = IntacctToObjectStorageOperator(task_id="export", **export).execute({})["rows"]
    table = pq.read_table(file)
    assert (len(table), {*table.column_names}) == (rows, {*fields})
    assert rows == len(company.records(name)) > 0
    database = Database("sqlite", tmp_path, monkeypatch)
    load = {"sql_conn_id": "warehouse", "object_name": name, "fields": fields, "table": "loaded"}
    if "key" in fields:
        for _ in range(2):
            IntacctToSqlOperator(task_id="load", mode="merge", **load).execute({})
        assert database.run("SELECT COUNT(*) FROM loaded") == [(rows,)]


def test_its_objects_are_synced_and_watched(client):
    desired = [
        {"name": "S1", "from": "a", "share": 1.5, "kind": "b"},
        {"name": "S2", "from": "b", "plan.id": None},
    ]
    sync = IntacctSyncOperator(task_id="sync", object_name=ODD, desired=desired, match_on="name")
    assert sync.execute({})["created"] == 2
    assert sync.execute({})["unchanged"] == 2
    found = client.query(ODD, ["key"], filters=condition("name") == "S1").rows[0]
    assert IntacctQuerySensor(task_id="q", object_name=ODD, filters=condition("from") == "a").poke({})
    assert IntacctRecordSensor(task_id="r", object_name=ODD, key=found["key"], conditions={"kind": "b"}).poke(
        {}
    )


@pytest.mark.parametrize("status", [403, 404])
def test_an_object_whose_model_is_refused_is_left_out(status, captured):
    company = OddCompany(models())
    company.refused = {PLAN: {MODEL: refusal(status)}}
    code, printed, text = captured(company)
    assert code == 0
    assert f"{PLAN} is left out, because its model cannot be read" in printed.out
    assert json.loads(text)["objects"].keys() == models().keys() - {PLAN}


def test_an_object_that_cannot_be_counted_is_kept(captured):
    company = OddCompany(models())
    company.refused = {PLAN: {QUERY: refusal(403)}}
    code, _, text = captured(company, "--sample")
    plan = json.loads(text)["objects"][PLAN]
    assert (code, plan["count"], plan["model"]["fields"]["name"]["readOnly"]) == (0, None, True)


@pytest.mark.parametrize("number", [1, 3, 6])
@pytest.mark.parametrize(
    "reply",
    [
        response({"error": {"code": "GW-0010", "message": MARKER}}, 429, Retry_After="0"),
        response({"error": {"code": "GW-0040", "message": MARKER}}, 401),
        response({"ia::error": {"errorId": "REST-1206", "message": MARKER}}, 400),
        None,
    ],
)
def test_a_disturbance_in_the_middle_changes_nothing(number, reply, captured):
    undisturbed = captured(OddCompany(models()))
    company = OddCompany(models())
    company.replies = {number: reply}
    code, printed, text = captured(company, "--overwrite")
    assert (code, text) == (undisturbed[0], undisturbed[2])
    assert MARKER not in printed.out + printed.err


def test_an_object_with_an_impossible_path_is_left_out(captured):
    code, printed, text = captured(OddCompany({"a/b/c": model("a/b/c"), PLAN: models()[PLAN]}))
    assert (code, [*json.loads(text)["objects"]]) == (0, [PLAN])
    assert "'a/b/c' is left out" in printed.out


def test_a_company_that_lists_nothing_is_an_error(captured):
    code, printed, text = captured(OddCompany({}))
    assert (code, text) == (1, "")
    assert "lists no objects for this user" in printed.err
