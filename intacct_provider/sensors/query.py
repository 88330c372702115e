"""The query sensor: waits until enough records match, or few enough, or until they add up to an amount."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from intacct_provider.operators.base import make_templatable
from intacct_provider.sensors.base import IntacctConditionSensor

# Conditions are imported when a sensor runs, so that DAG files parse fast.
if TYPE_CHECKING:
    from intacct_provider.client.query.filters import Filters
    from intacct_provider.triggers.condition import Condition

#: A number to compare with; text is what templates render.
Bound = int | float | str | Decimal | None


class IntacctQuerySensor(IntacctConditionSensor):
    """Wait until the number of records that match the filters, or an aggregate of them, is as wanted.

    Each poll is one billed call of one row. The poll that ends a wait for few records, or for none, asks once more
    before it believes that.

    :param object_name: path such as ``accounts-receivable/invoice``. (templated)
    :param filters: Intacct's JSON conditions or an expression of ``field(...)``. (templated)
    :param filter_expression: how a list of conditions is joined, such as ``(1 and 2) or 3``. (templated)
    :param filter_parameters: ``asOfDate``, ``includeHierarchyFields``, ``caseSensitiveComparison``,
        ``includePrivate``. (templated)
    :param at_least: lowest number; 1 record if no other bound is given. Amounts best as text or Decimal. (templated)
    :param at_most: highest number, alone or with ``at_least``. (templated)
    :param exactly: the number. (templated)
    :param aggregate: what to compare instead of the number of records, such as ``sum:totalDue``: count, sum, avg, min
        or max of a field that has numbers. A sum of no records is 0; the others of them never end the wait. (templated)
    :return: ``object_name`` and ``count``, or ``object_name``, ``aggregate`` and ``value`` as text.
    """

    template_fields: Sequence[str] = (
        *IntacctConditionSensor.template_fields,
        "object_name",
        "filters",
        "filter_expression",
        "filter_parameters",
        "at_least",
        "at_most",
        "exactly",
        "aggregate",
    )
    template_fields_renderers = {"filters": "json", "filter_parameters": "json"}  # noqa: RUF012

    def __init__(
        self,
        *,
        object_name: str,
        filters: Filters = None,
        filter_expression: str | None = None,
        filter_parameters: Mapping[str, Any] | None = None,
        at_least: Bound = None,
        at_most: Bound = None,
        exactly: Bound = None,
        aggregate: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.object_name = object_name
        self.filters, self.filter_expression = make_templatable(filters, filter_expression)
        self.filter_parameters = filter_parameters
        self.at_least = at_least
        self.at_most = at_most
        self.exactly = exactly
        self.aggregate = aggregate

    def condition(self) -> Condition:
        """Return the condition to wait for, checked."""
        from intacct_provider.triggers.condition import Condition

        return Condition.build(
            self.object_name,
            filters=self.filters,
            filter_expression=self.filter_expression,
            filter_parameters=self.filter_parameters,
            aggregate=self.aggregate,
            at_least=self.at_least,
            at_most=self.at_most,
            exactly=self.exactly,
        )
