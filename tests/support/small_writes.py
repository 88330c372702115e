"""Writes in small worlds: what they write, as often as a task tries, and the oracles that judge the end."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from itertools import count
from typing import NamedTuple

from small_events import ACCEPTED, CHANGES, FAILURES, TRANSIENT, WRITE_LIES, At
from small_explore import Family
from small_play import EndlessError, KilledError, World, client_of, crash_of, outcome_of
from small_world import FIRST_KEY, OBJECT, Company

from intacct_provider.client.results import RecordResult

#: Records that exist at the beginning.
EXISTING = 4
#: Two records of this length do not fit into one call of about 1 MB.
LONG = "x" * 500_000
#: Attempts of a task, as with ``retries=3``.
TRIES = 4
_tasks = count()


def _new(number, **more):
    return {"name": f"new {number}", **more}


def _named(number):
    return _new(number, id=f"N{number}")


def _changed(number):
    return {"key": str(FIRST_KEY + number), "name": f"changed {number}"}


def _keys(numbers):
    return [str(FIRST_KEY + n) for n in numbers]


@dataclass(frozen=True)
class Write:
    """One kind of write.

    :param write: writes with a client, and returns a result for each record.
    :param method: how.
    :param records: what is written: ids or names of creations, keys of others.
    :param refused: positions of those that the server refuses.
    :param named: whether creations have ids of their own, so that answers can be distinguished.
    :param once: whether it is never tried again, since the server would not recognize it.
    """

    write: Callable
    method: str
    records: list
    refused: frozenset = frozenset()
    named: bool = False
    atomic: bool = False
    once: bool = False


def _create(records, **how):
    return lambda client: client.create_many(OBJECT, records, **how)


def _update(records, **how):
    return lambda client: client.update_many(OBJECT, records, **how)


def _delete(keys, **how):
    return lambda client: client.delete_many(OBJECT, keys, **how)


def _compose(records):
    """Create records by a composite call, each with a name, and return results as of other writes."""
    path = f"/objects/{OBJECT}"

    def write(client):
        parts = [
            {"method": "POST", "path": path, "body": record, "resultReference": f"r{n}"}
            for n, record in enumerate(records)
        ]
        return [
            RecordResult(one.index, key=(one.result or {}).get("key") if one.ok else None, error=one.error)
            for one in client.composite(parts)
        ]

    return write


def _submit(operation, records):
    def write(client):
        job = client.submit_job(OBJECT, operation, records)
        return client.job_result(job, records=records)

    return write


NAMES = ["new 0", "new 1", "new 2"]
WRITES = {
    "create_many": Write(_create([_new(n) for n in range(3)]), "POST", NAMES),
    "create_many, with ids": Write(_create([_named(n) for n in range(3)]), "POST", NAMES, named=True),
    "create_many, one refused": Write(
        _create([_named(0), {"id": "N1", "name": ""}, _named(2)]), "POST", ["new 0", "", "new 2"], frozenset({1}), True
    ),
    "create_many, atomic": Write(
        _create([_named(n) for n in range(3)], atomic=True), "POST", NAMES, named=True, atomic=True
    ),
    "create_many, atomic, one refused": Write(
        _create([_named(0), {"id": "N1", "name": ""}, _named(2)], atomic=True),
        "POST", ["new 0", "", "new 2"], frozenset({0, 1, 2}), True, atomic=True,
    ),
    "create_many, two calls": Write(_create([_new(n, note=LONG) for n in range(2)]), "POST", NAMES[:2]),
    "update_many": Write(_update([_changed(n) for n in range(3)]), "PATCH", _keys(range(3)), named=True),
    "update_many, one missing": Write(
        _update([_changed(n) for n in (0, 50, 2)]), "PATCH", _keys((0, 50, 2)), frozenset({1}), True
    ),
    "update_many, atomic": Write(
        _update([_changed(n) for n in range(3)], atomic=True), "PATCH", _keys(range(3)), named=True, atomic=True
    ),
    "delete_many": Write(_delete(_keys(range(3))), "DELETE", _keys(range(3)), named=True),
    "delete_many, one missing": Write(
        _delete(_keys((0, 50, 2))), "DELETE", _keys((0, 50, 2)), frozenset({1}), named=True
    ),
    "delete_many, missing_ok": Write(
        _delete(_keys((0, 50, 2)), missing_ok=True), "DELETE", _keys((0, 50, 2)), named=True
    ),
    "delete_many, atomic": Write(
        _delete(_keys(range(3)), atomic=True), "DELETE", _keys(range(3)), named=True, atomic=True
    ),
    "composite": Write(_compose([_named(n) for n in range(3)]), "POST", NAMES, named=True),
    "composite, no ids": Write(_compose([_new(n) for n in range(3)]), "POST", NAMES, named=True),
    "composite, one refused": Write(
        _compose([_named(0), {"id": "N1", "name": ""}, _named(2)]),
        "POST", ["new 0", "", "new 2"], frozenset({1, 2}), named=True,
    ),
    "bulk job, create": Write(_submit("create", [_named(n) for n in range(3)]), "POST", NAMES, named=True, once=True),
    "bulk job, update": Write(
        _submit("update", [_changed(n) for n in (0, 50, 2)]),
        "PATCH", _keys((0, 50, 2)), frozenset({1}), named=True, once=True,
    ),
    "bulk job, delete": Write(_submit("delete", _keys(range(3))), "DELETE", _keys(range(3)), named=True, once=True),
}  # fmt: skip


class Scenario(NamedTuple):
    """A write, to a server that keeps answers under idempotency keys, or says that it does not."""

    write: str
    remembers: bool = True


@dataclass
class Judged:
    """What came of a schedule.

    :param errors: of the attempts that failed.
    :param faults: by kind, what was wrong.
    """

    results: list | None = None
    errors: list = field(default_factory=list)
    calls: int = 0
    struck: tuple = ()
    faults: dict = field(default_factory=dict)


def play(scenario, events=()):
    """Let a schedule meet a write, tried again as a task is, and judge the end."""
    write, scope = WRITES[scenario.write], f"task {next(_tasks)}"
    world = World(Company(EXISTING, remembers=scenario.remembers), events, most=120)
    removed = set()
    world.on_change = lambda: removed.update(
        range(FIRST_KEY, world.company.next_key) - world.company.records.keys()
    )
    judged, billed = Judged(), 0
    with world:
        # Without idempotency keys another attempt may well write again; one must not.
        for _try in range(TRIES if scenario.remembers and not write.once else 1):
            client = client_of()
            client.idempotency.scopes = {"POST": scope, "PATCH": scope}
            world.killed = False
            try:
                judged.results, error = outcome_of(lambda client=client: write.write(client))
            except (KilledError, EndlessError) as err:
                error = err
            billed += client.transactions
            if error is None:
                break
            judged.errors.append(error)
            if world.endless:
                break
    judged.calls, judged.struck = world.calls, tuple(world.struck)
    for kind, oracle in ORACLES.items():
        problem = oracle(write, judged, world, billed, removed)
        if problem:
            judged.faults[kind] = problem
    return judged


@cache
def undisturbed(scenario):
    """Return how many calls a write takes when nothing happens."""
    judged = play(scenario)
    assert not judged.faults, f"{scenario} fails undisturbed: {judged.faults}"
    return judged.calls


# --- oracles: each returns what is wrong, or nothing


def _twice(write, _judged, world, _billed, removed):
    """Safety: a write happens once; again only if somebody has removed what it created."""
    if write.method == "POST":
        done = Counter(
            world.company.names[key]
            for method, key in world.company.written
            if method == "POST" and key not in removed
        )
    else:
        # A change that is made again changes nothing.
        done = Counter(key for _method, key in world.company.written if world.company.remembers)
    return ", ".join(f"{what} {times} times" for what, times in done.items() if times > 1)


def _untrue(write, judged, world, _billed, removed):
    """Safety: what the results say of each record is so."""
    if judged.results is None:
        return ""
    if [result.index for result in judged.results] != [*range(len(write.records))]:
        return f"results for {[result.index for result in judged.results]}"
    lies = [
        f"{record!r} is {'' if result.ok else 'not '}written by its result"
        for record, result in zip(write.records, judged.results, strict=True)
        if result.ok != _is_written(write, record, world, removed)
        and not (write.method == "DELETE" and int(record) not in world.company.records)
    ]
    return "; ".join(lies)


def _is_written(write, record, world, _removed):
    if write.method == "POST":
        return record in {
            world.company.names[key] for method, key in world.company.written if method == "POST"
        }
    return int(record) in {key for method, key in world.company.written if method == write.method}


def _wrong_key(write, judged, world, _billed, _removed):
    """Safety: the key of a result is that of its record."""
    if write.method != "POST":
        return ""
    pairs = [
        (record, result)
        for record, result in zip(write.records, judged.results or (), strict=False)
        if result.ok
    ]
    return "; ".join(
        f"{record!r} is said to have key {result.key}"
        for record, result in pairs
        if result.key is not None and world.company.names.get(int(result.key)) != record
    )


def _half(write, _judged, world, _billed, removed):
    """Safety: an atomic write is done as a whole or not at all."""
    if not write.atomic or removed:
        return ""
    done = [_is_written(write, record, world, removed) for record in write.records]
    return f"written: {done}" if any(done) and not all(done) else ""


def _never_done(write, judged, world, _billed, _removed):
    """Liveness: failures that pass do not keep a task with retries from its end."""
    harmless = (
        world.company.remembers and not write.once and all(event.kind != "lie" for event in judged.struck)
    )
    return f"{judged.errors[-1]!r}" if judged.results is None and harmless and not world.endless else ""


def _red_at_once(write, judged, world, _billed, _removed):
    """Liveness: one failure that passes does not even make the first attempt fail."""
    one = (
        not write.once
        and len(judged.struck) == 1
        and judged.struck[0].what in TRANSIENT
        and world.company.remembers
    )
    return f"{judged.errors[0]!r}" if judged.errors and one else ""


def _misbilled(write, judged, world, billed, _removed):
    """Safety: transactions are counted once; judged where every answer came in one try, and not of bulk jobs."""
    if write.once or any(event.what == "401 but done" for event in judged.struck):
        return ""  # of what came with a refusal, nobody knows that it was done
    if judged.errors or judged.results is None or any(event.kind == "lie" for event in judged.struck):
        return ""
    if (write.method == "DELETE" or not world.company.remembers) and judged.struck:
        return ""  # after a lost answer nobody knows what had been done before
    true = len(world.company.written) + world.reads
    return f"{billed} billed, {true} made" if billed != true else ""


def _endless(_write, judged, world, _billed, _removed):
    return str(judged.errors[-1]) if world.endless else ""


def _crash(_write, judged, _world, _billed, _removed):
    return crash_of(judged.errors)


ORACLES = {
    "written twice": _twice,
    "untrue result": _untrue,
    "wrong key": _wrong_key,
    "half of an atomic write": _half,
    "misbilled": _misbilled,
    "endless": _endless,
    "crash": _crash,
    "never done": _never_done,
    "red at once": _red_at_once,
}
SAFETY = ("written twice", "untrue result", "wrong key", "half of an atomic write", "crash", "endless")


def events_at(scenario, call):
    """Yield everything that can happen at a call of a write."""
    write = WRITES[scenario.write]
    left_out = {"size refused", "409 in progress", ACCEPTED}  # only a sync looks whether it was done
    if not (write.once or (scenario.remembers and write.method != "DELETE")):
        left_out.add("401 but done")  # nobody would expect that the token was good
    yield from (At(call, what) for what in FAILURES if what not in left_out)
    if write.named or write.method != "POST":
        yield from (At(call, what) for what in WRITE_LIES)
    for what in CHANGES:
        if what in ("go", "change"):
            yield from (At(call, what, key) for key in range(FIRST_KEY, FIRST_KEY + EXISTING + 2))


SCENARIOS = [
    Scenario(name, remembers)
    for name in WRITES
    for remembers in (True, False)
    if remembers or not WRITES[name].once
]
FAMILY = Family(
    "small_writes",
    play,
    undisturbed,
    events_at,
    scenarios=SCENARIOS,
    paired=[one for one in SCENARIOS if one.remembers],
)
