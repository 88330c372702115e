"""Queries of a :class:`moving_company.Company`: filters, order, pages and aggregates, mostly without a scan."""

import json
import re
from bisect import bisect_left
from decimal import Decimal
from heapq import nlargest, nsmallest

from moving_company import FIELDS, OBJECT, TEMPLATES, amount, find_value, list_parts

TOP = 10**18
MAX_SIZE = 4000


class RefusedError(ValueError):
    """A query that the service rejects; the text says why."""


COMPARE = {
    "$eq": lambda value, given: value == given,
    "$ne": lambda value, given: value != given,
    "$lt": lambda value, given: value < given,
    "$lte": lambda value, given: value <= given,
    "$gt": lambda value, given: value > given,
    "$gte": lambda value, given: value >= given,
    "$in": lambda value, given: value in given,
    "$notIn": lambda value, given: value not in given,
    "$between": lambda value, given: given[0] <= value <= given[1],
    "$startsWith": lambda value, given: value.startswith(given),
}


def select(company, body):
    """Return the view of a query and the spans of its positions that the query is about."""
    view, spans = _narrow(company, body)
    keys = view.keys
    places = [(bisect_left(keys, low), bisect_left(keys, high)) for low, high in spans]
    return view, [(low, high) for low, high in places if low < high]


def answer(company, body, shift=0):
    """Return the rows of a query's answer as JSON texts, and its ``ia::meta``.

    :param shift: rows that are left out before the page.
    """
    _check(body)
    view, places = select(company, body)
    total, keys = sum(high - low for low, high in places), view.keys
    start, size, fields = body.get("start", 1), body.get("size", 100), body["fields"]
    if any(":" in name for name in fields):
        chosen = [keys[place] for low, high in places for place in range(low, high)]
        return [json.dumps({name: _aggregate(company, name, chosen) for name in fields})], _meta(1, 1, size)
    chosen = _order(company, keys, places, total, body.get("orderBy") or [], start - 1 + shift, size)
    # No value needs to be escaped.
    template = "{{" + ",".join(f'"{name}":"{TEMPLATES[name]}"' for name in fields) + "}}"
    rows = [template.format(*list_parts(key, company.state(key))) for key in chosen]
    return rows, _meta(total, start, size)


def _check(body):
    if body.get("object") != OBJECT:
        raise RefusedError(f"{body.get('object')} is not an object of this company")
    if not 1 <= body.get("size", 100) <= MAX_SIZE or body.get("start", 1) < 1:
        raise RefusedError("size must be from 1 to 4000, and start at least 1")
    for name in body["fields"]:
        if name.rpartition(":")[2] not in FIELDS:
            raise RefusedError(f"{name} is not a field of {OBJECT}")


def _meta(total, start, size):
    after = start + size
    return {
        "totalCount": total,
        "start": start,
        "pageSize": size,
        "next": after if after <= total else None,
        "previous": max(1, start - size) if start > 1 else None,
    }


def _aggregate(company, name, keys):
    function, _, field = name.partition(":")
    if function == "count":
        return str(len(keys))
    if function == "sum" and field == "totalDue":
        cents = sum(amount(key, company.state(key)) for key in keys)
        return f"{cents // 100}.{cents % 100:02}"
    if function in ("min", "max") and field == "key":
        return str(keys[0 if function == "min" else -1]) if keys else None
    raise RefusedError(f"{name} is not supported here")


def _order(company, keys, places, total, order, skip, size):
    """Return the keys of a page."""
    orders = [next(iter(item.items())) for item in order]
    # Ids rise with keys.
    if not orders or orders[0][0] in ("key", "id"):
        if orders and orders[0][1] == "desc":
            low, high = max(0, total - skip - size), max(0, total - skip)
            return _slice(keys, places, low, high)[::-1]
        return _slice(keys, places, skip, skip + size)

    every = [key for low, high in places for key in keys[low:high]]
    [(name, direction)] = orders[:1]

    def rank(key):
        state = company.state(key)
        return (amount(key, state) if name == "totalDue" else find_value(name, key, state)), key

    best = nlargest if direction == "desc" else nsmallest
    if skip + size < 10:
        return best(skip + size, every, key=rank)[skip:]
    return sorted(every, key=rank, reverse=direction == "desc")[skip : skip + size]


def _slice(keys, places, start, stop):
    found = []
    for low, high in places:
        count = high - low
        if start < count and stop > 0:
            found += keys[low + max(0, start) : low + min(count, stop)]
        start, stop = start - count, stop - count
    return found


# --- filters


def _narrow(company, body):
    filters = body.get("filters") or []
    if not filters:
        return company.everything, [(0, TOP)]
    spans, rest = [(0, TOP)], []
    for part in _flatten(_parse(body.get("filterExpression") or "and", filters)):
        if _fields(part) == {"key"}:
            spans = _intersect(spans, _spans(part))
        else:
            rest.append(part)
    if not rest:
        return company.everything, spans
    name = json.dumps(rest, sort_keys=True)
    return company.view(name, build_predicate(("and", rest))), spans


def _parse(expression, filters):
    """Return a filter expression as a tree of ``(word, parts)``, with the conditions as leaves."""
    leaves = [("is", *_condition(one)) for one in filters]
    words = re.findall(r"\d+|\w+|[()]", expression.lower())
    if words in (["and"], ["or"]):
        return (words[0], leaves)
    tree = _parse_level(words, leaves, "or")
    if words:
        raise RefusedError(f"filterExpression has {words[0]} where it should end")
    return tree


def _parse_level(words, leaves, word):
    """Parse parts joined by ``or``, or those joined by ``and``, from the front of the words."""
    parts = []
    while True:
        parts.append(_parse_level(words, leaves, "and") if word == "or" else _parse_part(words, leaves))
        if not words or words[0] != word:
            return (word, parts) if len(parts) > 1 else parts[0]
        words.pop(0)


def _parse_part(words, leaves):
    word = words.pop(0) if words else ""
    if word == "not":
        return ("not", [_parse_part(words, leaves)])
    if word == "(":
        tree = _parse_level(words, leaves, "or")
        if not words or words.pop(0) != ")":
            raise RefusedError("filterExpression lacks a bracket")
        return tree
    if not word.isdigit() or not 1 <= int(word) <= len(leaves):
        raise RefusedError(f"filterExpression has {word!r} in place of a condition's number")
    return leaves[int(word) - 1]


def _condition(one):
    ((operator, operand),) = one.items()
    ((name, value),) = operand.items()
    if operator not in COMPARE or name not in FIELDS:
        raise RefusedError(f"{operator} of {name} is not supported here")
    return operator, name, value


def _flatten(tree):
    return [leaf for part in tree[1] for leaf in _flatten(part)] if tree[0] == "and" else [tree]


def _fields(tree):
    return {tree[2]} if tree[0] == "is" else set().union(*map(_fields, tree[1]))


def build_predicate(tree):
    """Return the condition of a key and a state that a tree is."""
    if tree[0] == "is":
        return _build_condition(*tree[1:])
    parts = [build_predicate(part) for part in tree[1]]
    if tree[0] == "not":
        return lambda key, state: not parts[0](key, state)
    if len(parts) == 1:
        return parts[0]
    join = all if tree[0] == "and" else any
    return lambda key, state: join(part(key, state) for part in parts)


def _build_condition(operator, name, given):
    compare = COMPARE[operator]
    if given is None:
        return lambda _key, _state: operator == "$ne"  # every field has a value
    convert = {"key": int, "totalDue": Decimal}.get(name, str)
    operand = [convert(one) for one in given] if isinstance(given, list) else convert(given)
    return lambda key, state: compare(convert(find_value(name, key, state)), operand)


def _spans(tree):
    """Return the keys that a tree of conditions on the key selects, as ranges that do not overlap."""
    if tree[0] == "is":
        return _key_spans(tree[1], tree[3])
    parts = [_spans(part) for part in tree[1]]
    if tree[0] == "not":
        return _complement(parts[0])
    spans = parts[0]
    for other in parts[1:]:
        spans = _intersect(spans, other) if tree[0] == "and" else _unite(spans, other)
    return spans


def _key_spans(operator, given):
    if operator in ("$in", "$notIn"):
        spans = [(int(one), int(one) + 1) for one in sorted({int(one) for one in given})]
        return spans if operator == "$in" else _complement(spans)
    if operator == "$between":
        return [(int(given[0]), int(given[1]) + 1)]
    if given is None:
        return [] if operator == "$eq" else [(0, TOP)]
    key = int(given)
    return {
        "$eq": [(key, key + 1)],
        "$ne": [(0, key), (key + 1, TOP)],
        "$lt": [(0, key)],
        "$lte": [(0, key + 1)],
        "$gt": [(key + 1, TOP)],
        "$gte": [(key, TOP)],
    }[operator]


def _intersect(some, others):
    return [(max(a, c), min(b, d)) for a, b in some for c, d in others if max(a, c) < min(b, d)]


def _unite(some, others):
    return _complement(_intersect(_complement(some), _complement(others)))


def _complement(spans):
    ends = [0, *(end for span in spans for end in span), TOP]
    return [(low, high) for low, high in zip(ends[::2], ends[1::2], strict=True) if low < high]
