"""Exports whose process dies at each of its calls and each of its file operations, and the next attempt each time."""

import pytest
from export_deaths import Exports, assert_told_truly, left, mortals, put
from sandbox_client import running

pytestmark = pytest.mark.slow

CUSTOMER = "accounts-receivable/customer"
ROWS, PAGE = 3000, 250
FIELDS = ["key", "id", "name", "creditLimit", "isOnHold", "term.id", "audit.modifiedDateTime"]
#: What is exported, and which operations on files are tried: every n-th, from the first.
FORMS = {
    "jsonl in parts": ({"rows_per_part": 700}, 1),
    "one file": ({}, 2),
    "csv in parts by bytes, gzip": (
        {"file_format": "csv", "bytes_per_part": 60_000, "compression": "gzip"},
        4,
    ),
    "parquet in parts": ({"file_format": "parquet", "rows_per_part": 700}, 4),
}
#: Likewise for what is sent to Intacct: a request is sent in one piece or two.
SENDS = 5
BYTES = (1, 20_000, 60_000)


@pytest.fixture(scope="module")
def company():
    with running(f"{CUSTOMER}={ROWS}") as one:
        yield one


@pytest.fixture(scope="module")
def exports(company, tmp_path_factory):
    with mortals() as processes:
        yield Exports(processes, company, tmp_path_factory.mktemp("exports"), page_size=PAGE)


def arguments_of(form, folder):
    return {
        "object_name": CUSTOMER,
        "fields": FIELDS,
        "destination": f"file://{folder}/customers",
        **FORMS[form][0],
    }


def moments(exports, arguments, every):
    """Yield every moment of a kind until an export is over before it comes; the caller makes the next attempt."""
    for kind, step in (("send", SENDS), ("file", every)):
        moment = 1
        while exports.run(arguments, kind=kind, moment=moment) is None:
            yield kind, moment
            moment += step
        assert moment > step, f"no process died of its first {kind}"
    for moment in BYTES:
        if exports.run(arguments, kind="bytes", moment=moment) is None:
            yield "bytes", moment


RANGES = [
    {"number": 1, "of": 3, "above": None, "upto": "1000"},
    {"number": 2, "of": 3, "above": "1000", "upto": "2000"},
    {"number": 3, "of": 3, "above": "2000", "upto": None},
]


@pytest.fixture
def ranged(exports):
    """An older export of more parts, and beside it three ranges that wait for their commit, as the task's arguments."""
    put(exports.folder, {})
    exports.run(arguments_of("jsonl in parts", exports.folder) | {"rows_per_part": 300})
    arguments = arguments_of("jsonl in parts", exports.folder)
    results = [
        exports.run(arguments | {"key_range": one}, map_index=number) for number, one in enumerate(RANGES)
    ]
    return {"destination": arguments["destination"], "exports": results}


@pytest.mark.parametrize("form", FORMS)
def test_whenever_an_export_dies_the_next_try_makes_it_as_if_nobody_had_disturbed_it(exports, form):
    folder, arguments = exports.folder, arguments_of(form, exports.folder)
    put(folder, {})
    # An older export of fewer records has more parts, which have to go.
    older = {"filters": [{"$lte": {"key": "2500"}}], "rows_per_part": 300, "bytes_per_part": None}
    exports.run(arguments | older)
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    put(folder, {})
    assert exports.run(arguments)["rows"] == ROWS
    undisturbed = left(folder)
    tried = []
    put(folder, before)
    for moment in moments(exports, arguments, FORMS[form][1]):
        assert_told_truly(folder)
        assert exports.run(arguments)["rows"] == ROWS
        assert left(folder) == undisturbed, f"died before {moment}"
        tried.append(moment)
        put(folder, before)
    print(form, len(tried), "deaths")


def test_an_export_ends_even_if_no_try_lives_for_long(exports):
    """Each attempt dies when it has read some pages; what was written whole before that is not read again."""
    arguments = arguments_of("jsonl in parts", exports.folder)
    put(exports.folder, {})
    exports.run(arguments)
    undisturbed = left(exports.folder)
    put(exports.folder, {})
    deaths = 0
    # One call at a time, so that pages before have been written when one is asked for.
    while exports.run(arguments, kind="send", moment=18, max_concurrency=1) is None:
        deaths += 1
        assert deaths < 10
    assert deaths >= 2
    assert left(exports.folder) == undisturbed


def test_whenever_a_commit_dies_the_next_try_completes_it(exports, ranged):
    folder = exports.folder
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    result = exports.run(ranged, task="commit")
    undisturbed = left(folder)
    assert (result["rows"], result["parts"]) == (ROWS, 6)
    assert len(undisturbed) == 7, "something is left of the ranges or of the older export"
    put(folder, before)
    moment = 1
    while exports.run(ranged, task="commit", kind="file", moment=moment) is None:
        assert_told_truly(folder)
        assert exports.run(ranged, task="commit")["rows"] == ROWS
        assert left(folder) == undisturbed, f"died before file operation {moment}"
        put(folder, before)
        moment += 1
    assert moment > 20


def test_whenever_a_range_dies_the_next_try_completes_it(exports, ranged):
    exports.run(ranged, task="commit")
    folder, undisturbed = exports.folder, left(exports.folder)
    arguments = arguments_of("jsonl in parts", folder)
    results = [
        exports.run(arguments | {"key_range": one}, map_index=number) for number, one in enumerate(RANGES)
    ]
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    # The range is exported once more, as if its task had been cleared, and that dies.
    second = {"arguments": arguments | {"key_range": RANGES[1]}, "map_index": 1}
    moment = 1
    while exports.run(**second, kind="file", moment=moment) is None:
        again = exports.run(**second)
        commit = {"destination": arguments["destination"], "exports": [results[0], again, results[2]]}
        exports.run(commit, task="commit")
        assert left(folder) == undisturbed, f"died before file operation {moment}"
        put(folder, before)
        moment += 2
    assert moment > 10
