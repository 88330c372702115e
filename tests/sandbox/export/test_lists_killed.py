"""Exports of lists as files of their own whose process dies before its operations on files, and the next attempt."""

import hashlib
import json

import pytest
from export_deaths import Exports, assert_told_truly, left, mortals, put
from sandbox_client import client_of, running

pytestmark = pytest.mark.slow

GROUP = "general-ledger/account-group"
GROUPS = 12
#: Operations on files that are tried: every n-th, from the first.
STEP = 3


@pytest.fixture(scope="module")
def exports(tmp_path_factory):
    with running() as company, client_of(company) as client, mortals() as processes:
        for number in range(GROUPS):
            each = [{"sortOrder": n, "rangeFrom": f"{n}000", "rangeTo": f"{n}999"} for n in range(number % 4)]
            client.create(GROUP, {"id": f"G{number}", "accountRanges": each})
        yield Exports(processes, company, tmp_path_factory.mktemp("exports"), page_size=5)


@pytest.mark.parametrize("file_format", ["jsonl", "parquet"])
def test_whenever_an_export_dies_the_next_try_makes_it_as_if_nobody_had_disturbed_it(exports, file_format):
    folder = exports.folder
    arguments = {
        "object_name": GROUP,
        "detail": True,
        "lists": "tables",
        "fields": ["key", "id", "accountRanges", "accountGroupMembers"],
        "destination": f"file://{folder}/groups.{file_format}",
        "rows_per_part": 5,
    }
    put(folder, {})
    exports.run(arguments | {"rows_per_part": 2, "filters": [{"$lte": {"key": "9"}}]})
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    put(folder, {})
    assert exports.run(arguments)["lists"]["accountRanges"]["rows"] == 18
    undisturbed = left(folder)
    assert len(undisturbed) == 3 + 5 + 1 + 1, (
        "parts of the records, of ranges by parts of the records, no members, and the manifest"
    )
    put(folder, before)
    moment = 1
    while exports.run(arguments, kind="file", moment=moment) is None:
        assert_told_truly(folder)
        assert_lists_told_truly(folder)
        assert exports.run(arguments)["rows"] == GROUPS
        assert left(folder) == undisturbed, f"died before file operation {moment}"
        put(folder, before)
        moment += STEP
    assert moment > 30


def assert_lists_told_truly(folder):
    """Check that a manifest, if there is one, is about files of lists that exist."""
    for manifest in folder.glob("[!.]*.manifest.json"):
        for one in json.loads(manifest.read_bytes())["lists"]:
            for part in one["parts"]:
                content = (folder / part["name"]).read_bytes()
                assert hashlib.sha256(content).hexdigest() == part["sha256"], part["name"]
