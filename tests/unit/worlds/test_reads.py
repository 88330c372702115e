"""Complete reads, while everything happens that can happen at a call: complete and green, or red for a reason."""

from random import Random

import pytest
from small_events import CHANGES, TRANSIENT, At
from small_explore import at_random, singles
from small_reads import FAMILY, MONTH_END, ORDERED, READS, SAFETY, Scenario, play, storms
from small_world import FIRST_KEY


def name_of(event):
    return f"{event.what} ..." if event.on else event.what


def scenario_of(read):
    return Scenario(read, 3 if read == ORDERED else 4)


@pytest.mark.slow
@pytest.mark.parametrize("read", READS)
def test_one_event_at_any_call_loses_nothing_and_ends_nothing(read):
    schedules = [*singles(FAMILY, scenario_of(read))]
    assert schedules
    faulty = [
        (name_of(events[0]), *faults)
        for events in schedules
        if (faults := play(scenario_of(read), events).faults)
    ]
    assert not faulty, f"{len(faulty)} of {len(schedules)} schedules, such as {faulty[:3]}"


@pytest.mark.slow
@pytest.mark.parametrize("read", READS)
def test_several_changes_and_failures_that_pass_lose_nothing(read):
    random, played = Random(14), 0
    while played < 30:
        scenario = Scenario(read, random.randint(2, 7), random.choice([2, 3]))
        events = at_random(FAMILY, scenario, random)
        if all(event.what in CHANGES or event.what in TRANSIENT for event in events):
            faults = play(scenario, events).faults
            assert {kind: faults[kind] for kind in SAFETY if kind in faults} == {}, (scenario, events)
            played += 1


@pytest.mark.parametrize("read", READS)
def test_change_at_every_call_loses_nothing(read):
    for scenario in (Scenario(read, 5),):
        for events in storms(scenario):
            faults = play(scenario, events).faults
            assert {kind: faults[kind] for kind in SAFETY if kind in faults} == {}, (scenario, events)


@pytest.mark.parametrize("read", READS)
def test_change_at_every_call_stays_green_and_within_twice_the_calls(read):
    for events in storms(Scenario(read, 9, 3)):
        assert not play(Scenario(read, 9, 3), events).faults, events


@pytest.mark.parametrize("read", ["iter_rows", ORDERED, "read_pages, 3 workers", "query operator"])
def test_an_answer_without_a_list_of_rows_is_asked_for_again(read):
    scenario = scenario_of(read)
    for events in singles(FAMILY, scenario):
        if events[0].what == "no list of rows":
            judged = play(scenario, events)
            assert not judged.faults, events
            assert events[0].on == (judged.error is not None)


def test_a_count_that_a_change_makes_equal_by_chance_loses_nothing():
    """A page without one of its rows, and another record that goes: there are as many rows as are counted."""
    schedule = [At(0, "middle row hidden"), At(1, "go", FIRST_KEY + 2)]
    assert play(Scenario("iter_rows", 4, 3), schedule).faults == {}


@pytest.mark.slow
def test_an_export_under_steady_change_is_green():
    for events in storms(MONTH_END):
        assert not play(MONTH_END, events).faults
