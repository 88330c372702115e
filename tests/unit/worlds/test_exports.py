"""Incremental exports, run by run, while records come late, enter the filters or are deleted, and tasks are killed."""

from random import Random

import pytest
from small_events import CHANGES, TRANSIENT, At
from small_explore import at_random, singles
from small_exports import FAMILY, KILLS, SCENARIOS, Scenario, play, undisturbed

ALL, ACTIVE = SCENARIOS


def faults_of(scenario, schedules):
    faulty = [(events, faults) for events in schedules if (faults := play(scenario, events).faults)]
    return f"{len(faulty)} of {len(schedules)} schedules, such as {faulty[:3]}" if faulty else ""


@pytest.mark.slow
@pytest.mark.parametrize("what", ["come backdated", "come from the future", *KILLS])
def test_what_happens_at_any_call_of_two_runs_is_in_the_runs_after_it(what):
    schedules = [(At(call, what),) for call in range(undisturbed(ALL))]
    assert not faults_of(ALL, schedules)


@pytest.mark.parametrize("key", [8])
def test_a_record_that_enters_the_filters_unnoticed_is_exported(key):
    schedules = [(At(call, "enter unstamped", key),) for call in range(undisturbed(ACTIVE))]
    assert not faults_of(ACTIVE, schedules)


@pytest.mark.slow
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_one_event_at_any_call_loses_nothing_and_reports_nothing_untrue(scenario):
    assert not faults_of(scenario, Random(14).sample([*singles(FAMILY, scenario)], 100))


@pytest.mark.slow
def test_several_changes_failures_and_kills_lose_nothing():
    random = Random(14)
    for n in range(80):
        scenario = Scenario(random.choice(("all", "active")), random.randint(2, 6), random.choice((2, 3)))
        events = [
            one
            for one in at_random(FAMILY, scenario, random)
            if one.what in CHANGES or one.what in TRANSIENT or one.what in KILLS
        ]
        assert play(scenario, events).faults == {}, (n, scenario, events)
