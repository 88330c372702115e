"""Exports that go on where the last one ended, run by Airflow against the sandbox."""

from __future__ import annotations

import json
from copy import copy

import pytest
from sandbox_client import client_of

CUSTOMER = "accounts-receivable/customer"
GROUP = "accounts-receivable/customer-group"


class Exports:
    """Runs one DAG again and again."""

    def __init__(self, run_dag, folder, dag_id):
        self._run_dag, self._folder, self._dag_id = run_dag, folder, dag_id

    def __call__(self, name, **conf):
        self.run = self._run_dag(self._dag_id, folder=f"file://{self._folder}", name=name, **conf)
        [task] = self.run.get_task_instances()
        self.state, self.result = str(task.state), task.xcom_pull(task_ids="export")
        return copy(self)

    @property
    def path(self):
        return self._folder / self.result["path"].rpartition("/")[2]

    @property
    def rows(self):
        return [json.loads(line) for line in self.path.read_text("utf-8").splitlines()]

    @property
    def manifest(self):
        return json.loads(self.path.with_name(f"{self.path.name}.manifest.json").read_bytes())

    @property
    def deleted(self):
        [part] = self.manifest["deletions"]["parts"]
        return [json.loads(line) for line in (self._folder / part["name"]).read_text().splitlines()]


@pytest.fixture(params=["export_changes", "export_changes_to_variable"])
def export(run_dag, tmp_path, request):
    """The same with an asset that remembers, and with a Variable."""
    return Exports(run_dag, tmp_path, request.param)


def test_only_what_changed_comes_the_second_time_and_what_was_deleted_is_told(export, sandbox):
    first = export("first", detect="keys")
    assert first.state == "success"
    assert (len(first.rows), first.result["deleted"]) == (240, 0)
    assert first.manifest["window"] == {
        "field": "audit.modifiedDateTime",
        "lower": None,
        "upper": first.result["watermark"],
    }
    with client_of(sandbox) as client:
        [changed] = client.iter_rows(CUSTOMER, ["key", "id"], filters={"$eq": {"key": "7"}})
        client.update(CUSTOMER, "7", {"name": "Renamed"})
        made = client.create(CUSTOMER, {"id": "NEW", "name": "New"})
        [gone] = [one for one in sandbox.records(CUSTOMER) if one["key"] == made["key"]]
        spare = client.create(CUSTOMER, {"id": "SPARE", "name": "Goes before anyone sees it"})
        client.delete(CUSTOMER, spare["key"])
    second = export("second", detect="keys")
    assert second.state == "success"
    names = {row["id"]: row["name"] for row in second.rows}
    assert names.items() > {changed["id"]: "Renamed", "NEW": "New"}.items()
    assert len(names) < 10, "the look-back brings some once more"
    assert second.result["deleted"] == 0
    assert second.result["watermark"] > first.result["watermark"]

    with client_of(sandbox) as client:
        client.delete(CUSTOMER, gone["key"])
    third = export("third", detect="keys")
    assert [(one["key"], one["id"], one["reason"]) for one in third.deleted] == [
        (gone["key"], "NEW", "deleted")
    ]
    assert third.result["deleted"] == 1
    assert {row["id"] for row in third.rows} == {changed["id"]}, "its change is within the look-back"


@pytest.mark.slow
def test_a_task_that_fails_moves_nothing(run_dag, tmp_path, sandbox):
    export = Exports(run_dag, tmp_path, "export_changes")
    export("first", detect="keys")
    with client_of(sandbox) as client:
        client.update(CUSTOMER, "7", {"name": "Renamed"})
    before = {one.name for one in tmp_path.iterdir()}
    sandbox.fail(status=403, path="/services/core/query", skip=1)
    assert export("broken", detect="keys").state == "failed"
    assert {one.name for one in tmp_path.iterdir()} == before
    assert "Renamed" in [row["name"] for row in export("second", detect="keys").rows]


@pytest.mark.slow
def test_a_full_refresh_brings_everything_and_the_next_run_goes_on_from_there(run_dag, tmp_path, sandbox):
    export = Exports(run_dag, tmp_path, "export_changes")
    export("first", detect="keys")
    full = export("full", detect="keys", full=True)
    assert len(full.rows) == 240
    assert full.manifest["window"]["lower"] is None
    with client_of(sandbox) as client:
        client.update(CUSTOMER, "9", {"name": "Renamed"})
    following = export("next", detect="keys")
    assert "Renamed" in [row["name"] for row in following.rows]
    assert len(following.rows) < 10


@pytest.mark.slow
def test_the_audit_history_tells_when_records_were_deleted(run_dag, tmp_path, sandbox):
    export = Exports(run_dag, tmp_path, "export_changes")
    with client_of(sandbox) as client:
        key = client.create(CUSTOMER, {"id": "GOES", "name": "Goes"})["key"]
        export("first", detect="audit")
        client.delete(CUSTOMER, key)
    second = export("second", detect="audit")
    assert second.manifest["deletions"]["method"] == "audit"
    assert [(one["key"], one["id"]) for one in second.deleted] == [(key, "GOES")]
    assert second.deleted[0]["deleted_at"]


@pytest.mark.slow
@pytest.mark.parametrize(("policy", "state"), [("warn", "success"), ("fail", "failed"), ("add", "failed")])
def test_a_column_that_is_gone(run_dag, tmp_path, policy, state):
    export = Exports(run_dag, tmp_path, "export_changes")
    export("first", detect="keys", fields=["key", "id", "name"])
    second = export("second", detect="keys", fields=["key", "id"], drift=policy)
    assert second.state == state
    if policy == "warn":
        assert second.manifest["run"]["schema_drift"]["removed"] == ["name"]


def test_a_new_column_is_welcome_or_not(run_dag, tmp_path):
    export = Exports(run_dag, tmp_path, "export_changes")
    export("first", detect="keys", fields=["key", "id"])
    assert export("second", detect="keys", fields=["key", "id", "name"], drift="fail").state == "failed"
    assert export("second", detect="keys", fields=["key", "id", "name"], drift="add").state == "success"


def test_whole_records_that_changed_come_with_their_members(run_dag, tmp_path, sandbox):
    export = Exports(run_dag, tmp_path, "export_changed_records")
    first = export("first")
    assert {row["id"]: row for row in first.rows} == {one["id"]: one for one in read_whole(sandbox)}
    group = next(row for row in first.rows if row["groupType"] == "specific")
    with client_of(sandbox) as client:
        client.update(GROUP, group["key"], {"groupMembers": [{"id": "C-00003"}]})
        client.delete(GROUP, first.rows[-1]["key"])
    second = export("second")
    changed = {row["id"]: row for row in second.rows}[group["id"]]
    assert [member["id"] for member in changed["groupMembers"]] == ["C-00003"]
    assert [(one["key"], one["id"]) for one in second.deleted] == [
        (first.rows[-1]["key"], first.rows[-1]["id"])
    ]


def read_whole(sandbox):
    with client_of(sandbox) as client:
        keys = [row["key"] for row in client.iter_rows(GROUP, ["key"])]
        return list(client.get_many(GROUP, keys))
