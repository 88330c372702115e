"""The sandbox as a running server: for tests in a thread, for the command line in the foreground."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from types import TracebackType
from typing import Self

import uvicorn

from intacct_provider.sandbox.app import Api, build_app
from intacct_provider.sandbox.auth import Tokens
from intacct_provider.sandbox.faults import Fault, FaultKind, QueryOptions
from intacct_provider.sandbox.gateway import BASE, Call, Gateway
from intacct_provider.sandbox.identity import CLIENT_SECRET, Identity
from intacct_provider.sandbox.seed import seed
from intacct_provider.sandbox.store import Store, utc_now

HOST = "127.0.0.1"
START_SECONDS = 10


class Sandbox:
    """A local Sage Intacct on a loopback port, running while the ``with`` block does.

    >>> with Sandbox(seed="demo") as sandbox:
    ...     requests.post(sandbox.url + "/oauth2/token", data={...})

    :param port: 0 for any free one
    :param db: a file that keeps the company, or ``:memory:``
    :param seed: ``demo``, ``empty`` (users and entities only), or ``OBJECT=N`` for N made-up records;
        several separated by commas
    :param token_life: seconds until an access token expires
    :param tier_concurrency: calls in flight before 429; 6 is what Sage's first tier allows an application
    :param clock: returns the present moment with a time zone, for tests about dates
    """

    def __init__(
        self,
        *,
        port: int = 0,
        db: str = ":memory:",
        seed: str = "empty",
        client_secret: str = CLIENT_SECRET,
        token_life: float = 43200,
        tier_concurrency: int = 6,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self.identity = Identity(client_secret=client_secret)
        self.store = Store(db, clock)
        self.options = QueryOptions()
        self._tokens = Tokens(self.identity, token_life)
        self._gateway = Gateway(build_app(Api(self.store, self._tokens, self.options)), tier_concurrency)
        self._port = port
        self._seed = seed
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """The base of every address, to be used as the host of the connection."""
        return f"http://{HOST}:{self._port}{BASE}"

    @property
    def requests(self) -> list[Call]:
        """Every call so far, in the order of arrival."""
        return self._gateway.calls

    @property
    def transactions(self) -> int:
        """What Intacct would have billed so far: 1 per read that succeeded, 1 per record written."""
        return sum(call.transactions for call in list(self._gateway.calls))

    @property
    def latency(self) -> float:
        """Seconds that every call waits before it is carried out."""
        return self._gateway.latency

    @latency.setter
    def latency(self, seconds: float) -> None:
        self._gateway.latency = seconds

    def start(self) -> None:
        """Fill the company and listen; returns when the first call can be made.

        :raises OSError: when the port is taken
        :raises ValueError: when the seed is unknown
        """
        try:
            listener = socket.create_server((HOST, self._port))
            # Connections inherit this; without it an answer waits 40 ms for the client's acknowledgment.
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with closed_on_error(listener):
                self._port = listener.getsockname()[1]
                self.seed(self._seed)
                self._listen(listener)
        except BaseException:
            self.store.close()
            raise

    def stop(self) -> None:
        """Stop listening and close the database; calls in flight get a second to finish."""
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join()
        self.store.close()

    def seed(self, what: str) -> None:
        """Add records: ``demo`` (once only), or ``OBJECT=N``, several separated by commas.

        :raises ValueError: when it is neither; nothing is added then
        """
        seed(self.store, what)

    def connection_json(self) -> str:
        """Return the connection in Airflow's JSON form, for ``AIRFLOW_CONN_INTACCT_DEFAULT``."""
        extra = {"company_id": self.identity.company, "user_id": self.identity.user}
        connection = {
            "conn_type": "intacct",
            "host": self.url,
            "login": self.identity.client_id,
            "password": self.identity.client_secret,
            "extra": extra,
        }
        return json.dumps(connection)

    def fail(
        self,
        *,
        kind: FaultKind = "status",
        times: int = 1,
        path: str | None = None,
        method: str | None = None,
        status: int = 503,
        headers: Mapping[str, str] | None = None,
        body: object = None,
        seconds: float = 30.0,
        skip: int = 0,
    ) -> None:
        """Let the next ``times`` matching calls fail; nothing of them is carried out, but for ``after``.

        :param kind: ``status`` answers with ``status``, ``headers`` and ``body``; ``html`` with 200 and a
            page; ``cut`` ends in the middle of an answer; ``reset`` drops the connection at once;
            ``hang`` says nothing for ``seconds`` and drops it then; ``after`` carries the call out,
            then drops the connection instead of answering
        :param path: below ``/ia/api/v1``; it also covers every path under it; ``None`` for any
        :param body: text, bytes, or what becomes JSON; the gateway's usual error when not given
        :param skip: let so many matching calls pass before, to fail in the middle of something
        """
        fault = Fault(kind, times, path, method, status, dict(headers or {}), body, seconds, skip)
        self._gateway.faults.plan(fault)

    def clear_faults(self) -> None:
        """Forget the faults that no call has met yet."""
        self._gateway.faults.clear()

    def expire_tokens(self) -> None:
        """Let every access token issued so far expire; refresh tokens stay good."""
        with self.store.transaction() as conn:
            self._tokens.expire(conn)

    def _listen(self, listener: socket.socket) -> None:
        config = uvicorn.Config(
            self._gateway,
            loop="asyncio",
            lifespan="off",
            ws="none",
            log_config=None,
            log_level="critical",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=1,
        )
        self._server = server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=server.run, args=([listener],), name="intacct-sandbox", daemon=True
        )
        self._thread.start()
        deadline = time.monotonic() + START_SECONDS
        while not server.started:
            if not self._thread.is_alive() or time.monotonic() > deadline:
                raise RuntimeError("The sandbox did not start")
            time.sleep(0.002)


@contextmanager
def closed_on_error(listener: socket.socket) -> Iterator[None]:
    """Close a listener that nobody will use."""
    try:
        yield
    except BaseException:
        listener.close()
        raise
