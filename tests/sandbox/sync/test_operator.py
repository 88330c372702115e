"""Syncs against the sandbox, as Airflow runs them: one operator, one execute."""

import json
from decimal import Decimal

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from sandbox_client import calls, client_of, stored

from intacct_provider.exceptions import (
    IntacctError,
    IntacctRejectedRecordsError,
    IntacctServerError,
    IntacctSyncGuardError,
)
from intacct_provider.hooks.intacct import IntacctHook
from intacct_provider.operators.sync import IntacctSyncOperator

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
    assert first["transactions"] == written + 2 + 1, "the model, one page, and one more afterwards"
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
    printed = capsys.readouterr().out
    assert "**1 to delete, 1 to update, 1 to create**; 1 unchanged." in printed
    assert "| B | status | active | inactive |" in printed
    assert "Dry run: nothing was written" in printed


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
    assert changed(sync(CUSTOMER, [other])) == {"to_update": 1, "updated": 1, "fields_cleared": 1}
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
    assert (first["created"], first["transactions"]) == (1100, 1103 + 1), "that nothing exists is asked twice"
    assert writes(airflow) == 3
    for record in desired[:600]:
        record["status"] = "inactive"
    second = sync(PURPOSE, desired, mode="mirror")
    assert (second["updated"], second["unchanged"], second["transactions"]) == (600, 500, 603)
    third = sync(PURPOSE, desired[:500], mode="mirror")
    assert (third["deleted"], third["unchanged"], third["transactions"]) == (600, 500, 603)
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
    assert "rejected 1 records" in message
    assert "max_rejects is 0" in message
    assert "delete P" in message
    assert "cannot be deleted" in message
    assert "support id" in message
    assert "| delete | P | 422 |" in caplog.text
    assert stored(airflow, CUSTOMER) == ["P", "K", "N"]
    counts = sync(CUSTOMER, desired, mode="mirror", max_rejects=1)
    assert changed(counts) == {"to_delete": 1, "unchanged": 2, "rejected": 1}


def test_records_that_intacct_did_not_process_make_the_task_red_even_if_the_rejected_ones_are_tolerated(
    airflow,
):
    skipped = {"ia::error": {"code": "unprocessed", "message": "Skipped"}, "ia::status": 422}
    wrong = {"ia::error": {"code": "invalidRequest", "message": "No"}, "ia::status": 400}
    airflow.fail(
        status=207, path=f"/objects/{CUSTOMER}", method="POST", body={"ia::result": [skipped, wrong]}
    )
    desired = [{"id": "A", "name": "a"}, {"id": "B", "name": "b"}]
    with pytest.raises((IntacctRejectedRecordsError, AirflowFailException)) as caught:
        sync(CUSTOMER, desired, max_rejects=1)
    message = str(caught.value)
    assert "rejected 1 records" in message
    assert "did not process 1 others, which clearing the task writes: A." in message
    assert "First: create B: No" in message


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
        ("name,status\nx,active\n", ["line 1", "id is not a column"]),
        ("ids,status\nA,active\n", ["line 1", "id is not a column", "Did you mean 'ids'?"]),
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
        ("id,status\nA,active,,x\n", ["line 2", "4 cells under a header of 2"]),
        ('id,status\nA,"active\nB,x\n', ["line 2", "not valid CSV", "double quotes"]),
        ("id,id\nA,B\n", ["line 1, column 2", "'id'", "keep one"]),
        ("id,\nA,B\n", ["line 2 ('A')", "column 2 has a value but no header"]),
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
        ("desired.xls", b"PK", [".xls", "use .csv, .tsv, .xlsx, .json, .jsonl"]),
        ("desired.xlsx", b"PK", ["the workbook cannot be read", "save it as .xlsx"]),
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


# --- deletions wait for everything else to be accepted


def test_a_mirror_deletes_nothing_when_other_records_are_refused(airflow, client, monkeypatch):
    # So that the reference to a term that does not exist reaches Intacct, as one that was deleted meanwhile would.
    monkeypatch.setattr("intacct_provider.sync.build.check_references", lambda *given: [])
    client.create_many(CUSTOMER, [{"id": one, "name": one} for one in ("Old", "Kept")])
    desired = [{"id": "Kept"}, {"id": "New", "name": "n", "term": {"id": "NEVER"}}]
    with pytest.raises(AirflowFailException, match="1 deletions were held back"):
        sync(CUSTOMER, desired, mode="mirror")
    assert sorted(stored(airflow, CUSTOMER)) == ["Kept", "Old"]
    counts = sync(CUSTOMER, desired, mode="mirror", max_rejects=1)
    assert (counts["deleted"], counts["rejected"]) == (1, 1)
    assert sorted(stored(airflow, CUSTOMER)) == ["Kept"]


def test_a_creation_that_is_answered_without_a_name_is_not_taken_for_done(airflow, client):
    airflow.fail(status=201, method="POST", path="/objects", body=b"{}")
    with pytest.raises(IntacctError, match="whether it exists is unknown"):
        client.create(PURPOSE, {"id": "Nameless"})
