"""Run contestants as processes in turn against one server, and collect the outcomes."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from contestants import CONTESTANTS
from truth import is_right, judge

if TYPE_CHECKING:
    from measuring import FastServer

WARM_ROWS = 1000
#: Calls that the server takes at once by default, as Intacct does on its first tier.
SLOTS = 6
COUNTS = ("calls", "billed", "connections", "most_in_flight", "refused")


class Racer:
    """A contestant's process, for the duration of the ``with`` block.

    :param name: name of the contestant.
    :param site: address of the server.
    """

    def __init__(self, name: str, site: str) -> None:
        self.name, self._site = name, site

    def __enter__(self) -> Self:
        self._child = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("contestants.py")), self.name, self._site],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None if os.environ.get("BENCH_VERBOSE") else subprocess.DEVNULL,  # Airflow logs each task
            text=True,
        )
        self.import_seconds = self._answer()["import_seconds"]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._child.stdin:
            self._child.stdin.close()
        self._child.wait(30)

    def begin(self, folder: Path, **options: Any) -> None:
        """Start a run."""
        if self._child.stdin:
            self._child.stdin.write(json.dumps({"folder": str(folder), **options}) + "\n")
            self._child.stdin.flush()

    def run(self, folder: Path, **options: Any) -> dict[str, Any]:
        """Run once and return the measurements."""
        self.begin(folder, **options)
        return self.end()

    def end(self) -> dict[str, Any]:
        """Wait for the run and return the measurements."""
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        line = self._child.stdout.readline() if self._child.stdout else ""
        if not line:
            sys.exit(f"{self.name} died; BENCH_VERBOSE=1 shows what it printed")
        return dict(json.loads(line))


@dataclass
class Outcome:
    """All runs of one contestant under the same conditions."""

    name: str
    import_seconds: float
    runs: list[dict[str, Any]] = field(default_factory=list)

    @property
    def right(self) -> bool:
        """Whether every run succeeded with exactly the right rows."""
        return all(run["error"] is None and is_right(run["verdict"]) for run in self.runs)

    @property
    def seconds(self) -> float:
        """The median."""
        return statistics.median(run["seconds"] for run in self.runs)

    def facts(self) -> dict[str, Any]:
        """Return everything as JSON."""
        times = [run["seconds"] for run in self.runs]
        first = self.runs[0]
        return {
            "contestant": self.name,
            "title": CONTESTANTS[self.name].title,
            "kind": CONTESTANTS[self.name].kind,
            "runs": len(times),
            "seconds": round(self.seconds, 3),
            "min": round(min(times), 3),
            "max": round(max(times), 3),
            "import_seconds": round(self.import_seconds, 2),
            # Of the first run, because later ones reuse memory that the process has not released.
            "peak_mb": round(first["peak_mb"], 1),
            "cpu_seconds": round(statistics.median(run["cpu_seconds"] for run in self.runs), 3),
            "server_cpu_share": round(max(run["server_cpu_share"] for run in self.runs), 3),
            **{name: max(run[name] for run in self.runs) for name in COUNTS},
            "rows": first["verdict"]["rows"],
            "right": self.right,
            "wrong": next((describe_problem(run) for run in self.runs if describe_problem(run)), ""),
        }


def describe_problem(run: dict[str, Any]) -> str:
    """Return what is wrong with a run; empty if nothing is."""
    wrong = [f"{n:,} {name}" for name, n in run["verdict"].items() if name != "rows" and n]
    error = str(run["error"] or "").partition(":")[0]
    if error:
        return f"{error} after {run['verdict']['rows']:,} rows"
    return ", ".join(wrong)


def race(
    server: FastServer,
    names: Sequence[str],
    *,
    rows: int,
    rounds: int,
    fresh: bool = False,
    once: Iterable[str] = (),
    deleted: Sequence[int] = (),
    options: dict[str, Any] | None = None,
    ready: dict[str, Racer] | None = None,
    **settings: Any,
) -> list[dict[str, Any]]:
    """Run exports of the contestants in turn, each in its own process, after a warm-up; return their facts.

    :param fresh: end a process before the next one starts, so that large ones do not share memory.
    :param once: contestants that run in the first round only.
    :param options: options of every run.
    :param ready: running contestants of earlier races; new ones are added to it.
    :param settings: settings of the server, in every run except the warm-up.
    """
    given = {"rows": rows, "deleted": deleted, "options": options or {}, "settings": settings}
    once = set(once)
    outcomes: dict[str, Outcome] = {}
    with tempfile.TemporaryDirectory(prefix="intacct-bench-") as folder, ExitStack() as stack:
        place = Path(folder)
        for name in names if fresh else ():
            with Racer(name, server.site) as racer:
                outcomes[name] = Outcome(name, racer.import_seconds)
                warm(server, racer, place)
                for _ in range(1 if name in once else rounds):
                    outcomes[name].runs.append(run_once(server, racer, place, **given))
        racers = {} if ready is None else ready
        for name in () if fresh else names:
            if name not in racers:
                racers[name] = (
                    stack.enter_context(Racer(name, server.site)) if ready is None else start(name, server)
                )
                warm(server, racers[name], place)
            outcomes[name] = Outcome(name, racers[name].import_seconds)
        for number in range(0 if fresh else rounds):
            for name in names:
                if not number or name not in once:
                    outcomes[name].runs.append(run_once(server, racers[name], place, **given))
    return ratios([outcome.facts() for outcome in outcomes.values()])


@contextmanager
def waiting_racers() -> Iterator[dict[str, Racer]]:
    """Yield a mapping for contestants that run in several races; all are ended afterwards."""
    ready: dict[str, Racer] = {}
    try:
        yield ready
    finally:
        for racer in ready.values():
            racer.__exit__(None, None, None)


def start(name: str, server: FastServer) -> Racer:
    """Start a contestant; :func:`waiting_racers` ends it."""
    return Racer(name, server.site).__enter__()


def warm(server: FastServer, racer: Racer, place: Path) -> None:
    """Let a contestant do a small piece of work first, so that one-time costs are not measured."""
    run_once(server, racer, place, rows=WARM_ROWS, deleted=(), options={}, settings={})


def run_once(
    server: FastServer,
    racer: Racer,
    place: Path,
    *,
    rows: int,
    deleted: Sequence[int],
    options: dict[str, Any],
    settings: dict[str, Any],
) -> dict[str, Any]:
    """Let a contestant export once, and check its output."""
    folder = place / "out"
    known = {"rows": rows, "in_flight": settings.get("concurrency", SLOTS)} if racer.name == "ceiling" else {}
    server.change(rows=rows, **settings)
    run = racer.run(folder, **known, **options)
    stats = server.stats()
    run |= {name: stats[name] for name in COUNTS}
    run["server_cpu_share"] = stats["cpu_seconds"] / run["seconds"]
    run["verdict"] = judge(folder, rows, deleted)
    shutil.rmtree(folder)
    return run


def ratios(facts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Add to each the ratio of its time to that of the best correct peer, and to that of the ceiling."""
    ceiling = next((one["seconds"] for one in facts if one["contestant"] == "ceiling"), None)
    peers = [one["seconds"] for one in facts if one["kind"] == "peer" and one["right"]]
    for one in facts:
        one["of_best_peer"] = round(one["seconds"] / min(peers), 3) if peers else None
        one["of_ceiling"] = round(one["seconds"] / ceiling, 3) if ceiling else None
        verdict = "right" if one["right"] else f"WRONG: {one['wrong']}"
        shares = f"{one['of_best_peer'] or 0:6.3f} {one['of_ceiling'] or 0:6.3f}"
        print(
            f"  {one['title']:44} {one['seconds']:8.3f} s {shares} {one['cpu_seconds']:6.2f} cpu"
            f" {one['peak_mb']:6.1f} MB {one['calls']:4} calls  {verdict}",
            flush=True,
        )
    return facts
