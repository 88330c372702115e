"""The condition of the record sensor: one record exists, is gone, or has certain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Self

from intacct_provider.client.http import codec
from intacct_provider.client.query.comparison import Kind, are_different
from intacct_provider.client.query.request import Query
from intacct_provider.exceptions import IntacctArgumentError, IntacctResponseError
from intacct_provider.triggers.polling import Finding

if TYPE_CHECKING:
    from intacct_provider.client import IntacctClient

#: What a record is asked for by, and how it is compared.
_IDENTITY: Mapping[str, Kind] = {"key": "key", "id": "text"}


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordCondition:
    """One record exists, with certain values or with any, or is gone.

    Holds plain JSON only, so that a trigger can carry it.

    :param object_name: path such as ``accounts-receivable/customer``.
    :param record: its ``key`` or its ``id``.
    :param values: Intacct's JSON conditions for the values of its fields.
    :param gone: whether to wait until it does not exist.
    :param checked: whether the values were checked by an earlier poll.
    """

    object_name: str
    record: Mapping[str, str]
    values: Sequence[Mapping[str, Mapping[str, Any]]] = ()
    gone: bool = False
    checked: bool = False

    @classmethod
    def build(
        cls,
        object_name: str,
        record: Mapping[str, str],
        conditions: Mapping[str, Any] | None = None,
        *,
        gone: bool = False,
    ) -> Self:
        """Check the parts before a call is made.

        :param conditions: values by field; a list means any of its values.
        :raises IntacctArgumentError: naming what is wrong.
        """
        if gone and conditions:
            raise IntacctArgumentError(
                "conditions do not go with gone=True: a record that is gone has no values."
            )
        values = [_build_filter(name, value) for name, value in _check_conditions(conditions).items()]
        query = Query.build(object_name, ["key"], filters=values, argument="conditions")
        return cls(object_name=object_name, record=record, values=query.filters, gone=gone)

    def poll(self, client: IntacctClient) -> Finding:
        """Return whether the record is as it should be.

        One billed call. The first poll that finds other values than those it waits for asks which ones, by one call
        more. That a record is gone is asked twice before it is believed.

        :raises IntacctArgumentError: for values that no record can have, at the first poll.
        :raises IntacctResponseError: if Intacct sends another record.
        """
        query = self._build_query(self.values)
        page = client.first_page(query, 1) if self.gone else client.query(query, size=1)
        row = page.rows[0] if page.rows else None
        self._check_identity(row or {})
        found = self._describe_found(client, row)
        text = f"{self.object_name} with {_describe(self.record)}: {found}, waiting until {self._describe_wanted()}"
        return Finding((row is None) is self.gone, text, self._summarize(row))

    def to_dict(self) -> dict[str, Any]:
        """Return the parts as JSON."""
        return asdict(self)

    def _build_query(self, values: Sequence[Mapping[str, Any]]) -> Query:
        names = [name for condition in self.values for operand in condition.values() for name in operand]
        query = Query.build(
            self.object_name,
            ["key", *self.record, *names],
            filters=[{"$eq": dict(self.record)}, *values],
            argument="conditions",
        )
        return replace(query, values_checked=self.checked)

    def _check_identity(self, row: Mapping[str, Any]) -> None:
        for name, kind in _IDENTITY.items():
            asked, sent = self.record.get(name), row.get(name)
            if None not in (asked, sent) and are_different(asked, sent, kind):
                raise IntacctResponseError(
                    f"Intacct sent another record of {self.object_name} than that with {_describe(self.record)}."
                )

    def _describe_found(self, client: IntacctClient, row: Mapping[str, Any] | None) -> str:
        if row is None and self.values:
            if self.checked:
                return "not found with these values"
            page = client.query(self._build_query(()), size=1)
            row = page.rows[0] if page.rows else None
        if row is None:
            return "not found"
        return " with ".join(["found", *([_describe(self._pick_values(row))] if self.values else [])])

    def _describe_wanted(self) -> str:
        if self.gone:
            return "it is gone"
        wanted = [
            _describe(operand, operator)
            for condition in self.values
            for operator, operand in condition.items()
        ]
        return " with ".join(["it exists", *([", ".join(wanted)] if wanted else [])])

    def _pick_values(self, row: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in row.items() if name not in ("key", *self.record)}

    def _summarize(self, row: Mapping[str, Any] | None) -> dict[str, Any]:
        summary = {"object_name": self.object_name, "exists": row is not None, **self.record}
        if row is None:
            return summary
        return {**summary, "key": row["key"], "values": codec.to_plain(self._pick_values(row))}


def _check_conditions(conditions: Any) -> Mapping[str, Any]:
    if conditions is not None and not isinstance(conditions, Mapping):
        raise IntacctArgumentError(
            f'conditions must be a mapping of fields to values, such as {{"status": "active"}}, not {conditions!r}.'
        )
    return conditions or {}


def _build_filter(name: Any, value: Any) -> dict[str, Any]:
    if not isinstance(name, str) or not name.strip():
        raise IntacctArgumentError(f"conditions names the field {name!r}, which is not a field name.")
    many = isinstance(value, list | tuple)
    try:
        return dict(
            Query.build("a/b", ["key"], filters=[{"$in" if many else "$eq": {name: value}}]).filters[0]
        )
    except IntacctArgumentError:
        raise IntacctArgumentError(
            f"conditions[{name!r}] must be text, a number, a date, a time, True, False or None, or a list of such "
            f"values of which any will do, not {value!r}."
        ) from None


def _describe(values: Mapping[str, Any], operator: str = "$eq") -> str:
    """Return values by field in words, such as ``status 'active'``."""
    if operator == "$in":
        return ", ".join(f"{name} one of {', '.join(map(repr, some))}" for name, some in values.items())
    return ", ".join(f"{name} {value!r}" for name, value in values.items())
