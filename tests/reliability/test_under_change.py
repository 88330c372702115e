"""Reads of a company whose people keep working: complete and green, within a bound of calls, by every reader.

The server is one of our own, which shares no code with the provider or the sandbox. ``make reliability-table`` runs the
same with 50,000 and 1,000,000 records, and writes the table of docs/reliability.md.
"""

import importlib.util
from itertools import product
from pathlib import Path

import moving_reads
import pytest
from moving_company import ACTIVE, FIELDS, KINDS, OBJECT, Company, Watch, render
from moving_reads import READERS, compare, read, read_in_processes
from moving_server import LIES, Behavior, Lie, MovingServer

ROOT = Path(__file__).resolve().parents[2]
#: In pages of 1,000 rows.
COUNT, PAGE = 9_000, 1_000


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """Leave the environment as it was."""
    monkeypatch.setenv("AIRFLOW_CONN_INTACCT_DEFAULT", "")
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", "")


@pytest.fixture(scope="module")
def calls_at_rest():
    """Return a function for the calls of a read during which nothing happens; each is read once."""
    known = {}

    def find(reader, filtered):
        if (reader, filtered) not in known:
            found = read(reader, Behavior(), count=COUNT, filtered=filtered, page_size=PAGE)
            assert found.exact, f"{found.red} {found.wrong}"
            known[reader, filtered] = found.calls
        return known[reader, filtered]

    return find


def run(reader, behavior, calls_at_rest):
    filtered = behavior.kind == "into and out of the filter"
    quiet = calls_at_rest(reader, filtered)
    return compare(reader, behavior, quiet=quiet, count=COUNT, filtered=filtered, page_size=PAGE)


def assert_good(result):
    # Reads in an order of the user's go by position, so that records which come or go move the others.
    if result.reader != "iter_rows with order_by":
        assert not result.red, result.red
    assert not result.wrong
    assert result.calls <= result.bound, f"{result.calls} calls; {result.undisturbed} undisturbed"


@pytest.mark.parametrize("reader", READERS)
def test_every_reader_is_green_and_exact_while_people_work(reader, calls_at_rest):
    assert_good(run(reader, Behavior("insertions and deletions", per_request=3), calls_at_rest))


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "often"), [*product(KINDS, (1, 20))])
@pytest.mark.parametrize("reader", READERS)
def test_no_kind_of_change_and_no_pace_turns_a_read_red(reader, kind, often, calls_at_rest):
    assert_good(run(reader, Behavior(kind, per_request=often), calls_at_rest))


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("reader", [pytest.param("JSONL", marks=pytest.mark.slow), "iter_rows"])
def test_a_slow_server_gives_people_more_time(reader, kind, calls_at_rest):
    assert_good(run(reader, Behavior(kind, per_second=50, latency=0.05), calls_at_rest))


@pytest.mark.slow
@pytest.mark.parametrize(
    "tokens", [{"one_token": True}, {"token_uses": 3}], ids=["one live token", "three requests"]
)
def test_three_processes_share_a_user_whose_tokens_do_not_last(tokens):
    company = Company(COUNT)
    with MovingServer(company, Behavior(**tokens, latency=0.01)) as server:
        watch = Watch(company)
        for rows in read_in_processes(server, 3, page_size=500):
            assert watch.judge(rows, ordered=True) == []


# --- the server and the judge themselves: without these the greens would prove nothing


@pytest.fixture
def company():
    return Company(100, seed=1)


def rows_of(company, keys=None):
    return [render(key, company.state(key)) for key in keys or company.everything.keys]


@pytest.mark.parametrize("kind", KINDS)
def test_views_and_history_keep_up_with_changes(kind):
    company = Company(500, seed=3)
    active = company.view("active", lambda _key, state: state.active)
    watch = Watch(company, lambda _key, state: state.active)
    before = {key for key in company.everything.keys if company.state(key).active}
    company.happen(kind, 300)
    after = {key for key in company.everything.keys if company.state(key).active}
    assert company.everything.keys == sorted(set(company.everything.keys))
    assert active.keys == [key for key in company.everything.keys if company.state(key).active]
    assert watch.throughout <= before & after
    assert before | after <= watch.first | watch.came
    assert after - before <= watch.came
    assert before - after <= watch.left
    if kind in ("deletions", "updates", "into and out of the filter"):
        assert watch.touched
    else:
        assert max(company.everything.keys) >= max(before)


def test_the_judge_finds_what_is_lost_doubled_untrue_and_strange(company):
    watch = Watch(company)
    first = rows_of(company)
    assert watch.judge(first, ordered=True) == []
    assert "1 records are lost" in watch.judge(first[1:])[0]
    assert "1 records are doubled" in watch.judge([*first, first[3]])[0]
    assert "not as they ever were" in watch.judge([(*first[0][:2], "Other", *first[0][3:]), *first[1:]])[0]
    assert "rows are not in order of key" in watch.judge(first[::-1], ordered=True)[0]
    company.happen("deletions", 5)
    company.happen("updates", 5)
    assert watch.judge(first) == []  # as it was, which is true
    assert watch.judge(rows_of(company)) == []
    assert Watch(company).judge(first)[0].startswith("5 records are of no time of this read")


@pytest.mark.parametrize("kind", LIES)
def test_each_false_answer_is_false(kind):
    fields = ["key"]

    def ask(behavior):
        with MovingServer(Company(100), behavior) as server:
            bodies = [
                {"object": OBJECT, "fields": fields, "size": 20, "start": start, "orderBy": [{"key": "asc"}]}
                for start in (1, 21)
            ]
            return [server._query(body) for body in bodies]

    truth = ask(Behavior())
    assert ask(Behavior(lies=(Lie(kind, 2),)))[0] == truth[0]
    assert ask(Behavior(lies=(Lie(kind, 2),)))[1] != truth[1]
    assert ask(Behavior(lies=(Lie(kind, 3),))) == truth


def test_a_filter_is_evaluated_as_by_a_scan(company):
    from moving_query import answer, build_predicate

    company.happen("updates", 30)
    filters = [
        {"$gt": {"key": "20"}},
        {"$lte": {"key": "80"}},
        *ACTIVE,
        {"$in": {"key": ["3", "5", "90"]}},
        {"$gte": {"audit.modifiedDateTime": "2026-04"}},
    ]
    leaves = [("is", next(iter(one)), *next(iter(one.values())).items()) for one in filters]
    leaves = [(word, operator, *pair) for word, operator, pair in leaves]
    a, b, c, d, e = leaves
    for expression, tree in {
        "(1 and 2) and 3": ("and", [a, b, c]),
        "(1 and 2) or 4": ("or", [("and", [a, b]), d]),
        "not (4 or 1)": ("not", [("or", [d, a])]),
        "(3 or 5) and (4 or 2)": ("and", [("or", [c, e]), ("or", [d, b])]),
        "1 and 2 and 3 and 5 or 4": ("or", [("and", [a, b, c, e]), d]),
        "or": ("or", leaves),
    }.items():
        body = {
            "object": OBJECT,
            "fields": ["key"],
            "filters": filters,
            "filterExpression": expression,
            "size": 7,
        }
        wanted = [key for key in company.everything.keys if build_predicate(tree)(key, company.state(key))]
        got = []
        for start in range(1, len(wanted) + 8, 7):
            rows, meta = answer(company, body | {"start": start, "orderBy": [{"key": "desc"}]})
            got += rows
            assert meta["totalCount"] == len(wanted)
        assert got == [f'{{"key":"{key}"}}' for key in reversed(wanted)], expression


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize("reader", [pytest.param("JSONL", marks=pytest.mark.slow), "iter_rows"])
def test_one_false_answer_while_the_first_records_come_is_outlasted(reader, lie):
    for at in range(1, 6):
        behavior = Behavior(kind="insertions in between", per_request=20, lies=(Lie(lie, at),), most=100)
        result = read(reader, behavior, count=0, page_size=500)
        assert (result.red, result.wrong) == ("", []), at


def test_a_reader_that_loses_a_row_is_noticed(monkeypatch):
    """Otherwise no exact cell would prove anything."""

    def lossy(reading):
        watch = reading.watch()
        with reading.client() as client:
            rows = [tuple(row.values()) for row in client.iter_rows(OBJECT, list(FIELDS))]
        return len(rows) - 1, watch.judge(rows[1:])

    monkeypatch.setitem(moving_reads.READERS, "lossy", lossy)
    assert read("lossy", Behavior(), count=50).wrong


# --- the table


@pytest.fixture(scope="module")
def tool():
    spec = importlib.util.spec_from_file_location(
        "reliability_under_change", ROOT / "tools" / "reliability_under_change.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_has_every_cell_and_all_are_green(tool):
    table = tool.PAGE.read_text(encoding="utf-8").partition(tool.BEGIN)[2].partition(tool.END)[0]
    cells = [*tool._cells([50_000, 1_000_000], list(tool.READERS))]
    lines = [f"| {rows:,} | {kind} | {often} |" for rows, kind, often in dict.fromkeys(c.line for c in cells)]
    assert [line for line in lines if line not in table] == []
    assert "**" not in table
