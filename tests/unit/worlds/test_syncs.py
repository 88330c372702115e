"""Plans, applications and reversals whose tasks are killed between any two calls, with a second writer."""

from random import Random

import pytest
from small_events import ACCEPTED, LIES, At
from small_explore import at_random, singles
from small_syncs import CHANGED, CREATED, FAMILY, KILLS, SCENARIOS, UNWANTED, Scenario, play

#: What hides records from the only call that reads which are protected.
HIDDEN = {"empty", "middle row hidden", "last row hidden"}
MIRROR = Scenario("mirror", undo=True)


@pytest.mark.slow
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_task_that_is_killed_at_any_call_is_continued_to_its_end(scenario):
    schedules = [events for events in singles(FAMILY, scenario) if events[0].what in KILLS]
    faulty = [(events, faults) for events in schedules if (faults := play(scenario, events).faults)]
    assert schedules
    assert not faulty, f"{len(faulty)} of {len(schedules)} schedules, such as {faulty[:3]}"


@pytest.mark.slow
def test_one_event_at_any_call_harms_nothing():
    schedules = [
        events
        for events in singles(FAMILY, MIRROR)
        if events[0].what not in {*KILLS, *HIDDEN} and not events[0].on
    ]
    some = Random(14).sample(schedules, 150)
    faulty = [(events, faults) for events in some if (faults := play(MIRROR, events).faults)]
    assert not faulty, f"{len(faulty)} of {len(some)} schedules, such as {faulty[:3]}"


@pytest.mark.parametrize(
    "what",
    [
        "middle row hidden",
        *(pytest.param(what, marks=pytest.mark.slow) for what in ("empty", "last row hidden")),
    ],
)
def test_records_that_one_answer_hides_stay_protected(what):
    schedules = [events for events in singles(FAMILY, MIRROR) if events[0].what == what and not events[0].on]
    assert not any("protected record touched" in play(MIRROR, events).faults for events in schedules)


@pytest.mark.parametrize("what", ["protect", "move out", "move first", "go"])
def test_a_second_writer_between_plan_apply_and_undo_is_respected(what):
    begun = play(MIRROR).begun
    schedules = [
        (At(begun[task], what, key),) for task in ("apply", "undo") for key in (CHANGED, UNWANTED, CREATED)
    ]
    faulty = [(events, faults) for events in schedules if (faults := play(MIRROR, events).faults)]
    assert not faulty


@pytest.mark.parametrize("scenario", [Scenario("upsert"), Scenario("mirror", undo=True)])
def test_a_write_that_is_accepted_and_not_done_is_never_reported_as_done(scenario):
    schedules = [events for events in singles(FAMILY, scenario) if events[0].what == ACCEPTED]
    faulty = [(events, faults) for events in schedules if (faults := play(scenario, events).faults)]
    assert schedules
    assert not faulty


@pytest.mark.slow
def test_a_second_writer_between_any_two_calls_is_respected():
    schedules = [events for events in singles(FAMILY, MIRROR) if events[0].kind == "change"]
    some = Random(15).sample(schedules, 150)
    faulty = [(events, faults) for events in some if (faults := play(MIRROR, events).faults)]
    assert not faulty, f"{len(faulty)} of {len(some)} schedules, such as {faulty[:3]}"


@pytest.mark.slow
def test_several_failures_kills_and_changes_harm_nothing():
    random = Random(14)
    for n in range(60):
        scenario = SCENARIOS[n % len(SCENARIOS)]
        events = [one for one in at_random(FAMILY, scenario, random) if one.what not in LIES]
        assert play(scenario, events).faults == {}, (scenario, events)
