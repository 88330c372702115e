"""Files made from what a company answers are what pyarrow, DuckDB and Python's csv read back as the same values."""

import csv
import datetime as dt
import json
from decimal import Decimal

import duckdb
import pyarrow.parquet as pq
import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath
from export_pages import export

from intacct_provider.client.paging.pages import Page
from intacct_provider.client.paging.row_formats import StructRows
from intacct_provider.client.query.request import Query
from intacct_provider.export.schema.columns import REST, detail_columns, query_columns

CUSTOMER = "accounts-receivable/customer"
GROUP = "general-ledger/account-group"
FIELDS = {
    "key": "key",
    "id": "id",
    "name": "name",
    "status": "status",
    "totalDue": "total_due",
    "creditLimit": "credit_limit",
    "isOnHold": "on_hold",
    "activationDate": "activated",
    "term.id": "term",
    "audit.modifiedDateTime": "modified_at",
}


@pytest.fixture(scope="module")
def rows(demo):
    """What the store itself has at the top level: files must agree with it, whatever the client believes."""
    query = f'SELECT * FROM "{CUSTOMER}" WHERE "entity.key" IS NULL ORDER BY "key"'  # noqa: S608
    with demo.store.transaction() as conn:
        found = [dict(row) for row in conn.execute(query)]
    return [row | {"totalDue": amount(row["totalDue"])} for row in found]


def amount(cents):
    """Return what the API calls an amount that the store keeps as cents."""
    return None if cents is None else str(Decimal(cents).scaleb(-2))


@pytest.fixture
def exported(demo_client, tmp_path):
    """Export customers; return the path of the file."""

    def run(name, **options):
        columns = query_columns(FIELDS, demo_client.fields(CUSTOMER))
        pages = demo_client.read_pages(Query.build(CUSTOMER, list(FIELDS)), StructRows(list(FIELDS)))
        target = ObjectStoragePath(f"file://{tmp_path}/{name}")
        export(target, pages, columns, **options)
        return str(tmp_path / name)

    return run


@pytest.fixture
def whole(demo_client, tmp_path):
    """Export whole records; return the path of the file and the records."""

    def run(name, object_name, columns=None, **options):
        columns = columns or detail_columns(demo_client.model(object_name), demo_client.model)
        keys = [row["key"] for row in demo_client.iter_rows(object_name, ["key"])]
        records = list(demo_client.get_many(object_name, keys))
        target = ObjectStoragePath(f"file://{tmp_path}/{name}")
        export(target, [Page(records, keys=keys)], columns, **options)
        return str(tmp_path / name), records

    return run


def sql(query, path):
    """Return what DuckDB answers about a file."""
    return duckdb.connect().execute(query, [str(path)]).fetchall()


TYPES = {
    "key": ("string", "VARCHAR"),
    "id": ("string", "VARCHAR"),
    "name": ("string", "VARCHAR"),
    "status": ("string", "VARCHAR"),
    "total_due": ("decimal128(38, 2)", "DECIMAL(38,2)"),
    "credit_limit": ("decimal128(38, 10)", "DECIMAL(38,10)"),
    "on_hold": ("bool", "BOOLEAN"),
    "activated": ("date32[day]", "DATE"),
    "term": ("string", "VARCHAR"),
    "modified_at": ("timestamp[us, tz=UTC]", "TIMESTAMP WITH TIME ZONE"),
}


def test_parquet_has_the_same_types_for_pyarrow_and_duckdb(exported):
    path = exported("customers.parquet", file_format="parquet")
    schema = pq.read_schema(path)
    described = sql("DESCRIBE SELECT * FROM read_parquet(?)", path)
    found = {name: str(schema.field(name).type) for name in schema.names}
    assert {name: (found[name], type) for name, type, *_ in described} == TYPES  # noqa: A001


def test_parquet_has_the_values_of_the_company(exported, rows):
    table = pq.read_table(exported("customers.parquet", file_format="parquet")).to_pylist()
    assert [int(row["key"]) for row in table] == [row["key"] for row in rows]
    for read, stored in zip(table, rows, strict=True):
        assert (read["id"], read["name"]) == (stored["id"], stored["name"])
        assert read["total_due"] == (stored["totalDue"] and Decimal(stored["totalDue"]))
        assert read["on_hold"] is bool(stored["isOnHold"])
        assert read["activated"] == (
            stored["activationDate"] and dt.date.fromisoformat(stored["activationDate"])
        )
        assert read["modified_at"] == dt.datetime.fromisoformat(stored["audit.modifiedDateTime"])


def test_duckdb_adds_up_a_parquet_file_exactly(exported, rows):
    path = exported("customers.parquet", file_format="parquet")
    [found] = sql("SELECT sum(total_due), count(*), count(DISTINCT key) FROM read_parquet(?)", path)
    assert found == (sum(Decimal(row["totalDue"] or 0) for row in rows), len(rows), len(rows))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("customers.csv", {}),
        ("customers.csv.gz", {"compression": "gzip"}),
        ("customers.csv.zst", {"compression": "zstd"}),
        ("customers.csv", {"csv_safe": True}),
    ],
    ids=str,
)
def test_csv_is_the_same_table_for_duckdb(exported, rows, name, options):
    path = exported(name, file_format="csv", **options)
    read = sql("SELECT key, name, total_due FROM read_csv(?, all_varchar = true, strict_mode = true)", path)
    assert read == [(str(row["key"]), row["name"], row["totalDue"]) for row in rows]


def test_csv_is_the_same_table_for_python(exported, rows):
    with open(exported("customers.csv", file_format="csv"), newline="", encoding="utf-8") as file:
        read = list(csv.DictReader(file, strict=True))
    assert list(read[0]) == list(FIELDS.values())
    assert [(row["key"], row["name"], row["on_hold"]) for row in read] == [
        (str(row["key"]), row["name"], "true" if row["isOnHold"] else "false") for row in rows
    ]


@pytest.mark.parametrize(
    ("name", "compression"), [("c.jsonl", None), ("c.jsonl.gz", "gzip"), ("c.jsonl.zst", "zstd")], ids=str
)
def test_jsonl_is_the_same_table_for_duckdb(exported, rows, name, compression):
    path = exported(name, compression=compression)
    read = sql("SELECT key, name, total_due FROM read_json(?, format = 'newline_delimited')", path)
    assert read == [(str(row["key"]), row["name"], row["totalDue"]) for row in rows]


def test_several_parquet_parts_are_one_table(exported, rows, tmp_path):
    exported("customers.parquet", file_format="parquet", rows_per_part=100)
    names = sorted(path.name for path in tmp_path.glob("*.parquet"))
    assert names == [f"customers-0000{n}.parquet" for n in range(1, 1 + -(-len(rows) // 100))]
    [[count]] = sql("SELECT count(DISTINCT key) FROM read_parquet(?)", tmp_path / "customers-*.parquet")
    assert count == len(rows)


def test_whole_records_in_parquet_are_structs_and_lists(whole):
    path, records = whole("groups.parquet", GROUP, file_format="parquet")
    schema = pq.read_schema(path)
    assert str(schema.field("audit").type.field("modifiedDateTime").type) == "timestamp[us, tz=UTC]"
    read = sql(
        "SELECT key, audit.createdByUser.id, len(accountRanges), accountRanges[1].key FROM read_parquet(?)",
        path,
    )
    assert read == [
        (
            record["key"],
            record["audit"]["createdByUser"]["id"],
            len(record["accountRanges"]),
            next((each["key"] for each in record["accountRanges"]), None),
        )
        for record in records
    ]


@pytest.mark.parametrize("object_name", [GROUP, CUSTOMER, "accounts-receivable/customer-group"])
def test_nothing_of_a_whole_record_is_lost_in_parquet(whole, object_name):
    path, records = whole("records.parquet", object_name, file_format="parquet")
    for read, record in zip(pq.read_table(path).to_pylist(), records, strict=True):
        assert leaves(read) == leaves(record)


def leaves(value, path=()):
    """Return every value with its path, where null is as good as missing and text as good as what it stands for."""
    if isinstance(value, str) and value[:1] in ("{", "["):
        value = json.loads(value, parse_float=Decimal)
    if isinstance(value, dict):
        rest = json.loads(value.get(REST) or "{}", parse_float=Decimal)
        parts = [leaves(inner, (*path, name)) for name, inner in value.items() if name != REST]
        return {
            key: leaf for part in [*parts, leaves(rest, path) if rest else {}] for key, leaf in part.items()
        }
    if isinstance(value, list):
        return {key: leaf for n, inner in enumerate(value) for key, leaf in leaves(inner, (*path, n)).items()}
    return {} if value is None else {path: comparable(value)}


def comparable(value):
    if isinstance(value, dt.datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, bool):
        return str(value).lower()
    try:
        return Decimal(str(value)).normalize()
    except ArithmeticError:
        return value


def test_whole_records_in_jsonl_are_what_the_company_answers(whole):
    path, records = whole("groups.jsonl", GROUP)
    with open(path, encoding="utf-8") as file:
        assert [json.loads(line, parse_float=Decimal) for line in file] == records


def test_whole_records_in_csv_hold_json(whole):
    path, records = whole("groups.csv", GROUP, file_format="csv")
    with open(path, newline="", encoding="utf-8") as file:
        read = list(csv.DictReader(file, strict=True))
    assert [json.loads(row["accountRanges"]) for row in read] == [
        record["accountRanges"] for record in records
    ]
    assert [row["title"] for row in read] == [record["title"] or "" for record in records]
