"""What a sync promises, through the operators alone: every test here fails with a release that does not keep it."""

from __future__ import annotations

import gzip
import time

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException
from sandbox_client import calls, client_of, stored

from intacct_provider.client.query.expressions import field
from intacct_provider.operators.sync import (
    IntacctApplySyncOperator,
    IntacctPlanSyncOperator,
    IntacctSyncOperator,
)

CUSTOMER = "accounts-receivable/customer"


@pytest.fixture
def company(sandbox, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_INTACCT_DEFAULT", sandbox.connection())
    return sandbox


@pytest.fixture
def client(company):
    with client_of(company) as client:
        yield client


def customers(*ids, **fields):
    return [{"id": id_, "name": id_, **fields} for id_ in ids]


def plan(desired, folder, name="x.plan.json", **arguments):
    operator = IntacctPlanSyncOperator(
        task_id="plan",
        object_name=CUSTOMER,
        desired=desired,
        plan_path=f"file://{folder}/{name}",
        **arguments,
    )
    return operator.execute({})


def apply(path, task="apply", **arguments):
    return IntacctApplySyncOperator(task_id=task, plan=path, **arguments).execute({})


def sync(desired, **arguments):
    return IntacctSyncOperator(task_id="sync", object_name=CUSTOMER, desired=desired, **arguments).execute({})


def refuse(desired, **arguments):
    with pytest.raises(AirflowFailException) as caught:
        sync(desired, dry_run=True, **arguments)
    return str(caught.value)


def write(folder, name, content):
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return f"file://{folder}/{name}"


def names(client):
    return {row["id"]: row["name"] for row in client.iter_rows(CUSTOMER, ["id", "name"])}


def change(client, id_, **changes):
    client.update(CUSTOMER, client.find(CUSTOMER, id_)["key"], changes)


# --- between plan and apply


@pytest.mark.parametrize("notes", ["someone else's", "ours, keep"])
@pytest.mark.parametrize("record", ["B", "C"])
def test_what_left_the_scope_or_became_protected_is_not_touched(company, client, tmp_path, record, notes):
    company.seed(CUSTOMER, customers("A", "B", "C", notes="ours"))
    made = plan(
        [{"id": "A", "name": "A"}, {"id": "B", "name": "b"}],
        tmp_path,
        mode="mirror",
        scope=field("notes").startswith("ours"),
        protect=field("notes").contains("keep"),
    )
    change(client, record, notes=notes)
    before = names(client)
    with pytest.raises(AirflowException, match=record):
        apply(made["plan"])
    assert names(client) == before
    assert apply(made["plan"], on_stale="skip")["stale"] == 1
    assert names(client)[record] == record


def test_an_undo_leaves_alone_what_the_plan_did_not_write(company, client, tmp_path):
    company.seed(CUSTOMER, customers("P"))
    made = plan([{"id": "GOOD", "name": "g"}, {"id": "BAD", "name": "b", "parent": {"id": "P"}}], tmp_path)
    client.delete(CUSTOMER, client.find(CUSTOMER, "P")["key"])
    with pytest.raises(AirflowException, match="BAD"):
        apply(made["plan"])
    # Somebody does by hand what Intacct rejected.
    company.seed(CUSTOMER, customers("P"))
    client.create(CUSTOMER, {"id": "BAD", "name": "b", "parent": {"id": "P"}})
    apply(f"file://{tmp_path}/x.plan.undo.json", "undo")
    assert sorted(stored(company, CUSTOMER)) == ["BAD", "P"]


def test_what_intacct_accepts_and_does_not_do_is_not_green(company, client, tmp_path, monkeypatch):
    monkeypatch.setattr(time, "sleep", lambda _seconds: None)
    company.seed(CUSTOMER, customers("A"))
    key = client.find(CUSTOMER, "A")["key"]
    made = plan([{"id": "A", "name": "a"}], tmp_path)
    company.fail(
        status=200,
        method="PATCH",
        path=f"/objects/{CUSTOMER}",
        body={"ia::result": [{"key": key, "id": "A", "ia::status": 200}]},
    )
    with pytest.raises(AirflowException, match=r"name is 'A', planned 'a'"):
        apply(made["plan"])
    assert names(client) == {"A": "A"}


# --- what the desired records are


@pytest.mark.parametrize(
    "cell", ["#N/A", "#VALUE!", "#NV", "nan", "NaN", "4.7E+17", "4.7e+17", "a\x00b", "a\x1bb"]
)
@pytest.mark.parametrize("column", ["id", "name"])
def test_damaged_cells_are_problems_with_place(company, tmp_path, cell, column):
    row = {"id": "A", "name": "n"} | {column: cell}
    file = write(tmp_path, "x.csv", f"id,name\n{row['id']},{row['name']}\n")
    message = refuse(file)
    assert "line 2" in message
    assert f"{column} is " in message


@pytest.mark.parametrize("word", ["NULL", "None", "N/A"])
def test_words_for_nothing_are_warnings(company, tmp_path, word):
    result = sync(write(tmp_path, "x.csv", f"id,name\nA,{word}\n"), dry_run=True)
    assert any(repr(word) in warning for warning in result["warnings"])


@pytest.mark.parametrize("header", ["id,name", "name,id"])
def test_ids_that_a_data_frame_made_numbers_are_warnings(company, tmp_path, header):
    rows = ["17.0,18.0", "19,20"] if header == "id,name" else ["18.0,17.0", "20,19"]
    result = sync(write(tmp_path, "x.csv", "\n".join([header, *rows])), dry_run=True)
    [warning] = result["warnings"]
    assert "1 record has an id such as '17.0' in id (from line 2 on)" in warning


@pytest.mark.parametrize("cell", ["\u200b", "\ufeff", "\u2060"])
def test_a_cell_that_looks_empty_changes_nothing(company, tmp_path, cell):
    company.seed(CUSTOMER, customers("A", notes="n"))
    assert not sync(write(tmp_path, "x.csv", f"id,notes\nA,{cell}\n"), dry_run=True)["changed"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("cr.csv", "id,name\rA,x\rB,y\r"),
        ("sep.csv", "sep=;\r\nid;name\r\nA;x\r\nB;y\r\n"),
        ("short.csv", "id,name,notes\nA,x\nB,y\n"),
        ("t.tsv", "id\tname\nA\tx\nB\ty\n"),
        ("c.csv.gz", gzip.compress(b"id,name\nA,x\nB,y\n", mtime=0)),
        ("bom.csv", "\ufeff\ufeffid,name\nA,x\nB,y\n"),
        ("template.csv", "DONOTIMPORT,ID,NAME\n#,Unique,Required\n,A,x\n#,C,z\n,B,y\n"),
    ],
)
def test_tables_are_read_as_people_have_them(company, tmp_path, name, content):
    assert sync(write(tmp_path, name, content))["created"] == 2
    assert sorted(stored(company, CUSTOMER)) == ["A", "B"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_text_in_utf_16_is_named(company, tmp_path, encoding):
    assert "UTF-16" in refuse(write(tmp_path, "x.csv", "id,name\nA,x\n".encode(encoding)))


@pytest.mark.parametrize(("cell", "held"), [("T", True), ("F", False), ("1", True), ("0", False)])
def test_booleans_of_tables(company, client, tmp_path, cell, held):
    sync(write(tmp_path, "x.csv", f"id,name,isOnHold\nA,x,{cell}\n"))
    [row] = client.iter_rows(CUSTOMER, ["isOnHold"])
    assert row["isOnHold"] is held


def test_a_bare_reference_is_answered_with_the_object(company):
    assert '{"id": "Net 30"}' in refuse([{"id": "A", "name": "x", "term": "Net 30"}])


def test_a_workbook_is_read(company, tmp_path):
    import openpyxl

    book = openpyxl.Workbook()
    for row in (["id", "name"], ["A", "x"], [17, "y"]):
        book.active.append(row)
    book.save(tmp_path / "x.xlsx")
    assert sync(f"file://{tmp_path}/x.xlsx")["created"] == 2
    assert sorted(stored(company, CUSTOMER)) == ["17", "A"]


def test_nothing_was_sent_for_what_is_refused(company, tmp_path):
    refuse(write(tmp_path, "x.csv", "id,name\nA,#REF!\n"))
    assert not [call for call in calls(company, "/objects") if call.method != "GET"]
