"""The running server: ``Sandbox``, which listens on a port and gives tests access to the company."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import uvicorn

from intacct_provider.sandbox.api import bulk_jobs
from intacct_provider.sandbox.api.operations import Api
from intacct_provider.sandbox.app import App, reject_host
from intacct_provider.sandbox.company import add_records, read_records
from intacct_provider.sandbox.faults.plan import Faults, FaultsLike, read_faults
from intacct_provider.sandbox.gateway import BASE, Gateway
from intacct_provider.sandbox.hosts import HostCheck
from intacct_provider.sandbox.identity import CLIENT_SECRET, Identity
from intacct_provider.sandbox.objects.catalog import build_catalog
from intacct_provider.sandbox.objects.company_file import CompanySource, load
from intacct_provider.sandbox.pages.consent import ADDRESS
from intacct_provider.sandbox.records.event_queue import EventQueue
from intacct_provider.sandbox.seed.seeding import seed
from intacct_provider.sandbox.site import build_site
from intacct_provider.sandbox.state import TIERS, Call, State
from intacct_provider.sandbox.store import MEMORY, Store, utc_now

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

API = "/ia/"
HOST = "127.0.0.1"
WILDCARDS = ("", "0.0.0.0", "::")  # noqa: S104 - needs --host and --allow-remote
START_SECONDS = 10


class Sandbox:
    """A local Sage Intacct on a loopback port, which runs for the duration of a ``with`` block.

    >>> with Sandbox(seed="demo") as sandbox:
    ...     requests.post(sandbox.url + "/oauth2/token", data={...})

    :param port: 0 for any free port.
    :param db: a file that stores the company, or ``:memory:``.
    :param seed: ``demo``, ``empty`` (users and entities only), or ``OBJECT=N`` for N generated records;
        separate several with commas.
    :param tier: Sage's performance tier, 1 to 4, which limits the calls and jobs at a time.
    :param faults: what goes wrong; see :class:`intacct_provider.sandbox.Faults`.
    :param control: let clients change the faults at ``/sandbox/faults``.
    :param host: address to listen on; an address that other machines can reach needs ``allow_remote`` as well.
    :param clock: returns the current time with a time zone, for tests about dates.
    :param variant: how the company differs from the default, such as ``keys-order-as-text``; separate several with
        commas. See :data:`~intacct_provider.sandbox.faults.variants.VARIANTS`.
    :param company: a company file, by its path or as its decoded JSON: its objects replace the built-in ones of the
        same names; ``shipped`` for the models that the package has.
    :raises ValueError: for invalid faults, variant, tier, host or company.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        db: str = MEMORY,
        seed: str = "empty",
        client_secret: str = CLIENT_SECRET,
        tier: int = 1,
        faults: FaultsLike | None = None,
        control: bool = False,
        host: str = HOST,
        allow_remote: bool = False,
        clock: Callable[[], datetime] = utc_now,
        variant: str = "",
        company: CompanySource | None = None,
    ) -> None:
        check_host(host, allow_remote=allow_remote)
        if tier not in TIERS:
            raise ValueError(f"tier must be one of {', '.join(map(str, TIERS))}, not {tier!r}")
        shared = Faults()  # a copy, so that the caller's object does not change
        shared.replace(read_faults(faults or {}))
        if variant:
            shared.replace(read_faults({"variants": split_names(variant)}, shared))
        catalog = build_catalog(None if company is None else load(company))
        store = Store(db, lambda: clock() + timedelta(seconds=shared.clock_skew), catalog)
        self._state = State(store, Identity(client_secret=client_secret), shared, TIERS[tier])
        self._control = control
        self._host = host
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
    def site(self) -> str:
        """The address of the page that shows the company."""
        host = HOST if self._host in WILDCARDS else self._host
        return f"http://{f'[{host}]' if ':' in host else host}:{self._port}/"

    @property
    def url(self) -> str:
        """The base URL of the API, which is the host of a connection."""
        return self.site.removesuffix("/") + BASE

    @property
    def identity(self) -> Identity:
        """The company, user and application of a connection."""
        return self._state.identity

    @property
    def store(self) -> Store:
        """The company's records."""
        return self._state.store

    @property
    def events(self) -> EventQueue:
        """The event queue, and what fires its events."""
        return EventQueue(self._state.store)

    @property
    def requests(self) -> list[Call]:
        """The calls so far (the last 100,000), in the order of arrival."""
        return list(self._state.calls)

    @property
    def transactions(self) -> int:
        """What Intacct would have billed so far: 1 per successful read, 1 per record written."""
        self._advance_jobs()
        return self._state.ledger.total

    @property
    def billed(self) -> dict[tuple[str, str], int]:
        """The same by object or service and caller (``user@company``), the most expensive first."""
        self._advance_jobs()
        return self._state.ledger.entries()

    @property
    def faults(self) -> Faults:
        """What goes wrong; set its attributes or assign a mapping at any time."""
        return self._state.faults

    @faults.setter
    def faults(self, given: FaultsLike) -> None:
        self._state.faults.replace(read_faults(given))

    def start(self) -> None:
        """Seed the company and listen; return when the first call can be made.

        :raises OSError: if the port is in use.
        :raises ValueError: if the seed is unknown.
        """
        try:
            family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
            listener = socket.create_server((self._host, self._port), family=family)
            # Connections inherit this; without it a response waits 40 ms for the client's acknowledgment.
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with close_on_error(listener):
                self._port = listener.getsockname()[1]
                self.seed(self._seed)
                self._listen(listener)
        except BaseException:
            self.store.close()
            raise

    def stop(self) -> None:
        """Stop listening and close the database; calls in flight have one second to finish."""
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join()
        self.store.close()

    def seed(
        self, what: str, records: Iterable[Mapping[str, Any]] | None = None, *, entity: str | None = None
    ) -> list[str]:
        """Add records, and return the keys of the given ones.

        >>> sandbox.seed("demo")
        >>> sandbox.seed("accounts-receivable/customer=10000")
        >>> sandbox.seed("accounts-receivable/customer", [{"id": "C-1", "name": "Acme"}])

        :param what: ``demo`` (once only) or ``OBJECT=N``, several separated by commas; with `records`, the
            name of their object.
        :param records: as for a create in the API; all are added, or none.
        :param entity: id of the entity that they are private to; the top level by default.
        :raises ValueError: if anything cannot be added; then nothing is.
        """
        if records is not None:
            return add_records(self.store, what, records, entity)
        seed(self.store, what)
        return []

    def records(self, object_name: str) -> list[dict[str, Any]]:
        """Return all records of an object as GET shows them, in the order of their keys, including private ones.

        :raises ValueError: for an unknown object; the message suggests the nearest.
        """
        self._advance_jobs()
        return read_records(self.store, object_name)

    def connection(self, **extra: object) -> str:
        """Return the connection in Airflow's JSON form, for a variable such as ``AIRFLOW_CONN_INTACCT_DEFAULT``.

        :param extra: more extras of the connection, for example ``entity_id="UK"``.
        """
        connection = {
            "conn_type": "intacct",
            "host": self.url,
            "login": self.identity.client_id,
            "password": self.identity.client_secret,
            "extra": {"company_id": self.identity.company, "user_id": self.identity.user, **extra},
        }
        return json.dumps(connection)

    def fail(self, **fault: Any) -> None:
        """Let the next matching call fail, or the next ``times``.

        :param fault: the attributes of a :class:`intacct_provider.sandbox.Fault`.
        :raises ValueError: for an unknown attribute or an invalid value.
        """
        body = fault.pop("body", None)  # bytes would not pass as JSON
        [planned] = read_faults({"fail": [fault]}).fail
        planned.body = body
        self.faults.plan(planned)

    def clear_faults(self) -> None:
        """Remove the failing calls that are still planned; the other faults stay."""
        self.faults.fail = []

    def expire_tokens(self) -> None:
        """Let every access token issued so far expire; refresh tokens stay valid."""
        self._state.expire_tokens()

    def _advance_jobs(self) -> None:
        """Let bulk jobs write what is due by now; a stopped sandbox does not change."""
        if self._thread is not None and self._thread.is_alive():
            bulk_jobs.advance(self._state)

    def _listen(self, listener: socket.socket) -> None:
        own_host = self._host if is_loopback(self._host) else None
        gateway = HostCheck(Gateway(App(Api(self._state)), self._state), reject_host(), own_host)
        site = build_site(self._state, with_control=self._control, host=own_host)
        config = uvicorn.Config(
            Router(gateway, site),
            lifespan="off",
            ws="none",
            log_config=None,
            log_level="critical",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            timeout_graceful_shutdown=1,
        )
        self._server = server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=serve, args=(server, listener), name="intacct-sandbox", daemon=True
        )
        self._thread.start()
        deadline = time.monotonic() + START_SECONDS
        while not server.started:
            if not self._thread.is_alive() or time.monotonic() > deadline:
                raise RuntimeError("The sandbox did not start")
            time.sleep(0.002)


class Router:
    """Sends API calls to the gateway and everything else to the site.

    The consent page belongs to the site, although its address is below the API's.
    """

    def __init__(self, gateway: ASGIApp, site: ASGIApp) -> None:
        self._gateway = gateway
        self._site = site

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http":
            is_api = scope["path"].startswith(API) and scope["path"] != ADDRESS
            app = self._gateway if is_api else self._site
            await app(scope, receive, send)


class RealTimeLoop(asyncio.SelectorEventLoop):
    """An event loop with a clock of its own, because tests of DAGs freeze time in this process."""

    def time(self) -> float:
        """Return the seconds of a monotonic clock."""
        return time.clock_gettime(time.CLOCK_MONOTONIC)


def serve(server: uvicorn.Server, listener: socket.socket) -> None:
    """Run a server until ``should_exit`` is set."""
    with asyncio.Runner(loop_factory=RealTimeLoop) as runner:
        runner.run(server.serve([listener]))


@contextmanager
def close_on_error(listener: socket.socket) -> Iterator[None]:
    """Close the listener if the block fails."""
    try:
        yield
    except BaseException:
        listener.close()
        raise


def split_names(text: str) -> list[str]:
    """Return the names in a text that separates them with commas."""
    return [name.strip() for name in text.split(",") if name.strip()]


def check_host(host: str, *, allow_remote: bool) -> None:
    """Check the address to listen on.

    :raises ValueError: for a host name of Sage, and for an address that other machines can reach without
        ``allow_remote``.
    """
    if re.search(r"intacct|(^|\.)sage\.", host.lower()):
        raise ValueError(f"the host {host!r} looks like Sage's own; the sandbox cannot listen under it")
    if not is_loopback(host) and not allow_remote:
        text = "other machines could reach the sandbox, which has no real security"
        raise ValueError(f"with the host {host!r} {text}; set allow_remote (--allow-remote) to allow it")


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
