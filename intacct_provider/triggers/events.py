"""The trigger that turns the events of Intacct's event queue into events of an asset."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Hashable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.triggers.groups import find_group, join_group
from intacct_provider.triggers.intervals import check_interval as read_interval
from intacct_provider.triggers.queue_parts import Numbered, Part

if TYPE_CHECKING:
    from airflow.triggers.shared_stream import SharedStreamProducer

    from intacct_provider.client import QueuedEvent

ACTIONS = ("create", "update", "delete")


class IntacctEventQueueTrigger(BaseEventTrigger):
    """Watch Intacct's event queue, for an ``AssetWatcher``: each event that fits becomes an event of the asset.

    In Intacct, add a Platform trigger of the type *Event queue* to the object, with the client id of the connection.
    The payload of an asset event is ``{"event_id": "...", "object": "accounts-receivable/customer", "action": "create",
    "key": "12", "id": "C-1", "known": true}``; ``key`` and ``id`` are None if Intacct does not send them.

    **Delivery.** At least once. The events of a list are acknowledged, all together, only after Airflow has stored what
    every watcher made of them; until then, Intacct lists them again. So a triggerer that is killed loses none, and the
    events of the list that it had not acknowledged come again with the same ``event_id``. DAGs must tolerate that.
    They come in the order of the queue unless they come again, and several can start one DAG run together.

    **Watchers share the queue.** Intacct has one queue for each client id. All watchers of a connection in a triggerer
    read it together, for the cost of one; the shortest ``check_interval`` counts. Any other reader would acknowledge
    events that they have not seen: do not give the client id to another connection with watchers, and do not read the
    queue with anything else. With several triggerers, use a single watcher, or equal ones. When a triggerer starts, it
    reads the queue 10 seconds after the last watcher has started.

    **Events that fit no watcher.** An event that does not say its object or its action, or says an action that is not
    known, could be for anyone: every watcher that it may be for gets it, with ``"known": false``. A list with an event
    that no watcher wants is kept for 10 minutes, in case its watcher is just being restarted; then these events are
    logged as warnings and acknowledged, since they would block all later ones. Later events of the same object and
    action are not kept, but logged as well. To keep them, add a watcher without ``object_name``. While all DAGs of an
    asset are paused, it has no watcher: its events are then events that fit no watcher.

    **Throughput and cost.** Each list is one billed transaction, and so is each acknowledgement. An empty queue costs
    86,400 / ``check_interval`` a day: 288 with the default of 300 s, 8.6 % of the transactions of tier 1. A list with
    events adds one, and is followed by the next at once. Lists are read one after the other, and Airflow reports once a
    second what it has stored, so a list takes a few seconds; how many events a list has is Intacct's decision.

    **Failures.** It never ends and never sends an event about an error. While Intacct cannot be reached, or rejects the
    credentials, it logs that, and asks again after twice the interval, four times and so on, up to 15 minutes, and not
    before the time that Intacct asks to wait.

    Only for Airflow 3.3 or later: below, a trigger cannot know when an event is stored.

    :param intacct_conn_id: id of the Airflow connection.
    :param object_name: path of the object, such as ``accounts-receivable/customer``, or several; None for all. Where
        Intacct names an object differently, the warning above has its name.
    :param actions: ``create``, ``update`` or ``delete``, or several; None for all.
    :param check_interval: seconds, or a timedelta, between two looks at an empty queue; at least 1.
    :param include_payload: add what the trigger's document template made to the asset event, as the text ``payload``.
        Airflow stores it in its database, unencrypted.
    :raises IntacctArgumentError: for another action, an interval below 1 second, and an Airflow that cannot do it.
    """

    def __init__(
        self,
        *,
        intacct_conn_id: str = "intacct_default",
        object_name: str | Sequence[str] | None = None,
        actions: str | Sequence[str] | None = None,
        check_interval: Any = 300.0,
        include_payload: bool = False,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        if not hasattr(BaseEventTrigger, "create_shared_stream_producer"):
            raise IntacctArgumentError(
                "IntacctEventQueueTrigger needs Airflow 3.3 or later, where triggers can know when an event is stored; "
                "use IntacctChangeTrigger instead."
            )
        self.intacct_conn_id = intacct_conn_id
        self.object_name = _read_names("object_name", object_name)
        self.actions = _read_names("actions", actions)
        if unknown := set(self.actions or ()) - set(ACTIONS):
            raise IntacctArgumentError(
                f"actions must be of {', '.join(ACTIONS)}, not {', '.join(map(repr, sorted(unknown)))}."
            )
        self.check_interval = read_interval("check_interval", check_interval)
        self.include_payload = include_payload

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path, which is stored and must not change, and the arguments."""
        return (
            "intacct_provider.triggers.events.IntacctEventQueueTrigger",
            {
                "intacct_conn_id": self.intacct_conn_id,
                "object_name": self.object_name,
                "actions": self.actions,
                "check_interval": self.check_interval,
                "include_payload": self.include_payload,
            },
        )

    @cached_property
    def name(self) -> str:
        """The name of this watcher: the same after a restart, and different for another one."""
        return json.dumps(self.serialize())

    def shared_stream_key(self) -> Hashable:
        """Return the same for all watchers of a connection: if each read the queue, each would miss events."""
        return ("IntacctEventQueueTrigger", self.intacct_conn_id)

    @classmethod
    def create_shared_stream_producer(cls, kwargs: dict[str, Any]) -> SharedStreamProducer:
        """Return what reads the queue for all of them."""
        from intacct_provider.triggers.queue_stream import EventQueueStream

        trigger = cls(**kwargs)
        watchers = find_group(trigger.shared_stream_key())
        return EventQueueStream(trigger.intacct_conn_id, trigger.check_interval, watchers)

    async def filter_shared_stream(self, shared_stream: AsyncIterator[Part]) -> AsyncIterator[TriggerEvent]:
        """Yield the events that this watcher wants, each once as long as it runs."""
        passed_on: set[Numbered] = set()
        lists = 0
        with join_group(self.shared_stream_key(), self):
            async for part in shared_stream:
                part.begun.add(self.name)
                if lists != (lists := part.lists):
                    # A new event without an id can be equal to one that was acknowledged.
                    passed_on = {one for one in passed_on if one[0].has_own_id}
                wanted = [one for one in part.events if self.wants(one[0])]
                part.wanted.update(event for event, _ in wanted)
                for one in wanted:
                    if one not in passed_on:
                        yield TriggerEvent(self._describe(one[0]))
                        passed_on.add(one)
                passed_on &= part.listed
                part.finished.add(self.name)

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield nothing by itself: an Airflow that shares streams does not call this.

        :raises IntacctArgumentError: always.
        """
        raise IntacctArgumentError(
            "IntacctEventQueueTrigger only reads as a shared stream of Airflow's triggerer."
        )
        yield

    def wants(self, event: QueuedEvent) -> bool:
        """Whether an event is for this watcher; what an event does not say may be anything."""
        is_action = event.action is None or self.actions is None or event.action in self.actions
        return is_action and (
            event.object_name is None or self.object_name is None or self._find_name(event) is not None
        )

    def _find_name(self, event: QueuedEvent) -> str | None:
        """Return the watched object that an event is about."""
        named = event.object_name or ""
        return next((name for name in self.object_name or () if _is_same_object(name, named)), None)

    def _describe(self, event: QueuedEvent) -> dict[str, Any]:
        described = {
            "event_id": event.id,
            "object": self._find_name(event) or event.object_name,
            "action": event.action,
            "key": event.key,
            "id": event.record_id,
            "known": event.known,
        }
        return described | ({"payload": event.payload} if self.include_payload else {})


def _read_names(argument: str, names: str | Sequence[str] | None) -> list[str] | None:
    """Return names in order, so that equal watchers are equal to Airflow, too; None for all.

    :raises IntacctArgumentError: for an empty list, and for what is not text.
    """
    if names is None:
        return None
    found = [names] if isinstance(names, str) else list(names)
    if not found or not all(isinstance(name, str) and name.strip() for name in found):
        raise IntacctArgumentError(
            f"{argument} must be a name or a list of names, or None for all; not {names!r}."
        )
    return sorted({name.strip() for name in found})


def _is_same_object(watched: str, named: str) -> bool:
    """Whether two names mean the same object; Intacct's events may lack its application."""
    watched, named = watched.lower(), named.lower()
    if "/" in watched and "/" in named:
        return watched == named
    return watched.rpartition("/")[2] == named.rpartition("/")[2]
