"""The base of every Intacct operator and sensor.

One client for the task, idempotency keys that an Airflow retry repeats, errors in Airflow's terms, and a log line on
what the task cost.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset, BaseOperator

from intacct_provider._compat import AirflowFailException
from intacct_provider.exceptions import (
    IntacctArgumentError,
    IntacctAuthenticationError,
    IntacctError,
    IntacctPermissionError,
)
from intacct_provider.hooks.intacct import IntacctHook

if TYPE_CHECKING:
    from airflow.sdk import Context

    from intacct_provider.client import IntacctClient
    from intacct_provider.client.query.filters import Filters

#: What templates render for flags; ``""`` and ``None`` where a parameter is not given.
_FLAGS = {"true": True, "false": False}
#: What templates render where there is no value.
_NOTHINGS = frozenset({"", "None", "null", "nan", "NaN", "NaT", "<NA>"})
#: What templates render for a list, a mapping, or an object such as ``OrderedDict([...])`` and ``<generator ...>``.
_RENDERED = re.compile(r"""['"]?(\w+\(.*\)|\[.*\]|\{.*\}|\(.*\))['"]?|<.+>""", re.DOTALL)
#: What distinguishes such a text from an id in brackets: quotation marks and colons, or that it is empty.
_NO_ID = re.compile(r"""['":]|\A\W*\Z""")


def make_templatable(filters: Filters, filter_expression: str | None) -> tuple[Filters, str | None]:
    """Return filters as plain JSON, in which Airflow renders templates; it does not look into expressions."""
    if filters is None or isinstance(filters, list | dict | str):
        return filters, filter_expression
    # A DAG file with an expression has imported this already; one without must not wait for it.
    from intacct_provider.client.query.filters import make_templatable

    return make_templatable(filters, filter_expression)


def restore_expression(given: Any, rendered: Filters) -> Filters:
    """Return an expression that was made templatable with its rendered conditions, and other filters as rendered."""
    # Not by its class: a DAG file without an expression must not load the module of expressions.
    replace_conditions = getattr(given, "replace_conditions", None)
    return replace_conditions(iter(rendered)) if replace_conditions and rendered else rendered


def check_key_or_id(object_name: str, key: str | None, record_id: str | None) -> None:
    """Reject a record that is named by both its key and its id, by neither, or by what a template rendered to nothing.

    :raises IntacctArgumentError: in that case, for a key that is not a whole number, and for an id that is a list.
    """
    from intacct_provider.client.arguments import read_id
    from intacct_provider.client.paths import check_key

    record_id = read_id("record_id", record_id)
    for argument, value in (("key", key), ("record_id", record_id)):
        if value:
            check_rendered_id(argument, value)
    if record_id is not None and (isinstance(record_id, bool) or not isinstance(record_id, str | int)):
        raise IntacctArgumentError(f"record_id must be the id of one record, not {type(record_id).__name__}.")
    if key not in (None, ""):
        check_key(key)
    if (key in (None, "")) == (record_id in (None, "")):
        raise IntacctArgumentError(
            f"Name the record of {object_name} by key or by record_id, one of them; got key={key!r} and "
            f"record_id={record_id!r}."
        )


def check_rendered_id(argument: str, value: Any) -> None:
    """Reject an id or a key that a template made of nothing, or of a list.

    :raises IntacctArgumentError: in that case.
    """
    if is_rendered_nothing(value):
        raise IntacctArgumentError(f"{argument} {describe_rendered_nothing(value)}")
    if is_rendered_list(value) and _NO_ID.search(value):
        raise IntacctArgumentError(describe_rendered_list(argument))


def is_rendered_nothing(value: Any) -> bool:
    """Return whether a text is blank, or what a template makes of None or of a missing value of a data frame."""
    return isinstance(value, str) and value.strip() in _NOTHINGS


def describe_rendered_nothing(value: str) -> str:
    """Return what is wrong with such a text, as the end of a sentence."""
    return (
        f"is {value!r}, so its template rendered to nothing. Check that the upstream task returned a value, and under "
        "this name."
    )


def is_rendered_list(value: Any) -> bool:
    """Return whether a text is a list, mapping or other object that a template made into text, as Python or as JSON."""
    return isinstance(value, str) and _RENDERED.fullmatch(value.strip()) is not None


def describe_rendered_list(argument: str) -> str:
    """Return what to do about such a text; what is in it is not repeated."""
    return (
        f"{argument} is the text of a list or mapping, not the value itself: a template makes text of what an upstream "
        f"task returns. Give the task's output ({argument}=upstream.output), or set render_template_as_native_obj=True "
        "on the DAG."
    )


def report_to_outlets(
    context: Mapping[str, Any],
    outlets: Sequence[Any],
    extra: Mapping[str, Any],
    partition_key: str | None = None,
) -> None:
    """Attach a report to the events of the assets that the task declares as outlets.

    :param partition_key: of the events, where Airflow has partitions of assets.
    """
    events = context.get("outlet_events")
    for outlet in outlets:
        if events is not None and isinstance(outlet, Asset):
            events[outlet].extra = dict(extra)
            if partition_key is not None and hasattr(events[outlet], "add_partitions"):
                events[outlet].add_partitions(partition_key)


def name_task(context: Mapping[str, Any], *, cleared: bool = False) -> str:
    """Return a name of the task that is the same in every attempt; ``""`` outside of a task.

    :param cleared: whether the name changes when a person clears the task.
    """
    task = context.get("ti")
    if task is None:
        return ""
    name = f"{task.dag_id}/{task.run_id}/{task.task_id}" + (
        f"[{task.map_index}]" if task.map_index >= 0 else ""
    )
    # Clearing raises max_tries; retries leave it alone.
    return f"{name}/{task.max_tries}" if cleared else name


def read_flag(argument: str, value: Any, *, blank: bool | None = None) -> bool:
    """Read a flag that a template may have made into text.

    :param blank: what ``""`` and None mean. By default they are rejected: a template that rendered to nothing must not
        decide whether something is written.
    :raises IntacctArgumentError: for what is neither true nor false.
    """
    text = str(value).strip().lower()
    flag = blank if text in ("", "none") else _FLAGS.get(text)
    if flag is None:
        raise IntacctArgumentError(f"{argument} must be True or False, not {value!r}.")
    return flag


@contextmanager
def airflow_errors(intacct_conn_id: str = "", retry_policy: Any = None) -> Iterator[None]:
    """Turn errors that a retry cannot fix into ``AirflowFailException``; raise all others as they are.

    :param intacct_conn_id: connection that an error about credentials or permissions names.
    :param retry_policy: of the task. Airflow does not ask it about an ``AirflowFailException``, so what an
        ``IntacctRetryPolicy`` waits for is raised as it is.
    """
    try:
        yield
    except IntacctError as err:
        waits_for = getattr(retry_policy, "waits_for", None)
        if not err.retryable and not (waits_for and waits_for(err)):
            denied = intacct_conn_id and isinstance(err, IntacctAuthenticationError | IntacctPermissionError)
            where = f" (connection {intacct_conn_id!r})" if denied else ""
            raise AirflowFailException(f"{type(err).__name__}: {err}{where}") from err
        raise


class IntacctOperator(BaseOperator):
    """Base of the Intacct operators.

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

    def render_template(
        self, content: Any, context: Context, jinja_env: Any = None, seen_oids: set[int] | None = None
    ) -> Any:
        """Render as Airflow does, but reject what rendered to None: it would count as an argument that is not given.

        Text that is ``"None"``, as templates without native objects make it, is rejected where it is used.

        :raises AirflowFailException: naming the argument; a retry would render the same.
        """
        rendered = super().render_template(content, context, jinja_env, seen_oids)
        if rendered is None and content is not None:
            names = [
                name for name in self.template_fields if repr(content) in repr(getattr(self, name, None))
            ]
            raise AirflowFailException(
                f"{self.task_id}: {' or '.join(names) or 'an argument'}: {content!r} rendered to None. Check that the "
                "upstream task returned a value, and under this name; or leave the argument out if there is none."
            )
        return rendered

    @cached_property
    def hook(self) -> IntacctHook:
        """The hook for the operator's connection and entity."""
        return IntacctHook(self.intacct_conn_id, entity_id=self.entity_id)

    @contextmanager
    def client(
        self, context: Context, *, default_entity_id: str | None = None, billed_before: int = 0
    ) -> Iterator[IntacctClient]:
        """Give the hook's client to the task and translate its errors.

        Errors that a retry cannot fix become ``AirflowFailException`` from the original; all others are raised as they
        are, so that ``retries`` and retry policies can distinguish them. However the task ends, its billed transactions
        are logged.

        :param default_entity_id: entity to work in if the task names none; None takes the connection's.
        :param billed_before: transactions of the triggerer, which belong to the task.
        """
        started = time.monotonic()
        client: IntacctClient | None = None
        try:
            with airflow_errors(self.intacct_conn_id, getattr(self, "retry_policy", None)):
                hook = self.hook
                if self.entity_id is None and default_entity_id is not None:
                    hook = IntacctHook(self.intacct_conn_id, entity_id=default_entity_id)
                client = hook.connect(context)
                yield client
        finally:
            if client is not None:
                self.log_bill(client.transactions, billed_before, time.monotonic() - started)

    def log_bill(self, own: int, by_triggerer: int, seconds: float | None = None) -> None:
        """Log what Intacct bills for the task, with its polls in the triggerer."""
        waited = f", {by_triggerer} of them by the triggerer" if by_triggerer else ""
        took = "" if seconds is None else f" ({seconds:.1f} s)"
        self.log.info("Intacct: billed API transactions: %d%s%s.", own + by_triggerer, waited, took)
