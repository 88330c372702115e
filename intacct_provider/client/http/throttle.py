"""How many requests may be in flight, as the connection allows and the server's responses advise."""

from __future__ import annotations

import re
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from intacct_provider.client.config import MAX_CONCURRENCY

#: Requests in flight under ``auto`` until a response reports a limit.
INITIAL_CONCURRENCY = 4
#: Unhindered responses after which one more request may be in flight again, once a request was rejected.
CLIMB_AFTER = 20
#: Seconds of each ``YIELD_EVERY`` in which a client that holds most of a full limit leaves one request free.
YIELD_FOR, YIELD_EVERY = 1.0, 20.0
#: Seconds for which a thread that has a response lets the next one send its request. Decoding at once would hold it up.
HAND_OVER = 0.001
#: Share of a rate limit below which requests are spaced out.
LOW_SHARE = 0.1
#: Seconds between two requests at most, however small a rate limit is.
MAX_SPACING = 5.0
_REMAINING = re.compile(r"X-IA-(?:(Minute|Hour)-Rate|(?:TENANT-)?Throttle)-Limit-Remaining", re.IGNORECASE)
_LIMIT = re.compile(r"X-IA-(?:TENANT-)?Throttle-Limit", re.IGNORECASE)
_WINDOWS = {"minute": 60.0, "hour": 3600.0}
#: A number in a header; longer ones are not believed.
_NUMBER = re.compile(r"([0-9]{1,15})(?:\.0*)?")


@dataclass(slots=True, eq=False)
class Slot:
    """The right to have one request in flight.

    :param steps_down: how often the bound had been lowered after a rejection when the request began.
    :param most_own: how many requests of this client were in flight at once, at most, while it was.
    :param pause: seconds to wait before the request begins.
    """

    steps_down: int = 0
    most_own: int = 0
    pause: float = 0.0
    ready: threading.Event = field(default_factory=threading.Event, repr=False)


class ConcurrencyLimit:
    """Bounds the requests in flight of one client, and spaces them out when a rate limit is near.

    Intacct's limit is for the whole company, so other tasks use it, too. Headers report it and what remains of it;
    what this client itself has in flight is not counted as used by others. The bound

    - falls at once to what the headers leave to this client, and to its half when a request is rejected for rate (once
      for all the requests that were in flight together);
    - rises by one with each unhindered response, or with every 20 once a request was rejected, up to what the headers
      leave to this client. Without such headers it does not rise above where it began.

    When this client has most of a limit that is used up, it leaves one request free for a second in twenty, since
    otherwise another client would never get in.

    When less than a tenth of a minute's or an hour's requests remains, requests are spaced out to the rate that the
    limit can sustain.

    :param highest: requests in flight at most; ``auto`` for as many as the headers report, and 4 without them.
    """

    def __init__(self, highest: int | Literal["auto"]) -> None:
        self.highest = MAX_CONCURRENCY if highest == "auto" else highest
        self.allowed = INITIAL_CONCURRENCY if highest == "auto" else highest
        #: Seconds from the beginning of a request to that of the next.
        self.spacing = 0.0
        self._began = time.monotonic()
        self._next_begin = 0.0
        self._ceiling = self.allowed
        self._climb_after = 1
        self._unhindered = 0
        self._steps_down = 0
        self._dominant = False
        self._held: set[Slot] = set()
        self._waiting: deque[Slot] = deque()
        self._lock = threading.Lock()

    @contextmanager
    def slot(self) -> Iterator[Slot]:
        """Hold one of the allowed places, waiting in line until one is free.

        The value is for :meth:`observe`, which takes it back with the response.
        """
        slot = Slot()
        try:
            with self._lock:
                self._waiting.append(slot)
                self._hand_out()
            slot.ready.wait()
            if slot.pause:
                time.sleep(slot.pause)
            yield slot
        finally:
            with self._lock:
                if slot in self._held:
                    self._held.remove(slot)
                else:
                    self._waiting.remove(slot)
                handed_out = self._hand_out()
            if handed_out:
                time.sleep(HAND_OVER)

    def read_allowed(self) -> int:
        """Return how many requests may be in flight now."""
        return self._count_places()

    def observe(self, status: int | None, headers: Mapping[str, str], slot: Slot) -> None:
        """Learn from a response whether to step down or to climb.

        :param slot: what :meth:`slot` returned for the request. A rejection of one that began before the last step down
            does not cause another one.
        """
        advice = _read_advice(headers)
        with self._lock:
            self.spacing = advice.spacing
            current = slot.steps_down == self._steps_down
            self._note_ceiling(advice, slot, current)
            if status == 429:
                self._unhindered, self._climb_after = 0, CLIMB_AFTER
                if current:
                    self.allowed = max(1, min(self.allowed // 2, self._ceiling))
                    self._steps_down += 1
            elif self._ceiling < self.allowed:
                self.allowed, self._unhindered = self._ceiling, 0
            else:
                self._climb()
            self._hand_out()

    def _note_ceiling(self, advice: _Advice, slot: Slot, current: bool) -> None:
        """Note what the headers leave to this client: what remains, and what it has in flight itself."""
        if not advice.limits:
            return
        room, limit = min(_find_room(limit, remaining, slot.most_own) for limit, remaining in advice.limits)
        ceiling = max(1, min(room, self.highest))
        # A request that began before the last step down had more company, so it says how few there may be only.
        self._ceiling = ceiling if current else min(ceiling, self._ceiling)
        self._dominant = room <= self.allowed and 2 * self.allowed > limit

    def _climb(self) -> None:
        self._unhindered += 1
        if self._unhindered >= self._climb_after and self.allowed < self._ceiling:
            self.allowed += 1
            self._unhindered = 0

    def _hand_out(self) -> bool:
        """Let requests begin, first come, first served; return whether any did."""
        handed_out = False
        while self._waiting and len(self._held) < self._count_places():
            slot, now = self._waiting.popleft(), time.monotonic()
            self._held.add(slot)
            for held in self._held:
                held.most_own = max(held.most_own, len(self._held))
            slot.steps_down = self._steps_down
            slot.pause = max(0.0, self._next_begin - now) if self.spacing else 0.0
            self._next_begin = now + slot.pause + self.spacing
            slot.ready.set()
            handed_out = True
        return handed_out

    def _count_places(self) -> int:
        """Return how many requests may be in flight at this moment."""
        yields = self._dominant and (time.monotonic() - self._began) % YIELD_EVERY >= YIELD_EVERY - YIELD_FOR
        return max(1, self.allowed - 1) if yields else self.allowed


class _Advice(NamedTuple):
    """What headers report.

    :param limits: how many requests may be in flight, and how many more; None for what is unknown.
    :param spacing: seconds that should lie between requests.
    """

    limits: list[tuple[int | None, int | None]]
    spacing: float


def _find_room(limit: int | None, remaining: int | None, own: int) -> tuple[int, int]:
    """Return how many requests a limit leaves to this client, and the limit, as far as it is known."""
    room = own + remaining if remaining is not None else limit or 0
    return (room, room) if limit is None else (min(room, limit), limit)


def _read_advice(headers: Mapping[str, str]) -> _Advice:
    limits: list[tuple[int | None, int | None]] = []
    spacing = 0.0
    for name, text in headers.items():
        limiting, found = _LIMIT.fullmatch(name), _REMAINING.fullmatch(name)
        number = _parse_number(text) if limiting or found else None
        if number is None:
            continue
        if limiting:
            limits.append((number, _parse_number(headers.get(f"{name}-Remaining"))))
        elif found:
            limit = _parse_number(headers.get(name[: -len("-Remaining")]))
            window = _WINDOWS.get((found[1] or "").lower())
            if window is None and limit is None:
                limits.append((None, number))
            elif window and limit and number < limit * LOW_SHARE:
                spacing = max(spacing, min(MAX_SPACING, window / limit))
    return _Advice(limits, spacing)


def _parse_number(text: str | None) -> int | None:
    """Return the smallest of the numbers in a header, which something in between may have repeated."""
    found = [_NUMBER.fullmatch(part.strip()) for part in (text or "").split(",")]
    return min((int(one[1]) for one in found if one), default=None) if all(found) else None
