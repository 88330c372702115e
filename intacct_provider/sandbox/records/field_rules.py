"""The rules for single values in a write: the value of a field, and a part of a customer group's filter."""

from __future__ import annotations

from intacct_provider.sandbox.nearest import find_nearest
from intacct_provider.sandbox.objects.definitions import Field
from intacct_provider.sandbox.objects.values import to_stored

# Messages about longer enumerations show the nearest value instead of all.
FEW = 20
# A member filter supports the operators of a query except $between and $notBetween.
MEMBER_OPERATORS = frozenset(
    (
        *("$eq", "$ne", "$lt", "$lte", "$gt", "$gte", "$in", "$notIn", "$contains", "$notContains"),
        *("$startsWith", "$notStartsWith", "$endsWith", "$notEndsWith"),
    )
)


def check_value(field: Field, value: object) -> object:
    """Check a value of a field and return it as it is stored.

    :raises ValueError: names the rule that the value breaks; the text completes a sentence.
    """
    if isinstance(value, str):
        value = dict(field.synonyms).get(value, value)
        if not value.strip() and (field.required or field.path == "id"):
            raise ValueError("must not be blank")
    if field.enum and not (value is None and field.nullable) and value not in field.enum:
        raise ValueError(f"must be one of {describe_choices(field, value)}")
    if value is None and not field.nullable:
        raise ValueError("must not be null")
    if isinstance(value, str) and field.max_length and len(value) > field.max_length:
        raise ValueError(f"must have at most {field.max_length} characters")
    return to_stored(field, value)


def describe_choices(field: Field, value: object) -> str:
    """Return the values of an enumeration, or their number and the nearest if there are many."""
    if len(field.enum) <= FEW:
        return ", ".join("null" if one is None else f'"{one}"' for one in field.enum)
    names = {one.casefold(): one for one in field.enum if one is not None}
    near = find_nearest(str(value)[:40].casefold(), names)
    return f'{len(field.enum)} values; the nearest is "{names[near]}"'


def check_filter_part(name: str, value: object) -> str | None:
    """Return what is wrong with a part of a member filter, as the end of a sentence; ``None`` if it is valid."""
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
