"""One destination, one truth: its owner, what may be there, what is deleted, and which errors Airflow retries."""

import errno
import hashlib
import json
import os
import re
import socket
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, ObjectStoragePath
from fsspec.implementations.local import LocalFileSystem
from sandbox_client import running

from intacct_provider.exceptions import IntacctDestinationInUseError
from intacct_provider.export.files import publication
from intacct_provider.storage import claims
from intacct_provider.storage.claims import Claim, Holder
from intacct_provider.transfers.intacct_to_object_storage import IntacctToObjectStorageOperator

CUSTOMER = "accounts-receivable/customer"
ROWS = 60


@pytest.fixture(scope="module")
def company():
    with running(f"{CUSTOMER}={ROWS}") as one:
        yield one


@pytest.fixture(autouse=True)
def _airflow(company, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_INTACCT_DEFAULT", company.connection())
    monkeypatch.setattr(claims, "WAIT", 0.0)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "customers.jsonl"


def task(map_index=-1, run_id="manual__1", dag_id="books"):
    return SimpleNamespace(
        dag_id=dag_id, run_id=run_id, task_id="export", map_index=map_index, try_number=1, max_tries=2
    )


def export(path, ti=None, fields=("key", "id"), **arguments):
    operator = IntacctToObjectStorageOperator(
        task_id="export", object_name=CUSTOMER, fields=fields, destination=str(path), **arguments
    )
    return operator.execute({"ti": ti or task()})


def manifest_path(path):
    return path.with_name(path.name + ".manifest.json")


def manifest_of(path):
    return json.loads(manifest_path(path).read_bytes())


def names(folder):
    return {one.name for one in folder.iterdir()}


def content(folder):
    return {one.name: one.read_bytes() for one in folder.iterdir() if one.is_file()}


def holder(**changes):
    ti = task(**changes)
    return Holder(ti.dag_id, ti.run_id, ti.task_id, ti.map_index)


def test_a_second_owner_fails_retryably_before_any_call_and_names_the_first(company, path):
    before = company.transactions
    with (
        Claim(ObjectStoragePath(str(path)), holder(run_id="scheduled__7")),
        pytest.raises(
            IntacctDestinationInUseError, match=r"'export' of run 'scheduled__7' of DAG 'books'.* since 20"
        ),
    ):
        export(path)
    assert company.transactions == before
    assert names(path.parent) == set()
    assert export(path)["rows"] == ROWS


def test_an_owner_that_was_taken_over_publishes_nothing(path, monkeypatch):
    export(path, filters=[{"$gt": {"key": "30"}}])
    before = content(path.parent)
    target, publish = ObjectStoragePath(str(path)), publication.publish
    other = Claim(target, holder(run_id="scheduled__7"))

    def late(*arguments):
        with monkeypatch.context() as patch:
            patch.setattr(claims, "SILENCE", -1.0)
            other.__enter__()
        return publish(*arguments)

    monkeypatch.setattr("intacct_provider.export.files.sink.publish", late)
    with pytest.raises(IntacctDestinationInUseError, match=r"was taken over by .*'scheduled__7'"):
        export(path)
    other.__exit__()
    assert {name: here for name, here in content(path.parent).items() if name in before} == before


def test_an_owner_that_is_taken_over_while_it_publishes_leaves_the_next_export_whole(path, monkeypatch):
    """It would give its file the name after the next owner has published."""
    target, rename = ObjectStoragePath(str(path)), publication._rename_part
    monkeypatch.setattr(Claim, "_lock", lambda _self: nullcontext())

    def late(*arguments):
        monkeypatch.setattr(publication, "_rename_part", rename)
        monkeypatch.setattr(claims, "SILENCE", -1.0)
        export(path, task(run_id="scheduled__7"), filters=[{"$gt": {"key": "30"}}])
        rename(*arguments)

    monkeypatch.setattr(publication, "_rename_part", late)
    with pytest.raises(IntacctDestinationInUseError):
        export(path)
    assert target.exists()
    assert manifest_of(path)["rows"] == ROWS - 30
    assert manifest_of(path)["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_next_attempt_of_a_task_and_a_cleared_one_take_its_claim_over_at_once(path):
    dead = Claim(ObjectStoragePath(str(path)), holder())
    dead.__enter__()
    dead._done.set()
    ti = task()
    ti.try_number, ti.max_tries = 4, 5
    assert export(path, ti)["rows"] == ROWS
    assert names(path.parent) == {path.name, manifest_path(path).name}


def test_two_mapped_tasks_with_one_destination_at_once(company, path):
    before = company.transactions
    with (
        Claim(ObjectStoragePath(str(path)), holder(map_index=0)),
        pytest.raises(AirflowFailException, match="Mapped tasks 0 and 4 of task 'export' in run 'manual__1'"),
    ):
        export(path, task(map_index=4))
    assert company.transactions == before


def test_two_mapped_tasks_with_one_destination_one_after_the_other(company, path):
    export(path, task(map_index=0))
    before, billed = content(path.parent), company.transactions
    with pytest.raises(AirflowFailException, match=r"Mapped tasks 0 and 4 .* have the same destination"):
        export(path, task(map_index=4))
    assert (content(path.parent), company.transactions) == (before, billed)
    export(path, task(map_index=0))
    export(path, task(map_index=4, run_id="manual__2"))


@pytest.mark.parametrize("upstream", ["has exported elsewhere", "has not run yet"])
def test_a_cleared_run_may_map_its_tasks_anew(path, upstream):
    """The list of the upstream task has grown at its head, so that what was index 0 is index 1."""
    export(path, task(map_index=0))
    cleared = task(map_index=1)
    found = {"path": f"{path}.other.jsonl"} if upstream == "has exported elsewhere" else None
    cleared.xcom_pull = lambda *, task_ids, map_indexes: {("export", 0): found}[task_ids, map_indexes]
    assert export(path, cleared)["rows"] > 0
    again = task(map_index=0)
    again.xcom_pull = lambda **_: {"path": str(path)}
    with pytest.raises(AirflowFailException, match=r"Mapped tasks 1 and 0 .* have the same destination"):
        export(path, again)


def test_notes_of_an_owner_that_is_about_to_stop_do_not_stop_the_next_one(path, monkeypatch):
    write, answers = publication.write_if, iter([False])
    monkeypatch.setattr(publication, "write_if", lambda *given: next(answers, True) and write(*given))
    assert export(path)["rows"] > 0
    assert manifest_path(path).exists()


def test_the_manifest_goes_before_any_file_changes_and_comes_last(path, monkeypatch):
    export(path, rows_per_part=10)
    seen, rename = [], publication._rename_part

    def watched(target, part):
        seen.append(manifest_path(path).exists())
        rename(target, part)
        seen.append(manifest_path(path).exists())

    monkeypatch.setattr(publication, "_rename_part", watched)
    export(path, rows_per_part=20)
    assert seen == [False] * 6
    assert manifest_path(path).exists()


def test_the_digest_of_several_parts_is_that_of_what_sha256sum_says_of_them(path):
    result = export(path, rows_per_part=25)
    manifest = manifest_of(path)
    lines = [
        f"{hashlib.sha256((path.parent / part['name']).read_bytes()).hexdigest()}  {part['name']}\n"
        for part in manifest["parts"]
    ]
    assert len(lines) == 3
    assert result["sha256"] == manifest["sha256"] == hashlib.sha256("".join(lines).encode()).hexdigest()


def make_pipe(path):
    os.mkfifo(path)


def make_socket(path):
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(path))


def make_link(path):
    other = path.with_name("precious")
    other.write_text("precious")
    path.symlink_to(other)


def make_dangling_link(path):
    path.symlink_to(path.with_name("nothing"))


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (make_pipe, "named pipe"),
        (make_socket, "socket"),
        (make_link, "symbolic link"),
        (make_dangling_link, "symbolic link"),
        (os.mkdir, "IsADirectoryError|folder"),
    ],
)
@pytest.mark.parametrize("ending", ["", ".manifest.json", "-00002"])
def test_what_is_not_a_regular_file_is_not_replaced(company, path, make, what, ending, monkeypatch):
    monkeypatch.chdir(path.parent)  # the path of a socket must be short
    name = "customers-00002.jsonl" if ending == "-00002" else path.name + ending
    make(type(path)(name))
    before = os.lstat(name)
    billed = company.transactions
    with pytest.raises(AirflowFailException, match=rf"{re.escape(name)}.*({what})"):
        export(path, rows_per_part=40 if ending == "-00002" else None)
    assert os.lstat(name).st_ino == before.st_ino
    assert os.lstat(name).st_mode == before.st_mode
    assert company.transactions == billed
    assert not (path.parent / "nothing").exists()
    if (path.parent / "precious").exists():
        assert (path.parent / "precious").read_text() == "precious"


def test_linked_folders_above_the_destination_are_fine(path, tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    export(tmp_path / "link" / path.name)
    assert names(tmp_path / "real") == {path.name, manifest_path(path).name}


def test_both_ways_to_a_folder_have_one_owner(path, tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    target = ObjectStoragePath(str(tmp_path / "real" / path.name))
    with Claim(target, holder(run_id="other")), pytest.raises(IntacctDestinationInUseError):
        export(tmp_path / "link" / path.name)


@pytest.mark.parametrize("damaged", [b"", b'{"manifest_version": 2, "obj', b"\xff\xfe", b"[]"])
def test_a_damaged_manifest_is_reported_once_with_the_way_out(company, path, damaged):
    export(path)
    manifest_path(path).write_bytes(damaged)
    billed = company.transactions
    with pytest.raises(AirflowFailException, match=r"is not a manifest .*run the task again.*\.damaged-"):
        export(path)
    assert company.transactions == billed
    [aside] = path.parent.glob("*.damaged-*")
    assert aside.read_bytes() == damaged
    assert export(path)["rows"] == ROWS
    assert aside.read_bytes() == damaged


def test_a_file_of_another_export_that_has_the_name_of_a_former_part_stays(path):
    """It is now the destination of another export, which wrote the very same bytes."""
    export(path, rows_per_part=30)
    first = path.with_name("customers-00001.jsonl")
    os.unlink(manifest_path(path))
    export(first, filters=[{"$lte": {"key": "30"}}])
    os.unlink(first.with_name("customers-00002.jsonl"))
    export(path)
    assert names(path.parent) == {path.name, manifest_path(path).name, first.name, manifest_path(first).name}
    assert manifest_of(first)["sha256"] == hashlib.sha256(first.read_bytes()).hexdigest()


def test_an_export_does_not_write_over_a_part_of_another(company, path):
    export(path, rows_per_part=30)
    before, billed = content(path.parent), company.transactions
    with pytest.raises(AirflowFailException, match=r"is a part of another export, .* 'customers\.jsonl\."):
        export(path.with_name("customers-00002.jsonl"))
    assert (content(path.parent), company.transactions) == (before, billed)


def test_the_parts_of_an_export_do_not_replace_another_export(path):
    other = path.with_name("customers-00002.jsonl")
    export(other)
    export(path)
    before = content(path.parent)
    with pytest.raises(
        AirflowFailException, match=r"'customers-00002\.jsonl' .* has the name of another export"
    ):
        export(path, rows_per_part=30)
    assert {name: here for name, here in content(path.parent).items() if name in before} == before


def test_a_former_part_that_somebody_has_changed_stays(path):
    export(path, rows_per_part=20)
    changed = path.with_name("customers-00002.jsonl")
    changed.write_text("mine now")
    export(path)
    assert names(path.parent) == {path.name, manifest_path(path).name, changed.name}
    assert changed.read_text() == "mine now"


def test_former_parts_go_after_the_new_manifest_was_written(path, monkeypatch):
    export(path, rows_per_part=20)
    before = names(path.parent)
    write = publication.replace_file

    def watched(*arguments):
        assert before - {manifest_path(path).name} < names(path.parent)
        return write(*arguments)

    monkeypatch.setattr(publication, "replace_file", watched)
    export(path)
    assert names(path.parent) == {path.name, manifest_path(path).name}


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EBUSY, errno.ESTALE])
def test_errors_of_the_storage_are_retried(path, monkeypatch, number):
    let_no_file_be_written(monkeypatch, number)
    with pytest.raises(OSError, match=os.strerror(number)):
        export(path)


@pytest.mark.parametrize(
    "number", [errno.EACCES, errno.EROFS, errno.ENAMETOOLONG, errno.ENOTDIR, errno.ELOOP]
)
def test_errors_of_the_destination_are_not_retried(company, path, monkeypatch, number):
    billed = company.transactions
    let_no_file_be_written(monkeypatch, number)
    with pytest.raises(AirflowFailException, match=r"customers\.jsonl' cannot be written"):
        export(path)
    assert company.transactions == billed


def let_no_file_be_written(monkeypatch, number):
    def fail(*_arguments, **_options):
        raise OSError(number, os.strerror(number))

    read = LocalFileSystem._open
    monkeypatch.setattr("tempfile.TemporaryFile", fail)
    monkeypatch.setattr(
        LocalFileSystem,
        "_open",
        lambda fs, path, mode="rb", **options: (read if mode == "rb" else fail)(fs, path, mode, **options),
    )


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("x" * 249 + ".jsonl", "a name of 255 bytes, and 191 are the most"),
        ("é" * 100 + ".jsonl", "a name of 206 bytes"),
        ("x" * 400, "a name of 400 bytes"),
        ("customers.jsonl.manifest.json", "has the name of a manifest"),
        ("\udcff.jsonl", "is not text in UTF-8"),
    ],
)
def test_names_that_leave_no_room_are_refused_before_any_call(company, tmp_path, name, message):
    billed = company.transactions
    with pytest.raises(AirflowFailException, match=message):
        export(tmp_path / name, file_format="jsonl")
    assert company.transactions == billed
    assert names(tmp_path) == set()


def test_the_longest_name_that_is_accepted_is_exported(tmp_path):
    path = tmp_path / ("x" * 185 + ".jsonl")
    assert export(path, rows_per_part=20)["parts"] == 3


@pytest.mark.parametrize("name", ["...", "..customers", ".customers"])
def test_a_name_that_begins_with_dots_is_a_name_like_others(tmp_path, name):
    assert export(tmp_path / name)["rows"] == 60
    assert export(tmp_path / name, rows_per_part=20)["parts"] == 3
    assert names(tmp_path) == {f"{name}.manifest.json", *(f"{name}-0000{n}" for n in (1, 2, 3))}


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_web_address_is_not_a_destination(company, scheme):
    billed = company.transactions
    with pytest.raises(AirflowFailException, match=f"cannot be written: {scheme} only reads"):
        export(f"{scheme}://127.0.0.1:9/customers.jsonl")
    assert company.transactions == billed


@pytest.mark.parametrize(
    "fields", [["key", "na\nme"], {"key": "k\ney"}, ["key\r"], {"key": 'a"b'}, {"a\\b": "c"}]
)
@pytest.mark.parametrize("file_format", ["jsonl", "csv"])
def test_line_breaks_and_quotes_in_names_are_refused_before_any_call(company, tmp_path, fields, file_format):
    billed = company.transactions
    with pytest.raises(AirflowFailException, match="no line breaks or other control characters"):
        export(tmp_path / f"customers.{file_format}", fields=fields)
    assert company.transactions == billed
    assert names(tmp_path) == set()


@pytest.fixture
def unowned(monkeypatch):
    """A storage that creates no file exclusively."""
    monkeypatch.setattr(claims, "can_create_exclusively", lambda _path: False)
    monkeypatch.setattr(publication, "can_create_exclusively", lambda _path: False)


def test_without_owners_a_published_export_is_read_again(unowned, path):
    assert export(path, rows_per_part=25)["rows"] == ROWS
    assert names(path.parent) == {f"customers-0000{n}.jsonl" for n in (1, 2, 3)} | {manifest_path(path).name}


@pytest.mark.parametrize("when", ["before the manifest", "after the manifest"])
def test_without_owners_two_that_publish_at_once_do_not_both_succeed(unowned, path, monkeypatch, when):
    write = publication.replace_file

    def late(*arguments):
        monkeypatch.setattr(publication, "replace_file", write)
        written = write(*arguments) if when == "after the manifest" else None
        export(path, task(run_id="scheduled__7"), filters=[{"$gt": {"key": "30"}}])
        return written or write(*arguments)

    monkeypatch.setattr(publication, "replace_file", late)
    with pytest.raises(IntacctDestinationInUseError, match=r"has published to .* at the same time"):
        export(path)
    if manifest_path(path).exists():
        assert manifest_of(path)["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert export(path)["rows"] == ROWS
    assert names(path.parent) == {path.name, manifest_path(path).name}
