"""Lists as files of their own: every row once, published together with their records, and compared with queries."""

import csv
import hashlib
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import duckdb
import pyarrow.parquet as pq
import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, Asset
from airflow_parts import AssetShelves
from sandbox_client import client_of, running

from intacct_provider.client.query.expressions import field
from intacct_provider.client.session import Session
from intacct_provider.exceptions import IntacctIncompleteReadError
from intacct_provider.export.lists.proof import ListProof
from intacct_provider.operators.export_ranges import IntacctCommitExportOperator
from intacct_provider.transfers.intacct_to_object_storage import IntacctToObjectStorageOperator

CUSTOMER = "accounts-receivable/customer"
CUSTOMER_GROUP = "accounts-receivable/customer-group"
GROUP = "general-ledger/account-group"
RANGE = "general-ledger/account-range"
MEMBER = "general-ledger/account-group-member"
QUERY = "/services/core/query"
RECORDS = f"/objects/{GROUP}"
LISTS = {
    "accountRanges",
    "accountGroupMembers",
    "accountGroupComputation",
    "accountGroupCategoryMembers",
    "statisticalAccountGroupCategoryMembers",
    "statisticalAccountRanges",
}


@pytest.fixture(scope="module")
def company():
    """Account groups with ranges; tests that change them bring their own company."""
    with running("demo") as one:
        yield one


@pytest.fixture
def airflow(company, monkeypatch):
    """The company as Airflow's default connection."""
    monkeypatch.setenv("AIRFLOW_CONN_INTACCT_DEFAULT", company.connection())
    yield company
    company.clear_faults()
    company.faults.denied = []


@pytest.fixture
def small(sandbox, monkeypatch):
    """Three account groups, with two, no and one range."""
    monkeypatch.setenv("AIRFLOW_CONN_INTACCT_DEFAULT", sandbox.connection())
    with client_of(sandbox) as client:
        for number, ranges in enumerate((2, 0, 1)):
            group(client, f"G{number}", ranges)
    return sandbox


def group(client, name, ranges=1):
    """Make an account group with some ranges; return its key."""
    each = [{"sortOrder": n, "rangeFrom": f"{n}000", "rangeTo": f"{n}999"} for n in range(ranges)]
    return client.create(GROUP, {"id": name, "accountRanges": each})["key"]


def export(path, object_name=GROUP, lists="tables", **arguments):
    operator = IntacctToObjectStorageOperator(
        task_id="export",
        object_name=object_name,
        destination=str(path),
        detail=True,
        lists=lists,
        **arguments,
    )
    return operator.execute({})


def manifest_of(path):
    return json.loads(path.with_name(path.name + ".manifest.json").read_bytes())


def lines(path):
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def rows_of(records, name):
    """Return what a list's file must have, by what GET returns."""
    return [
        {"parent_key": record["key"], "position": n, **one}
        for record in records
        for n, one in enumerate(record[name])
    ]


def live(company, object_name=GROUP):
    with client_of(company) as client:
        keys = [row["key"] for row in client.iter_rows(object_name, ["key"])]
        return list(client.get_many(object_name, keys))


def list_of(manifest, name):
    [found] = [one for one in manifest["lists"] if one["name"] == name]
    return found


# --- every row, in each format


def test_each_list_is_a_file_of_json_lines_and_no_longer_in_the_records(airflow, tmp_path):
    path = tmp_path / "groups.jsonl"
    result = export(path)
    records = live(airflow)
    assert lines(path) == [
        {name: value for name, value in record.items() if name not in LISTS} for record in records
    ]
    for name in LISTS:
        assert lines(tmp_path / f"groups.{name}.jsonl") == rows_of(records, name)
    assert {one.name for one in tmp_path.iterdir()} == {
        *("groups.jsonl", "groups.jsonl.manifest.json"),
        *(f"groups.{name}.jsonl" for name in LISTS),
    }
    assert result["lists"]["accountRanges"] == {
        "path": str(tmp_path / "groups.accountRanges.jsonl"),
        "rows": len(rows_of(records, "accountRanges")),
    }


def test_one_manifest_says_what_each_file_is(airflow, tmp_path):
    path = tmp_path / "groups.jsonl"
    result = export(path)
    manifest = manifest_of(path)
    assert {one["name"] for one in manifest["lists"]} == LISTS
    assert not LISTS & {column["name"] for column in manifest["columns"]}
    for one in manifest["lists"]:
        [part] = one["parts"]
        content = (tmp_path / part["name"]).read_bytes()
        assert one["sha256"] == part["sha256"] == hashlib.sha256(content).hexdigest()
        assert one["rows"] == part["rows"] == len(content.splitlines())
        assert [column["name"] for column in one["columns"][:2]] == ["parent_key", "position"]
        assert one["completeness"]["result"] == "equal"
    assert list_of(manifest, "accountRanges")["object"] == RANGE
    # The model, those of the lists, keys, records, and a query for each object in the lists.
    assert result["transactions"] == manifest["run"]["transactions"] == 4 + 4


def test_duckdb_joins_the_files_of_lists_in_parquet(airflow, tmp_path):
    export(tmp_path / "groups.parquet", file_format="parquet")
    found = duckdb.connect().execute(
        "SELECT g.id, r.position, r.rangeFrom, r.audit.modifiedDateTime IS NOT NULL "
        "FROM read_parquet(?) AS g JOIN read_parquet(?) AS r ON r.parent_key = g.key "
        "ORDER BY CAST(g.key AS int), r.position",
        [str(tmp_path / "groups.parquet"), str(tmp_path / "groups.accountRanges.parquet")],
    )
    assert found.fetchall() == [
        (record["id"], n, one["rangeFrom"], True)
        for record in live(airflow)
        for n, one in enumerate(record["accountRanges"])
    ]
    schema = pq.read_schema(tmp_path / "groups.accountRanges.parquet")
    assert [str(schema.field(name).type) for name in ("parent_key", "position", "sortOrder")] == [
        "string",
        "int64",
        "int64",
    ]


def test_the_query_of_the_documentation_joins_records_and_their_lists(airflow, tmp_path, monkeypatch):
    export(tmp_path / "account_groups.parquet")
    page = (Path(__file__).resolve().parents[3] / "docs" / "export.md").read_text(encoding="utf-8")
    [query] = re.findall(r"^```sql\n(SELECT g\.id.*?)^```$", page, re.MULTILINE | re.DOTALL)
    monkeypatch.chdir(tmp_path)
    found = duckdb.connect().execute(query).fetchall()
    wanted = [
        (record["id"], n, one["accountGroup"]["id"])
        for record in live(airflow)
        for n, one in enumerate(record["accountGroupMembers"])
    ]
    assert found == sorted(wanted)
    assert len(found) > 40


def test_csv_of_a_list_has_its_own_header(airflow, tmp_path):
    export(tmp_path / "groups.csv.gz", file_format="csv", compression="gzip")
    export(tmp_path / "groups.csv", file_format="csv")
    with open(tmp_path / "groups.accountGroupMembers.csv", newline="", encoding="utf-8") as file:
        read = list(csv.DictReader(file, strict=True))
    wanted = rows_of(live(airflow), "accountGroupMembers")
    assert [(row["parent_key"], row["position"], json.loads(row["accountGroup"])["id"]) for row in read] == [
        (row["parent_key"], str(row["position"]), row["accountGroup"]["id"]) for row in wanted
    ]
    assert (tmp_path / "groups.accountGroupMembers.csv.gz").exists()


def test_lists_of_references_and_of_values(airflow, tmp_path):
    with client_of(airflow) as client:
        entity = {"id": "LISTED", "name": "a", "federalId": "1", "businessDays": ["monday", "friday"]}
        key = client.create("company-config/entity", entity)["key"]
    export(tmp_path / "entities.jsonl", "company-config/entity", filters=field("key") == key)
    assert lines(tmp_path / "entities.businessDays.jsonl") == [
        {"parent_key": key, "position": n, "item": day} for n, day in enumerate(["monday", "friday"])
    ]
    [record] = lines(tmp_path / "entities.jsonl")
    assert "businessDays" not in record
    result = list_of(manifest_of(tmp_path / "entities.jsonl"), "businessDays")
    assert (result["completeness"]["result"], "object" in result) == ("unproven", False)
    export(tmp_path / "members.parquet", CUSTOMER_GROUP, file_format="parquet")
    wanted = rows_of(live(airflow, CUSTOMER_GROUP), "groupMembers")
    read = pq.read_table(tmp_path / "members.groupMembers.parquet").to_pylist()
    assert [(row["parent_key"], row["position"], row["key"]) for row in read] == [
        (row["parent_key"], row["position"], row["key"]) for row in wanted
    ]
    assert list_of(manifest_of(tmp_path / "members.parquet"), "groupMembers")["completeness"] == {
        "result": "unproven",
        "reason": f"no model of {CUSTOMER} says which of its references is the owner",
    }


def test_only_the_lists_among_the_fields_are_exported_under_the_names_given(airflow, tmp_path):
    result = export(tmp_path / "g.jsonl", fields={"key": "key", "id": "name", "accountRanges": "ranges"})
    assert set(result["lists"]) == {"ranges"}
    assert {one.name for one in tmp_path.iterdir()} == {"g.jsonl", "g.ranges.jsonl", "g.jsonl.manifest.json"}
    assert set(lines(tmp_path / "g.jsonl")[0]) == {"key", "name"}
    # The query counts the records of both lists that hold account ranges.
    assert list_of(manifest_of(tmp_path / "g.jsonl"), "ranges")["completeness"]["result"] == "equal"


def test_what_is_hidden_in_a_list_is_hidden_in_its_file(airflow, tmp_path):
    mask = {
        "accountRanges.rangeFrom": "sha256",
        "accountRanges.glAccountGroup": "drop",
        "accountGroupMembers": "drop",
    }
    export(tmp_path / "g.jsonl", mask=mask)
    [row, *_] = lines(tmp_path / "g.accountRanges.jsonl")
    assert (len(row["rangeFrom"]), "glAccountGroup" in row) == (64, False)
    assert not (tmp_path / "g.accountGroupMembers.jsonl").exists()
    manifest = manifest_of(tmp_path / "g.jsonl")
    assert list_of(manifest, "accountRanges")["completeness"]["result"] == "equal"
    export(tmp_path / "h.jsonl", mask={"statisticalAccountRanges": "drop"})
    found = list_of(manifest_of(tmp_path / "h.jsonl"), "accountRanges")["completeness"]
    assert found == {
        "result": "unproven",
        "reason": f"mask hides some of the lists that hold records of {RANGE}",
    }


def test_a_list_without_any_row_is_an_empty_file_with_columns(small, tmp_path):
    export(tmp_path / "g.parquet", file_format="parquet", filters=field("id") == "G1")
    table = pq.read_table(tmp_path / "g.accountRanges.parquet")
    assert (table.num_rows, table.column_names[:3]) == (0, ["parent_key", "position", "key"])
    export(tmp_path / "none.jsonl", filters=field("id") == "none of them")
    assert (tmp_path / "none.accountRanges.jsonl").read_bytes() == b""
    [found] = {one["completeness"]["result"] for one in manifest_of(tmp_path / "none.jsonl")["lists"]}
    assert found == "equal"


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"lists": "table"}, r"lists must be one of nested, tables, not 'table'. Did you mean 'tables'"),
        ({"detail": False, "fields": ["key"]}, r"lists='tables' needs detail=True"),
    ],
)
def test_arguments_that_cannot_be_right_cost_nothing(airflow, tmp_path, arguments, problem):
    before = airflow.transactions
    given = {"object_name": GROUP, "detail": True, "lists": "tables", **arguments}
    operator = IntacctToObjectStorageOperator(task_id="e", destination=str(tmp_path / "g.jsonl"), **given)
    with pytest.raises(AirflowFailException, match=problem):
        operator.execute({})
    assert airflow.transactions == before


# --- together with the records, or not at all


def test_another_export_takes_the_place_of_all_files(small, tmp_path):
    path = tmp_path / "g.jsonl"
    export(path, rows_per_part=1)
    parts = {f"g-0000{n}.jsonl" for n in (1, 2, 3)} | {f"g.accountRanges-0000{n}.jsonl" for n in (1, 2, 3)}
    assert parts <= {one.name for one in tmp_path.iterdir()}
    assert list_of(manifest_of(path), "accountRanges")["rows"] == 3
    export(path, lists="nested")
    assert {one.name for one in tmp_path.iterdir()} == {"g.jsonl", "g.jsonl.manifest.json"}


def test_a_list_and_another_export_never_have_one_file(small, tmp_path):
    export(tmp_path / "g.jsonl")
    with pytest.raises(
        AirflowFailException, match=r"is a part of another export, whose manifest is 'g\.jsonl"
    ):
        export(tmp_path / "g.accountRanges.jsonl", lists="nested")
    export(tmp_path / "h.accountRanges.jsonl", lists="nested")
    with pytest.raises(AirflowFailException, match="has the name of another export"):
        export(tmp_path / "h.jsonl")
    assert len(lines(tmp_path / "h.accountRanges.jsonl")) == 3


def test_an_export_that_fails_leaves_the_files_of_the_one_before(small, tmp_path):
    path = tmp_path / "g.jsonl"
    export(path)
    before = {one.name: one.read_bytes() for one in tmp_path.iterdir()}
    with client_of(small) as client:
        group(client, "G9", 5)
    small.fail(status=403, path=RECORDS, times=0)
    with pytest.raises(AirflowFailException):
        export(path)
    assert {one.name: one.read_bytes() for one in tmp_path.iterdir()} == before


def test_the_same_records_are_the_same_bytes(airflow, tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        export(tmp_path / name / "g.parquet", file_format="parquet", rows_per_part=20)
    first, second = ({f.name: f.read_bytes() for f in (tmp_path / n).glob("*.parquet")} for n in ("a", "b"))
    assert first == second


def test_ranges_of_keys_are_one_export_with_one_set_of_lists(airflow, tmp_path):
    path = tmp_path / "g.jsonl"
    ranges = [
        {"number": 1, "of": 2, "above": None, "upto": "40"},
        {"number": 2, "of": 2, "above": "40", "upto": None},
    ]
    exports = [export(path, key_range=one) for one in ranges]
    assert not any(one.name[0] != "." for one in tmp_path.iterdir())
    IntacctCommitExportOperator(task_id="commit", destination=str(path), exports=exports).execute({})
    found = list_of(manifest_of(path), "accountRanges")
    assert [part["name"] for part in found["parts"]] == [
        f"g.accountRanges-r0000{n}-00001.jsonl" for n in (1, 2)
    ]
    rows = [row for part in found["parts"] for row in lines(tmp_path / part["name"])]
    assert rows == rows_of(live(airflow), "accountRanges")
    assert found["completeness"] == {"result": "equal", "counted": len(airflow_ranges(airflow))}
    assert not [one.name for one in tmp_path.iterdir() if one.name.startswith(".")]


def airflow_ranges(company):
    with client_of(company) as client:
        return list(client.iter_rows(RANGE, ["key"]))


def test_an_incremental_export_has_the_rows_of_what_changed_and_the_tombstones_of_what_is_gone(
    small, tmp_path
):
    asset, shelf = Asset("groups"), Shelf()

    def run(number):
        context = attempt(1)
        context["ti"].run_id = context["run_id"] = f"run {number}"
        operator = IntacctToObjectStorageOperator(
            task_id="e",
            object_name=GROUP,
            detail=True,
            lists="tables",
            destination=str(tmp_path / f"{number}.jsonl"),
            incremental="audit.modifiedDateTime",
            lookback=timedelta(0),
            detect_deletes="keys",
            outlets=[asset],
        )
        return operator.execute({**context, "asset_state_store": AssetShelves(asset, shelf)})

    run(1)
    small.store.clock = lambda: datetime.now(UTC) + timedelta(hours=1)
    with client_of(small) as client:
        client.update(GROUP, "2", {"accountRanges": [{"rangeFrom": "5000", "rangeTo": "5999"}]})
        client.delete(GROUP, "3")
    result = run(2)
    assert result["deleted"] == 1
    assert [row["key"] for row in lines(tmp_path / "2.deleted.jsonl")] == ["3"]
    changed = {row["key"] for row in lines(tmp_path / "2.jsonl")}
    ranges = lines(tmp_path / "2.accountRanges.jsonl")
    assert "2" in changed
    assert {row["parent_key"] for row in ranges} == changed
    assert ("2", 0, "5000") in [(row["parent_key"], row["position"], row["rangeFrom"]) for row in ranges]
    assert list_of(manifest_of(tmp_path / "2.jsonl"), "accountRanges")["completeness"]["result"] == "equal"


class Shelf(dict):
    """What Airflow keeps with an asset."""

    def set(self, name, text):
        self[name] = text


# --- compared with queries


def shortened(company, key, name="accountRanges"):
    """Return the body of a GET of one record that leaves out the last row of a list."""
    with client_of(company) as client:
        record = client.get(GROUP, key)
    record[name] = record[name][:-1]
    return {"ia::result": record, "ia::meta": {"totalCount": 1, "totalSuccess": 1, "totalError": 0}}


@pytest.mark.parametrize("lists", ["tables", "nested"])
def test_a_row_that_get_leaves_out_and_a_query_counts_fails_the_export(small, tmp_path, lists):
    small.fail(status=200, body=shortened(small, "1"), path=f"{RECORDS}/1", times=0)
    path = tmp_path / "g.jsonl"
    if lists == "nested":  # as Intacct sends it, without a promise
        export(path, lists=lists, filters=field("key") == "1")
        return
    with pytest.raises(IntacctIncompleteReadError, match=rf"key 1 came with 1 rows of {RANGE}, .* counts 2"):
        export(path, filters=field("key") == "1")
    assert not [one.name for one in tmp_path.iterdir() if one.name[0] != "."]


def test_a_row_that_get_leaves_out_once_fails_the_export_too(small, tmp_path):
    small.fail(status=200, body=shortened(small, "1"), path=f"{RECORDS}/1", times=1)
    with pytest.raises(IntacctIncompleteReadError, match="left some out"):
        export(tmp_path / "g.jsonl", filters=field("key") == "1")


CHANGES = {
    "more": {"accountRanges": [{"rangeFrom": "7000", "rangeTo": "7999"}]},
    "fewer": {"accountRanges": [{"key": "1", "ia::operation": "delete"}]},
    "gone": None,
}


@pytest.mark.parametrize("change", CHANGES)
def test_records_that_change_during_the_export_do_not_fail_it(small, tmp_path, monkeypatch, change):
    send = Session.send
    with client_of(small) as other:

        def interrupted(session, request):
            reply = send(session, request)
            if session is not other._session and request.path.startswith(RECORDS + "/"):
                monkeypatch.setattr(Session, "send", send)
                monkeypatch.setattr(small.store, "clock", lambda: datetime(2030, 1, 1, tzinfo=UTC))
                if CHANGES[change]:
                    other.update(GROUP, "1", CHANGES[change])
                else:
                    other.delete(GROUP, "1")
            return reply

        monkeypatch.setattr(Session, "send", interrupted)
        export(tmp_path / "g.jsonl")
    found = list_of(manifest_of(tmp_path / "g.jsonl"), "accountRanges")
    assert found["rows"] == 3, "as they were when they were read"
    assert found["completeness"]["result"] == "changed meanwhile"


@pytest.mark.parametrize("fault", ["denied", "no models", "no aggregates"])
def test_a_list_that_no_query_can_count_is_unproven(airflow, tmp_path, fault):
    if fault == "denied":
        airflow.faults.denied = [RANGE]
    elif fault == "no models":
        airflow.fail(status=403, path="/services/core/model", skip=1, times=0)
    else:
        airflow.fail(status=400, path=QUERY, skip=1, times=0)
    path = tmp_path / "g.jsonl"
    export(path)
    found = list_of(manifest_of(path), "accountRanges")["completeness"]
    assert found["result"] == "unproven"
    assert RANGE in found["reason"]
    assert lines(tmp_path / "g.accountRanges.jsonl") == rows_of(live_without_faults(airflow), "accountRanges")
    other = list_of(manifest_of(path), "accountGroupMembers")["completeness"]["result"]
    assert other == ("equal" if fault == "denied" else "unproven")


def test_rows_are_counted_one_by_one_where_a_query_does_not_group_them(airflow, tmp_path):
    airflow.fail(status=400, path=QUERY, skip=1, times=1)
    since = len(airflow.requests)
    export(tmp_path / "g.jsonl", fields=["key", "accountRanges"])
    found = list_of(manifest_of(tmp_path / "g.jsonl"), "accountRanges")["completeness"]
    assert found == {"result": "equal", "counted": len(airflow_ranges(airflow))}
    asked = [call.status for call in list(airflow.requests)[since:] if call.path == QUERY]
    assert asked[:3] == [200, 400, 200]


def live_without_faults(company):
    company.clear_faults()
    return live(company)


def test_a_server_that_fails_is_no_reason_to_prove_nothing(airflow, tmp_path):
    airflow.fail(status=500, path=QUERY, skip=1, times=1)
    export(tmp_path / "g.jsonl")
    found = list_of(manifest_of(tmp_path / "g.jsonl"), "accountRanges")["completeness"]["result"]
    assert found == "equal"


@pytest.mark.parametrize(
    ("groups", "filters", "calls"),
    [
        (1200, None, 1),
        # Few of many: by their keys, 500 a call.
        pytest.param(1200, field("id").startswith("G1"), 1, marks=pytest.mark.slow),
    ],
)
def test_counting_costs_a_call_for_each_page_of_owners(
    sandbox, monkeypatch, tmp_path, groups, filters, calls
):
    monkeypatch.setenv("AIRFLOW_CONN_INTACCT_DEFAULT", sandbox.connection())
    with client_of(sandbox) as client:
        records = [
            {"id": f"G{n}", "accountRanges": [{"rangeFrom": str(n), "rangeTo": str(n)}]}
            for n in range(groups)
        ]
        client.create_many(GROUP, records)
    since = len(sandbox.requests)
    result = export(tmp_path / "g.jsonl", filters=filters, fields=["key", "accountRanges"])
    found = [call for call in list(sandbox.requests)[since:] if call.name == RANGE]
    assert len(found) == calls
    assert list_of(manifest_of(tmp_path / "g.jsonl"), "accountRanges")["completeness"] == {
        "result": "equal",
        "counted": result["rows"],
    }


def attempt(number):
    """Return the context of an attempt of one task."""
    task = {"dag_id": "d", "task_id": "t", "run_id": "r", "map_index": -1, "max_tries": 2}
    return {"ti": SimpleNamespace(**task, try_number=number), "run_id": "r"}


def test_a_retry_writes_the_bytes_of_an_undisturbed_export_and_leaves_nothing_else(
    airflow, tmp_path, monkeypatch
):
    undisturbed, retried = tmp_path / "a", tmp_path / "b"
    arguments = {"task_id": "e", "object_name": GROUP, "detail": True, "lists": "tables", "rows_per_part": 7}
    first, second = (
        IntacctToObjectStorageOperator(destination=str(folder / "g.jsonl"), **arguments)
        for folder in (undisturbed, retried)
    )
    first.execute(attempt(1))
    with monkeypatch.context() as patch:
        # When all rows are staged, those of lists, too.
        patch.setattr(ListProof, "compare", Mock(side_effect=IntacctIncompleteReadError("odd")))
        with pytest.raises(IntacctIncompleteReadError):
            second.execute(attempt(1))
    assert not [one.name for one in retried.iterdir() if one.name[0] != "."]
    second.execute(attempt(2))

    def files(folder):
        return {one.name: one.read_bytes() for one in folder.iterdir() if "manifest" not in one.name}

    assert files(retried) == files(undisturbed)
