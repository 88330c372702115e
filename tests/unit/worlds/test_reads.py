"""Complete reads, while everything happens that can happen at a call: complete and green, or red for a reason."""

from random import Random

import pytest
from small_events import CHANGES, TRANSIENT
from small_explore import at_random, singles
from small_reads import FAMILY, MONTH_END, READS, SAFETY, Scenario, play, storms

EVERY = {*READS}
ORDERED = {"iter_rows, ordered"}
BY_KEY = EVERY - ORDERED
UNFILTERED = {"iter_rows", "read_pages", "read_pages, 3 workers", "query operator", "export"}
BOUNDED = {"read_pages, bounds"}
COUNTED = {read for read in READS if read.startswith(("read_pages", "export"))}
#: What fails today: why, at which events, in which reads. " ..." is said of a lie from some call on.
KNOWN = [
    ("a page that is empty once, with totalCount 0, is believed", ["empty"], EVERY),
    ("`next` says more, but totalCount of the page's own rows is believed", ["capped, own rows counted"], EVERY),
    ("`next` says more, but totalCount of the page's own rows is believed", ["capped, own rows counted ..."], EVERY),
    ("`start` is ignored or capped, and the read does not end", ["start ignored ...", "start capped ..."], ORDERED),
    ("the filter on key is ignored, and the read does not end", ["key ignored ..."], EVERY),
    ("rows never come although they are counted: nothing is believed", ["empty but counted ..."], BY_KEY),
    ("a count without a row is believed to be 0, and the read does not end", ["nothing counted ..."], COUNTED),
    ("a page that hides a row is believed", ["middle row hidden", "last row hidden"], BY_KEY),
    ("a page that begins later than it should is believed", ["first row missing", "shifted on"], UNFILTERED),
    (
        "a page that contradicts the others is not asked for again",
        [
            "first row for the second", "first row missing", "key ignored", "last row twice", "next page instead",
            "order reversed", "shifted on",
        ],
        BOUNDED,
    ),
]  # fmt: skip


def name_of(event):
    return f"{event.what} ..." if event.on else event.what


def scenario_of(read):
    return Scenario(read, 3 if read in ORDERED else 4)


def cases():
    """Yield each read with the events that it withstands, and with those that it is known not to, by reason."""
    for read in READS:
        names = {name_of(event) for (event,) in singles(FAMILY, scenario_of(read))}
        reasons = dict.fromkeys(why for why, _events, _reads in KNOWN)
        for why in reasons:
            failing = {
                n for reason, events, reads in KNOWN if reason == why and read in reads for n in events
            }
            if failing:
                mark = pytest.mark.xfail(strict=True, reason=why)
                yield pytest.param(read, failing, marks=mark, id=f"{read}: {why}")
            names -= failing
        yield pytest.param(read, names, id=f"{read}: all else")


@pytest.mark.slow
@pytest.mark.parametrize(("read", "names"), [*cases()])
def test_one_event_at_any_call_loses_nothing_and_ends_nothing(read, names):
    scenario = scenario_of(read)
    schedules = [events for events in singles(FAMILY, scenario) if name_of(events[0]) in names]
    assert schedules
    faulty = [(events[0], *faults) for events in schedules if (faults := play(scenario, events).faults)]
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
@pytest.mark.xfail(
    strict=True, reason="under one change per call a read takes many more calls, or does not end"
)
def test_change_at_every_call_stays_green_and_within_twice_the_calls(read):
    for events in storms(Scenario(read, 5)):
        assert not play(Scenario(read, 5), events).faults


@pytest.mark.xfail(strict=True, reason="an export is red under one change of any sort per request")
def test_an_export_under_steady_change_is_green():
    assert "red under change" not in play(MONTH_END, [*storms(MONTH_END)][1]).faults
