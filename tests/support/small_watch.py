"""A company whose records change, and an Airflow that starts a watcher of them, stores its events, and kills it."""

import asyncio
import datetime as dt
from types import SimpleNamespace

from intacct_provider.client.query.request import Query
from intacct_provider.triggers.watching.poll import WatchedObject
from intacct_provider.triggers.watching.store import CursorStore
from intacct_provider.triggers.watching.watcher import Watcher

OBJECT = "accounts-receivable/customer"
MODIFIED = "audit.modifiedDateTime"
NOON = dt.datetime(2026, 6, 30, 12, tzinfo=dt.UTC)
SECOND = dt.timedelta(seconds=1)


def text(moment):
    """Return a moment as Intacct writes it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


class SmallCompany:
    """Versions of records: each has a timestamp, and appears in queries at once or later.

    It is its own client, as far as a watch needs one.
    """

    def __init__(self):
        self.now = NOON
        self.versions = []
        self.queries = []

    def change(self, key, *, stamp=None, appears=None):
        """Change a record now; return the pair that is to be reported."""
        stamp = stamp or self.now
        self.versions.append((str(key), stamp, appears or self.now))
        return str(key), text(stamp)

    def iter_rows(self, query):
        """Return the rows of a query, whose last condition is the lower bound of the timestamp."""
        self.queries.append(query)
        floor = query.filters[-1]["$gte"][MODIFIED]
        latest = {}
        for key, stamp, appears in self.versions:
            if appears <= self.now and (key not in latest or latest[key] <= stamp):
                latest[key] = stamp
        return [{"key": key, MODIFIED: text(stamp)} for key, stamp in latest.items() if text(stamp) >= floor]

    def first_page(self, query, _size):
        """Return the record with the latest timestamp, up to a limit if the query has one."""
        self.queries.append(query)
        limit = [one["$lte"][MODIFIED] for one in query.filters if "$lte" in one]
        stamps = [text(stamp) for _, stamp, appears in self.versions if appears <= self.now]
        stamps = [stamp for stamp in stamps if not limit or stamp <= limit[0]]
        rows = [{MODIFIED: max(stamps)}] if stamps else []
        return SimpleNamespace(rows=rows, answered=text(self.now))

    def server_time(self, _seconds_before=0.0):
        """Return the time of the company."""
        return text(self.now)

    def fields(self, _object_name):
        """Return the model of the timestamp."""
        return {MODIFIED: SimpleNamespace(queryable=True, format="date-time")}


class Killed(BaseException):
    """The process is gone."""


class SmallStore:
    """The state store of an asset. ``deaths`` has what happens at each of the next writes.

    ``before`` kills before a write, ``after`` after it, ``broken`` fails without a write, anything else writes.
    """

    def __init__(self):
        self.kept = {}
        self.deaths = []
        self.writes = 0

    async def aget(self, name):
        """Return what is kept."""
        return self.kept.get(name)

    async def aset(self, name, value):
        """Keep a text, or die."""
        self.writes += 1
        fate = self.deaths.pop(0) if self.deaths else None
        if fate == "before":
            raise Killed
        if fate == "broken":
            raise RuntimeError("the metadata database is locked")
        self.kept[name] = value
        if fate == "after":
            raise Killed


class SmallAirflow:
    """Runs a watcher of a company poll by poll, and keeps the events that it stores.

    :param stores: one for each asset that has the watcher.
    """

    def __init__(self, company, *, lookback=7200, max_keys=1000, stores=None):
        self.company = company
        query = Query.build(OBJECT, ["key", MODIFIED])
        self.watched = WatchedObject(query, MODIFIED, lookback * SECOND)
        self.max_keys = max_keys
        self.stores = stores or [SmallStore()]
        self.events = []
        self.starts = 0
        self.watcher = None

    async def start(self):
        """Start the watcher, as after a restart of the triggerer."""
        self.starts += 1
        store = CursorStore(self.stores, "state")
        self.watcher = Watcher(self.watched, store, max_keys=self.max_keys, check_interval=0)
        await self.watcher.load()

    async def poll(self, death=None):
        """Poll once and store the event, unless the process dies before; start it again after that.

        :param death: ``sent`` for a death before the event is stored, ``stored`` for one after it.
        :return: the payload of the event that was sent.
        """
        try:
            if self.watcher is None:
                await self.start()
            floor = self.watcher.cursor.floor if self.watcher.cursor else None
            poll = await asyncio.to_thread(self.watched.read, self.company, floor)
            payload = await self.watcher.take(poll)
            if payload is None:
                return None
            if death == "sent":
                raise Killed
            self.events.append(payload)
            if death == "stored":
                raise Killed
            await poll.settle(stored=True)
        except Killed:
            self.watcher = None
            return None
        return payload

    def reported(self):
        """Return how often each key was in an event; several changes of a record count each."""
        counts = {}
        for event in self.events:
            for key in event["keys"]:
                counts[key] = counts.get(key, 0) + 1
        return counts
