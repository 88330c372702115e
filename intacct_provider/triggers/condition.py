"""The condition that a sensor waits for: one predicate for all modes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Self

from intacct_provider.client.query.filters import Filters
from intacct_provider.client.query.request import Query, is_aggregate
from intacct_provider.exceptions import IntacctArgumentError, IntacctResponseError
from intacct_provider.triggers.bounds import describe_bounds, is_within, read_bounds
from intacct_provider.triggers.polling import Finding
from intacct_provider.triggers.record_condition import RecordCondition

if TYPE_CHECKING:
    from intacct_provider.client import IntacctClient

COUNT = "count:key"


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """How many records match some filters, or an aggregate of them, is within bounds.

    Holds plain JSON only, so that a trigger can carry it.

    :param object_name: path such as ``accounts-receivable/customer``.
    :param filters: Intacct's JSON conditions.
    :param filter_expression: how they are joined.
    :param filter_parameters: ``asOfDate``, ``includePrivate`` and so on.
    :param bounds: ``at_least``, ``at_most`` and ``exactly``, as decimal text.
    :param aggregate: such as ``sum:totalDue``; None counts records.
    :param checked: whether the values of the filters were checked by an earlier poll.
    """

    object_name: str
    filters: Sequence[Mapping[str, Any]] = ()
    filter_expression: str = "and"
    filter_parameters: Mapping[str, Any] | None = None
    bounds: Mapping[str, str] = field(default_factory=dict)
    aggregate: str | None = None
    checked: bool = False

    @classmethod
    def build(
        cls,
        object_name: str,
        *,
        filters: Filters = None,
        filter_expression: str | None = None,
        filter_parameters: Mapping[str, Any] | None = None,
        aggregate: str | None = None,
        **bounds: Any,
    ) -> Self:
        """Check the parts before a call is made.

        :param bounds: ``at_least``, ``at_most``, ``exactly``; without any, at least one record.
        :raises IntacctArgumentError: naming what is wrong.
        """
        if aggregate is not None:
            _check_aggregate(aggregate)
        read = read_bounds(bounds, whole=aggregate is None or aggregate.startswith("count:"))
        if aggregate is not None and not read:
            raise IntacctArgumentError(
                f"aggregate={aggregate!r} needs a value to compare with: give at_least, at_most or exactly."
            )
        query = Query.build(
            object_name,
            [aggregate or "key"],
            filters=filters,
            filter_expression=filter_expression,
            filter_parameters=filter_parameters,
        )
        return cls(
            object_name=object_name,
            filters=list(query.filters),
            filter_expression=query.expression,
            filter_parameters=query.parameters,
            bounds=read or {"at_least": "1"},
            aggregate=aggregate,
        )

    def poll(self, client: IntacctClient) -> Finding:
        """Return what matches now.

        One billed call. That there are few records or none is asked twice before it is believed, when it would end
        the wait; and values of filters that no record can have are looked up at the first poll.

        :raises IntacctArgumentError: for such values.
        """
        value = self._read(client)
        met = value is not None and is_within(value, self.bounds)
        if met and ("at_most" in self.bounds or "exactly" in self.bounds):
            value = self._read(client, again=True)
            met = value is not None and is_within(value, self.bounds)
        shown = "nothing" if value is None else format(value, "f")
        text = (
            f"{self.object_name}: {self.aggregate or 'matching records'}: {shown}, "
            f"waiting for {describe_bounds(self.bounds)}"
        )
        return Finding(met, text, self._summarize(value, shown))

    def to_dict(self) -> dict[str, Any]:
        """Return the parts as JSON."""
        return asdict(self)

    def _summarize(self, value: Decimal | None, shown: str) -> dict[str, Any]:
        if self.aggregate is None:
            return {"object_name": self.object_name, "count": int(value or 0)}
        return {"object_name": self.object_name, "aggregate": self.aggregate, "value": shown}

    def _read(self, client: IntacctClient, *, again: bool = False) -> Decimal | None:
        """Return the count or the aggregate; None for an aggregate of no records that is not a sum or a count.

        :param again: whether it was asked before.
        """
        if self.aggregate is None:
            return Decimal(self._count(client, again=again))
        return self._read_aggregate(client, self.aggregate)

    def _count(self, client: IntacctClient, *, again: bool) -> int:
        """Return the count of a page, or the counted keys where the page has none, or contradicts itself."""
        query = self._build_query("key")
        if again:
            return client.totals(query.trust_values()).count
        page = client.query(query, size=1)
        if page.total_count is None or (page.total_count > 0) != bool(page.rows):
            return client.totals(query.trust_values()).count
        return page.total_count

    def _read_aggregate(self, client: IntacctClient, aggregate: str) -> Decimal | None:
        query = self._build_query(COUNT, aggregate)
        page = client.query(query, size=1)
        row = page.rows[0] if page.rows else {}
        count = _read_decimal(COUNT, row.get(COUNT)) if row else Decimal(client.totals(query).count)
        if not row and count:
            raise IntacctResponseError(
                f"Intacct sent no {aggregate} of the {count} records of {self.object_name}."
            )
        value = _read_decimal(aggregate, row.get(aggregate))
        return Decimal(0) if value is None and aggregate.startswith(("sum:", "count:")) else value

    def _build_query(self, *fields: str) -> Query:
        query = Query.build(
            self.object_name,
            fields,
            filters=self.filters,
            filter_expression=self.filter_expression,
            filter_parameters=self.filter_parameters,
        )
        return query.trust_values() if self.checked else query


def load_condition(parts: Mapping[str, Any]) -> Condition | RecordCondition:
    """Return the condition whose parts a trigger carries, those of earlier versions included."""
    if "record" in parts:
        return RecordCondition(**parts)
    known = dict(parts)
    if "at_least" in known:
        known["bounds"] = {"at_least": str(known.pop("at_least"))}
    return Condition(**known)


def _check_aggregate(aggregate: Any) -> None:
    if (
        not isinstance(aggregate, str)
        or not is_aggregate([aggregate])
        or not aggregate.partition(":")[2].strip()
    ):
        raise IntacctArgumentError(
            f"aggregate must be a function of a field, such as 'sum:totalDue', with one of count, sum, avg, min and "
            f"max, not {aggregate!r}."
        )


def _read_decimal(name: str, value: Any) -> Decimal | None:
    if value in (None, ""):
        return None
    try:
        number = Decimal(str(value))
    except ArithmeticError:
        number = Decimal("nan")
    if not number.is_finite():
        raise IntacctResponseError(f"Intacct's {name} is not a number.")
    return number
