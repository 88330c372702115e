"""What a task leaves whose last attempt was killed: a later export deletes it once it is old, and nothing else."""

import os
import threading
import time
from pathlib import Path

import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath
from export_pages import export, files, pages_of, parts_of, row
from hypothesis import given, settings
from hypothesis import strategies as st

from intacct_provider.exceptions import IntacctArgumentError

DAY = 86_400
ROWS = [row(number) for number in range(1, 101)]


@pytest.fixture
def target(tmp_path):
    return ObjectStoragePath(f"file://{tmp_path}/out/customers.jsonl")


def kill(target, **options):
    """Leave what a process leaves that is killed in its third part: two that are complete, and one half written."""
    parts = parts_of(target, owner="dead", **options)
    parts.begin()
    parts.write(pages_of(ROWS[:50])[0])
    if parts._open:
        parts._open.upload._file.flush()
    return parts


def hidden(target):
    return {name for name in files(target) if name.startswith(".")}


def age(target, days, *names):
    """Let files be so old; all of them unless they are named."""
    then = time.time() - days * DAY
    for path in Path(target.path).parent.iterdir():
        if not names or path.name in names:
            os.utime(path, (then, then), follow_symlinks=False)


@pytest.mark.parametrize("options", [{}, {"rows_per_part": 20}, {"file_format": "parquet"}], ids=str)
def test_the_next_export_deletes_what_is_old(target, options):
    killed = kill(target, **options)
    assert hidden(target)
    age(target, 8)
    export(target, pages_of(ROWS))
    assert set(files(target)) == {"customers.jsonl", "customers.jsonl.manifest.json"}
    assert killed._open is not None


def test_what_a_retry_may_continue_from_stays(target):
    kill(target, rows_per_part=20)
    left = hidden(target)
    age(target, 6)
    export(target, pages_of(ROWS))
    assert hidden(target) == left
    age(target, 8)
    [unfinished] = [name for name in left if name.endswith("-00003.1.part")]
    age(target, 1, unfinished)
    export(target, pages_of(ROWS))
    assert {name.rpartition("-")[2] for name in hidden(target)} == {"00003.1.part", "00003.1.facts.json"}


def test_an_export_that_fails_deletes_nothing(target):
    kill(target, rows_per_part=20)
    left = hidden(target)
    age(target, 8)
    with parts_of(target) as parts:
        parts.begin()
        parts.write(pages_of(ROWS[:20])[0])
    assert hidden(target) == left


def test_parts_of_another_destination_stay(target):
    others = [target.with_name(name) for name in ("customers.eu.jsonl", "orders.jsonl", "customers.jsonl.gz")]
    for other in others:
        kill(other, rows_per_part=20)
    left = hidden(target)
    age(target, 8)
    export(target, pages_of(ROWS))
    assert hidden(target) == left


def test_a_part_that_somebody_has_changed_stays_with_its_record(target):
    kill(target, rows_per_part=20)
    [changed] = [name for name in hidden(target) if name.endswith("-00001.1.part")]
    (Path(target.path).parent / changed).write_text("changed\n")
    age(target, 8)
    export(target, pages_of(ROWS))
    assert {name.rpartition("-")[2] for name in hidden(target)} == {"00001.1.part", "00001.1.facts.json"}


@given(st.data())
@settings(max_examples=15, deadline=None)
def test_nothing_that_no_record_names_is_deleted(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("folder")
    target = ObjectStoragePath(f"file://{folder}/customers.jsonl")
    digest, unique = "0123456789abcdef", "01234567"
    names = [
        f".customers.jsonl.{digest}.{unique}-00001.1.part",
        f".customers.jsonl.{digest}.{unique}-00001.1.facts.json",
        f".customers.jsonl.{unique}.part",
        f".customers.jsonl.manifest.json.{unique}.part",
        ".customers.jsonl.keys",
        ".customers.jsonl.part",
        "customers-00001.jsonl",
    ]
    staged = st.sampled_from(["", *names, "../x", "orders.jsonl", f".customers.jsonl.{digest}x.part"])
    record = (
        '{{"form":"","number":1,"name":"customers.jsonl","staged":"{}","bytes":3,"sha256":"{}","full":true,'
        '"tally":{{"rows":1}}}}'
    )
    for name in {names[0], *data.draw(st.sets(st.sampled_from(names)))}:
        texts = st.one_of(
            st.sampled_from(["", "{", "[]", "mine"]),
            st.builds(record.format, staged, st.just("0" * 64)),
        )
        (folder / name).write_text(data.draw(texts))
    before = {name: content for name, content in files(target).items() if name != "customers-00001.jsonl"}
    age(target, 8)
    export(target, pages_of(ROWS[:5]))
    assert before.items() <= files(target).items()


@pytest.mark.parametrize("number", [1, 2])
def test_a_pipe_under_the_name_of_a_record_is_refused_and_stays(target, number):
    record = find_record(target, number, rows_per_part=20)
    record.parent.mkdir()
    os.mkfifo(record)
    assert_refused(lambda: export(target, pages_of(ROWS), rows_per_part=20), record.name)
    assert record.is_fifo()
    assert all(path.name.startswith(".") for path in record.parent.iterdir())


@pytest.mark.parametrize("ending", ["claim", "replaced.json"])
def test_a_pipe_under_a_hidden_name_of_the_destination_is_refused_and_stays(target, ending):
    place = Path(target.path).parent / f".customers.jsonl.{ending}"
    place.parent.mkdir()
    os.mkfifo(place)
    assert_refused(lambda: export(target, pages_of(ROWS)), place.name)
    assert place.is_fifo()


def test_a_link_under_the_name_of_a_record_is_not_written_through(target, tmp_path):
    theirs = tmp_path / "theirs.json"
    theirs.write_text("{}")
    record = find_record(target, 1)
    record.parent.mkdir()
    record.symlink_to(theirs)
    assert_refused(lambda: export(target, pages_of(ROWS)), record.name)
    assert theirs.read_text() == "{}"


def find_record(target, number, **options):
    """Return where an attempt before would have recorded a part."""
    staging = parts_of(target, **options)._staging
    return Path(staging._record(staging.staged_path(number).name).path)


def assert_refused(act, name):
    """Check that something is refused by a name, rather than waiting for what a pipe never sends."""
    caught = []

    def run():
        try:
            act()
        except IntacctArgumentError as err:
            caught.append(str(err))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(20)
    assert not thread.is_alive(), "it waits"
    [message] = caught
    assert name in message
