"""The soak test: its schedules depend only on their seeds, and it finds and counts errors."""

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from moving_company import FIELDS, KINDS, OBJECT
from moving_reads import READERS
from moving_server import LIES

from intacct_provider.exceptions import IntacctIncompleteReadError

TOOLS = Path(__file__).resolve().parents[2] / "tools"
sys.path.insert(0, str(TOOLS))

import soak_moving  # noqa: E402
import soak_schedule  # noqa: E402
import soak_work  # noqa: E402

pytestmark = pytest.mark.slow
#: Until the engine proves reads that change cannot outrun.


@pytest.fixture(scope="module")
def company(tmp_path_factory):
    path = tmp_path_factory.mktemp("soak") / "company.db"
    soak_work.make_company(path)
    return path


def shown(schedules, seed, *options):
    command = [
        sys.executable,
        TOOLS / "soak.py",
        "--schedules",
        str(schedules),
        "--seed",
        str(seed),
        *options,
    ]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_a_schedule_depends_only_on_its_seed():
    assert [soak_schedule.draw(seed) for seed in range(100)] == [
        soak_schedule.draw(seed) for seed in range(100)
    ]
    drawn = [soak_schedule.draw(seed) for seed in range(300)]
    kinds = {fault["kind"] for one in drawn for fault in (*one.reading, *one.writing)}
    assert kinds == {"status", "alter", "cut", "reset", "hang", "html", "expire"}


def test_a_schedule_is_repeated_call_by_call(company, monkeypatch):
    calls = []
    judge = soak_work._judge

    def remember(sandbox, *args):
        calls.append([(call.method, call.path, call.status, call.fault) for call in sandbox.requests])
        judge(sandbox, *args)

    monkeypatch.setattr(soak_work, "_judge", remember)
    # Nothing hangs in this schedule, and a busy machine must not look as if something did.
    schedule = replace(soak_schedule.draw(20260000), timeout=60.0)
    for _ in range(2):
        assert soak_work.run(schedule, company).exact
    assert calls[0] == calls[1]
    assert any(fault for *_, fault in calls[0])


def test_schedules_are_run_and_summed_up():
    done = shown(2, 20260000, "--only", "faults")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 schedules of 20001 records read and 2000 written" in done.stdout
    assert done.stdout.endswith(
        "0 lost, 0 doubled, 0 misreported, 0 red without a loss or a contradiction that comes again\n"
    )
    assert not re.search("eyJ|secret", done.stdout + done.stderr)


def test_a_company_that_moves_and_contradicts_itself_is_read_exactly():
    done = shown(12, 20260000, "--only", "moving")
    assert done.returncode == 0, done.stdout + done.stderr


def test_schedules_of_moving_companies_show_everything():
    drawn = [soak_moving.draw_moving(seed) for seed in range(1000)]
    assert drawn == [soak_moving.draw_moving(seed) for seed in range(1000)]
    assert {one.reader for one in drawn} == set(READERS)
    assert {one.kind for one in drawn} == set(KINDS)
    assert {one.lie for one in drawn} == {None, *LIES}
    pairs = {(one.reader, one.lie) for one in drawn}
    assert len(pairs) > 0.95 * len(READERS) * (len(LIES) + 1)
    assert {"token_uses", "stolen", "one_token"} <= {name for one in drawn for name in one.tokens}


def test_a_failing_read_of_a_moving_company_is_counted(monkeypatch):
    """Otherwise the zeros of a passed soak would prove nothing."""

    def lossy(reading):
        watch = reading.watch()
        with reading.client() as client:
            rows = [tuple(row.values()) for row in client.iter_rows(OBJECT, list(FIELDS))]
        return len(rows), watch.judge(rows[1:] + rows[-1:])

    def red(reading):
        reading.watch()
        with reading.client() as client:
            client.query(OBJECT, ["key"])
            raise IntacctIncompleteReadError("no reason")

    def run(reader, again=False):
        schedule = soak_moving.MovingSchedule(1, reader, 30, 500, "updates", 0, "hidden rows", again, {})
        monkeypatch.setattr(soak_moving, "_lies", lambda *_: ())
        outcome = soak_work.Outcome(1)
        soak_moving.run_moving(schedule, outcome)
        return outcome

    for name, reader in {"lossy": lossy, "red": red}.items():
        monkeypatch.setitem(
            READERS, name, lambda one, r=reader: r(one) if one.behavior.most < 10**9 else (0, [])
        )
    monkeypatch.setenv("AIRFLOW_CONN_INTACCT_DEFAULT", "")
    found = run("lossy")
    assert found.lost
    assert found.doubled
    assert run("red").unexcused
    assert run("red", again=True).exact


def quiet(seed):
    """Return a schedule without faults."""
    return soak_schedule.Schedule(
        seed,
        page_size=4000,
        order_by=None,
        timeout=10,
        habits={**soak_schedule.draw(1).habits, "text_keys": False},
    )


def without_a_row(client):
    rows = client.iter_rows

    def some(*args, **options):
        for n, row in enumerate(rows(*args, **options)):
            if n != 7000:
                yield row
            if n == 9000:
                yield row

    client.iter_rows = some


def twice(client):
    create, update = client.create_many, client.update_many

    def again(object_name, records):
        create(object_name, [dict(record) for record in records[:1]])
        return create(object_name, records)

    def again_updated(object_name, changes):
        update(object_name, [{**changes[0], "name": "Other"}])
        return update(object_name, changes)

    client.create_many, client.update_many = again, again_updated


def unreported(client):
    delete = client.delete_many

    def partly(object_name, keys, **options):
        results = delete(object_name, keys[1:], **options)
        return [results[0], *results]

    client.delete_many = partly


@pytest.mark.parametrize(
    ("spoil", "wrong"),
    [
        (without_a_row, {"lost": 1, "doubled": 1}),
        (twice, {"doubled": 2}),
        (unreported, {"lost": 1, "misreported": 1}),
    ],
)
def test_what_is_lost_doubled_or_misreported_is_counted(company, monkeypatch, spoil, wrong):
    """Otherwise the zeros of a passed soak would prove nothing."""
    made = soak_work._client

    def spoiled(sandbox, schedule):
        client = made(sandbox, schedule)
        spoil(client)
        return client

    monkeypatch.setattr(soak_work, "_client", spoiled)
    outcome = soak_work.run(quiet(1), company)
    for kind, least in wrong.items():
        assert getattr(outcome, kind) >= least, outcome
    assert not outcome.exact
    assert outcome.notes
