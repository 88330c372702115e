"""Runs event triggers on Airflow's own shared streams, as a triggerer does, without a metadata database."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from airflow_parts import NO_STREAMS


class StreamRunner:
    """A triggerer that stores events in a list.

    :ivar events: what each trigger has sent, by its number.
    :ivar storing: whether events are stored as soon as they are sent; else :meth:`store` does it.
    """

    def __init__(self, **how):
        self.manager = pytest.importorskip(
            "airflow.triggers.shared_stream", reason=NO_STREAMS
        ).SharedStreamManager(**how)
        self.events, self.failures, self.storing = {}, {}, True
        self._unstored, self._tasks = [], {}

    def start(self, trigger, number=0):
        """Run a trigger from now on; a number belongs to one trigger at a time."""
        self.events.setdefault(number, [])
        self._tasks[number] = asyncio.create_task(self._run(number, trigger))

    async def leave(self, number):
        """End a trigger, as a triggerer does that gives it to another one."""
        task = self._tasks.pop(number)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    def store(self):
        """Store what was sent, and everything from now on at once."""
        self.storing = True
        self.manager.confirm_persisted(self._unstored)
        self._unstored.clear()

    async def stop(self):
        """End everything at once. As after a kill, nothing that was not acknowledged before is."""
        for number in [*self._tasks]:
            await self.leave(number)
        await self.manager.stop_all()

    async def _run(self, number, trigger):
        key = trigger.shared_stream_key()
        stream = self.manager.subscribe(trigger_id=number, trigger=trigger, key=key)
        try:
            async for event in trigger.filter_shared_stream(stream):
                self.events[number].append(event.payload)
                seq = self.manager.bind_pending_event(trigger_id=number, key=key)
                if self.storing:
                    self.manager.confirm_persisted([seq])
                else:
                    self._unstored.append(seq)
        except Exception as err:
            self.failures[number] = err
            raise
        finally:
            await self.manager.unsubscribe(number, key)


@asynccontextmanager
async def triggerer(*triggers, **how):
    """Run triggers, numbered from 0, until the block ends."""
    runner = StreamRunner(**how)
    for number, trigger in enumerate(triggers):
        runner.start(trigger, number)
    try:
        yield runner
    finally:
        await runner.stop()


async def until(happened, seconds=60):
    """Wait for what another task or thread does; whatever is slow is not wrong."""
    async with asyncio.timeout(seconds):
        while not happened():  # noqa: ASYNC110 - threads of others make it happen
            await asyncio.sleep(0.01)
