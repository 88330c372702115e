"""A triggerer in this process: Airflow's own shared streams, and what its runner and supervisor do around them.

Events go to the supervisor, which stores them and confirms that a moment later; a kill loses what is on its way.
"""

import asyncio
from contextlib import suppress

from airflow.triggers.base import BaseEventTrigger
from airflow.triggers.shared_stream import SharedStreamManager


class MiniTriggerer:
    """Runs event triggers.

    :param stored: gets each event that is stored, with the number of its trigger.
    """

    def __init__(self, stored):
        self.stored = stored
        self._streams = SharedStreamManager()
        self._outbound = []
        self._tasks = []

    async def __aenter__(self):
        self._tasks.append(asyncio.create_task(self._supervise()))
        return self

    async def __aexit__(self, *_exc):
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with suppress(asyncio.CancelledError):
                await task
        await self._streams.stop_all()

    def run(self, triggers, assets):
        """Start triggers as Airflow does: from their class and their arguments, with the store of their asset."""
        for number, (trigger, store) in enumerate(zip(triggers, assets, strict=True)):
            _, arguments = trigger.serialize()
            started = type(trigger)(**arguments)
            started.asset_state_store = store
            self._tasks.append(asyncio.create_task(self._run(number, started)))

    async def _run(self, number, trigger: BaseEventTrigger):
        key = trigger.shared_stream_key()
        try:
            stream = self._streams.subscribe(trigger_id=number, trigger=trigger, key=key)
            async for event in trigger.filter_shared_stream(stream):
                seq = self._streams.bind_pending_event(trigger_id=number, key=key)
                assert seq is not None
                self._outbound.append((number, event, seq))
        finally:
            await self._streams.unsubscribe(number, key)

    async def _supervise(self):
        while True:
            await asyncio.sleep(0.01)
            sent, self._outbound = self._outbound, []
            for number, event, _ in sent:
                self.stored(number, event.payload)
            await asyncio.sleep(0.01)
            self._streams.confirm_persisted([seq for _, _, seq in sent])
