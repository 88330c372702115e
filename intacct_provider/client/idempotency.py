"""Idempotency keys, which prevent a second execution of a write, and what the server says about them."""

from __future__ import annotations

import hashlib
import re
import threading
import uuid
from collections import Counter, OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field

from intacct_provider.client.forks import call_after_fork, renew_after_fork
from intacct_provider.exceptions import IntacctAPIError, IntacctIdempotencyError, IntacctServerError

#: Cached failures that are skipped before the last one is accepted.
MAX_GENERATIONS = 10
#: How a server may word which of the two it means; the wording is not documented.
_UNFINISHED = re.compile(
    r"in progress|under way|being processed|already processing|\block|concurrent|simultaneous", re.IGNORECASE
)
_OTHER_CONTENT = re.compile(r"different|mismatch|not match|not the same|\bused\b|reuse", re.IGNORECASE)

#: Attempts at scopes that a process remembers.
MAX_ATTEMPTS = 100

#: How often a content was written, by scope and attempt; of the attempts used last.
_written_in_attempts: OrderedDict[str, Counter[bytes]] = OrderedDict()
_lock = threading.Lock()


def _renew_after_fork() -> None:
    global _lock  # a lock cannot be released by a thread that is not here
    _lock = threading.Lock()


call_after_fork(_renew_after_fork)


@dataclass(slots=True, eq=False, weakref_slot=True)
class IdempotencyKeys:
    """Makes idempotency keys that a repeated run of the same work makes again.

    The key of a write is made of its scope, its content, and how often that content was written in this
    scope before. With the same scope (an Airflow retry), the server recognizes a write that it has done
    and answers from its cache, for 48 hours, instead of doing it twice.

    :param scopes: what the writes of a method belong to. By default this object alone, in this process alone.
    :param attempt: which attempt at the scope this is. All that make keys for one attempt, in one process, count
        together how often a content was written; without it, this object counts on its own.
    """

    scopes: Mapping[str, str] = field(default_factory=dict)
    attempt: str = ""
    _own: str = field(default_factory=lambda: uuid.uuid4().hex)
    _made: int = 0
    _written: Counter[bytes] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        renew_after_fork(self)

    def renew_after_fork(self) -> None:
        """Make keys that differ from those of the parent process, where no scope is given."""
        self._own = uuid.uuid4().hex

    def make(self, method: str, path: str, content: bytes) -> str:
        """Return the key for one more write of this content."""
        digest = hashlib.sha256(b"\0".join((method.encode(), path.encode(), content))).digest()
        with _lock:
            scope, times = self._count(method, digest)
        text = f"{scope}\0{digest.hex()}\0{times}"
        return f"airflow-{hashlib.sha256(text.encode()).hexdigest()}"

    def _count(self, method: str, digest: bytes) -> tuple[str, int]:
        """Return the scope of a write, and how often its content was written there."""
        scope = self.scopes.get(method)
        if scope is None:
            self._made += 1  # never the same again, so no content need be remembered
            return self._own, self._made
        written = _count_attempt(f"{self.attempt}\0{scope}") if self.attempt else self._written
        name = hashlib.sha256(scope.encode() + digest).digest()
        written[name] += 1
        return scope, written[name]


def _count_attempt(attempt: str) -> Counter[bytes]:
    """Return what was written in an attempt at a scope; the least recently used attempts are forgotten."""
    written = _written_in_attempts.setdefault(attempt, Counter())
    _written_in_attempts.move_to_end(attempt)
    while len(_written_in_attempts) > MAX_ATTEMPTS:
        _written_in_attempts.popitem(last=False)
    return written


def find_unfinished(error: IntacctAPIError | None, *, maybe_already_done: bool) -> IntacctServerError | None:
    """Return what to raise if another request under the same key has still not ended after all retries, else None.

    A server holds a lock on the key of a request until it has ended, and rejects others with 409. What else is
    rejected with 409 is kept under its key, so after a lost response it comes as a replay when it is asked again.

    :param maybe_already_done: whether an earlier attempt may still be in flight.
    """
    if error is None or error.status != 409 or error.replayed:
        return None
    about_key = error.message if isinstance(error, IntacctIdempotencyError) else ""
    if not (_UNFINISHED.search(about_key) or (maybe_already_done and not _OTHER_CONTENT.search(about_key))):
        return None
    return IntacctServerError(
        error.message,
        status=error.status,
        code=error.code,
        error_id=error.error_id,
        support_id=error.support_id,
        hint="An earlier request for this write is still running, so its outcome is unknown. An Airflow retry reuses "
        "the same key; in a script, check before writing again.",
    )
