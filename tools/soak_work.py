"""One schedule of the soak: read 20,000 records, write 2,000, and check the results."""

from __future__ import annotations

import random
import secrets
import shutil
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from soak_schedule import Schedule  # noqa: TC002

from intacct_provider.client import IntacctClient, IntacctConfig
from intacct_provider.client.http.auth import forget_tokens
from intacct_provider.client.http.retry import RetryPolicy
from intacct_provider.exceptions import IntacctError, IntacctInterruptedWriteError
from intacct_provider.sandbox import Sandbox

CUSTOMER = "accounts-receivable/customer"
PURPOSE = "general-ledger/account-group-purpose"
#: One record more than full pages, so that a client that trusts a count that is one too low would lose it.
READ, CREATED, SEEDED = 20_001, 1_000, 1_000
#: Attempts of the same work. From the third on nothing changes between pages; the last has no faults.
ATTEMPTS, QUIET = 6, 3
Done = TypeVar("Done")


@dataclass(slots=True)
class Outcome:
    """The outcome of one schedule; the first four counts must be 0.

    :param unexcused: reads that failed although nothing was lost and no contradiction came again when asked.
    :param red: attempts that failed, by the type of the error.
    :param notes: what exactly is wrong.
    """

    seed: int
    lost: int = 0
    doubled: int = 0
    misreported: int = 0
    unexcused: int = 0
    red: Counter[str] = field(default_factory=Counter)
    calls: int = 0
    faults: int = 0
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)

    @property
    def exact(self) -> bool:
        """Whether everything is as expected."""
        return not (self.lost or self.doubled or self.misreported or self.unexcused)

    def wrong(self, kind: str, count: int, note: str) -> None:
        """Count an error."""
        if count:
            setattr(self, kind, getattr(self, kind) + count)
            self.notes.append(f"{count} {kind}: {note}")


def make_company(path: Path) -> None:
    """Create the company that every schedule starts with."""
    with Sandbox(db=str(path), seed=f"{PURPOSE}={READ},{CUSTOMER}={SEEDED}"):
        pass


def run(schedule: Schedule, company: Path) -> Outcome:
    """Carry out one schedule on a copy of the company."""
    begun, outcome = time.perf_counter(), Outcome(schedule.seed)
    random.seed(schedule.seed)  # for the client's random waits
    forget_tokens()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "company.db")
        shutil.copyfile(company, path)
        with _running(path, schedule) as sandbox:
            _read(sandbox, schedule, outcome)
            _write(sandbox, schedule, outcome)
            outcome.calls = len(sandbox.requests)
            outcome.faults = sum(call.fault is not None for call in sandbox.requests)
    outcome.seconds = time.perf_counter() - begun
    return outcome


@contextmanager
def _running(path: Path, schedule: Schedule) -> Iterator[Sandbox]:
    sandbox = Sandbox(db=str(path), client_secret=secrets.token_urlsafe(), faults=schedule.habits)
    sandbox.start()
    try:
        yield sandbox
    finally:
        threading.Thread(target=sandbox.stop).start()  # in the background, because it takes a moment


def _client(sandbox: Sandbox, schedule: Schedule) -> IntacctClient:
    """Return the client of one attempt; all attempts have the same idempotency keys, as Airflow's retries do."""
    config = IntacctConfig(
        client_id=sandbox.identity.client_id,
        client_secret=sandbox.identity.client_secret,
        company_id=sandbox.identity.company,
        user_id=sandbox.identity.user,
        base_url=sandbox.url,
        page_size=schedule.page_size,
        timeout=schedule.timeout,
    )
    client = IntacctClient(config, retry=RetryPolicy(base=0.01))
    client.idempotency.scopes = dict.fromkeys(("POST", "PATCH"), f"soak {schedule.seed}")
    return client


def _until_done(
    sandbox: Sandbox,
    schedule: Schedule,
    outcome: Outcome,
    faults: list[dict[str, Any]],
    work: Callable[[IntacctClient], Done],
) -> Done:
    """Repeat the same work until an attempt succeeds.

    :raises IntacctError: what ended the last attempt, which no fault can excuse.
    """
    for fault in faults:
        sandbox.fail(**fault)
    for attempt in range(1, ATTEMPTS + 1):
        if attempt == QUIET:
            sandbox.faults.churn = 0
        if attempt == ATTEMPTS:
            sandbox.faults = {}
        try:
            with _client(sandbox, schedule) as client:
                return work(client)
        except IntacctError as error:
            if attempt == ATTEMPTS:
                raise
            outcome.red[type(error).__name__] += 1
    raise AssertionError("the last attempt has returned or raised")


# --- reading


def _read(sandbox: Sandbox, schedule: Schedule, outcome: Outcome) -> None:
    before = _keys(sandbox, PURPOSE)

    def read(client: IntacctClient) -> list[dict[str, Any]]:
        return [*client.iter_rows(PURPOSE, ["key", "id"], order_by=schedule.order_by)]

    rows = _until_done(sandbox, schedule, outcome, schedule.reading, read)
    sandbox.faults = {name: schedule.habits[name] for name in ("clock_skew", "jitter")}
    after = _keys(sandbox, PURPOSE)
    seen = Counter(int(row["key"]) for row in rows)
    lost = (before & after) - seen.keys()
    doubled = [key for key, times in seen.items() if times > 1]
    # Records added or deleted during the read have keys between the first and the last of all.
    first, last = min(before), max(after)
    invented = [key for key in seen if not first <= key <= last]
    mistaken = [row["key"] for row in rows if row["id"] != f"Purpose {int(row['key']):05d}"]
    ordered = [row["id"] for row in rows] if schedule.order_by else [int(row["key"]) for row in rows]
    outcome.wrong("lost", len(lost), f"records that were not read, the first {min(lost, default=0)}")
    outcome.wrong(
        "doubled", len(doubled), f"records that were read twice, the first {min(doubled, default=0)}"
    )
    outcome.wrong("misreported", len(invented) + len(mistaken), f"records that are not so: {mistaken[:3]}")
    # When the client reads by position, what one pass misses is found by the next.
    repeats = any("repeat" in fault for fault in schedule.reading)
    by_position = schedule.habits["text_keys"] or not schedule.habits["key_filter"] or repeats
    if ordered != sorted(ordered) and (schedule.order_by or not by_position):
        outcome.wrong("misreported", 1, "the order of the rows")


def _keys(sandbox: Sandbox, object_name: str) -> set[int]:
    with sandbox.store.transaction() as conn:
        return {row["key"] for row in conn.execute(f'SELECT "key" FROM "{object_name}"')}  # noqa: S608


# --- writing


class Plan:
    """The writes of every schedule: what is sent, and the expected outcome.

    In every ten of the seeded customers, the first is the parent of the others. Of those, five are deleted, four and
    the parent are changed. Parents cannot be deleted, so trying to is one of the refusals.
    """

    def __init__(self, seed: int) -> None:
        self.attempts = 0
        self.names = [f"Soak {seed} {n}" for n in range(CREATED)]
        self.new = [self._record(n) for n in range(CREATED)]
        kept = [n for n in range(1, SEEDED + 1) if n % 10 not in (2, 3, 4, 5, 6)]
        self.changes = [{"key": str(n), "name": f"Soak {seed} changed {n}"} for n in kept]
        for change in self.changes[50::100]:
            change["status"] = "nonsense"
        heads = [n for n in kept if n % 10 == 1][:5]
        self.deleted = [n for n in range(1, SEEDED + 1) if n not in kept]
        self.doomed = [str(n) for n in (*self.deleted[:250], *heads, *self.deleted[250:-5])]

    def _record(self, n: int) -> dict[str, Any]:
        if n % 97 == 5:
            return {"name": self.names[n], "nonsense": True}
        return {"name": self.names[n], "id": "C-00001"} if n % 101 == 7 else {"name": self.names[n]}

    def create(self, client: IntacctClient) -> list[tuple[bool, str | None]]:
        """Create the records: 990 in batches, and ten one by one."""
        many = [(result.ok, result.key) for result in client.create_many(CUSTOMER, self.new[:-10])]
        return many + [(True, client.create(CUSTOMER, record)["key"]) for record in self.new[-10:]]

    def update(self, client: IntacctClient) -> list[tuple[bool, str | None]]:
        """Change records: nearly all in batches, and five one by one."""
        many = [(result.ok, result.key) for result in client.update_many(CUSTOMER, self.changes[:-5])]
        for change in self.changes[-5:]:
            many.append((True, client.update(CUSTOMER, change["key"], {"name": change["name"]})["key"]))
        return many

    def delete(self, client: IntacctClient) -> list[tuple[bool, str | None]]:
        """Delete records: nearly all in batches, and five one by one.

        Only to another attempt may a record be missing.
        """
        self.attempts += 1
        missing_ok = self.attempts > 1
        many = client.delete_many(CUSTOMER, self.doomed, missing_ok=missing_ok)
        for key in self.deleted[-5:]:
            client.delete(CUSTOMER, str(key), missing_ok=missing_ok)
        return [(result.ok, result.key) for result in many]


def _write(sandbox: Sandbox, schedule: Schedule, outcome: Outcome) -> None:
    plan, told = Plan(schedule.seed), {}

    def write(client: IntacctClient) -> None:
        for phase in (plan.create, plan.update, plan.delete):
            try:
                told[phase.__name__] = phase(client)
            except IntacctInterruptedWriteError as error:
                told[f"part of {phase.__name__}"] = [(result.ok, result.key) for result in error.results]
                raise

    _until_done(sandbox, schedule, outcome, schedule.writing, write)
    sandbox.faults = {}
    _judge(sandbox, plan, told, outcome)


def _judge(
    sandbox: Sandbox, plan: Plan, told: dict[str, list[tuple[bool, str | None]]], outcome: Outcome
) -> None:
    """Compare the client's reports with the stored records, and both with the expected outcome."""
    with sandbox.store.transaction() as conn:
        names = {str(r["key"]): r["name"] for r in conn.execute(f'SELECT "key", "name" FROM "{CUSTOMER}"')}  # noqa: S608
        history = 'SELECT key, action FROM "ia::history" WHERE object = ?'
        events = Counter((str(r["key"]), r["action"]) for r in conn.execute(history, (CUSTOMER,)))
    outcome.wrong("doubled", sum(n > 1 for n in events.values()), "records that were written twice")

    good = [len(record) == 1 for record in plan.new]
    keys: dict[str, list[str]] = {}
    for key, name in names.items():
        keys.setdefault(name, []).append(key)
    found = [keys.get(name, []) for name in plan.names]
    outcome.wrong("doubled", sum(len(one) > 1 for one in found), "records that were created twice")
    outcome.wrong("lost", sum(ok and not one for ok, one in zip(good, found, strict=True)), "creations")
    truth = [(ok, one[0] if ok and one else None) for ok, one in zip(good, found, strict=True)]
    _compare(outcome, told, "create", truth)

    changed = [("status" not in change, change["key"]) for change in plan.changes]
    written = [names.get(change["key"]) == change["name"] for change in plan.changes]
    outcome.wrong(
        "lost", sum(ok and not now for (ok, _), now in zip(changed, written, strict=True)), "changes"
    )
    _compare(outcome, told, "update", [(now, key) for (_, key), now in zip(changed, written, strict=True)])

    left = [key for key in plan.deleted if str(key) in names]
    outcome.wrong("lost", len(left), "deletions")
    _compare(outcome, told, "delete", [(key not in names, key) for key in plan.doomed])
    outcome.wrong(
        "lost", sum(str(n) not in names for n in range(1, SEEDED + 1) if n not in plan.deleted), "others"
    )


def _compare(
    outcome: Outcome,
    told: dict[str, list[tuple[bool, str | None]]],
    phase: str,
    truth: list[tuple[bool, str | None]],
) -> None:
    """Compare reports with the truth; an interrupted attempt has reported only the first part."""
    for name in (phase, f"part of {phase}"):
        reported = told.get(name, [])
        wrong = [pair for pair in zip(reported, truth, strict=False) if pair[0] != pair[1]]
        outcome.wrong(
            "misreported", len(wrong), f"{name}; the first was reported as {wrong[0] if wrong else None}"
        )
    outcome.wrong("misreported", abs(len(told[phase]) - len(truth)), f"results of {phase}")
