"""Tries everything that can happen to a read, a write or a sync in a small world, and judges what comes of it.

    python tools/worlds.py                               # 300,000 schedules
    python tools/worlds.py --schedules 20000             # the short form
    python tools/worlds.py --families small_writes       # only some

Storms in which something happens at each call, every schedule of one event, every one of two in the smallest
scenarios, and more at random. Prints how many schedules showed which fault, and for each kind of fault the smallest of
them as a test.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

SUPPORT = Path(__file__).resolve().parent.parent / "tests" / "support"
FAMILIES = ("small_reads", "small_writes", "small_syncs", "small_exports")
FORMS = ("storms", "one", "two", "random")
#: Schedules of a job of random ones.
CHUNK = 200
#: Share of all schedules that is left to more than two events, at random.
AT_RANDOM = 0.15

#: Family, form, scenario by its position, and the first of two events by its position, or a seed.
Job = tuple[str, str, int, int]
#: Subject, kind of fault, and whether it takes two events, of which neither shows it alone.
Kind = tuple[str, str, bool]


@dataclass
class Found:
    """What some schedules showed.

    :param counts: schedules by form.
    :param faults: schedules by subject and kind of fault.
    :param smallest: of those, the smallest, with its family, scenario and what was wrong.
    """

    counts: Counter[str] = field(default_factory=Counter)
    faults: Counter[tuple[str, str]] = field(default_factory=Counter)
    smallest: dict[Kind, tuple[str, Any, Any, str]] = field(default_factory=dict)

    def add(self, other: Found) -> None:
        """Take what other schedules showed."""
        self.counts.update(other.counts)
        self.faults.update(other.faults)
        for kind, schedule in other.smallest.items():
            self.keep(kind, schedule)

    def keep(self, kind: Kind, schedule: tuple[str, Any, Any, str]) -> None:
        """Keep a schedule if it is the smallest of its kind."""
        known = self.smallest.get(kind)
        if known is None or _size(schedule) < _size(known):
            self.smallest[kind] = schedule


def main() -> int:
    """Run the schedules; 1 when something is wrong."""
    options = _options()
    begun, found = time.monotonic(), Found()
    _prepare()
    with ProcessPoolExecutor(options.processes, get_context("spawn"), initializer=_prepare) as pool:
        for form in options.forms:
            most = options.schedules * (1 - AT_RANDOM) if form == "two" else options.schedules
            jobs = _jobs(options.families, form, options.seed)
            whole = _carry_out(pool, jobs, found, int(most), options.processes)
            seconds = time.monotonic() - begun
            print(
                f"{form}: {found.counts[form]} schedules{'' if whole else ' (not all)'}, {seconds:.0f} s",
                flush=True,
            )
    return _show(found, time.monotonic() - begun)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--schedules", type=int, default=300_000, help="how many (default: 300000)")
    parser.add_argument("--seed", type=int, default=1, help="of those at random, and of the order of pairs")
    parser.add_argument("--families", nargs="+", choices=FAMILIES, default=FAMILIES, help="(default: all)")
    parser.add_argument("--forms", nargs="+", choices=FORMS, default=FORMS, help="(default: all)")
    cores = os.cpu_count() or 1
    parser.add_argument("--processes", type=int, default=cores, help=f"(default: {cores}, the cores)")
    return parser.parse_args()


def _prepare() -> None:
    """Let a process find the worlds, and keep Airflow out of anybody's home."""
    home = Path(tempfile.gettempdir(), "intacct-worlds")
    os.environ |= {"AIRFLOW_HOME": str(home), "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
    sys.path.insert(0, str(SUPPORT))
    # Each world does so, too, but to do it again and again takes time.
    logging.disable(logging.CRITICAL)


def _family(name: str) -> Any:
    return importlib.import_module(name).FAMILY


def _jobs(families: Iterable[str], form: str, seed: int) -> Iterator[Job]:
    """Yield the jobs of a form; those at random do not end."""
    if form == "random":
        places = [(name, n) for name in families for n in range(len(_family(name).scenarios))]
        for number in range(seed, sys.maxsize):
            name, place = places[number % len(places)]
            yield name, form, place, number
    elif form == "two":
        explore = importlib.import_module("small_explore")
        chosen = [
            (name, form, place, first)
            for name in families
            for place, scenario in enumerate(_family(name).paired)
            for first, (event,) in enumerate(explore.singles(_family(name), scenario))
            if any(_family(name).pair(event, other) for other in _family(name).events_at(scenario, 0))
        ]
        random.Random(seed).shuffle(chosen)  # noqa: S311
        yield from chosen
    else:
        for name in families:
            family = _family(name)
            scenarios = family.scenarios if form == "one" else family.stormy
            yield from ((name, form, place, 0) for place in range(len(scenarios)))


def _carry_out(
    pool: ProcessPoolExecutor, jobs: Iterator[Job], found: Found, most: int, processes: int
) -> bool:
    """Carry out jobs until they end or enough schedules were tried; return whether all of them were."""
    running, whole = set(), False
    while found.counts.total() < most:
        while len(running) < 2 * processes and not whole:
            job = next(jobs, None)
            if job is None:
                whole = True
            else:
                running.add(pool.submit(_run, job))
        if not running:
            break
        done, running = wait(running, return_when=FIRST_COMPLETED)
        for future in done:
            found.add(future.result())
    for future in running:
        found.add(future.result())
    return whole


def _run(job: Job) -> Found:
    """Try the schedules of one job."""
    name, form, place, number = job
    family, found = _family(name), Found()
    alone: dict[Any, set[str]] = {}
    scenario, schedules = _schedules(family, form, place, number)
    for events in schedules:
        judged = family.play(scenario, events)
        found.counts[form] += 1
        for kind, problem in judged.faults.items():
            found.faults[scenario[0], kind] += 1
            together = form == "two" and not any(
                kind in _alone(family, scenario, event, alone) for event in events
            )
            found.keep((scenario[0], kind, together), (name, scenario, events, problem))
    return found


def _schedules(family: Any, form: str, place: int, number: int) -> tuple[Any, Iterable[Any]]:
    explore = importlib.import_module("small_explore")
    if form == "storms":
        return family.stormy[place], family.storms(family.stormy[place])
    if form == "one":
        return family.scenarios[place], explore.singles(family, family.scenarios[place])
    if form == "two":
        scenario = family.paired[place]
        (first,) = [*explore.singles(family, scenario)][number]
        return scenario, explore.pairs(family, scenario, first)
    rng = random.Random(number)  # noqa: S311
    scenario = family.scenarios[place]
    return scenario, (explore.at_random(family, scenario, rng) for _ in range(CHUNK))


def _alone(family: Any, scenario: Any, event: Any, known: dict[Any, set[str]]) -> set[str]:
    """Return the kinds of faults that an event shows without another."""
    if event not in known:
        known[event] = set(family.play(scenario, (event,)).faults)
    return known[event]


def _size(schedule: tuple[str, Any, Any, str]) -> tuple[int, int, int]:
    _name, scenario, events, _problem = schedule
    return len(events), scenario[1] if isinstance(scenario[1], int) else 0, len(repr(scenario))


def _show(found: Found, seconds: float) -> int:
    explore = importlib.import_module("small_explore")
    print(f"{found.counts.total()} schedules in {seconds:.0f} s, {found.faults.total()} faults")
    kinds = sorted({kind for _subject, kind in found.faults})
    for subject in sorted({subject for subject, _kind in found.faults}):
        some = (f"{found.faults[subject, kind]} {kind}" for kind in kinds if found.faults[subject, kind])
        print(f"  {subject}: {', '.join(some)}")
    for (_subject, kind, together), (name, scenario, events, problem) in sorted(
        found.smallest.items(), key=lambda item: (item[0][1], *_size(item[1]))
    ):
        print(f"\n# {kind}{', only together' if together else ''}: {problem[:300]}")
        print(explore.as_test(_family(name), scenario, events, kind))
    return 1 if found.faults else 0


if __name__ == "__main__":
    sys.exit(main())
