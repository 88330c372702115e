"""The trigger for asset watchers: an event for each window of time in which records of an object changed."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Hashable, Iterable, Mapping, Sequence, Set
from contextlib import aclosing, suppress
from datetime import timedelta
from functools import cached_property
from typing import Any

import msgspec
from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from intacct_provider.client.arguments import check_whole_number
from intacct_provider.client.http import codec
from intacct_provider.client.query.filters import Filters
from intacct_provider.client.query.request import Query, is_aggregate
from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.triggers.groups import join_group
from intacct_provider.triggers.intervals import check_interval as read_interval
from intacct_provider.triggers.watching.poll import Poll, WatchedObject
from intacct_provider.triggers.watching.store import CursorStore
from intacct_provider.triggers.watching.stream import PollProducer, PollStream
from intacct_provider.triggers.watching.watcher import Watcher

#: Begins the name of the entry in the asset state store.
PREFIX = "intacct_changes__"
#: Seconds after which an event is in Airflow's database, where Airflow does not say so. It sends them every second.
STORED_AFTER = 10.0
#: Records that an event can name at most: events are stored in Airflow's database, and in the XComs of consumers.
MOST_KEYS = 1000
SHORTEST_LOOKBACK = timedelta(minutes=1)


class IntacctChangeTrigger(BaseEventTrigger):
    """Watch an object, and send one event for each poll that finds changes; for an ``AssetWatcher``.

    The payload of an event, which DAGs find in ``triggering_asset_events[asset][n].extra["payload"]``:

    =============  ==================================================================================================
    ``object``     the object
    ``field``      the field that says when a record changed
    ``lower``      the earliest timestamp of the changes
    ``upper``      the end of the window: one second before the poll, by the server's clock. A query with
                   ``field >= lower`` and ``field <= upper`` finds every record of the event that has not changed
                   again since
    ``count``      how many records changed
    ``largest``    the latest timestamp of the changes
    ``keys``       the keys of the first ``max_keys`` of them, in order of timestamp and key
    ``records``    only with ``fields``: those of the same records, decimals as text
    =============  ==================================================================================================

    **Delivery.** At least once. A change is a pair of key and timestamp, and each new pair is in exactly one event,
    unless the triggerer is killed between sending an event and learning that Airflow has stored it (about 2 seconds),
    or Airflow never confirms that: then the same event, with the same window, count and keys, is sent again. So a
    consumer may see the same window twice, and should do the same for it. What changes while no triggerer runs, or
    while all DAGs of the asset are paused, is in the first event after that. The watch begins when the trigger first
    runs: earlier changes make no event.

    A record that changes twice between two polls is in one event, with its latest timestamp. A change of the second
    that is not over yet is left to the next poll. Not seen are deletions, and changes by which a record no longer
    matches ``filters``; leave them out, or export with ``detect_deletions``. Neither is a record that begins to match
    without being changed itself, because of another record or of time.

    **State.** The cursor is kept with every asset that has the watcher, in Airflow's asset state store (Airflow 3.3 and
    later), under the connection, entity, object, filters and ``modified_field``: if one of them changes, the watch
    starts from now. ``fields``, ``max_keys``, ``check_interval`` and ``lookback`` can be changed at any time. If the
    assets of one trigger stand at different places when it starts, all of them get what one has missed.
    The cursor has the pairs within the look-back, packed: 25 to 75 KB for 10,000 of them with random keys, less for
    keys in a row. Of more than 100,000 it keeps the latest and says so: the look-back is shorter until they are older.
    Without the store, the watch starts from now whenever the triggerer starts, and says so.

    **Failures.** None ends the trigger or makes an event. Each is logged with its reason and the time of the next poll;
    the pauses double up to 15 minutes, or are as long as Intacct asks.

    **Throughput and cost.** A poll is one billed transaction for each 4,000 records that changed within the look-back
    (or ``page_size`` of the connection), and at least one; two if no record has ever changed. Every 300 s is 288 a
    day, 8.6 % of the first tier; with 20,000 changes in 2 hours, it is 5 each, until they are older than the look-back.
    A change is reported after ``check_interval`` and about 3 seconds at most. Triggers that differ only in ``max_keys``
    and ``check_interval`` share one poll in each triggerer, at the shortest interval, where Airflow has shared streams
    that confirm events (3.3.2 has); elsewhere, each polls.

    **Equal triggers.** Airflow runs them as one, which does not learn that the DAGs of one of its assets are paused:
    what changes while they are is in no event of that asset, unless the triggerer starts again. So let the triggers of
    assets whose DAGs may be paused on their own differ in ``max_keys``; a trigger with several assets logs a warning.

    :param object_name: path such as ``accounts-receivable/customer-group``.
    :param filters: only records that match, as Intacct's JSON or an expression of
        :func:`~intacct_provider.client.query.field`.
    :param filter_expression: how a list of conditions is joined, such as ``(1 and 2) or 3``.
    :param filter_parameters: ``includePrivate`` and so on.
    :param fields: what events show of the records they name, besides keys. It is stored in Airflow's database.
    :param modified_field: date and time that says when a record changed.
    :param lookback: seconds or a timedelta, at least a minute: how late a change may appear with its timestamp.
    :param check_interval: seconds between polls, at least 1; up to a tenth is added at random.
    :param max_keys: records that an event names at most, up to 1,000.
    :param intacct_conn_id: id of the Airflow connection.
    :param entity_id: entity to work in; None takes the connection's.
    :raises IntacctArgumentError: for an argument that cannot be right, when the DAG file is parsed.
    """

    def __init__(
        self,
        object_name: str,
        *,
        filters: Filters | str = None,
        filter_expression: str | None = None,
        filter_parameters: Mapping[str, Any] | str | None = None,
        fields: Sequence[str] | str = (),
        modified_field: str = "audit.modifiedDateTime",
        lookback: float | timedelta = timedelta(hours=2),
        check_interval: float | timedelta = 300.0,
        max_keys: int = 100,
        intacct_conn_id: str = "intacct_default",
        entity_id: str | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        check_whole_number("max_keys", max_keys, low=0, high=MOST_KEYS)
        self.check_interval = read_interval("check_interval", check_interval)
        self.max_keys = max_keys
        self.intacct_conn_id = intacct_conn_id
        self.entity_id = entity_id
        query = Query.build(
            object_name,
            ["key", modified_field, *_check_fields(_read_json(fields))],
            filters=_read_json(filters),
            filter_expression=filter_expression,
            filter_parameters=_read_json(filter_parameters),
        )
        self.watched = WatchedObject(query, modified_field, _check_lookback(lookback))

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path, which is stored and must not change, and the arguments, all of them plain values.

        Airflow wraps nested ones in a form that differs from version to version.
        """
        query = self.watched.query
        return (
            "intacct_provider.triggers.changes.IntacctChangeTrigger",
            {
                "object_name": query.object_name,
                "filters": _write_json(query.filters),
                "filter_expression": query.expression,
                "filter_parameters": _write_json(query.parameters),
                "fields": _write_json(query.fields[2:]),
                "modified_field": self.watched.modified_field,
                "lookback": self.watched.lookback.total_seconds(),
                "check_interval": self.check_interval,
                "max_keys": self.max_keys,
                "intacct_conn_id": self.intacct_conn_id,
                "entity_id": self.entity_id,
            },
        )

    @cached_property
    def state_name(self) -> str:
        """The name of the entry in the asset state store."""
        _, arguments = self.serialize()
        kept = ("fields", "lookback", "check_interval", "max_keys")
        identity = {name: value for name, value in arguments.items() if name not in kept}
        return PREFIX + hashlib.sha256(msgspec.json.encode(identity, order="sorted")).hexdigest()[:16]

    def shared_stream_key(self) -> Hashable | None:
        """Return what those who share a poll have in common; None where Airflow does not confirm stored events."""
        if not hasattr(BaseEventTrigger, "create_shared_stream_producer"):
            return None
        classpath, arguments = self.serialize()
        own = ("max_keys", "check_interval")
        return (classpath, *(value for name, value in sorted(arguments.items()) if name not in own))

    @classmethod
    def create_shared_stream_producer(cls, kwargs: dict[str, Any]) -> Any:
        """Return what polls for all triggers of a shared stream."""
        trigger = cls(**kwargs)
        return PollProducer(trigger._stream, trigger.shared_stream_key())

    async def filter_shared_stream(self, shared_stream: AsyncIterator[Poll]) -> AsyncIterator[TriggerEvent]:
        """Yield an event for each poll that has changes for this trigger."""
        watcher = await self._start()
        with join_group(self.shared_stream_key(), watcher):
            async for poll in shared_stream:
                payload = await watcher.take(poll)
                if payload is not None:
                    yield TriggerEvent(payload)

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield an event for each poll that has changes, where Airflow has no shared streams that confirm events."""
        watcher = await self._start()
        sent: Poll | None = None
        async with aclosing(self._stream.polls({watcher})) as polls:
            async for poll in polls:
                if sent is not None and poll.read_at - sent.read_at >= STORED_AFTER:
                    await sent.settle(stored=True)
                    sent = None
                payload = await watcher.take(poll)
                if payload is not None:
                    sent = poll
                    yield TriggerEvent(payload)

    @property
    def _stream(self) -> PollStream:
        return PollStream(self.intacct_conn_id, self.entity_id, self.watched)

    async def _start(self) -> Watcher:
        store = CursorStore.find(getattr(self, "asset_state_store", None), self.state_name)
        watcher = Watcher(self.watched, store, max_keys=self.max_keys, check_interval=self.check_interval)
        await watcher.load()
        return watcher


def _check_fields(fields: Any) -> Sequence[str]:
    """Return the fields that events show.

    :raises IntacctArgumentError: unless they are a list of fields of records.
    """
    # The order of a set differs from process to process, and the trigger would be another one each time.
    if isinstance(fields, str | Set | Mapping) or not isinstance(fields, Iterable | None):
        raise IntacctArgumentError(f"fields must be a list of names, such as ['id', 'name'], not {fields!r}.")
    names = tuple(fields or ())
    if any(":" in str(name) and is_aggregate([name]) for name in names):
        raise IntacctArgumentError(f"fields of events are those of records, not aggregates: {names!r}.")
    return names


def _check_lookback(lookback: Any) -> timedelta:
    """Return a look-back as a timedelta.

    :raises IntacctArgumentError: if it is shorter than :data:`SHORTEST_LOOKBACK`.
    """
    try:
        span = lookback if isinstance(lookback, timedelta) else timedelta(seconds=lookback)
    except (TypeError, ValueError, OverflowError):
        span = timedelta(-1)
    if span < SHORTEST_LOOKBACK:
        raise IntacctArgumentError(
            f"lookback must be at least {SHORTEST_LOOKBACK.total_seconds():g} seconds, as a number or a timedelta, not "
            f"{lookback!r}: changes appear with timestamps of when they were begun."
        )
    return span


def _read_json(value: Any) -> Any:
    """Return an argument that ``serialize`` has made text of; others as they are."""
    with suppress(ValueError):
        return codec.decode(value.encode()) if isinstance(value, str) else value
    return value


def _write_json(value: Any) -> str | None:
    return codec.encode(value).decode() if value else None
