"""The rules about single values in a write: of a field, and of a part of a customer group's filter."""

from __future__ import annotations

from difflib import get_close_matches

from intacct_provider.sandbox.objects.definitions import Field
from intacct_provider.sandbox.store import to_stored

# An enumeration with more values is refused with the nearest one instead of all.
FEW = 20
# A member filter takes the operators of a query except $between and $notBetween.
MEMBER_OPERATORS = frozenset(
    (
        *("$eq", "$ne", "$lt", "$lte", "$gt", "$gte", "$in", "$notIn", "$contains", "$notContains"),
        *("$startsWith", "$notStartsWith", "$endsWith", "$notEndsWith"),
    )
)


def stored_value(field: Field, value: object) -> object:
    """Return the column value of a field in a write.

    :raises ValueError: with the rule that the value breaks, as the end of a sentence
    """
    if isinstance(value, str):
        value = dict(field.synonyms).get(value, value)
        if not value.strip() and (field.required or field.path == "id"):
            raise ValueError("must not be blank")
    if field.enum and not (value is None and field.nullable) and value not in field.enum:
        raise ValueError(f"must be one of {allowed(field, value)}")
    if value is None and not field.nullable:
        raise ValueError("must not be null")
    if isinstance(value, str) and field.max_length and len(value) > field.max_length:
        raise ValueError(f"must have at most {field.max_length} characters")
    return to_stored(field, value)


def allowed(field: Field, value: object) -> str:
    """Return the values of an enumeration; of a long one the number of them, and the nearest."""
    if len(field.enum) <= FEW:
        return ", ".join("null" if one is None else f'"{one}"' for one in field.enum)
    names = {one.casefold(): one for one in field.enum if one is not None}
    [near] = get_close_matches(str(value)[:40].casefold(), names, n=1, cutoff=0.0)
    return f'{len(field.enum)} values; the nearest is "{names[near]}"'


def wrong_filter_part(name: str, value: object) -> str | None:
    """Return what is wrong with one part of a member filter, as the end of a sentence."""
    if name in ("object", "filterExpression") and not isinstance(value, str | None):
        return "must be a string"
    if name == "size" and (isinstance(value, bool) or not isinstance(value, int | None)):
        return "must be an integer"
    if name in ("filters", "orderBy") and value is not None:
        if not isinstance(value, list) or not all(isinstance(one, dict) and len(one) == 1 for one in value):
            return "must be an array of objects with one member each"
        if name == "orderBy" and len(value) > 1:
            return "can have one element only"
        if name == "filters" and not all(MEMBER_OPERATORS.issuperset(one) for one in value):
            return f"can have these operators only: {', '.join(sorted(MEMBER_OPERATORS))}"
    return None
