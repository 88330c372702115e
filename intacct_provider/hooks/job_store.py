"""Where the attempts of a task keep what they know of its bulk job; a retry clears XComs."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from intacct_provider.hooks.state_store import VariableStore, join_name

#: Name of the entry in the task state store, and begin of the name of the Variable.
NAME = "intacct_bulk_job"


class TaskStore:
    """Keeps the text in Airflow's task state store, which outlives retries and clearing.

    :param accessor: what ``context["task_state_store"]`` is.
    """

    def __init__(self, accessor: Any) -> None:
        self._accessor = accessor

    def load(self) -> str | None:
        """Return the text; None if there is none."""
        found = self._accessor.get(NAME)
        return None if found is None else str(found)

    def save(self, text: str) -> None:
        """Replace the text."""
        self._accessor.set(NAME, text)


class RunVariable:
    """Keeps the text in an Airflow Variable with the names of DAG, run, task and map index.

    :param task: the task instance.
    """

    def __init__(self, task: Any) -> None:
        parts = (task.dag_id, task.run_id, task.task_id, str(task.map_index))
        digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
        self.name = join_name([NAME, *parts], digest)
        self._variables = VariableStore()

    def load(self) -> str | None:
        """Return the value of the Variable; None if there is none."""
        return self._variables.get(self.name)

    def save(self, text: str) -> None:
        """Write the Variable."""
        self._variables.set(self.name, text)


class ProcessStore:
    """Keeps the text in this object, outside of a task."""

    def __init__(self) -> None:
        self._text: str | None = None

    def load(self) -> str | None:
        """Return the text; None if there is none."""
        return self._text

    def save(self, text: str) -> None:
        """Replace the text."""
        self._text = text


def find_job_store(context: Mapping[str, Any]) -> TaskStore | RunVariable | ProcessStore:
    """Return the task state store where Airflow has one (3.3 and later), else a Variable of this run of the task."""
    accessor, task = context.get("task_state_store"), context.get("ti")
    if accessor is not None:
        return TaskStore(accessor)
    return ProcessStore() if task is None else RunVariable(task)
