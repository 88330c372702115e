"""The query sensor: waits until enough records match."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from intacct_provider.operators.base import make_templatable
from intacct_provider.sensors.base import IntacctConditionSensor

# Conditions are imported when a sensor runs, so that DAG files parse fast.
if TYPE_CHECKING:
    from intacct_provider.client.query.filters import Filters
    from intacct_provider.triggers.condition import Condition


class IntacctQuerySensor(IntacctConditionSensor):
    """Wait until at least ``at_least`` records match the filters.

    Each poll is one billed call of one row, so choose ``poke_interval`` with the bill in mind: one a minute is 43,200 a
    month. It must be at least 1 second.

    :param object_name: path such as ``accounts-receivable/invoice``. (templated)
    :param filters: Intacct's JSON conditions or an expression of ``field(...)``. (templated)
    :param filter_expression: how a list of conditions is joined, such as ``(1 and 2) or 3``. (templated)
    :param filter_parameters: ``asOfDate``, ``includeHierarchyFields``, ``caseSensitiveComparison``,
        ``includePrivate``. (templated)
    :param at_least: number of records that must match.
    :return: the number of records that match.
    """

    template_fields: Sequence[str] = (
        *IntacctConditionSensor.template_fields,
        "object_name",
        "filters",
        "filter_expression",
        "filter_parameters",
    )
    template_fields_renderers = {"filters": "json", "filter_parameters": "json"}  # noqa: RUF012

    def __init__(
        self,
        *,
        object_name: str,
        filters: Filters = None,
        filter_expression: str | None = None,
        filter_parameters: Mapping[str, Any] | None = None,
        at_least: int = 1,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.object_name = object_name
        self.filters, self.filter_expression = make_templatable(filters, filter_expression)
        self.filter_parameters = filter_parameters
        self.at_least = at_least

    def condition(self) -> Condition:
        """Return the condition to wait for, checked."""
        from intacct_provider.triggers.condition import Condition

        return Condition.build(
            self.object_name, self.filters, self.filter_expression, self.filter_parameters, self.at_least
        )
