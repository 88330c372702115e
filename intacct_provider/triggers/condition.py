"""The condition that a sensor waits for, in whichever mode."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

from intacct_provider.client.arguments import check_whole_number
from intacct_provider.client.query.filters import Filters
from intacct_provider.client.query.request import Query

if TYPE_CHECKING:
    from intacct_provider.client import IntacctClient


@dataclass(frozen=True, slots=True)
class Condition:
    """At least a number of records of an object match some filters.

    Holds plain JSON only, so that a trigger can carry it.

    :param object_name: path such as ``accounts-receivable/invoice``.
    :param filters: Intacct's JSON conditions.
    :param filter_expression: how they are joined.
    :param filter_parameters: ``asOfDate``, ``includePrivate`` and so on.
    :param at_least: records that must match.
    :param checked: whether the values of the filters were checked by an earlier poll.
    """

    object_name: str
    filters: Sequence[Mapping[str, Any]]
    filter_expression: str
    filter_parameters: Mapping[str, Any] | None
    at_least: int
    checked: bool = False

    @classmethod
    def build(
        cls,
        object_name: str,
        filters: Filters,
        filter_expression: str | None,
        filter_parameters: Mapping[str, Any] | None,
        at_least: int,
    ) -> Self:
        """Check the parts before a call is made.

        :raises IntacctArgumentError: naming what is wrong.
        """
        check_whole_number("at_least", at_least)
        query = Query.build(
            object_name,
            ["key"],
            filters=filters,
            filter_expression=filter_expression,
            filter_parameters=filter_parameters,
        )
        return cls(object_name, list(query.filters), query.expression, query.parameters, at_least)

    def count(self, client: IntacctClient) -> int:
        """Return how many records match now; one billed call of one row.

        :raises IntacctArgumentError: for values in the filters that no record has, unless they are checked already.
        """
        query = Query.build(
            self.object_name,
            ["key"],
            filters=self.filters,
            filter_expression=self.filter_expression,
            filter_parameters=self.filter_parameters,
        )
        page = client.query(query.trust_values() if self.checked else query, size=1)
        return len(page.rows) if page.total_count is None else page.total_count

    def to_dict(self) -> dict[str, Any]:
        """Return the parts as JSON."""
        return asdict(self)
