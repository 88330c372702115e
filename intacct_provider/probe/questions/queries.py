"""Queries: aggregates, private records, upper and lower case, and many values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from intacct_provider.client.batches import BATCH_SIZE
from intacct_provider.probe.answers import CONTRADICTED, HOLDS, UNKNOWN, Inquiry
from intacct_provider.probe.asking import COUNT, describe, is_refusal, read_int, read_page
from intacct_provider.probe.objects import ObjectFacts


def ask_aggregates(inquiry: Inquiry, facts: ObjectFacts) -> None:
    """Compare a count with ``totalCount``, which is asked again if they differ."""
    ids = ("aggregates",)
    reply = inquiry.asker.query("count records with an aggregate", ids, facts.name, [COUNT])
    if is_refusal(reply):
        inquiry.answer("aggregates", CONTRADICTED, f"refused ({describe(reply)})")
        return
    page = read_page(reply, 1, 1)
    counted = read_int(page.rows[0].get(COUNT)) if page and page.rows else None
    if counted is None:
        answer = UNKNOWN if page is None else CONTRADICTED
        inquiry.answer("aggregates", answer, f"no count came back ({describe(reply)})")
    elif facts.total is None:
        inquiry.answer("aggregates", UNKNOWN, "there is no totalCount to compare with")
    elif counted == facts.total or counted == _count_again(inquiry, facts):
        inquiry.answer("aggregates", HOLDS, "equal to totalCount")
    else:
        inquiry.answer("aggregates", CONTRADICTED, "not equal to totalCount")


def _count_again(inquiry: Inquiry, facts: ObjectFacts) -> int | None:
    reply = inquiry.asker.query("count records again", ("aggregates",), facts.name, ["key"])
    page = read_page(reply, 1, 1)
    return page.total if page else None


def ask_private(inquiry: Inquiry, facts: ObjectFacts) -> None:
    """Compare the number of records with that without private ones."""
    reply = inquiry.asker.query(
        "count records, private ones included",
        ("include-private",),
        facts.name,
        ["key"],
        filterParameters={"includePrivate": True},
    )
    page = read_page(reply, 1, 1)
    if is_refusal(reply):
        inquiry.answer("include-private", CONTRADICTED, f"refused ({describe(reply)})")
    elif page is None or page.total is None or facts.total is None:
        inquiry.answer("include-private", UNKNOWN, f"no count came back ({describe(reply)})")
    elif page.total > facts.total:
        inquiry.answer("include-private", HOLDS, "accepted, and there are more records")
    else:
        inquiry.answer("include-private", UNKNOWN, "accepted, and there are no more records to see")


def ask_case(inquiry: Inquiry) -> None:
    """Ask for a text of a record with upper and lower case exchanged, by default and without case."""
    found = next(filter(None, map(_find_text, inquiry.readable)), None)
    if found is None:
        for one in ("case-sensitive", "case-insensitive-on-request"):
            inquiry.answer(one, UNKNOWN, "no record has a text with letters")
        return
    facts, name, text = found
    matches = _match(inquiry, facts, name, text, "case-sensitive")
    if isinstance(matches, str):
        inquiry.answer("case-sensitive", UNKNOWN, matches)
    else:
        evidence = (
            f"{name} matches in the other case" if matches else f"{name} does not match in the other case"
        )
        inquiry.answer("case-sensitive", CONTRADICTED if matches else HOLDS, evidence)
    parameters = {"filterParameters": {"caseSensitiveComparison": False}}
    folded = _match(inquiry, facts, name, text, "case-insensitive-on-request", **parameters)
    if isinstance(folded, str):
        inquiry.answer("case-insensitive-on-request", UNKNOWN, folded)
        return
    evidence = f"{name} {'matches' if folded else 'does not match'} in the other case"
    inquiry.answer("case-insensitive-on-request", HOLDS if folded else CONTRADICTED, evidence)


def _match(
    inquiry: Inquiry, facts: ObjectFacts, name: str, text: str, assumption_id: str, **members: Any
) -> bool | str:
    """Return whether a record is found by its text in the other case; text if that is undecided."""
    filters = [{"$eq": {name: text.swapcase()}}]
    how = "without case" if members else "in the other case"
    purpose = f"look for a text of a record {how}"
    reply = inquiry.asker.query(
        purpose, (assumption_id,), facts.name, ["key", name], filters=filters, size=100, **members
    )
    page = read_page(reply, 1, 100)
    if page is None:
        return f"not answered ({describe(reply)})"
    found = [row.get(name) for row in page.rows]
    if text in found:
        return True
    return "another record has that text" if found and not members else False


def _find_text(facts: ObjectFacts) -> tuple[ObjectFacts, str, str] | None:
    """Return a text of a record of an object that differs in the other case, and the name of its field."""
    for name in ("name", "id"):
        text = next(filter(_can_be_asked, _list_texts(facts.rows, name)), None)
        if text is not None:
            return facts, name, text
    return None


def _can_be_asked(text: str) -> bool:
    """Whether a text differs in the other case, and needs no quoting anywhere."""
    plain = text.isascii() and text.isprintable() and len(text) < 80 and not set("'\"\\") & set(text)
    return plain and text.swapcase() != text


def _list_texts(rows: Iterable[Mapping[str, Any]], name: str) -> list[str]:
    return [row[name] for row in rows if isinstance(row.get(name), str)]


def ask_many_values(inquiry: Inquiry, facts: ObjectFacts) -> None:
    """Ask for as many keys as the client does at once."""
    if facts.filter_refused:
        inquiry.answer("in-takes-500-keys", UNKNOWN, "a filter on key is refused, whatever its size")
        return
    known = facts.keys[:BATCH_SIZE]
    values = [*known, *(str(n) for n in range(1, 2 * BATCH_SIZE) if str(n) not in known)][:BATCH_SIZE]
    filters = [{"$in": {"key": values}}]
    purpose = f"ask for {len(values)} keys at once"
    reply = inquiry.asker.query(purpose, ("in-takes-500-keys",), facts.name, ["key"], filters=filters)
    if not reply.error():
        inquiry.answer("in-takes-500-keys", HOLDS, "accepted")
    elif is_refusal(reply):
        inquiry.answer("in-takes-500-keys", CONTRADICTED, f"refused ({describe(reply)})")
    else:
        inquiry.answer("in-takes-500-keys", UNKNOWN, describe(reply))
