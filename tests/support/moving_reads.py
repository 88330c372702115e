"""Everything that reads a company, run as Airflow runs it while the company moves, and judged by the truth."""

import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

from moving_company import ACTIVE, FIELDS, MODIFIED, OBJECT, Company, Watch, render
from moving_server import Behavior, MovingServer

#: Fields that files of every format and tables have as text or exact numbers.
PLAIN = ("key", "id", "name", "status", "totalDue")
#: Fields that are read if the condition of a filter is about their value, too.
ORDER = [{"id": "desc"}]
#: What consists of several reads: a plan reads the records, and those that it protects twice.
READS = {"plan of a sync": 3}


@dataclass
class Result:
    """The outcome of one read.

    :param wrong: what is not exact; nothing if it is.
    :param red: the error that ended it, or nothing.
    :param calls: billed calls.
    :param undisturbed: those of the same read while nothing happens.
    """

    reader: str
    rows: int = 0
    wrong: list = field(default_factory=list)
    red: str = ""
    calls: int = 0
    undisturbed: int = 0
    seconds: float = 0.0
    error: Exception | None = None

    @property
    def bound(self):
        """The highest number of calls that change may cost: twice those of each undisturbed read, plus ten."""
        return 2 * self.undisturbed + 10 * READS.get(self.reader, 1)

    @property
    def exact(self):
        """Whether it is green and nothing is wrong."""
        return not self.red and not self.wrong

    @property
    def good(self):
        """Whether it is green, exact, and within the bound."""
        return self.exact and self.calls <= self.bound

    def __str__(self):
        """Return the cell of a table."""
        calls = f"{self.calls} of {self.bound}" + ("" if self.calls <= self.bound else " (!)")
        return f"{'red' if self.red else 'wrong' if self.wrong else 'exact'}, {calls}"


@dataclass
class Reading:
    """One read that is going on: the server, a folder of its own, and what is asked for.

    :param filters: as Intacct's JSON; None for all records.
    :param behavior: of the server while it is read.
    """

    server: MovingServer
    folder: Path
    behavior: Behavior
    filters: list | None = None
    extra: dict = field(default_factory=dict)

    def watch(self):
        """Let the server behave as it should from now on, and return what a read must see."""
        company = self.server.company
        watch = Watch(company, (lambda _key, state: state.active) if self.filters else None)
        self.server.behave(self.behavior)
        return watch

    def client(self):
        """Return a client, as the hook makes it."""
        return connect(self.server.connection(**self.extra))

    def export(self, **arguments):
        """Export to files."""
        from intacct_provider.transfers.intacct_to_object_storage import IntacctToObjectStorageOperator

        context = arguments.pop("context", {})
        given = {
            "object_name": OBJECT,
            "fields": list(FIELDS),
            "filters": self.filters,
            "destination": f"file://{self.folder}/rows.jsonl",
        } | arguments
        return IntacctToObjectStorageOperator(task_id="export", **given).execute(context)

    def lines(self, name="rows.jsonl"):
        """Yield the rows of the files that a manifest names."""
        manifest = json.loads((self.folder / f"{name}.manifest.json").read_bytes())
        for part in manifest["parts"]:
            with (self.folder / part["name"]).open() as file:
                yield from (tuple(json.loads(line).values()) for line in file)


def connect(connection):
    """Return a client of an Airflow connection, given as text, as the hook makes it."""
    from intacct_provider.client import IntacctClient, IntacctConfig

    given = json.loads(connection)
    place = urlsplit(given["host"])
    return IntacctClient(
        IntacctConfig.from_connection(
            host=f"{place.scheme}://{place.hostname}:{place.port}{place.path}",
            port=None,
            login=given["login"],
            password=given["password"],
            extra=given["extra"],
        )
    )


# --- the readers: each reads, and returns the number of rows and what is wrong


def read_rows(reading):
    """Iterate over the rows."""
    watch = reading.watch()
    with reading.client() as client:
        rows = [
            tuple(row.values())
            for row in client.iter_rows(OBJECT, list(FIELDS), filters=list(reading.filters or ()) or None)
        ]
    return len(rows), watch.judge(rows)


def read_rows_in_order(reading):
    """Iterate over the rows in an order of the user's."""
    watch = reading.watch()
    with reading.client() as client:
        found = client.iter_rows(
            OBJECT, list(FIELDS), filters=list(reading.filters or ()) or None, order_by=ORDER
        )
        rows = [tuple(row.values()) for row in found]
    ids = [row[1] for row in rows]
    return len(rows), watch.judge(rows) + (["not in order"] if ids != sorted(ids, reverse=True) else [])


def read_by_operator(reading):
    """Run the query operator."""
    from intacct_provider.operators.query import IntacctQueryOperator

    watch = reading.watch()
    found = IntacctQueryOperator(
        task_id="query",
        object_name=OBJECT,
        fields=list(FIELDS),
        filters=reading.filters,
        max_records=10**7,
    ).execute({})
    rows = [tuple(row[name] for name in FIELDS) for row in found]
    return len(rows), watch.judge(rows)


def read_jsonl(reading):
    """Export to lines of JSON."""
    watch = reading.watch()
    reading.export()
    rows = list(reading.lines())
    return len(rows), watch.judge(rows, ordered=True)


def read_with_totals(reading):
    """Export to lines of JSON with control totals."""
    watch = reading.watch()
    reading.export(control_totals=["totalDue"])
    rows = list(reading.lines())
    return len(rows), watch.judge(rows, ordered=True)


def read_parquet(reading):
    """Export to Parquet."""
    from pyarrow import parquet

    watch = reading.watch()
    reading.export(
        fields=list(PLAIN), destination=f"file://{reading.folder}/rows.parquet", file_format="parquet"
    )
    columns = parquet.read_table(reading.folder / "rows.parquet").to_pydict().values()
    rows = [tuple(map(str, row)) for row in zip(*columns, strict=True)]
    return len(rows), watch.judge(rows, PLAIN, ordered=True)


def read_into_table(reading, mode):
    """Load into a table of SQLite."""
    from intacct_provider.transfers.intacct_to_sql import IntacctToSqlOperator

    path = reading.folder / "warehouse.db"
    os.environ["AIRFLOW_CONN_WAREHOUSE"] = json.dumps({"conn_type": "sqlite", "host": str(path)})
    watch = reading.watch()
    IntacctToSqlOperator(
        task_id="load",
        sql_conn_id="warehouse",
        object_name=OBJECT,
        fields=list(PLAIN),
        filters=reading.filters,
        table="customers",
        mode=mode,
    ).execute({})
    with closing(sqlite3.connect(path)) as conn:
        found = conn.execute('SELECT "key", "id", "name", "status", "totalDue" FROM customers')
        rows = [(*row[:-1], f"{Decimal(row[-1]):.2f}") for row in found]
    return len(rows), watch.judge(rows, PLAIN)


def read_by_merge(reading):
    """Merge into a table."""
    return read_into_table(reading, "merge")


def read_by_replace(reading):
    """Replace the rows of a table."""
    return read_into_table(reading, "replace")


def read_ranges(reading):
    """Export ranges of keys by mapped tasks, and commit them."""
    from intacct_provider.operators.export_ranges import IntacctCommitExportOperator, IntacctKeyRangesOperator

    watch = reading.watch()
    plan = IntacctKeyRangesOperator(
        task_id="plan", object_name=OBJECT, filters=reading.filters, ranges=4
    ).execute({})
    exports = [reading.export(key_range=one) for one in reversed(plan)]
    destination = f"file://{reading.folder}/rows.jsonl"
    IntacctCommitExportOperator(task_id="commit", destination=destination, exports=exports).execute({})
    rows = list(reading.lines())
    return len(rows), watch.judge(rows, ordered=True)


class Shelf(dict):
    """What Airflow keeps with an asset."""

    def set(self, name, text):
        """Keep a text."""
        self[name] = text


def read_incrementally(reading):
    """Export what changed, with deletions, between two exports at rest; what all three leave must be what is."""
    import datetime as dt

    from airflow.providers.common.compat.sdk import Asset
    from airflow_parts import AssetShelves

    company, asset, shelf, mirror = reading.server.company, Asset("customers"), Shelf(), {}

    def run(number):
        task = SimpleNamespace(
            dag_id="d", task_id="export", run_id=str(number), map_index=-1, max_tries=0, try_number=1
        )
        reading.export(
            incremental=MODIFIED,
            detect_deletes="keys",
            lookback=dt.timedelta(minutes=15),
            outlets=[asset],
            context={"ti": task, "run_id": str(number), "asset_state_store": AssetShelves(asset, shelf)},
        )
        rows = list(reading.lines())
        mirror.update((row[0], row) for row in rows)
        gone = reading.folder / "rows.deleted.jsonl"
        for line in gone.read_text().splitlines() if gone.exists() else ():
            if mirror.pop(json.loads(line)["key"], None) is None:
                reports.append(f"{line} is reported as gone and was never exported")
        return rows

    reports = []
    reading.server.behave(Behavior())
    run(1)
    company.happen("updates", 50)
    company.happen("deletions", 20)
    company.happen("insertions at the end", 20)
    watch = reading.watch()
    possible, before = set(company.everything.keys), dict(mirror)
    rows = run(2)
    reading.counted = reading.server.counted
    reading.server.behave(Behavior())
    throughout, possible = watch.throughout, possible | watch.came
    left = {int(key) for key in mirror}
    wrong = {
        "reported as gone and still exist": {int(key) for key in before.keys() - mirror.keys()} & throughout,
        "gone and not reported": left - possible,
        "lost": {key for key in throughout - watch.touched if key in company.history} - left,
    }
    reports += [describe(what, keys) for what, keys in wrong.items() if keys]
    run(3)
    matching = [key for key in company.everything.keys if watch.matches(key, company.state(key))]
    truth = {str(key): render(key, company.state(key)) for key in matching}
    if not is_unseen(reading.behavior):
        differ = [key for key in truth.keys() | mirror.keys() if truth.get(key) != mirror.get(key)]
        reports += [f"{len(differ)} records differ in the end, such as {differ[0]}"] if differ else []
    return len(rows), reports


def is_unseen(behavior):
    """Whether records change without a stamp, which no incremental export can see."""
    return behavior.kind in ("into and out of the filter",)


def describe(what, keys):
    """Return a line about some records."""
    return f"{len(keys)} records are {what}, such as {sorted(keys)[:3]}"


def read_plan(reading):
    """Plan a mirror of the upper half of the keys; the lower half is protected."""
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    from intacct_provider.operators.sync import IntacctPlanSyncOperator
    from intacct_provider.sync.plan import Plan

    company = reading.server.company
    keys = company.everything.keys
    half = keys[len(keys) // 2] if keys else 0
    mirror = len(keys) <= 100_000
    some = [key for key in keys if key > half and key % 50][:: 1 if mirror else 20]
    desired = [
        {"id": f"C{key:08}", "name": "New" if key % 50 == 1 else render(key, company.state(key))[2]}
        for key in some
    ] + [{"id": f"N{n}", "name": "New"} for n in range(100)]
    watch = reading.watch()
    every = Watch(company)
    sync = {"mode": "upsert"}
    if mirror:
        lower = [{"$lte": {"key": str(half)}}]
        sync = {"mode": "mirror", "scope": "all", "protect": reading.filters or lower}
    path = f"{reading.folder}/customers.plan.json"
    IntacctPlanSyncOperator(
        task_id="plan", object_name=OBJECT, desired=desired, plan_path=f"file://{path}", **sync
    ).execute({})
    plan = Plan.from_json(ObjectStoragePath(f"file://{path}").read_bytes())
    if not mirror:
        always = ever = set()
    elif reading.filters:
        always, ever = watch.throughout, watch.first | watch.came
    else:
        always = ever = {key for key in every.first | every.came if key <= half}
    return plan.live, judge_plan(plan, set(some), every, always, ever)


def judge_plan(plan, some, every, always, ever):
    """Return what is wrong with a plan.

    :param some: keys of the desired records.
    :param every: the watch of all records.
    :param always: keys of the records that were protected all the time.
    :param ever: keys of those that were protected at any time.
    """
    steps = {action: {} for action in ("create", "update", "deactivate", "delete")}
    for step in plan.steps:
        steps[step.action][step.match] = step.key
    created = {int(match[1:]) for match in steps["create"] if match[0] == "C"}
    updated = {int(key) for key in steps["update"].values()}
    deleted = {int(key) for key in steps["delete"].values()}
    still = every.throughout
    calm = still - every.touched
    wrong = {
        "created although they exist": created & still,
        "created although nobody wants them": created - some,
        "not updated": {key for key in some & calm if key % 50 == 1} - updated - ever,
        "updated for nothing": {key for key in updated & calm if key not in some or key % 50 != 1},
        "changed although protected": (updated | deleted) & always & still,
        "deleted although desired": deleted & some,
        "deleted and never existed": deleted - every.first - every.came,
        "not deleted": still - some - ever - deleted if plan.mode == "mirror" else deleted,
        "new and not created": set(range(100 - len(steps["create"]) + len(created))),
    }
    return [describe(what, keys) for what, keys in wrong.items() if keys]


def read_ahead(connection):
    """Return every row, read in pages that many workers read ahead."""
    from intacct_provider.client.paging.row_formats import MappingRows
    from intacct_provider.client.query.request import Query

    with connect(connection) as client:
        pages = client.read_pages(Query.build(OBJECT, list(FIELDS)), MappingRows(FIELDS))
        return [tuple(row.values()) for page in pages for row in page.rows]


def read_in_processes(server, processes, **extra):
    """Read in some processes at once, each with a cache of tokens of its own; return the rows of each."""
    running = [
        subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(processes)
    ]
    for process in running:
        process.stdin.write(server.connection(**extra))
        process.stdin.close()
    found = [process.stdout.read() for process in running]
    if any(process.wait() for process in running):
        raise RuntimeError("a process failed")
    return [list(map(tuple, json.loads(rows))) for rows in found]


READERS: dict[str, Callable] = {
    "JSONL": read_jsonl,
    "Parquet": read_parquet,
    "control totals": read_with_totals,
    "SQL merge": read_by_merge,
    "SQL replace": read_by_replace,
    "mapped ranges": read_ranges,
    "incremental, deletions": read_incrementally,
    "iter_rows": read_rows,
    "plan of a sync": read_plan,
    "iter_rows with order_by": read_rows_in_order,
    "query operator": read_by_operator,
}


def read(reader, behavior, *, count, seed=0, filtered=False, company=None, **extra):
    """Run a reader against a company of its own, and return the outcome of it.

    :param filtered: whether it reads the active records only.
    :param company: in place of a new one.
    :param extra: of the connection.
    """
    result = Result(reader)
    with (
        MovingServer(Company(count, seed) if company is None else company) as server,
        tempfile.TemporaryDirectory(prefix="intacct-moving-") as folder,
    ):
        os.environ["AIRFLOW_CONN_INTACCT_DEFAULT"] = server.connection(**extra)
        reading = Reading(server, Path(folder), behavior, list(ACTIVE) if filtered else None, extra)
        begun = time.perf_counter()
        try:
            result.rows, result.wrong = READERS[reader](reading)
        except Exception as error:
            result.red, result.error = f"{type(error).__name__}: {error}", error
        result.seconds = time.perf_counter() - begun
        counted = getattr(reading, "counted", server.counted)
        result.calls = counted.calls
        result.log = counted.log
    return result


def compare(reader, behavior, *, quiet=None, **how):
    """Run a reader at rest and while the company moves; return the outcome of the second.

    :param quiet: number of calls of the first, if it is known.
    """
    if quiet is None:
        rest = read(reader, Behavior(cap=behavior.cap), **how)
        if not rest.exact:
            raise AssertionError(f"{reader} is not exact at rest: {rest.red} {rest.wrong}")
        quiet = rest.calls
    result = read(reader, behavior, **how)
    result.undisturbed = quiet
    return result


if __name__ == "__main__":
    print(json.dumps(read_ahead(sys.stdin.read())))
