"""Planning: from desired and live records to the steps that make them equal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from intacct_provider.client.query.filters import check_filters
from intacct_provider.client.spelling import did_you_mean
from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.sync.object_facts import MODIFIED, collect_types, find_self_references
from intacct_provider.sync.plan import FieldChange, Plan, Step
from intacct_provider.sync.planning import conflicts
from intacct_provider.sync.planning.conflicts import INACTIVE
from intacct_provider.sync.planning.cost import count_transactions
from intacct_provider.sync.planning.diff import build_patch, compare_flat, select_fields
from intacct_provider.sync.planning.fingerprint import fingerprint_record, to_json_types
from intacct_provider.sync.planning.order import assign_levels, find_references
from intacct_provider.sync.problems import show_value
from intacct_provider.sync.records import flatten, is_blank, match_text, unflatten, value_at
from intacct_provider.sync.selection import Selection

if TYPE_CHECKING:
    from intacct_provider.client.query.filters import Filters
    from intacct_provider.sync.planning.live import Live
    from intacct_provider.sync.request import SyncRequest

_Row = Mapping[str, Any]


def plan_changes(desired: Sequence[_Row], live: Live, model: _Row, request: SyncRequest) -> Plan:
    """Compare desired with live records and return what the mode would change.

    The same records give the same plan, whatever their order.

    :param desired: typed records, each with a different value to match on.
    :param live: from :func:`~intacct_provider.sync.planning.live.read_live`.
    :param model: the response of Intacct's model service for the object.
    :raises IntacctArgumentError: if desired and live records conflict: two live records for a desired one, records that
        refer to each other in a cycle, a desired record whose live one is not in scope.
    """
    if request.deactivates:
        conflicts.check_deactivation(request.object_name, model)
    planner = _Planner(desired, live, model, request)
    steps = planner.plan_steps()
    count = len(live.rows) if live.count is None else live.count
    plan = Plan(
        object_name=request.object_name,
        entity_id=None,
        mode=request.mode,
        match_on=request.match_on,
        steps=steps,
        desired=len(desired),
        live=count,
        in_scope=None if live.in_scope is None else len(live.in_scope),
        unchanged=planner.unchanged,
        left_alone=planner.left_alone,
        protected=planner.protected,
        transactions=0,
        fields=planner.fields,
        full_records=planner.full_records,
        scope=_to_selection(request.scope_filters),
        protect=_to_selection(request.protect),
    )
    return replace(plan, transactions=count_transactions(plan))


def _to_selection(filters: Filters) -> Selection | None:
    conditions, expression = check_filters(filters, None)
    return Selection(tuple(to_json_types(conditions)), expression) if conditions else None


class _Planner:
    """Plans the steps of one sync; the counts are complete after :meth:`plan_steps`."""

    def __init__(self, desired: Sequence[_Row], live: Live, model: _Row, request: SyncRequest) -> None:
        self.unchanged = self.left_alone = self.protected = 0
        self._request = request
        self._live = live
        self._types = collect_types(model)
        self._self_references = find_self_references(model, request.object_name)
        self._wanted = _index_desired(desired, request.match_on)
        fields, by_key = select_fields(self._wanted.values(), self._types, match_on=request.match_on)
        self.full_records = live.full_records or by_key
        self.fields = tuple(dict.fromkeys([*fields, *(["status"] if request.deactivates else [])]))

    def plan_steps(self) -> tuple[Step, ...]:
        request = self._request
        found, others = self._pair()
        missing = [match for match in self._wanted if match not in found]
        conflicts.check_scope(request.object_name, found, self._live.in_scope)
        updates = self._plan_updates(found)
        creates = [] if request.mode == "update" else [self._create(match) for match in missing]
        self.left_alone += len(missing) - len(creates)
        conflicts.check_creations(request.match_on, creates)
        steps = [*self._order(creates), *self._order(updates), *self._plan_removals(others)]
        return tuple(sorted(steps, key=lambda step: (*step.rank, step.match, step.key)))

    def _pair(self) -> tuple[dict[str, _Row], dict[str, _Row]]:
        """Return the live records that are desired, and the others that a mirror removes, by match value."""
        found: dict[str, _Row] = {}
        others: dict[str, _Row] = {}
        match_on, in_scope = self._request.match_on, self._live.in_scope
        for given in self._live.rows:
            row = flatten(given) if dict in map(type, given.values()) else given
            key, match = _identify(row, match_on)
            pool = found if match in self._wanted else others
            if pool is others and not (
                self._request.mode == "mirror" and (in_scope is None or key in in_scope)
            ):
                continue
            if not match:
                raise IntacctArgumentError(
                    f"The live record with key {key} has a blank {match_on}; mode mirror would delete it. "
                    "Match on a field that every record has."
                )
            if match in pool:
                raise IntacctArgumentError(
                    f"Two live records have {match_on} {show_value(match)}: keys {pool[match]['key']} and {key}. "
                    "Match on a field that is unique, or remove one of them."
                )
            pool[match] = row
        return found, others

    def _plan_updates(self, found: Mapping[str, _Row]) -> list[Step]:
        steps = []
        for match, wanted in self._wanted.items():
            if match not in found:
                continue
            row = found[match]
            changes = self._compare(wanted, row)
            if not changes:
                self.unchanged += 1
            elif self._request.mode == "create":
                self.left_alone += 1
            elif str(row["key"]) in self._live.protected:
                self.protected += 1
            else:
                steps.append(self._update(match, row, changes, to_json_types(wanted)))
        return steps

    def _compare(self, wanted: _Row, row: _Row) -> tuple[FieldChange, ...]:
        if not compare_flat(wanted, row, self._types):
            return ()
        # Once more in the types of JSON, which is slow, so that a date does not differ from its text.
        found = compare_flat(to_json_types(wanted), to_json_types(row), self._types)
        return tuple(_name_cleared_reference(change) for change in found)

    def _update(self, match: str, row: _Row, changes: tuple[FieldChange, ...], wanted: _Row) -> Step:
        return Step(
            action="update",
            match=match,
            key=str(row["key"]),
            reason=f"{len(changes)} fields differ" if len(changes) > 1 else "1 field differs",
            changes=changes,
            body=build_patch(changes, wanted),
            fingerprint=fingerprint_record(row, self.fields),
        )

    def _create(self, match: str) -> Step:
        # A new record has nothing to clear, and Intacct rejects references without a value.
        given = {p: value for p, value in to_json_types(self._wanted[match]).items() if value is not None}
        changes = tuple(FieldChange(path, None, value) for path, value in given.items() if value != {})
        return Step("create", match, reason="not in Intacct", changes=changes, body=unflatten(given))

    def _plan_removals(self, others: Mapping[str, _Row]) -> list[Step]:
        """Return a deletion or deactivation of each live record that is not desired, unless it is protected."""
        rows: dict[str, _Row] = {}
        deactivates = self._request.deactivates
        for match, row in others.items():
            if deactivates and row.get("status") == INACTIVE:
                self.unchanged += 1
            elif str(row["key"]) in self._live.protected:
                self.protected += 1
            else:
                rows[match] = row
        if deactivates:
            return [self._deactivate(match, row) for match, row in rows.items()]
        levels = self._assign_deletion_levels(rows)
        return [self._delete(match, row, levels[match]) for match, row in rows.items()]

    def _deactivate(self, match: str, row: _Row) -> Step:
        return Step(
            action="deactivate",
            match=match,
            key=str(row["key"]),
            reason="not desired",
            changes=(FieldChange("status", to_json_types(row.get("status")), INACTIVE),),
            body={"status": INACTIVE},
            fingerprint=fingerprint_record(row, self.fields),
        )

    def _delete(self, match: str, row: _Row, level: int) -> Step:
        flat = to_json_types(row)
        values = ((path, value_at(flat, path)) for path in self.fields if path != "key")
        return Step(
            action="delete",
            match=match,
            key=str(row["key"]),
            reason="not desired",
            changes=tuple(FieldChange(path, value, None) for path, value in values if not is_blank(value)),
            level=level,
            fingerprint=fingerprint_record(row, self.fields),
            modified=match_text(flat.get(MODIFIED)),
        )

    def _order(self, steps: Sequence[Step]) -> list[Step]:
        """Put records on levels above the records, written in the same way, that they will refer to."""
        owner = {name: step.match for step in steps for name in self._list_names(step)}
        needs = {}
        for step in steps:
            changed = {change.path: change.new for change in step.changes}
            names = find_references(changed, self._request.object_name, self._self_references)
            needs[step.match] = {owner[name] for name in names if name in owner}
        levels = assign_levels(needs, cycles=f"Records of {self._request.object_name}")
        return [replace(step, level=levels[step.match]) for step in steps]

    def _list_names(self, step: Step) -> set[str]:
        """Return the names by which others refer to a record: its id and its key."""
        wanted = self._wanted[step.match]
        given = wanted.get("id", step.match if self._request.match_on == "id" else None)
        return {name for name in (match_text(given), f"key:{step.key}") if name not in ("", "key:")}

    def _assign_deletion_levels(self, rows: Mapping[str, _Row]) -> dict[str, int]:
        """Return levels by which a record is deleted before the records that it refers to."""
        owner = {f"key:{row['key']}": match for match, row in rows.items()}
        owner |= {
            match_text(value_at(row, "id")): match for match, row in rows.items() if value_at(row, "id")
        }
        users: dict[str, set[str]] = {match: set() for match in rows}
        for match, row in rows.items():
            for name in find_references(row, self._request.object_name, self._self_references):
                if name in owner and owner[name] != match:
                    users[owner[name]].add(match)
        return assign_levels(users)


def _name_cleared_reference(change: FieldChange) -> FieldChange:
    """Return the change of a reference's id or key for one that clears it as a whole.

    So ``{"term": null}`` and ``{"term": {"id": null}}`` give the same plan.
    """
    old = change.old
    if change.new is not None or not isinstance(old, Mapping):
        return change
    if any(isinstance(value, Mapping) for value in old.values()):
        return change
    leaf = next((name for name in ("id", "key") if not is_blank(old.get(name))), None)
    return FieldChange(f"{change.path}.{leaf}", old[leaf], None) if leaf else change


def _index_desired(desired: Iterable[_Row], match_on: str) -> dict[str, dict[str, Any]]:
    """Return the desired records, flat, by match value."""
    wanted: dict[str, dict[str, Any]] = {}
    for number, record in enumerate(desired, start=1):
        flat = flatten(record)
        match = match_text(flat.get(match_on))
        if not match:
            raise IntacctArgumentError(
                f"desired record {number} has no {match_on} to match on.{did_you_mean(match_on, flat)}"
            )
        if match in wanted:
            raise IntacctArgumentError(f"{match_on} {show_value(match)} is desired more than once; keep one.")
        wanted[match] = flat
    return wanted


def _identify(row: _Row, match_on: str) -> tuple[str, str]:
    """Return key and match value; a field that was not read must not count as a blank one."""
    for name in ("key", match_on):
        if name not in row:
            raise IntacctArgumentError(
                f"A live record (key {show_value(row.get('key'))}) has no {name}; read it with its other fields."
                f"{did_you_mean(name, row)}"
            )
    if row["key"] in (None, ""):
        raise IntacctArgumentError(f"The live record with {match_on} {show_value(row[match_on])} has no key.")
    return str(row["key"]), match_text(row[match_on])
