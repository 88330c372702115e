"""Pages: how large they can be, and what a response says about them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from intacct_provider.client.config import MAX_PAGE_SIZE
from intacct_provider.probe.answers import CONTRADICTED, HOLDS, UNKNOWN, Finding, Inquiry
from intacct_provider.probe.asking import Page, describe, is_refusal, read_int, read_page

#: What a server did with a size: served it, served less, refused it, or too few records say which.
Outcome = Literal["works", "clamped", "refused", "unclear", "failed"]
#: Half as many each time; nothing below the default of 100 helps anybody.
SIZES = (4000, 2000, 1000, 500, 250, 125)


def ask_page_size(inquiry: Inquiry) -> None:
    """Find the largest page that works, and what happens beyond it."""
    if inquiry.largest is None:
        inquiry.answer("page-size-limit", UNKNOWN, "no object could be read")
        return
    outcomes: dict[int, tuple[Outcome, str]] = {}
    limit: int | None = None
    for size in SIZES:
        outcomes[size] = _try_size(inquiry, size)
        if outcomes[size][0] in ("works", "unclear", "failed"):
            limit = size if outcomes[size][0] != "failed" else None
            break
    largest = outcomes[MAX_PAGE_SIZE][0]
    if largest in ("works", "unclear"):
        outcomes[MAX_PAGE_SIZE + 1] = _try_size(inquiry, MAX_PAGE_SIZE + 1)
        beyond = outcomes[MAX_PAGE_SIZE + 1][0]
    else:
        beyond = largest
    evidence = "; ".join(f"{size}: {text}" for size, (_, text) in outcomes.items())
    answer = {"works": HOLDS, "clamped": CONTRADICTED, "refused": CONTRADICTED}.get(largest, UNKNOWN)
    shown = beyond if beyond in ("clamped", "refused") else None
    known = limit if largest != "unclear" else None
    inquiry.answer("page-size-limit", answer, evidence, limit=known, beyond=shown)


def _try_size(inquiry: Inquiry, size: int) -> tuple[Outcome, str]:
    assert inquiry.largest is not None  # noqa: S101 - checked by the caller
    reply = inquiry.asker.query(
        f"read a page of {size} keys",
        ("page-size-limit",),
        inquiry.largest.name,
        ["key"],
        orderBy=[] if inquiry.largest.order_refused else [{"key": "asc"}],
        size=size,
    )
    page = read_page(reply, 1, size)
    if page is not None:
        outcome = judge_page(page)
        return outcome, f"{_WORDS[outcome]} ({_describe_meta(page)})"
    return ("refused", f"refused ({describe(reply)})") if is_refusal(reply) else ("failed", describe(reply))


_WORDS = {
    "works": "works",
    "clamped": "fewer rows than asked for",
    "unclear": "accepted; too few records to see how many rows it has",
}


def judge_page(page: Page) -> Literal["works", "clamped", "unclear"]:
    """Judge whether a first page has as many rows as were asked for, as far as the records suffice to say so."""
    rows, said = len(page.rows), read_int(page.meta.get("pageSize"))
    if rows >= page.size:
        return "works"
    total = page.total
    if total is not None and rows < total:
        return "clamped"
    if said is None or said <= rows:
        # Without more records, a page size that the rows reach may be their number, or a default.
        return "clamped" if page.meta.get("next") is not None else "unclear"
    return "works" if said >= page.size else "clamped"


def _describe_meta(page: Page) -> str:
    said, total = read_int(page.meta.get("pageSize")), page.total
    following = "null" if page.meta.get("next") is None else "set"
    compared = "above the rows" if total is not None and total > len(page.rows) else "equal to the rows"
    counted = "missing" if total is None else compared
    return f"pageSize {'missing' if said is None else said}, next {following}, totalCount {counted}"


def ask_meta(inquiry: Inquiry) -> None:
    """Answer from all pages so far what ``ia::meta`` says."""
    pages = inquiry.asker.pages
    for name, judge in (
        ("page-size-reported", _judge_size),
        ("next-is-a-start", judge_next),
        ("total-count", judge_total),
    ):
        finding = judge(pages)
        inquiry.answer(name, finding.answer, finding.evidence)


def _judge_size(pages: Sequence[Page]) -> Finding:
    if not pages:
        return Finding(UNKNOWN, "no page was read")
    said = [read_int(page.meta.get("pageSize")) for page in pages]
    missing = sum(one is None for one in said)
    wrong = sum(
        one is not None and not len(page.rows) <= one <= page.size
        for one, page in zip(said, pages, strict=True)
    )
    if missing or wrong:
        return Finding(
            CONTRADICTED, f"of {len(pages)} pages, missing on {missing} and another number on {wrong}"
        )
    return Finding(HOLDS, f"on {len(pages)} pages")


def judge_next(pages: Sequence[Page]) -> Finding:
    """Judge ``next`` on the pages that have another one after them, or surely have none."""
    right, wrong = 0, 0
    for page in pages:
        total, reached = page.total, page.start - 1 + len(page.rows)
        if total is None or not page.rows:
            continue
        wanted = reached + 1 if reached < total else None
        said = page.meta.get("next")
        exact = said == wanted and not isinstance(said, bool)
        right, wrong = right + (exact and wanted is not None), wrong + (not exact)
    if wrong:
        return Finding(CONTRADICTED, f"{wrong} pages have another value")
    return (
        Finding(HOLDS, f"on {right} pages") if right else Finding(UNKNOWN, "no page has another one after it")
    )


def judge_total(pages: Sequence[Page]) -> Finding:
    """Judge ``totalCount``: a number on each page, which the rows do not exceed, and reach on the last page."""
    if not pages:
        return Finding(UNKNOWN, "no page was read")
    missing = sum(page.total is None for page in pages)
    if missing:
        return Finding(CONTRADICTED, f"missing on {missing} of {len(pages)} pages")
    wrong = sum(page.start - 1 + len(page.rows) > (page.total or 0) for page in pages)
    if wrong:
        return Finding(CONTRADICTED, f"less than the rows on {wrong} of {len(pages)} pages")
    return Finding(HOLDS, f"on {len(pages)} pages")
