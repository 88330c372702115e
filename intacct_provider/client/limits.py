"""How many requests may be in flight, as the connection allows and the server's answers advise."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

#: Unhindered answers after which one more request may be in flight again.
CLIMB_AFTER = 20


class ConcurrencyLimit:
    """Bounds the requests in flight of one client.

    A refusal for rate, or a header that says no slot remains, halves the bound; every 20 unhindered
    answers raise it by one, up to ``highest``. Intacct's limit is for the whole company, so several
    tasks share it: an Airflow pool bounds those.

    :param highest: requests in flight at most.
    """

    def __init__(self, highest: int) -> None:
        self.highest = highest
        self.allowed = highest
        self._in_flight = 0
        self._unhindered = 0
        self._free = threading.Condition()

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Hold one of the allowed places, waiting until one is free."""
        with self._free:
            self._free.wait_for(lambda: self._in_flight < self.allowed)
            self._in_flight += 1
        try:
            yield
        finally:
            with self._free:
                self._in_flight -= 1
                self._free.notify_all()

    def observe(self, status: int, headers: Mapping[str, str]) -> None:
        """Learn from an answer whether to step down or to climb back."""
        with self._free:
            if status == 429 or headers.get("X-IA-Throttle-Limit-Remaining", "").strip() == "0":
                self.allowed = max(1, self.allowed // 2)
                self._unhindered = 0
                return
            self._unhindered += 1
            if self._unhindered >= CLIMB_AFTER and self.allowed < self.highest:
                self.allowed += 1
                self._unhindered = 0
                self._free.notify_all()
