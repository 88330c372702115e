"""Fields: which of them a query returns, and how they come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from intacct_provider.client.model import find_reference
from intacct_provider.probe.answers import CONTRADICTED, HOLDS, UNKNOWN, Finding, Inquiry
from intacct_provider.probe.asking import describe, find_error_id, is_refusal
from intacct_provider.probe.objects import ObjectFacts

NO_FIELD = "noSuchFieldOfThisProbe"


def ask_rows(inquiry: Inquiry) -> None:
    """Answer what the rows of each object show."""
    objects = inquiry.readable
    inquiry.answer_by_object("model-fields-queryable", {one.shown: _judge_fields(one) for one in objects})
    inquiry.answer_by_object("null-members", {one.shown: judge_nulls(one.asked, one.rows) for one in objects})
    inquiry.answer_by_object("related-fields-dotted", {one.shown: _judge_related(one) for one in objects})


def _judge_fields(facts: ObjectFacts) -> Finding:
    if not facts.fields:
        return Finding(UNKNOWN, "there is no model to compare with")
    if facts.refused or facts.unfinished:
        own = [name for name in facts.refused if "::" not in name]
        customs = len(facts.refused) - len(own)
        named = own + ([f"{customs} custom field{'s' if customs > 1 else ''}"] if customs else [])
        named += ["fields that were not found out"] if facts.unfinished else []
        return Finding(CONTRADICTED, f"refuses {', '.join(named)}")
    if not facts.asked:
        return Finding(UNKNOWN, "the query with all fields was not answered")
    return Finding(HOLDS, f"returns {len(facts.asked)} fields")


def judge_nulls(asked: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> Finding:
    """Judge whether fields without a value come as null; a field that no row has may be left out for another reason."""
    nulls = sum(row[name] is None for row in rows for name in asked if name in row)
    missing = sum(name not in row and not _is_nested(row, name) for row in rows for name in asked)
    if missing:
        return Finding(CONTRADICTED, "left out in some rows" if nulls else "left out")
    return Finding(HOLDS, "null") if nulls else Finding(UNKNOWN, "no field without a value in the rows")


def _judge_related(facts: ObjectFacts) -> Finding:
    """Judge by the fields of references that all rows have, or that come nested."""
    related = [name for name in facts.asked if _is_related(facts.model, name)]
    if not related or not facts.rows:
        return Finding(UNKNOWN, "no field of a related object in the rows")
    flat = any(name in row for row in facts.rows for name in related)
    if any(_is_nested(row, name) for row in facts.rows for name in related):
        return Finding(CONTRADICTED, "nested")
    return Finding(HOLDS, "dotted names") if flat else Finding(UNKNOWN, "left out where it has no value")


def _is_nested(row: Mapping[str, Any], name: str) -> bool:
    return "." in name and isinstance(row.get(name.partition(".")[0]), Mapping)


def _is_related(model: Mapping[str, Any], name: str) -> bool:
    return find_reference(model, name) is not None


def ask_unknown_field(inquiry: Inquiry) -> None:
    """Query a field that no object has."""
    ids = ("unknown-field-refused", "errors-have-ids")
    if inquiry.largest is None:
        for one in ids:
            inquiry.answer(one, UNKNOWN, "no object could be read")
        return
    name = inquiry.largest.name
    reply = inquiry.asker.query("ask for a field that does not exist", ids, name, ["key", NO_FIELD])
    if is_refusal(reply):
        inquiry.answer("unknown-field-refused", HOLDS, describe(reply))
        named = bool(find_error_id(reply))
        inquiry.answer("errors-have-ids", HOLDS if named else CONTRADICTED, describe(reply))
        return
    answer = UNKNOWN if reply.error() else CONTRADICTED
    inquiry.answer("unknown-field-refused", answer, f"not refused ({describe(reply)})")
    inquiry.answer("errors-have-ids", UNKNOWN, "nothing was refused")
