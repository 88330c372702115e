"""Records and their lists in files of their own: rows that are found last, parts, and what a retry begins with."""

import json
from types import SimpleNamespace

import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath

from intacct_provider.client.paging.pages import Page
from intacct_provider.export.completeness.tally import Counter
from intacct_provider.export.files.list_parts import ListParts, list_target
from intacct_provider.export.files.options import FileOptions
from intacct_provider.export.files.parts import Parts
from intacct_provider.export.files.staging import Attempt
from intacct_provider.export.lists.proof import ListProof
from intacct_provider.export.schema.columns import Column
from intacct_provider.export.schema.lists import split_columns

LIST = Column("lines", "lines", "list", members=(Column("item", "item", "string"),))
COLUMNS, LISTS = split_columns((Column("key", "key", "string"), LIST), [])


@pytest.fixture
def target(tmp_path):
    return ObjectStoragePath(f"file://{tmp_path}/g.jsonl")


def make(target, number=1, **options):
    options, attempt = FileOptions("jsonl", **options), Attempt("me", number)
    records = Parts(target, COLUMNS, options, attempt, count=Counter(()))
    source = SimpleNamespace(object_name="groups", lists=LISTS, masks={})
    return ListParts(records, target, LISTS, options, attempt, proof=ListProof(None, source))


def page(*keys, late=False):
    rows = [{"key": str(key), "lines": [f"{key}a", f"{key}b"]} for key in keys]
    return Page(rows, keys=[row["key"] for row in rows], late=late)


def staged(target, parts):
    """Return the first values of the rows of parts."""
    texts = [target.with_name(part.staged).read_text() for part in parts]
    found = [json.loads(line) for text in texts for line in text.splitlines()]
    return [(row.get("parent_key"), row.get("position"), row.get("item", row.get("key"))) for row in found]


def test_rows_that_are_found_last_come_last_in_lists_and_in_order_of_key_among_records(target):
    parts = make(target)
    parts.begin()
    parts.write(page(1, 3))
    parts.write(page(7))
    parts.insert([page(5, 2, late=True)])
    records = parts.finish()
    assert [key for _, _, key in staged(target, records)] == ["1", "2", "3", "5", "7"]
    [(one, written)] = parts.written
    assert (one.name, [part.name for part in written]) == ("lines", ["g.lines.jsonl"])
    order = [(str(key), n, f"{key}{'ab'[n]}") for key in (1, 3, 7, 5, 2) for n in range(2)]
    assert staged(target, written) == order
    assert written[0].tally.rows == 10


def test_lists_have_parts_of_their_own_size(target):
    parts = make(target, rows_per_part=3)
    parts.begin()
    parts.write(page(*range(1, 6)))
    assert [part.tally.rows for part in parts.finish()] == [3, 2]
    [(_, written)] = parts.written
    assert [part.tally.rows for part in written] == [3, 3, 3, 1]
    assert [part.name for part in written] == [f"g.lines-0000{n}.jsonl" for n in range(1, 5)]


def content(parts, target):
    """Return the content of the files of records and of each list, and what is compared of them."""
    made = [parts.finish(), *(written for _, written in parts.written)]
    files = [target.with_name(part.staged).read_text() for written in made for part in written]
    return files, parts._proof._counts._db.execute("SELECT * FROM record ORDER BY key").fetchall()


def read(parts, keys, size):
    """Write records in pages, and add them to what is compared, as an export does."""
    for start in range(0, len(keys), size):
        some = page(*keys[start : start + size])
        parts._proof.add(some)
        parts.write(some)


CUTS = [{"rows_per_part": 3}, {"bytes_per_part": 30}]


@pytest.mark.parametrize("dies_after", range(1, 12))
@pytest.mark.parametrize("cut", CUTS, ids=str)
@pytest.mark.parametrize("size", [1, 4, 11])
def test_a_retry_continues_after_the_last_part_whose_lists_are_complete(tmp_path, cut, dies_after, size):
    keys = [1, 2, 5, 7, 8, 11, 12, 20, 21, 22, 30]
    whole = ObjectStoragePath(f"file://{tmp_path}/whole/g.jsonl")
    undisturbed = make(whole, **cut)
    assert undisturbed.begin() is None
    read(undisturbed, keys, size)
    target = ObjectStoragePath(f"file://{tmp_path}/retried/g.jsonl")
    first = make(target, **cut)
    first.begin()
    read(first, keys[:dies_after], size)
    retry = make(target, 2, **cut)
    left = retry.begin()
    assert (left.rows if left else 0) >= max(dies_after - 3, 0)
    read(retry, keys[left.rows if left else 0 :], 2)
    assert content(retry, target) == content(undisturbed, whole)
    retry.forget()
    retry.discard()
    assert [*(tmp_path / "retried").iterdir()] == []


@pytest.mark.parametrize(("lost", "number"), [("lines", 3), (".proof", 2)])
def test_a_retry_does_not_continue_after_records_whose_lists_are_damaged(target, tmp_path, lost, number):
    first = make(target, rows_per_part=2)
    first.begin()
    read(first, [1, 2, 3, 4, 5], 5)
    [part, *_] = tmp_path.glob(f".g.{lost}.jsonl.*-0000{number}.1.part")
    part.write_bytes(b"damaged")
    retry = make(target, 2, rows_per_part=2)
    assert retry.begin().rows == 2
    assert len([*tmp_path.glob(".g.lines.jsonl.*.part")]) == 2


def test_a_retry_does_not_continue_after_parts_that_were_written_again(target):
    """The rows of lists of records that were found last come after all others."""
    first = make(target, rows_per_part=2)
    first.begin()
    first.write(page(1, 2, 4, 5, 6))
    first.insert([page(3, late=True)])
    assert make(target, 2, rows_per_part=2).begin().rows == 2


def test_what_an_attempt_has_left_goes_with_the_export(target, tmp_path):
    first = make(target, rows_per_part=2)
    first.begin()
    first.write(page(*range(1, 6)))
    first.abandon()
    assert [*tmp_path.iterdir()]
    first.discard()
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize(
    ("destination", "name", "expected"),
    [
        ("g.jsonl", "lines", "g.lines.jsonl"),
        ("g.2026.csv.gz", "restrictions.locations", "g.2026.restrictions.locations.csv.gz"),
        ("groups", "lines", "groups.lines"),
        ("g.parquet", "a/b", "g.a_b.parquet"),
    ],
)
def test_the_file_of_a_list_is_named_after_it(tmp_path, destination, name, expected):
    target = ObjectStoragePath(f"file://{tmp_path}/{destination}")
    assert list_target(target, name).name == expected
