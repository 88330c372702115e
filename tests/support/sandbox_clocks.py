"""Clocks of a sandbox that obey a test: one that stands still, and one that stops a request partway."""

import threading
from datetime import UTC, datetime, timedelta

START = datetime(2025, 3, 16, 12, tzinfo=UTC)
#: Ten seconds in each state of a job, and one record a second: every moment is a whole number.
SLOW_JOBS = {"job_seconds": 10, "job_rate": 1, "token_life": 1e9}


class StandingClock:
    """The time of a sandbox, which passes only when a test says so."""

    def __init__(self):
        self.seconds = 0

    def __call__(self):
        return START + timedelta(seconds=self.seconds)


class HeldClock:
    """The present moment; once :attr:`holding` is set, the next request that asks for it waits for :attr:`let_go`.

    It waits while it is carried out, holding its idempotency key and the company's records.
    """

    def __init__(self):
        self.holding = False
        self.reached, self.let_go = threading.Event(), threading.Event()

    def __call__(self):
        # Requests are carried out in workers; the thread that answers must never wait.
        if self.holding and threading.current_thread().name.startswith("AnyIO worker"):
            self.holding = False
            self.reached.set()
            assert self.let_go.wait(20), "nobody let the held request go"
        return datetime.now(UTC)
