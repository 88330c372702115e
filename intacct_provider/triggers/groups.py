"""Who shares a stream of Airflow: each watcher joins a group while it runs, and the stream finds them by their key."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakValueDictionary

_groups: WeakValueDictionary[tuple[int, Hashable], set[Any]] = WeakValueDictionary()


def find_group(key: Hashable) -> set[Any]:
    """Return the watchers that share a key, in this event loop; it lives as long as somebody holds it."""
    return _groups.setdefault((id(asyncio.get_running_loop()), key), set())


@contextmanager
def join_group(key: Hashable, watcher: Hashable) -> Iterator[None]:
    """Be one of a group for a while."""
    group = find_group(key)
    group.add(watcher)
    try:
        yield
    finally:
        group.discard(watcher)
