"""How many requests may be in flight, as the connection allows and the server's responses advise."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

#: Unhindered responses after which one more request may be in flight again.
CLIMB_AFTER = 20
#: Share of a rate limit below which requests are spaced out.
LOW_SHARE = 0.1
#: Seconds between two requests at most, however small a rate limit is.
MAX_SPACING = 5.0
_REMAINING = re.compile(r"X-IA-(?:(Minute|Hour)-Rate|(?:TENANT-)?Throttle)-Limit-Remaining", re.IGNORECASE)
_WINDOWS = {"minute": 60.0, "hour": 3600.0}


class ConcurrencyLimit:
    """Bounds the requests in flight of one client, and spaces them out when a rate limit is near.

    A rejection for rate, or a header that says no slot remains, halves the bound, once for all the requests that were
    in flight together; every 20 unhindered responses raise it by one, up to ``highest``. When less than a tenth of a
    minute's or an hour's requests remains, requests are spaced out to the rate that the limit can sustain.

    Intacct's limit is for the whole company, so several tasks share it: an Airflow pool bounds those.

    :param highest: requests in flight at most.
    """

    def __init__(self, highest: int) -> None:
        self.highest = highest
        self.allowed = highest
        #: Seconds from the beginning of a request to that of the next.
        self.spacing = 0.0
        self._next_begin = 0.0
        self._in_flight = 0
        self._unhindered = 0
        self._steps_down = 0
        self._free = threading.Condition()

    @contextmanager
    def slot(self) -> Iterator[int]:
        """Hold one of the allowed places, waiting until one is free.

        The value is for :meth:`observe`, which takes it back with the response.
        """
        with self._free:
            self._free.wait_for(lambda: self._in_flight < self.allowed)
            self._in_flight += 1
            begun, now = self._steps_down, time.monotonic()
            wait = max(0.0, self._next_begin - now) if self.spacing else 0.0
            self._next_begin = now + wait + self.spacing
        try:
            if wait:
                time.sleep(wait)
            yield begun
        finally:
            with self._free:
                self._in_flight -= 1
                self._free.notify_all()

    def observe(self, status: int, headers: Mapping[str, str], begun: int | None = None) -> None:
        """Learn from a response whether to step down or to climb back.

        :param begun: the value of :meth:`slot`; responses to requests that began before the last step down do not
            cause another one.
        """
        room, spacing = _read_advice(headers)
        with self._free:
            self.spacing = spacing
            if status == 429 or not room:
                if begun in (None, self._steps_down):
                    self.allowed = max(1, self.allowed // 2)
                    self._steps_down += 1
                self._unhindered = 0
                return
            self._unhindered += 1
            if self._unhindered >= CLIMB_AFTER and self.allowed < self.highest:
                self.allowed += 1
                self._unhindered = 0
                self._free.notify_all()


def _read_advice(headers: Mapping[str, str]) -> tuple[bool, float]:
    """Return whether a slot remains, and how many seconds should lie between requests."""
    room, spacing = True, 0.0
    for name, text in headers.items():
        found = _REMAINING.fullmatch(name)
        remaining = _parse_number(text) if found else None
        if found is None or remaining is None:
            continue
        window = _WINDOWS.get((found[1] or "").lower())
        if window is None:
            room = room and remaining > 0
            continue
        limit = _parse_number(headers.get(name[: -len("-Remaining")]))
        if limit and remaining < limit * LOW_SHARE:
            spacing = max(spacing, min(MAX_SPACING, window / limit))
    return room, spacing


def _parse_number(text: str | None) -> int | None:
    text = (text or "").strip()
    return int(text) if text.isdecimal() else None
