"""Rows that are found last take their place among those that are written, whatever the format and wherever it dies."""

import contextlib

import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath
from export_pages import after, conclude, export, files, page_of, pages_of, parts_of, row, visible

from intacct_provider.export.completeness.tally import Tally

ROWS = [row(number) for number in range(1, 101)]
FORMS = [
    (file_format, compression)
    for file_format in ("jsonl", "csv", "parquet")
    for compression in (None, "gzip", "zstd")
]
CUTS = [{}, {"rows_per_part": 23}, {"rows_per_part": 50}, {"bytes_per_part": 1500}]
LATE = [
    [7, 8, 9, 60],
    *(
        pytest.param(late, marks=pytest.mark.slow)
        for late in ([50], [1], [100], [1, 100], [*range(2, 101, 3)], [*range(20, 60)])
    ),
]


@pytest.fixture
def target(tmp_path):
    return ObjectStoragePath(f"file://{tmp_path}/out/customers.jsonl")


def split(late):
    """Return the rows that come in time, and those that come late."""
    return [one for one in ROWS if int(one["key"]) not in late], [
        one for one in ROWS if int(one["key"]) in late
    ]


def export_late(target, late, cuts=(10, 37, 61), **options):
    """Export rows of which some are found last."""
    early, rest = split(late)
    with parts_of(target, **options) as parts:
        left = parts.begin()
        for page in pages_of(early, cuts):
            parts.write(after(page, left.last_key) if left else page)
        parts.finish()
        parts.insert(pages_of(rest, [len(rest) // 2]))
        made = parts.finish()
        conclude(target, parts, made)
    return made


def add_up(parts):
    return Tally.combine(part.tally for part in parts).sums


@pytest.mark.parametrize(("file_format", "compression"), FORMS, ids=str)
@pytest.mark.parametrize("cut", CUTS, ids=str)
@pytest.mark.parametrize("late", LATE, ids=str)
def test_the_files_are_those_of_an_export_that_read_all_in_order(
    target, tmp_path, file_format, compression, cut, late
):
    options = {"file_format": file_format, "compression": compression, **cut}
    made = export_late(target, late, **options)
    whole = ObjectStoragePath(f"file://{tmp_path}/whole/customers.jsonl")
    expected = export(whole, pages_of(ROWS), **options)
    assert visible(target) == visible(whole)
    assert [part.summarize() for part in made] == [part.summarize() for part in expected]
    assert add_up(made) == add_up(expected)
    assert not [name for name in files(target) if name.startswith(".")]


def test_all_rows_may_be_late(target, tmp_path):
    with parts_of(target) as parts:
        parts.begin()
        parts.finish()
        parts.insert([page_of(ROWS)])
        conclude(target, parts, parts.finish())
    whole = ObjectStoragePath(f"file://{tmp_path}/whole/customers.jsonl")
    export(whole, pages_of(ROWS))
    assert visible(target) == visible(whole)


class Died(BaseException):
    """The process ends here."""


@pytest.mark.parametrize(
    "at", [n if n % 8 == 1 else pytest.param(n, marks=pytest.mark.slow) for n in range(1, 40)]
)
@pytest.mark.parametrize("cut", [{}, {"rows_per_part": 23}], ids=str)
def test_wherever_it_dies_the_next_attempt_ends_like_an_undisturbed_export(
    target, tmp_path, monkeypatch, at, cut
):
    early, rest = split({30, 31, 80})
    changes = 0

    def die(call):
        def counted(*args, **kwargs):
            nonlocal changes
            changes += 1
            if changes == at:
                raise Died
            return call(*args, **kwargs)

        return counted

    parts = parts_of(target, **cut)
    parts.begin()
    for page in pages_of(early, [40]):
        parts.write(page)
    parts.finish()
    fs = type(target.fs)
    for name in ("_open", "mv", "rm", "rm_file", "pipe_file"):
        monkeypatch.setattr(fs, name, die(getattr(fs, name)))
    with contextlib.suppress(Died):
        parts.insert(pages_of(rest))
    monkeypatch.undo()
    with parts_of(target, attempt=2, **cut) as again:
        left = again.begin()
        if left and left.rows != int(left.last_key):
            # It was not far enough, which an export finds out when it counts what an earlier attempt has read.
            again.discard()
            left = None
        for page in pages_of(ROWS, [55]):
            again.write(after(page, left.last_key) if left else page)
        conclude(target, again, again.finish())
    whole = ObjectStoragePath(f"file://{tmp_path}/whole/customers.jsonl")
    export(whole, pages_of(ROWS), **cut)
    assert visible(target) == visible(whole)
    assert not [name for name in files(target) if name.startswith(".")]
