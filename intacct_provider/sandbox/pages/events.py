"""The page of the event queue: what waits in it, what fires its events, and a form to fire one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse
from starlette.routing import Route

from intacct_provider.sandbox.objects.names import CUSTOMER
from intacct_provider.sandbox.pages.shell import page, reject_other_sites
from intacct_provider.sandbox.records.event_queue import ACTIONS, EventQueue

if TYPE_CHECKING:
    from starlette.datastructures import FormData
    from starlette.requests import Request
    from starlette.responses import Response

    from intacct_provider.sandbox.state import State

ADDRESS = "/events"
SHOWN = 100
LONGEST_KEY = 40


class EventPage:
    """The page of the event queue of one sandbox."""

    def __init__(self, state: State) -> None:
        self._client_id = state.identity.client_id
        self._queue = EventQueue(state.store)
        self._objects = sorted(state.store.catalog.objects)

    def routes(self) -> list[Route]:
        """Return the routes of the page."""
        return [Route(ADDRESS, self.show), Route(ADDRESS, self.change, methods=["POST"])]

    def show(self, request: Request) -> Response:
        """Show the page."""
        return page(
            request,
            "events.html",
            client_id=self._client_id,
            events=self._queue.waiting(SHOWN),
            total=self._queue.count(),
            triggers=self._queue.triggers(),
            objects=self._objects,
            usual=CUSTOMER,
            actions=ACTIONS,
        )

    async def change(self, request: Request) -> Response:
        """Carry out a form of the page, and show the page again."""
        reject_other_sites(request)
        await run_in_threadpool(self._carry_out, await request.form())
        return RedirectResponse(ADDRESS, 303)

    def _carry_out(self, form: FormData) -> None:
        """Fire an event, or add or remove the triggers of an object.

        :raises HTTPException: 400 for a form that the page does not have.
        """
        what, object_name, action = (str(form.get(name, ""))[:100] for name in ("do", "object", "action"))
        try:
            if what == "fire":
                key = str(form.get("key", "")).strip()[:LONGEST_KEY]
                self._queue.fire(object_name, action, key=key or None)
            elif what == "add":
                self._queue.add_trigger(object_name, *([action] if action else ()))
            elif what == "remove":
                self._queue.remove_triggers(object_name)
            else:
                raise ValueError("do must be fire, add or remove")
        except ValueError as error:
            raise HTTPException(400, f"{error}.") from None
