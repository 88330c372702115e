"""Read and write with random faults, changes and false answers: nothing may be lost, duplicated or misreported.

    python tools/soak.py                             # 1,000 schedules
    python tools/soak.py --schedules 50              # the short form
    python tools/soak.py --schedules 1 --seed 4711   # repeats exactly that schedule, and prints it
    python tools/soak.py --only moving               # one of the two halves: "faults" or "moving"

Each schedule has two halves. The first reads 20,000 and writes 2,000 records of a sandbox with random faults. The
second reads a company that changes all the time, by any of the ways that the provider reads, and lets each call of the
read get a false answer; tokens are good for three requests, or another process ends them. It may fail only for a
contradiction that comes again when asked.

Each schedule comes from its own seed: the first from ``--seed``, the next from the number after it, and so on. Attempts
that fail are counted and followed by another, as Airflow's retries follow a failed task; the end must be exact.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

from reliability_under_change import prepare
from soak_moving import draw_moving, run_moving
from soak_schedule import draw
from soak_work import CREATED, READ, SEEDED, Outcome, make_company, run

FIRST_SEED = 20_260_000
#: The maximum share of schedules without any fault; with more the soak would test too little.
UNDISTURBED = 0.1
#: What must not be, and how the last line names it.
WRONG = {
    "lost": "lost",
    "doubled": "doubled",
    "misreported": "misreported",
    "unexcused": "red without a loss or a contradiction that comes again",
}
#: Notes that are shown of one schedule.
MOST_NOTES = 3
HALVES = ("faults", "moving")


def main() -> int:
    """Run the schedules; return 1 if anything is wrong."""
    options = _options()
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="intacct-soak-") as folder:
        company = Path(folder, "company.db")
        make_company(company)
        seeds = range(options.seed, options.seed + options.schedules)
        outcomes = []
        for outcome in _outcomes(seeds, company, options.processes, options.only or HALVES):
            outcomes.append(outcome)
            if not outcome.exact:
                _show(outcome)
            if len(outcomes) % 50 == 0:
                print(
                    f"{len(outcomes)} of {len(seeds)} schedules, {time.monotonic() - begun:.0f} s", flush=True
                )
    if len(seeds) == 1:
        print(draw(options.seed))
        print(draw_moving(options.seed))
    return _sum_up(outcomes, time.monotonic() - begun, only=options.only)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--schedules", type=int, default=1000, help="number of schedules (default: 1000)")
    parser.add_argument(
        "--seed", type=int, default=FIRST_SEED, help=f"seed of the first (default: {FIRST_SEED})"
    )
    cores = os.cpu_count() or 1
    parser.add_argument(
        "--processes", type=int, default=cores, help=f"parallel processes (default: {cores}, the cores)"
    )
    parser.add_argument("--only", nargs=1, choices=HALVES, help="one half of each schedule")
    options = parser.parse_args()
    if options.schedules < 1 or options.processes < 1:
        parser.error("schedules and processes must be at least 1")
    return options


def _outcomes(seeds: range, company: Path, processes: int, halves: Sequence[str]) -> Iterator[Outcome]:
    if len(seeds) == 1 or processes == 1:
        prepare()
        yield from (_outcome(seed, company, halves) for seed in seeds)
        return
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn"), initializer=prepare) as pool:
        for future in as_completed([pool.submit(_outcome, seed, company, halves) for seed in seeds]):
            yield future.result()


def _outcome(seed: int, company: Path, halves: Sequence[str]) -> Outcome:
    """Run one schedule; an unexpected error counts as wrong as well."""
    from airflow.sdk._shared.secrets_masker import reset_secrets_masker

    outcome = Outcome(seed)
    # Airflow compiles all secrets of a process again with each new one, and here are thousands of tokens.
    reset_secrets_masker()
    try:
        if "faults" in halves:
            outcome = run(draw(seed), company)
        if "moving" in halves:
            run_moving(draw_moving(seed), outcome)
    except Exception:
        outcome.wrong("misreported", 1, traceback.format_exc())
    return outcome


def _show(outcome: Outcome) -> None:
    print(f"WRONG with seed {outcome.seed}:")
    for note in outcome.notes[:MOST_NOTES]:
        print(f"  {note}")
    if len(outcome.notes) > MOST_NOTES:
        print(f"  and {len(outcome.notes) - MOST_NOTES} more")
    print(f"  repeat it with: python tools/soak.py --schedules 1 --seed {outcome.seed}", flush=True)


def _sum_up(outcomes: list[Outcome], seconds: float, *, only: Sequence[str] | None) -> int:
    count = len(outcomes)
    red: Counter[str] = sum((one.red for one in outcomes), Counter())
    undisturbed = sum(not one.faults for one in outcomes)
    wrong = {name: sum(getattr(one, name) for one in outcomes) for name in WRONG}
    print(f"{count} schedules of {READ} records read and {CREATED + SEEDED} written, in {seconds:.0f} s")
    print(f"  {sum(one.calls for one in outcomes)} calls, {sum(one.faults for one in outcomes)} met a fault")
    failed = sum(bool(one.red) for one in outcomes)
    print(f"  {failed} schedules had failed attempts: {dict(red.most_common())}")
    slowest = max(one.seconds for one in outcomes)
    print(f"  {undisturbed} schedules met no fault; the slowest took {slowest:.1f} s")
    print(
        ", ".join(f"{number} {label}" for label, number in zip(WRONG.values(), wrong.values(), strict=True))
    )
    if not only and count >= 50 and undisturbed > count * UNDISTURBED:
        print("Too many schedules met no fault: this tests too little.")
        return 1
    return 1 if any(wrong.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
