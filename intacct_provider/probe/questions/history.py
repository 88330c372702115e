"""The audit history: whether it has deletions, and how late changes appear in it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping
from typing import Any

from intacct_provider.client.http.retry import parse_date
from intacct_provider.client.http.transport import Reply
from intacct_provider.probe.answers import CONTRADICTED, HOLDS, UNKNOWN, Inquiry, Verdict
from intacct_provider.probe.asking import describe, is_refusal, read_page
from intacct_provider.probe.objects import ObjectFacts
from intacct_provider.probe.questions.dates import MODIFIED

AUDIT_HISTORY = "company-config/audit-history"
_OBJECT, _ACTION = "changeDetails.objectName", "changeSource.actionPerformed"
_RECORD, _TIME = "changeDetails.objectId", "changeSource.accessDateTime"
DELETE = "delete"
#: The provider looks back this far.
LATE = dt.timedelta(hours=3)
_LATEST: Mapping[str, Any] = {"orderBy": [{_TIME: "desc"}]}


def ask_deletions(inquiry: Inquiry) -> None:
    """Ask for the latest deletion of anything."""
    reply = inquiry.asker.query(
        "find a deletion in the audit history",
        ("audit-history-deletions",),
        AUDIT_HISTORY,
        [_OBJECT, _ACTION, _TIME],
        filters=[{"$eq": {_ACTION: DELETE}}],
        **_LATEST,
    )
    page = read_page(reply, 1, 1)
    if page is not None:
        found = any(row.get(_ACTION) == DELETE for row in page.rows)
        evidence = "there is a deletion" if found else "there is no deletion so far"
        inquiry.answer("audit-history-deletions", HOLDS if found else UNKNOWN, evidence)
        return
    refused = is_refusal(reply) and reply.status != 404
    evidence = f"the audit history cannot be queried ({describe(reply)})"
    inquiry.answer("audit-history-deletions", CONTRADICTED if refused else UNKNOWN, evidence)
    inquiry.answer("audit-history-delay", UNKNOWN, evidence)


def ask_delay(inquiry: Inquiry, facts: ObjectFacts) -> None:
    """Compare the latest change of a record with the latest entry about its object."""
    ids = ("audit-history-delay",)
    if inquiry.is_answered(ids[0]):
        return
    latest: dict[str, Any] = {"orderBy": [{MODIFIED: "desc"}], "filters": [{"$ne": {MODIFIED: None}}]}
    changed = inquiry.asker.query("find the latest change", ids, facts.name, [MODIFIED], **latest)
    entry = inquiry.asker.query(
        "find the latest entry about its object",
        ids,
        AUDIT_HISTORY,
        [_TIME],
        filters=[{"$eq": {_OBJECT: facts.name}}],
        **_LATEST,
    )
    change, noted, now = _read_time(changed, MODIFIED), _read_time(entry, _TIME), _read_now(entry)
    if change is None or noted is None or now is None:
        inquiry.answer("audit-history-delay", UNKNOWN, "there is no change, or no entry, to compare")
        return
    age = now - change
    answer, evidence = judge_delay(age, noted >= change)
    inquiry.answer("audit-history-delay", answer, evidence)


def ask_own_deletion(inquiry: Inquiry, object_name: str, names: Collection[str]) -> None:
    """Look for a deletion that the probe itself made just now; one that is not in the history may come later.

    :param names: the key and the id of the record.
    """
    ids = ("audit-history-deletions", "audit-history-delay")
    reply = inquiry.asker.query(
        "look for this deletion in the audit history",
        ids,
        AUDIT_HISTORY,
        [_RECORD, _ACTION, _TIME],
        filters=[{"$eq": {_OBJECT: object_name}}, {"$eq": {_ACTION: DELETE}}],
        size=20,
        **_LATEST,
    )
    page = read_page(reply, 1, 20)
    if page is not None and any(str(row.get(_RECORD)) in names for row in page.rows):
        for one in ids:
            inquiry.answer(one, HOLDS, "a deletion of the probe itself is in it at once")


def judge_delay(age: dt.timedelta, in_history: bool) -> tuple[Verdict, str]:
    """Judge by the age of the latest change, and by whether the history has it.

    One that is missing proves nothing, since the history does not have every change.
    """
    where = "in it" if in_history else "not in it"
    proven = in_history and age <= LATE
    return (
        HOLDS if proven else UNKNOWN,
        f"the latest change, {age / dt.timedelta(hours=1):.1f} hours old, is {where}",
    )


def _read_time(reply: Reply, name: str) -> dt.datetime | None:
    page = read_page(reply, 1, 1)
    value = page.rows[0].get(name) if page and page.rows else None
    try:
        time = dt.datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return time.replace(tzinfo=time.tzinfo or dt.UTC) if time else None


def _read_now(reply: Reply) -> dt.datetime | None:
    seconds = parse_date(reply.headers.get("Date"))
    return None if seconds is None else dt.datetime.fromtimestamp(seconds, dt.UTC)
