"""A clock of a sandbox that stops a request in the middle of being carried out, for as long as a test says."""

import threading
from datetime import UTC, datetime


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
