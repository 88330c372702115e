"""Neighboring exports whose files may have the same names: none replaces or deletes a file of another."""

import hashlib
import json
import threading
from types import SimpleNamespace

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from sandbox_client import running

from intacct_provider.export.files import sink
from intacct_provider.storage import claims
from intacct_provider.transfers.intacct_to_object_storage import IntacctToObjectStorageOperator

CUSTOMER = "accounts-receivable/customer"
GROUP = "general-ledger/account-group"


@pytest.fixture(scope="module")
def company():
    with running("demo") as one:
        yield one


@pytest.fixture(autouse=True)
def _airflow(company, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_INTACCT_DEFAULT", company.connection())
    monkeypatch.setattr(claims, "WAIT", 0.0)


def export(path, run="1", object_name=CUSTOMER, **arguments):
    if "detail" not in arguments:
        arguments = {"fields": ["key", "id"], **arguments}
    operator = IntacctToObjectStorageOperator(
        task_id="export", object_name=object_name, destination=str(path), **arguments
    )
    task = SimpleNamespace(
        dag_id="books", run_id=run, task_id=path.name, map_index=-1, try_number=1, max_tries=2
    )
    return operator.execute({"ti": task})


def assert_fits(path):
    """Check that the files are those that the manifest names."""
    manifest = json.loads(path.with_name(path.name + ".manifest.json").read_bytes())
    parts = [*manifest["parts"], *(part for one in manifest.get("lists", []) for part in one["parts"])]
    for part in parts:
        content = path.with_name(part["name"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == part["sha256"], part["name"]


def test_a_destination_that_became_a_part_of_another_export_meanwhile_is_not_published(tmp_path, monkeypatch):
    whole, part = tmp_path / "customers.jsonl", tmp_path / "customers-00001.jsonl"
    publish, ready, published = sink.publish, threading.Event(), threading.Event()
    caught = []

    def wait(claim, *arguments):
        if claim.target.name == part.name:
            ready.set()
            assert published.wait(60)
        return publish(claim, *arguments)

    def run():
        try:
            export(part)
        except AirflowFailException as err:
            caught.append(str(err))

    monkeypatch.setattr(sink, "publish", wait)
    other = threading.Thread(target=run)
    other.start()
    assert ready.wait(60)
    export(whole, rows_per_part=25)
    published.set()
    other.join(60)
    assert "is a part of another export, whose manifest is 'customers.jsonl.manifest.json'" in caught[0]
    assert_fits(whole)


def test_parts_of_a_list_are_not_replaced_by_those_of_another_export(company, tmp_path):
    groups = tmp_path / "groups.jsonl"
    export(groups, object_name=GROUP, detail=True, lists="tables", rows_per_part=2)
    lists = json.loads((tmp_path / "groups.jsonl.manifest.json").read_bytes())["lists"]
    name = lists[0]["name"]
    billed = company.transactions
    with pytest.raises(AirflowFailException, match=rf"'groups\.{name}-00001\.jsonl' .* is a part of another"):
        export(tmp_path / f"groups.{name}.jsonl", rows_per_part=20)
    assert company.transactions == billed
    assert_fits(groups)


def test_one_file_goes_when_parts_take_its_place(tmp_path):
    path = tmp_path / "customers.jsonl"
    export(path)
    export(path, run="2", rows_per_part=100)
    assert {one.name for one in tmp_path.iterdir()} == {
        "customers.jsonl.manifest.json", *(f"customers-0000{n}.jsonl" for n in (1, 2, 3)),
    }  # fmt: skip
    assert_fits(path)
