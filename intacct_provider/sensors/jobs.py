"""The bulk job sensor: waits until Intacct has processed a bulk job."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.operators.base import describe_rendered_nothing, is_rendered_nothing
from intacct_provider.sensors.base import IntacctConditionSensor

if TYPE_CHECKING:
    from intacct_provider.client import IntacctClient
    from intacct_provider.triggers.jobs import IntacctBulkJobTrigger
    from intacct_provider.triggers.polling import Finding


class IntacctBulkJobSensor(IntacctConditionSensor):
    """Wait until a bulk job is completed; a job that failed as a whole fails the task at once.

    Each poll is one billed call. A completed job can have rejected records, which its result names:
    :meth:`~intacct_provider.client.IntacctClient.job_result`. Use it for jobs that something else has submitted;
    :class:`~intacct_provider.operators.jobs.IntacctBulkJobOperator` waits for its own.

    :param job_id: id of the job. (templated)
    :return: ``job_id``, ``state`` and ``percent``.
    """

    template_fields: Sequence[str] = (*IntacctConditionSensor.template_fields, "job_id")

    def __init__(self, *, job_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.job_id = job_id

    def build_trigger(self, **how: Any) -> IntacctBulkJobTrigger:
        """Return the trigger that waits for the job."""
        from intacct_provider.triggers.jobs import IntacctBulkJobTrigger

        return IntacctBulkJobTrigger(job_id=self._read_job_id(), must_complete=True, **how)

    def poll(self, client: IntacctClient) -> Finding:
        """Return the state of the job."""
        from intacct_provider.triggers.jobs import poll_job

        return poll_job(client, self._read_job_id(), must_complete=True)

    def _read_job_id(self) -> str:
        from intacct_provider.client.arguments import read_id

        if is_rendered_nothing(self.job_id):
            raise IntacctArgumentError(f"job_id {describe_rendered_nothing(self.job_id)}")
        return str(read_id("job_id", self.job_id))
