"""The pages; each reads the company in one transaction, and is neither logged nor billed."""

from __future__ import annotations

import json
import re
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse

from intacct_provider.sandbox.api import bulk_jobs
from intacct_provider.sandbox.identity import CLIENT_SECRET
from intacct_provider.sandbox.nearest import find_nearest
from intacct_provider.sandbox.objects.catalog import Catalog
from intacct_provider.sandbox.objects.definitions import ObjectType, Ref
from intacct_provider.sandbox.objects.names import ENTITY
from intacct_provider.sandbox.objects.values import parse_key
from intacct_provider.sandbox.pages import listing
from intacct_provider.sandbox.pages.shell import (
    PageError,
    Place,
    api_base,
    find_page,
    page,
    read_choice,
    read_page_number,
)
from intacct_provider.sandbox.records.audit import read_events
from intacct_provider.sandbox.records.render import render_record
from intacct_provider.sandbox.state import TIERS, Call, State
from intacct_provider.sandbox.store import Database, quote

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

RECENT = 20
CALLS = 100
EVENTS = 100
NAMES = 100
ENTITIES = 20
JOBS = 10
LONGEST_SEARCH = 200
STATUSES = ("", "2xx", "4xx", "5xx", "none")
_LAST_JOBS = 'SELECT * FROM "ia::job" ORDER BY number DESC LIMIT ?'
_HREF = re.compile(r'^\s*"href": "(/objects/[^"\\]+)",?$', re.MULTILINE)


class Pages:
    """The pages of one sandbox; Starlette runs each in a thread."""

    def __init__(self, state: State) -> None:
        self.state = state

    def company(self, request: Request) -> Response:
        """Show the company."""
        state = self.state
        with self._company() as conn:
            counts = listing.count_records(conn)
            last_jobs = [bulk_jobs.Job(*row) for row in conn.execute(_LAST_JOBS, (JOBS,))]
            entities, _ = listing.list_records(conn, conn.catalog.objects[ENTITY], "", "key", 1)
        tier = next((number for number, tier in TIERS.items() if tier == state.tier), None)
        return page(
            request,
            "company.html",
            state=state,
            tier=tier,
            total=state.ledger.total,
            billed=state.ledger.entries(),
            counts=counts,
            entities=entities[:ENTITIES],
            faults=self._faults(),
            planned=list(state.faults.fail),
            jobs=last_jobs,
            calls=list(islice(reversed(list(state.calls)), RECENT)),
            connection=connection_command(state, api_base(request)),
            own_secret=state.identity.client_secret != CLIENT_SECRET,
        )

    def calls(self, request: Request) -> Response:
        """Show the calls, the latest first."""
        status, name = read_choice(request, "status", STATUSES), request.query_params.get("object", "")
        every = list(self.state.calls)
        names = sorted({name for name, _ in Counter(call.name for call in every).most_common(NAMES)} | {name})
        found = [call for call in every if name in ("", call.name) and status in ("", status_class(call))]
        place = Place(read_page_number(request), CALLS, len(found))
        found = found[::-1][place.offset : place.last]
        chosen = {"status": status, "object": name}
        return page(
            request,
            "calls.html",
            calls=found,
            place=place,
            names=[name for name in names if name],
            chosen=chosen,
            statuses=STATUSES[1:],
            every=len(every),
        )

    def records(self, request: Request) -> Response:
        """Show the records of one object."""
        object_type = read_object(request, self.state.store.catalog)
        search = request.query_params.get("search", "").strip()[:LONGEST_SEARCH]
        order = read_choice(request, "sort", listing.ORDERS)
        with self._company() as conn:
            rows, place = listing.list_records(conn, object_type, search, order, read_page_number(request))
        return page(
            request,
            "records.html",
            object=object_type,
            rows=rows,
            place=place,
            search=search,
            order=order,
            named=listing.find_name_field(object_type),
        )

    def record(self, request: Request) -> Response:
        """Show a record and its history; 410 for a deleted record, 404 for one that never existed."""
        object_type, given = read_object(request, self.state.store.catalog), request.path_params["key"]
        key = parse_key(given)
        with self._company() as conn:
            sql = f'SELECT * FROM {quote(object_type.name)} WHERE "key" = ?'  # noqa: S608 - our names
            row = conn.execute(sql, (key,)).fetchone()
            shown = render_record(conn, object_type, row) if row else None
            events = read_events(conn, object_type.name, key, EVENTS + 1) if key is not None else []
        if row is None and not events:
            raise HTTPException(404, f"{object_type.name} has no record with the key {given[:40]}.")
        named = listing.find_name_field(object_type) or ""
        shown_json = msgspec.json.format(msgspec.json.encode(shown)).decode()
        last = row or {path: before for path, (before, _) in events[0].changes.items()}
        return page(
            request,
            "record.html",
            200 if row else 410,
            object=object_type,
            key=key,
            id=last["id"],
            name=dict(last).get(named),
            json=split_links(shown_json, conn.catalog) if row else [],
            stamps=read_stamps(shown or {}),
            events=events[:EVENTS],
            more=len(events) > EVENTS,
            target=lambda path: find_target(conn.catalog, object_type, path),
        )

    def unknown(self, request: Request) -> Response:
        """Reject an address below ``/records`` that is not the address of an object."""
        if not request.path_params["name"]:
            return RedirectResponse("/#objects")
        raise unknown_object(request.path_params["name"], self.state.store.catalog)

    @contextmanager
    def _company(self) -> Iterator[Database]:
        """Begin a transaction on the company, after bulk jobs have written what is due by now."""
        bulk_jobs.advance(self.state)
        with self.state.store.transaction() as conn:
            yield conn

    def _faults(self) -> dict[str, str]:
        """Return the active faults, without the calls that are planned to fail."""
        changed = self.state.faults.changed()
        changed.pop("fail", None)
        return {name: msgspec.json.encode(value).decode().strip('"') for name, value in changed.items()}


def read_object(request: Request, catalog: Catalog) -> ObjectType:
    """Return the object in an address.

    :raises HTTPException: 404 for an unknown object; the page links to the nearest.
    """
    name = f"{request.path_params['application']}/{request.path_params['name']}"
    if name not in catalog.objects:
        raise unknown_object(name, catalog)
    return catalog.objects[name]


def unknown_object(name: str, catalog: Catalog) -> PageError:
    """Return the error for an unknown object, with the nearest one; ``customer`` alone finds its object."""
    objects = catalog.objects
    forms = {known: known for known in objects} | {known.partition("/")[2]: known for known in objects}
    near = forms[find_nearest(name.lower(), forms)]
    return PageError(404, f"The sandbox does not have the object {name[:80]}.", near)


def connection_command(state: State, base: str) -> str:
    """Return the shell command that sets the connection for Airflow, without the user's own secret."""
    identity = state.identity
    secret = CLIENT_SECRET if identity.client_secret == CLIENT_SECRET else "<your client secret>"
    extra = {"company_id": identity.company, "user_id": identity.user}
    connection = {"conn_type": "intacct", "host": base, "login": identity.client_id, "password": secret}
    return f"export AIRFLOW_CONN_INTACCT_DEFAULT={shlex.quote(json.dumps({**connection, 'extra': extra}))}"


def status_class(call: Call) -> str:
    """Return ``2xx`` and so on; ``running`` before the end of a call, ``none`` if it ended without a response."""
    if call.status:
        return f"{call.status // 100}xx"
    return "none" if call.seconds else "running"


def split_links(text: str, catalog: Catalog) -> list[tuple[str, str | None]]:
    """Split the JSON of a record into pieces, each with the page that it links to, if any."""
    pieces: list[tuple[str, str | None]] = []
    end = 0
    for found in _HREF.finditer(text):
        pieces += [(text[end : found.start(1)], None), (found[1], find_page(catalog, found[1]))]
        end = found.end(1)
    return [*pieces, (text[end:], None)]


def read_stamps(record: Mapping[str, Any]) -> list[tuple[str, str, str | None]]:
    """Return who created and last modified a record, from its audit stamps, which seeded records have too."""
    audit = record.get("audit", {})
    return [
        (verb.capitalize(), audit[f"{verb}DateTime"], (audit.get(f"{verb}ByUser") or {}).get("id"))
        for verb in ("created", "modified")
        if audit.get(f"{verb}DateTime")
    ]


def find_target(catalog: Catalog, object_type: ObjectType, path: str) -> str | None:
    """Return the object that a column refers to; ``None`` if it is not a reference."""
    member = object_type.member(path.removesuffix(".key")) if path.endswith(".key") else None
    return member.target if isinstance(member, Ref) and member.target in catalog.objects else None
