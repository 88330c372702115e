"""A company whose people go on working while it is read: up to a million records, and the truth about each of them.

It shares no code with the provider. :mod:`moving_server` serves it over HTTP.
"""

import datetime as dt
import random
from bisect import bisect_left, insort
from typing import NamedTuple

OBJECT = "accounts-receivable/customer"
CREATED, MODIFIED = "audit.createdDateTime", "audit.modifiedDateTime"
FIELDS = ("key", "id", "name", "status", "totalDue", CREATED, MODIFIED)
#: What can happen to records, each as the steps that take turns.
KINDS = {
    "insertions at the end": ("insert",),
    "insertions in between": ("insert_late",),
    "deletions": ("delete",),
    "insertions and deletions": ("insert", "delete", "insert_late", "delete"),
    "into and out of the filter": ("enter", "leave", "enter_unseen", "leave_unseen"),
    "updates": ("update",),
}
#: The filter that records enter and leave.
ACTIVE = ({"$eq": {"status": "active"}},)


class State(NamedTuple):
    """What a record is like, beyond what its key says.

    :param version: how often it was changed.
    """

    active: bool
    created: str
    modified: str
    version: int = 0


def key_of(number):
    """Return the key of the record with a number from 1; every tenth key is free."""
    return number + (number - 1) // 9


def first_state(key):
    """Return the state of a record of which nothing else is known."""
    stamp = f"2026-{1 + key % 6:02}-{1 + key % 28:02}T{key % 24:02}:{key % 60:02}:00Z"
    return State(key % 10 != 3, stamp, stamp)


def amount(key, state):
    """Return an amount in cents."""
    return (key * 37 + state.version * 1009) % 1_000_000


#: The text of each field, of what :func:`list_parts` returns.
TEMPLATES = {
    "key": "{0}",
    "id": "C{0:08}",
    "name": "Customer {0}{1}",
    "status": "{2}",
    "totalDue": "{3}.{4:02}",
    CREATED: "{5}",
    MODIFIED: "{6}",
}


def list_parts(key, state):
    """Return what the templates are about."""
    mark = f" v{state.version}" if state.version else ""
    status = "active" if state.active else "inactive"
    return key, mark, status, *divmod(amount(key, state), 100), state.created, state.modified


def find_value(name, key, state):
    """Return the value of a field, as text."""
    return TEMPLATES[name].format(*list_parts(key, state))


def render(key, state, fields=FIELDS):
    """Return the values of some fields of a record."""
    parts = list_parts(key, state)
    return tuple(TEMPLATES[name].format(*parts) for name in fields)


class View:
    """The keys of the records that meet a condition, sorted and kept up to date.

    :param matches: the condition, of a key and a state.
    """

    def __init__(self, matches, keys):
        self.matches = matches
        self.keys = keys

    def notice(self, key, before, after):
        """Take over what happened to a record; a state is None where there is no record."""
        was = before is not None and self.matches(key, before)
        now = after is not None and self.matches(key, after)
        if was and not now:
            del self.keys[bisect_left(self.keys, key)]
        elif now and not was:
            if not self.keys or key > self.keys[-1]:
                self.keys.append(key)
            else:
                insort(self.keys, key)


class Company:
    """The records and their changes.

    :param count: number of records at the beginning.
    :param seed: of what is chosen at random.
    """

    def __init__(self, count, seed=0):
        self.rng = random.Random(seed)
        self.states = {}
        #: Every state that a record has had, for records that were changed or made.
        self.history = {}
        self.everything = View(lambda _key, _state: True, [key_of(number) for number in range(1, count + 1)])
        self.views = {"": self.everything}
        self.watches = []
        self.free = list(range(10, key_of(max(count, 1)), 10))
        self.rng.shuffle(self.free)
        self.last_key = key_of(count) if count else 0
        self.changes = 0

    def __len__(self):
        return len(self.everything.keys)

    def state(self, key):
        """Return the state of an existing record."""
        return self.states.get(key) or first_state(key)

    def view(self, name, matches):
        """Return the view of a condition, made when it is asked for first."""
        if name not in self.views:
            self.views[name] = View(
                matches, [key for key in self.everything.keys if matches(key, self.state(key))]
            )
        return self.views[name]

    def states_of(self, key):
        """Return every state that a record has ever had."""
        return self.history.get(key) or [first_state(key)]

    # --- changes

    def happen(self, kind, times=1):
        """Let changes of a kind happen."""
        steps = KINDS[kind]
        for _ in range(times):
            getattr(self, f"_{steps[self.changes % len(steps)]}")()
            self.changes += 1

    def _insert(self):
        self.last_key += 1
        self._make(self.last_key)

    def _insert_late(self):
        """Let a record come whose key was taken long ago, as one that was committed late."""
        if self.free:
            self._make(self.free.pop())
        else:
            self._insert()

    def _make(self, key):
        stamp = now()
        self._set(key, None, State(True, stamp, stamp))

    def _delete(self):
        if self.everything.keys:
            key = self.rng.choice(self.everything.keys)
            self._set(key, self.state(key), None)

    def _update(self):
        if self.everything.keys:
            self._change(self.rng.choice(self.everything.keys))

    def _enter(self, unseen=False):
        self._flip(False, unseen)

    def _leave(self, unseen=False):
        self._flip(True, unseen)

    def _enter_unseen(self):
        """Let a record enter the filter without a stamp, as when what it refers to changes."""
        self._flip(False, True)

    def _leave_unseen(self):
        self._flip(True, True)

    def _flip(self, active, unseen):
        for _ in range(1000 if self.everything.keys else 0):
            key = self.rng.choice(self.everything.keys)
            if self.state(key).active == active:
                self._change(key, active=not active, unseen=unseen)
                return

    def _change(self, key, active=None, unseen=False):
        before = self.state(key)
        after = before._replace(
            version=before.version + 1,
            active=before.active if active is None else active,
            modified=before.modified if unseen else now(),
        )
        self._set(key, before, after)

    def _set(self, key, before, after):
        if after is not None:
            # A record that has no history yet began as its key says, unless it is made now.
            past = self.history.setdefault(key, [] if before is None else [before])
            past.append(after)
            self.states[key] = after
        for view in self.views.values():
            view.notice(key, before, after)
        for watch in self.watches:
            watch.notice(key, before, after)


def now():
    """Return the time as Intacct writes it."""
    return dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Watch:
    """What a read of the records of a condition may and must return, from now on.

    :param matches: the condition, of a key and a state; None for all records.
    """

    def __init__(self, company, matches=None):
        self.company = company
        self.matches = matches or (lambda _key, _state: True)
        keys = company.everything.keys
        self.first = {key for key in keys if self.matches(key, company.state(key))} if matches else set(keys)
        self.came, self.left, self.touched = set(), set(), set()
        company.watches.append(self)

    def notice(self, key, before, after):
        """Take over what happened to a record."""
        self.touched.add(key)
        if before is not None and self.matches(key, before) and not (after and self.matches(key, after)):
            self.left.add(key)
        if after is not None and self.matches(key, after):
            self.came.add(key)

    @property
    def throughout(self):
        """The keys that matched during the whole read."""
        return self.first - self.left

    def judge(self, rows, fields=FIELDS, ordered=False):
        """Return what is wrong with rows, given as tuples of text, the key first; at most a few lines."""
        seen, doubled, untrue, order = set(), [], [], 0
        company, last = self.company, 0
        template = "\0".join(TEMPLATES[name] for name in fields)
        for row in rows:
            key = int(row[0])
            if key in seen:
                doubled.append(key)
            seen.add(key)
            order += key < last
            last = key
            text = "\0".join(map(str, row))
            if not any(text == template.format(*list_parts(key, one)) for one in company.states_of(key)):
                untrue.append(row)
        lost = self.throughout - seen
        strange = seen - self.first - self.came
        return [
            f"{len(found)} records are {what}, such as {sorted(found)[:3]}"
            for what, found in (
                ("lost", lost),
                ("doubled", doubled),
                ("not as they ever were", untrue),
                ("of no time of this read", strange),
            )
            if found
        ] + ([f"{order} rows are not in order of key"] if ordered and order else [])

    def close(self):
        """Notice nothing any more."""
        self.company.watches.remove(self)
