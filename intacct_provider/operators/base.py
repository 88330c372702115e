"""What every Intacct operator and sensor does around its own work.

One client for the task, idempotency keys that an Airflow retry makes again, errors in Airflow's terms, and one
line on what the task cost.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowFailException, Asset, BaseOperator

from intacct_provider.exceptions import IntacctError
from intacct_provider.hooks.idempotency import belong_to_task
from intacct_provider.hooks.intacct import IntacctHook

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from intacct_provider.client import IntacctClient
    from intacct_provider.client.query.filters import Filters


def templatable(filters: Filters, filter_expression: str | None) -> tuple[Filters, str | None]:
    """Return filters as plain JSON, whose templates Airflow renders; it does not look into expressions."""
    if filters is None or isinstance(filters, list | dict | str):
        return filters, filter_expression
    # Whoever has an expression has loaded this already; a DAG file without one does not wait for it.
    from intacct_provider.client.query.filters import templatable as made_plain

    return made_plain(filters, filter_expression)


def report_to_outlets(context: Mapping[str, Any], outlets: Sequence[Any], extra: Mapping[str, Any]) -> None:
    """Tell the assets that the task declares as outlets what was done to them."""
    events = context.get("outlet_events")
    for outlet in outlets:
        if events is not None and isinstance(outlet, Asset):
            events[outlet].extra = dict(extra)


def owner_of(context: Mapping[str, Any], *, cleared: bool = False) -> str:
    """Name the task, whichever try it is in; nothing outside of one.

    :param cleared: tell a task that a person cleared from what it was before.
    """
    task = context.get("ti")
    if task is None:
        return ""
    name = f"{task.dag_id}/{task.run_id}/{task.task_id}" + (
        f"[{task.map_index}]" if task.map_index >= 0 else ""
    )
    # Clearing raises max_tries; retries leave it alone.
    return f"{name}/{task.max_tries}" if cleared else name


@contextmanager
def translated() -> Iterator[None]:
    """Make what a retry cannot mend an ``AirflowFailException``; raise everything else as it is."""
    try:
        yield
    except IntacctError as err:
        if not err.retryable:
            raise AirflowFailException(f"{type(err).__name__}: {err}") from err
        raise


class IntacctOperator(BaseOperator):
    """What Intacct operators have in common.

    :param intacct_conn_id: id of the Airflow connection. (templated)
    :param entity_id: entity to work in; ``""`` is the top level; None takes the connection's. (templated)
    """

    template_fields: Sequence[str] = ("intacct_conn_id", "entity_id")

    def __init__(
        self,
        *,
        intacct_conn_id: str = IntacctHook.default_conn_name,
        entity_id: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.intacct_conn_id = intacct_conn_id
        self.entity_id = entity_id

    @cached_property
    def hook(self) -> IntacctHook:
        """The hook for the operator's connection and entity."""
        return IntacctHook(self.intacct_conn_id, entity_id=self.entity_id)

    @contextmanager
    def client(self, context: Context) -> Iterator[IntacctClient]:
        """Lend the hook's client to the task and translate what goes wrong.

        Errors that a retry cannot mend become ``AirflowFailException`` from the original; all others are
        raised as they are, so that ``retries`` and retry policies can tell them apart. However the task ends, the
        log tells its billed transactions.
        """
        started = time.monotonic()
        client: IntacctClient | None = None
        try:
            with translated():
                client = self.hook.client
                belong_to_task(client.idempotency, context)
                yield client
        finally:
            if client is not None:
                billed, seconds = client.transactions, time.monotonic() - started
                self.log.info("Intacct: billed API transactions: %d (%.1f s).", billed, seconds)
