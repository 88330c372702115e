"""The record sensor: waits until one record exists, has certain values, or is gone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from intacct_provider.operators.base import check_key_or_id, read_flag
from intacct_provider.sensors.base import IntacctConditionSensor

if TYPE_CHECKING:
    from intacct_provider.triggers.record_condition import RecordCondition


class IntacctRecordSensor(IntacctConditionSensor):
    """Wait until a record exists, has certain values, or is gone.

    Each poll is one billed call. The first poll that finds other values asks which, for one call more; the poll that
    finds a record gone asks once more before it believes that.

    :param object_name: path such as ``accounts-receivable/customer``. (templated)
    :param key: the record's key. (templated)
    :param record_id: the record's id, instead of the key. (templated)
    :param conditions: fields with the values to wait for, such as ``{"status": "active"}``; a list means any of
        its values. Without conditions the record need only exist. (templated)
    :param gone: wait until the record does not exist, or cannot be seen from this entity.
    :return: ``object_name``, ``exists``, ``key`` or ``id`` as given, and of a record that exists its ``key`` and the
        ``values`` of the fields in ``conditions``.
    """

    template_fields: Sequence[str] = (
        *IntacctConditionSensor.template_fields,
        "object_name",
        "key",
        "record_id",
        "conditions",
    )
    template_fields_renderers = {"conditions": "json"}  # noqa: RUF012

    def __init__(
        self,
        *,
        object_name: str,
        key: str | None = None,
        record_id: str | None = None,
        conditions: Mapping[str, Any] | None = None,
        gone: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.object_name = object_name
        self.key = key
        self.record_id = record_id
        self.conditions = conditions
        self.gone = gone

    def condition(self) -> RecordCondition:
        """Return the condition to wait for, checked."""
        check_key_or_id(self.object_name, self.key, self.record_id)
        record = {"key": str(self.key)} if self.key else {"id": str(self.record_id)}
        from intacct_provider.triggers.record_condition import RecordCondition

        gone = read_flag("gone", self.gone)
        return RecordCondition.build(self.object_name, record, self.conditions, gone=gone)
