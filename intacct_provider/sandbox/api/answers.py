"""The answers of the API, and what Intacct would bill for them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from intacct_provider.sandbox.errors import ApiError

Outcome = dict[str, Any] | ApiError
"""What became of one record of a batch: its reference, or the error that rejected it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, before it is encoded.

    :param transactions: what Intacct would bill: 1 for a read that succeeded, 1 for each record written.
    """

    status: int
    body: object = None
    transactions: int = 0
    headers: dict[str, str] = field(default_factory=dict)


def one_result(status: int, result: dict[str, Any], transactions: int) -> Answer:
    """Return an answer with a single result."""
    return Answer(status, {"ia::result": result, "ia::meta": meta(1, 0)}, transactions)


def error_answer(error: ApiError) -> Answer:
    """Return the answer that reports an error."""
    return Answer(error.status, error.body(), headers=error.headers)


def meta(success: int, errors: int) -> dict[str, int]:
    """Return ``ia::meta``: how many results there are, and how many of them are errors."""
    return {"totalCount": success + errors, "totalSuccess": success, "totalError": errors}


def with_status(success: int, outcome: Outcome) -> dict[str, Any]:
    """Return the outcome of one record as an element of a mixed answer."""
    if isinstance(outcome, ApiError):
        return {"ia::error": outcome.error(), "ia::status": outcome.status}
    return {**outcome, "ia::status": success}
