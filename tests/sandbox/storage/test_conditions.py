"""Changes on a condition, on every object storage and on a disk: what somebody has written since then stays."""

import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath
from clouds import run_cloud

from intacct_provider.storage.conditions import read_version, remove_if, rename_if, write_if

#: The same on another storage is left to the full run.
PLACES = ["file", "s3", *(pytest.param(scheme, marks=pytest.mark.slow) for scheme in ("gs", "abfs"))]


@pytest.fixture(scope="module", params=PLACES)
def make_folder(request, tmp_path_factory):
    if request.param == "file":
        yield lambda: ObjectStoragePath(f"file://{tmp_path_factory.mktemp('folder')}")
        return
    with run_cloud(request.param) as cloud:
        yield lambda: cloud.make_bucket() / "a folder"


@pytest.fixture
def path(make_folder):
    return make_folder() / "customers [1].jsonl"


def put(path, content):
    path.fs.pipe_file(path.path, content)
    return read_version(path)


def content(path):
    path.fs.invalidate_cache()
    return path.fs.cat_file(path.path) if path.fs.exists(path.path) else None


def test_a_version_changes_with_the_content(path):
    assert read_version(path) is None
    one = put(path, b"one")
    assert read_version(path) == one
    assert put(path, b"another") not in (one, None)


def test_a_file_is_written_if_it_is_what_it_was(path):
    assert write_if(path, b"new", None)
    assert not write_if(path, b"newer", None)
    old = read_version(path)
    put(path, b"from somebody else")
    assert not write_if(path, b"late", old)
    assert content(path) == b"from somebody else"
    assert write_if(path, b"in time", read_version(path))
    assert content(path) == b"in time"


def test_a_file_that_is_gone_is_not_written_again(path):
    old = put(path, b"one")
    path.fs.rm_file(path.path)
    assert not write_if(path, b"late", old)
    assert content(path) is None


@pytest.mark.parametrize("before", [None, b"an older one"], ids=["new", "replaced"])
def test_a_file_gets_a_name_if_that_is_what_it_was(path, before):
    staged = path.with_name(".customers [1].jsonl.part")
    put(staged, b"rows")
    old = put(path, before) if before else None
    theirs = put(path, b"from somebody else")
    assert not rename_if(staged, path, old)
    assert content(path) == b"from somebody else"
    assert content(staged) == b"rows"
    assert rename_if(staged, path, theirs)
    assert content(path) == b"rows"
    assert content(staged) is None


def test_a_file_that_was_taken_away_gets_no_name(path):
    old = put(path, b"one")
    assert not rename_if(path.with_name(".gone"), path, old)
    assert not rename_if(path.with_name(".gone"), path.with_name("new"), None)
    assert content(path) == b"one"
    assert content(path.with_name("new")) is None


def test_a_file_is_deleted_if_it_is_what_it_was(path):
    old = put(path, b"one")
    now = put(path, b"from somebody else")
    assert not remove_if(path, old)
    assert content(path) == b"from somebody else"
    assert remove_if(path, now)
    assert not remove_if(path, now)
    assert not remove_if(path, None)
    assert content(path) is None
