"""Two exports to one destination, of which the second comes between two changes of files by the first."""

import hashlib
import json
from types import SimpleNamespace

import pytest
from fsspec.implementations.local import LocalFileSystem
from sandbox_client import running

from intacct_provider.storage import claims
from intacct_provider.transfers.intacct_to_object_storage import IntacctToObjectStorageOperator

CUSTOMER = "accounts-receivable/customer"
#: What changes files.
CHANGES = ("pipe_file", "mv", "rm_file")


@pytest.fixture(scope="module")
def company():
    with running(f"{CUSTOMER}=12") as one:
        yield one


def export(path, run_id, **arguments):
    """Export; return whether it was green, and the name of its error otherwise."""
    operator = IntacctToObjectStorageOperator(
        task_id="export", object_name=CUSTOMER, fields=["key"], destination=str(path), **arguments
    )
    ti = SimpleNamespace(
        dag_id="books", run_id=run_id, task_id="export", map_index=-1, try_number=1, max_tries=2
    )
    try:
        operator.execute({"ti": ti})
    except Exception as err:
        return type(err).__name__
    return "green"


def look(path):
    """Return what a manifest is to its files."""
    manifest = path.with_name(path.name + ".manifest.json")
    if not manifest.exists():
        return "no manifest"
    parts = json.loads(manifest.read_bytes())["parts"]
    files = [path.with_name(part["name"]) for part in parts]
    found = [hashlib.sha256(file.read_bytes()).hexdigest() for file in files if file.exists()]
    return "fits" if found == [part["sha256"] for part in parts] else "another file"


class Interruption:
    """Lets something happen before the n-th change of files."""

    def __init__(self, monkeypatch, at, happen):
        self._left, self._happen = at, happen
        for name in CHANGES:
            monkeypatch.setattr(LocalFileSystem, name, self._watch(getattr(LocalFileSystem, name)))

    def _watch(self, change):
        def changed(fs, *arguments, **options):
            self._left -= 1
            if self._left == 0:
                self._happen()
            return change(fs, *arguments, **options)

        return changed

    @property
    def happened(self):
        return self._left <= 0


@pytest.mark.parametrize("rows_per_part", [None, pytest.param(5, marks=pytest.mark.slow)])
def test_whenever_another_export_comes_a_reader_finds_a_matching_pair_or_no_manifest(
    company, tmp_path, monkeypatch, rows_per_part
):
    monkeypatch.setenv("AIRFLOW_CONN_INTACCT_DEFAULT", company.connection())
    monkeypatch.setattr(claims, "WAIT", 0.0)
    at, happened = 0, True
    while happened:
        at += 1
        path, results = tmp_path / str(at) / "customers.jsonl", []

        def come(path=path, results=results):
            results.append(look(path))
            other = export(path, "scheduled__7", filters=[{"$gt": {"key": "4"}}], rows_per_part=rows_per_part)
            results.extend([other, look(path)])

        export(path, "manual__0", filters=[{"$lt": {"key": "9"}}], rows_per_part=rows_per_part)
        with monkeypatch.context() as patch:
            interruption = Interruption(patch, at, come)
            results.append(export(path, "manual__1", rows_per_part=rows_per_part))
        happened = interruption.happened
        assert set(results) <= {"green", "IntacctDestinationInUseError", "fits", "no manifest"}, (at, results)
        assert "green" in results
        assert look(path) == "fits"
    assert at > 3
