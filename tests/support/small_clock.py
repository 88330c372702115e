"""What makes a small world quick and repeatable: a clock that obeys, calls without threads, HTTP without a network."""

import io
import logging
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from random import Random
from urllib.parse import urlencode

import requests
from requests.structures import CaseInsensitiveDict
from urllib3.exceptions import IncompleteRead

from intacct_provider.client.http import connections

#: When every small world begins: wall clock (2026-11-20) and the clock that nobody sets.
BEGINNING = 1_795_132_800.0, 5_000.0
#: Seconds that one call takes.
CALL = 0.2


class Clock:
    """Time that passes only when somebody sleeps or waits for an answer; for one thread, others keep the real one."""

    def __init__(self):
        self.passed = 0.0
        self._thread = threading.get_ident()
        self._real = (time.sleep, time.time, time.monotonic, threading.Event.wait)

    def _mine(self):
        return threading.get_ident() == self._thread

    def sleep(self, seconds):
        if self._mine():
            self.passed += seconds
        else:
            self._real[0](seconds)

    def time(self):
        return BEGINNING[0] + self.passed if self._mine() else self._real[1]()

    def monotonic(self):
        return BEGINNING[1] + self.passed if self._mine() else self._real[2]()

    def patches(self):
        """Return what replaces the real clock."""

        def wait(event, timeout=None):
            if timeout is None or not self._mine():
                return self._real[3](event, timeout)
            self.passed += timeout
            return event.is_set()

        yield (time, "sleep", self.sleep)
        yield (time, "time", self.time)
        yield (time, "monotonic", self.monotonic)
        yield (threading.Event, "wait", wait)


class Pool:
    """Carries out what is submitted to thread pools in this thread, in an order that can be repeated.

    :param order: ``at once``, as if every call were answered before the next thing happens; ``late``, each when its
        result is waited for; ``last first``, all that wait from the last to the first; or a seed for a random order.
    """

    def __init__(self, order="at once"):
        self.order = order
        self.waiting = []
        self._random = Random(order) if isinstance(order, int) else None

    def submit(self, call, args, kwargs):
        future = _Inline(self, lambda: call(*args, **kwargs))
        self.waiting.append(future)
        if self.order == "at once":
            self.run(future)
        return future

    def run_for(self, future):
        """Run what comes before a future's result, and that."""
        while not future.done():
            if self.order == "last first":
                self.run(self.waiting[-1])
            elif self._random:
                self.run(self._random.choice(self.waiting))
            else:
                self.run(future)

    def run(self, future):
        self.waiting.remove(future)
        future.run()

    def cancel(self):
        for future in self.waiting:
            future.cancel()
        self.waiting.clear()

    def patches(self):
        """Return what replaces threads."""
        yield (
            ThreadPoolExecutor,
            "submit",
            lambda _pool, call, /, *args, **kwargs: self.submit(call, args, kwargs),
        )
        yield ThreadPoolExecutor, "shutdown", lambda *_args, **_kwargs: self.cancel()


class _Inline(Future):
    def __init__(self, pool, call):
        super().__init__()
        self._pool, self._call = pool, call

    def run(self):
        if not self.set_running_or_notify_cancel():
            return
        try:
            self.set_result(self._call())
        except BaseException as err:  # it belongs to the caller that asks for the result
            self.set_exception(err)

    def result(self, timeout=None):
        self._pool.run_for(self)
        return super().result(timeout)

    def exception(self, timeout=None):
        self._pool.run_for(self)
        return super().exception(timeout)


def _send(handle, session, method, url, *, params, data, headers, auth, timeout, **_options):
    """Send a request as a session does, with no more of its work than clients of this provider see: it is quick.

    :param handle: takes a request and a timeout; returns status, headers and content, or raises.
    """
    prepared = requests.PreparedRequest()
    prepared.method, prepared.url = method, f"{url}?{urlencode(params)}" if params else url
    prepared.headers = CaseInsensitiveDict({**session.headers, **headers})
    prepared.body = urlencode(data) if isinstance(data, dict) else data
    status, headers, content = handle(auth(prepared), timeout)
    response = requests.Response()
    response.status_code, response.request, response.url = status, prepared, prepared.url
    response.headers = CaseInsensitiveDict(
        {"Content-Type": "application/json", "Content-Length": str(len(content))} | headers
    )
    response.raw = _Content(content)
    if status != 204:  # there is no content to lack
        response.raw.lacking = int(response.headers["Content-Length"]) - len(content)
    return response


class _Content(io.BytesIO):
    """Content of a response; where it breaks off, reading it fails as in urllib3."""

    lacking = 0

    def read(self, size=-1, decode_content=False):
        piece = super().read(size)
        if not piece and self.lacking:
            raise IncompleteRead(self.tell(), self.lacking)
        return piece


@contextmanager
def in_small(handle, clock, pool):
    """Let every client of this thread meet a small world, and no network, thread or real time."""
    patches = [
        (requests.Session, "request", lambda session, *args, **how: _send(handle, session, *args, **how)),
        # Looking for proxies in the environment takes as long as a call.
        (connections, "get_environ_proxies", lambda *_args, **_kwargs: {}),
        *clock.patches(),
        *pool.patches(),
    ]
    before = [(owner, name, getattr(owner, name)) for owner, name, _new in patches]
    silent = logging.root.manager.disable
    if silent < logging.CRITICAL:  # it makes every logger forget what it knows
        logging.disable(logging.CRITICAL)
    try:
        for owner, name, new in patches:
            setattr(owner, name, new)
        yield
    finally:
        for owner, name, old in before:
            setattr(owner, name, old)
        if silent < logging.CRITICAL:
            logging.disable(silent)
