"""The outcome of each record of a write, as responses report it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from intacct_provider.client.errors import build_error, find_bare_error, find_error, find_record_error
from intacct_provider.client.keys import as_number, text_or_none
from intacct_provider.client.result_matching import (
    Matches,
    Sent,
    list_positions,
    match_elements,
    read_reference,
)
from intacct_provider.exceptions import (
    IntacctAPIError,
    IntacctConflictError,
    IntacctIdempotencyError,
    IntacctNotFoundError,
    IntacctPermissionError,
    IntacctResponseError,
    IntacctValidationError,
)

if TYPE_CHECKING:
    from intacct_provider.client.http.transport import Reply

#: Rejections of a record, in which nothing was written.
REJECTIONS = (IntacctValidationError, IntacctConflictError, IntacctNotFoundError, IntacctPermissionError)
#: Codes, in lower case, of a record that Intacct left alone because another one of the same call was rejected.
_UNPROCESSED = {"unprocessed", "atomicoperationfailure"}
#: Words for the status of a record that was not written.
_FAILED = {"failed", "failure", "error", "rejected"}


@dataclass(frozen=True, slots=True)
class RecordResult:
    """The outcome of one record of a write of many.

    :param index: its position in the list given, from 0.
    :param key: the record's key; None when it was rejected, or when Intacct does not return it (customer groups).
    :param id: the record's id, as far as it is known.
    :param error: why it was not written, or None.
    """

    index: int
    key: str | None = None
    id: str | None = None
    error: IntacctAPIError | None = None

    @property
    def ok(self) -> bool:
        """Whether the record was written, or deleted."""
        return self.error is None

    @property
    def unprocessed(self) -> bool:
        """Whether it was only skipped, because another record of its atomic call was rejected."""
        return is_unprocessed(self.error)


def read_one(
    reply: Reply, sent: Sent, *, done: str = "written"
) -> tuple[IntacctAPIError | None, Mapping[str, Any] | None]:
    """Return what the response to the write of one record holds: an error or None, a reference or None.

    :param done: what was done to the record, as messages say it.
    :raises IntacctResponseError: if the response contradicts itself, or is about another record.
    """
    found = reply.elements
    item = found[0] if isinstance(found, list) and len(found) == 1 else found
    error = reply.error()
    if isinstance(item, Mapping):
        error = error or read_result(sent.index, item, reply).error
        problem = "" if error else match_elements([item], [sent]).problem
    else:
        problem = "" if error or item is None else "without accounting for it"
    problem = problem or find_miscount(reply, [error])[0]
    if problem:
        raise IntacctResponseError(
            f"Intacct answered HTTP {reply.status} to one record {reply.clean(problem)}; whether it was "
            f"{done} is unknown."
        )
    return error, read_reference(item) if isinstance(item, Mapping) else None


def read_results(
    reply: Reply, sent: Sequence[Sent], *, done: str = "written", named: bool = False
) -> list[RecordResult]:
    """Return each record's outcome from the response to a batch, as :func:`read_elements`."""
    return [result for result, _ in read_elements(reply, sent, done=done, named=named)]


def read_elements(
    reply: Reply, sent: Sequence[Sent], *, done: str = "written", named: bool = False
) -> list[tuple[RecordResult, Mapping[str, Any] | None]]:
    """Return each record's outcome, and what the response holds for it, in the order sent, whichever form it has.

    Intacct answers a batch with a list, under 2xx or 4xx; a deletion that succeeded as a whole without a body; a batch
    rejected as a whole with one error, which then is every record's.

    :param done: what was done to a record, as messages say it.
    :param named: whether a success names its record, as that of a creation does.
    :raises IntacctResponseError: if the response does not account for every record, or contradicts itself; the message
        says what is known nevertheless.
    :raises IntacctError: if Intacct rejected the call itself, not its records.
    """
    if reply.status == 204 and not named:
        return [(RecordResult(one.index), None) for one in sent]
    items = _list_items(reply, len(sent))
    error = reply.error()
    if error and len(items) != len(sent) and not any(read_result(0, item, reply).ok for item in items):
        if not isinstance(error, REJECTIONS) or isinstance(error, IntacctIdempotencyError):
            raise error
        return [(RecordResult(one.index, error=error), None) for one in sent]
    matches = match_elements(items, sent)
    results = {n: read_result(sent[n].index, item, reply) for n, item in matches.elements.items()}
    problem, known = examine_results(reply, results, matches, named=named)
    if problem:
        raise IntacctResponseError(_describe_contradiction(reply, sent, problem, known, done))
    return [(results[n], matches.elements[n]) for n in range(len(sent))]


def _list_items(reply: Reply, count: int) -> list[Mapping[str, Any]]:
    """Return what a response holds for each record; nothing if it is not a list of that."""
    items = reply.elements
    if isinstance(items, Mapping) and count == 1 and not reply.error():
        items = [items]
    return items if isinstance(items, list) and all(isinstance(item, Mapping) for item in items) else []


def examine_results(
    reply: Reply, results: Mapping[int, RecordResult], matches: Matches, *, named: bool
) -> tuple[str, dict[int, bool]]:
    """Return what contradicts in a response, and by position what it says beyond doubt: done or not."""
    known = {n: result.ok for n, result in results.items()}
    if named:
        keys = Counter(result.key for result in results.values() if result.ok)
        for n, result in results.items():
            if result.ok and result.key is None and result.id is None:
                matches.problem = matches.problem or f"without naming the one at index {result.index}"
                del known[n]
            elif result.ok and result.key is not None and keys[result.key] > 1:
                matches.problem = matches.problem or f"with two results for one record (key {result.key})"
                del known[n]
    if matches.problem:
        return matches.problem, known | _read_rest(reply, matches)
    error = reply.error()
    if error and all(known.values()):
        return f"with successes only, and with an error ({error.message})", {}
    problem, doubted = find_miscount(reply, [result.error for result in results.values()])
    return problem, {n: ok for n, ok in known.items() if ok not in doubted}


def _read_rest(reply: Reply, matches: Matches) -> dict[int, bool]:
    """Return what is known of the records whose results could not be matched: something if all results are alike."""
    outcomes = {read_result(0, item, reply).ok for item in matches.rest}
    return dict.fromkeys(matches.free, outcomes.pop()) if len(outcomes) == 1 else {}


def _describe_contradiction(
    reply: Reply, sent: Sequence[Sent], problem: str, known: Mapping[int, bool], done: str
) -> str:
    text = f"Intacct answered HTTP {reply.status} to {len(sent)} records {reply.clean(problem)}; "
    if not known:
        return f"{text}which of them were {done} is unknown."
    groups = [
        (word, [one.index for n, one in enumerate(sent) if known.get(n) is ok])
        for word, ok in ((done, True), (f"not {done}", False), ("unknown", None))
    ]
    return text + "; ".join(f"{word}: index {list_positions(some)}" for word, some in groups if some) + "."


def read_result(index: int, item: Mapping[str, Any], reply: Reply) -> RecordResult:
    """Return one record's outcome from its element of a response: a reference or an error, and its status."""
    reference = read_reference(item)
    found, status = find_failure(item), reply.read_status(item)
    if found or status >= 400:
        error = build_error(status, found or describe_status(status), reply.clean)
        error.replayed = reply.replayed
        return RecordResult(index, error=error)
    return RecordResult(index, key=text_or_none(reference.get("key")), id=text_or_none(reference.get("id")))


def describe_status(status: int) -> dict[str, str]:
    """Return the error of a rejection that says no more than its status."""
    return {"message": f"rejected with status {status}"}


def find_failure(item: Any) -> Mapping[str, Any] | None:
    """Return the error in an element of a response, or None. A record can have fields of its own named ``error``."""
    keyed = isinstance(item, Mapping) and text_or_none(read_reference(item).get("key"))
    read = {name: item.get(name) for name in ("ia::error", "ia::result")} if keyed else item
    found = find_error(read) or find_record_error(read)
    if found is None and isinstance(item, Mapping) and _says_failed(item, keyed=bool(keyed)):
        found = find_bare_error(item) or {"message": "rejected without a reason"}
    return found


def _says_failed(item: Mapping[str, Any], *, keyed: bool) -> bool:
    """Whether an element says in words that its record failed; where it has a key, only Intacct's own members do."""
    status = item.get("ia::status") if keyed else item.get("ia::status") or item.get("status")
    if str(status).strip().lower() in _FAILED:
        return True
    return not keyed and (str(item.get("success")).lower() == "false" or bool(item.get("errors")))


def read_counts(reply: Reply) -> Mapping[str, Any]:
    """Return the counts of a response: its ``ia::meta``, empty if it has none."""
    meta = reply.body.get("ia::meta") if isinstance(reply.body, Mapping) else None
    return meta if isinstance(meta, Mapping) else {}


def find_miscount(reply: Reply, errors: Sequence[IntacctAPIError | None]) -> tuple[str, set[bool]]:
    """Return where the counts of a response contradict its results, and which of them are doubtful then.

    A server may or may not count records that were not processed as failures.

    :param errors: one for each result; None for a success.
    :return: the end of a sentence, empty if nothing contradicts; whether successes (True) or failures (False) are
        doubtful.
    """
    counts = read_counts(reply)
    good, failed = errors.count(None), len(errors) - errors.count(None)
    rejected = failed - sum(is_unprocessed(error) for error in errors)
    problems, doubted = [], set()
    counted = as_number(counts.get("totalError"))
    if counted is not None and not rejected <= counted <= failed:
        shown = str(failed) if failed else "any"
        problems.append(
            f"and counts {counted} failures {'but shows' if failed else 'without showing'} {shown}"
        )
        doubted.add(counted > failed)
    counted = as_number(counts.get("totalSuccess"))
    if counted is not None and counted != good:
        problems.append(f"and counts {counted} successes but shows {good}")
        doubted.add(counted < good)
    return " ".join(problems), doubted


def is_unprocessed(error: IntacctAPIError | None) -> bool:
    """Whether an error says no more than that something else of the same call was rejected."""
    if error is None:
        return False
    own = _fold_codes(error.code, error.error_id)
    below = _fold_codes(*(code for detail in error.details for code in (detail.code, detail.error_id)))
    return bool(own & _UNPROCESSED) or bool(below and below <= _UNPROCESSED)


def _fold_codes(*codes: str) -> set[str]:
    return {re.sub("[^a-z]", "", code.lower()) for code in codes if code}
