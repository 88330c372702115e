"""The record sensor: waits until one record exists, or has certain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from intacct_provider.operators.base import check_key_or_id
from intacct_provider.sensors.base import IntacctConditionSensor

if TYPE_CHECKING:
    from intacct_provider.triggers.condition import Condition


class IntacctRecordSensor(IntacctConditionSensor):
    """Wait until a record exists and its fields have the given values.

    :param object_name: path such as ``accounts-receivable/customer``. (templated)
    :param key: the record's key. (templated)
    :param record_id: the record's id, instead of the key. (templated)
    :param conditions: fields with the values to wait for, such as ``{"status": "active"}``; a list means any of
        its values. Without conditions the record need only exist. (templated)
    :return: 1.
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
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.object_name = object_name
        self.key = key
        self.record_id = record_id
        self.conditions = conditions

    def condition(self) -> Condition:
        """Return the condition to wait for, checked."""
        check_key_or_id(self.object_name, self.key, self.record_id)
        name = {"key": str(self.key)} if self.key else {"id": str(self.record_id)}
        filters: list[dict[str, Any]] = [{"$eq": name}]
        for field, value in (self.conditions or {}).items():
            filters.append({"$in" if isinstance(value, list | tuple) else "$eq": {field: value}})
        from intacct_provider.triggers.condition import Condition

        return Condition.build(self.object_name, filters, None, None, 1)
