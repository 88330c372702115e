"""Incremental exports in small worlds: some runs of one task, killed and tried again, and what a reader makes of them.

The reader takes up the rows of each run that succeeds, and drops what the run reports as gone. When the company has
come to rest, two more runs must make what the reader has equal to it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import NamedTuple

from airflow.providers.common.compat.sdk import Asset
from airflow_parts import AssetShelves
from small_clock import BEGINNING
from small_events import CHANGES, FAILURES, FOR_WRITES, LIES, TRANSIENT, WITHOUT_KEY, At
from small_explore import Family
from small_play import EndlessError, KilledError, World, airflow_of, crash_of, outcome_of
from small_reads import ACTIVE, FIELDS, MEMORY
from small_world import FIRST_KEY, OBJECT, STAMP, Company

#: Runs while things happen, and after that.
LIVE, QUIET = 2, 2
TRIES = 4
#: Seconds between two runs; longer than the look-back.
GAP = 4 * 3600
KILLS = ("killed before", "killed after")
ASSET = Asset("small")


class Scenario(NamedTuple):
    """Runs of an export.

    :param form: ``all`` or ``active`` records.
    """

    form: str
    records: int = 3
    page: int = 2


class DatedCompany(Company):
    """A company whose stamps are of the time that its server has."""

    clock = None

    def now(self, moment=None):
        if self.clock is None or moment is not None:
            return super().now(moment)
        return datetime.fromtimestamp(BEGINNING[0] + self.clock.passed, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Shelf(dict):
    """Where the state is kept."""

    def set(self, name, text):
        self[name] = text


@dataclass
class Judged:
    """What came of a schedule: what the reader has, and what was reported of which key and was not true then."""

    reader: Mapping = field(default_factory=dict)
    errors: list = field(default_factory=list)
    untrue: list = field(default_factory=list)
    calls: int = 0
    struck: tuple = ()
    faults: dict = field(default_factory=dict)


def play(scenario, events=()):
    """Let a schedule meet the runs of an export, each with retries, and judge what the reader has in the end."""
    filtered = scenario.form == "active"
    company = DatedCompany(scenario.records, inactive=3 if filtered else 0)
    world = World(company, events, most=600)
    company.clock = world.clock
    world.clock.passed = GAP
    judged, shelf = Judged(), Shelf()
    with (
        TemporaryDirectory(dir=MEMORY) as folder,
        airflow_of(page_size=scenario.page, max_concurrency=1),
        world,
    ):
        for number in range(LIVE + QUIET):
            if number == LIVE:
                judged.calls = world.calls
                world.calm()
            if number == 1:
                _work(company)
            _carry_out(scenario, f"run-{number}", Path(folder), shelf, world, judged)
            world.clock.passed += GAP
    judged.struck = tuple(world.struck)
    for kind, oracle in ORACLES.items():
        problem = oracle(scenario, judged, world)
        if problem:
            judged.faults[kind] = problem
    return judged


def _work(company):
    """Let people work between the first run and the second."""
    company.set(FIRST_KEY + 2, totalDue="1.00")
    company.remove(FIRST_KEY)
    company.add()


def _carry_out(scenario, run, folder, shelf, world, judged):
    """Run the task as often as Airflow does, and let the reader have what it leaves."""
    from intacct_provider.transfers.intacct_to_object_storage import IntacctToObjectStorageOperator

    file = folder / f"{run}.jsonl"
    for number in range(1, TRIES + 1):
        world.killed = False
        task = SimpleNamespace(
            dag_id="dag", run_id=run, task_id="export", map_index=-1, try_number=number, max_tries=TRIES - 1
        )
        operator = IntacctToObjectStorageOperator(
            task_id="export",
            object_name=OBJECT,
            fields=[*FIELDS, STAMP],
            filters=ACTIVE if scenario.form == "active" else None,
            incremental=STAMP,
            detect_deletes="keys",
            destination=file.as_uri(),
            outlets=[ASSET],
        )
        context = {"ti": task, "run_id": run, "asset_state_store": AssetShelves(ASSET, shelf)}
        try:
            _, error = outcome_of(lambda operator=operator, context=context: operator.execute(context))
        except (KilledError, EndlessError) as err:
            error = err
        if error is None:
            _take_up(file, world.company, judged)
            return
        judged.errors.append(error)
        if isinstance(error, EndlessError):
            return


def _take_up(file, company, judged):
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    keys = [int(row["key"]) for row in rows]
    if keys != sorted(set(keys)):
        judged.untrue.append(f"keys {keys}")
    judged.reader.update({row["key"]: row for row in rows})
    for line in file.with_name(file.name.replace(".jsonl", ".deleted.jsonl")).read_text().splitlines():
        gone = json.loads(line)
        judged.reader.pop(gone["key"], None)
        if gone["reason"] == "deleted" and int(gone["key"]) in company.records:
            judged.untrue.append(f"{gone['key']} was deleted")


@cache
def undisturbed(scenario):
    """Return how many calls the live runs take when nothing happens."""
    judged = play(scenario)
    assert not judged.faults, f"{scenario} fails undisturbed: {judged.faults}"
    return judged.calls


# --- oracles: each returns what is wrong, or nothing


def _untrue(_scenario, judged, _world):
    """Safety: what is reported as deleted was deleted, and a file has each record once, in order."""
    return "; ".join(judged.untrue)


def _not_equal(scenario, judged, world):
    """Safety: after two quiet runs the reader has what the company has."""
    if world.endless:
        return ""
    company = {
        record["key"]: {name: record[name] for name in (*FIELDS, STAMP)}
        for record in world.company.records.values()
        if scenario.form == "all" or record["status"] == "active"
    }
    extra = sorted(judged.reader.keys() - company.keys())
    lacking = sorted(company.keys() - judged.reader.keys())
    old = [key for key in company.keys() & judged.reader.keys() if company[key] != judged.reader[key]]
    return f"lacks {lacking}, has {extra} too many, and {old} as they were" if extra or lacking or old else ""


def _red_under_change(_scenario, judged, _world):
    """Liveness: change never makes a run red, and what passes is over with the next attempt."""
    kinds = {event.kind for event in judged.struck}
    if kinds <= {"change"} and judged.errors:
        return f"{judged.errors[0]!r}"
    one = len(judged.struck) == 1 and judged.struck[0].what in TRANSIENT
    return f"{judged.errors[0]!r}" if one and judged.errors else ""


def _endless(_scenario, _judged, world):
    return "more calls than the limit" if world.endless else ""


def _crash(_scenario, judged, _world):
    return crash_of(judged.errors)


ORACLES = {
    "untrue": _untrue,
    "not equal": _not_equal,
    "red under change": _red_under_change,
    "endless": _endless,
    "crash": _crash,
}


def events_at(scenario, call):
    """Yield everything that can happen at a call of the runs."""
    keys = range(FIRST_KEY, FIRST_KEY + scenario.records + 1)
    for what in CHANGES:
        if what in WITHOUT_KEY:
            yield At(call, what)
        elif what in ("go", "change") or (what in _BY_FILTER and scenario.form == "active"):
            yield from (At(call, what, key) for key in keys)
    yield from (At(call, what) for what in FAILURES if what not in FOR_WRITES or what in KILLS)
    yield from (At(call, what) for what in LIES)


_BY_FILTER = ("leave", "enter", "enter unstamped")
SCENARIOS = [Scenario("all"), Scenario("active", 4)]
FAMILY = Family(
    "small_exports",
    play,
    undisturbed,
    events_at,
    scenarios=SCENARIOS,
    paired=[Scenario("all")],
    pair=lambda first, second: first.what in KILLS and second.kind != "lie",
)
