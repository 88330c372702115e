"""Composite calls: sending several requests at once, and reading the outcome of each."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import unquote

from intacct_provider.client.catalog import Catalog
from intacct_provider.client.errors import build_error, find_error
from intacct_provider.client.http import codec
from intacct_provider.client.http.transport import REPLAYED_HEADER, Reply, Request
from intacct_provider.client.idempotency import MAX_GENERATIONS, find_unfinished
from intacct_provider.client.keys import text_or_none
from intacct_provider.client.reading.queries import QueryReader
from intacct_provider.client.result_matching import Sent, fold_id, match_elements, read_reference
from intacct_provider.client.results import (
    REJECTIONS,
    RecordResult,
    describe_status,
    find_failure,
    find_miscount,
    is_unprocessed,
)
from intacct_provider.client.session import Session
from intacct_provider.client.writing.composite_request import PATH, Part
from intacct_provider.client.writing.existence import find_missing
from intacct_provider.client.writing.repetition import Repetition
from intacct_provider.exceptions import (
    IntacctAPIError,
    IntacctIdempotencyError,
    IntacctNotFoundError,
    IntacctResponseError,
)

Element = Mapping[str, Any]
_OBJECT = re.compile(r"/?(?:[a-z./]*/)?objects/([^/]+/[^/]+)")


@dataclass(frozen=True, slots=True)
class CompositeResult:
    """The outcome of one request of a composite call.

    :param index: its position in the list given, from 0.
    :param name: its ``resultReference``, if it has one.
    :param status: its HTTP status.
    :param result: the value of ``ia::result``: a record, a reference, a list of rows; None after a deletion or
        a failure.
    :param meta: the value of ``ia::meta``: counts, and the ``next`` page of a query.
    :param error: why it was not carried out, or None.
    """

    index: int
    name: str | None
    status: int
    result: Any = None
    meta: Mapping[str, Any] | None = None
    error: IntacctAPIError | None = None

    @property
    def ok(self) -> bool:
        """Whether it was carried out."""
        return self.error is None

    @property
    def unprocessed(self) -> bool:
        """Whether it was only skipped, because one before it failed."""
        return is_unprocessed(self.error)


class CompositeCall:
    """Sends the parts of one composite call and reads the outcome of each.

    :param parts: the requests, checked.
    """

    def __init__(
        self, parts: Sequence[Part], session: Session, catalog: Catalog, queries: QueryReader
    ) -> None:
        self._session = session
        self._catalog = catalog
        self._queries = queries
        # The same part of another call refers to other results, so it must have another key.
        self._content = codec.encode([part.wire() for part in parts])
        self._parts = [self._add_key(part, n) if part.needs_key else part for n, part in enumerate(parts)]
        self._repetition = Repetition(catalog, queries)
        self._unnamed = {part.object_name for part in parts if part.creates and not part.id}
        self._counted: set[int] = set()
        self._remade: set[str | None] = set()
        self._changed: set[int] = set()

    def run(self) -> list[CompositeResult]:
        """Send the call and return one result per part, in order."""
        with self._repetition.guard(self._unnamed):
            return self._run()

    def _run(self) -> list[CompositeResult]:
        generation = 1
        while True:
            reply = self._session.send(self._build_request())
            results, items = self._read(reply)
            stale = self._find_stale(reply, results, items, generation)
            if not stale:
                return self._explain(results)
            for place in stale:
                self._parts[place] = self._add_key(self._parts[place], place)
            generation += 1

    def _build_request(self) -> Request:
        # If it were sent again, a deletion would find nothing and end the call there, and the rest would stay unknown.
        repeatable = not any(part.method == "DELETE" for part in self._parts[:-1])
        content = codec.encode([part.wire() for part in self._parts])
        names = {part.object_name for part in self._parts}
        return Request(
            "POST",
            PATH,
            content=content,
            repeatable=repeatable,
            may_repeat=self._may_repeat if self._unnamed else None,
            is_locked=_part_is_locked,
            object_name=names.pop() if len(names) == 1 else "",
        )

    def _may_repeat(self) -> bool:
        """Whether Intacct recognizes every creation without an id when it comes again."""
        return all(self._repetition.is_recognized(name) for name in self._unnamed)

    def _add_key(self, part: Part, place: int) -> Part:
        content = b"%d\0" % place + self._content
        return replace(part, key=self._session.idempotency.make(part.method, part.path, content))

    def _read(self, reply: Reply) -> tuple[list[CompositeResult], list[Element]]:
        """Return the outcome of each part and what the response holds for it, in the order of the parts."""
        found = reply.elements
        if not isinstance(found, list) or not all(map(_is_mapping, found)):
            reply.raise_for_error()
            found = []
        sent = [Sent(n, name=part.name) for n, part in enumerate(self._parts)]
        matches = match_elements(found, sent)
        items = matches.elements
        results = {n: _read_result(n, self._parts[n], item, reply) for n, item in items.items()}
        problems = {n: _find_problem(self._parts[n], item, results[n]) for n, item in items.items()}
        others = [n for n, text in problems.items() if text]
        problem = matches.problem or next((f"{problems[n]} at {sent[n]}" for n in others), "")
        problem = problem or find_miscount(reply, [one.error for one in results.values()])[0]
        if problem:
            if not found:
                reply.raise_for_error()
            raise IntacctResponseError(_describe_contradiction(reply, sent, results, problem, others))
        in_order = [results[n] for n in range(len(sent))]
        self._correct_deletion(reply, in_order)
        self._check_failed(reply, in_order)
        for n, result in enumerate(in_order):
            self._count(n, result, items[n], reply)
        return in_order, [items[n] for n in range(len(sent))]

    def _check_failed(self, reply: Reply, results: Sequence[CompositeResult]) -> None:
        """Reject the rejection of a record that an earlier attempt, whose response was lost, may have created itself.

        :raises IntacctResponseError: in that case.
        """
        failed = next((result for result in results if not result.ok), None)
        part = self._parts[failed.index] if failed else None
        if failed and failed.error and part and part.creates and not failed.error.replayed:
            rejected = RecordResult(failed.index, error=failed.error)
            self._repetition.check_rejected(
                part.object_name, reply, [rejected], [Sent(failed.index, id=part.id)]
            )

    def _correct_deletion(self, reply: Reply, results: list[CompositeResult]) -> None:
        """Count a record as deleted that the request whose response was lost deleted."""
        last, deletion = results[-1], self._parts[-1]
        lost = (
            deletion.method == "DELETE"
            and reply.maybe_already_done
            and isinstance(last.error, IntacctNotFoundError)
        )
        if lost and self._catalog.has_object(deletion.object_name):
            results[-1] = CompositeResult(last.index, last.name, 204)

    def _count(self, place: int, result: CompositeResult, item: Mapping[str, Any], reply: Reply) -> None:
        """Bill a part: a read that was answered each time, what was written once."""
        part = self._parts[place]
        if part.writes:
            if place in self._counted or (_is_replayed(item) and not reply.maybe_already_done):
                return
            if result.ok:
                self._counted.add(place)
        self._session.bill(_count_transactions(part, result, reply))

    def _find_stale(
        self, reply: Reply, results: Sequence[CompositeResult], items: Sequence[Element], generation: int
    ) -> set[int]:
        """Return the places of parts that must be asked again under new keys, because their responses are outdated.

        The others are then answered from the cache; only a deletion would fail.

        :raises IntacctServerError: if an earlier request is still carrying out a part.
        """
        failed = next((result for result in results if not result.ok), None)
        if failed and self._parts[failed.index].writes:
            unfinished = find_unfinished(failed.error, maybe_already_done=reply.maybe_already_done)
            if unfinished:
                raise unfinished
        if generation == MAX_GENERATIONS or any(
            part.method == "DELETE" and result.ok for part, result in zip(self._parts, results, strict=True)
        ):
            return set()
        stale = self._find_undone(reply, results, items)
        self._remade |= {self._parts[place].name for place in stale} - {None}
        if failed and self._is_old(reply, failed, items[failed.index], generation):
            stale.add(failed.index)
        return stale

    def _is_old(self, reply: Reply, failed: CompositeResult, item: Element, generation: int) -> bool:
        """Whether a failure may come from the cache of an earlier attempt."""
        part, error = self._parts[failed.index], failed.error
        if not part.key or not isinstance(error, REJECTIONS):
            return False
        if error.status == 409 and not error.replayed:
            # A conflict about the key itself, after which something may have been written, unless the part has become
            # another one because what it refers to was made again.
            changed = failed.index not in self._changed and bool(part.refers_to & self._remade)
            self._changed.add(failed.index)
            return changed
        # Sage does not document that elements contain their headers. Without them the first failure may be an old one.
        known = isinstance(_get_headers(item), Mapping)
        may_be = generation == 1 and (
            reply.maybe_already_done or part.method in self._session.idempotency.scopes
        )
        return error.replayed or (may_be and not known)

    def _find_undone(
        self, reply: Reply, results: Sequence[CompositeResult], items: Sequence[Element]
    ) -> set[int]:
        """Return the places of records that the cache reports as created, but which were deleted since.

        As in a write of records, a task that is cleared within the cache's 48 hours meets them.
        """
        found: set[int] = set()
        for place, item in enumerate(() if reply.maybe_already_done else items):
            part, record = self._parts[place], results[place].result
            if part.key and part.method == "POST" and _is_replayed(item) and _is_mapping(record):
                reference = (text_or_none(record.get("key")), text_or_none(record.get("id")))
                name = part.object_name
                if any(reference) and name and find_missing(self._queries, name, [reference]):
                    found.add(place)
        return found

    def _explain(self, results: list[CompositeResult]) -> list[CompositeResult]:
        rejected = next((one for one in results if one.error and not one.unprocessed), None)
        if rejected and rejected.error:
            part = self._parts[rejected.index]
            if part.object_name.count("/") == 1:
                self._catalog.explain(rejected.error, part.object_name, part.body)
            if isinstance(rejected.error, IntacctIdempotencyError) and part.refers_to:
                rejected.error.hint = (
                    "An earlier attempt sent this request when the referenced result was different. Check what it "
                    "wrote before clearing the task."
                )
            for one in results:
                if one.error and one.unprocessed:
                    one.error.hint = f"The failed request is at index {rejected.index}: {rejected.error}"
        return results


def _find_problem(part: Part, item: Element, result: CompositeResult) -> str:
    """Return what contradicts in the result of a part; empty if nothing does."""
    if not _is_about(part, item):
        return "with a result for another request"
    listed, keys = result.result, part.keys_in_path
    reference = read_reference(item)
    if part.creates and result.ok and not (reference.get("key") or reference.get("id")):
        return "without naming the record created"
    if result.ok and isinstance(listed, list) and all(map(_is_mapping, listed)) and keys:
        problem = match_elements(listed, [Sent(n, key) for n, key in enumerate(keys)]).problem
        return "without a result for each key" if problem else ""
    return ""


def _is_about(part: Part, item: Element) -> bool:
    """Whether an element can be the result of a part, as far as it names a record."""
    reference = read_reference(item)
    key, href = reference.get("key"), reference.get("href")
    if key is not None and part.key_in_path not in (None, str(key)):
        return False
    id_, given = text_or_none(reference.get("id")), part.id if part.creates else None
    if id_ and given and "@{" not in given and fold_id(id_) != fold_id(given):
        return False
    found = _OBJECT.match(str(href)) if href and part.object_name else None
    return found is None or unquote(found[1]).startswith(part.object_name)


def _describe_contradiction(
    reply: Reply,
    sent: Sequence[Sent],
    results: Mapping[int, CompositeResult],
    problem: str,
    doubtful: Sequence[int],
) -> str:
    text = f"Intacct answered HTTP {reply.status} to {len(sent)} composite requests {reply.clean(problem)}; "
    known = {n: result.ok for n, result in results.items() if n not in doubtful}
    if not known:
        return f"{text}which of them were carried out is unknown."
    groups = (("carried out", True), ("not carried out", False), ("unknown", None))
    words = {word: [str(one) for one in sent if known.get(one.index) is ok] for word, ok in groups}
    return text + "; ".join(f"{word}: {', '.join(some)}" for word, some in words.items() if some) + "."


def _read_result(index: int, part: Part, item: Mapping[str, Any], reply: Reply) -> CompositeResult:
    status, meta = reply.read_status(item), item.get("ia::meta")
    meta = meta if isinstance(meta, Mapping) else None
    found = find_error(item) or _find_error(item.get("ia::result"), reply)
    result = None if found else item.get("ia::result")
    failures = [one for one in result if _find_error(one, reply)] if isinstance(result, list) else []
    if failures:
        # Of several keys some can fail; then the part has failed. Prefer any error over not-found.
        worst = next((one for one in failures if reply.read_status(one) != 404), failures[0])
        found, status = _find_error(worst, reply), reply.read_status(worst)
    if found is None and status < 400:
        return CompositeResult(index, part.name, status, result, meta)
    error = build_error(status, found or describe_status(status), reply.clean)
    error.replayed = _is_replayed(item)
    return CompositeResult(index, part.name, status, result, meta, error)


def _count_transactions(part: Part, result: CompositeResult, reply: Reply) -> int:
    """Return what Intacct bills for a part: each read that was answered, each record that was written."""
    several = result.result if isinstance(result.result, list) else None
    if not part.writes:
        return int(result.ok or any(not _find_error(one, reply) for one in several or ()))
    if several is not None or not result.ok:
        return sum(not _find_error(one, reply) for one in several or ())
    return part.path.count(",") + 1 if part.method == "DELETE" else 1


def _part_is_locked(reply: Reply) -> bool:
    """Whether a part is rejected as if an earlier request for it were still running."""
    items = reply.elements
    return isinstance(items, list) and any(
        reply.read_status(item) == 409 and not _is_replayed(item) for item in items if _is_mapping(item)
    )


def _find_error(item: Any, reply: Reply) -> Mapping[str, Any] | None:
    """Return the error of one of the records in the result of a part, or None. Rows can have any other names."""
    if not isinstance(item, Mapping):
        return None
    item = {name: item.get(name) for name in ("ia::error", "ia::result", "ia::status")}
    status = reply.read_status(item, 0)
    return find_failure(item) or (describe_status(status) if status >= 400 else None)


def _get_headers(item: Mapping[str, Any]) -> Any:
    return item.get("ia::headers")


def _is_replayed(item: Mapping[str, Any]) -> bool:
    """Whether an element says that it comes from the server's idempotency cache."""
    headers = _get_headers(item)
    return isinstance(headers, Mapping) and REPLAYED_HEADER in {str(name).lower() for name in headers}


def _is_mapping(value: Any) -> bool:
    return isinstance(value, Mapping)
