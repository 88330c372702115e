"""Ties a client's writes to a task, so that the task's next attempt makes the same idempotency keys again."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from airflow.sdk import get_current_context

from intacct_provider._compat import AirflowException

if TYPE_CHECKING:
    from intacct_provider.client.idempotency import IdempotencyKeys


def current_context() -> Mapping[str, Any]:
    """Return the context of the task that is running here; nothing outside of one."""
    with suppress(AirflowException, RuntimeError):
        return get_current_context()
    return {}


def assign_to_task(keys: IdempotencyKeys, context: Mapping[str, Any]) -> None:
    """Make a client's idempotency keys those of a task.

    An Airflow retry makes the same keys, so a creation that the last attempt could not complete is not
    done twice. Clearing a task raises ``max_tries``. Clearing means that a person wants updates redone; only
    creates keep their keys. Within one attempt all clients count together how often a content was written, so
    that a change which is made, undone and made again is made again.
    """
    task = context.get("ti") or context.get("task_instance")
    if task is None:
        return
    run = "\0".join(str(part) for part in (task.dag_id, task.run_id, task.task_id, task.map_index))
    keys.scopes = {"POST": run, "PATCH": f"{run}\0{getattr(task, 'max_tries', 0)}"}
    keys.attempt = f"{getattr(task, 'max_tries', 0)}\0{getattr(task, 'try_number', 0)}"
