"""Fields with personal data are hashed or dropped wherever an export writes or remembers something."""

import csv
import gzip
import hashlib
import json
import sqlite3
from contextlib import closing
from types import SimpleNamespace

import pyarrow.parquet as pq
import pytest
import requests
from airflow.providers.common.compat.sdk import AirflowFailException, Asset
from airflow_parts import AssetShelves
from sandbox_client import client_of, running

from intacct_provider.client.query.expressions import field
from intacct_provider.operators.export_ranges import IntacctCommitExportOperator, IntacctKeyRangesOperator
from intacct_provider.transfers.intacct_to_object_storage import IntacctToObjectStorageOperator
from intacct_provider.transfers.intacct_to_sql import IntacctToSqlOperator

CUSTOMER = "accounts-receivable/customer"
GROUP = "general-ledger/account-group"
MODIFIED = "audit.modifiedDateTime"
QUERY = "/services/core/query"
FIELDS = ["key", "id", "taxId", "notes", "creditLimit"]
MASK = {"taxId": "sha256", "notes": "drop", "creditLimit": "sha256"}
#: What nobody is to find anywhere: tax ids, notes, email addresses and a limit.
SECRETS = ("TAX-", "born in", "@mail.example", "77123")
ASSET = Asset("customers")


@pytest.fixture(scope="module")
def company():
    """Five customers with personal data; the tests only read."""
    with running() as sandbox, client_of(sandbox) as client:
        fill(client)
        yield sandbox


def fill(client):
    for number in range(5):
        record = {"id": f"C{number}", "name": f"Customer {number}", "creditLimit": 77123 if number else None}
        if number:
            record |= {"taxId": f"TAX-é{number % 2}", "notes": "born in 1970"}
            record["contacts"] = {"default": {"email1": f"c{number}@mail.example", "lastName": "Doe"}}
        client.create(CUSTOMER, record)


@pytest.fixture
def airflow(company, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_INTACCT_DEFAULT", company.connection())
    return company


@pytest.fixture
def warehouse(tmp_path, monkeypatch):
    """A SQLite database as an Airflow connection; return its path."""
    path = tmp_path / "warehouse.db"
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps({"conn_type": "sqlite", "host": str(path)}))
    return path


def digest(text):
    return hashlib.sha256(text.encode()).hexdigest()


def export(destination, context=None, **arguments):
    given = {"object_name": CUSTOMER, "fields": FIELDS, "mask": MASK} | arguments
    operator = IntacctToObjectStorageOperator(task_id="export", destination=str(destination), **given)
    return operator.execute(context or {})


def load(context=None, **arguments):
    given = {"object_name": CUSTOMER, "fields": FIELDS, "mask": MASK, "table": "customers"} | arguments
    return IntacctToSqlOperator(task_id="load", sql_conn_id="warehouse", **given).execute(context or {})


def context_of(run_id="1", shelf=None, **attempt):
    given = {"map_index": -1, "max_tries": 0, "try_number": 1} | attempt
    task = SimpleNamespace(dag_id="sales", task_id="export", run_id=run_id, **given)
    return {"ti": task, "run_id": run_id, "asset_state_store": AssetShelves(ASSET, shelf)}


def find_secrets(folder, *texts):
    """Return which secrets are in any file below a folder, hidden ones included, or in texts."""
    found = [*texts]
    for path in folder.rglob("*"):
        if path.is_dir():
            continue
        content = path.read_bytes()
        if content[:2] == b"\x1f\x8b":
            content = gzip.decompress(content)
        if content[:4] == b"PAR1":
            content += repr(pq.read_table(path).to_pylist()).encode()
        found.append(content.decode("utf-8", "replace"))
    return {secret for secret in SECRETS for text in found if secret in text}


def rows_of(path):
    if path.name.endswith(".parquet"):
        return pq.read_table(path).to_pylist()
    text = (
        gzip.decompress(path.read_bytes()).decode() if path.name.endswith(".gz") else path.read_text("utf-8")
    )
    if ".csv" in path.name:
        return [{k: v or None for k, v in row.items()} for row in csv.DictReader(text.splitlines())]
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize("name", ["c.jsonl", "c.csv.gz", "c.parquet"])
def test_files_have_hashes_and_nothing_of_what_is_dropped(airflow, tmp_path, name):
    export(tmp_path / name)
    rows = rows_of(tmp_path / name)
    assert rows[0] == {"key": "1", "id": "C0", "taxId": None, "creditLimit": None}
    assert rows[1] == {"key": "2", "id": "C1", "taxId": digest("TAX-é1"), "creditLimit": digest("77123")}
    assert rows[1]["taxId"] == rows[3]["taxId"] != rows[2]["taxId"]
    assert find_secrets(tmp_path) == set()
    columns = json.loads((tmp_path / f"{name}.manifest.json").read_bytes())["columns"]
    assert columns[2:] == [
        {"name": "taxId", "field": "taxId", "type": "string", "mask": "sha256"},
        {"name": "creditLimit", "field": "creditLimit", "type": "string", "mask": "sha256"},
    ]


@pytest.fixture
def bodies(monkeypatch):
    """What is sent."""
    sent, send = [], requests.Session.send

    def record(session, request, **options):
        sent.append(request.body or b"")
        return send(session, request, **options)

    monkeypatch.setattr(requests.Session, "send", record)
    return sent


def test_what_is_dropped_never_leaves_intacct(airflow, bodies, tmp_path):
    export(tmp_path / "a.jsonl")
    export(tmp_path / "b.jsonl", fields="*", mask=MASK | {"contacts.default.email1": "drop"})
    asked = [json.loads(body).get("fields") or () for body in bodies if b'"fields"' in body]
    assert sum("taxId" in fields for fields in asked) >= 2
    assert not {"notes", "contacts.default.email1"} & {name for fields in asked for name in fields}
    assert find_secrets(tmp_path) == set()
    assert len(rows_of(tmp_path / "b.jsonl")[0]) > 100


def test_a_group_is_dropped_with_all_its_fields(airflow, bodies, warehouse, tmp_path):
    mask = MASK | {"contacts": "drop"}
    fields = [*FIELDS, "contacts.default.email1", "contacts.default.lastName"]
    export(tmp_path / "a.jsonl", fields=fields, mask=mask)
    export(tmp_path / "b.jsonl", fields="*", mask=mask)
    load(fields=fields, mask=mask, mode="merge")
    load(fields=fields, mask=mask, mode="merge")
    asked = [json.loads(body).get("fields") or () for body in bodies if b'"fields"' in body]
    assert not [name for fields in asked for name in fields if name.startswith("contacts.")]
    assert find_secrets(warehouse.parent) == set()
    with pytest.raises(AirflowFailException, match="mask has 'contacts', which is not among the fields"):
        export(tmp_path / "c.jsonl", fields=fields, mask={"contacts": "sha256"})


def test_models_of_lists_are_read_only_for_masks_within_them(airflow, tmp_path):
    what = {"fields": None, "detail": True}
    plain = export(tmp_path / "a.jsonl", mask=None, **what)["transactions"]
    assert export(tmp_path / "b.jsonl", mask=DETAIL, **what)["transactions"] == plain


DETAIL = MASK | {"contacts.default.email1": "sha256", "contacts.default.lastName": "drop"}


@pytest.mark.parametrize("name", ["c.jsonl", "c.csv", "c.parquet"])
@pytest.mark.parametrize("fields", [None, ["key", "taxId", "contacts", "notes", "creditLimit"]])
def test_whole_records(airflow, tmp_path, name, fields):
    export(tmp_path / name, fields=fields, detail=True, mask=DETAIL)
    row = rows_of(tmp_path / name)[1]
    contacts = json.loads(row["contacts"]) if name.endswith(".csv") else row["contacts"]
    assert row["taxId"] == digest("TAX-é1")
    assert contacts["default"]["email1"] == digest("c1@mail.example")
    assert "lastName" not in contacts["default"]
    assert "notes" not in row
    assert find_secrets(tmp_path) == set()
    assert "Doe" not in repr(row)


@pytest.mark.parametrize("name", ["g.jsonl", "g.csv", "g.parquet"])
@pytest.mark.parametrize("how", ["sha256", "drop"])
def test_members_of_lists(demo, monkeypatch, tmp_path, name, how):
    monkeypatch.setenv("AIRFLOW_CONN_INTACCT_DEFAULT", demo.connection())
    mask = {"accountRanges.rangeFrom": how, "accountRanges.audit": "drop"}
    export(tmp_path / name, object_name=GROUP, fields=None, detail=True, mask=mask)
    export(tmp_path / f"plain{name}", object_name=GROUP, fields=None, detail=True, mask=None)
    masked, plain = (
        [
            json.loads(row["accountRanges"]) if name.endswith(".csv") else row["accountRanges"]
            for row in rows_of(tmp_path / one)
        ]
        for one in (name, f"plain{name}")
    )
    assert any(plain)
    for ranges, was in zip(masked, plain, strict=True):
        for one, before in zip(ranges or (), was or (), strict=True):
            assert "audit" not in one
            assert one["rangeTo"] == before["rangeTo"]
            if how == "sha256":
                assert one["rangeFrom"] == digest(before["rangeFrom"])
            else:
                assert "rangeFrom" not in one
                assert "rangeFrom" not in str(one.get("_rest"))


@pytest.mark.parametrize("how", ["sha256", "drop"])
def test_members_of_lists_that_are_tables(demo, monkeypatch, warehouse, tmp_path, how):
    monkeypatch.setenv("AIRFLOW_CONN_INTACCT_DEFAULT", demo.connection())
    what = {"object_name": GROUP, "fields": None, "detail": True, "lists": "tables"}
    mask = {"accountRanges.rangeFrom": how, "accountGroupMembers": "drop", "title": "drop"}
    export(tmp_path / "g.jsonl", mask=mask, **what)
    export(tmp_path / "plain.jsonl", mask=None, **what)
    load(mask=mask, table="groups", mode="replace", **what)
    plain = [row["rangeFrom"] for row in rows_of(tmp_path / "plain.accountRanges.jsonl")]
    masked = [row.get("rangeFrom") for row in rows_of(tmp_path / "g.accountRanges.jsonl")]
    assert masked == [digest(value) if how == "sha256" else None for value in plain]
    assert plain
    assert not list(tmp_path.glob("g.accountGroupMembers*"))
    with closing(sqlite3.connect(warehouse)) as conn:
        tables = {row[0]: row[1] for row in conn.execute("SELECT name, sql FROM sqlite_master")}
        assert not [name for name in tables if "Members" in name and "Category" not in name]
        [ranges] = [name for name in tables if name.endswith("accountRanges")]
        assert ("rangeFrom" in tables[ranges]) is (how == "sha256")
        assert "title" not in tables["groups"]


def test_a_member_without_a_model_is_masked_with_what_it_is_in(airflow, tmp_path):
    with pytest.raises(AirflowFailException, match=r"contacts is a group or a list\. Use 'drop'"):
        export(tmp_path / "c.jsonl", fields=None, detail=True, mask={"contacts": "sha256"})
    export(tmp_path / "c.jsonl", fields=None, detail=True, mask=MASK | {"contacts": "drop"})
    assert find_secrets(tmp_path) == set()
    assert "contacts" not in rows_of(tmp_path / "c.jsonl")[1]


def test_a_table_has_hashes_as_text(airflow, warehouse):
    load(mode="merge")
    with closing(sqlite3.connect(warehouse)) as conn:
        assert conn.execute("SELECT key, taxId, creditLimit FROM customers ORDER BY key").fetchall()[1] == (
            "2", digest("TAX-é1"), digest("77123"),
        )  # fmt: skip
        assert [row[1] for row in conn.execute("PRAGMA table_info(customers)")] == [
            "key",
            "id",
            "taxId",
            "creditLimit",
        ]
    load(mode="replace", fields=None, detail=True, mask=DETAIL, table="records")
    assert find_secrets(warehouse.parent) == set()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"mask": {"taxid": "sha256"}}, r"mask has 'taxid'.*Did you mean 'taxId'\?"),
        ({"mask": {"name": "drop"}}, "mask has 'name', which is not among the fields"),
        ({"fields": {"taxId": "tax"}, "mask": {"tax": "drop"}}, "It names a column; its field is 'taxId'"),
        ({"mask": {"taxId": "md5"}}, r"mask\['taxId'\] must be one of sha256, drop, not 'md5'"),
        ({"mask": ["taxId"]}, "mask must be a mapping"),
        ({"mask": {"key": "sha256"}}, "mask has 'key', which cannot be hidden"),
        ({"mask": {"key": "drop"}}, "mask has 'key', which cannot be hidden"),
        ({"mask": dict.fromkeys(FIELDS[1:], "drop"), "fields": FIELDS[1:]}, "mask drops every field"),
        ({"control_totals": ["creditLimit"]}, "mask hides 'creditLimit', and control_totals has it"),
        ({"filters": field("taxId") == "TAX-é1"}, "mask hides 'taxId', and filters has it"),
        ({"incremental": MODIFIED, "fields": [*FIELDS, MODIFIED], "mask": {MODIFIED: "sha256"}}, "incremental has it"),
        ({"entities": ["US"], "mask": {"taxIdd": "drop"}}, "Did you mean 'taxId'"),
        ({"entities": ["US"], "mask": {"entity.id": "sha256"}}, "mask hides 'entity.id', and entities has it"),
    ],
)  # fmt: skip
def test_masks_that_cannot_be_kept_are_refused_before_anything_is_sent(airflow, tmp_path, arguments, text):
    before = len(airflow.requests)
    with pytest.raises(AirflowFailException, match=text):
        export(tmp_path / "c.jsonl", context_of(shelf={}), **arguments)
    assert len(airflow.requests) == before
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize("fields", ["*", None])
def test_a_mistyped_mask_of_all_fields_leaves_no_file(airflow, tmp_path, fields):
    with pytest.raises(AirflowFailException, match=r"mask has 'taxID'.*Did you mean 'taxId'\?"):
        export(tmp_path / "c.jsonl", fields=fields, detail=fields is None, mask={"taxID": "sha256"})
    assert [*tmp_path.iterdir()] == []


def test_whether_there_is_a_value_may_be_asked(airflow, tmp_path):
    assert export(tmp_path / "c.jsonl", filters=field("taxId").is_not_null())["rows"] == 4


def test_the_key_of_merge_is_not_hidden(airflow, warehouse):
    before = len(airflow.requests)
    for fields, key in ((FIELDS, "id"), ({"key": "key", "id": "number"}, "number"), ("*", "id")):
        with pytest.raises(
            AirflowFailException, match="mask hides 'id', by which mode='merge' finds the rows"
        ):
            load(mode="merge", key=key, fields=fields, mask={"id": "sha256"})
    assert len(airflow.requests) == before


def test_another_mask_is_another_query_of_a_table(airflow, warehouse):
    """A cleared task does not take rows without a mask for those that it is to load."""
    load(context_of(), mode="append", mask=None, fields=["key", "taxId"])
    with pytest.raises(AirflowFailException, match="already appended 5 rows of another query"):
        load(context_of(), mode="append", mask={"taxId": "sha256"}, fields=["key", "taxId"])


def test_ranges_with_different_masks_are_refused(airflow, tmp_path):
    plan = [
        {"number": 1, "of": 2, "above": None, "upto": "3"},
        {"number": 2, "of": 2, "above": "3", "upto": None},
    ]
    target = f"file://{tmp_path}/c.jsonl"
    exports = [export(target, key_range=one, mask=mask) for one, mask in zip(plan, (MASK, None), strict=True)]
    commit = IntacctCommitExportOperator(task_id="commit", destination=target, exports=exports)
    with pytest.raises(AirflowFailException, match="another columns"):
        commit.execute({})
    exports = [export(target, key_range=one) for one in plan]
    commit = IntacctCommitExportOperator(task_id="commit", destination=target, exports=exports)
    assert commit.execute({})["rows"] == 5
    assert find_secrets(tmp_path) == set()
    assert IntacctKeyRangesOperator(task_id="plan", object_name=CUSTOMER, ranges=1).execute({})


class Shelf(dict):
    """What Airflow keeps with an asset."""

    def set(self, name, text):
        self[name] = text


def test_a_changed_mask_reads_everything_again(airflow, warehouse, tmp_path):
    shelf, hashed = Shelf(), {"taxId": "sha256"}
    to = {"incremental": MODIFIED, "fields": ["key", "taxId", "id"], "outlets": [ASSET], "table": "c"}
    for run, mask in enumerate([None, hashed, hashed, None], 1):
        load(context_of(str(run), shelf), mode="merge", mask=mask, **to)
        with closing(sqlite3.connect(warehouse)) as conn:
            tax_ids = [row[0] for row in conn.execute("SELECT taxId FROM c ORDER BY key")]
            facts = [
                json.loads(row[0])
                for row in conn.execute("SELECT facts FROM intacct_exports ORDER BY run_id")
            ]
        assert tax_ids[1] == (digest("TAX-é1") if mask else "TAX-é1")
    assert [one["window"]["lower"] is None for one in facts] == [True, True, False, True]


def test_tombstones_and_kept_keys_have_no_hidden_id(airflow, tmp_path):
    shelf = Shelf()
    with running() as sandbox, client_of(sandbox) as client:
        for number in range(1, 4):
            client.create(CUSTOMER, {"id": f"TAX-{number}", "name": f"Customer {number}"})
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("AIRFLOW_CONN_INTACCT_DEFAULT", sandbox.connection())
            for how in ("sha256", "drop"):
                what = {
                    "fields": ["key", "id", MODIFIED], "mask": {"id": how}, "detect_deletes": "auto",
                    "incremental": MODIFIED, "outlets": [ASSET],
                }  # fmt: skip
                folder = tmp_path / how
                export(folder / "c.jsonl", context_of(f"{how}1", shelf), **what)
                client.delete(CUSTOMER, client.iter_rows(CUSTOMER, ["key"]).__next__()["key"])
                result = export(folder / "d.jsonl", context_of(f"{how}2", shelf), **what)
                assert result["deleted"] == 1
                assert rows_of(folder / "d.deleted.jsonl")[0]["id"] is None
    assert find_secrets(tmp_path, *shelf.values()) == set()


def test_a_changed_mask_never_continues_from_parts_without_it(airflow, tmp_path):
    path = tmp_path / "c.jsonl"
    what = {"fields": ["key", "taxId"], "rows_per_part": 1}
    attempt = {"max_tries": 3}
    connection = json.loads(airflow.connection())
    connection["extra"]["page_size"] = 2
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW_CONN_INTACCT_DEFAULT", json.dumps(connection))
        airflow.fail(kind="status", status=503, headers={"Retry-After": "1000"}, times=0, path=QUERY, skip=3)
        with pytest.raises(Exception, match="503"):
            export(path, context_of(**attempt), mask=None, **what)
        airflow.clear_faults()
        assert find_secrets(tmp_path)  # parts of the first attempt
        result = export(path, context_of(try_number=2, **attempt), mask={"taxId": "sha256"}, **what)
    assert result["rows"] == 5
    assert find_secrets(tmp_path) == set()
    assert [rows_of(tmp_path / f"c-0000{n}.jsonl")[0]["taxId"] for n in (2, 3)] == [
        digest("TAX-é1"),
        digest("TAX-é0"),
    ]


@pytest.mark.parametrize("name", ["c.csv", "c.jsonl.gz", "c.parquet"])
def test_a_retry_continues_and_writes_what_an_undisturbed_export_writes(airflow, tmp_path, capsys, name):
    options = {"delimiter": ";", "bom": True, "csv_safe": True} if name.endswith(".csv") else {}
    what = {"rows_per_part": 1, "mask": MASK, **options}
    connection = json.loads(airflow.connection())
    connection["extra"]["page_size"] = 2
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW_CONN_INTACCT_DEFAULT", json.dumps(connection))
        export(tmp_path / "calm" / name, context_of(), **what)
        airflow.fail(kind="status", status=503, headers={"Retry-After": "1000"}, times=0, path=QUERY, skip=3)
        with pytest.raises(Exception, match="503"):
            export(tmp_path / "retried" / name, context_of(max_tries=3), **what)
        airflow.clear_faults()
        assert find_secrets(tmp_path) == set()
        export(tmp_path / "retried" / name, context_of(max_tries=3, try_number=2), **what)
    assert "rows of an earlier attempt" in capsys.readouterr().out
    calm, retried = (
        {one.name: one.read_bytes() for one in (tmp_path / folder).iterdir() if "manifest" not in one.name}
        for folder in ("calm", "retried")
    )
    assert calm == retried
    assert len(calm) == 5
    assert find_secrets(tmp_path) == set()
