"""The query service's request, checked before a call is paid for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from intacct_provider.client.arguments import check_whole_number
from intacct_provider.client.config import MAX_PAGE_SIZE
from intacct_provider.client.model import WELL_KNOWN_OBJECTS
from intacct_provider.client.query.contradictions import (
    Contradiction,
    FieldType,
    find_contradictions,
)
from intacct_provider.client.query.dates import is_impossible_date, suggest_date
from intacct_provider.client.query.filters import Filters, check_filters
from intacct_provider.client.spelling import did_you_mean, find_nearest
from intacct_provider.exceptions import IntacctArgumentError

FILTER_PARAMETERS = ("asOfDate", "includeHierarchyFields", "caseSensitiveComparison", "includePrivate")
AGGREGATES = ("count", "sum", "avg", "min", "max")
_OBJECT_PATH = re.compile(r"[a-z][a-z0-9-]*/[^/\\\s?#%][^/\\?#%]*")


@dataclass(frozen=True, slots=True)
class Query:
    """A validated query, without paging.

    Make it with :meth:`build`; ``client.query()``, ``iter_rows()``, ``read_pages()`` and ``totals()`` take it as it is.

    :param object_name: path such as ``accounts-receivable/customer``.
    :param fields: names of fields or aggregates.
    :param filters: conditions as Intacct's JSON.
    :param expression: how they are joined.
    :param parameters: ``asOfDate``, ``includePrivate`` and so on.
    :param order_by: fields with their directions.
    :param few_calls: whether a read of several pages may do without asking for keys alone, which costs a call: that
        shows that there are records which Intacct never sends with these fields, nor counts.
    :param values_checked: whether the values of the filters are known to be such that records can have.
    :param narrowed: whether conditions were added to those that were asked for.
    :param argument: name that the filters have where they come from, for messages.
    """

    object_name: str
    fields: tuple[str, ...]
    filters: tuple[Mapping[str, Any], ...] = ()
    expression: str = "and"
    parameters: Mapping[str, Any] | None = None
    order_by: tuple[Mapping[str, str], ...] = ()
    few_calls: bool = field(default=False, compare=False, repr=False)
    values_checked: bool = field(default=False, compare=False, repr=False)
    narrowed: bool = field(default=False, compare=False, repr=False)
    argument: str = field(default="filters", compare=False, repr=False)

    @classmethod
    def build(
        cls,
        object_name: str,
        fields: Sequence[str],
        *,
        filters: Filters = None,
        filter_expression: str | None = None,
        filter_parameters: Mapping[str, Any] | None = None,
        order_by: Sequence[Mapping[str, str]] | None = None,
        argument: str = "filters",
    ) -> Query:
        """Check the parts of a query, which are those of ``client.query()``, and return it; sends nothing.

        :param argument: name of the argument that the filters come from, for messages.
        :raises IntacctArgumentError: naming what is wrong and the closest correct spelling.
        """
        check_object_name(object_name)
        conditions, expression = check_filters(filters, filter_expression, argument)
        _check_parameters(filter_parameters or {})
        query = cls(
            object_name=object_name,
            fields=_check_fields(fields),
            filters=tuple(conditions),
            expression=expression,
            parameters=dict(filter_parameters) if filter_parameters else None,
            order_by=tuple(_check_order(item) for item in order_by or ()),
            argument=argument,
        )
        if found := find_contradictions(conditions, expression, lambda _name: FieldType()):
            raise query.refuse(found[0])
        return query

    @property
    def aggregated(self) -> bool:
        """Whether rows stand for groups of records, which have no key."""
        return is_aggregate(self.fields)

    def refuse(self, why: Contradiction) -> IntacctArgumentError:
        """Return the error of a query whose filters no record can match."""
        return IntacctArgumentError(
            f"{self.argument}: no record of {self.object_name} can match, since {why}"
        )

    def trust_values(self) -> Query:
        """Return the query, whose values were checked before, or come from Intacct: no call is made to check them."""
        return replace(self, values_checked=True)

    def narrow(self, filters: Filters) -> Query:
        """Return the query of those records that meet these conditions, too.

        :param filters: an expression of :func:`field`, one condition, or a list of conditions that must all be met.
        """
        more, joined = check_filters(filters, None)
        if not more:
            return self
        own = _number_conditions(self.expression, 0, len(self.filters))
        added = _number_conditions(joined, len(self.filters), len(more))
        if len(more) > 1:
            added = f"({added})"
        expression = f"({own}) and {added}" if self.filters else joined
        return replace(
            self,
            filters=(*self.filters, *more),
            expression=expression,
            values_checked=False,
            narrowed=bool(self.filters),
        )

    def payload(self, *, start: int = 1, size: int = MAX_PAGE_SIZE) -> dict[str, Any]:
        """Return the request body for one page."""
        body: dict[str, Any] = {"object": self.object_name, "fields": list(self.fields)}
        if self.filters:
            body |= {"filters": list(self.filters), "filterExpression": self.expression}
        if self.parameters:
            body["filterParameters"] = self.parameters
        if self.order_by:
            body["orderBy"] = list(self.order_by)
        return body | {"start": start, "size": size}


def _number_conditions(expression: str, offset: int, count: int) -> str:
    """Return an expression that names each condition by number, with ``offset`` other conditions before the first."""
    if expression.lower() in ("and", "or"):
        return f" {expression.lower()} ".join(str(offset + n) for n in range(1, count + 1))
    return re.sub(r"\d+", lambda found: str(offset + int(found[0])), expression)


def is_aggregate(fields: Sequence[str]) -> bool:
    """Whether a query of these fields groups records, as ``sum:totalDue`` does."""
    return any(":" in name and name.partition(":")[0] in AGGREGATES for name in fields)


def check_exclude(fields: Any, exclude: Sequence[str] | None) -> tuple[str, ...]:
    """Return the names of fields that ``"*"`` does not stand for.

    :raises IntacctArgumentError: if they are not names, or ``fields`` is not ``"*"``.
    """
    if exclude is None:
        return ()
    names = () if isinstance(exclude, str) or not isinstance(exclude, Iterable) else tuple(exclude)
    if not all(isinstance(name, str) and name.strip() for name in names) or (exclude and not names):
        raise IntacctArgumentError(
            f"exclude must be a list of field names, such as ['taxId', 'contacts'], not {exclude!r}."
        )
    if names and fields != "*":
        raise IntacctArgumentError("exclude goes with fields='*'; a list of fields just leaves them out.")
    return names


def check_object_name(object_name: str) -> None:
    """Reject what cannot be an object's path, such as ``customer`` or ``/objects/...``.

    :raises IntacctArgumentError: unless it has the form ``application/object``.
    """
    if not isinstance(object_name, str) or not _is_object_path(object_name):
        raise IntacctArgumentError(
            f"object_name {object_name!r} must be an object's path in the form 'application/object', such as "
            f"'accounts-receivable/customer'.{_suggest_object(object_name)}"
        )


def _is_object_path(name: str) -> bool:
    """Whether a name can be an object's path and cannot lead anywhere else."""
    return (
        bool(_OBJECT_PATH.fullmatch(name)) and name.isprintable() and name.partition("/")[2].strip(". ") != ""
    )


def check_page(start: int, size: int) -> None:
    """Reject a page that Intacct cannot serve.

    :raises IntacctArgumentError: unless ``start`` is 1 or more and ``size`` from 1 to 4000.
    """
    check_whole_number("start", start)
    check_whole_number("size", size, high=MAX_PAGE_SIZE)


def _suggest_object(object_name: Any) -> str:
    """Suggest the object that a path with too many parts, or a name without its application, means."""
    parts = str(object_name).strip("/").split("/")[-2:]
    if len(parts) == 2:
        return did_you_mean("/".join(parts), WELL_KNOWN_OBJECTS)
    paths = {path.rpartition("/")[2]: path for path in reversed(WELL_KNOWN_OBJECTS)}
    found = find_nearest(parts[0], paths)
    return f" Did you mean {paths[found]!r}?" if found else ""


def _check_fields(fields: Sequence[str]) -> tuple[str, ...]:
    names = () if isinstance(fields, str) or not isinstance(fields, Iterable) else tuple(fields)
    if not names:
        raise IntacctArgumentError(
            f"fields must be a list of field names, such as ['key', 'id'], or '*' for all that can be queried, not "
            f"{fields!r}."
        )
    for name in names:
        if not isinstance(name, str) or not name.strip() or name == "*":
            every = " For all fields give fields='*', not a list." if name == "*" else ""
            raise IntacctArgumentError(f"fields contains {name!r}, which is not a field name.{every}")
        prefix = name.partition(":")[0]
        if ":" in name and "::" not in name and prefix not in AGGREGATES:
            raise IntacctArgumentError(
                f"fields contains {name!r} with the unknown function {prefix!r}.{did_you_mean(prefix, AGGREGATES)} "
                f"Functions: {', '.join(AGGREGATES)}."
            )
    return tuple(dict.fromkeys(names))


def _check_order(item: Any) -> dict[str, str]:
    if not isinstance(item, Mapping) or len(item) != 1:
        raise IntacctArgumentError(
            f'order_by takes one field with its direction each, such as {{"id": "asc"}}, not {item!r}.'
        )
    ((name, direction),) = item.items()
    if not isinstance(name, str) or not name.strip():
        raise IntacctArgumentError(f"order_by contains {name!r}, which is not a field name.")
    if str(direction).lower() not in ("asc", "desc"):
        raise IntacctArgumentError(
            f"order_by: direction of {name!r} must be 'asc' or 'desc', not {direction!r}."
        )
    return {name: str(direction).lower()}


def _check_parameters(given: Any) -> None:
    known = ", ".join(FILTER_PARAMETERS)
    if not isinstance(given, Mapping):
        raise IntacctArgumentError(f"filter_parameters must be a mapping of {known}, not {given!r}.")
    for name in given:
        if name not in FILTER_PARAMETERS:
            closest = did_you_mean(str(name), FILTER_PARAMETERS)
            raise IntacctArgumentError(
                f"filter_parameters has the unknown name {name!r}.{closest} Known: {known}."
            )
    day = given.get("asOfDate")
    if is_impossible_date(day):
        raise IntacctArgumentError(
            f"filter_parameters: asOfDate is {day!r}, a date that does not exist. Did you mean "
            f"{suggest_date(day)!r}?"
        )
