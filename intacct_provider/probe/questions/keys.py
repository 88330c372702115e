"""Keys: whether they are numbers, and whether Intacct sorts and compares them as numbers."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from intacct_provider.probe.answers import CONTRADICTED, HOLDS, UNKNOWN, Finding, Inquiry
from intacct_provider.probe.asking import Asker, describe, is_refusal, read_page
from intacct_provider.probe.objects import SIZE, ObjectFacts


def ask_keys(inquiry: Inquiry) -> None:
    """Answer what keys are, and how they are sorted."""
    objects = inquiry.readable
    inquiry.answer_by_object("key-is-text", {one.shown: judge_form(one) for one in objects})
    inquiry.answer_by_object("key-orders-as-number", {one.shown: _judge_facts(one) for one in objects})


def ask_key_filter(inquiry: Inquiry) -> None:
    """Ask each object for a range of keys that is empty if keys compare as text."""
    findings: dict[str, Finding] = {}
    try:
        for facts in inquiry.readable:
            findings[facts.shown] = _ask_filter(inquiry.asker, facts)
    finally:
        if findings:
            for facts in inquiry.readable:
                findings.setdefault(facts.shown, Finding(UNKNOWN, "not asked"))
            inquiry.answer_by_object("key-filters-as-number", findings)


def judge_form(facts: ObjectFacts) -> Finding:
    """Judge whether all known keys are whole numbers, written as text."""
    keys = [*facts.ascending, *facts.descending]
    if not keys:
        return Finding(UNKNOWN, "no records")
    if not all(isinstance(key, str) for key in keys):
        return Finding(CONTRADICTED, "keys are not text")
    numbers = len(facts.keys) == len(set(keys))
    return Finding(HOLDS, "as assumed") if numbers else Finding(CONTRADICTED, "keys are not whole numbers")


def _judge_facts(facts: ObjectFacts) -> Finding:
    if facts.order_refused:
        return Finding(CONTRADICTED, f"a query sorted by key is refused ({facts.order_refused})")
    return judge_order(facts.ascending, facts.descending)


def judge_order(ascending: Sequence[Any], descending: Sequence[Any]) -> Finding:
    """Judge the order of the first page by key and of the last one.

    Both must be in one order, and the first page must not lie above the last one.
    """
    keys = [str(key) for key in (*ascending, *descending)]
    if not all(key.isascii() and key.isdigit() for key in keys):
        return Finding(CONTRADICTED, "keys are not whole numbers")
    up, down = list(map(str, ascending)), list(map(str, descending))[::-1]
    pairs = [*pairwise(up), *pairwise(down)]
    if up and down:
        pairs += [(up[0], down[-1]), (up[-1], down[-1]), (up[0], down[0])]
    as_numbers = all(int(low) <= int(high) for low, high in pairs)
    as_text = all(low <= high for low, high in pairs)
    if as_numbers and as_text:
        few = f"{len(set(keys))} keys are too few" if len(set(keys)) < 11 else "keys are too much alike"
        return Finding(UNKNOWN, f"{few} to distinguish numbers from text")
    if as_numbers:
        return Finding(HOLDS, f"{len(set(keys))} keys, sorted as numbers and not as text")
    return Finding(CONTRADICTED, "sorted as text" if as_text else "sorted neither as numbers nor as text")


def find_range(keys: Sequence[str]) -> tuple[str, str] | None:
    """Return a range that begins with one of the keys and is empty if keys compare as text; None without such a key.

    Its end is the next power of ten, which as text comes before any key but a power of ten itself.
    """
    usable = [key for key in keys if key.strip("0") not in ("", "1")]
    if not usable:
        return None
    first = max(usable, key=int)
    return first, "1" + "0" * len(first)


def _ask_filter(asker: Asker, facts: ObjectFacts) -> Finding:
    limits = find_range(facts.keys)
    if limits is None:
        return Finding(UNKNOWN, "too few keys to distinguish numbers from text")
    filters = [{"$gte": {"key": limits[0]}}, {"$lte": {"key": limits[1]}}]
    purpose = f"ask {facts.shown} for a range of keys"
    reply = asker.query(purpose, ("key-filters-as-number",), facts.name, ["key"], filters=filters, size=SIZE)
    if is_refusal(reply):
        facts.filter_refused = True
        return Finding(CONTRADICTED, f"a filter on key is refused ({describe(reply)})")
    page = read_page(reply, 1, SIZE)
    if page is None:
        return Finding(UNKNOWN, describe(reply))
    found = [str(row.get("key")) for row in page.rows]
    if not found:
        return Finding(CONTRADICTED, "a range that has a record is empty, as if keys were text")
    low, high = map(int, limits)
    inside = all(key.isascii() and key.isdigit() and low <= int(key) <= high for key in found)
    return (
        Finding(HOLDS, "a range that is empty as text returns its record")
        if inside
        else Finding(CONTRADICTED, "a range returns records outside of it")
    )
