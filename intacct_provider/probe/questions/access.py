"""Tokens and entities: what reaches the company, and which part of it."""

from __future__ import annotations

import base64
from collections.abc import Mapping

from intacct_provider.client.config import IntacctConfig
from intacct_provider.client.errors import TOKEN_ERROR_IDS, TokenVerdict
from intacct_provider.client.http.transport import ENTITY_HEADER, Reply, Request, judge_reply
from intacct_provider.probe.answers import CONTRADICTED, HOLDS, UNKNOWN, Inquiry
from intacct_provider.probe.asking import MODEL, describe, find_error_id, read_page
from intacct_provider.probe.objects import ObjectFacts

OTHER_HEADER = "X-IA-API-ParamEntity"
NO_ENTITY = "no-such-entity-0"
ENTITY = "company-config/entity"
#: Members of a body that can have the error.
_PLACES = ("ia::result", "ia::error", "error")


def _encode(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


#: In the form of Intacct's tokens, and never issued by anybody.
DEAD_TOKEN = ".".join(map(_encode, ('{"alg":"RS256","typ":"JWT"}', '{"exp":1}', "not-a-signature")))


def ask_grant(inquiry: Inquiry, config: IntacctConfig) -> None:
    """Answer whether the grant works, from the requests so far."""
    if inquiry.asker.throttle is None:
        inquiry.answer("grant-works", UNKNOWN, "no request was answered")
    elif inquiry.asker.token_requests:
        how = f"{config.auth_type}: a form-encoded request brought a token that was accepted"
        inquiry.answer("grant-works", HOLDS, how)
    else:
        inquiry.answer("grant-works", UNKNOWN, "the credential store had a token that was accepted")


def ask_entity_header(inquiry: Inquiry) -> None:
    """Find out which spelling of the header has an effect."""
    if inquiry.largest is None:
        inquiry.answer("entity-header", UNKNOWN, "no object could be read")
        return
    for header, answer in ((ENTITY_HEADER, HOLDS), (OTHER_HEADER, CONTRADICTED)):
        reply = _count(inquiry, {header: NO_ENTITY}, f"see whether {header} has an effect")
        if _has_effect(reply, inquiry.largest):
            evidence = f"with a nonexistent entity in {header} a query returns nothing ({describe(reply)})"
            inquiry.answer("entity-header", answer, evidence, header=header)
            return
    _compare_counts(inquiry)


def _has_effect(reply: Reply, facts: ObjectFacts) -> bool:
    """Whether a query fails, or finds nothing, that found records without the header."""
    if reply.error() is not None:
        return reply.status < 500 and reply.status not in (408, 425, 429)
    page = read_page(reply, 1, 1)
    return page is not None and not page.rows and facts.size > 0


def _compare_counts(inquiry: Inquiry) -> None:
    """Compare what is seen in an entity with what is seen without one, in each spelling."""
    ids = ("entity-header",)
    reply = inquiry.asker.query("find an entity", ids, ENTITY, ["key", "id"], headers={})
    page = read_page(reply, 1, 1)
    entity = str(page.rows[0].get("id") or "") if page and page.rows else ""
    if not (entity.isascii() and entity.isprintable() and entity.strip()):
        inquiry.answer("entity-header", UNKNOWN, "both spellings are accepted, and no entity was found")
        return
    totals = {
        header: _read_total(_count(inquiry, headers, f"count records {what}"))
        for header, headers, what in (
            ("", {}, "without an entity"),
            (ENTITY_HEADER, {ENTITY_HEADER: entity}, f"in an entity, by {ENTITY_HEADER}"),
            (OTHER_HEADER, {OTHER_HEADER: entity}, f"in an entity, by {OTHER_HEADER}"),
        )
    }
    for header, answer in ((ENTITY_HEADER, HOLDS), (OTHER_HEADER, CONTRADICTED)):
        if None not in (totals[header], totals[""]) and totals[header] != totals[""]:
            evidence = f"{header} changes the number of records"
            inquiry.answer("entity-header", answer, evidence, header=header)
            return
    inquiry.answer("entity-header", UNKNOWN, "neither spelling has an effect that can be seen")


def _count(inquiry: Inquiry, headers: Mapping[str, str], purpose: str) -> Reply:
    assert inquiry.largest is not None  # noqa: S101 - checked by the caller
    return inquiry.asker.query(purpose, ("entity-header",), inquiry.largest.name, ["key"], headers=headers)


def _read_total(reply: Reply) -> int | None:
    page = read_page(reply, 1, 1)
    return page.total if page else None


def ask_dead_token(inquiry: Inquiry) -> None:
    """Send a token that was never issued."""
    ids = ("dead-token-refused", "gateway-errors-have-ids")
    request = Request("GET", MODEL, params={"name": ENTITY})
    reply = inquiry.asker.ask_with_token("see how a dead token is refused", ids, request, DEAD_TOKEN)
    if reply.error() is None or reply.status in (408, 425, 429) or reply.status >= 500:
        for one in ids:
            inquiry.answer(one, UNKNOWN, f"a made-up token was not refused ({describe(reply)})")
        return
    place = next((name for name in _PLACES if isinstance(reply.body, Mapping) and name in reply.body), "")
    recognized = judge_reply(request, reply) is not TokenVerdict.ACCEPTED
    inquiry.answer("dead-token-refused", HOLDS if recognized else CONTRADICTED, describe(reply), place=place)
    named = find_error_id(reply) in TOKEN_ERROR_IDS
    inquiry.answer("gateway-errors-have-ids", HOLDS if named else CONTRADICTED, describe(reply))
