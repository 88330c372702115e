"""Exports on S3, Google Cloud Storage and Azure Blob emulators: parts, manifest, resume, and no half file ever."""

import json
from contextlib import suppress

import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath
from clouds import run_cloud
from export_pages import after, conclude, export, files, pages_of, parts_of, row, visible

from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.storage import conditions
from intacct_provider.storage.files import write_whole

#: The same on another storage is left to the full run.
CLOUDS = ["s3", *(pytest.param(scheme, marks=pytest.mark.slow) for scheme in ("gs", "abfs"))]
ROWS = [row(number) for number in range(1, 101)]
#: Changes of publishing two parts in place of three, at least.
FEWEST_CHANGES = 10
#: Bytes beyond which a file is uploaded in several pieces, the last one when it is closed.
BIG = 40 << 20


@pytest.fixture(scope="module", params=CLOUDS)
def cloud(request):
    """A storage, which all tests share."""
    with run_cloud(request.param) as running:
        yield running


@pytest.fixture
def bucket(cloud):
    """A new bucket."""
    return cloud.make_bucket()


@pytest.fixture
def target(bucket):
    return bucket / "exports" / "customers.jsonl"


def test_parts_and_manifest_are_all_that_is_left(target, tmp_path):
    local = ObjectStoragePath(f"file://{tmp_path}/customers.jsonl")
    export(local, pages_of(ROWS), rows_per_part=40)
    made = export(target, pages_of(ROWS, [17, 60]), rows_per_part=40)
    assert [part.name for part in made] == [f"customers-0000{n}.jsonl" for n in (1, 2, 3)]
    assert files(target) == files(local)


@pytest.mark.parametrize("file_format", ["csv", "parquet"])
@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_every_format_is_the_same_as_on_a_disk(target, tmp_path, file_format, compression):
    local = ObjectStoragePath(f"file://{tmp_path}/customers.jsonl")
    for path in (local, target):
        export(path, pages_of(ROWS), file_format=file_format, compression=compression)
    assert files(target) == files(local)


def test_a_try_that_died_is_continued(target):
    killed = parts_of(target, rows_per_part=20)
    killed.begin()
    killed.write(pages_of(ROWS[:70])[0])
    with parts_of(target, rows_per_part=20) as parts:
        left = parts.begin()
        assert (left.rows, left.last_key) == (60, "60")
        for page in pages_of(ROWS, [50]):
            parts.write(after(page, left.last_key))
        conclude(target, parts, parts.finish())
    assert [content.count(b"\n") for content in visible(target).values()] == [20] * 5
    assert len(files(target)) == 6
    killed.abandon()  # only now: the garbage collection would upload its half-written part


def test_a_damaged_part_is_written_again(target):
    killed = parts_of(target, rows_per_part=20)
    killed.begin()
    killed.write(pages_of(ROWS)[0])
    [third] = [name for name in files(target) if name.endswith("-00003.1.part")]
    target.fs.pipe_file(target.with_name(third).path, b"damaged")
    export(target, pages_of(ROWS), rows_per_part=20)
    assert b"".join(visible(target).values()).count(b"\n") == 100
    killed.abandon()


class Interruption(Exception):  # noqa: N818
    """Stands for whatever ends a task with an error."""


def failing_halfway(target, size):
    with parts_of(target) as parts:
        parts.begin()
        page = pages_of([{**row(1), "name": "x" * (size // 4)}])[0]
        for _ in range(4):
            parts.write(page)
        raise Interruption


@pytest.mark.parametrize("size", [1000, BIG])
def test_a_failure_leaves_no_file_and_no_upload(cloud, target, size):
    with pytest.raises(Interruption):
        failing_halfway(target, size)
    assert files(target) == {}
    assert cloud.list_unfinished_uploads(target) == []


def test_an_older_export_survives_a_failure(target):
    export(target, pages_of(ROWS))
    before = files(target)
    with pytest.raises(Interruption):
        failing_halfway(target, 1000)
    assert files(target) == before


@pytest.mark.slow
def test_a_file_of_several_pieces_is_whole(target):
    page = pages_of([{**row(number), "name": "x" * (BIG // 4)} for number in range(1, 5)])[0]
    [part] = export(target, [page])
    assert part.bytes > BIG
    assert target.fs.size(target.path) == part.bytes
    assert [json.loads(line)["key"] for line in files(target)["customers.jsonl"].splitlines()] == list("1234")


@pytest.mark.slow
@pytest.mark.parametrize("at", range(1, 15))
def test_whenever_publishing_dies_the_next_try_ends_like_an_undisturbed_one(target, at, monkeypatch):
    export(target, pages_of(ROWS), rows_per_part=34, owner="before")
    with parts_of(target, rows_per_part=50) as parts:
        parts.begin()
        parts.write(pages_of(ROWS)[0])
        made = parts.finish()
        with monkeypatch.context() as patch:
            die_at(patch, target.fs, at)
            with suppress(KeyboardInterrupt):
                conclude(target, parts, made)
                assert at > FEWEST_CHANGES
    export(target, pages_of(ROWS), rows_per_part=50)
    names = [f"customers-0000{n}.jsonl" for n in (1, 2)]
    assert list(files(target)) == [*names, "customers.jsonl.manifest.json"]
    assert b"".join(visible(target).values()).count(b"\n") == 100


def die_at(patch, fs, at):
    """Have the n-th change of what is stored never happen: a copy and the deletion after it are two.

    Changes on a condition go to the storage itself where its file system knows no conditions.
    """
    changes = iter(range(1, 1000))

    def watched(change):
        def changed(*args, **kwargs):
            if next(changes) >= at:  # from then on nothing changes
                raise KeyboardInterrupt
            return change(*args, **kwargs)

        return changed

    for name in ("cp_file", "rm_file", "pipe_file"):
        patch.setattr(fs, name, watched(getattr(fs, name)))
    for kind in (conditions._S3, conditions._Google, conditions._Azure):
        for name in ("_write", "_copy", "_remove"):
            patch.setattr(kind, name, watched(getattr(kind, name)))


def test_names_with_brackets_and_stars_are_names(cloud, bucket):
    # adlfs takes a bracket for the beginning of an address.
    folder = bucket / ("2026" if cloud.scheme == "abfs" else "[2026]")
    target, other = folder / "cust*mers.jsonl", folder / "customers-00001.jsonl"
    other.fs.pipe_file(other.path, b"mine")
    export(target, pages_of(ROWS), rows_per_part=60)
    assert target.fs.cat_file(other.path) == b"mine"
    assert target.fs.size((folder / "cust*mers-00002.jsonl").path) > 0


def test_a_folder_of_the_destinations_name_is_not_gone_into(target):
    inside = target / "mine.txt"
    inside.fs.pipe_file(inside.path, b"mine")
    export(target, pages_of(ROWS))
    assert target.fs.cat_file(target.path).count(b"\n") == 100
    assert target.fs.cat_file(inside.path) == b"mine"


def test_a_bucket_that_does_not_exist_is_told_and_not_made(cloud):
    elsewhere = cloud.path("nobody-made-this/customers.jsonl")
    with pytest.raises(IntacctArgumentError, match=r"cannot be written"):
        parts_of(elsewhere).begin()
    assert not cloud.fs.exists("nobody-made-this")
    with pytest.raises(IntacctArgumentError, match=r"cannot be written"):
        write_whole(elsewhere, [b"content"])
    assert not cloud.fs.exists("nobody-made-this")


def test_small_files_of_the_sync_appear_whole_too(target):
    def failing():
        yield b"half"
        raise Interruption

    write_whole(target, [b"old"])
    with pytest.raises(Interruption):
        write_whole(target, failing())
    assert files(target) == {"customers.jsonl": b"old"}
    write_whole(target, [b"n", b"ew"])
    assert files(target) == {"customers.jsonl": b"new"}
