"""What a process that was forked must not share with its parent: locks, connections and places in a line.

Airflow forks tasks. At that moment another thread of the parent may hold any lock, and the child has no such thread
that would release it; and two processes that use one connection read each other's responses.
"""

from __future__ import annotations

import logging
import os
import weakref
from collections.abc import Callable
from typing import Protocol

log = logging.getLogger(__name__)


class ForkAware(Protocol):
    """Has something that a child process must replace."""

    def renew_after_fork(self) -> None:
        """Replace it, in the child process. No other thread runs there yet, and nothing may be waited for."""


_aware: weakref.WeakSet[ForkAware] = weakref.WeakSet()


def renew_after_fork(owner: ForkAware) -> None:
    """Let an object renew itself in each child process that is forked while it lives."""
    _aware.add(owner)


def call_after_fork(renew: Callable[[], None]) -> None:
    """Let a module renew itself in each child process that is forked."""
    if hasattr(os, "register_at_fork"):  # which Windows lacks, as it does os.fork
        os.register_at_fork(after_in_child=renew)


def _renew_all() -> None:
    for owner in list(_aware):
        try:
            owner.renew_after_fork()
        except Exception as err:
            log.warning(
                "Intacct: %s could not be renewed in a forked process (%s).",
                type(owner).__name__, type(err).__name__,
            )  # fmt: skip


call_after_fork(_renew_all)
