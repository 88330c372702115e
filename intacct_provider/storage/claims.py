"""One owner at a time for a destination, on storages where only one of several writers creates a file.

The owner's claim is a hidden file beside the destination. Its content says who the owner is and when it was last seen;
the owner renews it while it works. A claim that is taken over stays: the next owner creates a file that is named after
the token of the claim before, so that of several that try only one succeeds. The last claim of that chain counts, and
each owner writes to its own file only. An owner that is done removes the first one, which ends all of them.
"""

from __future__ import annotations

import datetime as dt
import fcntl
import hashlib
import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Annotated, Self

import msgspec
from msgspec import structs

from intacct_provider.exceptions import IntacctArgumentError, IntacctDestinationInUseError
from intacct_provider.storage.conditions import read_version, remove_if, write_if
from intacct_provider.storage.exclusive import can_create_exclusively, create_exclusively
from intacct_provider.storage.files import (
    ObjectStoragePath,
    is_local,
    list_beside,
    prepare,
    read_small,
    remove,
    writable,
)
from intacct_provider.storage.kinds import check_regular

log = logging.getLogger(__name__)

#: Seconds without a sign of life after which a claim may be taken over.
SILENCE = 600.0
#: Seconds between two signs of life.
RENEWAL = 60.0
#: Seconds that a second owner waits for the first one, before its task fails and Airflow retries it.
WAIT = 30.0
_POLL = 0.25
#: Times that a claim is tried, however short the wait: each owner before may end just when the next one looks.
_TRIES = 5


class Holder(msgspec.Struct, frozen=True):
    """Who writes to a destination: a task, in whichever attempt, or a process outside of Airflow."""

    dag_id: str = ""
    run_id: str = ""
    task_id: str = ""
    map_index: int = -1
    process: str = msgspec.field(default_factory=lambda: f"process {os.getpid()} on {socket.gethostname()}")

    def __str__(self) -> str:
        """Return how messages name it."""
        if not self.dag_id:
            return self.process
        index = f", map index {self.map_index}" if self.map_index >= 0 else ""
        return f"task {self.task_id!r}{index} of run {self.run_id!r} of DAG {self.dag_id!r} ({self.process})"

    @property
    def task(self) -> tuple[str, str, str] | None:
        """The task without its map index; None outside of Airflow."""
        return (self.dag_id, self.run_id, self.task_id) if self.dag_id else None

    def is_same_task(self, other: Holder) -> bool:
        """Whether the other is an attempt of the same task."""
        return self.task is not None and self.task == other.task and self.map_index == other.map_index

    def is_sibling(self, other: Holder) -> bool:
        """Whether the other is another mapped task of the same run."""
        return self.task is not None and self.task == other.task and self.map_index != other.map_index


_Time = Annotated[dt.datetime, msgspec.Meta(tz=True)]


class _Record(msgspec.Struct, frozen=True):
    """What a claim says.

    :param token: names the file of the next claim.
    """

    token: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{16}$")]
    holder: Holder
    since: _Time
    renewed: _Time

    def encode(self) -> bytes:
        """Return the content of the file; its length does not change when the claim is renewed."""
        times = {
            name: getattr(self, name).isoformat(timespec="microseconds") for name in ("since", "renewed")
        }
        return msgspec.json.encode({**structs.asdict(self), **times})

    def is_silent(self) -> bool:
        """Whether the owner has given no sign of life for long; one in the far future was given by a wrong clock."""
        return abs((_now() - self.renewed).total_seconds()) > SILENCE

    def __str__(self) -> str:
        since, renewed = (f"{at:%Y-%m-%d %H:%M:%S} UTC" for at in (self.since, self.renewed))
        return f"{self.holder} since {since} (last sign of life at {renewed})"


class Claim:
    """The right to write to a destination; use it in a ``with`` statement.

    On a storage without exclusive creation it is given to everyone, see :attr:`exclusive`.

    :param target: the destination.
    :raises IntacctDestinationInUseError: naming the owner, if there is one for as long as :data:`WAIT`.
    :raises IntacctArgumentError: naming the owner, if it is another mapped task of the same run; or if the destination
        cannot be written.
    """

    def __init__(self, target: ObjectStoragePath, holder: Holder) -> None:
        self.target, self.holder = target, holder
        #: Whether there is only one owner at a time.
        self.exclusive = can_create_exclusively(target)
        self._root = _first_claim(target)
        self._path = self._root
        now = _now()
        self._record = _Record(uuid.uuid4().hex[:16], holder, now, now)
        self._done = threading.Event()
        self._renewing = threading.Thread(target=self._keep_renewing, name="renew-claim", daemon=True)

    def __enter__(self) -> Self:
        if self.exclusive:
            with writable(self.target):
                prepare(self.target)
                check_regular(self._root)
                self._acquire()
            self._renewing.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        if self.exclusive:
            # A renewal that arrives after the release would create the claim again.
            self._renewing.join(WAIT)
            # What the task has done, or the error that ended it, matters more than a file that is left.
            with suppress(Exception):
                self._release()

    def check(self) -> None:
        """Make sure that nobody has taken the destination over.

        :raises IntacctDestinationInUseError: naming who has.
        """
        if not self.exclusive:
            return
        chain = self._read_chain()
        if not chain or chain[-1].token != self._record.token:
            owner = chain[-1] if chain else "another task"
            raise IntacctDestinationInUseError(
                f"Destination {str(self.target)!r} was taken over by {owner}, and this task, {self.holder}, stopped "
                "before it published anything more."
            )

    @contextmanager
    def publishing(self) -> Iterator[None]:
        """Publish alone: :meth:`check`, and on a disk keep every next owner from publishing until this one is done.

        :raises IntacctDestinationInUseError: as :meth:`check` does.
        """
        self._restore()
        with self._lock():
            self.check()
            yield

    def _restore(self) -> None:
        """Create the claim again where a person has removed it, and nobody else owns the destination."""
        if self.exclusive and not self._read_chain():
            self._create(self._root)

    def _acquire(self) -> None:
        deadline, tries, waited = time.monotonic() + WAIT, 0, False
        while True:
            chain = self._read_chain()
            if not chain or self._may_follow(chain[-1]):
                path, tries = _successor(self._root, chain[-1]) if chain else self._root, tries + 1
                if self._create(path):
                    return
                if tries >= _TRIES and time.monotonic() > deadline:
                    raise IntacctDestinationInUseError(
                        f"Destination {str(self.target)!r} could not be claimed in {tries} tries: {path.name!r} beside "
                        f"it cannot be created, and nobody's claim is found. This task, {self.holder}, read and wrote "
                        "nothing; its retry tries again. May its user read, write and list there?"
                    )
            elif time.monotonic() > deadline:
                raise IntacctDestinationInUseError(
                    f"Destination {str(self.target)!r} is being written by {chain[-1]}. This task, {self.holder}, read "
                    "and wrote nothing; its retry tries again. Exports that run at the same time need destinations of "
                    "their own, such as with {{ run_id }} in the name."
                )
            elif not waited:
                waited = True
                log.info(
                    "Intacct: waiting for destination %s, which is written by %s.", self.target, chain[-1]
                )
            time.sleep(_POLL)

    def _may_follow(self, owner: _Record) -> bool:
        """Whether a claim may be taken over.

        :raises IntacctArgumentError: if its owner is another mapped task of the run.
        """
        if owner.holder.is_sibling(self.holder):
            raise IntacctArgumentError(describe_siblings(self.target, owner.holder, self.holder))
        return owner.holder.is_same_task(self.holder) or owner.is_silent()

    def _create(self, path: ObjectStoragePath) -> bool:
        """Create the claim's file; return whether it counts."""
        self._record = structs.replace(self._record, renewed=_now())
        if not create_exclusively(path, self._record.encode()):
            return False
        version, chain = read_version(path), self._read_chain()
        if not chain or chain[-1].token != self._record.token:
            if (found := _read(path)) and found.token == self._record.token:
                remove_if(path, version)  # it follows a claim that is gone
            return False
        self._path = path
        return True

    def _read_chain(self) -> list[_Record]:
        return _read_chain(self._root)

    def _release(self) -> None:
        for _ in range(_TRIES):  # the first owner, which was only asleep, may renew its claim meanwhile
            version, chain = read_version(self._root), self._read_chain()
            if not chain or chain[-1].token != self._record.token:
                return  # the next owner removes all of them
            # Listed before the first one goes: afterwards, there may be claims of the next owners.
            others = list_beside(self._root, f"{self._root.name}.")
            if remove_if(self._root, version):
                for path in others:
                    remove(path)
                return

    def _keep_renewing(self) -> None:
        while not self._done.wait(RENEWAL):
            # check() finds an owner that has taken it over meanwhile.
            with suppress(Exception):
                self._renew()

    def _renew(self) -> None:
        renewed = structs.replace(self._record, renewed=_now())
        if is_local(self._path):
            with open(self._path.path, "r+b") as file:  # never creates it again
                file.write(renewed.encode())
                file.truncate()
            return
        version = read_version(self._path)
        if (found := _read(self._path)) and found.token == renewed.token:
            write_if(self._path, renewed.encode(), version)

    @contextmanager
    def _lock(self) -> Iterator[None]:
        """Lock the first claim's file, which all owners know, until the end of the block or of the process."""
        file = self._open_root() if self.exclusive and is_local(self._root) else None
        try:
            yield
        finally:
            if file is not None:
                os.close(file)

    def _open_root(self) -> int | None:
        """Open the first claim's file and lock it; None where files cannot be locked.

        :raises IntacctDestinationInUseError: if somebody has it locked for very long.
        """
        deadline = time.monotonic() + SILENCE
        while time.monotonic() < deadline:
            try:
                file = os.open(self._root.path, os.O_RDONLY)
            except FileNotFoundError:  # removed by an owner whose claim this one has followed
                self._restore()
                self.check()
                continue
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(file)
                time.sleep(_POLL)
                continue
            except OSError:
                os.close(file)
                return None
            if _is_at(file, self._root.path):
                return file
            os.close(file)
        raise IntacctDestinationInUseError(
            f"Another process publishes to {str(self.target)!r} and does not finish. This task, {self.holder}, "
            "published nothing; its retry tries again."
        )


def find_owner(target: ObjectStoragePath) -> str | None:
    """Return who writes to a destination, and since when; None if nobody has given a sign of life lately."""
    chain = _read_chain(_first_claim(target))
    return str(chain[-1]) if chain and not chain[-1].is_silent() else None


def describe_siblings(target: ObjectStoragePath, owner: Holder, other: Holder) -> str:
    """Return what is wrong when two mapped tasks of one run have one destination."""
    return (
        f"Mapped tasks {owner.map_index} and {other.map_index} of task {owner.task_id!r} in run {owner.run_id!r} of "
        f"DAG {owner.dag_id!r} have the same destination {str(target)!r}, so one would replace what the other exports. "
        "Give each a destination of its own, such as with {{ ti.map_index }} in the name."
    )


def _first_claim(target: ObjectStoragePath) -> ObjectStoragePath:
    return target.with_name(f".{target.name.removeprefix('.')}.claim")


def _successor(first: ObjectStoragePath, owner: _Record) -> ObjectStoragePath:
    return first.with_name(f"{first.name}.{owner.token}")


def _read_chain(first: ObjectStoragePath) -> list[_Record]:
    """Return the claims that follow each other; the last one counts."""
    chain: list[_Record] = []
    path = first
    while record := _read(path):
        chain.append(record)
        path = _successor(first, record)
    return chain


def _read(path: ObjectStoragePath) -> _Record | None:
    content = read_small(path)
    if content is None:
        return None
    try:
        return msgspec.json.decode(content, type=_Record)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    # Written in part, or by somebody else: as old as its file.
    try:
        changed = path.fs.modified(path.path)
    except FileNotFoundError:
        return None
    return _Record(
        hashlib.sha256(content).hexdigest()[:16], Holder(process="an unknown process"), changed, changed
    )


def _is_at(file: int, path: str) -> bool:
    """Whether an open file still has its name."""
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(file), os.stat(path))
    return False


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
