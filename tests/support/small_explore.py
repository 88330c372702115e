"""Schedules of events for whatever can be played: every one of one event and of two, and more at random."""

import re
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Family:
    """Things that can be played, and judged.

    :param module: where a test that repeats a schedule imports from.
    :param play: takes a scenario and events; returns what has ``faults`` (by kind) and ``calls``.
    :param undisturbed: returns how many calls a scenario takes when nothing happens.
    :param events_at: yields everything that can happen at a call of a scenario.
    :param scenarios: for one event, and for several at random.
    :param paired: for two events.
    :param pair: whether two events are worth trying together, where all are too many; the others come at random.
    :param stormy: for ``storms``, which yields schedules in which something happens at every call.
    """

    module: str
    play: Callable
    undisturbed: Callable
    events_at: Callable
    scenarios: list
    paired: list
    pair: Callable = lambda _first, _second: True
    stormy: list = ()
    storms: Callable = lambda _scenario: ()


def singles(family, scenario):
    """Yield every schedule of one event."""
    for call in range(family.undisturbed(scenario)):
        for event in family.events_at(scenario, call):
            yield (event,)


def pairs(family, scenario, first):
    """Yield every schedule of two events that begins with a given one."""
    calls = family.play(scenario, (first,)).calls
    for call in range(first.call, min(calls, 3 * family.undisturbed(scenario) + 10)):
        for second in family.events_at(scenario, call):
            if second != first and family.pair(first, second):
                yield first, second


def at_random(family, scenario, random, most=6):
    """Return a schedule of several events."""
    calls = 2 * family.undisturbed(scenario) + 4
    some = [
        random.choice([*family.events_at(scenario, random.randrange(calls))])
        for _ in range(random.randint(2, most))
    ]
    return tuple(sorted(some, key=lambda event: event.call))


def smaller(family, scenario, events, kind, tries=40):
    """Return a smaller part of a schedule that shows a fault as well, found in a few tries."""
    size = len(events) // 2
    while size and tries > 0:
        for begin in range(0, len(events), size):
            fewer = events[:begin] + events[begin + size :]
            tries -= 1
            if fewer and kind in family.play(scenario, fewer).faults:
                events = fewer
                break
            if not tries:
                return events
        else:
            size //= 2
        size = min(size, len(events) // 2)
    return events


def as_test(family, scenario, events, kind):
    """Return a schedule as a test to paste, smaller if that is quickly found."""
    name = re.sub(r"\W+", "_", f"{scenario[0]} {kind}")
    storms = [*family.storms(scenario)] if scenario in family.stormy else []
    if tuple(events) in storms:
        shown, more = f"[*storms(scenario)][{storms.index(tuple(events))}]", ", storms"
    else:
        shown, more = repr([*smaller(family, scenario, tuple(events), kind)]), ""
    return (
        f"from small_events import At\nfrom {family.module} import Scenario, play{more}\n\n\n"
        f"def test_{name}():\n"
        f"    scenario = {scenario!r}\n"
        f"    assert play(scenario, {shown}).faults == {{}}\n"
    )
