"""Faults and usage over HTTP, for benchmarks and tests whose sandbox runs in another process.

The addresses exist only if the sandbox was started with ``control``; they are not part of Intacct.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.responses import Response
from starlette.routing import Route

from intacct_provider.sandbox.faults.plan import Faults, read_faults
from intacct_provider.sandbox.state import State

if TYPE_CHECKING:
    from starlette.requests import Request

FAULTS = "/sandbox/faults"
USAGE = "/sandbox/usage"


def routes(state: State) -> list[Route]:
    """Return the addresses ``/sandbox/faults`` and ``/sandbox/usage``.

    GET returns the faults, PUT replaces them all, PATCH changes the given ones, DELETE turns them off. Usage
    returns what clients have done since the start.
    """

    async def faults(request: Request) -> Response:
        if request.method == "DELETE":
            state.faults.replace(Faults())
        elif request.method in ("PUT", "PATCH"):
            # A page of another site can send a form or text to this address, but not JSON.
            if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
                return _response({"error": "send the faults as application/json"}, 415)
            try:
                given = (await request.body()).decode()
                state.faults.replace(read_faults(given, state.faults if request.method == "PATCH" else None))
            except ValueError as error:
                return _response({"error": str(error)}, 400)
        return _response(msgspec.to_builtins(state.faults))

    async def usage(_: Request) -> Response:
        billed = [
            {"object": name, "caller": caller, "transactions": count}
            for (name, caller), count in state.ledger.entries().items()
        ]
        return _response(
            {
                "calls": len(state.calls),
                "transactions": state.ledger.total,
                "connections": state.connections,
                "mostInFlight": state.most_in_flight,
                "billed": billed,
            }
        )

    return [
        Route(FAULTS, faults, methods=["GET", "PUT", "PATCH", "DELETE"]),
        Route(USAGE, usage, methods=["GET"]),
    ]


def _response(body: Mapping[str, Any], status: int = 200) -> Response:
    return Response(msgspec.json.encode(body), status, media_type="application/json")
