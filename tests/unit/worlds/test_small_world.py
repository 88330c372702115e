"""The small worlds themselves: a model to be believed, a clock that obeys, and oracles that see what they should."""

import time
from dataclasses import replace

import pytest
import small_reads
from small_events import FAILURES, LIES, LOCKED, At
from small_explore import as_test, singles, smaller
from small_play import World, client_of
from small_reads import FAMILY, FIELDS, READS, Read, Scenario, play
from small_world import OBJECT, Company

from intacct_provider.client.query import field


def keys(rows):
    return [row["key"] for row in rows]


def query(company, **body):
    return company.query({"object": OBJECT, "fields": ["key", "name"], "start": 1, "size": 100, **body})


def test_pages_say_what_is_behind_them():
    company = Company(5)
    by_key = [{"key": "asc"}]
    first = query(company, orderBy=by_key, size=2)
    assert keys(first["ia::result"]) == ["7", "8"]
    assert first["ia::meta"] == {"totalCount": 5, "start": 1, "pageSize": 2, "next": 3}
    last = query(company, orderBy=by_key, start=5, size=2)
    assert (keys(last["ia::result"]), last["ia::meta"]["next"]) == (["11"], None)


def test_keys_are_compared_as_numbers_and_names_as_text():
    company = Company(5)
    above = [{"$gt": {"key": "9"}}]
    assert keys(query(company, filters=above, orderBy=[{"key": "desc"}])["ia::result"]) == ["11", "10"]
    rows = query(company, orderBy=[{"name": "asc"}])["ia::result"]
    assert [row["name"] for row in rows] == sorted(row["name"] for row in rows)
    assert keys(rows) != sorted(keys(rows), key=int)


def test_filters_are_joined_as_the_client_joins_them():
    world = World(Company(5, inactive=3))
    wanted = ((field("status") == "active") & (field("key") > "8")) | (field("key") == "7")
    with world:
        rows = [*client_of().iter_rows(OBJECT, ["key"], filters=wanted)]
    assert keys(rows) == ["7", "9", "10"]


def test_aggregates_of_nothing_are_a_row():
    assert query(Company(0), fields=["count:key", "sum:totalDue"])["ia::result"] == [
        {"count:key": "0", "sum:totalDue": "0"}
    ]


def test_an_answer_is_kept_under_its_idempotency_key():
    company, url = Company(0), f"https://host/ia/api/v1/objects/{OBJECT}"
    first = company.answer("POST", url, {"Idempotency-Key": "k"}, [{"name": "a"}])
    again = company.answer("POST", url, {"Idempotency-Key": "k"}, [{"name": "a"}])
    other = company.answer("POST", url, {"Idempotency-Key": "k"}, [{"name": "b"}])
    assert (first[0], first[2], again, other[0]) == (201, False, (*first[:2], True), 409)
    assert len(company.records) == 1


def test_waiting_takes_no_time():
    begun = time.monotonic()
    judged = play(Scenario("iter_rows", 5), [At(n, "429") for n in range(4)])
    assert (judged.faults, judged.failed) == ({}, 4)
    assert time.monotonic() - begun < 2


@pytest.mark.parametrize(
    "what", [what for what in (*LIES, *FAILURES) if not what.startswith("killed") and what != LOCKED]
)
def test_every_event_makes_a_difference_somewhere(what):
    scenarios = (Scenario("iter_rows, ordered", 5), Scenario("read_pages", 5))
    schedules = [
        (one, events)
        for one in scenarios
        for events in ([At(n, what)] for n in range(small_reads.undisturbed(one)))
    ]
    assert any(play(*schedule).struck for schedule in schedules)


def broken(monkeypatch, how):
    """Let a read go wrong in some way, whatever happens."""
    good = READS["iter_rows"].rows
    monkeypatch.setitem(READS, "iter_rows", Read(lambda client: how(client, [*good(client)])))


def crash(_client, rows):
    return rows[99]


def endless(client, _rows):
    while True:
        client.query(OBJECT, FIELDS)


@pytest.mark.parametrize(
    ("kind", "how"),
    [
        ("lost", lambda _client, rows: rows[1:]),
        ("doubled", lambda _client, rows: rows + rows[:1]),
        ("phantom", lambda _client, rows: [*rows, {**rows[0], "key": "99"}]),
        ("phantom", lambda _client, rows: [*rows[1:], {**rows[0], "name": "other"}]),
        ("crash", crash),
        ("endless", endless),
    ],
)
def test_the_oracles_see_what_goes_wrong(monkeypatch, kind, how):
    scenario = Scenario("iter_rows", 3)
    small_reads.undisturbed(scenario)
    broken(monkeypatch, how)
    assert kind in play(scenario, [At(1, "come")]).faults


def test_a_schedule_prints_as_a_test_that_repeats_it():
    scenario = Scenario("iter_rows", 5, 3, cap=2)
    events = (At(1, "go", 7), At(2, "empty", on=True))
    text = as_test(FAMILY, scenario, events, "lost rows")
    assert "def test_iter_rows_lost_rows():" in text
    names = {}
    exec(text, names)  # noqa: S102
    assert names["Scenario"] is Scenario


def test_a_schedule_gets_smaller_as_long_as_it_shows_its_fault():
    family = replace(
        FAMILY, play=lambda _scenario, events: type("J", (), {"faults": {"lost": 1} if "b" in events else {}})
    )
    assert smaller(family, None, ("a", "b", "c", "d", "e"), "lost") == ("b",)


def test_every_call_of_every_read_meets_every_kind_of_event():
    for read in READS:
        scenario = Scenario(read, 3)
        kinds = {(events[0].call, events[0].kind) for events in singles(FAMILY, scenario)}
        calls = range(small_reads.undisturbed(scenario))
        assert kinds == {(call, kind) for call in calls for kind in ("change", "lie", "failure")}
