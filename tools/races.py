"""Let processes export to one destination at once, while a reader looks: it must find a matching pair, or no manifest.

    python tools/races.py                      # 1,000 races of two and of five processes
    python tools/races.py --races 20           # the short form
    python tools/races.py --s3                 # on S3, by moto's server
    python tools/races.py --races 200 --pause  # processes are stopped for longer than their claims last

The exports of a race differ in their rows, so that a file of one does not fit the manifest of another. In some races
the second owner waits, in some it fails at once; in some all are attempts of one task. A reader reads the manifest, the
files and the manifest again, all the time. After each race, at least one export must have succeeded, and what it left
must fit.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from airflow.sdk import ObjectStoragePath

from intacct_provider.sandbox import Sandbox
from intacct_provider.storage import claims
from intacct_provider.transfers.intacct_to_object_storage import IntacctToObjectStorageOperator

SUPPORT = Path(__file__).resolve().parent.parent / "tests" / "support"
CUSTOMER = "accounts-receivable/customer"
ROWS = 300
FORMS: dict[str, dict[str, Any]] = {
    "customers.jsonl": {"rows_per_part": 70},
    "customers.csv": {},
    "customers.parquet": {"file_format": "parquet"},
}
#: The only error that a race excuses.
EXCUSED = "IntacctDestinationInUseError"
BUCKET = "races"
#: This many races use one folder, each finding what the one before has left.
FOLDER = 10
FORK = get_context("fork")


class Race:
    """What is random in one race.

    :param folder: of the destination.
    :param pause: whether processes are stopped for longer than their claims last.
    """

    def __init__(self, number: int, folder: str, *, pause: bool) -> None:
        self.rng = random.Random(number)  # noqa: S311 -- for a choice that can be repeated
        self.number, self.folder, self.pause = number, folder, pause
        self.processes = (2, 5)[number % 2]
        self.name = sorted(FORMS)[number // 2 % len(FORMS)]
        self.same_task = self.rng.random() < 0.25
        self.waits = self.rng.random() < 0.5

    @property
    def destination(self) -> str:
        """Where all processes of the race export to."""
        return f"{self.folder}/{self.name}"

    def run(self) -> tuple[Counter[str], Counter[str]]:
        """Run the race; return how its exports ended, and what the reader saw."""
        stop = FORK.Event()
        looks, seen = FORK.Pipe(duplex=False)
        reader = FORK.Process(target=watch, args=(self.destination, stop, seen))
        reader.start()
        ends = [FORK.Pipe(duplex=False) for _ in range(self.processes)]
        exports = [FORK.Process(target=self._export, args=(n, ends[n][1])) for n in range(self.processes)]
        for one in exports:
            one.start()
        if self.pause:
            self._pause([one.pid for one in exports if one.pid])
        for one in exports:
            one.join()
        stop.set()
        results = Counter(one.recv() if one.poll() else "died" for one, _ in ends)
        views: Counter[str] = looks.recv()
        reader.join()
        return results, views

    def _export(self, number: int, end: Connection) -> None:
        """Export in this process."""
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not self.waits:
            claims.WAIT = 0.0
        if self.pause:
            claims.SILENCE, claims.RENEWAL = 0.15, 0.03
        time.sleep(self.rng.random() * 0.05)
        try:
            self.export(number)
            end.send("green")
        except BaseException as err:
            end.send(type(err).__name__)
            if type(err).__name__ != EXCUSED:
                logging.exception("race %d, export %d", self.number, number)

    def export(self, number: int) -> None:
        """Export, some rows fewer than the export of the number before."""
        operator = IntacctToObjectStorageOperator(
            task_id="export",
            object_name=CUSTOMER,
            fields=["key", "id", "name"],
            filters=[{"$gt": {"key": str(number * 31)}}],
            destination=self.destination,
            **FORMS[self.name],
        )
        run = f"race {self.number}" + ("" if self.same_task else f", {number}")
        task = SimpleNamespace(
            dag_id="races", run_id=run, task_id="export", map_index=-1, try_number=number + 1, max_tries=9
        )
        operator.execute({"ti": task})

    def _pause(self, pids: list[int]) -> None:
        """Stop processes, one after the other, for longer than their claims last."""
        until = time.monotonic() + 2
        while time.monotonic() < until:
            pid = self.rng.choice(pids)
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
                time.sleep(self.rng.uniform(0.05, 0.4))
                os.kill(pid, signal.SIGCONT)
            time.sleep(self.rng.uniform(0, 0.1))


def watch(destination: str, stop: Any, seen: Connection) -> None:
    """Look at a destination all the time, and send what was seen."""
    views: Counter[str] = Counter()
    while not stop.is_set():
        views[look(destination)] += 1
        # Not so often that a server of S3 in Python has no time for the exports.
        time.sleep(0.02 if destination.startswith("s3") else 0.0005)
    views[f"end {look(destination)}"] += 1
    seen.send(views)


def look(destination: str) -> str:
    """Read the manifest, its files and the manifest again; return ``fits``, ``none``, ``replaced`` or what is wrong."""
    folder = ObjectStoragePath(destination).parent
    path = f"{destination}.manifest.json"
    before = read(path)
    if before is None:
        return "none"
    try:
        manifest = json.loads(before)
    except ValueError:
        return "WRONG: not JSON"
    found = {part["name"]: read(str(folder / part["name"])) for part in manifest["parts"]}
    if read(path) != before:
        return "replaced"
    digests = {name: hashlib.sha256(content or b"").hexdigest() for name, content in found.items()}
    if None in found.values() or any(digests[part["name"]] != part["sha256"] for part in manifest["parts"]):
        return "WRONG: another file"
    lines = "".join(f"{part['sha256']}  {part['name']}\n" for part in manifest["parts"])
    [whole] = digests.values() if len(digests) == 1 else [hashlib.sha256(lines.encode()).hexdigest()]
    return "fits" if whole == manifest["sha256"] else "WRONG: sha256 of the whole"


def read(uri: str) -> bytes | None:
    """Return the content of a file; None if there is none."""
    path = ObjectStoragePath(uri)
    try:
        content: bytes = path.fs.cat_file(path.path)
    except FileNotFoundError:
        return None
    return content


@contextmanager
def served(server: Callable[[Connection], None]) -> Iterator[str]:
    """Run a server in another process, and return the connection to it."""
    ready, end = FORK.Pipe(duplex=False)
    process = get_context("spawn").Process(target=server, args=(end,), daemon=True)
    process.start()
    try:
        yield ready.recv()
    finally:
        process.terminate()
        process.join()


def serve_company(end: Connection) -> None:
    """Serve a sandbox until the process is ended."""
    with Sandbox(seed=f"{CUSTOMER}={ROWS}") as sandbox:
        end.send(sandbox.connection())
        signal.pause()


def serve_s3(end: Connection) -> None:
    """Serve S3 with a bucket until the process is ended."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # moto writes a line for each request
    import boto3

    sys.path.insert(0, str(SUPPORT))
    import clouds

    with clouds.run_s3() as url:
        keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
        boto3.client("s3", endpoint_url=url, region_name="us-east-1", **keys).create_bucket(Bucket=BUCKET)
        extra = {"endpoint_url": url, "region_name": "us-east-1"}
        end.send(json.dumps({"conn_type": "aws", "login": "testing", "password": "testing", "extra": extra}))
        signal.pause()


def main() -> int:
    """Run the races; return 1 if a reader saw a pair that does not fit, or a race had no export that succeeded."""
    options = _options()
    logging.disable(logging.WARNING)
    begun, exports, views, wrong = time.monotonic(), Counter[str](), Counter[str](), 0
    with ExitStack() as stack:
        base = stack.enter_context(tempfile.TemporaryDirectory(prefix="intacct-races-"))
        os.environ["AIRFLOW_CONN_INTACCT_DEFAULT"] = stack.enter_context(served(serve_company))
        where = Path(base).as_uri()
        if options.s3:
            os.environ["AIRFLOW_CONN_RACES"] = stack.enter_context(served(serve_s3))
            where = f"s3://races@{BUCKET}"
        for number in range(0, 2 * len(FORMS), 2):  # loads what the processes of the races need
            Race(number, f"{Path(base).as_uri()}/first", pause=False).export(0)
        for number in range(options.seed, options.seed + options.races):
            race = Race(number, f"{where}/{number // FOLDER}", pause=options.pause)
            ended, seen = race.run()
            exports += ended
            views += seen
            if problem := find_problem(ended, seen, pause=options.pause):
                wrong += 1
                print(f"race {number} ({race.processes} processes, {race.name}): {problem}", flush=True)
    print(f"{options.races} races in {time.monotonic() - begun:.0f} s: {wrong} wrong")
    for title, counts in (("exports", exports), ("looks", views)):
        print(f"  {title}: " + ", ".join(f"{count} {what}" for what, count in counts.most_common()))
    return 1 if wrong else 0


def find_problem(ended: Counter[str], seen: Counter[str], *, pause: bool = False) -> str:
    """Return what is wrong with a race; nothing if it went well.

    :param pause: whether exports were stopped for longer than their claims last, so that all of them may have lost it.
    """
    problems = [f"{what} ({count} times)" for what, count in seen.items() if "WRONG" in what]
    problems += [f"an export ended with {what}" for what in ended if what not in ("green", EXCUSED)]
    if not pause and (not ended["green"] or not seen["end fits"]):
        problems.append(f"no export is complete: {dict(ended)}, {dict(seen)}")
    return "; ".join(problems)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--races", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0, help="number of the first race")
    parser.add_argument("--s3", action="store_true", help="export to S3, by moto's server")
    parser.add_argument(
        "--pause", action="store_true", help="stop processes for longer than their claims last"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
