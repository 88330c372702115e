"""Ranges of keys that many tasks export, and the task that makes one export of them."""

import hashlib
import json
from decimal import Decimal
from itertools import pairwise
from types import SimpleNamespace

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from sandbox_client import calls, client_of, running

from intacct_provider.client.query.expressions import field
from intacct_provider.client.session import Session
from intacct_provider.exceptions import IntacctIncompleteReadError
from intacct_provider.operators.export_ranges import IntacctCommitExportOperator, IntacctKeyRangesOperator
from intacct_provider.transfers.intacct_to_object_storage import IntacctToObjectStorageOperator

CUSTOMER = "accounts-receivable/customer"
PURPOSE = "general-ledger/account-group-purpose"
QUERY = "/services/core/query"
TOTAL = 2500
PAGE = 100


@pytest.fixture
def company(monkeypatch):
    """Purposes that nothing refers to, so that any can be deleted; pages of 100 rows."""
    with running(f"{PURPOSE}={TOTAL}") as one:
        connection = json.loads(one.connection())
        connection["extra"]["page_size"] = PAGE
        monkeypatch.setenv("AIRFLOW_CONN_INTACCT_DEFAULT", json.dumps(connection))
        yield one


def plan(**arguments):
    """Plan ranges as a worker does."""
    return IntacctKeyRangesOperator(task_id="plan", object_name=PURPOSE, **arguments).execute({})


def keys_of(company, condition=lambda key: True):
    return [key for key in (int(one["key"]) for one in company.records(PURPOSE)) if condition(key)]


def sizes(plan, keys):
    """Return how many keys each range has; every key is in exactly one."""
    counts = [
        sum(int(one["above"] or 0) < key and (one["upto"] is None or key <= int(one["upto"])) for key in keys)
        for one in plan
    ]
    assert sum(counts) == len(keys)
    return counts


# --- planning


@pytest.mark.parametrize("ranges", [1, 2, 7, 8, 25])
def test_ranges_are_about_equal_and_cover_every_key_once(company, ranges):
    made = plan(ranges=ranges)
    assert [one["number"] for one in made] == [*range(1, ranges + 1)]
    assert {one["of"] for one in made} == {ranges}
    assert (made[0]["above"], made[-1]["upto"]) == (None, None)
    assert all(one["upto"] == following["above"] for one, following in pairwise(made))
    counts = sizes(made, keys_of(company))
    assert max(counts) - min(counts) <= ranges


def test_keys_with_large_gaps_do_not_make_uneven_ranges(company):
    with client_of(company) as client:
        doomed = [str(key) for key in keys_of(company, lambda key: 100 < key < 2000 and key % 50)]
        client.delete_many(PURPOSE, doomed)
    counts = sizes(plan(ranges=4), keys_of(company))
    assert len(counts) == 4
    assert max(counts) - min(counts) <= 4


def test_a_plan_counts_only_what_the_filters_leave(company):
    some = [key for key in keys_of(company) if key % 5 == 0 and (key < 1000 or key > 2000)]
    with client_of(company) as client:
        client.update_many(PURPOSE, [{"key": str(key), "id": f"Some {key}"} for key in some])
    made = plan(ranges=4, filters=field("id").startswith("Some"))
    counts = sizes(made, some)
    assert len(counts) == 3, "for 299 rows with pages of 100"
    assert max(counts) - min(counts) <= 3
    either = [{"$startsWith": {"id": "Some"}}, {"$eq": {"id": "Purpose 01001"}}]
    listed = plan(rows_per_range=100, filters=either, filter_expression="1 or 2")
    assert sizes(listed, sorted([*some, 1001])) == [100, 100, 100]


def test_ranges_by_their_rows(company):
    assert sizes(plan(rows_per_range=1000), keys_of(company)) == [1000, 1000, 500]
    assert sizes(plan(rows_per_range=10), keys_of(company)) == [10] * 250


@pytest.mark.parametrize("ranges", [1, 5])
def test_a_plan_costs_one_row_for_each_boundary(company, ranges):
    plan(ranges=ranges)
    asked = calls(company, QUERY)
    assert len(asked) == (ranges + 1 if ranges > 1 else 1)
    assert sum(call.rows for call in asked) <= ranges
    assert company.transactions == (ranges + 2 if ranges > 1 else 2)


def test_a_small_object_has_one_range(company):
    assert plan(ranges=8, filters=field("key") <= 100) == [
        {"number": 1, "of": 1, "above": None, "upto": None}
    ]
    assert len(plan(ranges=8, filters=field("key") <= 101)) == 2


def test_an_empty_object_has_one_range(company):
    nothing = field("key") > 100_000
    everything = [{"number": 1, "of": 1, "above": None, "upto": None}]
    assert plan(ranges=8, filters=nothing) == plan(rows_per_range=10, filters=nothing) == everything


def test_records_that_come_and_go_while_ranges_are_planned_change_nothing_but_the_sizes(company):
    company.faults.churn = 300
    made = plan(ranges=8)
    sizes(made, keys_of(company))
    assert (made[0]["above"], made[-1]["upto"]) == (None, None)


@pytest.mark.parametrize("left", [0, 1, 300])
def test_records_that_go_while_ranges_are_planned_make_fewer_ranges(company, monkeypatch, left):
    """What is left of the plan covers every key all the same."""
    send = Session.send
    with client_of(company) as other:

        def interrupted(session, request):
            reply = send(session, request)
            if session is not other._session and len(calls(company, QUERY)) == 2:
                other.delete_many(PURPOSE, [str(key) for key in keys_of(company, lambda key: key > left)])
            return reply

        monkeypatch.setattr(Session, "send", interrupted)
        made = plan(ranges=8)
    assert 1 <= len(made) < 8
    assert sum(sizes(made, keys_of(company))) == left
    assert made[-1]["upto"] is None


# --- keys that cannot be used


def test_keys_that_compare_as_text_are_refused(company):
    company.faults.text_keys = True
    with pytest.raises(AirflowFailException, match=f"keys of {PURPOSE} do not rise as numbers.*as text"):
        plan(ranges=4)
    assert plan(ranges=1) == [{"number": 1, "of": 1, "above": None, "upto": None}]


def test_keys_that_no_filter_may_name_are_refused(company):
    company.faults.key_filter = False
    with pytest.raises(AirflowFailException, match=r"rejects a filter on key.*export it in one task"):
        plan(ranges=4)


def test_a_boundary_that_does_not_rise_is_refused(company):
    """The server answers twice with a key from below the boundary before."""
    body = {"ia::result": [{"key": "5"}], "ia::meta": {"totalCount": 9}}
    company.fail(status=200, body=body, path=QUERY, skip=3, times=2)
    with pytest.raises(AirflowFailException, match=r"do not rise as numbers.*key 5 follows 625"):
        plan(ranges=4)


# --- arguments


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({}, "Give ranges or rows_per_range"),
        ({"ranges": 2, "rows_per_range": 100}, "not both"),
        ({"ranges": 0}, "ranges must be a whole number of 1 or more, not 0"),
        ({"ranges": "8"}, "not '8'"),
        ({"rows_per_range": True}, "rows_per_range must be"),
    ],
)
def test_arguments_that_cannot_be_right(company, arguments, word):
    with pytest.raises(AirflowFailException, match=word):
        plan(**arguments)
    assert calls(company, QUERY) == []


# --- exporting ranges, and committing them


FIELDS = ["key", "id", "status"]
MANIFEST = "rows.jsonl.manifest.json"


class Folder:
    """Exports to one folder, by ranges or at once."""

    def __init__(self, path):
        self.path = path
        self.destination = f"file://{path}/rows.jsonl"

    def export(self, key_range=None, **arguments):
        """Export one range, or everything."""
        what = {"object_name": PURPOSE, "fields": FIELDS, "destination": self.destination} | arguments
        return IntacctToObjectStorageOperator(task_id="export", key_range=key_range, **what).execute({})

    def ranges(self, plan, **arguments):
        """Export all ranges; not in their order, since nothing says that workers keep to it."""
        return [self.export(one, **arguments) for one in reversed(plan)]

    def commit(self, exports, **arguments):
        arguments = {"destination": self.destination} | arguments
        return IntacctCommitExportOperator(task_id="commit", exports=exports, **arguments).execute({})

    @property
    def names(self):
        return sorted(file.name for file in self.path.iterdir())

    @property
    def manifest(self):
        return json.loads((self.path / MANIFEST).read_bytes())

    def rows(self):
        """Return the rows of the parts that the manifest names, having made sure of its facts about each."""
        lines = []
        for part in self.manifest["parts"]:
            content = (self.path / part["name"]).read_bytes()
            assert hashlib.sha256(content).hexdigest() == part["sha256"]
            found = [json.loads(line) for line in content.splitlines()]
            assert len(found) == part["rows"]
            assert [row["key"] for row in found[:1] + found[-1:]] == [
                part["first_key"],
                part["last_key"],
            ] or not found
            lines += found
        assert len(lines) == self.manifest["rows"]
        return lines


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


def test_ranges_are_one_export_when_they_are_committed(company, folder):
    exports = folder.ranges(plan(ranges=3))
    assert [name for name in folder.names if not name.startswith(".")] == [], (
        "something was seen before the commit"
    )
    result = folder.commit(exports)
    assert folder.names == [f"rows-r0000{n}-00001.jsonl" for n in (1, 2, 3)] + [MANIFEST]
    assert [int(row["key"]) for row in folder.rows()] == [*range(1, TOTAL + 1)]
    assert result == {
        "path": folder.destination,
        "manifest": f"{folder.destination}.manifest.json",
        "parts": 3,
        "ranges": 3,
        "rows": TOTAL,
        "bytes": sum((folder.path / name).stat().st_size for name in folder.names[:3]),
        "transactions": 1,
    }


def test_the_manifest_is_that_of_one_export_but_for_its_parts(company, folder, tmp_path):
    some = {"filters": field("key") > 10}
    exports = folder.ranges(plan(ranges=3, **some), rows_per_part=500, **some)
    folder.commit(exports)
    of_ranges, lines = folder.manifest, folder.rows()
    billed = sum(one["transactions"] for one in exports)
    assert [part["name"] for part in of_ranges["parts"][:3]] == [
        "rows-r00001-00001.jsonl",
        "rows-r00001-00002.jsonl",
        "rows-r00002-00001.jsonl",
    ]
    assert of_ranges["run"]["transactions"] == billed + 1
    folder.export(rows_per_part=500, **some)
    whole = folder.manifest
    assert folder.rows() == lines
    assert list(of_ranges) == list(whole)
    differ = {name for name in whole if of_ranges[name] != whole[name]}
    assert differ == {"parts", "sha256", "completeness", "run"}
    counted = of_ranges["completeness"]
    assert (counted["result"], counted["rows"], counted["counted"]) == ("equal", 2490, 2490)
    assert [one["rows"] for one in counted["ranges"]] == [830, 830, 830]
    assert [one["number"] for one in counted["ranges"]] == [1, 2, 3]
    assert folder.names == [*sorted(part["name"] for part in whole["parts"]), MANIFEST]


def test_the_export_before_stays_whole_until_the_commit(company, folder):
    folder.export(rows_per_part=100)
    before, rows = folder.manifest, folder.rows()
    exports = folder.ranges(plan(ranges=3))
    assert folder.manifest == before
    assert folder.rows() == rows
    folder.commit(exports)
    assert [
        name for name in folder.names if name not in {part["name"] for part in folder.manifest["parts"]}
    ] == [MANIFEST]


def test_control_totals_of_ranges_add_up(monkeypatch, folder):
    with running(f"{CUSTOMER}=300") as company:
        monkeypatch.setenv("AIRFLOW_CONN_INTACCT_DEFAULT", company.connection(page_size=50))
        made = IntacctKeyRangesOperator(task_id="plan", object_name=CUSTOMER, ranges=4).execute({})
        what = {"object_name": CUSTOMER, "fields": ["key", "totalDue"], "control_totals": ["totalDue"]}
        folder.commit(folder.ranges(made, **what))
        truth = sum(Decimal(one["totalDue"] or 0) for one in company.records(CUSTOMER))
    completeness = folder.manifest["completeness"]
    assert Decimal(completeness["control_totals"]["totalDue"]) == truth
    assert sum(Decimal(one["control_totals"]["totalDue"]) for one in completeness["ranges"]) == truth


def test_an_object_of_one_range_is_committed_too(company, folder):
    folder.commit(folder.ranges(plan(ranges=1)))
    assert folder.names == ["rows-r00001-00001.jsonl", MANIFEST]
    assert len(folder.rows()) == TOTAL
    # A single result instead of a list is what a task that is not mapped returns.
    folder.commit(folder.export(plan(ranges=1)[0]))


def test_a_range_whose_records_have_all_gone_is_empty(company, folder):
    made = plan(ranges=5)
    with client_of(company) as client:
        client.delete_many(PURPOSE, [str(key) for key in range(501, 1001)])
    folder.commit(folder.ranges(made))
    assert [part["rows"] for part in folder.manifest["parts"]] == [500, 0, 500, 500, 500]
    assert len(folder.rows()) == 2000


# --- what changes between the ranges and the commit


def test_what_comes_goes_and_changes_before_the_commit_is_no_fault(company, folder):
    with client_of(company) as client:
        client.update_many(PURPOSE, [{"key": str(key), "status": "inactive"} for key in (10, 1000, 2000)])
        exports = folder.ranges(plan(ranges=3), filters=field("status") == "active")
        client.create_many(PURPOSE, [{"id": "New 1"}, {"id": "New 2"}])
        # Now it matches; it did not while its range was read.
        client.update(PURPOSE, "1000", {"status": "active"})
        goes = next(row["key"] for row in company.records(PURPOSE) if row["status"] == "active")
        client.delete(PURPOSE, goes)
    rows = sum(one["rows"] for one in exports)
    folder.commit(exports)
    completeness = folder.manifest["completeness"]
    assert completeness["result"] == "changed meanwhile"
    assert (completeness["rows"], completeness["counted"]) == (rows, rows + 2)
    assert len(folder.rows()) == rows


def test_a_record_that_matches_only_after_its_range_was_read_is_counted_by_the_commit(company, folder):
    """It may have any stamp: one that enters the filters need not have changed."""
    hidden = "SELECT * FROM {0} WHERE key = 1200"
    with company.store.transaction() as conn:
        table = f'"{PURPOSE}"'
        row = conn.execute(hidden.format(table)).fetchone()
        conn.execute(f"DELETE FROM {table} WHERE key = 1200")  # noqa: S608
    exports = folder.ranges(plan(ranges=3))
    with company.store.transaction() as conn:
        conn.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", tuple(row))  # noqa: S608
    folder.commit(exports)
    completeness = folder.manifest["completeness"]
    assert completeness["result"] == "changed meanwhile"
    assert (completeness["rows"], completeness["counted"]) == (len(folder.rows()), len(folder.rows()) + 1)


# --- what is not one export


@pytest.mark.parametrize("missing", [1, *(pytest.param(one, marks=pytest.mark.slow) for one in (0, 2))])
def test_a_missing_range_is_refused(company, folder, missing):
    exports = folder.ranges(plan(ranges=3))
    del exports[missing]
    with pytest.raises(AirflowFailException, match=rf"2 of 3 ranges; missing: \[{3 - missing}\]"):
        folder.commit(exports)
    assert [name for name in folder.names if not name.startswith(".")] == []


def test_ranges_of_two_plans_are_refused(company, folder):
    one, other = plan(ranges=3), plan(rows_per_range=840)
    exports = folder.ranges([one[0], *other[1:]])
    with pytest.raises(
        AirflowFailException, match="range 1 goes up to key 834, and range 2 begins above 840"
    ):
        folder.commit(exports)
    exports = folder.ranges([*plan(ranges=2)[:1], *other[1:]])
    with pytest.raises(AirflowFailException, match=r"exports has .* ranges"):
        folder.commit(exports)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"fields": ["key", "id"]}, "another columns"),
        ({"fields": {"key": "key", "id": "id", "status": "state"}}, "another columns"),
        ({"filters": field("status") == "active"}, "another query"),
        pytest.param(
            {"filter_parameters": {"includePrivate": True}}, "another query", marks=pytest.mark.slow
        ),
    ],
)
def test_ranges_of_different_exports_are_refused(company, folder, arguments, word):
    first, second = plan(ranges=2)
    exports = [folder.export(first), folder.export(second, **arguments)]
    with pytest.raises(AirflowFailException, match=f"Range 2 was exported with {word}"):
        folder.commit(exports)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({}, "another file_format"),
        pytest.param(
            {"file_format": "csv", "compression": "gzip"}, "another compression", marks=pytest.mark.slow
        ),
        pytest.param({"file_format": "csv", "delimiter": ";"}, "another delimiter", marks=pytest.mark.slow),
        ({"file_format": "csv", "bom": True}, "another bom"),
    ],
)
def test_ranges_of_different_files_are_refused(company, folder, arguments, word):
    first, second = plan(ranges=2)
    folder.destination = folder.destination.removesuffix(".jsonl")
    exports = [folder.export(first, file_format="csv"), folder.export(second, **arguments)]
    with pytest.raises(AirflowFailException, match=f"Range 2 was exported with {word}"):
        folder.commit(exports)


def test_a_range_that_two_tasks_have_exported_is_refused(company, folder):
    made = plan(ranges=2)
    with pytest.raises(AirflowFailException, match="twice"):
        folder.commit([*folder.ranges(made), folder.export(made[0])])


def test_a_range_that_is_not_heeded_is_refused(company, folder):
    """The filter on key is lost on the way to one range."""
    made = plan(ranges=2)
    exports = folder.ranges(made)
    wrong = folder.path / ".rows.jsonl.r00002.manifest.json"
    content = json.loads(wrong.read_bytes())
    content["staged"][0]["tally"]["first_key"] = "1"
    wrong.write_text(json.dumps(content))
    [of_second] = [one for one in exports if "r00002" in one["manifest"]]
    of_second["manifest_sha256"] = hashlib.sha256(wrong.read_bytes()).hexdigest()
    with pytest.raises(IntacctIncompleteReadError, match="Range 2 has keys from 1 to 2500"):
        folder.commit(exports)


def test_another_destination_is_refused(company, folder, tmp_path):
    exports = folder.ranges(plan(ranges=2))
    with pytest.raises(
        AirflowFailException, match=r"which is not a range of destination 'file:.*other.jsonl'"
    ):
        folder.commit(exports, destination=f"file://{tmp_path}/other.jsonl")
    with pytest.raises(AirflowFailException, match="which is not a range of destination"):
        folder.commit(exports, destination=f"file://{tmp_path}/below/rows.jsonl")


@pytest.mark.parametrize("exports", [[], None, "text", [{"rows": 3}], {"manifest": "x"}, [None]])
def test_what_no_range_returns_is_refused(company, folder, exports):
    with pytest.raises(AirflowFailException, match=r"exports (is empty|must be what the tasks)"):
        folder.commit(exports)


def test_another_entity_is_refused(company, folder):
    exports = folder.ranges(plan(ranges=2))
    with pytest.raises(AirflowFailException, match="entity_id"):
        folder.commit(exports, entity_id="US")


# --- tries


def test_a_range_that_is_exported_again_replaces_itself(company, folder):
    made = plan(ranges=2)
    exports = folder.ranges(made)
    with client_of(company) as client:
        client.delete(PURPOSE, "1")
    again = folder.export(made[0])
    folder.commit([again, *(one for one in exports if one["manifest"] != again["manifest"])])
    assert folder.rows()[0]["key"] == "2"
    assert folder.names == ["rows-r00001-00001.jsonl", "rows-r00002-00001.jsonl", MANIFEST]


def test_an_older_try_of_a_range_is_refused(company, folder):
    made = plan(ranges=2)
    exports = folder.ranges(made)
    folder.export(made[0])
    with pytest.raises(AirflowFailException, match=r"from another attempt. Clear the tasks of all ranges"):
        folder.commit(exports)


def test_a_commit_that_is_run_again_changes_nothing(company, folder):
    exports = folder.ranges(plan(ranges=3))
    first, manifest = folder.commit(exports), folder.manifest
    again = folder.commit(exports)
    assert again == first | {"transactions": 0}
    assert folder.manifest == manifest


def test_what_is_left_of_an_older_plan_with_more_ranges_goes(company, folder):
    folder.ranges(plan(ranges=5))
    folder.commit(folder.ranges(plan(ranges=2)))
    assert folder.names == ["rows-r00001-00001.jsonl", "rows-r00002-00001.jsonl", MANIFEST]


def test_two_runs_that_export_ranges_at_once_are_committed_one_after_the_other(company, folder):
    """Each task of one run comes between those of the other, with other rows."""
    ranges = plan(ranges=2)

    def task(name, run_id, index=-1):
        return SimpleNamespace(
            dag_id="books", run_id=run_id, task_id=name, map_index=index, try_number=1, max_tries=1
        )

    def export(run_id, index, **arguments):
        what = {"object_name": PURPOSE, "fields": FIELDS, "destination": folder.destination} | arguments
        operator = IntacctToObjectStorageOperator(task_id="export", key_range=ranges[index], **what)
        return operator.execute({"ti": task("export", run_id, index)})

    def commit(run_id, exports):
        operator = IntacctCommitExportOperator(
            task_id="commit", destination=folder.destination, exports=exports
        )
        return operator.execute({"ti": task("commit", run_id)})

    manual = [export("manual", 0)]
    scheduled = [export("scheduled", index, fields=["key"]) for index in (1, 0)]
    manual.append(export("manual", 1))
    assert commit("scheduled", scheduled)["rows"] == sum(one["rows"] for one in scheduled)
    assert folder.rows()[0].keys() == {"key"}
    assert commit("manual", manual)["rows"] == sum(one["rows"] for one in manual)
    assert folder.rows()[0].keys() == set(FIELDS)
    assert folder.names == ["rows-r00001-00001.jsonl", "rows-r00002-00001.jsonl", MANIFEST]
