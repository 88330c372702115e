"""Complete reads in small worlds: what they read, and the oracles that judge them. To add a kind, add a line."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from small_events import CHANGES, CONSISTENT, FAILURES, FOR_WRITES, LIES, TRANSIENT, WITHOUT_KEY, At
from small_explore import Family
from small_play import EndlessError, World, airflow_of, client_of, outcome_of
from small_world import FIRST_KEY, OBJECT, Company

from intacct_provider.client.paging.row_formats import MappingRows
from intacct_provider.client.query.request import Query
from intacct_provider.exceptions import IntacctError

FIELDS = ["key", "id", "name", "status", "totalDue"]
ACTIVE = [{"$eq": {"status": "active"}}]
BY_NAME = [{"name": "asc"}]
#: Where small files are quickest; None for the usual place.
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108


def _pages(client, filters=None, **bounds):
    read = client.read_pages(Query.build(OBJECT, FIELDS, filters=filters), MappingRows(FIELDS), **bounds)
    return [*chain(*(page.rows for page in read))]


def _export(client):
    """Export to a file as a task does, and return what the file has if there is a manifest."""
    from intacct_provider.transfers.intacct_to_object_storage import IntacctToObjectStorageOperator

    extra = {"page_size": client.config.page_size, "max_concurrency": client.config.max_concurrency}
    with TemporaryDirectory(dir=MEMORY) as folder, airflow_of(**extra):
        file = Path(folder, "rows.jsonl")
        task = IntacctToObjectStorageOperator(
            task_id="export", object_name=OBJECT, fields=FIELDS, destination=file.as_uri()
        )
        result = task.execute({})
        rows = [json.loads(line) for line in file.read_text().splitlines()]
        assert result["rows"] == len(rows), "the result has another number of rows than the file"
        return rows


def _query_operator(client):
    from intacct_provider.operators.query import IntacctQueryOperator

    with airflow_of(page_size=client.config.page_size):
        return IntacctQueryOperator(task_id="query", object_name=OBJECT, fields=FIELDS).execute({})


@dataclass(frozen=True)
class Read:
    """One kind of read.

    :param rows: reads everything with a client, or with an operator that has the same page size.
    :param wanted: whether a record belongs to the read.
    :param workers: requests in flight.
    :param inactive: every how many records one is inactive at the beginning.
    :param moves: whether changes of the order matter to it.
    :param usual: the read of which it saves a call at rest; under change it may take as many as that one.
    """

    rows: Callable
    wanted: Callable = lambda _record: True
    workers: int = 1
    inactive: int = 0
    moves: bool = False
    usual: str = ""


def _active(record):
    return record["status"] == "active"


def _between(record):
    return FIRST_KEY < int(record["key"]) <= FIRST_KEY + 6


FEW_CALLS = replace(Query.build(OBJECT, FIELDS), few_calls=True)
BOUNDS = {"above": str(FIRST_KEY), "upto": str(FIRST_KEY + 6)}
ORDERED = "iter_rows, ordered"
READS = {
    "iter_rows": Read(lambda client: client.iter_rows(OBJECT, FIELDS)),
    "iter_rows, filtered": Read(
        lambda client: client.iter_rows(OBJECT, FIELDS, filters=ACTIVE), _active, inactive=3
    ),
    ORDERED: Read(lambda client: client.iter_rows(OBJECT, FIELDS, order_by=BY_NAME), moves=True),
    "read_pages": Read(_pages),
    "read_pages, filtered": Read(lambda client: _pages(client, ACTIVE), _active, inactive=3),
    "read_pages, 3 workers": Read(_pages, workers=3),
    "read_pages, bounds": Read(lambda client: _pages(client, **BOUNDS), _between, workers=2),
    "iter_rows, few calls": Read(lambda client: client.iter_rows(FEW_CALLS), usual="iter_rows"),
    "read_pages, few calls": Read(
        lambda client: chain.from_iterable(
            page.rows for page in client.read_pages(FEW_CALLS, MappingRows(FIELDS))
        ),
        workers=3,
        usual="read_pages, 3 workers",
    ),
    "query operator": Read(_query_operator),
    "export": Read(_export),
}


class Scenario(NamedTuple):
    """A read of some records in pages.

    :param pool: in which order calls that are made in parallel are answered; see :class:`small_clock.Pool`.
    :param cap: rows that the server puts on a page at most, saying so.
    """

    read: str
    records: int
    page: int = 2
    pool: str = "at once"
    cap: int | None = None


@dataclass
class Judged:
    """What came of a schedule.

    :param faults: by kind, what was wrong; empty if all was well.
    """

    rows: list = field(default_factory=list)
    error: Exception | None = None
    calls: int = 0
    failed: int = 0
    struck: tuple = ()
    faults: dict = field(default_factory=dict)


class Witness:
    """Sees which records there were during a read."""

    def __init__(self, world, wanted):
        self._company, self._wanted = world.company, wanted
        self.throughout = self.now()
        self.ever = {self.of(record) for record in self.now().values()}
        world.on_change = self.look

    def now(self):
        return {key: record for key, record in self._company.records.items() if self._wanted(record)}

    @staticmethod
    def of(record):
        return tuple(record[name] for name in FIELDS)

    def look(self):
        now = self.now()
        self.throughout = {key: record for key, record in self.throughout.items() if key in now}
        self.ever |= {self.of(record) for record in now.values()}


def play(scenario, events=()):
    """Let a schedule meet a read, and judge it."""
    read = READS[scenario.read]
    most = 400 if not events else 4 * (2 * undisturbed(scenario) + 10)
    world = World(
        Company(scenario.records, read.inactive, scenario.cap), events, pool=scenario.pool, most=most
    )
    witness = Witness(world, read.wanted)
    judged = Judged()
    with world:
        client = client_of(page_size=scenario.page, max_concurrency=read.workers)
        try:
            rows, judged.error = outcome_of(lambda: list(read.rows(client)))
        except EndlessError as err:
            rows, judged.error = None, err
    judged.rows, judged.calls, judged.failed = rows, world.calls, world.failed
    judged.struck = tuple(world.struck)
    for kind, oracle in ORACLES.items():
        problem = oracle(scenario, judged, witness, world)
        if problem:
            judged.faults[kind] = problem
    return judged


@cache
def undisturbed(scenario):
    """Return how many calls a read takes when nothing happens."""
    judged = play(scenario)
    assert not judged.faults, f"{scenario} fails undisturbed: {judged.faults}"
    return judged.calls


# --- oracles: each returns what is wrong, or nothing


def _lost(scenario, judged, witness, _world):
    """Safety: what existed throughout was read, unless the read failed."""
    if judged.rows is None or _lies(judged) > 1:  # two lies can agree with each other
        return ""
    is_single = len(witness.throughout) <= scenario.page
    if is_single and any(event.what in CONSISTENT for event in judged.struck):
        return ""  # a single page costs no second call, and says the same as a company with fewer records
    lost = {str(key) for key in witness.throughout} - {row["key"] for row in judged.rows}
    return f"green without {sorted(lost, key=int)}" if lost else ""


def _doubled(_scenario, judged, _witness, _world):
    counts = Counter(row["key"] for row in judged.rows or ())
    twice = [key for key, times in counts.items() if times > 1]
    return f"more than once: {twice}" if twice else ""


def _phantom(_scenario, judged, witness, _world):
    strange = [row for row in judged.rows or () if Witness.of(row) not in witness.ever]
    return f"rows that never existed: {strange}" if strange else ""


def _red_under_change(scenario, judged, _witness, _world):
    """Liveness: change, and failures that pass, never make a read red.

    An order of its own allows no more than complete or red if each of its three passes meets one: only a pass without
    change can be handed on in it.
    """
    if scenario.read == ORDERED and len(judged.struck) > 2:
        return ""
    return str(judged.error) if _is_red(judged) and _only(judged, "change", "failure") else ""


def _red_after_one_lie(_scenario, judged, _witness, _world):
    """Liveness: an answer that contradicts the others, once, is asked for again."""
    once = _lies(judged) == 1 and not any(event.on for event in judged.struck)
    return str(judged.error) if _is_red(judged) and once and _only(judged, "lie") else ""


def _too_many_calls(scenario, judged, _witness, _world):
    """Liveness: under change alone, at most twice the calls of a quiet read, and ten.

    Half as many new records at each call as a page has rows are more than any bound allows for.
    """
    if 2 * _count_new(judged) >= scenario.page * judged.calls:
        return ""
    usual = scenario._replace(read=READS[scenario.read].usual or scenario.read)
    most = 2 * undisturbed(usual) + 10 if judged.struck else judged.calls
    made = judged.calls - judged.failed
    return f"{made} calls, more than {most}" if made > most and _only(judged, "change", "failure") else ""


def _endless(_scenario, judged, _witness, world):
    return str(judged.error or "more calls than the limit") if world.endless else ""


def _crash(_scenario, judged, _witness, _world):
    wrong = judged.error is not None and not isinstance(judged.error, (IntacctError, EndlessError))
    return f"{type(judged.error).__name__}: {judged.error}" if wrong else ""


ORACLES = {
    "lost": _lost,
    "doubled": _doubled,
    "phantom": _phantom,
    "endless": _endless,
    "crash": _crash,
    "red under change": _red_under_change,
    "red after one lie": _red_after_one_lie,
    "too many calls": _too_many_calls,
}
SAFETY = ("lost", "doubled", "phantom", "crash")


def _is_red(judged):
    return judged.error is not None and not isinstance(judged.error, EndlessError)


def _count_new(judged):
    return sum(event.what in WITHOUT_KEY for event in judged.struck)


def _lies(judged):
    return sum(event.kind == "lie" for event in judged.struck)


def _only(judged, *kinds):
    passing = all(event.kind != "failure" or event.what in TRANSIENT for event in judged.struck)
    return passing and all(event.kind in kinds for event in judged.struck)


# --- schedules


def events_at(scenario, call):
    """Yield everything that can happen at a call of a read."""
    read = READS[scenario.read]
    keys = range(FIRST_KEY, FIRST_KEY + scenario.records)
    for what in CHANGES:
        if what in WITHOUT_KEY:
            yield At(call, what)
        elif _matters(what, read):
            yield from (At(call, what, key) for key in keys)
    for what in LIES:
        yield At(call, what)
        if what not in CONSISTENT:
            yield At(call, what, on=True)
    yield from (At(call, what) for what in FAILURES if what not in FOR_WRITES)


def _matters(what, read):
    return (
        (what in ("leave", "enter") and read.inactive)
        or (what.startswith("move") and read.moves)
        or what in ("go", "change")
    )


def storms(scenario):
    """Yield schedules in which something happens at every call, from the beginning on or towards the end."""
    quiet = undisturbed(scenario)
    for begin in sorted({1, quiet // 2, quiet - 1} - {-1, 0}):
        yield from _storms(scenario, range(begin, 8 * quiet + 40))


def _storms(scenario, calls):
    first, new = FIRST_KEY, FIRST_KEY + scenario.records
    some = max(1, scenario.records - 1)
    scattered = sorted(range(first, new), key=lambda key: key * 7 % 11)
    yield from (tuple(At(n, what) for n in calls) for what in sorted(WITHOUT_KEY))
    for order in (range(first, new), range(new - 1, first, -1), scattered):
        yield tuple(At(n, "go", key) for n, key in zip(calls, order, strict=False))
    yield tuple(At(n, "change", first + n % some) for n in calls)
    yield _each(calls, lambda n, i: (At(n, "come"), At(n, "go", first + i)))
    yield _each(calls, lambda n, i: (At(n, "come"), At(n + 1, "go", new + i)))
    yield _each(calls, lambda n, i: (At(n, "come"), At(n + 3, "go", new + i)))
    yield _each(
        calls, lambda n, i: (At(n, "go", scattered[i % len(scattered)]), At(n, "come"), At(n, "come"))
    )
    if READS[scenario.read].inactive:
        yield tuple(At(n, "leave" if n % 2 else "enter", first + n // 2 % some) for n in calls)
        yield tuple(At(n, "enter" if n % 2 else "leave", first + n % some) for n in calls)


def _each(calls, happens):
    return tuple(chain(*(happens(n, i) for i, n in enumerate(calls))))


SCENARIOS = [
    *(Scenario(read, records, page) for read in READS for page in (2, 3) for records in range(7)),
    *(Scenario(read, records, 3, cap=2) for read in READS for records in (3, 5)),
    *(
        Scenario(read, records, 2, pool)
        for read, one in READS.items()
        for records in (4, 5, 7)
        for pool in ("late", "last first", 1, 2)
        if one.workers > 1
    ),
]
#: Large enough that records go and come at every call until an export gives up.
MONTH_END = Scenario("export", 160, 12)
FAMILY = Family(
    "small_reads",
    play,
    undisturbed,
    events_at,
    scenarios=SCENARIOS,
    # Operators read as the client does, only more slowly.
    paired=[Scenario(read, 3) for read in READS if read not in ("query operator", "export")]
    + [Scenario("read_pages, 3 workers", 4, 2, "last first")],
    pair=lambda first, second: not (first.kind == second.kind == "lie" and (first.on or second.on)),
    stormy=[Scenario(read, *size) for read in READS for size in ((5, 2), (9, 3), (40, 8))] + [MONTH_END],
    storms=storms,
)
