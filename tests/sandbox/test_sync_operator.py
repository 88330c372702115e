"""Sync and export against the sandbox, as Airflow runs them: one operator, one execute."""

import csv
import hashlib
import io
import json
from decimal import Decimal

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from sandbox_client import calls, client_of, running, stored

from intacct_provider.client.errors import IntacctError, IntacctServerError
from intacct_provider.client.query import field
from intacct_provider.hooks.intacct import IntacctHook
from intacct_provider.operators.sync import IntacctSyncOperator
from intacct_provider.sync.apply import IntacctRejectedRecordsError
from intacct_provider.sync.guards import IntacctSyncGuardError
from intacct_provider.transfers.intacct_to_object_storage import IntacctToObjectStorageOperator

CUSTOMER = "accounts-receivable/customer"
CUSTOMER_GROUP = "accounts-receivable/customer-group"
ACCOUNT = "general-ledger/account"
ACCOUNT_GROUP = "general-ledger/account-group"
PURPOSE = "general-ledger/account-group-purpose"
QUERY = "/services/core/query"
TOTAL = 10_000


@pytest.fixture
def airflow(sandbox, monkeypatch):
    """The empty company as Airflow's default connection."""
    monkeypatch.setenv("AIRFLOW_CONN_INTACCT_DEFAULT", sandbox.connection())
    return sandbox


@pytest.fixture(scope="module")
def volume():
    """Ten thousand account groups and as many customers."""
    with running(f"{ACCOUNT_GROUP}={TOTAL},{CUSTOMER}={TOTAL}") as company:
        yield company


@pytest.fixture
def big(volume, monkeypatch):
    """The large company as Airflow's default connection, with pages of 1,000."""
    connection = json.loads(volume.connection())
    connection["extra"]["page_size"] = 1000
    monkeypatch.setenv("AIRFLOW_CONN_INTACCT_DEFAULT", json.dumps(connection))
    volume.clear_faults()
    return volume


def sync(object_name, desired, **arguments):
    """Run a sync as a worker does; the context of a task is not needed."""
    if arguments.get("mode") == "mirror":
        arguments.setdefault("scope", "all")
    operator = IntacctSyncOperator(task_id="sync", object_name=object_name, desired=desired, **arguments)
    return operator.execute({})


def writes(sandbox):
    """Return how many calls wanted to change something."""
    return sum(call.method in ("POST", "PATCH", "DELETE") for call in calls(sandbox, "/objects"))


def changed(counts):
    """Return the counts that are not zero, but those that do not concern records."""
    others = ("transactions", "estimated_transactions", "changed")
    return {name: count for name, count in counts.items() if count and name not in others}


def purposes(**statuses):
    return [{"id": name, "status": status} for name, status in statuses.items()]


def live(sandbox):
    with client_of(sandbox) as client:
        return {row["id"]: row["status"] for row in client.iter_rows(PURPOSE, ["id", "status"])}


# --- modes


@pytest.fixture
def started(airflow):
    """A, B and C are live; B is to change, C is not desired, D is new."""
    with client_of(airflow) as client:
        client.create_many(PURPOSE, purposes(A="active", B="active", C="active"))
    return airflow


DESIRED = purposes(A="active", B="inactive", D="inactive")


@pytest.mark.parametrize(
    ("mode", "counts", "after"),
    [
        (
            "create",
            {"to_create": 1, "created": 1, "unchanged": 1, "left_alone": 1},
            {"A": "active", "B": "active", "C": "active", "D": "inactive"},
        ),
        (
            "update",
            {"to_update": 1, "updated": 1, "unchanged": 1, "left_alone": 1},
            {"A": "active", "B": "inactive", "C": "active"},
        ),
        (
            "upsert",
            {"to_create": 1, "created": 1, "to_update": 1, "updated": 1, "unchanged": 1},
            {"A": "active", "B": "inactive", "C": "active", "D": "inactive"},
        ),
        (
            "mirror",
            dict.fromkeys(
                ["to_create", "created", "to_update", "updated", "to_delete", "deleted", "unchanged"], 1
            ),
            {"A": "active", "B": "inactive", "D": "inactive"},
        ),
    ],
)
def test_modes(started, mode, counts, after):
    before = started.transactions
    first = sync(PURPOSE, DESIRED, mode=mode)
    assert changed(first) == counts
    written = sum(first[name] for name in ("created", "updated", "deleted"))
    assert first["transactions"] == written + 2, "the model and one page"
    assert started.transactions == before + first["transactions"]
    assert live(started) == after

    sent = writes(started)
    second = sync(PURPOSE, DESIRED, mode=mode)
    assert (second["created"], second["updated"], second["deleted"]) == (0, 0, 0)
    assert second["transactions"] == 2
    assert writes(started) == sent
    assert live(started) == after


@pytest.mark.parametrize("dry_run", [True, "true", "True"])
def test_dry_run_tells_and_writes_nothing(started, capsys, dry_run):
    sent, before = writes(started), live(started)
    counts = sync(PURPOSE, DESIRED, mode="mirror", dry_run=dry_run)
    assert changed(counts) == {
        "to_create": 1,
        "to_update": 1,
        "to_delete": 1,
        "unchanged": 1,
        "dry_run": True,
    }
    assert writes(started) == sent
    assert live(started) == before
    told = capsys.readouterr().out
    assert "**1 to delete, 1 to update, 1 to create**; 1 unchanged." in told
    assert "| B | status | active | inactive |" in told
    assert "Dry run: nothing was written" in told


def test_only_what_differs_is_sent(started):
    with client_of(started) as client:
        client.create(CUSTOMER, {"id": "C1", "name": "One", "notes": "keep", "creditLimit": 100})
        key = client.find(CUSTOMER, "C1")["key"]
        sync(CUSTOMER, [{"id": "C1", "name": "One", "creditLimit": "100.00", "taxId": "7"}])
        record = client.get(CUSTOMER, key)
    assert (record["name"], record["notes"], record["creditLimit"], record["taxId"]) == (
        "One",
        "keep",
        100,
        "7",
    )


def test_numbers_booleans_references_and_nulls_are_compared_as_intacct_means_them(airflow):
    with client_of(airflow) as client:
        terms = [{"id": one, "description": one} for one in ("N30", "N60")]
        client.create_many("accounts-receivable/term", terms)
        record = {"name": "One", "creditLimit": Decimal("100.50"), "isOnHold": True, "term": {"id": "N30"}}
        client.create(CUSTOMER, {"id": "C1", "taxId": "7", **record})
    same = {"id": "C1", "creditLimit": "100.5", "isOnHold": True, "term.id": "N30"}
    assert changed(sync(CUSTOMER, [same])) == {"unchanged": 1}
    other = {"id": "C1", "creditLimit": "100.51", "isOnHold": False, "term": {"id": "N60"}, "taxId": None}
    assert changed(sync(CUSTOMER, [other])) == {"to_update": 1, "updated": 1}
    assert changed(sync(CUSTOMER, [other])) == {"unchanged": 1}
    with client_of(airflow) as client:
        found = client.get(CUSTOMER, client.find(CUSTOMER, "C1")["key"])
    assert (found["creditLimit"], found["isOnHold"]) == (Decimal("100.51"), False)
    assert (found["term"]["id"], found["taxId"]) == ("N60", None)


def test_members_of_groups_are_compared_in_order(airflow):
    with client_of(airflow) as client:
        client.create_many(CUSTOMER, [{"id": one, "name": one} for one in "ABC"])
    desired = [{"id": "G", "name": "G", "groupType": "specific", "groupMembers": [{"id": "B"}, {"id": "A"}]}]
    assert changed(sync(CUSTOMER_GROUP, desired)) == {"to_create": 1, "created": 1}
    assert changed(sync(CUSTOMER_GROUP, desired)) == {"unchanged": 1}
    desired[0]["groupMembers"].reverse()
    assert changed(sync(CUSTOMER_GROUP, desired)) == {"to_update": 1, "updated": 1}
    with client_of(airflow) as client:
        record = client.get(CUSTOMER_GROUP, client.find(CUSTOMER_GROUP, "G")["key"])
    assert [one["id"] for one in record["groupMembers"]] == ["A", "B"]


def test_a_thousand_records_cost_what_they_must(airflow):
    desired = [{"id": f"P{n:04d}", "status": "active"} for n in range(1100)]
    first = sync(PURPOSE, desired)
    assert (first["created"], first["transactions"]) == (1100, 1102)
    assert writes(airflow) == 3
    for record in desired[:600]:
        record["status"] = "inactive"
    second = sync(PURPOSE, desired, mode="mirror")
    assert (second["updated"], second["unchanged"], second["transactions"]) == (600, 500, 602)
    third = sync(PURPOSE, desired[:500], mode="mirror")
    assert (third["deleted"], third["unchanged"], third["transactions"]) == (600, 500, 602)
    assert len(stored(airflow, PURPOSE)) == 500


def test_a_sync_outlasts_a_lost_answer(started):
    for method in ("POST", "PATCH", "DELETE"):
        started.fail(kind="after", method=method, path=f"/objects/{PURPOSE}")
    counts = sync(PURPOSE, DESIRED, mode="mirror")
    assert (counts["created"], counts["updated"], counts["deleted"], counts["rejected"]) == (1, 1, 1, 0)
    assert live(started) == {"A": "active", "B": "inactive", "D": "inactive"}


def test_sync_in_an_entity(airflow):
    counts = sync(PURPOSE, purposes(U="active"), entity_id="UK", mode="mirror")
    assert counts["created"] == 1
    assert live(airflow) == {}
    with client_of(airflow, entity_id="UK") as client:
        assert client.find(PURPOSE, "U") is not None
    assert {call.entity for call in airflow.requests[-9:] if call.path == f"/objects/{PURPOSE}"} == {"UK"}


# --- guards and rejects


@pytest.mark.parametrize(
    ("guard", "text"),
    [({"max_deletes": 0}, "max_deletes=0"), ({"max_change_percent": 50}, "max_change_percent=50")],
)
def test_guards_stop_before_anything_is_written(started, guard, text):
    sent, before = writes(started), live(started)
    with pytest.raises((IntacctSyncGuardError, AirflowFailException), match=text) as caught:
        sync(PURPOSE, DESIRED, mode="mirror", **guard)
    assert "Nothing was written" in str(caught.value)
    assert writes(started) == sent
    assert live(started) == before


def test_guards_let_pass_what_is_within_them(started):
    counts = sync(PURPOSE, DESIRED, mode="mirror", max_deletes=1, max_change_percent=100)
    assert counts["deleted"] == 1


def test_a_refused_record_makes_the_task_red_and_the_others_are_written(airflow, caplog):
    with client_of(airflow) as client:
        client.create_many(CUSTOMER, [{"id": "P", "name": "Parent"}])
        client.create(CUSTOMER, {"id": "K", "name": "Kid", "parent": {"id": "P"}})
    # P cannot be deleted because K refers to it; the two others are all right.
    desired = [{"id": "K", "name": "Kid 2"}, {"id": "N", "name": "New"}]
    with pytest.raises((IntacctRejectedRecordsError, AirflowFailException)) as caught:
        sync(CUSTOMER, desired, mode="mirror")
    message = str(caught.value)
    assert "refused 1 records" in message
    assert "max_rejects is 0" in message
    assert "delete P" in message
    assert "cannot be deleted" in message
    assert "support id" in message
    assert "| delete | P | 422 |" in caplog.text
    assert stored(airflow, CUSTOMER) == ["P", "K", "N"]
    counts = sync(CUSTOMER, desired, mode="mirror", max_rejects=1)
    assert changed(counts) == {"to_delete": 1, "unchanged": 2, "rejected": 1}


def test_a_refused_creation_among_good_ones(airflow):
    desired = [
        {"id": "A", "name": "a"},
        {"id": "B", "name": "b" * 81},
        {"id": "C", "name": "c"},
    ]
    with pytest.raises((IntacctRejectedRecordsError, AirflowFailException), match="create B") as caught:
        sync(ACCOUNT, desired)
    assert "/name" in str(caught.value)
    assert stored(airflow, ACCOUNT) == ["A", "C"]
    counts = sync(ACCOUNT, desired, max_rejects=1)
    assert changed(counts) == {"to_create": 1, "unchanged": 2, "rejected": 1}


# --- desired files


def write(folder, content, name="desired.csv"):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("plain.csv", "id,status\nA,active\nB,inactive\n"),
        ("mark.csv", b"\xef\xbb\xbfid,status\r\nA,active\r\nB,inactive\r\n"),
        ("semicolon.csv", "id;status\nA;active\nB;inactive\n"),
        ("tab.csv", "id\tstatus\nA\tactive\nB\tinactive"),
        ("quotes.csv", '"id","status"\n"A","active"\n\n"B","inactive"\n,\n'),
        ("array.json", '[{"id": "A", "status": "active"}, {"id": "B", "status": "inactive"}]'),
        ("lines.jsonl", '{"id": "A", "status": "active"}\n\n{"id": "B", "status": "inactive"}\n'),
    ],
)
def test_files_that_are_understood(airflow, tmp_path, name, content):
    path = write(tmp_path, content, name)
    assert sync(PURPOSE, path)["created"] == 2
    assert live(airflow) == {"A": "active", "B": "inactive"}
    assert changed(sync(PURPOSE, f"file://{path}")) == {"unchanged": 2}


def test_a_file_of_groups_with_members(airflow, tmp_path):
    with client_of(airflow) as client:
        client.create_many(CUSTOMER, [{"id": one, "name": one} for one in ("Ä1", "B2", "C3")])
    text = 'id,name,groupType,groupMembers[].id,isDimensionStructure\nG,"Gruppe, groß",specific,C3|Ä1,true\n'
    assert sync(CUSTOMER_GROUP, write(tmp_path, text))["created"] == 1
    with client_of(airflow) as client:
        record = client.get(CUSTOMER_GROUP, client.find(CUSTOMER_GROUP, "G")["key"])
    assert [one["id"] for one in record["groupMembers"]] == ["C3", "Ä1"]
    assert (record["name"], record["isDimensionStructure"]) == ("Gruppe, groß", True)
    assert changed(sync(CUSTOMER_GROUP, write(tmp_path, text))) == {"unchanged": 1}


@pytest.mark.parametrize(
    ("content", "texts"),
    [
        ("name,status\nx,active\n", ["line 1", "id is no column"]),
        ("ids,status\nA,active\n", ["line 1", "id is no column", "Did you mean 'ids'?"]),
        (
            "id,status\nA,active\nB,active\nA,inactive\n",
            ["line 4 ('A')", "'A' in line 2 already", "keep one"],
        ),
        ("id,status\nA,active\n ,inactive\n", ["line 3", "id is not given"]),
        ("", ["line 1", "empty"]),
        (b"\xef\xbb\xbf", ["line 1", "empty"]),
        ("\n\n", ["line 1", "empty"]),
        ("id,status\n", ["no records"]),
        (
            "id,status\nA,active\nGr\xfcn,active\n".encode("latin-1"),
            ["line 3", "not UTF-8", "save the file as"],
        ),
        ("id,status\nA,active,more\n", ["line 2", "3 cells under a header of 2", "double quotes"]),
        ("id,status\nA\n", ["line 2", "1 cells under a header of 2"]),
        ('id,status\nA,"active\nB,x\n', ["line 2", "not valid CSV", "double quotes"]),
        ("id,id\nA,B\n", ["line 1, column 2", "'id'", "keep one"]),
        ("id,\nA,B\n", ["line 2 ('A')", "column 2 has no header"]),
        ("id;status,x\nA;b,c\n", ["line 1", "comma and semicolon", "use commas"]),
        ("id,stauts\nA,active\n", ["stauts", "Did you mean 'status'?"]),
        ("id,status\nA,actve\n", ["actve", "active"]),
    ],
)
def test_files_that_are_refused_name_the_place_and_what_to_do(airflow, tmp_path, content, texts):
    path = write(tmp_path, content)
    with pytest.raises(AirflowFailException) as caught:
        sync(PURPOSE, path, mode="mirror")
    assert path in str(caught.value)
    for text in texts:
        assert text in str(caught.value)
    assert writes(airflow) == 0


@pytest.mark.parametrize(
    ("name", "content", "texts"),
    [
        ("desired.xlsx", b"PK", [".xlsx", "use .csv, .json, .jsonl"]),
        ("desired.json", '{"id": "A"}', ["array of objects"]),
        ("desired.json", '[{"id": "A"},]', ["line 1", "not valid JSON"]),
        ("desired.json", "[]", ["no records"]),
        ("desired.jsonl", '{"id": "A"}\n{"id": "A"}\n', ["line 2 ('A')", "in line 1 already", "keep one"]),
        ("desired.jsonl", '{"id": "A"}\n{"id" "B"}\n', ["line 2", "not valid JSON"]),
        ("desired.jsonl", '{"id": "A", "status": NaN}\n', ["NaN"]),
    ],
)
def test_other_formats_that_are_refused(airflow, tmp_path, name, content, texts):
    path = write(tmp_path, content, name)
    with pytest.raises(AirflowFailException) as caught:
        sync(PURPOSE, path, mode="mirror")
    assert all(text in str(caught.value) for text in [path, *texts])
    assert writes(airflow) == 0


def test_a_file_that_is_not_there_costs_no_call(airflow, tmp_path):
    path = str(tmp_path / "missing.csv")
    with pytest.raises(AirflowFailException, match=r"missing\.csv"):
        sync(PURPOSE, path)
    with pytest.raises(AirflowFailException):
        sync(PURPOSE, str(tmp_path))
    assert airflow.requests == []


@pytest.mark.parametrize(
    ("desired", "text"),
    [
        ([], "no records"),
        ([{"status": "active"}], "id is not given"),
        ([{"id": "A"}, {"id": "A"}], "in record 1 already"),
        ([{"id": " A"}], "space"),
        ([{"id": "A", "stauts": "x"}], "Did you mean 'status'?"),
        ([{"id": "A", "status": "actve"}], "actve"),
        ([{"id": "A", "audit.createdBy": "1"}], "audit"),
        ([{"id": "A", "href": "/x"}], "href"),
        (["A"], "must be an object"),
        ({"id": "A"}, "must be a list"),
    ],
)
def test_lists_that_are_refused(airflow, desired, text):
    with pytest.raises(AirflowFailException, match="desired") as caught:
        sync(PURPOSE, desired, mode="mirror")
    assert text in str(caught.value)
    assert writes(airflow) == 0


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"mode": "upsrt"}, "Did you mean 'upsert'?"),
        ({"dry_run": "maybe"}, "dry_run must be True or False"),
        ({"object_name": "general-ledger/account-group-purpos"}, f"Did you mean '{PURPOSE}'?"),
        ({"object_name": "account-group-purpose"}, f"Did you mean '{PURPOSE}'?"),
        ({"match_on": "ids"}, "ids is not given"),
        ({"max_deletes": -1}, "max_deletes"),
    ],
)
def test_arguments_that_are_refused(airflow, arguments, text):
    arguments = {"object_name": PURPOSE, "desired": purposes(A="active"), **arguments}
    with pytest.raises(AirflowFailException) as caught:
        sync(**arguments)
    assert text in str(caught.value)
    assert writes(airflow) == 0


def test_wrong_credentials_fail_for_good_and_without_the_secret(airflow, monkeypatch):
    connection = json.loads(airflow.connection()) | {"password": "hunter2-hunter2"}
    monkeypatch.setenv("AIRFLOW_CONN_INTACCT_DEFAULT", json.dumps(connection))
    with pytest.raises(AirflowFailException, match="password") as caught:
        sync(PURPOSE, purposes(A="active"))
    assert "hunter2" not in str(caught.value)


def test_a_server_that_is_down_may_be_tried_again(airflow):
    airflow.fail(status=500, path=QUERY, headers={"Retry-After": "3600"})
    with pytest.raises(IntacctServerError):
        sync(PURPOSE, purposes(A="active"))
    assert writes(airflow) == 0


def test_the_connection_can_be_tested(airflow):
    done, text = IntacctHook().test_connection()
    assert done
    assert "SANDBOX" in text


# --- export


def export(destination, object_name=ACCOUNT_GROUP, fields=("key", "id", "title"), **arguments):
    operator = IntacctToObjectStorageOperator(
        task_id="export",
        object_name=object_name,
        fields=list(fields),
        destination=str(destination),
        **arguments,
    )
    return operator.execute({})


def manifest_of(path):
    return json.loads(path.with_name(path.name + ".manifest.json").read_bytes())


def assert_manifest(path, result, *, rows, first, last, file_format):
    content = path.read_bytes()
    manifest = manifest_of(path)
    assert result["sha256"] == manifest["sha256"] == hashlib.sha256(content).hexdigest()
    assert result["bytes"] == manifest["bytes"] == len(content)
    assert result["rows"] == manifest["rows"] == rows
    assert (manifest["first_key"], manifest["last_key"]) == (first, last)
    assert (manifest["company_id"], manifest["file_format"]) == ("SANDBOX", file_format)
    assert result["transactions"] == manifest["transactions"]
    assert {one.name for one in path.parent.iterdir()} == {path.name, f"{path.name}.manifest.json"}


def test_ten_thousand_rows_as_json_lines(big, tmp_path):
    path = tmp_path / "new folder" / "groups.jsonl"
    before = big.transactions
    fields = ["id", "title", "normalBalance", "isKPI", "accountGroupPurpose.id", "audit.modifiedDateTime"]
    result = export(path, fields=fields)
    assert (result["transactions"], big.transactions - before) == (11, 11), (
        "one call to see behind the full last page"
    )
    assert_manifest(path, result, rows=TOTAL, first="1", last=str(TOTAL), file_format="jsonl")
    assert manifest_of(path)["object"] == ACCOUNT_GROUP
    assert manifest_of(path)["query"] == {"fields": fields}
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    with client_of(big) as client:
        assert rows == [*client.iter_rows(ACCOUNT_GROUP, fields)]
    assert [list(row) for row in rows] == [fields] * TOTAL
    assert rows[41]["id"] == "Account group 00042"


def test_ten_thousand_rows_as_csv(big, tmp_path):
    path = tmp_path / "customers.csv"
    fields = [
        "key",
        "name",
        "creditLimit",
        "totalDue",
        "isOnHold",
        "parent.id",
        "contacts.default.mailingAddress.city",
    ]
    result = export(path, CUSTOMER, fields, file_format="csv")
    assert_manifest(path, result, rows=TOTAL, first="1", last=str(TOTAL), file_format="csv")
    content = path.read_bytes()
    assert content.count(b"\n") == TOTAL + 1
    assert b"\r" not in content
    header, *lines = csv.reader(io.StringIO(content.decode("utf-8"), newline=""))
    assert header == fields

    def cell(value):
        return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)

    with client_of(big) as client:
        wanted = [[cell(row[name]) for name in fields] for row in client.iter_rows(CUSTOMER, fields)]
    assert lines == wanted
    assert {line[4] for line in lines} == {"true", "false"}
    assert any(line[6] == "Köln" for line in lines)


@pytest.mark.parametrize("file_format", ["jsonl", "csv"])
def test_text_that_a_format_could_trip_over(airflow, tmp_path, file_format):
    names = [
        'a "quoted" one',
        "a,b;c",
        "two\nlines",
        "tab\there",
        "  spaces  ",
        "Grüße 日本 😀",
        "=1+1",
        "a\u2028b",
    ]
    with client_of(airflow) as client:
        client.create_many(CUSTOMER, [{"name": name, "notes": ""} for name in names])
    path = tmp_path / f"names.{file_format}"
    export(path, CUSTOMER, ["name", "notes", "taxId"], file_format=file_format)
    if file_format == "csv":
        _, *lines = csv.reader(io.StringIO(path.read_bytes().decode(), newline=""))
        assert lines == [[name, "", ""] for name in names]
    else:
        rows = [json.loads(line) for line in path.read_bytes().decode().split("\n")[:-1]]
        assert rows == [{"name": name, "notes": "", "taxId": None} for name in names]


def test_numbers_are_exported_with_every_digit(airflow, tmp_path):
    limits = ["0.1", "12345678901.23", "99999999999.99", "1000"]
    with client_of(airflow) as client:
        client.create_many(CUSTOMER, [{"name": "x", "creditLimit": Decimal(one)} for one in limits])
    export(tmp_path / "x.jsonl", CUSTOMER, ["creditLimit"])
    lines = (tmp_path / "x.jsonl").read_text().splitlines()
    assert lines == [f'{{"creditLimit":{limit}}}' for limit in limits]
    export(tmp_path / "x.csv", CUSTOMER, ["creditLimit"], file_format="csv")
    assert (tmp_path / "x.csv").read_text().splitlines() == ["creditLimit", *limits]


def test_filters_are_kept_and_told_in_the_manifest(big, tmp_path):
    path = tmp_path / "some.jsonl"
    chosen = (field("normalBalance") == "debit") & field("key").lte("3000")
    result = export(path, fields=["key", "normalBalance"], filters=chosen)
    assert_manifest(path, result, rows=1500, first="2", last="3000", file_format="jsonl")
    assert manifest_of(path)["query"]["filters"] == [
        {"$eq": {"normalBalance": "debit"}},
        {"$lte": {"key": "3000"}},
    ]
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert {row["normalBalance"] for row in rows} == {"debit"}


@pytest.mark.parametrize(("file_format", "content"), [("jsonl", b""), ("csv", b"key,id,title\n")])
def test_no_rows_are_a_file_too(big, tmp_path, file_format, content):
    path = tmp_path / f"none.{file_format}"
    result = export(path, filters=field("id") == "nobody", file_format=file_format)
    assert_manifest(path, result, rows=0, first=None, last=None, file_format=file_format)
    assert path.read_bytes() == content


def test_running_again_replaces_both_files(airflow, tmp_path):
    path = tmp_path / "groups.jsonl"
    with client_of(airflow) as client:
        client.create_many(ACCOUNT_GROUP, [{"id": "A"}, {"id": "B"}])
        export(path)
        first = manifest_of(path)
        client.create_many(ACCOUNT_GROUP, [{"id": "C"}])
        client.delete(ACCOUNT_GROUP, "1")
    result = export(path)
    assert_manifest(path, result, rows=2, first="2", last="3", file_format="jsonl")
    assert [json.loads(line)["id"] for line in path.read_text().splitlines()] == ["B", "C"]
    assert manifest_of(path)["sha256"] != first["sha256"]
    assert manifest_of(path)["finished_at"] > first["finished_at"]
    again = export(path)
    assert again["sha256"] == result["sha256"]


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"kind": "html"}, IntacctError),
        ({"status": 503, "headers": {"Retry-After": "3600"}}, IntacctServerError),
        ({"status": 403}, AirflowFailException),
        ({"status": 200, "body": {"ia::result": None}}, IntacctError),
    ],
)
def test_an_export_that_breaks_in_the_middle_leaves_what_was_there(big, tmp_path, fault, error):
    path = tmp_path / "groups.jsonl"
    export(path, filters=field("key").lte("10"))
    old, old_manifest = path.read_bytes(), manifest_of(path)
    answered = len(calls(big, QUERY))
    big.fail(**fault, path=QUERY, skip=3)
    with pytest.raises(error):
        export(path)
    assert len(calls(big, QUERY)) == answered + 4
    assert path.read_bytes() == old
    assert manifest_of(path) == old_manifest
    assert len([*tmp_path.iterdir()]) == 2


def test_an_export_that_breaks_leaves_no_file_where_there_was_none(big, tmp_path):
    big.fail(kind="html", path=QUERY, skip=2)
    with pytest.raises(IntacctError):
        export(tmp_path / "groups.jsonl")
    assert [*tmp_path.iterdir()] == []


def test_an_export_goes_on_after_a_short_break(big, tmp_path):
    big.fail(kind="status", headers={"Retry-After": "0"}, path=QUERY, skip=3)
    result = export(tmp_path / "groups.jsonl")
    assert_manifest(
        tmp_path / "groups.jsonl", result, rows=TOTAL, first="1", last="10000", file_format="jsonl"
    )


@pytest.mark.parametrize("file_format", ["jsonl", "csv"])
def test_a_destination_that_cannot_be_written_costs_no_call(airflow, tmp_path, file_format):
    blocker = tmp_path / "file"
    blocker.write_text("not a folder")
    path = blocker / "groups.jsonl"
    with pytest.raises(AirflowFailException, match="cannot be written") as caught:
        export(path, file_format=file_format)
    assert "groups.jsonl" in str(caught.value)
    assert airflow.requests == []
    assert blocker.read_text() == "not a folder"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"destination": ""}, "destination must be"),
        ({"destination": "/folder/"}, "destination must be"),
        ({"destination": "nowhere://x/y.csv"}, "storage that Airflow does not know"),
        ({"file_format": "jsnol"}, "Did you mean 'jsonl'?"),
        ({"fields": []}, "fields must be"),
        ({"fields": ["count:key"]}, "aggregates"),
        ({"object_name": "account-group"}, f"Did you mean '{ACCOUNT_GROUP}'?"),
        ({"filters": [{"$eqq": {"id": "x"}}]}, "Did you mean '$eq'?"),
    ],
)
def test_export_arguments_that_are_refused_cost_no_call(airflow, tmp_path, arguments, text):
    with pytest.raises(AirflowFailException) as caught:
        export(**{"destination": tmp_path / "x.jsonl", **arguments})
    assert text in str(caught.value)
    assert airflow.requests == []
    assert [*tmp_path.iterdir()] == []


def test_a_mistyped_field_leaves_no_file(airflow, tmp_path):
    with pytest.raises(AirflowFailException, match="Did you mean 'title'"):
        export(tmp_path / "x.jsonl", fields=["id", "titel"])
    assert [*tmp_path.iterdir()] == []


def test_a_folder_in_the_place_of_the_file_costs_no_call(airflow, tmp_path):
    (tmp_path / "groups.jsonl").mkdir()
    with pytest.raises(AirflowFailException, match=r"groups\.jsonl.*cannot be written"):
        export(tmp_path / "groups.jsonl")
    assert airflow.requests == []
    assert [one.name for one in tmp_path.iterdir()] == ["groups.jsonl"]


def test_a_folder_that_may_not_be_written_costs_no_call(airflow):
    with pytest.raises(AirflowFailException, match="cannot be written"):
        export("/proc/self/groups.jsonl")
    assert airflow.requests == []


# --- deletions wait for everything else to be accepted


def test_a_mirror_deletes_nothing_when_other_records_are_refused(airflow, client):
    client.create_many(PURPOSE, purposes(Old="active", Kept="active"))
    desired = [{"id": "Kept"}, {"id": "New", "colour": "blue"}]
    with pytest.raises(AirflowFailException, match="1 deletions were held back"):
        sync(PURPOSE, desired, mode="mirror")
    assert live(airflow) == {"Old": "active", "Kept": "active"}
    counts = sync(PURPOSE, desired, mode="mirror", max_rejects=1)
    assert (counts["deleted"], counts["rejected"]) == (1, 1)
    assert live(airflow) == {"Kept": "active"}


def test_a_creation_that_is_answered_without_a_name_is_not_taken_for_done(airflow, client):
    airflow.fail(status=201, method="POST", path="/objects", body=b"{}")
    with pytest.raises(IntacctError, match="whether it exists is unknown"):
        client.create(PURPOSE, {"id": "Nameless"})
