"""Reading what Intacct has, as far as a plan or its application needs it, in the fewest billed calls."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from intacct_provider.client.batches import BATCH_SIZE
from intacct_provider.client.query.expressions import Expression, field
from intacct_provider.exceptions import (
    IntacctArgumentError,
    IntacctIncompleteReadError,
    IntacctNotFoundError,
    IntacctValidationError,
)
from intacct_provider.sync.identity import folded
from intacct_provider.sync.object_facts import types_of
from intacct_provider.sync.planning.diff import differences, fields_of
from intacct_provider.sync.planning.order import own_references, refers_in_lists
from intacct_provider.sync.problems import shown
from intacct_provider.sync.records import flatten, match_text

if TYPE_CHECKING:
    from intacct_provider.client import IntacctClient
    from intacct_provider.client.query.filters import Filters
    from intacct_provider.sync.plan import Mode

log = logging.getLogger(__name__)

Row = Mapping[str, Any]
#: Times that records are read again which were deleted while they were read.
_PASSES = 3
#: Intacct's complaint of a field that queries cannot read.
NOT_QUERYABLE = "REST-1106"


@dataclass(frozen=True, slots=True)
class Live:
    """The live records that a plan is made from.

    :param rows: those that are desired, or are spelled almost like one that is; in mode ``mirror`` all in scope.
        Nested or dotted, with ``key``, the field that is matched on, and every field that is compared.
    :param in_scope: keys of the records that are ours; None for all.
    :param protected: keys of the records that must not be touched.
    :param count: number of all live records, whether among ``rows`` or not; None for the number of rows.
    :param full_records: whether the rows were read record by record, because queries cannot give all fields.
    """

    rows: Sequence[Row]
    in_scope: frozenset[str] | None = None
    protected: frozenset[str] = frozenset()
    count: int | None = None
    full_records: bool = False


def read_live(
    client: IntacctClient,
    object_name: str,
    desired: Sequence[Row],
    model: Row,
    *,
    match_on: str,
    mode: Mode,
    scope: Filters | Literal["all"] = None,
    protect: Filters = None,
) -> Live:
    """Read what a plan compares with, complete, in as few billed calls as the desired fields allow.

    Fields that queries can read, nested ones among them, are read with all records, 4,000 a call. Only when a desired
    record gives a list, such as ``groupMembers``, are records read whole, 500 a call, and only those that a plan could
    touch. Which records a filter selects is asked of Intacct, one call per 4,000 selected.

    :param desired: typed records.
    :param model: the answer of Intacct's model service for the object.
    :param scope: filters that say which live records are ours, or ``"all"``. Mode ``mirror`` needs it.
    :param protect: filters that select the live records that must not be touched.
    :raises IntacctArgumentError: for a mirror without a scope, or a scope that is none.
    :raises IntacctIncompleteReadError: if it cannot be proven that every record was read.
    """
    mine = _scope(mode, scope)
    types = types_of(model)
    wanted = [flatten(record) for record in desired]
    fields, whole = fields_of(wanted, types, match_on=match_on)
    names = [*dict.fromkeys([*fields, *_extra_fields(model, object_name, mode, types)])]
    # The scope before the records and protection after them: what changes meanwhile is rather left alone.
    in_scope = None if mine is None else _keys(client, object_name, mine)
    reader = _Reader(client, object_name, wanted, match_on, mode, in_scope)
    rows = reader.full(names, types) if whole else reader.flat(names, types)
    if mode == "mirror" and refers_in_lists(model, object_name):
        rows = reader.with_lists(rows)
    protected = frozenset() if protect is None else _keys(client, object_name, protect)
    return Live(rows, in_scope, protected, reader.count, reader.read_whole)


def whole_records(client: IntacctClient, object_name: str, keys: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return records by key, nested, 500 a call; those that were deleted meanwhile are left out.

    :raises IntacctIncompleteReadError: if some vanish again and again.
    """
    return dict(_whole(client, object_name, keys))


class _Reader:
    """One reading of live records: ``count`` is how many there were, ``read_whole`` whether each was fetched by key."""

    def __init__(
        self,
        client: IntacctClient,
        object_name: str,
        wanted: Sequence[Row],
        match_on: str,
        mode: Mode,
        in_scope: frozenset[str] | None,
    ) -> None:
        self._client = client
        self._object_name = object_name
        self._match_on = match_on
        self._mode = mode
        self._in_scope = in_scope
        self._wanted = {match_text(flat.get(match_on)): flat for flat in wanted}
        self._folded = {folded(match) for match in self._wanted}
        self.count = 0
        self.read_whole = False

    def flat(self, names: Sequence[str], types: Mapping[str, str]) -> list[Row]:
        """Return the rows that count, by query; record by record where a field cannot be queried after all."""
        try:
            return list(self._rows(names))
        except IntacctValidationError as err:
            if err.error_id != NOT_QUERYABLE:
                raise
            log.info("Intacct: %s is read record by record: %s", self._object_name, err.message)
        return self.full(names, types)

    def full(self, names: Sequence[str], types: Mapping[str, str]) -> list[Row]:
        """Return the records that count, read whole, with just the fields that are named.

        Of a record that is as desired already, the desired values stand for the live ones, so that the members of
        ten thousand groups are not held twice.
        """
        self.read_whole = True
        found = list(self._rows(list(dict.fromkeys(["key", self._match_on]))))
        rows: list[Row] = []
        for key, record in _whole(self._client, self._object_name, [str(row["key"]) for row in found]):
            row = {path: _at(record, path) for path in names} | {"key": key}
            desired = self._wanted.get(match_text(row.get(self._match_on)))
            same = desired is not None and not differences(desired, row, types)
            rows.append({**row, **desired, "key": key} if same and desired is not None else row)
        return rows

    def with_lists(self, rows: list[Row]) -> list[Row]:
        """Add the whole record to rows that are not desired, when their deletion may depend on one another."""
        others = [str(row["key"]) for row in rows if match_text(row[self._match_on]) not in self._wanted]
        if len(others) < 2:
            return rows
        whole = whole_records(self._client, self._object_name, others)
        return [{**_lists(whole.get(str(row["key"]), {})), **row} for row in rows]

    def _rows(self, names: Sequence[str]) -> Iterator[Row]:
        match_on, wanted, near, in_scope = self._match_on, self._wanted, self._folded, self._in_scope
        mirror = self._mode == "mirror"
        self.count = 0
        for row in self._client.iter_rows(self._object_name, names):
            self.count += 1
            match = match_text(row[match_on])
            counts = match in wanted or folded(match) in near
            if counts or (mirror and (in_scope is None or str(row["key"]) in in_scope)):
                yield row


def _keys(client: IntacctClient, object_name: str, filters: Filters) -> frozenset[str]:
    """Return the keys of the records that filters select."""
    return frozenset(str(row["key"]) for row in client.iter_rows(object_name, ["key"], filters=filters))


def _scope(mode: Mode, scope: Filters | Literal["all"]) -> Filters:
    """Return the filters of a scope; None for all records."""
    if scope is None or (not isinstance(scope, Expression | str) and len(scope) == 0):
        if mode != "mirror":
            return None
        raise IntacctArgumentError(
            "mode mirror needs scope: filters that say which live records are yours, since it deletes those of them "
            'that are not desired; such as [{"$startsWith": {"id": "FIN-"}}]. To delete all others, give scope="all".'
        )
    if isinstance(scope, str):
        if scope != "all":
            raise IntacctArgumentError(f'scope must be filters, or the text "all", not {shown(scope)}.')
        return None
    return scope


def _extra_fields(model: Row, object_name: str, mode: Mode, types: Mapping[str, str]) -> list[str]:
    """Return what a mirror needs besides: status, to deactivate, and what says in which order to delete."""
    if mode != "mirror":
        return []
    status = ["status"] if "status" in types else []
    parts = (f"{path}.{leaf}" for path in own_references(model, object_name) for leaf in ("key", "id"))
    return [*status, *(part for part in parts if part in types)]


def _whole(
    client: IntacctClient, object_name: str, keys: Sequence[str]
) -> Iterator[tuple[str, dict[str, Any]]]:
    for start in range(0, len(keys), BATCH_SIZE):
        chunk = list(keys[start : start + BATCH_SIZE])
        for attempt in range(_PASSES + 1):
            try:
                records = list(client.get_many(object_name, chunk)) if chunk else []
                break
            except IntacctNotFoundError as gone:
                if attempt == _PASSES:
                    raise IntacctIncompleteReadError(
                        f"Records of {object_name} kept vanishing while they were read. Try again at a quieter time."
                    ) from gone
                rows = client.iter_rows(object_name, ["key"], filters=field("key").in_(chunk))
                there = {str(row["key"]) for row in rows}
                chunk = [key for key in chunk if key in there]
        yield from ((str(record["key"]), record) for record in records)


def _at(record: Row, path: str) -> Any:
    node: Any = record
    for name in path.split("."):
        if not isinstance(node, Mapping):
            return None
        node = node.get(name)
    return node


def _lists(record: Row) -> dict[str, Any]:
    return {path: value for path, value in flatten(record).items() if isinstance(value, list)}
