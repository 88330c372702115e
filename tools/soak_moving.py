"""One schedule of reads of a company that moves and contradicts itself, with tokens that do not last.

Each schedule is one way to read, one pace of change, one kind of false answer and one rule for tokens. It is carried
out once for each call of the read, which gets the false answer. In some schedules three processes of one user read at
once, and each new token ends the others.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass
from typing import Any

from soak_work import Outcome  # noqa: TC002

#: Records that are read, in pages of ``PAGE_SIZES``.
COUNTS = (0, 1, 450, 1_000, 1_001, 2_700, 4_000)
PAGE_SIZES = (400, 500, 1_000)
PACES = (0, 0, 1, 3, 20)
#: Rules for tokens: good for 3 requests; one live token for each user, whose other process takes a new one.
TOKENS: tuple[dict[str, Any], ...] = (
    {},
    {},
    {},
    {"token_uses": 3},
    {"one_token": True, "stolen": 7},
    {"one_token": True, "stolen": 5, "latency": 0.002},
)
#: How many schedules there are for one of three processes.
EVERY = 25
#: Said from one call on, these look like a company without records, which nothing contradicts.
CONSISTENT = ("empty and nothing counted", "empty without a count")


@dataclass(frozen=True, slots=True)
class MovingSchedule:
    """One schedule.

    :param count: records of the company.
    :param lie: kind of the false answer; None for only true ones.
    :param again: whether it comes again when asked, in all later answers.
    :param tokens: their rule, as members of the server's ``Behavior``.
    """

    seed: int
    reader: str
    count: int
    page_size: int
    kind: str
    per_request: int
    lie: str | None
    again: bool
    tokens: dict[str, Any]

    @property
    def filtered(self) -> bool:
        """Whether records enter and leave the filter of the read."""
        return self.kind == "into and out of the filter"


def draw_moving(seed: int) -> MovingSchedule:
    """Return the schedule of a seed."""
    from moving_company import KINDS
    from moving_reads import READERS
    from moving_server import LIES

    rng = random.Random(f"moving {seed}")  # noqa: S311
    return MovingSchedule(
        seed=seed,
        # In turn, so that some hundred schedules show each false answer to each reader.
        reader=[*READERS][seed % len(READERS)],
        count=rng.choice(COUNTS),
        page_size=rng.choice(PAGE_SIZES),
        kind=rng.choice([*KINDS]),
        per_request=rng.choice(PACES),
        lie=rng.choice((None, *LIES, *LIES)),
        again=rng.random() < 0.2,
        tokens=rng.choice(TOKENS),
    )


def run_moving(schedule: MovingSchedule, outcome: Outcome) -> None:
    """Carry out one schedule, and add what is wrong to the outcome."""
    if schedule.seed % EVERY == 0:
        _run_processes(schedule, outcome)
    from moving_reads import read
    from moving_server import Behavior

    how: dict[str, Any] = {
        "count": schedule.count,
        "seed": schedule.seed,
        "filtered": schedule.filtered,
        "page_size": schedule.page_size,
    }
    rest = read(schedule.reader, Behavior(), **how)
    if not rest.exact:
        raise AssertionError(f"{schedule} is not exact at rest: {rest.red} {rest.wrong}")
    change = {"kind": schedule.kind, "per_request": schedule.per_request, **schedule.tokens}
    limit = 10 * rest.calls + 100
    for at in range(1, rest.calls + 3) if schedule.lie else (0,):
        behavior = Behavior(**change, lies=_lies(schedule, at), most=limit)
        result = read(schedule.reader, behavior, **how)
        outcome.calls += result.calls
        if schedule.lie is None:
            result.undisturbed = rest.calls
            _judge_calls(result, outcome, schedule)
        _judge(result, outcome, schedule, at, limit)


def _run_processes(schedule: MovingSchedule, outcome: Outcome) -> None:
    """Read in three processes that share a user with one live token."""
    from moving_company import Company, Watch
    from moving_reads import read_in_processes
    from moving_server import Behavior, MovingServer

    company = Company(schedule.count, schedule.seed)
    change = {"kind": schedule.kind, "per_request": schedule.per_request}
    with MovingServer(company) as server:
        watch = Watch(company)
        server.behave(Behavior(**change, one_token=True, latency=0.002))
        try:
            found = read_in_processes(server, 3, page_size=schedule.page_size)
        except Exception as error:
            outcome.red[type(error).__name__] += 1
            outcome.wrong("unexcused", 1, f"{error!r}; three processes of {schedule}")
            return
    for rows in found:
        wrong = watch.judge(rows)
        outcome.wrong("misreported", len(wrong), f"{wrong[:2]}; three processes of {schedule}")


def _may_fail(schedule: MovingSchedule) -> bool:
    """Whether change alone may fail the read: one by position, in an order of the user's."""
    return schedule.reader == "iter_rows with order_by" and schedule.per_request > 0


def _lies(schedule: MovingSchedule, at: int) -> tuple[Any, ...]:
    from moving_server import Lie

    return (Lie(schedule.lie, at, times=0 if schedule.again else 1),) if schedule.lie else ()


def _judge_calls(result: Any, outcome: Outcome, schedule: MovingSchedule) -> None:
    if result.calls > result.bound:
        outcome.wrong("misreported", 1, f"{result.calls} calls, {result.bound} allowed; {schedule}")


def _judge(result: Any, outcome: Outcome, schedule: MovingSchedule, at: int, limit: int) -> None:
    where = f"call {at} of {schedule}"
    if result.red:
        kind = result.red.partition(":")[0]
        outcome.red[kind] += 1
        if result.calls > limit:
            outcome.wrong("unexcused", 1, f"a read without an end; {where}")
        elif not (schedule.lie and schedule.again) and not _may_fail(schedule):
            outcome.wrong("unexcused", 1, f"{result.red[:400]}; {where}")
        return
    if schedule.again and schedule.lie in CONSISTENT:
        return
    counts: Counter[str] = Counter()
    for line in result.wrong:
        counts["lost" if "lost" in line else "doubled" if "doubled" in line else "misreported"] += 1
    for name, number in counts.items():
        outcome.wrong(name, number, f"{'; '.join(result.wrong[:3])}; {where}")
