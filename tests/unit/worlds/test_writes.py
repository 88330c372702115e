"""Writes whose answers are lost, cut, late or wrong, tried again as tasks are: done once, and reported as they are."""

from random import Random

import pytest
import small_writes
from small_events import WRITE_LIES
from small_explore import at_random, singles
from small_world import OBJECT
from small_writes import FAMILY, SCENARIOS, WRITES, Scenario, Write, play

NAMES = [f"{scenario.write}{'' if scenario.remembers else ', no keys'}" for scenario in SCENARIOS]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=NAMES)
def test_one_event_at_any_call_is_survived_and_reported(scenario):
    schedules = [*singles(FAMILY, scenario)]
    faulty = [(events, faults) for events in schedules if (faults := play(scenario, events).faults)]
    assert not faulty, f"{len(faulty)} of {len(schedules)} schedules, such as {faulty[:3]}"


@pytest.mark.slow
@pytest.mark.parametrize("write", WRITES)
def test_several_failures_and_changes_write_nothing_twice(write):
    random, scenario = Random(14), Scenario(write)
    for _ in range(60):
        events = [one for one in at_random(FAMILY, scenario, random) if one.what not in WRITE_LIES]
        assert play(scenario, events).faults == {}, events


def twice(client):
    client.create_many(OBJECT, [{"name": "new"}])
    return client.create_many(OBJECT, [{"name": "new"}])


@pytest.mark.parametrize(
    ("kind", "write"),
    [
        (
            "written twice",
            twice,
        ),
        ("untrue result", lambda client: client.create_many(OBJECT, [{"name": "other"}])),
        ("crash", lambda _client: [][0]),
    ],
)
def test_the_oracles_see_what_goes_wrong(monkeypatch, kind, write):
    monkeypatch.setitem(small_writes.WRITES, "broken", Write(write, "POST", ["new"]))
    assert kind in play(Scenario("broken")).faults


def test_the_oracles_see_a_wrong_key_and_half_of_an_atomic_write(monkeypatch):
    def swapped(client):
        return client.create_many(OBJECT, [{"name": "b"}, {"name": "a"}])

    def half(client):
        return client.create_many(OBJECT, [{"name": "a"}])

    monkeypatch.setitem(small_writes.WRITES, "swapped", Write(swapped, "POST", ["a", "b"]))
    monkeypatch.setitem(small_writes.WRITES, "half", Write(half, "POST", ["a", "b"], atomic=True))
    assert "wrong key" in play(Scenario("swapped")).faults
    assert "half of an atomic write" in play(Scenario("half")).faults
