"""What responses and models say besides records: limits, idempotency and addresses."""

from __future__ import annotations

from intacct_provider.client.model import get_entries
from intacct_provider.probe.answers import CONTRADICTED, HOLDS, UNKNOWN, Finding, Inquiry
from intacct_provider.probe.asking import read_int
from intacct_provider.probe.objects import ObjectFacts

#: Requests in flight of one application, by Sage's performance tier.
TIERS = {6: 1, 8: 2, 12: 3, 15: 4}
WEB_URL = "webURL"


def answer_services(inquiry: Inquiry) -> None:
    """Answer from the responses so far."""
    _answer_throttle(inquiry)
    findings = {one.shown: _judge_idempotence(one) for one in inquiry.readable}
    inquiry.answer_by_object("idempotence-supported", findings)
    inquiry.answer_by_object("id-not-required", {one.shown: _judge_ids(one) for one in inquiry.readable})
    _answer_web_url(inquiry)
    inquiry.answer("refresh-token-single-use", UNKNOWN, "never asked")


def _answer_throttle(inquiry: Inquiry) -> None:
    headers = inquiry.asker.throttle
    if headers is None:
        inquiry.answer("throttle-headers", UNKNOWN, "there was no response")
        return
    limit = read_int(headers.get("x-ia-throttle-limit"))
    company = read_int(headers.get("x-ia-tenant-throttle-limit"))
    if limit is None and company is None:
        inquiry.answer("throttle-headers", UNKNOWN, "no response had them", tier=None)
        return
    tier = TIERS.get(limit or 0)
    known = [f"{limit} for the application" if limit else "", f"{company} for the company" if company else ""]
    evidence = (
        f"{', '.join(filter(None, known))}{f', as in tier {tier}' if tier else ', of no tier that is known'}"
    )
    inquiry.answer("throttle-headers", HOLDS, evidence, tier=tier)


def _judge_idempotence(facts: ObjectFacts) -> Finding:
    said = str(facts.model.get("idempotenceSupported", "")).lower()
    if said in ("true", "false"):
        return Finding(HOLDS if said == "true" else CONTRADICTED, said)
    return Finding(UNKNOWN, "the model does not say" if facts.model else "there is no model")


def _judge_ids(facts: ObjectFacts) -> Finding:
    fields = get_entries(facts.model, "fields")
    if "id" not in fields:
        return Finding(UNKNOWN, "the model has no id" if facts.model else "there is no model")
    if fields["id"].get("readOnly") is True:
        return Finding(HOLDS, "id is read-only")
    if fields["id"].get("required") is True:
        return Finding(CONTRADICTED, "id is required")
    if any(one.get("required") is True for one in fields.values()):
        return Finding(HOLDS, "other fields are required, and id is not")
    return Finding(UNKNOWN, "the model marks no field as required")


def _answer_web_url(inquiry: Inquiry) -> None:
    """Compare the models with the rows that a query returned."""
    modeled = [one for one in inquiry.readable if one.fields]
    having = [one for one in modeled if WEB_URL in one.fields]
    if not modeled:
        inquiry.answer("web-url", UNKNOWN, "no model could be read")
        return
    refused = [one.shown for one in having if WEB_URL in one.refused]
    evidence = f"in the model of {', '.join(one.shown for one in having)}" if having else "in no model"
    evidence += f"; refused for {', '.join(refused)}" if refused else ""
    inquiry.answer("web-url", CONTRADICTED if refused else HOLDS, evidence, present=bool(having))
