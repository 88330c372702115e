"""What makes a small world quick and repeatable: a clock that obeys, calls without threads, HTTP without a network."""

import io
import logging
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from random import Random
from unittest.mock import patch
from urllib.parse import urlencode

import requests
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from urllib3 import HTTPResponse

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

        yield patch.object(time, "sleep", self.sleep)
        yield patch.object(time, "time", self.time)
        yield patch.object(time, "monotonic", self.monotonic)
        yield patch.object(threading.Event, "wait", wait)


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
        yield patch.object(
            ThreadPoolExecutor,
            "submit",
            lambda _pool, call, /, *args, **kwargs: self.submit(call, args, kwargs),
        )
        yield patch.object(ThreadPoolExecutor, "shutdown", lambda *_args, **_kwargs: self.cancel())


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


_build = HTTPAdapter().build_response


class Wire:
    """Stands where requests looks for the adapter of an address.

    :param handle: takes a request and a timeout; returns status, headers and content, or raises.
    """

    def __init__(self, handle):
        self._handle = handle

    def send(self, request, stream=False, timeout=None, **_options):
        status, headers, content = self._handle(request, timeout)
        headers = {"Content-Type": "application/json", "Content-Length": str(len(content))} | headers
        raw = HTTPResponse(io.BytesIO(content), headers, status, preload_content=False)
        return _build(request, raw)

    def close(self):
        pass


def _prepare(session, request):
    """Prepare a request as a session does, in a tenth of the time: nothing in it comes from a user."""
    prepared = requests.PreparedRequest()
    prepared.method, prepared.hooks, prepared._cookies = request.method, {"response": []}, session.cookies
    prepared.url = f"{request.url}?{urlencode(request.params)}" if request.params else request.url
    prepared.headers = CaseInsensitiveDict({**session.headers, **request.headers})
    prepared.body = urlencode(request.data) if isinstance(request.data, dict) else request.data
    return request.auth(prepared) if request.auth else prepared


@contextmanager
def in_small(handle, clock, pool):
    """Let every client of this thread meet a small world, and no network, thread or real time."""
    wire = Wire(handle)
    patches = [
        patch.object(requests.Session, "get_adapter", lambda _session, url: wire),
        patch.object(requests.Session, "prepare_request", _prepare),
        # Looking for proxies in the environment takes as long as a call.
        patch.object(connections, "get_environ_proxies", lambda *_args, **_kwargs: {}),
        *clock.patches(),
        *pool.patches(),
    ]
    logging.disable(logging.CRITICAL)
    try:
        for one in patches:
            one.start()
        yield
    finally:
        for one in reversed(patches):
            one.stop()
        logging.disable(logging.NOTSET)
