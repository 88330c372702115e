"""Syncs in small worlds: plan, apply and undo as tasks that are killed and tried again, and a second writer."""

from collections import Counter
from dataclasses import dataclass
from dataclasses import field as attribute
from functools import cache
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import NamedTuple

from small_events import ACCEPTED, FAILURES, LIES, TRANSIENT, WRITE_LIES, At
from small_explore import Family
from small_exports import DatedCompany
from small_play import EndlessError, KilledError, World, airflow_of, crash_of, outcome_of
from small_reads import MEMORY
from small_world import FIRST_KEY, OBJECT

from intacct_provider.client.query.expressions import field
from intacct_provider.exceptions import IntacctStalePlanError

#: C7 to C11 exist. C7 stays, C8 changes, C9 is not desired, nor is C10, which is protected; C11 is not in scope.
EXISTING = 5
KEPT, CHANGED, UNWANTED, PROTECTED, OUTSIDE = (FIRST_KEY + n for n in range(EXISTING))
SCOPE = [{"$in": {"id": [f"C{key}" for key in range(FIRST_KEY, OUTSIDE)]}}, {"$ne": {"totalDue": "55.00"}}]
PROTECT = (field("id") == f"C{PROTECTED}") | (field("totalDue") == "77.00")
#: The first record that the plan creates, unless another one comes before.
CREATED = FIRST_KEY + EXISTING
NEW = {"N1": "new 1", "N2": "new 2"}
TRIES = 4
KILLS = ("killed before", "killed after")
_runs = count()


class Scenario(NamedTuple):
    """A sync.

    :param mode: ``upsert`` or ``mirror``.
    :param undo: whether the reverse plan is applied afterwards.
    :param page: rows per page.
    """

    mode: str
    undo: bool = False
    page: int = 3

    @property
    def removes(self):
        return self.mode == "mirror"


@dataclass
class Judged:
    """What came of a schedule: of each task its result, if it came to one, and the errors of its tries."""

    results: dict = attribute(default_factory=dict)
    errors: dict = attribute(default_factory=dict)
    #: Calls that were made when each task began.
    begun: dict = attribute(default_factory=dict)
    calls: int = 0
    struck: tuple = ()
    faults: dict = attribute(default_factory=dict)


class TickingCompany(DatedCompany):
    """A company on whose server each change takes a second, so that no two have the same stamp."""

    def now(self, moment=None):
        if self.clock is not None and moment is None:
            self.clock.passed = int(self.clock.passed) + 1
        return super().now(moment)


def desired_of(company):
    """Return the desired records: one as it is, one changed, two new."""
    kept = {"id": f"C{KEPT}", "name": company.records[KEPT]["name"]}
    new = [{"id": id_, "name": name} for id_, name in NEW.items()]
    return [kept, {"id": f"C{CHANGED}", "name": "changed"}, *new]


def play(scenario, events=()):
    """Let a schedule meet a plan, its application and its reversal, each with retries, and judge the end."""
    from intacct_provider.operators.sync import IntacctApplySyncOperator, IntacctPlanSyncOperator

    company = TickingCompany(EXISTING)
    original, desired = state_of(company), desired_of(company)
    world = World(company, events, most=250)
    company.clock, world.clock.passed = world.clock, 3600.0
    removed = set()
    world.on_change = lambda: removed.update(range(FIRST_KEY, company.next_key) - company.records.keys())
    judged, run = Judged(), f"run {next(_runs)}"
    mirror = {"scope": SCOPE, "protect": PROTECT} if scenario.removes else {}
    with (
        TemporaryDirectory(dir=MEMORY) as folder,
        airflow_of(page_size=scenario.page, max_concurrency=1),
        world,
    ):
        path = Path(folder, "plan.json").as_uri()
        tasks = {
            "plan": lambda: IntacctPlanSyncOperator(
                task_id="plan",
                object_name=OBJECT,
                desired=desired,
                mode=scenario.mode,
                plan_path=path,
                **mirror,
            ),
            "apply": lambda: IntacctApplySyncOperator(task_id="apply", plan=path),
        }
        if scenario.undo:
            tasks["undo"] = lambda: IntacctApplySyncOperator(
                task_id="undo", plan=path.replace(".json", ".undo.json")
            )
        for name, operator in tasks.items():
            judged.begun[name] = world.calls
            if not _carry_out(name, operator, run, world, judged):
                break
            if name == "apply":
                judged.after = state_of(company)
                judged.writes = [*company.written]
    judged.calls, judged.struck = world.calls, tuple(world.struck)
    context = SimpleNamespace(
        scenario=scenario, judged=judged, world=world, original=original, desired=desired, removed=removed
    )
    for kind, oracle in ORACLES.items():
        problem = oracle(context)
        if problem:
            judged.faults[kind] = problem
    return judged


def _carry_out(name, operator, run, world, judged):
    """Run a task as often as Airflow does, and return whether it came to its end."""
    judged.errors[name] = []
    for number in range(1, TRIES + 1):
        world.killed = False
        task = SimpleNamespace(
            dag_id="dag", run_id=run, task_id=name, map_index=-1, try_number=number, max_tries=TRIES - 1,
            xcom_push=lambda **_values: None,
        )  # fmt: skip
        try:
            result, error = outcome_of(lambda task=task: operator().execute({"ti": task}))
        except (KilledError, EndlessError) as err:
            result, error = None, err
        if error is None:
            judged.results[name] = result
            return True
        judged.errors[name].append(error)
        if isinstance(error, EndlessError) or getattr(error, "retryable", True) is False:
            return False
    return False


def state_of(company):
    """Return name and status of each record by id; keys of records that were created again differ."""
    return {record["id"]: (record["name"], record["status"]) for record in company.records.values()}


@cache
def undisturbed(scenario):
    """Return how many calls a sync takes when nothing happens."""
    judged = play(scenario)
    assert not judged.faults, f"{scenario} fails undisturbed: {judged.faults}"
    return judged.calls


# --- oracles: each returns what is wrong, or nothing


def _touched(c):
    """Safety: nothing but what is desired, or is in scope and unwanted, is written."""
    allowed = {("PATCH", CHANGED)} | ({("DELETE", UNWANTED)} if c.scenario.removes else set())
    if c.scenario.undo:
        return _protected(c)
    wrong = [
        (method, key)
        for method, key in c.world.company.written
        if (method, key) not in allowed
        and not (method == "POST" and c.world.company.names[key] in NEW.values())
    ]
    return "" if _changed(c) else f"{wrong}" if wrong else ""


def _protected(c):
    """Safety: what is protected or out of scope is left alone, whatever happens."""
    touched = [(method, key) for method, key in c.world.company.written if key in (PROTECTED, OUTSIDE)]
    return f"{touched}" if touched else ""


def _twice(c):
    """Safety: every record is written once by a plan."""
    written = getattr(c.judged, "writes", c.world.company.written)
    done = Counter(
        (method, c.world.company.names[key] if method == "POST" else key)
        for method, key in written
        if key not in c.removed or method != "POST"
    )
    return ", ".join(f"{what} {times} times" for what, times in done.items() if times > 1)


def _not_as_desired(c):
    """Safety: a plan that was applied, while nobody else wrote, has made everything as desired."""
    if "apply" not in c.judged.results or _changed(c) or _lied(c):
        return ""
    wanted = {**c.original, **{record["id"]: (record["name"], "active") for record in c.desired}}
    if c.scenario.removes:
        del wanted[f"C{UNWANTED}"]
    return f"{c.judged.after}" if c.judged.after != wanted else ""


def _miscounted(c):
    """Safety: a task reports what was written; a record that somebody else deleted first is reported as deleted."""
    if "apply" not in c.judged.results or _lied(c):
        return ""
    result = c.judged.results["apply"]
    told = {"POST": result["created"], "PATCH": result["updated"], "DELETE": result["deleted"]}
    done = Counter(method for method, _key in c.judged.writes)
    if _changed(c):
        wrong = {m: (n, done[m]) for m, n in told.items() if m != "DELETE" and n > done[m]}
    else:
        wrong = {m: (n, done[m]) for m, n in told.items() if not n <= done[m] <= n + result["found"]}
    return f"reported and done: {wrong}" if wrong else ""


def _overwritten(c):
    """Safety: what somebody changed between plan and application is not written over."""
    first = c.judged.begun.get("apply")
    if "apply" not in c.judged.results:
        return ""
    # Only names are compared, so a change of another field may stand beside ours.
    theirs = {event.key for event in c.judged.struck if event.call == first and event.what == "move first"}
    over = [key for _method, key in c.judged.writes if key in theirs]
    return f"records with keys {over}" if over else ""


def _lost(c):
    """Safety: a record that somebody changed between plan and application, in any field, is not deleted."""
    begun = c.judged.begun
    over = [
        (task, event.key)
        for task, what in (("apply", "change"), ("apply", "move first"), ("undo", "move first"))
        for event in c.judged.struck
        if event.what == what
        and event.call == begun.get(task)
        and ("DELETE", event.key) in _written_by(c, task)
    ]
    return f"{over}" if over else ""


def _forbidden(c):
    """Safety: what became protected or left the scope before a plan or an undo was applied is left alone."""
    if not c.scenario.removes:
        return ""
    over = [
        (task, method, key)
        for task in ("apply", "undo")
        for method, key in _written_by(c, task)
        if _last_place(c.judged.struck, key, c.judged.begun[task]) in ("protect", "move out")
    ]
    return f"{over}" if over else ""


def _last_place(struck, key, upto):
    """Return the last event up to a call that set what decides whether a record is in scope and not protected."""
    placed = [
        event.what
        for event in struck
        if event.key == key and event.call <= upto and event.what in ("protect", "move out", "change")
    ]
    return placed[-1] if placed else ""


def _undone_more(c):
    """Safety: an undo leaves alone what somebody changed after the plan was applied."""
    ours = {key for _method, key in _written_by(c, "apply")}
    begun = c.judged.begun
    over = [
        (method, key)
        for method, key in _written_by(c, "undo")
        for event in c.judged.struck
        if event.what == "move first" and event.key == key
        and (event.call == begun["undo"] or (begun["apply"] <= event.call <= begun["undo"] and key not in ours))
    ]  # fmt: skip
    return f"{over}" if over else ""


def _written_by(c, task):
    """Return what a task wrote, as far as is known: all that came before an undo is the application's."""
    written = c.world.company.written
    if task == "apply":
        return getattr(c.judged, "writes", written)
    return written[len(c.judged.writes) :] if "undo" in c.judged.begun else []


def _not_undone(c):
    """Safety: a reversal that was applied, while nobody else wrote, has made everything as it was."""
    if "undo" not in c.judged.results or _changed(c) or _lied(c):
        return ""
    now = state_of(c.world.company)
    return f"{now}" if now != c.original else ""


def _never_done(c):
    """Liveness: failures that pass, and kills, do not keep tasks with retries from their end."""
    last = [*c.judged.begun][-1]
    refused = any(event.what == ACCEPTED for event in c.judged.struck)
    harmless = not _changed(c) and not _lied(c) and not refused and not c.world.endless
    return f"{last}: {c.judged.errors[last][-1]!r}" if last not in c.judged.results and harmless else ""


def _red_at_once(c):
    """Liveness: one failure that passes does not even make the first attempt fail."""
    one = len(c.judged.struck) == 1 and c.judged.struck[0].what in TRANSIENT
    errors = [err for some in c.judged.errors.values() for err in some]
    return f"{errors[0]!r}" if errors and one else ""


def _red_under_change(c):
    """Liveness: what others do to records that a plan does not touch never makes it fail, nor a stale plan crash."""
    ours = {CHANGED, UNWANTED} if c.scenario.removes else {CHANGED}
    ours |= {KEPT} | {key for key, name in c.world.company.names.items() if name in NEW.values()}
    harmless = all(event.kind == "change" and event.key not in ours for event in c.judged.struck)
    errors = [
        err for some in c.judged.errors.values() for err in some if not isinstance(err, IntacctStalePlanError)
    ]
    return f"{errors[0]!r}" if errors and harmless else ""


def _endless(c):
    return "more calls than the limit" if c.world.endless else ""


def _crash(c):
    return crash_of(err for some in c.judged.errors.values() for err in some)


ORACLES = {
    "others' records touched": _touched,
    "protected record touched": _protected,
    "written twice": _twice,
    "not as desired": _not_as_desired,
    "miscounted": _miscounted,
    "overwritten": _overwritten,
    "lost": _lost,
    "forbidden": _forbidden,
    "undone more": _undone_more,
    "not undone": _not_undone,
    "endless": _endless,
    "crash": _crash,
    "never done": _never_done,
    "red at once": _red_at_once,
    "red under change": _red_under_change,
}


def _changed(c):
    return any(event.kind == "change" for event in c.judged.struck)


def _lied(c):
    return any(event.kind == "lie" for event in c.judged.struck)


def events_at(scenario, call):
    """Yield everything that can happen at a call of a sync."""
    yield from (At(call, what) for what in FAILURES if what not in ("size refused", "409 in progress"))
    yield from (At(call, what) for what in (*LIES, *WRITE_LIES))
    for what in ("go", "change", "protect", "move out", "move first"):
        # The last ones are those that the plan creates.
        yield from (At(call, what, key) for key in range(FIRST_KEY, FIRST_KEY + EXISTING + len(NEW)))
    yield At(call, "come")


def _is_worth_trying(first, second):
    """Whether two events may matter together: a kill, and another one or what others do to the plan's records."""
    if second.kind == "change":
        return first.what in KILLS and second.key in (CHANGED, UNWANTED, CREATED)
    return first.what in KILLS and second.what in (*KILLS, ACCEPTED)


SCENARIOS = [
    Scenario("upsert"),
    Scenario("mirror"),
    Scenario("upsert", undo=True),
    Scenario("mirror", undo=True),
]
FAMILY = Family(
    "small_syncs",
    play,
    undisturbed,
    events_at,
    scenarios=SCENARIOS,
    paired=[Scenario("mirror")],
    pair=_is_worth_trying,
)
