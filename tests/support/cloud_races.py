"""Processes that write to one place of an object storage at once, and a reader that looks meanwhile."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import get_context
from types import SimpleNamespace
from typing import Any

from clouds import Cloud

#: Not forked: the libraries of clouds run threads, which a fork does not have.
SPAWN = get_context("spawn")


class Racers:
    """Processes that wait for something to do at once."""

    def __init__(self, cloud: Cloud, connection: str, number: int) -> None:
        self._barrier = SPAWN.Barrier(number)
        self._pipes, self._processes = [], []
        for _ in range(number):
            ours, theirs = SPAWN.Pipe()
            process = SPAWN.Process(
                target=_race, args=(cloud, connection, self._barrier, theirs), daemon=True
            )
            process.start()
            self._pipes.append(ours)
            self._processes.append(process)

    def begin(self, action: str, place: str) -> None:
        """Let each process do the same: ``create`` or ``export``."""
        for number, pipe in enumerate(self._pipes):
            pipe.send((action, place, number))

    def is_done(self) -> bool:
        """Whether each process has finished."""
        return all(pipe.poll(0.002) for pipe in self._pipes)

    def finish(self) -> list[Any]:
        """Return what each process reports."""
        return [pipe.recv() for pipe in self._pipes]

    def close(self) -> None:
        """End the processes."""
        for process in self._processes:
            process.terminate()
            process.join()


@contextmanager
def racers(cloud: Cloud, connection: str, number: int = 2) -> Iterator[Racers]:
    """Run processes."""
    running = Racers(cloud, connection, number)
    try:
        yield running
    finally:
        running.close()


def _race(cloud: Cloud, connection: str, barrier: Any, pipe: Any) -> None:
    os.environ["AIRFLOW_CONN_INTACCT_DEFAULT"] = connection
    cloud.connect()
    cloud.fs.invalidate_cache()
    while True:
        action, place, number = pipe.recv()
        barrier.wait()
        try:
            pipe.send({"create": _create, "export": _export}[action](cloud, place, number))
        except Exception as err:
            pipe.send(f"{type(err).__name__}: {err}")


def _create(cloud: Cloud, place: str, number: int) -> bool:
    from intacct_provider.storage.exclusive import create_exclusively

    return create_exclusively(cloud.path(place), f"process {number}".encode())


def _export(cloud: Cloud, place: str, number: int) -> str:
    """Export; the rows of each process differ."""
    from intacct_provider.storage import claims
    from intacct_provider.transfers.intacct_to_object_storage import IntacctToObjectStorageOperator

    claims.WAIT = 0.0 if place.endswith("csv") else 20.0
    operator = IntacctToObjectStorageOperator(
        task_id="export",
        object_name="accounts-receivable/customer",
        fields=["key", "id", "name"],
        filters=[{"$gt": {"key": str(number * 20)}}],
        destination=str(cloud.path(place)),
        rows_per_part=40 if place.endswith("jsonl") else None,
    )
    task = SimpleNamespace(
        dag_id="races", run_id=f"run {number}", task_id="export", map_index=-1, try_number=1, max_tries=3
    )
    operator.execute({"ti": task})
    return "green"


def look(cloud: Cloud, place: str) -> str:
    """Read the manifest, its files and the manifest again, and return what they are to each other."""
    before = _read(cloud, f"{place}.manifest.json")
    if before is None:
        return "none"
    parts: Sequence[dict[str, Any]] = json.loads(before)["parts"]
    folder = place.rpartition("/")[0]
    found = [_read(cloud, f"{folder}/{part['name']}") for part in parts]
    if _read(cloud, f"{place}.manifest.json") != before:
        return "replaced"
    digests = [hashlib.sha256(content or b"").hexdigest() for content in found]
    return "fits" if digests == [part["sha256"] for part in parts] else "another file"


def _read(cloud: Cloud, place: str) -> bytes | None:
    try:
        return cloud.fs.cat_file(cloud.path(place).path)
    except FileNotFoundError:
        return None
