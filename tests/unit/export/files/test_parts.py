"""Parts: cut at the same rows whatever the pages, kept for the next attempt, published together or not at all."""

import hashlib
import json
import os
import stat

import msgspec
import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath
from export_pages import (
    COLUMNS,
    after,
    conclude,
    export,
    files,
    manifest_of,
    pages_of,
    parts_of,
    publish_only,
    row,
    visible,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from intacct_provider.exceptions import IntacctArgumentError, IntacctIncompleteReadError
from intacct_provider.export.files.file_part import FilePart, part_name
from intacct_provider.storage.files import writable, write_whole

ROWS = [row(number) for number in range(1, 101)]
FORMS = [
    (file_format, compression)
    for file_format in ("jsonl", "csv", "parquet")
    for compression in (None, "gzip", "zstd")
]


@pytest.fixture
def target(tmp_path):
    return ObjectStoragePath(f"file://{tmp_path}/out/customers.jsonl")


def killed_after(target, pages, rows, **options):
    """Have an attempt die when it has taken this many rows: whatever was open is never closed."""
    parts = parts_of(target, **options)
    left = parts.begin()
    for page in pages:
        wanted = after(page, left.last_key) if left else page
        parts.write(wanted.part(0, max(0, rows)))
        rows -= len(wanted)
    if parts._open:
        parts._open.upload._file.flush()
    return parts


def test_without_a_limit_there_is_one_file_with_the_destinations_own_name(target):
    made = export(target, pages_of(ROWS, [30, 60]))
    assert [part.name for part in made] == ["customers.jsonl"]
    assert list(files(target)) == ["customers.jsonl", "customers.jsonl.manifest.json"]
    lines = [json.loads(line) for line in files(target)["customers.jsonl"].splitlines()]
    assert [line["key"] for line in lines] == [each["key"] for each in ROWS]


def test_parts_have_so_many_rows_whatever_the_pages_have(target):
    made = export(target, pages_of(ROWS, [1, 39, 41, 90]), rows_per_part=40)
    assert [
        (part.name, part.tally.rows, part.tally.first_key, part.tally.last_key, part.full) for part in made
    ] == [
        ("customers-00001.jsonl", 40, "1", "40", True),
        ("customers-00002.jsonl", 40, "41", "80", True),
        ("customers-00003.jsonl", 20, "81", "100", False),
    ]
    assert [content.count(b"\n") for content in visible(target).values()] == [40, 40, 20]


def test_no_empty_part_follows_rows_that_fill_the_last_one(target):
    made = export(target, pages_of(ROWS), rows_per_part=50)
    assert [(part.tally.rows, part.full) for part in made] == [(50, True), (50, True)]


def test_a_part_ends_with_the_row_that_makes_it_big_enough(target):
    made = export(target, pages_of(ROWS, [7, 55]), bytes_per_part=2000)
    for part, content in zip(made, visible(target).values(), strict=True):
        before_last = content[: content.rstrip().rfind(b"\n") + 1]
        assert len(before_last) < 2000
        assert len(content) >= 2000 or not part.full
    assert sum(part.tally.rows for part in made) == 100
    assert len(made) > 5


def test_a_part_that_is_just_big_enough_ends(target):
    [two_rows] = export(target, pages_of(ROWS[:2]))
    made = export(target, pages_of(ROWS[:3], [2]), bytes_per_part=two_rows.bytes)
    assert [(part.tally.rows, part.full) for part in made] == [(2, True), (1, False)]


def test_size_is_that_before_compression(target):
    plain = export(target, pages_of(ROWS), bytes_per_part=4000)
    squeezed = export(target.with_name("c.jsonl.gz"), pages_of(ROWS), bytes_per_part=4000, compression="gzip")
    assert [part.tally.rows for part in squeezed] == [part.tally.rows for part in plain]


def test_an_export_without_rows_is_one_file_too(target):
    one = export(target, [])
    numbered = export(target.with_name("none.csv"), [], file_format="csv", rows_per_part=10)
    assert [(part.name, part.tally.rows, part.bytes, part.tally.first_key) for part in one] == [
        ("customers.jsonl", 0, 0, None)
    ]
    assert [(part.name, part.tally.rows) for part in numbered] == [("none-00001.csv", 0)]
    assert files(target)["none-00001.csv"] == b"key,id,name,totalDue,active,lines,startDate,modified\r\n"


def test_facts_are_those_of_the_file(target):
    for part in export(target, pages_of(ROWS), rows_per_part=30):
        content = files(target)[part.name]
        summary = part.summarize()
        assert (summary.bytes, summary.sha256) == (len(content), hashlib.sha256(content).hexdigest())
        assert msgspec.json.decode(msgspec.json.encode(part), type=FilePart) == part


def test_nothing_is_to_be_seen_before_publishing(target):
    with parts_of(target, rows_per_part=30) as parts:
        parts.begin()
        for page in pages_of(ROWS):
            parts.write(page)
        made = parts.finish()
        assert visible(target) == {}
        conclude(target, parts, made)
    assert list(visible(target)) == [f"customers-0000{n}.jsonl" for n in range(1, 5)]


def test_an_older_export_stays_whole_until_the_new_one_is_published(target):
    export(target, pages_of(ROWS), rows_per_part=50)
    before = files(target)
    with parts_of(target, rows_per_part=20, owner="another") as parts:
        parts.begin()
        parts.write(pages_of(ROWS)[0])
        parts.finish()
        assert {name: content for name, content in files(target).items() if name in before} == before


def test_parts_of_the_older_export_go_unless_they_are_replaced(target, tmp_path):
    stranger = tmp_path / "out" / "customers-of-ours.jsonl"
    export(target, pages_of(ROWS), rows_per_part=10)
    stranger.write_text("not a part")
    export(target, pages_of(ROWS), rows_per_part=60, owner="another")
    assert list(visible(target)) == [
        "customers-00001.jsonl",
        "customers-00002.jsonl",
        "customers-of-ours.jsonl",
    ]
    export(target, pages_of(ROWS), owner="a third")
    assert list(visible(target)) == ["customers-of-ours.jsonl", "customers.jsonl"]


def test_tombstones_of_the_older_export_go_too(target):
    export(target, pages_of(ROWS))
    tombstones = target.with_name("customers.deleted.jsonl")
    tombstones.write_bytes(b"{}")
    gone = {"name": tombstones.name, "sha256": hashlib.sha256(b"{}").hexdigest()}
    listed = {"parts": [{"name": "customers.jsonl"}], "deletions": {"parts": [gone]}}
    manifest_of(target).write_bytes(json.dumps(listed).encode())
    export(target, pages_of(ROWS))
    assert list(visible(target)) == ["customers.jsonl"]


def test_a_manifest_cannot_have_foreign_files_deleted(target, tmp_path):
    (tmp_path / "out").mkdir()
    for name in ("precious.jsonl", "customers-copy.jsonl", "customers-00001.csv"):
        (tmp_path / "out" / name).write_text("mine")
    (tmp_path / "precious-00001.jsonl").write_text("mine")
    names = [
        "precious.jsonl",
        "customers-copy.jsonl",
        "customers-00001.csv",
        "../precious-00001.jsonl",
        7,
        None,
    ]
    manifest_of(target).write_bytes(json.dumps({"parts": [{"name": name} for name in names]}).encode())
    export(target, pages_of(ROWS))
    assert len(visible(target)) == 4
    assert (tmp_path / "precious-00001.jsonl").exists()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"parts": 7}', b'{"parts": [1]}', b"\xff"])
def test_a_manifest_that_cannot_be_read_stops_nothing(target, content):
    target.parent.mkdir()
    manifest_of(target).write_bytes(content)
    export(target, pages_of(ROWS))
    assert list(visible(target)) == ["customers.jsonl"]


def test_the_next_try_begins_after_the_last_full_part(target):
    killed_after(target, pages_of(ROWS, [25, 50, 75]), 70, rows_per_part=20)
    with parts_of(target, rows_per_part=20) as parts:
        left = parts.begin()
    assert (left.rows, left.first_key, left.last_key) == (60, "1", "60")
    assert left.sums["totalDue"] == sum(number + 0.5 for number in range(1, 61) if number % 7)
    assert sorted(name.rpartition("-")[2] for name in files(target)) == [
        f"0000{n}.{ending}" for n in (1, 2, 3) for ending in ("1.facts.json", "1.part")
    ]


def test_a_try_that_completed_no_part_leaves_nothing_to_the_next(target):
    killed_after(target, pages_of(ROWS), 70)
    with parts_of(target) as parts:
        assert parts.begin() is None
    assert files(target) == {}


def test_the_last_part_is_written_again_since_rows_may_have_come(target):
    with parts_of(target, rows_per_part=40) as parts:
        parts.begin()
        parts.write(pages_of(ROWS)[0])
        parts.finish()
    more = [*ROWS, row(101), row(102)]
    made = export(target, pages_of(more), rows_per_part=40)
    assert [(part.tally.rows, part.tally.last_key) for part in made] == [(40, "40"), (40, "80"), (22, "102")]


@pytest.mark.parametrize(
    "changes",
    [
        {"file_format": "csv"},
        {"compression": "gzip"},
        {"rows_per_part": 21},
        {"bytes_per_part": 10**6},
        {"columns": COLUMNS[:-1]},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_parts_of_another_kind_are_not_continued(target, changes):
    killed_after(target, pages_of(ROWS), 70, rows_per_part=20)
    with parts_of(target, **{"rows_per_part": 20, **changes}) as parts:
        assert parts.begin() is None
    assert files(target) == {}


def test_parts_of_another_owner_are_left_alone(target):
    killed_after(target, pages_of(ROWS), 70, rows_per_part=20)
    before = files(target)
    with parts_of(target, rows_per_part=20, owner="another") as parts:
        assert parts.begin() is None
    assert files(target) == before
    with parts_of(target, rows_per_part=20, label="r00001") as parts:
        assert parts.begin() is None
    assert files(target) == before


@pytest.mark.parametrize("harm", ["change", "truncate", "delete", "no facts", "half facts"])
def test_a_damaged_part_and_those_after_it_are_written_again(target, tmp_path, harm):
    killed_after(target, pages_of(ROWS), 100, rows_per_part=20)
    [part] = (tmp_path / "out").glob(".*-00003.1.part")
    [facts] = (tmp_path / "out").glob(".*-00003.1.facts.json")
    content = part.read_bytes()
    if harm == "change":
        part.write_bytes(content.replace(b"41.50", b"41.60"))
    elif harm == "truncate":
        part.write_bytes(content[:-1])
    elif harm == "delete":
        part.unlink()
    elif harm == "no facts":
        facts.unlink()
    else:
        facts.write_bytes(facts.read_bytes()[:-20])
    with parts_of(target, rows_per_part=20) as parts:
        assert parts.begin().rows == 40
    if harm != "no facts":
        assert len(files(target)) == 4
    made = export(target, pages_of(ROWS), rows_per_part=20)
    assert b"".join(visible(target).values()).count(b"\n") == sum(part.tally.rows for part in made) == 100
    assert b"41.60" not in files(target)["customers-00003.jsonl"]


def test_a_run_after_success_begins_anew(target):
    export(target, pages_of(ROWS), rows_per_part=20)
    with parts_of(target, rows_per_part=20) as parts:
        assert parts.begin() is None


def test_discarding_leaves_what_is_published(target):
    export(target, pages_of(ROWS), rows_per_part=50)
    before = files(target)
    with parts_of(target, rows_per_part=20, owner="another") as parts:
        parts.begin()
        parts.write(pages_of(ROWS)[0].part(0, 70))
        parts.discard()
        assert files(target) == before
        assert parts.begin() is None


def test_an_error_drops_the_part_that_is_half_written(target):
    def fail():
        with parts_of(target, rows_per_part=40) as parts:
            parts.begin()
            parts.write(pages_of(ROWS)[0])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert sorted(name.rpartition("-")[2] for name in files(target)) == [
        f"0000{n}.{ending}" for n in (1, 2) for ending in ("1.facts.json", "1.part")
    ]


class Dying:
    """Stands between parts and their storage and dies at the n-th change."""

    def __init__(self, monkeypatch, fs, at):
        self.changes, self.at = 0, at
        for name in ("mv", "cp_file", "rm_file", "pipe_file"):
            monkeypatch.setattr(fs, name, self._watched(getattr(fs, name)), raising=False)

    def _watched(self, change):
        def changed(*args, **kwargs):
            self.changes = min(self.changes + 1, self.at or 1000)
            if self.changes == self.at:  # from then on nothing changes
                raise KeyboardInterrupt
            return change(*args, **kwargs)

        return changed


@pytest.mark.parametrize("at", range(1, 40))
def test_whenever_publishing_dies_the_next_try_ends_like_an_undisturbed_one(target, at, monkeypatch):
    export(target, pages_of(ROWS), rows_per_part=9, owner="before")
    before = files(target)
    with parts_of(target, rows_per_part=20) as parts:
        parts.begin()
        parts.write(pages_of(ROWS[:90])[0])
        made = parts.finish()
        with monkeypatch.context() as patch:
            dying = Dying(patch, target.fs, at)
            try:
                conclude(target, parts, made)
            except KeyboardInterrupt:
                assert dying.changes == at
    manifest = files(target).get(manifest_of(target).name)
    if manifest == before[manifest_of(target).name]:  # all that it lists still exists
        assert before.items() <= files(target).items()
    export(target, pages_of(ROWS[:90]), rows_per_part=20)
    again = files(target)
    assert list(again) == [
        *(f"customers-0000{n}.jsonl" for n in range(1, 6)),
        "customers.jsonl.manifest.json",
    ]
    assert b"".join(visible(target).values()).count(b"\n") == 90


def test_publishing_dies_often_enough_to_be_tested(target, monkeypatch):
    export(target, pages_of(ROWS), rows_per_part=9, owner="before")
    with parts_of(target, rows_per_part=20) as parts:
        parts.begin()
        parts.write(pages_of(ROWS[:90])[0])
        made = parts.finish()
        dying = Dying(monkeypatch, target.fs, at=0)
        conclude(target, parts, made)
    assert 20 <= dying.changes < 39


def test_parts_that_have_their_names_already_are_not_read_again(target, monkeypatch):
    with parts_of(target, rows_per_part=20) as parts:
        parts.begin()
        parts.write(pages_of(ROWS[:90])[0])
        made = parts.finish()
        with monkeypatch.context() as patch:
            Dying(patch, target.fs, at=5)
            with pytest.raises(KeyboardInterrupt):
                conclude(target, parts, made)
    assert list(visible(target)) == [f"customers-0000{n}.jsonl" for n in (1, 2, 3)]
    with parts_of(target, rows_per_part=20) as parts:
        assert parts.begin().rows == 80


def test_what_an_interrupted_publishing_named_goes_when_the_next_one_has_fewer_parts(target, monkeypatch):
    with parts_of(target, rows_per_part=20) as parts:
        parts.begin()
        parts.write(pages_of(ROWS)[0])
        publish_only(target, parts.finish())
    assert len(visible(target)) == 5, "and there it died, before the manifest"
    with parts_of(target, rows_per_part=20) as parts:
        parts.begin()
        parts.discard()
        parts.begin()
        parts.write(pages_of(ROWS[:10])[0])
        conclude(target, parts, parts.finish())
    assert set(files(target)) == {"customers-00001.jsonl", "customers.jsonl.manifest.json"}


def test_two_tries_at_once_do_not_write_to_the_same_file(target):
    lost = parts_of(target, attempt=1)
    lost.begin()
    lost.write(pages_of(ROWS[:50])[0])
    with parts_of(target, attempt=2) as parts:
        parts.begin()
        parts.write(pages_of(ROWS)[0])
        made = parts.finish()
        lost.write(pages_of(ROWS[50:70])[0])
        lost.abandon()
        conclude(target, parts, made)
    content = visible(target)["customers.jsonl"]
    assert hashlib.sha256(content).hexdigest() == made[0].sha256
    assert content.count(b"\n") == 100


def test_a_later_try_removes_what_an_earlier_one_was_writing(target):
    killed_after(target, pages_of(ROWS), 70, rows_per_part=20, attempt=1)
    assert any(name.endswith("-00004.1.part") for name in files(target))
    with parts_of(target, rows_per_part=20, attempt=3) as parts:
        left = parts.begin()
        assert left.rows == 60
        assert not any("-00004" in name for name in files(target))
        parts.write(after(pages_of(ROWS)[0], left.last_key))
        conclude(target, parts, parts.finish())
    assert set(files(target)) == {*visible(target), "customers.jsonl.manifest.json"}


def test_nothing_is_kept_of_rows_that_come_in_no_order(target):
    parts = parts_of(target, rows_per_part=20)
    parts.begin()
    parts.write(pages_of(ROWS)[0], resumable=False)
    with parts_of(target, rows_per_part=20) as parts:
        assert parts.begin() is None
    assert files(target) == {}


def test_publishing_takes_the_old_manifest_away(target):
    export(target, pages_of(ROWS))
    with parts_of(target, owner="another") as parts:
        parts.begin()
        publish_only(target, parts.finish())
    assert list(visible(target)) == ["customers.jsonl"]
    assert not manifest_of(target).exists()


def test_a_part_that_is_gone_is_not_passed_over(target, tmp_path):
    with parts_of(target, rows_per_part=50) as parts:
        parts.begin()
        parts.write(pages_of(ROWS)[0])
        made = parts.finish()
        next((tmp_path / "out").glob(".*-00002.1.part")).unlink()
        with pytest.raises(IntacctIncompleteReadError, match=r"customers-00002\.jsonl .* another task"):
            publish_only(target, made)


def reference(tmp_path_factory, options):
    """Return the files of an undisturbed export from one page."""
    target = ObjectStoragePath(f"file://{tmp_path_factory.mktemp('whole')}/customers.jsonl")
    export(target, pages_of(ROWS), **options)
    return visible(target)


@pytest.mark.slow
@pytest.mark.parametrize(("file_format", "compression"), FORMS, ids=str)
@pytest.mark.parametrize("cut", [{}, {"rows_per_part": 23}, {"bytes_per_part": 1500}], ids=str)
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_bytes_depend_neither_on_pages_nor_on_where_a_try_died(
    tmp_path_factory, file_format, compression, cut, data
):
    options = {"file_format": file_format, "compression": compression, **cut}
    target = ObjectStoragePath(f"file://{tmp_path_factory.mktemp('cut')}/customers.jsonl")
    cuts = st.lists(st.integers(1, len(ROWS) - 1), max_size=8)
    for died in data.draw(st.lists(st.integers(0, len(ROWS)), max_size=3), label="died after"):
        killed_after(target, pages_of(ROWS, data.draw(cuts)), died, **options)
    export(target, pages_of(ROWS, data.draw(cuts, label="pages begin at")), **options)
    assert visible(target) == reference(tmp_path_factory, options)


@pytest.mark.parametrize(
    ("name", "label", "expected"),
    [
        ("customers.jsonl", "", "customers-00003.jsonl"),
        ("customers.jsonl.gz", "", "customers-00003.jsonl.gz"),
        ("customers.2026-11-21.csv", "r00002", "customers.2026-11-21-r00002-00003.csv"),
        ("v1.2", "", "v1.2-00003"),
        (".csv", "", ".csv-00003"),
        ("Ledger.PARQUET", "", "Ledger-00003.PARQUET"),
    ],
)
def test_numbers_go_before_the_endings_that_tell_the_kind(name, label, expected):
    assert part_name(name, label, 3) == expected


@pytest.mark.parametrize("value", [0, -1, True, 1.5, "100"])
@pytest.mark.parametrize("name", ["rows_per_part", "bytes_per_part"])
def test_a_limit_that_is_none_is_refused(target, name, value):
    with pytest.raises(
        IntacctArgumentError, match=f"{name} must be a whole number above zero, not {value!r}"
    ):
        parts_of(target, **{name: value})


def test_a_folder_is_no_destination(target):
    target.mkdir(parents=True)
    with pytest.raises(
        IntacctArgumentError, match=r"customers\.jsonl' cannot be written \(IsADirectoryError\)"
    ):
        parts_of(target).begin()


def test_a_file_is_no_folder(target, tmp_path):
    (tmp_path / "out").write_text("in the way")
    with pytest.raises(IntacctArgumentError, match="cannot be written"):
        parts_of(target).begin()


def test_a_place_where_nothing_can_be_written_is_told():
    with pytest.raises(IntacctArgumentError, match=r"destination .* cannot be written \([A-Za-z]+Error\)"):
        parts_of(ObjectStoragePath("file:///proc/intacct/customers.jsonl")).begin()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_told_before_anything_is_read(target, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out").chmod(stat.S_IRUSR | stat.S_IXUSR)
    with pytest.raises(IntacctArgumentError, match=r"cannot be written \(PermissionError\)"):
        parts_of(target).begin()


def test_a_storage_whose_package_is_missing_is_told(target):
    with (
        pytest.raises(IntacctArgumentError, match=r"needs a package that is not installed \(Install s3fs"),
        writable(target),
    ):
        raise ImportError("Install s3fs to access S3")


def test_two_processes_of_one_attempt_do_not_write_to_the_same_file(target):
    lost = parts_of(target)
    lost.begin()
    lost.write(pages_of(ROWS[:50])[0])
    with parts_of(target) as parts:
        parts.begin()
        lost.write(pages_of(ROWS[50:60])[0])
        parts.write(pages_of(ROWS)[0])
        conclude(target, parts, parts.finish())
    before = files(target)
    with pytest.raises(IntacctIncompleteReadError, match="missing"):
        publish_only(target, lost.finish())
    assert visible(target) == {"customers.jsonl": before["customers.jsonl"]}


@pytest.mark.parametrize("member", ["staged", "name"])
@pytest.mark.parametrize("other", ["orders.jsonl", "../orders.jsonl", ".orders.jsonl.part"])
def test_facts_that_name_the_file_of_somebody_else_are_not_believed(target, tmp_path, member, other):
    killed_after(target, pages_of(ROWS), 70, rows_per_part=20)
    [facts] = (tmp_path / "out").glob(".*-00001.1.facts.json")
    record = json.loads(facts.read_bytes())
    foreign = (tmp_path / "out" / other).resolve()
    foreign.write_bytes((tmp_path / "out" / record["staged"]).read_bytes())
    facts.write_text(json.dumps({**record, member: other}))
    with parts_of(target, rows_per_part=20) as parts:
        assert parts.begin() is None
        parts.write(pages_of(ROWS[:30])[0])
        parts.discard()
    assert foreign.exists()


def test_temporary_files_of_a_manifest_have_names_of_their_own_and_leftovers_go(
    target, tmp_path, monkeypatch
):
    (tmp_path / "out").mkdir()
    left = tmp_path / "out" / ".customers.jsonl.manifest.json.0123abcd.part"
    theirs = tmp_path / "out" / ".customers.jsonl.manifest.json.notes.part"
    for one in (left, theirs):
        one.write_text("half")
    seen = set()

    def chunks():
        seen.update(path.name for path in (tmp_path / "out").iterdir())
        yield b"{}"

    for _ in range(2):
        write_whole(manifest_of(target), chunks(), alone=True)
    assert len(seen - {left.name, theirs.name, "customers.jsonl.manifest.json"}) == 2
    assert not left.exists()
    assert theirs.exists()
