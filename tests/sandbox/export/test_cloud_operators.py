"""Exports of operators to object storages: ranges, what changed, resuming, and refusals before the first paid call."""

import datetime as dt
import json
from types import SimpleNamespace

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, Asset
from airflow_parts import AssetShelves
from clouds import run_cloud
from sandbox_client import client_of, running

from intacct_provider.exceptions import IntacctServerError
from intacct_provider.operators.export_ranges import IntacctCommitExportOperator, IntacctKeyRangesOperator
from intacct_provider.transfers.intacct_to_object_storage import IntacctToObjectStorageOperator

PURPOSES = Asset("purposes")
TOTAL = 950
PURPOSE = "general-ledger/account-group-purpose"
#: The same on another storage is left to the full run.
CLOUDS = ["s3", *(pytest.param(scheme, marks=pytest.mark.slow) for scheme in ("gs", "abfs"))]


@pytest.fixture(scope="module", params=CLOUDS)
def cloud(request):
    with run_cloud(request.param) as storage:
        yield storage


@pytest.fixture
def folder(cloud):
    return cloud.make_bucket() / "exports"


class Clock:
    """The server's time, which passes when a test says so."""

    now = dt.datetime(2026, 11, 1, 6, tzinfo=dt.UTC)

    def __call__(self):
        return self.now

    def later(self, **by):
        self.now += dt.timedelta(**by)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def company(clock, monkeypatch):
    """Purposes that nothing refers to, so that any can be deleted; pages of 100 rows."""
    with running(f"{PURPOSE}={TOTAL}", clock=clock) as one:
        connection = json.loads(one.connection())
        connection["extra"] |= {"page_size": 100, "max_concurrency": 1}
        monkeypatch.setenv("AIRFLOW_CONN_INTACCT_DEFAULT", json.dumps(connection))
        yield one


class Shelf(dict):
    """What Airflow keeps with an asset."""

    def set(self, name, text):
        self[name] = text


def export(destination, task=None, shelf=None, **arguments):
    operator = IntacctToObjectStorageOperator(
        task_id="export",
        outlets=[PURPOSES],
        object_name=PURPOSE,
        fields=["key", "id", "audit.modifiedDateTime"],
        destination=str(destination),
        **arguments,
    )
    if task is None:
        return operator.execute({})
    return operator.execute(
        {"ti": task, "run_id": task.run_id, "asset_state_store": AssetShelves(PURPOSES, shelf)}
    )


def attempt(number=1, run="run"):
    """Return an attempt of the task."""
    return SimpleNamespace(
        dag_id="dag", run_id=run, task_id="export", map_index=-1, max_tries=3, try_number=number
    )


def names(folder):
    """Return the names of all files in a folder, hidden ones included."""
    folder.fs.invalidate_cache()
    return sorted(path.rpartition("/")[2] for path in folder.fs.find(folder.path))


def read(path):
    return [json.loads(line) for line in path.fs.cat_file(path.path).splitlines()]


def keys(company):
    return [one["key"] for one in company.records(PURPOSE)]


@pytest.mark.slow
def test_ranges_of_mapped_tasks_become_one_export(company, folder):
    target = folder / "purposes.jsonl"
    plan = IntacctKeyRangesOperator(task_id="plan", object_name=PURPOSE, ranges=3).execute({})
    made = [export(target, key_range=one) for one in plan]
    assert not [name for name in names(folder) if not name.startswith(".")]
    result = IntacctCommitExportOperator(task_id="commit", destination=str(target), exports=made).execute({})
    assert result["rows"] == TOTAL
    parts = [f"purposes-r0000{number}-00001.jsonl" for number in (1, 2, 3)]
    assert names(folder) == [*parts, "purposes.jsonl.manifest.json"]
    assert [row["key"] for name in parts for row in read(folder / name)] == keys(company)


def test_what_changed_and_what_was_deleted_is_exported_after_the_first_time(company, clock, folder):
    target = folder / "purposes.jsonl"
    arguments = {"incremental": "audit.modifiedDateTime", "detect_deletes": "keys", "shelf": Shelf()}
    assert export(target, attempt(run="1"), **arguments)["rows"] == TOTAL
    changed, doomed = keys(company)[3], keys(company)[7]
    clock.later(hours=24)
    with client_of(company) as client:
        client.update(PURPOSE, changed, {"id": "changed"})
        client.delete(PURPOSE, doomed)
    result = export(target, attempt(run="2"), **arguments)
    assert result["rows"] < 10
    assert result["deleted"] == 1
    assert [row["key"] for row in read(folder / "purposes.deleted.jsonl")] == [doomed]
    assert (changed, "changed") in [(row["key"], row["id"]) for row in read(target)]


@pytest.mark.slow
def test_a_retry_continues_after_the_parts_that_are_complete(company, folder):
    target = folder / "purposes.jsonl"
    export(folder / "whole" / "purposes.jsonl")
    whole = company.transactions
    company.fail(status=500, times=99, path="/services/core/query", skip=7)
    with pytest.raises(IntacctServerError):
        export(target, attempt(1), rows_per_part=100)
    assert not [name for name in names(folder) if name.startswith("purposes-")]
    assert [name for name in names(folder) if name.endswith(".facts.json")]
    company.clear_faults()
    before = company.transactions
    assert export(target, attempt(2), rows_per_part=100)["rows"] == TOTAL
    assert company.transactions - before < whole
    rows = [row["key"] for number in range(1, 11) for row in read(folder / f"purposes-{number:05}.jsonl")]
    assert rows == keys(company)
    assert not [name for name in names(folder) if name.startswith(".")]


def test_a_bucket_that_does_not_exist_costs_nothing_and_is_not_retried(company, cloud):
    with pytest.raises(AirflowFailException, match="bucket or container 'nobody-made-this' does not exist"):
        export(cloud.path("nobody-made-this/purposes.jsonl"))
    assert company.transactions == 0
