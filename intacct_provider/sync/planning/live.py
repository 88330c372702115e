"""Live records: reading what a plan compares with, in the fewest billed calls."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from intacct_provider.client.batches import BATCH_SIZE
from intacct_provider.client.query.expressions import field
from intacct_provider.client.query.request import Query
from intacct_provider.exceptions import (
    IntacctIncompleteReadError,
    IntacctNotFoundError,
    IntacctValidationError,
)
from intacct_provider.sync.lookalikes import fold_text
from intacct_provider.sync.object_facts import (
    MODIFIED,
    collect_types,
    find_self_references,
    has_owned_lists,
)
from intacct_provider.sync.planning.conflicts import INACTIVE
from intacct_provider.sync.planning.cost import reads_by_page
from intacct_provider.sync.planning.diff import compare_flat, select_fields
from intacct_provider.sync.records import flatten, is_given, look_up, match_text

if TYPE_CHECKING:
    from intacct_provider.client import IntacctClient
    from intacct_provider.client.query.filters import Filters
    from intacct_provider.sync.request import SyncRequest

log = logging.getLogger(__name__)

Row = Mapping[str, Any]
#: How often records are read again because some were deleted meanwhile.
_RETRIES = 3
#: Records that are fetched at most to see which fields an object has.
_SHOWING = 100
#: Intacct's error for a field that queries cannot read.
_NOT_QUERYABLE = "REST-1106"


@dataclass(frozen=True, slots=True)
class Live:
    """The live records that a plan is made from.

    :param rows: those that are desired, or spelled almost like one that is; in mode ``mirror`` all in scope.
        Nested or dotted, with ``key``, the field that is matched on, and every field that is compared.
    :param in_scope: keys of the records in scope; None for all.
    :param protected: keys of the records that must not be touched.
    :param count: number of all live records, whether among ``rows`` or not; None for the number of rows.
    :param full_records: whether the rows were fetched by key, because queries cannot return all fields.
    :param unknown: desired fields that the model does not list and no record has that was fetched whole.
    :param fetched: number of records that were fetched whole.
    """

    rows: Sequence[Row]
    in_scope: frozenset[str] | None = None
    protected: frozenset[str] = frozenset()
    count: int | None = None
    full_records: bool = False
    unknown: tuple[str, ...] = ()
    fetched: int = 0


def read_live(client: IntacctClient, desired: Sequence[Row], model: Row, request: SyncRequest) -> Live:
    """Read what a plan compares with, complete, in as few billed calls as the desired fields allow.

    Fields that queries can return, nested ones among them, are read for all records, 4,000 a call. Only if a desired
    record gives a list, such as ``groupMembers``, are records fetched by key, 500 a call, and only those that the plan
    could touch. Intacct evaluates the filters, one call per 4,000 records that they select. A filter that decides what
    is deleted is not believed once: protection is read twice, and records that would be deleted, or are desired and out
    of scope, are looked up once more.

    :param desired: typed records.
    :param model: the response of Intacct's model service for the object.
    :raises IntacctIncompleteReadError: if it cannot be proven that every record was read.
    """
    types = collect_types(model)
    wanted = [flatten(record) for record in desired]
    fields, by_key = select_fields(wanted, types, match_on=request.match_on)
    names = [*dict.fromkeys([*fields, *_mirror_fields(model, request, types)])]
    # The scope before the records and protection after them, so a record that changes meanwhile is more likely to be
    # protected.
    scope = request.scope_filters
    in_scope = None if scope is None else _read_keys(client, request.object_name, scope)
    reader = _Reader(client, request, wanted, in_scope)
    rows = reader.read_by_key(names, types) if by_key else reader.read(names, types)
    if request.mode == "mirror" and has_owned_lists(model, request.object_name):
        rows = reader.add_lists(rows)
    protected = _read_protected(client, request)
    if scope is not None and in_scope is not None:
        doubtful = reader.list_doubtful(rows, protected)
        matching = _read_matching(client, request.object_name, scope, doubtful, len(in_scope))
        in_scope = in_scope - doubtful | matching
    return Live(rows, in_scope, protected, reader.count, reader.full_records, reader.unknown, reader.fetched)


def is_not_queryable(error: IntacctValidationError, object_name: str) -> bool:
    """Return whether a query failed because it cannot return a field, and log that records are fetched by key."""
    if error.error_id == _NOT_QUERYABLE:
        log.info("Intacct: records of %s are fetched by key: %s", object_name, error.message)
    return error.error_id == _NOT_QUERYABLE


def fetch_records(client: IntacctClient, object_name: str, keys: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return records by key, nested, 500 a call; those that were deleted meanwhile are left out.

    :raises IntacctIncompleteReadError: if records keep disappearing.
    """
    return dict(_fetch(client, object_name, keys))


class _Reader:
    """One reading of live records.

    ``count`` is how many there were, ``full_records`` whether they were fetched by key.
    """

    def __init__(
        self,
        client: IntacctClient,
        request: SyncRequest,
        wanted: Sequence[Row],
        in_scope: frozenset[str] | None,
    ) -> None:
        self._client = client
        self._object_name = request.object_name
        self._match_on = request.match_on
        self._mirror = request.mode == "mirror"
        self._deactivates = request.deactivates
        self._in_scope = in_scope
        self._wanted = {match_text(flat.get(request.match_on)): flat for flat in wanted}
        self._folded = {form for match in self._wanted for form in fold_text(match)}
        self.count = 0
        self.full_records = False
        self.unknown: tuple[str, ...] = ()
        self.fetched = 0
        self._others: list[str] = []

    def read(self, names: Sequence[str], types: Mapping[str, str]) -> list[Row]:
        """Return the rows to compare by query; by key if a field turns out not to be queryable."""
        try:
            return list(self._query(names))
        except IntacctValidationError as error:
            if not is_not_queryable(error, self._object_name):
                raise
        return self.read_by_key(names, types)

    def read_by_key(self, names: Sequence[str], types: Mapping[str, str]) -> list[Row]:
        """Return the records to compare, fetched by key, with just the given fields.

        Where a record already matches, the desired values take the place of the live ones, so that the members of
        ten thousand groups are not held twice.
        """
        self.full_records = True
        found = list(self._query(list(dict.fromkeys(["key", self._match_on]))))
        rows: list[Row] = []
        unknown = {path for path in names if path not in types} - {"key", self._match_on}
        for key, record in _fetch(self._client, self._object_name, [str(row["key"]) for row in found]):
            unknown = self._drop_given(unknown, record)
            row = {path: look_up(record, path) for path in names} | {"key": key}
            desired = self._wanted.get(match_text(row.get(self._match_on)))
            if desired is not None and not compare_flat(desired, row, types):
                row = {**row, **desired, "key": key}
            rows.append(row)
        if unknown and not rows:
            # None of the desired records is live, so others have to show which fields there are.
            for _, record in _fetch(self._client, self._object_name, self._others):
                unknown = self._drop_given(unknown, record)
        self.unknown = tuple(sorted(unknown)) if self.fetched else ()
        return rows

    def _drop_given(self, paths: set[str], record: Row) -> set[str]:
        self.fetched += 1
        return {path for path in paths if not is_given(record, path)} if paths else paths

    def add_lists(self, rows: list[Row]) -> list[Row]:
        """Add the lists to rows that are not desired, if the order of their deletion may depend on them."""
        others = [str(row["key"]) for row in rows if match_text(row[self._match_on]) not in self._wanted]
        if len(others) < 2:
            return rows
        full = fetch_records(self._client, self._object_name, others)
        return [{**_select_lists(full.get(str(row["key"]), {})), **row} for row in rows]

    def list_doubtful(self, rows: Sequence[Row], protected: frozenset[str]) -> frozenset[str]:
        """Return the keys of those rows that would be deleted, or are desired and yet out of scope."""
        doubtful = set()
        for row in rows:
            key = str(row["key"])
            if self._deactivates and row.get("status") == INACTIVE:
                continue
            wanted = match_text(look_up(row, self._match_on)) in self._wanted
            if wanted != self._is_in_scope(key) and (wanted or key not in protected):
                doubtful.add(key)
        return frozenset(doubtful)

    def _is_in_scope(self, key: str) -> bool:
        return self._in_scope is None or key in self._in_scope

    def _query(self, names: Sequence[str]) -> Iterator[Row]:
        match_on, wanted, near = self._match_on, self._wanted, self._folded
        self.count = 0
        # A record that is never sent is never deleted, and Intacct refuses to create its id again.
        query = replace(Query.build(self._object_name, names), few_calls=True)
        for row in self._client.iter_rows(query):
            self.count += 1
            match = match_text(row[match_on])
            similar = match in wanted or not near.isdisjoint(fold_text(match))
            if similar or (self._mirror and self._is_in_scope(str(row["key"]))):
                yield row
            elif len(self._others) < _SHOWING:
                self._others.append(str(row["key"]))


def _read_keys(client: IntacctClient, object_name: str, filters: Filters) -> frozenset[str]:
    query = replace(Query.build(object_name, ["key"], filters=filters), few_calls=True)
    return frozenset(str(row["key"]) for row in client.iter_rows(query))


def _read_protected(client: IntacctClient, request: SyncRequest) -> frozenset[str]:
    """Return the keys of the records that match at either of two readings, so that one false answer exposes none."""
    if request.protect is None:
        return frozenset()
    first, second = (_read_keys(client, request.object_name, request.protect) for _ in range(2))
    return first | second


def _read_matching(
    client: IntacctClient, object_name: str, filters: Filters, keys: frozenset[str], matching: int
) -> frozenset[str]:
    """Return those of some keys whose records match filters now: 500 a call, or all that match if that is cheaper.

    :param matching: about how many records match.
    """
    if reads_by_page(len(keys), matching, client.config.page_size):
        return keys & _read_keys(client, object_name, filters)
    query, rest = Query.build(object_name, ["key"], filters=filters), sorted(keys)
    found: set[str] = set()
    for start in range(0, len(rest), BATCH_SIZE):
        some = query.narrow(field("key").in_(rest[start : start + BATCH_SIZE]))
        found.update(str(row["key"]) for row in client.iter_rows(some))
    return keys & found


def _mirror_fields(model: Row, request: SyncRequest, types: Mapping[str, str]) -> list[str]:
    """Return what a mirror reads besides.

    The status, to deactivate; when a record was changed last, since it must not be changed between plan and deletion;
    and references that order the deletions.
    """
    if request.mode != "mirror":
        return []
    own = find_self_references(model, request.object_name)
    stamps = () if request.deactivates else (MODIFIED,)
    names = ("status", *stamps, *(f"{path}.{leaf}" for path in own for leaf in ("key", "id")))
    return [name for name in names if name in types]


def _fetch(
    client: IntacctClient, object_name: str, keys: Sequence[str]
) -> Iterator[tuple[str, dict[str, Any]]]:
    for start in range(0, len(keys), BATCH_SIZE):
        for record in _fetch_batch(client, object_name, list(keys[start : start + BATCH_SIZE])):
            yield str(record["key"]), record


def _fetch_batch(client: IntacctClient, object_name: str, keys: list[str]) -> list[dict[str, Any]]:
    retries = 0
    while True:
        try:
            return list(client.get_many(object_name, keys)) if keys else []
        except IntacctNotFoundError as error:
            if retries == _RETRIES:
                raise IntacctIncompleteReadError(
                    f"Records of {object_name} kept being deleted while they were read. Try again at a quieter time."
                ) from error
            rows = client.iter_rows(object_name, ["key"], filters=field("key").in_(keys))
            existing = {str(row["key"]) for row in rows}
            keys = [key for key in keys if key in existing]
            retries += 1


def _select_lists(record: Row) -> dict[str, Any]:
    return {path: value for path, value in flatten(record).items() if isinstance(value, list)}
