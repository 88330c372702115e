"""Exports through the operators from a server that misbehaves: every row, once, with every value, or no file at all."""

import csv
import hashlib
import json
import sqlite3
from contextlib import closing
from decimal import Decimal

import pytest
from sandbox_client import RETRY, client_of, running

from intacct_provider.client.http import transport
from intacct_provider.client.session import Session
from intacct_provider.exceptions import IntacctIncompleteReadError, IntacctResponseError
from intacct_provider.transfers.intacct_to_object_storage import IntacctToObjectStorageOperator

CUSTOMER = "accounts-receivable/customer"
PURPOSE = "general-ledger/account-group-purpose"
QUERY = "/services/core/query"
TOTAL = 3000
#: Rows of a page, so that there are as many calls as for 60,000 rows with pages of 4,000.
PAGE = 200
FIELDS = {
    "key": "key",
    "id": "id",
    "name": "name",
    "creditLimit": "credit_limit",
    "isOnHold": "is_on_hold",
    "term.id": "term",
    "parent.id": "parent",
    "audit.modifiedDateTime": "modified_at",
}
SUFFIX = ".manifest.json"
OUTPUTS = ["jsonl", "csv", "parquet", "sqlite"]
#: Lines and a table are quick; the other formats repeat it all.
outputs = pytest.mark.parametrize(
    "output",
    ["jsonl", "sqlite", *(pytest.param(name, marks=pytest.mark.slow) for name in ("csv", "parquet"))],
)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Be as patient as ever, but in less time."""
    monkeypatch.setattr(transport, "RetryPolicy", lambda: RETRY)


class Exporter:
    """Exports to one folder by any of the operators, and reads back the files."""

    def __init__(self, company, folder, monkeypatch):
        self.company = company
        self.folder = folder
        self._monkeypatch = monkeypatch
        warehouse = {"conn_type": "sqlite", "host": str(folder / "tables.db")}
        monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps(warehouse))

    def run(self, output, object_name=CUSTOMER, fields=FIELDS, **extra):
        """Export; ``extra`` goes to the connection."""
        connection = self.company.connection(**{"page_size": PAGE} | extra)
        self._monkeypatch.setenv("AIRFLOW_CONN_INTACCT_DEFAULT", connection)
        what = {"task_id": "export", "object_name": object_name, "fields": fields}
        if output == "sqlite":
            from intacct_provider.transfers.intacct_to_sql import IntacctToSqlOperator

            to = IntacctToSqlOperator(**what, sql_conn_id="warehouse", table="rows", mode="replace")
        else:
            to = IntacctToObjectStorageOperator(
                **what, destination=f"file://{self.folder}/rows.{output}", file_format=output
            )
        return to.execute({})

    def rows(self, output):
        """Return what was exported, having made sure that the manifest is about it."""
        if output == "sqlite":
            with closing(sqlite3.connect(self.folder / "tables.db")) as conn:
                conn.row_factory = sqlite3.Row
                rows = [dict(row) for row in conn.execute("SELECT * FROM rows")]
            # SQLite has no booleans.
            flags = [name for name in ("is_on_hold",) if rows and name in rows[0]]
            return [row | {name: bool(row[name]) for name in flags} for row in rows]
        file = self.folder / f"rows.{output}"
        found = READERS[output](file)
        manifest = json.loads((self.folder / f"{file.name}{SUFFIX}").read_bytes())
        assert manifest["rows"] == len(found)
        assert manifest["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
        return found

    def leaves_nothing(self, output):
        """Whether nothing of an export can be seen."""
        if output == "sqlite":
            with closing(sqlite3.connect(self.folder / "tables.db")) as conn:
                return conn.execute("SELECT count(*) FROM sqlite_master WHERE name = 'rows'").fetchone() == (
                    0,
                )
        return not list(self.folder.glob("rows*"))


def of_jsonl(file):
    return [json.loads(line, parse_float=Decimal) for line in file.read_bytes().splitlines()]


def of_csv(file):
    with file.open(newline="") as lines:
        return list(csv.DictReader(lines))


def of_parquet(file):
    import pyarrow.parquet

    return pyarrow.parquet.read_table(file).to_pylist()


READERS = {"jsonl": of_jsonl, "csv": of_csv, "parquet": of_parquet}


def by_key(rows):
    return sorted(rows, key=lambda row: int(row["key"]))


@pytest.fixture(scope="module")
def kept():
    """The company of all tests that only read."""
    with running(f"{CUSTOMER}={TOTAL}") as one:
        yield one


@pytest.fixture
def exporter(kept, tmp_path, monkeypatch):
    yield Exporter(kept, tmp_path, monkeypatch)
    kept.faults = {}


@pytest.fixture(scope="module")
def undisturbed(kept, tmp_path_factory):
    """What each operator exports when nothing goes wrong."""
    with pytest.MonkeyPatch.context() as patch:
        exporter = Exporter(kept, tmp_path_factory.mktemp("undisturbed"), patch)
        for output in OUTPUTS:
            exporter.run(output)
        return {output: exporter.rows(output) for output in OUTPUTS}


def alike(value):
    """Return a value as text that is the same in every format."""
    if value is None or isinstance(value, bool):
        return {None: "", True: "true", False: "false"}[value]
    if hasattr(value, "strftime"):
        return f"{value:%Y-%m-%dT%H:%M:%SZ}"
    return f"{value.normalize():f}" if isinstance(value, Decimal) else str(value)


@outputs
def test_nothing_goes_wrong(kept, undisturbed, output):
    """The values are those of the client's own reading, whose guarantees have tests of their own."""
    with client_of(kept) as client:
        truth = [*client.iter_rows(CUSTOMER, list(FIELDS))]
    assert len(truth) == TOTAL
    found = undisturbed[output]
    assert [[alike(row[name]) for name in FIELDS.values()] for row in found] == [
        [alike(row[name]) for name in FIELDS] for row in truth
    ]


# --- faults of the network and the server: the export is the same

SLOWLY = {"Retry-After": "0"}
FAULTS = {
    "429 every 7th call": {"fail": [{"status": 429, "every": 7, "headers": SLOWLY}]},
    "503 every 7th call": {"fail": [{"status": 503, "every": 7, "headers": SLOWLY}]},
    "500 with a web page every 7th call": {"fail": [{"status": 500, "every": 7, "body": "<html>"}]},
    "socket cut every 9th call": {"fail": [{"kind": "cut", "every": 9, "done": True}]},
    "connection reset every 9th call": {"fail": [{"kind": "reset", "every": 9}]},
    "401 after 10 calls": {"fail": [{"kind": "expire", "path": QUERY, "skip": 10}]},
    "silence": {"fail": [{"kind": "hang", "path": QUERY, "skip": 4, "seconds": 60}]},
    "fewer rows than are asked for": {"clamp": True, "max_size": 100},
    "pages above 100 rows refused": {"max_size": 100},
    "two calls at a time": {"concurrency": 2, "latency": 0.01},
    "rows in no order unless asked": {"unordered": True},
    "keys that sort and compare as text": {"text_keys": True},
    "filters on key refused": {"key_filter": False},
    "totalCount wrong on one page": {"fail": [{"kind": "alter", "count": 7, "path": QUERY, "skip": 2}]},
    "a row lost from the middle of a page": {
        "clock_skew": 3600,  # so that the records are known not to be new
        "fail": [{"kind": "alter", "drop": 100, "path": QUERY, "skip": 4}],
    },
}


@outputs
@pytest.mark.parametrize("fault", FAULTS)
def test_an_export_is_exact(exporter, undisturbed, output, fault):
    exporter.company.faults = FAULTS[fault]
    seen = len(exporter.company.requests)
    result = exporter.run(output, timeout=1 if fault == "silence" else 60)
    if "fail" in FAULTS[fault]:
        assert any(call.fault for call in exporter.company.requests[seen:]), "the fault was not met"
    assert result["rows"] == TOTAL
    assert by_key(exporter.rows(output)) == undisturbed[output]


@outputs
def test_web_pages_in_place_of_a_page_fail_a_try_and_the_next_one_is_exact(exporter, undisturbed, output):
    exporter.company.fail(kind="html", path=QUERY, skip=3, times=0)
    with pytest.raises(IntacctResponseError) as failed:
        exporter.run(output)
    assert failed.value.retryable
    assert exporter.leaves_nothing(output)
    exporter.company.clear_faults()
    exporter.run(output)
    assert exporter.rows(output) == undisturbed[output]


CONTRADICTIONS = {
    "totalCount too low on every page": {"kind": "alter", "count": -1, "path": QUERY, "times": 0},
    "totalCount too high on every page": {"kind": "alter", "count": 1, "path": QUERY, "times": 0},
    "rows that come again on one page": {"kind": "alter", "repeat": 7, "path": QUERY, "skip": 3},
    "rows that come again on every next page": {
        "kind": "alter",
        "repeat": 1,
        "path": QUERY,
        "times": 0,
        "skip": 2,
    },
    "a row lost from every page": {"kind": "alter", "drop": 100, "path": QUERY, "times": 0, "skip": 1},
    "a page without its rows": {
        "status": 200,
        "body": {
            "ia::result": [],
            "ia::meta": {"totalCount": 99, "start": 1, "pageSize": 4000, "next": None},
        },
        "path": QUERY,
        "skip": 3,
    },
}


@pytest.mark.slow
@outputs
@pytest.mark.parametrize("fault", CONTRADICTIONS)
def test_a_server_that_contradicts_itself_is_read_exactly_or_not_at_all(exporter, undisturbed, output, fault):
    exporter.company.fail(**CONTRADICTIONS[fault])
    try:
        exporter.run(output)
    except (IntacctIncompleteReadError, IntacctResponseError):
        assert exporter.leaves_nothing(output)
    else:
        assert by_key(exporter.rows(output)) == undisturbed[output]


# --- records that come and go meanwhile


@pytest.fixture
def busy(tmp_path, monkeypatch):
    """Purposes, any of which can be deleted: twelve pages."""
    with running(f"{PURPOSE}={12 * PAGE}") as one:
        yield Exporter(one, tmp_path, monkeypatch)


def assert_complete(exporter, output, before):
    """Check that every record that existed the whole time was exported once, with its values."""
    rows = exporter.rows(output)
    names = [str(row["key"]) for row in rows]
    now = {record["key"] for record in exporter.company.records(PURPOSE)}
    assert len(names) == len(set(names))
    assert before & now <= set(names), "a record that existed the whole time was lost"
    assert all(row["id"] == f"Purpose {int(row['key']):05d}" for row in rows if str(row["key"]) in before)
    return before - now


@pytest.fixture
def after_pages(busy, monkeypatch):
    """Return a function that lets something happen after each call of a query, given its number."""
    send, pages = Session.send, []

    def let(happen):
        def interrupted(session, request):
            reply = send(session, request)
            if request.path == QUERY:
                pages.append(request)
                happen(len(pages))
            return reply

        monkeypatch.setattr(Session, "send", interrupted)
        return pages

    return let


@pytest.mark.slow
@outputs
def test_five_records_deleted_after_the_third_page(busy, after_pages, output):
    before = {record["key"] for record in busy.company.records(PURPOSE)}
    with client_of(busy.company) as other:

        def happen(number):
            if number == 3:
                other.delete_many(PURPOSE, ["1", "2", "3", "4", "5"])

        after_pages(happen)
        busy.run(output, PURPOSE, ["key", "id"])
    assert assert_complete(busy, output, before) == {"1", "2", "3", "4", "5"}


@pytest.mark.slow
@outputs
def test_records_come_and_go_after_every_page(busy, after_pages, output):
    before = {record["key"] for record in busy.company.records(PURPOSE)}
    with client_of(busy.company) as other:

        def happen(number):
            if number <= 12:
                first = 20 * number
                other.delete_many(PURPOSE, [str(key) for key in range(first, first + 20)])
                other.create_many(PURPOSE, [{"id": f"Purpose {number} {n}"} for n in range(20)])

        pages = after_pages(happen)
        busy.run(output, PURPOSE, ["key", "id"])
    assert len(pages) > 12
    assert len(assert_complete(busy, output, before)) == 240
