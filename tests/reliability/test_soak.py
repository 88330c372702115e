"""The soak test: its schedules depend only on their seeds, and it finds and counts errors."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parents[2] / "tools"
sys.path.insert(0, str(TOOLS))

import soak_schedule  # noqa: E402
import soak_work  # noqa: E402

pytestmark = pytest.mark.slow


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
    for _ in range(2):
        assert soak_work.run(soak_schedule.draw(20260000), company).exact
    assert calls[0] == calls[1]
    assert any(fault for *_, fault in calls[0])


def test_schedules_are_run_and_summed_up():
    done = shown(2, 20260000)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 schedules of 20001 records read and 2000 written" in done.stdout
    assert done.stdout.endswith("0 lost, 0 doubled, 0 misreported\n")
    assert not re.search("eyJ|secret", done.stdout + done.stderr)


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
