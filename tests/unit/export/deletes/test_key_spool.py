"""Sets of keys on disk: in the order of numbers, each once, compared as streams, and files that prove themselves."""

import gzip
import random
import tracemalloc

import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath

from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.export.deletes.key_spool import (
    ExportedKey,
    Spool,
    Tombstone,
    is_intact,
    pack,
    subtract,
    unite,
    unpack,
)
from intacct_provider.export.facts import FileRef
from intacct_provider.storage.files import write_whole


def held(*keys):
    return [ExportedKey(str(key)) for key in keys]


def keys(entries):
    return [entry.key for entry in entries]


def ref_of(path, written):
    return FileRef(str(path), written.sha256)


@pytest.fixture
def spool():
    made = Spool()
    yield made
    made.close()


@pytest.fixture
def path(tmp_path):
    return ObjectStoragePath(f"file://{tmp_path}/.keys.jsonl.gz")


@pytest.mark.parametrize("number", [0, 1, 19_999, 20_000, 20_001, 50_000])
def test_keys_come_back_in_the_order_of_numbers_whatever_order_they_came_in(spool, number):
    shuffled = [str(key) for key in range(1, number + 1)]
    random.Random(number).shuffle(shuffled)
    spool.add(map(ExportedKey, shuffled))
    assert spool.count == number
    assert keys(spool) == [str(key) for key in range(1, number + 1)]
    assert keys(spool) == [str(key) for key in range(1, number + 1)], "and again"


def test_more_may_come_after_it_was_read(spool):
    spool.add(held(3, 10))
    assert keys(spool) == ["3", "10"]
    spool.add(held(7, 200))
    spool.add(held(1))
    assert keys(spool) == ["1", "3", "7", "10", "200"]


def test_a_key_that_comes_twice_is_there_once_as_it_came_last(spool):
    spool.add([ExportedKey("5", "old"), ExportedKey("6")])
    list(spool)
    spool.add([ExportedKey("5", "new"), ExportedKey("4")])
    spool.add([ExportedKey("4", "known")])
    assert [(one.key, one.id) for one in spool] == [("4", "known"), ("5", "new"), ("6", None)]


def test_keys_that_are_no_numbers_have_a_place_too(spool):
    spool.add(held("12--1", "9", "é", "10"))
    assert keys(spool) == ["9", "é", "10", "12--1"]


@pytest.mark.slow
def test_memory_does_not_grow_with_the_keys():
    peaks = []
    for number in (50_000, 200_000):
        tracemalloc.start()
        one, two = Spool(), Spool()
        one.add(ExportedKey(str(key)) for key in range(number))
        two.add(ExportedKey(str(key)) for key in range(0, number, 2))
        assert sum(1 for _ in subtract(unite(one, two), two)) == number // 2
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        one.close()
        two.close()
    assert peaks[1] < peaks[0] * 1.2


@pytest.mark.parametrize("seed", range(30))
def test_uniting_and_taking_away_are_those_of_sets(seed):
    choice = random.Random(seed)
    one, two = ({choice.randrange(60) for _ in range(choice.randrange(40))} for _ in range(2))
    assert keys(unite(held(*sorted(one)), held(*sorted(two)))) == [str(key) for key in sorted(one | two)]
    assert keys(subtract(held(*sorted(one)), held(*sorted(two)))) == [str(key) for key in sorted(one - two)]


def test_of_one_key_the_first_stays_with_whatever_id_is_known():
    united_now = unite(
        [ExportedKey("1", "new"), ExportedKey("2")],
        [ExportedKey("1", "old"), ExportedKey("2", "two"), ExportedKey("3", "three")],
    )
    assert [(one.key, one.id) for one in united_now] == [("1", "new"), ("2", "two"), ("3", "three")]


@pytest.mark.parametrize("number", [0, 1, 4096, 100_000])
def test_a_file_gives_back_what_it_was_given_and_is_the_same_each_time(path, number):
    some = [ExportedKey(str(key), None if key % 3 else f"id {key}") for key in range(number)]
    first = write_whole(path, pack(some))
    assert list(unpack(ref_of(path, first), ExportedKey)) == some
    assert is_intact(ref_of(path, first))
    assert write_whole(path, pack(iter(some))) == first
    with path.open("rb") as file:
        assert len(gzip.decompress(file.read()).splitlines()) == number


def test_tombstones_keep_what_is_known_of_them(path):
    some = [Tombstone("1", None, "left", None), Tombstone("2", "C2", "deleted", "2026-06-30T18:00:00Z")]
    written = write_whole(path, pack(some))
    assert list(unpack(ref_of(path, written), Tombstone)) == some


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.unlink(),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"not gzip"),
        lambda path: path.write_bytes(path.read_bytes()[:-20]),
        lambda path: path.write_bytes(b"".join(pack(held(1, 2, 4)))),
        lambda path: path.write_bytes(gzip.compress(b'{"no": "array"}\n')),
    ],
)
def test_a_file_that_is_gone_cut_or_another_one_is_an_error_that_says_what_to_do(path, spoil):
    written = write_whole(path, pack(held(1, 2, 3)))
    spoil(path)
    assert not is_intact(ref_of(path, written))
    with pytest.raises(IntacctArgumentError, match=r"is gone or is not what .* full_refresh=True"):
        list(unpack(ref_of(path, written), ExportedKey))
