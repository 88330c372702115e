"""Lists as database tables of their own: in the transaction of their records, and replaced record by record."""

import datetime as dt
import json
from types import SimpleNamespace

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, Asset
from airflow_parts import AssetShelves
from sandbox_client import client_of, running
from sql_deaths import KILLED, mortal_loads, task
from sql_tables import ENVIRONMENT, KNOWN, Database, database_servers

from intacct_provider.client.query.expressions import field
from intacct_provider.exceptions import IntacctError
from intacct_provider.export.sql.load_log import TABLE
from intacct_provider.transfers.intacct_to_sql import IntacctToSqlOperator

GROUP = "general-ledger/account-group"
MODIFIED = "audit.modifiedDateTime"
GROUPS = Asset("groups")
FIELDS = ["key", "id", "audit", "accountRanges", "accountGroupMembers"]


class Clock:
    now = dt.datetime(2026, 11, 1, 6, tzinfo=dt.UTC)

    def __call__(self):
        return self.now


class Shelf(dict):
    """What Airflow keeps with an asset."""

    def set(self, name, text):
        self[name] = text


@pytest.fixture(scope="module")
def servers():
    with database_servers() as found:
        yield found


@pytest.fixture(params=KNOWN)
def database(request, tmp_path, monkeypatch, servers):
    return Database(request.param, tmp_path, monkeypatch, servers)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def company(clock, monkeypatch):
    """Three account groups, with two, no and one range."""
    with running(clock=clock) as sandbox, client_of(sandbox) as client:
        monkeypatch.setenv("AIRFLOW_CONN_INTACCT_DEFAULT", sandbox.connection())
        for number, ranges in enumerate((2, 0, 1)):
            each = [{"sortOrder": n, "rangeFrom": f"{n}000", "rangeTo": f"{n}999"} for n in range(ranges)]
            client.create(GROUP, {"id": f"G{number}", "accountRanges": each})
            clock.now += dt.timedelta(hours=1)
        yield SimpleNamespace(sandbox=sandbox, client=client)


def load(context=None, **arguments):
    given = {
        "object_name": GROUP,
        "detail": True,
        "lists": "tables",
        "fields": FIELDS,
        "table": "groups",
        "mode": "merge",
        **arguments,
    }
    return IntacctToSqlOperator(task_id="load", sql_conn_id="warehouse", **given).execute(context or {})


def ranges(database, table="groups_accountRanges"):
    rows = database.run(f'SELECT parent_key, position, "rangeFrom" FROM "{table}"')  # noqa: S608
    return sorted((key, int(position), first) for key, position, first in rows)


def wanted(company):
    with client_of(company.sandbox) as client:
        keys = [row["key"] for row in client.iter_rows(GROUP, ["key"])]
        return sorted(
            (record["key"], n, one["rangeFrom"])
            for record in client.get_many(GROUP, keys)
            for n, one in enumerate(record["accountRanges"])
        )


@pytest.mark.parametrize("mode", ["append", "replace", "merge"])
def test_each_list_is_a_table_beside_that_of_its_records(company, database, mode):
    result = load(mode=mode)
    assert database.tables() == {"groups", "groups_accountRanges", "groups_accountGroupMembers"}
    assert ranges(database) == wanted(company) == [("1", 0, "0000"), ("1", 1, "1000"), ("3", 0, "0000")]
    joined = 'SELECT count(*) FROM groups g JOIN "groups_accountRanges" r ON r.parent_key = g.key'
    assert database.run(joined) == [(3,)]
    assert result["lists"] == {
        "accountRanges": {"table": "groups_accountRanges", "rows": 3},
        "accountGroupMembers": {"table": "groups_accountGroupMembers", "rows": 0},
    }


def test_the_log_says_how_complete_each_list_is(company, database):
    load(task())
    facts = json.loads(database.run(f"SELECT facts FROM {TABLE}")[0][0])  # noqa: S608
    [found] = [one for one in facts["lists"] if one["name"] == "accountRanges"]
    assert (found["table"], found["rows"]) == ("groups_accountRanges", 3)
    assert found["completeness"] == {"result": "equal", "counted": 3}


def test_replace_replaces_all_rows_and_append_adds_them(company, database):
    load(mode="append")
    load(mode="append")
    assert ranges(database) == sorted(wanted(company) * 2)
    company.client.update(GROUP, "1", {"accountRanges": [{"key": "1", "ia::operation": "delete"}]})
    load(mode="replace")
    assert ranges(database) == wanted(company)


def test_a_merge_replaces_the_rows_of_the_records_that_it_reads_and_no_others(company, database):
    load()
    change = [{"key": "1", "ia::operation": "delete"}, {"rangeFrom": "8000", "rangeTo": "8999"}]
    company.client.update(GROUP, "1", {"accountRanges": change})
    company.client.update(GROUP, "3", {"accountRanges": [{"rangeFrom": "9000", "rangeTo": "9999"}]})
    load(filters=field("key") == "1")
    assert ranges(database) == [("1", 0, "1000"), ("1", 1, "8000"), ("3", 0, "0000")]
    company.client.update(
        GROUP, "1", {"accountRanges": [{"key": one, "ia::operation": "delete"} for one in ("2", "4")]}
    )
    load()
    assert ranges(database) == wanted(company)


@pytest.fixture
def run(clock, tmp_path):
    """Return a function that runs the incremental task in one run of its DAG."""
    shelf = Shelf()

    def once(run_id, **arguments):
        facts = {"dag_id": "d", "task_id": "load", "map_index": -1, "max_tries": 0, "try_number": 1}
        context = {
            "ti": SimpleNamespace(**facts, run_id=run_id),
            "run_id": run_id,
            "asset_state_store": AssetShelves(GROUPS, shelf),
        }
        given = {"incremental": MODIFIED, "lookback": dt.timedelta(0), "outlets": [GROUPS], **arguments}
        clock.now += dt.timedelta(hours=1)
        return load(context, **given)

    return once


def test_an_incremental_merge_replaces_and_deletes_with_the_records(company, database, run, tmp_path):
    deletions = {"detect_deletes": "keys", "keys_path": str(tmp_path / "keys")}
    assert run("1", **deletions)["rows"] == 3
    company.client.update(GROUP, "2", {"accountRanges": [{"rangeFrom": "5000", "rangeTo": "5999"}]})
    company.client.delete(GROUP, "1")
    result = run("2", **deletions)
    # With the last one of the window before.
    assert (result["rows"], result["deleted"], result["lists"]["accountRanges"]["rows"]) == (2, 1, 2)
    assert ranges(database) == wanted(company) == [("2", 0, "5000"), ("3", 0, "0000")]


def test_a_table_of_a_list_that_is_gone_is_loaded_from_everything(company, database, run):
    run("1", lists="nested")
    assert run("2")["lists"]["accountRanges"]["rows"] == 3, "there were no tables of lists before"
    database.run('DROP TABLE "groups_accountRanges"')
    assert run("3")["rows"] == 3
    assert ranges(database) == wanted(company)
    assert run("4")["rows"] == 1


def test_nothing_is_kept_if_the_rows_of_a_list_cannot_be(company, database):
    database.run(
        'CREATE TABLE "groups_accountRanges" (parent_key varchar(64), position integer CHECK (position < 1), key text, '
        'href text, id text, "rangeFrom" text, "rangeTo" text, "sortOrder" integer, audit text, '
        '"glAccountGroup" text, _rest text)'
    )
    with pytest.raises(Exception, match=r"(?i)check|constraint"):
        load()
    assert "groups" not in database.tables() or database.run("SELECT count(*) FROM groups") == [(0,)]
    assert ranges(database) == []


def test_a_table_that_lacks_a_column_is_found_before_the_records_are_read(company, database):
    database.run('CREATE TABLE "groups_accountRanges" (parent_key text, position integer)')
    with pytest.raises(AirflowFailException, match="'groups_accountRanges' has no column 'key'"):
        load()
    assert not [call for call in company.sandbox.requests if call.path.startswith(f"/objects/{GROUP}/1,")]
    load(schema_drift="add")
    assert ranges(database) == wanted(company)


def test_two_lists_cannot_have_one_table(company, database):
    named = {"key": "key", "accountRanges": "a.b", "accountGroupMembers": "a_b"}
    with pytest.raises(AirflowFailException, match="would both be table 'groups_a_b'"):
        load(fields=named)


def test_a_retry_after_the_commit_reads_nothing(company, database):
    first = load(task())
    before = len(company.sandbox.requests)
    second = load(task(try_number=2))
    assert {**second, "transactions": 0} == {**first, "transactions": 0}
    assert not [c for c in company.sandbox.requests[before:] if c.path.startswith("/objects")]
    assert ranges(database) == wanted(company)


@pytest.mark.slow
def test_a_load_that_is_killed_leaves_all_tables_as_they_were_or_as_they_shall_be(
    company, tmp_path, monkeypatch
):
    """Before each of its operations on the database; the last one lives to its end."""
    database = Database("sqlite", tmp_path, monkeypatch)
    load(mode="replace")
    old = state(database)
    change = [{"key": "1", "ia::operation": "delete"}, {"rangeFrom": "5000", "rangeTo": "5999"}]
    company.client.update(GROUP, "1", {"accountRanges": change})
    company.client.create(GROUP, {"id": "G9", "accountRanges": [{"rangeFrom": "6000", "rangeTo": "6999"}]})
    load(mode="replace", table="other")
    new = state(database, "other")
    environment = {
        ENVIRONMENT: database.connection,
        "AIRFLOW_CONN_INTACCT_DEFAULT": company.sandbox.connection(),
    }
    arguments = {"object_name": GROUP, "detail": True, "lists": "tables", "fields": FIELDS, "table": "groups"}
    found, moment, result = old, 0, KILLED
    with mortal_loads() as run:
        while found == old:
            moment += 1
            result = run(
                environment,
                arguments | {"mode": "merge", "sql_conn_id": "warehouse"},
                moment,
                run_id=f"run {moment}",
            )
            found = state(database)
            assert found in (old, new), f"operation {moment}"
    assert moment > 20
    assert result == KILLED, "it died right after the commit"


def state(database, table="groups"):
    records = database.run(f"SELECT key, id FROM {table} ORDER BY key")  # noqa: S608
    return records, ranges(database, f"{table}_accountRanges")


def test_rows_that_get_leaves_out_fail_the_load(company, database):
    record = company.client.get(GROUP, "1")
    record["accountRanges"] = record["accountRanges"][:1]
    body = {"ia::result": record, "ia::meta": {"totalCount": 1, "totalSuccess": 1, "totalError": 0}}
    company.sandbox.fail(status=200, body=body, path=f"/objects/{GROUP}/1", times=0)
    with pytest.raises(IntacctError, match="left some out"):
        load(filters=field("key") == "1")
    assert not database.tables() - {TABLE}


@pytest.mark.parametrize(
    ("gone", "fields"),
    [
        (False, ["key", "id", MODIFIED, "title"]),
        (False, {"key": "key", "id": "number", MODIFIED: "modified"}),
        (True, ["key", "id", MODIFIED]),
    ],
    ids=["a field more", "another name", "a column that somebody dropped"],
)
def test_columns_that_are_new_in_the_table_are_filled_for_records_that_did_not_change(
    company, database, run, gone, fields
):
    plain = {"detail": False, "lists": "nested"}
    run("1", **plain, fields=["key", "id", MODIFIED])
    if gone:
        database.run("ALTER TABLE groups DROP COLUMN id")
    else:
        for name in ("title", "number", "modified"):
            database.run(f"ALTER TABLE groups ADD COLUMN {name} VARCHAR(99)")
    company.client.update(GROUP, "2", {"title": "changed"})
    plain |= {"fields": fields, "schema_drift": "add" if gone else "warn"}
    assert run("2", **plain)["rows"] == 3
    name = "number" if isinstance(fields, dict) else "id"
    assert sorted(database.run(f"SELECT {name} FROM groups")) == [("G0",), ("G1",), ("G2",)]  # noqa: S608
    assert run("3", **plain)["rows"] == 1
