"""Intacct's event queue: what Platform triggers of the type "Event queue" store for a client id.

Sage publishes one example. Its context is not valid JSON, live ones can lack the key, and names differ between Sage's
own pages. So everything in an event is optional, and what cannot be read is None instead of an error: an error would
keep all events of its list.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from intacct_provider.client.http import codec
from intacct_provider.client.http.transport import Reply, Request
from intacct_provider.client.keys import text_or_none
from intacct_provider.client.session import Session
from intacct_provider.exceptions import IntacctArgumentError, IntacctResponseError

COUNT_PATH = "/services/delivery/event/count"
LIST_PATH = "/services/delivery/event/list"
ACK_PATH = "/services/delivery/event/ack"
ACTIONS = ("create", "update", "delete")
#: Names of the members of a context, in lower case; the first one that has a value counts.
_OBJECT = ("restobjectname", "object", "objectname")
_KEY = ("key", "recordno")
#: Begins the ids of events to which Intacct gives none.
_MADE = "content-"
#: Characters that are kept of each name.
_LONGEST = 200

_EVENT = re.compile(r"after[\s._-]*(create|update|delete)", re.IGNORECASE)
_FAILURE = re.compile(r"fail|error|reject|denied|invalid|\bnot\b", re.IGNORECASE)
_PAIR = re.compile(r'"(\w+)"\s*:\s*"([^"]*)"')


@dataclass(frozen=True, slots=True)
class QueuedEvent:
    """One event of Intacct's queue. Each part is None if the event does not have it, or not in readable form.

    :param id: the same whenever the event is listed; made from its content if Intacct gives none.
    :param object_name: as Intacct names it: a path such as ``accounts-receivable/customer``, or its last part.
    :param action: ``create``, ``update`` or ``delete``.
    :param key: key of the record.
    :param record_id: id of the record.
    :param payload: what the trigger's document template made, as text; usually JSON.
    """

    id: str
    object_name: str | None = None
    action: str | None = None
    key: str | None = None
    record_id: str | None = None
    payload: str | None = None

    @property
    def has_own_id(self) -> bool:
        """Whether Intacct gave the id; equal events without one have the same."""
        return not self.id.startswith(_MADE)

    @property
    def known(self) -> bool:
        """Whether it says what happened to which object."""
        return self.object_name is not None and self.action is not None


@dataclass(frozen=True, slots=True)
class EventBatch:
    """The events that are to be acknowledged next, all of them together.

    :param ack_id: acknowledges them; ``""`` if the queue is empty.
    """

    events: tuple[QueuedEvent, ...] = ()
    ack_id: str = ""


class EventQueue:
    """Reads and acknowledges events. The public methods of the client say what each of these promises."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def count(self) -> int:
        """Return how many events are in the queue."""
        reply = self._session.read(Request("GET", COUNT_PATH))
        count = reply.result.get("count") if isinstance(reply.result, Mapping) else None
        if not isinstance(count, int) or isinstance(count, bool) or count < 0:
            raise IntacctResponseError("Intacct did not say how many events are in its queue.")
        return count

    def list(self) -> EventBatch:
        """Return the events to acknowledge next."""
        return _read_batch(self._session.read(Request("GET", LIST_PATH)))

    def acknowledge(self, ack_id: str) -> None:
        """Remove the events of a list from the queue."""
        if not isinstance(ack_id, str) or not ack_id.strip():
            raise IntacctArgumentError(
                f"ack_id must be that of a list of events, as list_events returns it, not {ack_id!r}."
            )
        reply = self._session.send(Request("POST", ACK_PATH, content=codec.encode({"ackId": ack_id})))
        if reply.status == 404 and reply.maybe_already_done:
            return  # by an attempt whose response was lost
        reply.raise_for_error()
        self._session.bill(1)
        found = reply.result if isinstance(reply.result, Mapping) else {}
        status, named = str(found.get("status", "success")), text_or_none(found.get("ackId")) or ack_id
        # Sage documents "success" and no other word; only one that contradicts it counts.
        if _FAILURE.search(status) or named != ack_id:
            raise IntacctResponseError(
                f"Intacct answered the acknowledgement of events with the status {reply.clean(status)[:50]!r}"
                f"{'' if named == ack_id else ' of another list'}, so they may still be in the queue."
            )


def _read_batch(reply: Reply) -> EventBatch:
    """Return the events of a response.

    :raises IntacctResponseError: if there is no list of events, or none that can be acknowledged.
    """
    result = reply.result
    if result == []:  # so live companies answer for an empty queue
        return EventBatch()
    events = result.get("events") or [] if isinstance(result, Mapping) else None
    if not isinstance(events, list):
        raise IntacctResponseError("Intacct answered without a list of events.")
    ack_id = text_or_none(result.get("ackId"))
    if events and not ack_id:
        raise IntacctResponseError(
            f"Intacct listed {len(events)} events without an ackId, so they cannot be acknowledged."
        )
    return EventBatch(tuple(_read_event(event, reply.clean) for event in events), ack_id or "")


def _read_event(event: Any, clean: Callable[[str], str]) -> QueuedEvent:
    members = event if isinstance(event, Mapping) else {}
    context = _read_context(_decode(members.get("clientContext") or members.get("context")))
    payload = _decode(members.get("payload"))
    record = _read_json(payload)

    def find(members: Mapping[str, Any], *names: str) -> str | None:
        found = next((text for name in names if (text := text_or_none(members.get(name)))), None)
        return None if found is None else clean(found)[:_LONGEST] or None

    action = _EVENT.fullmatch(find(context, "event") or "")
    return QueuedEvent(
        id=find(members, "eventId") or _name_content(event),
        object_name=find(context, *_OBJECT),
        action=action[1].lower() if action else None,
        # A key that the context lacks may be in the payload, whose form is the user's own.
        key=find(context, *_KEY) or find(record, "key"),
        record_id=find(context, "id") or find(record, "id"),
        payload=payload,
    )


def _read_context(text: str | None) -> Mapping[str, Any]:
    """Return the members of a context by their names in lower case.

    Of text that is not JSON, as in Sage's example, those are taken that look like members.
    """
    members = _read_json(text) or dict(_PAIR.findall(text or ""))
    return {str(name).lower(): value for name, value in members.items()}


def _read_json(text: str | None) -> Mapping[str, Any]:
    """Return the members of a JSON object; empty for anything else."""
    try:
        found = codec.decode((text or "").encode())
    except ValueError:
        return {}
    return found if isinstance(found, Mapping) else {}


def _decode(encoded: Any) -> str | None:
    """Return the text that is in base64; None if there is none."""
    try:
        return base64.b64decode("".join(encoded.split()), validate=True).decode() or None
    except (AttributeError, ValueError):
        return None


def _name_content(event: Any) -> str:
    """Return an id for an event without one: the same for the same content."""
    return _MADE + hashlib.sha256(codec.encode(event)).hexdigest()[:32]
