"""An attempt that runs on after the next one has begun: it commits nothing, and what it has left fits together."""

import json

import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath
from export_pages import after, claim_of, conclude, files, pages_of, parts_of, row, visible

from intacct_provider.exceptions import IntacctDestinationInUseError

ROWS = [row(number) for number in range(1, 101)]


@pytest.fixture
def target(tmp_path):
    return ObjectStoragePath(f"file://{tmp_path}/out/customers.jsonl")


def write(parts, rows, left=None):
    [page] = pages_of(rows)
    parts.write(after(page, left.last_key) if left else page)


def read_keys(target):
    lines = b"".join(visible(target).values()).splitlines()
    return [int(json.loads(line)["key"]) for line in lines]


def test_parts_of_two_attempts_are_not_mixed(target):
    """Records are deleted between the two, so that their parts end with different records."""
    remaining = ROWS[:40] + ROWS[50:]
    stale = parts_of(target, attempt=1, rows_per_part=20)
    stale.begin()
    write(stale, ROWS[:50])
    retry = parts_of(target, attempt=2, rows_per_part=20)
    left = retry.begin()
    assert left.last_key == "40"
    stale._open = None  # what is half written is gone with its name
    write(stale, ROWS[40:60])
    write(retry, remaining[:60], left)
    write(stale, ROWS[60:80])
    with parts_of(target, attempt=3, rows_per_part=20) as last:
        write(last, remaining, last.begin())
        conclude(target, last, last.finish())
    keys = read_keys(target)
    assert keys == sorted(set(keys))
    assert {int(each["key"]) for each in remaining} <= set(keys)
    assert not [name for name in files(target) if name.startswith(".")]


def test_only_the_owner_commits_parts_and_deletes_what_is_left(target):
    with claim_of(target) as claim:
        stale = parts_of(target, rows_per_part=20, claim=claim)
        stale.begin()
        write(stale, ROWS[:30])
        with claim_of(target):
            before = {
                name: content for name, content in files(target).items() if name.endswith(".facts.json")
            }
            with pytest.raises(IntacctDestinationInUseError, match="was taken over"):
                write(stale, ROWS[30:50])
            with pytest.raises(IntacctDestinationInUseError, match="was taken over"):
                stale.discard()
            now = files(target)
            assert {name for name in now if name.endswith(".facts.json")} <= set(before)
            assert len([name for name in now if name.endswith(".part")]) == 1
