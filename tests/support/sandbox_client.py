"""Clients of a sandbox, and what a sandbox has seen and keeps."""

import secrets
import threading
import time
from contextlib import contextmanager
from dataclasses import replace

from intacct_provider.client import IntacctClient, IntacctConfig
from intacct_provider.client.http.retry import RetryPolicy
from intacct_provider.sandbox import Sandbox

QUERY = "/services/core/query"
#: Patient enough for a planned fault, quick enough for a test.
RETRY = RetryPolicy(base=0.01, budget=10)


def config_of(sandbox, **changes):
    """Return the configuration that reaches a sandbox."""
    identity = sandbox.identity
    config = IntacctConfig(
        client_id=identity.client_id,
        client_secret=identity.client_secret,
        company_id=identity.company,
        user_id=identity.user,
        base_url=sandbox.url,
    )
    return replace(config, **changes)


def client_of(sandbox, retry=RETRY, **changes):
    """Return a client of a sandbox; ``changes`` are those of its configuration."""
    return IntacctClient(config_of(sandbox, **changes), retry=retry)


class InterruptedClient(IntacctClient):
    """A client that lets something happen after each answer to some of its calls, which are queries by default.

    ``pages`` counts those answers.
    """

    def __init__(
        self, sandbox, happen, *, concerns=lambda request: request.path == QUERY, retry=None, **changes
    ):
        super().__init__(config_of(sandbox, **changes), retry=retry)
        self.pages = 0
        send = self._session.send

        def interrupted(request):
            reply = send(request)
            if concerns(request):
                self.pages += 1
                happen()
            return reply

        self._session.send = interrupted


def calls(sandbox, path="", method=None):
    """Return the calls so far to a path or below it, in the order of their arrival."""
    return [
        call
        for call in list(sandbox.requests)
        if call.path.startswith(path) and method in (None, call.method)
    ]


def until(happened, seconds=60):
    """Wait for what another thread or process does; whatever is slow is not wrong."""
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


def stored(sandbox, object_name):
    """Return the ids of an object's records as the store has them, whatever a client believes."""
    with sandbox.store.transaction() as conn:
        rows = conn.execute(f'SELECT "id" FROM "{object_name}" ORDER BY "key"').fetchall()  # noqa: S608
    return [row["id"] for row in rows]


@contextmanager
def running(seed="empty", **options):
    """Run a sandbox whose secret is its own, so that no token is shared with another test.

    It takes 0.2 s to close its port and its database; the next test does not wait for that.
    """
    sandbox = Sandbox(seed=seed, client_secret=secrets.token_urlsafe(), **options)
    sandbox.start()
    try:
        yield sandbox
    finally:
        threading.Thread(target=sandbox.stop).start()
