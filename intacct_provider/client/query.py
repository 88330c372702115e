"""The query service's request, checked before a call is paid for."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from intacct_provider.client.config import MAX_PAGE_SIZE
from intacct_provider.client.errors import IntacctArgumentError, did_you_mean, nearest
from intacct_provider.client.expressions import Expression, Field, compiled, field
from intacct_provider.client.model import WELL_KNOWN_OBJECTS
from intacct_provider.client.wire import wire_value

__all__ = [
    "Expression",
    "Field",
    "Filters",
    "Query",
    "check_object_name",
    "check_page",
    "field",
    "is_aggregate",
]

OPERATORS = (
    "$eq", "$ne", "$lt", "$lte", "$gt", "$gte", "$in", "$notIn", "$between", "$notBetween", "$contains",
    "$notContains", "$startsWith", "$notStartsWith", "$endsWith", "$notEndsWith", "$has",
)  # fmt: skip
FILTER_PARAMETERS = ("asOfDate", "includeHierarchyFields", "caseSensitiveComparison", "includePrivate")
AGGREGATES = ("count", "sum", "avg", "min", "max")
_OBJECT_PATH = re.compile(r"[a-z][a-z0-9-]*/[^/\s?#%][^/?#%]*")


Filters = Expression | Sequence[Mapping[str, Any]] | Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Query:
    """A checked query without paging: what to read, of what.

    :raises IntacctArgumentError: from :meth:`checked`, naming what is wrong and the nearest right spelling.
    """

    object_name: str
    fields: tuple[str, ...]
    filters: tuple[Mapping[str, Any], ...] = ()
    expression: str = "and"
    parameters: Mapping[str, Any] | None = None
    order_by: tuple[Mapping[str, str], ...] = ()

    @classmethod
    def checked(
        cls,
        object_name: str,
        fields: Sequence[str],
        *,
        filters: Filters = None,
        filter_expression: str | None = None,
        filter_parameters: Mapping[str, Any] | None = None,
        order_by: Sequence[Mapping[str, str]] | None = None,
    ) -> Query:
        """Check the parts of a query without a call."""
        check_object_name(object_name)
        conditions, expression = _conditions(filters, filter_expression)
        _check_names("filter_parameters", filter_parameters or {}, FILTER_PARAMETERS)
        return cls(
            object_name=object_name,
            fields=_checked_fields(fields),
            filters=tuple(conditions),
            expression=expression,
            parameters=dict(filter_parameters) if filter_parameters else None,
            order_by=tuple(_checked_order(item) for item in order_by or ()),
        )

    @property
    def aggregated(self) -> bool:
        """Whether rows stand for groups of records, which have no key."""
        return is_aggregate(self.fields)

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


def templatable(filters: Filters, filter_expression: str | None) -> tuple[Filters, str | None]:
    """Return filters as plain JSON, whose templates Airflow renders; it does not look into expressions."""
    if isinstance(filters, Expression) and not filter_expression:
        return compiled(filters)
    return filters, filter_expression


def is_aggregate(fields: Sequence[str]) -> bool:
    """Whether a query of these fields groups records, as ``sum:totalDue`` does."""
    return any(":" in name and name.partition(":")[0] in AGGREGATES for name in fields)


def check_object_name(object_name: str) -> None:
    """Refuse what cannot be an object's path, such as ``customer`` or ``/objects/...``.

    :raises IntacctArgumentError: unless it has the form ``application/object``.
    """
    if not isinstance(object_name, str) or not _OBJECT_PATH.fullmatch(object_name):
        raise IntacctArgumentError(
            f"object_name {object_name!r} must be an object's path in the form 'application/object', such as "
            f"'accounts-receivable/customer'.{_closest_object(object_name)}"
        )


def check_page(start: int, size: int) -> None:
    """Refuse a page that Intacct cannot serve.

    :raises IntacctArgumentError: unless ``start`` is 1 or more and ``size`` from 1 to 4000.
    """
    for name, value, low, high in (("start", start, 1, None), ("size", size, 1, MAX_PAGE_SIZE)):
        if not isinstance(value, int) or isinstance(value, bool) or value < low or (high and value > high):
            limits = f"from {low} to {high}" if high else f"{low} or more"
            raise IntacctArgumentError(f"{name} must be a whole number {limits}, not {value!r}.")


def _closest_object(object_name: Any) -> str:
    """Suggest the object that a path with too many parts, or a name without its application, means."""
    parts = str(object_name).strip("/").split("/")[-2:]
    if len(parts) == 2:
        return did_you_mean("/".join(parts), WELL_KNOWN_OBJECTS)
    paths = {path.rpartition("/")[2]: path for path in reversed(WELL_KNOWN_OBJECTS)}
    found = nearest(parts[0], paths)
    return f" Did you mean {paths[found]!r}?" if found else ""


def _conditions(filters: Filters, expression: str | None) -> tuple[list[Mapping[str, Any]], str]:
    conditions: list[Any]
    if isinstance(filters, Expression):
        if expression:
            raise IntacctArgumentError(
                "filter_expression goes with filters as a list of conditions; an expression of field(...) already "
                "says how its conditions are joined."
            )
        conditions, expression = compiled(filters)
    else:
        conditions = [filters] if isinstance(filters, Mapping) else list(filters or ())
    conditions = [_checked_condition(number, condition) for number, condition in enumerate(conditions, 1)]
    expression = (expression or "and").strip()
    _check_expression(expression, len(conditions))
    return conditions, expression


def _checked_condition(number: int, condition: Any) -> dict[str, Any]:
    where = f"filters: condition {number}"
    if not isinstance(condition, Mapping) or len(condition) != 1:
        raise IntacctArgumentError(
            f'{where} must be one operator with one field, such as {{"$eq": {{"status": "active"}}}}.'
        )
    ((operator, operand),) = condition.items()
    if operator not in OPERATORS:
        closest = did_you_mean(operator if str(operator).startswith("$") else f"${operator}", OPERATORS)
        raise IntacctArgumentError(
            f"{where} has the unknown operator {operator!r}.{closest} Operators: {', '.join(OPERATORS)}."
        )
    if not isinstance(operand, Mapping) or len(operand) != 1:
        raise IntacctArgumentError(
            f'{where}: {operator} takes one field with its value, such as {{"{operator}": {{"status": ...}}}}.'
        )
    ((name, value),) = operand.items()
    _check_operand(f"{where}: {operator} on {name!r}", operator, value)
    listed = isinstance(value, list | tuple)
    return {operator: {name: [wire_value(item) for item in value] if listed else wire_value(value)}}


def _check_operand(where: str, operator: str, value: Any) -> None:
    is_list = isinstance(value, list | tuple)
    if operator in ("$in", "$notIn") and not (is_list and value):
        raise IntacctArgumentError(f"{where} takes a list of one value or more, not {value!r}.")
    if operator in ("$between", "$notBetween") and not (is_list and len(value) == 2):
        raise IntacctArgumentError(f"{where} takes a list of two values, lowest first, not {value!r}.")
    if operator not in ("$in", "$notIn", "$between", "$notBetween") and (
        is_list or isinstance(value, Mapping)
    ):
        raise IntacctArgumentError(f"{where} takes a single value, not {value!r}.")
    if value is None and operator not in ("$eq", "$ne"):
        raise IntacctArgumentError(f"{where} cannot be compared with None; $eq and $ne can.")


def _check_expression(expression: str, count: int) -> None:
    if expression.lower() in ("and", "or"):
        return
    words = re.findall(r"\d+|[A-Za-z]+|\S", expression)
    for word in words:
        if word.isdigit() and not 1 <= int(word) <= count:
            have = "there are no filters" if not count else f"filters has conditions 1 to {count}"
            raise IntacctArgumentError(
                f"filter_expression {expression!r} names condition {word}, but {have}."
            )
        if not word.isdigit() and word.lower() not in ("and", "or", "(", ")"):
            raise IntacctArgumentError(
                f"filter_expression {expression!r} contains {word!r}; it takes condition numbers, 'and', 'or' and "
                "parentheses, such as '(1 and 2) or 3'."
            )
    _check_grammar(expression, words)
    missing = sorted(set(range(1, count + 1)) - {int(word) for word in words if word.isdigit()})
    if missing:
        raise IntacctArgumentError(
            f"filter_expression {expression!r} leaves out condition {', '.join(map(str, missing))}: a condition that "
            "it does not name would not filter anything."
        )


def _check_grammar(expression: str, words: Sequence[str]) -> None:
    depth, want_operand = 0, True
    for word in words:
        opens = word == "(" or word.isdigit()
        if opens != want_operand:
            raise IntacctArgumentError(f"filter_expression {expression!r} is not well formed near {word!r}.")
        depth += {"(": 1, ")": -1}.get(word, 0)
        want_operand = word == "(" or word.lower() in ("and", "or")
        if depth < 0:
            break
    if depth or want_operand:
        raise IntacctArgumentError(
            f"filter_expression {expression!r} is not well formed: count its parentheses and give each 'and' and 'or' "
            "two sides."
        )


def _checked_fields(fields: Sequence[str]) -> tuple[str, ...]:
    if isinstance(fields, str) or not fields:
        raise IntacctArgumentError(
            f"fields must be a list of field names, such as ['key', 'id'], not {fields!r}; Intacct has no '*'."
        )
    for name in fields:
        if not isinstance(name, str) or not name.strip() or name == "*":
            raise IntacctArgumentError(f"fields contains {name!r}, which is not a field name.")
        prefix = name.partition(":")[0]
        if ":" in name and "::" not in name and prefix not in AGGREGATES:
            raise IntacctArgumentError(
                f"fields contains {name!r} with the unknown function {prefix!r}.{did_you_mean(prefix, AGGREGATES)} "
                f"Functions: {', '.join(AGGREGATES)}."
            )
    return tuple(dict.fromkeys(fields))


def _checked_order(item: Any) -> dict[str, str]:
    if not isinstance(item, Mapping) or len(item) != 1:
        raise IntacctArgumentError(
            f'order_by takes one field with its direction each, such as {{"id": "asc"}}, not {item!r}.'
        )
    ((name, direction),) = item.items()
    if str(direction).lower() not in ("asc", "desc"):
        raise IntacctArgumentError(
            f"order_by: direction of {name!r} must be 'asc' or 'desc', not {direction!r}."
        )
    return {name: str(direction).lower()}


def _check_names(argument: str, given: Mapping[str, Any], known: Sequence[str]) -> None:
    for name in given:
        if name not in known:
            raise IntacctArgumentError(
                f"{argument} has the unknown name {name!r}.{did_you_mean(name, known)} Known: {', '.join(known)}."
            )
