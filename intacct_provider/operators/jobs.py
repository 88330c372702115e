"""The operator for bulk jobs: many records in one file, which Intacct writes in the background."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from intacct_provider._compat import AirflowFailException, conf
from intacct_provider.exceptions import (
    IntacctBulkJobError,
    IntacctNotFoundError,
    IntacctTriggerTimeoutError,
)
from intacct_provider.operators._desired_source import (
    DesiredFunction,
    SqlSourceOperator,
    defer_call,
    read_desired_state,
)
from intacct_provider.operators.base import read_flag, report_to_outlets

# The rest is imported when a task runs, so that DAG files parse fast.
if TYPE_CHECKING:
    from airflow.sdk import Context

    from intacct_provider.bulk.memory import JobMemory
    from intacct_provider.bulk.records import Order
    from intacct_provider.client import IntacctClient
    from intacct_provider.sync.applying.rejects import Tolerance
    from intacct_provider.sync.desired.state import Desired


class IntacctBulkJobOperator(SqlSourceOperator):
    """Create, update or delete the records of a list, a file or a query with one bulk job, and account for each.

    Everything that can be wrong with the records is reported before the job is submitted. It is submitted once: its
    intention is kept before it is sent and its id as soon as it is known, in Airflow's task state store (3.3 and later)
    or a Variable, so an Airflow retry follows the job of the last attempt. If an attempt ended while it was sending,
    nothing can find out whether Intacct took the job. Then the task fails without a retry and says what to check;
    clearing it after that submits the job. The records must not change until the job has ended: the digest of others
    is not the same, and they are refused.

    Intacct writes each record on its own, so some may be rejected. It documents no way to cancel a job: one that was
    submitted keeps running when the task is killed or its time is up. Until then a killed task submits nothing.

    :param object_name: path such as ``accounts-receivable/customer``. (templated)
    :param operation: ``create``, ``update`` or ``delete``. (templated)
    :param records: path or URI of a ``.csv``, ``.tsv``, ``.xlsx``, ``.json``, ``.jsonl``, ``.yaml`` or ``.parquet``
        file; or the records themselves; or a function without arguments that returns them. To update or delete, each
        needs its ``key``; to delete, a list of keys will do, and other fields are ignored. (templated)
    :param records_sql: instead of ``records``: a query, or the path of a ``.sql`` file with one. It is run again when
        the job has ended, so it needs an order, and rows that stay. (templated)
    :param sql_conn_id: connection to run ``records_sql`` with. (templated)
    :param rejects_path: path or URI of the file for the records that Intacct rejects, such as
        ``s3://aws_default@finance/{{ ts_nodash }}/customers.rejects.jsonl``: corrected, it can be given as ``records``.
        None names them in the log only. (templated)
    :param columns: field path of each column that has another name; None leaves a column out. (templated)
    :param constants: fields with the same value in every record. (templated)
    :param null_marker: text of a table's cell that clears its field; an empty cell leaves it alone. (templated)
    :param sheet: sheet of a workbook; None for the only one with values. (templated)
    :param allow_damaged_text: take text such as ``#N/A``, ``nan`` and ``4.7E+17``, which spreadsheets leave in place of
        a value, as it is; by default it is reported. (templated)
    :param max_rejects: number of records that Intacct may reject before the task fails. The others are written either
        way. (templated)
    :param max_reject_percent: likewise, in percent of the records; the larger of both counts. (templated)
    :param poll_interval: seconds until the job's state is asked for again, at least 1; doubled each time up to
        ``max_poll_interval``. Each poll is a billed transaction.
    :param max_poll_interval: seconds between two polls at most.
    :param timeout: seconds to wait for the job in one attempt; then the task fails, and the job keeps running.
    :param deferrable: wait in the triggerer instead of on a worker.
    :return: ``job_id``, the counts ``records``, ``written`` and ``rejected``, ``rejects`` (path, if there are any) and
        ``transactions`` (billed calls of the last process; Intacct also bills each record that it wrote).
    """

    template_fields: Sequence[str] = (
        *SqlSourceOperator.template_fields,
        "object_name",
        "operation",
        "records",
        "records_sql",
        "sql_conn_id",
        "rejects_path",
        "columns",
        "constants",
        "null_marker",
        "sheet",
        "allow_damaged_text",
        "max_rejects",
        "max_reject_percent",
    )
    template_fields_renderers = {"records_sql": "sql"}  # noqa: RUF012
    sql_argument = "records_sql"

    def __init__(
        self,
        *,
        object_name: str,
        operation: Literal["create", "update", "delete"],
        records: str | Sequence[Mapping[str, Any] | str] | DesiredFunction | None = None,
        records_sql: str | None = None,
        sql_conn_id: str | None = None,
        rejects_path: str | None = None,
        columns: Mapping[str, str | None] | None = None,
        constants: Mapping[str, Any] | None = None,
        null_marker: str | None = None,
        sheet: str | None = None,
        allow_damaged_text: bool = False,
        max_rejects: int = 0,
        max_reject_percent: float | None = None,
        poll_interval: float = 15,
        max_poll_interval: float = 300,
        timeout: float = 24 * 3600,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.object_name = object_name
        self.operation = operation
        self.records = defer_call(records)
        self.records_sql = records_sql
        self.sql_conn_id = sql_conn_id
        self.rejects_path = rejects_path
        self.columns = columns
        self.constants = constants
        self.null_marker = null_marker
        self.sheet = sheet
        self.allow_damaged_text = allow_damaged_text
        self.max_rejects = max_rejects
        self.max_reject_percent = max_reject_percent
        self.poll_interval = poll_interval
        self.max_poll_interval = max_poll_interval
        self.timeout = timeout
        self.deferrable = read_flag("deferrable", deferrable)
        self._killed = False
        self._job_id = ""

    def execute(self, context: Context) -> dict[str, Any]:
        """Submit the job, or find that of an earlier attempt; wait for its end, and read its result."""
        with self.client(context) as client:
            tolerance, desired = self._read_arguments()
            order, memory = self._build_order(client, desired), self._recall(context)
            self._job_id = memory.find_job(order) or ""
            found = bool(self._job_id)
            if not found:
                self._job_id = self._submit(client, order, memory)
            with self._explain(memory):
                self._wait(client, ask_first=found)
                return self._finish(context, client, order, memory, tolerance)

    def execute_complete(self, context: Context, event: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Read the result of the job that the trigger has waited for."""
        from intacct_provider.triggers.event_payloads import read_event, read_transactions

        with self.client(context, billed_before=read_transactions(event)) as client:
            memory = self._recall(context)
            self._job_id = memory.note.job_id if memory.note else ""
            with self._explain(memory):
                read_event(event)
            tolerance, desired = self._read_arguments()
            order = self._build_order(client, desired)
            if not memory.find_job(order):
                raise IntacctBulkJobError(
                    "What was kept of the bulk job is gone, so its result cannot be read; the log names the job."
                )
            with self._explain(memory):
                return self._finish(context, client, order, memory, tolerance)

    def on_kill(self) -> None:
        """Submit nothing from now on; what was submitted cannot be cancelled."""
        self._killed = True
        if self._job_id:
            from intacct_provider.triggers.jobs import KEEPS_RUNNING

            self.log.warning(KEEPS_RUNNING, self._job_id)

    def _read_arguments(self) -> tuple[Tolerance, Desired]:
        """Return the limits and the records, checked without a call."""
        from intacct_provider.bulk import records as checks
        from intacct_provider.operators._job_report import check_rejects_path
        from intacct_provider.sync.applying.rejects import Tolerance
        from intacct_provider.triggers.intervals import check_interval

        checks.check_request(self.object_name, self.operation)
        for name in ("poll_interval", "max_poll_interval", "timeout"):
            check_interval(name, getattr(self, name))
        tolerance = Tolerance(self.max_rejects, self.max_reject_percent)
        layout = checks.make_layout(
            self.operation,
            self.columns,
            self.constants,
            self.null_marker,
            self.sheet,
            allow_damaged_text=read_flag("allow_damaged_text", self.allow_damaged_text),
        )
        records = checks.wrap_keys(self.operation, self.records)
        desired = read_desired_state(records, self.records_sql, self.sql_conn_id, layout, argument="records")
        checks.check_given(desired, self.operation)
        check_rejects_path(self.rejects_path, desired.source)
        return tolerance, desired

    def _build_order(self, client: IntacctClient, desired: Desired) -> Order:
        from intacct_provider.bulk.records import build_order

        return build_order(client, desired, self.object_name, self.operation)

    def _recall(self, context: Context) -> JobMemory:
        """Return what earlier attempts have kept."""
        from intacct_provider.bulk.memory import JobMemory
        from intacct_provider.hooks.job_store import find_job_store

        # A clear sets max_tries to the attempts so far and retries, a retry leaves it alone. If retries was lowered, it
        # can be as before; then the task looks retried, and reports again. The next clear makes it larger.
        clears = int(getattr(context.get("ti"), "max_tries", 0) or 0)
        return JobMemory(find_job_store(context), clears)

    def _submit(self, client: IntacctClient, order: Order, memory: JobMemory) -> str:
        """Submit the job, once, and return its id."""
        from intacct_provider.bulk.memory import submit_once

        job_id = submit_once(client, order, memory, self._check_alive)
        self.log.info("Submitted the bulk job %s: %s.", job_id, order)
        return job_id

    def _check_alive(self) -> None:
        if self._killed:
            raise AirflowFailException(
                "The task was killed before its bulk job was sent; nothing was submitted."
            )

    def _wait(self, client: IntacctClient, *, ask_first: bool) -> None:
        """Wait on this worker until the job has ended, or defer.

        :param ask_first: whether it may have ended already, since an earlier attempt submitted it.
        """
        from intacct_provider.triggers.event_payloads import read_event
        from intacct_provider.triggers.intervals import TIMEOUT_GRACE, check_interval
        from intacct_provider.triggers.jobs import IntacctBulkJobTrigger

        timeout = check_interval("timeout", self.timeout)
        trigger = IntacctBulkJobTrigger(
            intacct_conn_id=self.intacct_conn_id,
            entity_id=self.entity_id,
            job_id=self._job_id,
            poll_interval=self.poll_interval,
            max_wait=check_interval("max_poll_interval", self.max_poll_interval),
            exponential_backoff=True,
            deadline=time.time() + timeout,
        )
        if ask_first and trigger.poll(client).met:
            return
        if self.deferrable:
            self.defer(
                # The trigger keeps the deadline; this timeout is for a triggerer that is down.
                timeout=timedelta(seconds=timeout + TIMEOUT_GRACE),
                trigger=trigger,
                method_name="execute_complete",
            )
        read_event(trigger.wait_here(client))

    @contextmanager
    def _explain(self, memory: JobMemory) -> Iterator[None]:
        """Say what to do about a job that has no outcome, and keep that a person gets to know it."""
        try:
            yield
        except IntacctTriggerTimeoutError as err:
            raise IntacctBulkJobError(
                f"The bulk job did not end within its timeout ({self.timeout} s): {err}. It keeps running, since "
                "Intacct documents no way to cancel it. Clear this task to wait on; the job is not submitted again."
            ) from err
        except IntacctNotFoundError as err:
            # A job that was just submitted may not be visible yet.
            memory.report()
            unknown = IntacctBulkJobError(
                f"{err} So the outcome of the bulk job {self._job_id} is unknown for now. Retry or clear this task to "
                "ask again. If the job stays lost and its records were not written, make the task forget it: delete "
                "intacct_bulk_job from its task state store, or its Variable, and clear it."
            )
            unknown.retryable = True
            raise unknown from err
        except IntacctBulkJobError:
            memory.finish()
            raise

    def _finish(
        self,
        context: Context,
        client: IntacctClient,
        order: Order,
        memory: JobMemory,
        tolerance: Tolerance,
    ) -> dict[str, Any]:
        """Read the outcome of each record and report it."""
        from intacct_provider.bulk.outcome import read_rejects
        from intacct_provider.operators._job_report import check_job_rejects, write_job_rejects

        rejects = read_rejects(client, self._job_id, order)
        result = {
            "job_id": self._job_id,
            "records": len(order.records),
            "written": len(order.records) - len(rejects),
            "rejected": len(rejects),
            **write_job_rejects(self.rejects_path, order, rejects),
            "transactions": client.transactions,
        }
        self.log.info("%s: %d written, %d rejected.", order.object_name, result["written"], len(rejects))
        memory.finish()
        check_job_rejects(context, order, rejects, result, tolerance)
        report_to_outlets(context, self.outlets, result)
        return result
