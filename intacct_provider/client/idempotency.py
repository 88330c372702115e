"""Idempotency keys, which prevent a second execution of a write, and what the server says about them."""

from __future__ import annotations

import hashlib
import re
import threading
import uuid
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from intacct_provider.exceptions import IntacctAPIError, IntacctIdempotencyError, IntacctServerError

#: Cached failures that are skipped before the last one is accepted.
MAX_GENERATIONS = 10
#: How a server may word which of the two it means; the wording is not documented.
_UNFINISHED = re.compile(
    r"in progress|under way|being processed|already processing|\block|concurrent|simultaneous", re.IGNORECASE
)
_OTHER_CONTENT = re.compile(r"different|mismatch|not match|not the same|\bused\b|reuse", re.IGNORECASE)

_written_in_attempts: Counter[str] = Counter()
_lock = threading.Lock()


@dataclass(slots=True)
class IdempotencyKeys:
    """Makes idempotency keys that a repeated run of the same work makes again.

    The key of a write is made of its scope, its content, and how often that content was written in this
    scope before. With the same scope (an Airflow retry), the server recognizes a write that it has done
    and answers from its cache, for 48 hours, instead of doing it twice.

    :param scopes: what the writes of a method belong to. By default this object alone.
    :param attempt: which attempt at the scope this is. All that make keys for one attempt, in one process, count
        together how often a content was written; without it, this object counts on its own.
    """

    scopes: Mapping[str, str] = field(default_factory=dict)
    attempt: str = ""
    _own: str = field(default_factory=lambda: uuid.uuid4().hex)
    _written: Counter[str] = field(default_factory=Counter)

    def make(self, method: str, path: str, content: bytes) -> str:
        """Return the key for one more write of this content."""
        digest = hashlib.sha256(b"\0".join((method.encode(), path.encode(), content))).hexdigest()
        scope = self.scopes.get(method, self._own)
        written, name = self._written, f"{scope}\0{digest}"
        if self.attempt and method in self.scopes:
            written, name = _written_in_attempts, f"{name}\0{self.attempt}"
        with _lock:
            written[name] += 1
            times = written[name]
        text = f"{scope}\0{digest}\0{times}"
        return f"airflow-{hashlib.sha256(text.encode()).hexdigest()}"


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
