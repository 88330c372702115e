"""Dates and times: how they come, and how filters compare them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from intacct_provider.probe.answers import CONTRADICTED, HOLDS, UNKNOWN, Finding, Inquiry
from intacct_provider.probe.asking import describe, is_refusal, read_page
from intacct_provider.probe.objects import SIZE, ObjectFacts

CREATED, MODIFIED = "audit.createdDateTime", "audit.modifiedDateTime"
_FORM = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
_IDS = ("date-time-filter", "date-macros")


def ask_dates(inquiry: Inquiry) -> None:
    """Ask for the time of a known record, and for its year."""
    inquiry.answer_by_object("date-time-form", {one.shown: judge_form(one.rows) for one in inquiry.readable})
    facts = next((one for one in inquiry.readable if _list_times(one, MODIFIED)), None)
    if facts is None:
        for one in _IDS:
            inquiry.answer(one, UNKNOWN, "no record has a time of its last change in this form")
        return
    _ask_time(inquiry, facts, _list_times(facts, MODIFIED)[0])
    _ask_year(inquiry, facts)


def judge_form(rows: Sequence[Mapping[str, Any]]) -> Finding:
    """Judge the form of the times in rows."""
    times = [row[name] for row in rows for name in (CREATED, MODIFIED) if row.get(name)]
    if not times:
        return Finding(UNKNOWN, "no times in the rows")
    other = sum(not (isinstance(time, str) and _FORM.fullmatch(time)) for time in times)
    return Finding(CONTRADICTED, "another form") if other else Finding(HOLDS, "as assumed")


def _list_times(facts: ObjectFacts, name: str) -> list[str]:
    times = (row.get(name) for row in facts.rows)
    return [time for time in times if isinstance(time, str) and _FORM.fullmatch(time)]


def _ask_time(inquiry: Inquiry, facts: ObjectFacts, time: str) -> None:
    filters = [{"$gte": {MODIFIED: time}}, {"$lte": {MODIFIED: time}}]
    _ask(
        inquiry,
        facts,
        "date-time-filter",
        "look for the time of a known record",
        MODIFIED,
        lambda found: found == time,
        filters=filters,
    )


def _ask_year(inquiry: Inquiry, facts: ObjectFacts) -> None:
    """Ask for the year of a record that is not near its end, since days may begin in another time zone."""
    times = [time for time in _list_times(facts, CREATED) if time[5:10] not in ("01-01", "12-31")]
    if not times:
        inquiry.answer("date-macros", UNKNOWN, "no record has a time that can be used")
        return
    day = times[0][:10]
    years = (f"{int(day[:4]) - 1:04}-12-31", f"{int(day[:4]) + 1:04}-01-01")
    _ask(
        inquiry,
        facts,
        "date-macros",
        "look for the year of a known record with currentYear",
        CREATED,
        lambda found: years[0] <= found[:10] <= years[1],
        filters=[{"$eq": {CREATED: "currentYear"}}],
        filterParameters={"asOfDate": day},
    )


def _ask(
    inquiry: Inquiry,
    facts: ObjectFacts,
    assumption_id: str,
    purpose: str,
    name: str,
    fits: Callable[[str], bool],
    **members: Any,
) -> None:
    """Ask with a filter that a known record matches: it must be found, and all that is found must fit."""
    reply = inquiry.asker.query(purpose, (assumption_id,), facts.name, ["key", name], size=SIZE, **members)
    page = read_page(reply, 1, SIZE)
    if is_refusal(reply):
        inquiry.answer(assumption_id, CONTRADICTED, f"refused ({describe(reply)})")
    elif page is None:
        inquiry.answer(assumption_id, UNKNOWN, f"not answered ({describe(reply)})")
    elif not page.rows:
        inquiry.answer(assumption_id, CONTRADICTED, "a record that matches was not found")
    elif all(fits(str(row.get(name) or "")) for row in page.rows):
        inquiry.answer(assumption_id, HOLDS, "the record was found, and nothing outside of the range")
    else:
        inquiry.answer(assumption_id, CONTRADICTED, "records outside of the range were found")
