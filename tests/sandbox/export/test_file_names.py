"""The names of an export's files: what is in their way is found before records are read, and at the latest before any
of them is published."""

import hashlib
import json
import os
from types import SimpleNamespace

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from sandbox_client import client_of, running

from intacct_provider.export.files import publication
from intacct_provider.transfers.intacct_to_object_storage import IntacctToObjectStorageOperator

GROUP = "general-ledger/account-group"
MODEL, RECORDS = "/services/core/model", f"/objects/{GROUP}"


@pytest.fixture(scope="module")
def company():
    """Three account groups with a range each."""
    with running() as sandbox, client_of(sandbox) as client:
        for number in range(3):
            ranges = [{"sortOrder": 0, "rangeFrom": "1000", "rangeTo": "1999"}]
            client.create(
                GROUP,
                {
                    "id": f"G{number}",
                    "title": f"Group {number}",
                    "accountRanges": ranges,
                },
            )
        yield sandbox


@pytest.fixture(autouse=True)
def _airflow(company, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_INTACCT_DEFAULT", company.connection())


def export(path, *, lists="tables", run="run", **arguments):
    arguments = {"object_name": GROUP, "detail": True, "lists": lists, "destination": str(path)} | arguments
    task = SimpleNamespace(
        dag_id="books", run_id=run, task_id="export", map_index=-1, try_number=1, max_tries=3
    )
    return IntacctToObjectStorageOperator(task_id="export", **arguments).execute({"ti": task})


def look(path):
    """Return what the manifest of a destination is to its files."""
    manifest = path.with_name(path.name + ".manifest.json")
    if not manifest.exists():
        return "no manifest"
    found = json.loads(manifest.read_bytes())
    parts = [*found["parts"], *(part for one in found.get("lists", ()) for part in one["parts"])]
    files = [path.with_name(part["name"]) for part in parts]
    fits = [file.exists() and hashlib.sha256(file.read_bytes()).hexdigest() for file in files]
    return "fits" if fits == [part["sha256"] for part in parts] else "another file"


@pytest.mark.parametrize(
    ("name", "taken", "arguments", "models"),
    [
        ("g.jsonl", "g.accountRanges.jsonl", {}, True),
        ("g.csv.gz", "g.accountRanges.csv.gz", {}, True),
        ("g.jsonl", "g.ranges.jsonl", {"fields": {"id": "id", "accountRanges": "ranges"}}, True),
        ("g.jsonl", "g.accountRanges-00001.jsonl", {"rows_per_part": 2}, True),
        ("g.jsonl", "g.accountRanges-00002.jsonl", {"rows_per_part": 2}, True),
        ("g.jsonl", "g-00001.jsonl", {"rows_per_part": 2}, False),
        ("g.jsonl", "g-00002.jsonl", {"rows_per_part": 2, "lists": "nested"}, False),
        (
            "g.jsonl",
            "g-r00002-00001.jsonl",
            {"key_range": {"number": 2, "of": 2, "above": "1", "upto": None}},
            False,
        ),
        (
            "g.jsonl",
            "g-r00002-00003.jsonl",
            {"key_range": {"number": 2, "of": 2, "above": "1", "upto": None}},
            False,
        ),
    ],
)
@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_what_is_not_a_file_under_a_name_of_the_export_costs_no_record(
    company, tmp_path, name, taken, arguments, models, make
):
    make(tmp_path / taken)
    before = len(company.requests)
    with pytest.raises(AirflowFailException, match=rf"{taken}' cannot be written: it is a "):
        export(tmp_path / name, **arguments)
    paid = {call.path for call in company.requests[before:] if call.transactions}
    assert paid == ({MODEL} if models else set())
    assert os.listdir(tmp_path) == [taken]


def test_another_export_under_the_name_of_a_list_costs_no_record(company, tmp_path):
    export(tmp_path / "g.accountRanges.jsonl", lists="nested")
    before, files = len(company.requests), sorted(os.listdir(tmp_path))
    with pytest.raises(
        AirflowFailException, match=r"'g\.accountRanges\.jsonl' .* has the name of another export"
    ):
        export(tmp_path / "g.jsonl")
    assert {call.path for call in company.requests[before:] if call.transactions} == {MODEL}
    assert sorted(os.listdir(tmp_path)) == files


@pytest.mark.parametrize(
    ("size", "arguments", "models"),
    [
        (191, {}, False),
        (136, {}, False),
        (128, {"fields": {"id": "id", "accountRanges": "r" * 80}}, True),
        (120, {"fields": {"id": "id", "accountRanges": "ö" * 40}}, True),
    ],
)
def test_names_too_long_for_the_files_of_lists_cost_no_record(company, tmp_path, size, arguments, models):
    before = len(company.requests)
    with pytest.raises(AirflowFailException, match=r"a name of \d+ bytes, and \d+ are the most"):
        export(tmp_path / ("n" * (size - 6) + ".jsonl"), **arguments)
    assert {call.path for call in company.requests[before:] if call.transactions} == (
        {MODEL} if models else set()
    )
    assert os.listdir(tmp_path) == []


def test_the_longest_names_that_are_accepted_are_exported(tmp_path):
    path = tmp_path / ("n" * 129 + ".jsonl")
    assert export(path, rows_per_part=1)["parts"] == 3
    assert look(path) == "fits"
    path = tmp_path / ("n" * 114 + ".jsonl")
    export(path, fields={"id": "id", "accountRanges": "r" * 78}, rows_per_part=1)
    assert look(path) == "fits"


def test_two_files_of_one_export_have_two_names(company, tmp_path):
    fields = {"id": "id", "accountRanges": "a/b", "accountGroupMembers": "a_b"}
    with pytest.raises(
        AirflowFailException, match=r"Two files .* would have the name 'g\.a_b\.jsonl'\. Give the list"
    ):
        export(tmp_path / "g.jsonl", fields=fields)
    assert os.listdir(tmp_path) == []


# --- two destinations whose exports have files of one name, in the same instant


class Stopped:
    """Stops a process just before its n-th change while it publishes, until something else has happened."""

    def __init__(self, monkeypatch, at, meanwhile):
        self._left, self._meanwhile = at, meanwhile
        for name in ("write_if", "rename_if", "remove_if", "create_exclusively"):
            monkeypatch.setattr(publication, name, self._stop(getattr(publication, name)))

    def _stop(self, change):
        def changed(*arguments, **options):
            self._left -= 1
            if self._left == 0:
                self._meanwhile()
            return change(*arguments, **options)

        return changed

    @property
    def happened(self):
        return self._left <= 0


def attempt(path, **arguments):
    """Export; return whether it was green, and the name of its error otherwise."""
    try:
        export(path, **arguments)
    except Exception as err:
        return type(err).__name__
    return "green"


PAIRS = [
    (("g.jsonl", {}), ("g.accountRanges.jsonl", {"lists": "nested"})),
    (("g.accountRanges.jsonl", {"lists": "nested"}), ("g.jsonl", {})),
    (("g.jsonl", {"rows_per_part": 1}), ("g-00002.jsonl", {"lists": "nested"})),
    (("g.accountRanges.jsonl", {"lists": "nested", "rows_per_part": 2}), ("g.jsonl", {"rows_per_part": 2})),
]


def stop_at_each_change(tmp_path, monkeypatch, first, second, before):
    """Stop the first export before each of its changes in turn, until the second has run: one of the two is green.

    :param before: called with the claim of the first, when it is stopped.
    """
    at, happened = 0, True
    while happened:
        at += 1
        folder, results = tmp_path / str(at), []
        folder.mkdir()
        (one, how), (other, other_how) = first, second

        def come(folder=folder, results=results, one=one, other=other, how=other_how):
            before(folder / f".{one}.claim")
            results.append(attempt(folder / other, run="other", **how))

        with monkeypatch.context() as patch:
            stopped = Stopped(patch, at, come)
            results.append(attempt(folder / one, **how))
        happened = stopped.happened
        assert results.count("green") == 1, (at, results)
        assert {look(folder / one), look(folder / other)} == {"fits", "no manifest"}, (at, results)
    assert at > 3


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_of_two_that_share_a_name_and_publish_at_once_one_is_refused(tmp_path, monkeypatch, first, second):
    stop_at_each_change(tmp_path, monkeypatch, first, second, lambda _claim: None)


def fall_silent(claim):
    """Let an owner look as if it had given no sign of life for long."""
    if claim.exists():
        found = json.loads(claim.read_bytes())
        claim.write_bytes(json.dumps(found | {"renewed": found["renewed"].replace("20", "19", 1)}).encode())


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_one_that_sleeps_while_the_other_publishes_leaves_no_false_manifest(
    tmp_path, monkeypatch, first, second
):
    """The first has given no sign of life for 10 minutes when the second comes, which does not wait for it."""
    stop_at_each_change(tmp_path, monkeypatch, first, second, fall_silent)


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_one_that_sleeps_while_the_other_dies_leaves_no_false_manifest(tmp_path, monkeypatch, first, second):
    """The second is killed when it has replaced a file of the first, and has no manifest yet."""
    (one, how), (other, other_how), results = first, second, []
    replace = publication.replace_file

    def die(*_arguments):
        raise RuntimeError("killed")

    def wake_up_late(*arguments):
        fall_silent(tmp_path / f".{one}.claim")
        monkeypatch.setattr(publication, "replace_file", die)
        results.append(attempt(tmp_path / other, run="other", **other_how))
        return replace(*arguments)

    monkeypatch.setattr(publication, "replace_file", wake_up_late)
    results.append(attempt(tmp_path / one, **how))
    assert results == ["RuntimeError", "IntacctDestinationInUseError"]
    assert look(tmp_path / one) == look(tmp_path / other) == "no manifest"
    monkeypatch.setattr(publication, "replace_file", replace)
    assert attempt(tmp_path / one, **how) == "green"
    assert look(tmp_path / one) == "fits"


def test_one_that_was_refused_does_not_stop_the_other(tmp_path, monkeypatch):
    """The second begins after the first has noted what it publishes, and before it looks for the other's notes."""
    results, check = [], publication._check_rivals

    def late(*arguments):
        monkeypatch.setattr(publication, "_check_rivals", check)
        results.append(attempt(tmp_path / "g.accountRanges.jsonl", lists="nested"))
        check(*arguments)

    monkeypatch.setattr(publication, "_check_rivals", late)
    results.append(attempt(tmp_path / "g.jsonl", run="other"))
    assert results == ["IntacctDestinationInUseError", "green"]


def test_what_a_dead_export_was_about_to_publish_stops_nobody(tmp_path, monkeypatch):
    def die(*_arguments):
        raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(publication, "_rename_part", die)
        assert attempt(tmp_path / "g.jsonl") == "RuntimeError"
    assert attempt(tmp_path / "g.accountRanges.jsonl", lists="nested") == "green"
    assert attempt(tmp_path / "g.jsonl") == "AirflowFailException"
    assert look(tmp_path / "g.accountRanges.jsonl") == "fits"
