"""From desired and live records to the plan that makes them one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, get_args

from intacct_provider.client.spelling import did_you_mean
from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.sync.object_facts import types_of
from intacct_provider.sync.plan import MODES, Action, FieldChange, Mode, Plan, Step
from intacct_provider.sync.planning import conflicts
from intacct_provider.sync.planning.conflicts import INACTIVE
from intacct_provider.sync.planning.cost import reads_to_apply
from intacct_provider.sync.planning.diff import differences, fields_of, patch_for
from intacct_provider.sync.planning.fingerprint import fingerprint_of, plain
from intacct_provider.sync.planning.live import Live
from intacct_provider.sync.planning.order import levels, own_references, referred
from intacct_provider.sync.problems import shown
from intacct_provider.sync.records import flatten, is_blank, match_text, unflatten, value_at

OnDelete = Literal["delete", "deactivate"]
_ORDER: tuple[Action, ...] = ("create", "update", "deactivate", "delete")


def make_plan(
    object_name: str,
    desired: Sequence[Mapping[str, Any]],
    live: Live,
    *,
    model: Mapping[str, Any],
    mode: Mode,
    match_on: str = "id",
    entity_id: str | None = None,
    on_delete: OnDelete = "delete",
    source: str = "",
    origin: str = "",
) -> Plan:
    """Compare desired with live records and return what ``mode`` would change.

    ``create`` adds what is missing, ``update`` changes what exists, ``upsert`` does both, and ``mirror``
    also deletes live records in scope that are not desired. The same records give the same plan, whatever their order.

    :param desired: typed records, each with another value to match on.
    :param live: from :func:`~intacct_provider.sync.planning.live.read_live`.
    :param model: the answer of Intacct's model service for the object.
    :param on_delete: ``deactivate`` sets the status of what is not desired to ``inactive`` in place of a deletion.
    :raises IntacctArgumentError: for an unknown mode, and for what Intacct's records and the desired ones cannot agree
        on: two live records for one, a name that differs only by case, records that need each other in a circle, a
        desired record that is live but out of scope.
    """
    conflicts.check_choice("mode", mode, MODES)
    conflicts.check_choice("on_delete", on_delete, get_args(OnDelete))
    if mode == "mirror" and on_delete == "deactivate":
        conflicts.check_deactivation(object_name, model)
    making = _Making(object_name, desired, live, model, mode, match_on, on_delete)
    steps = making.steps()
    actions = [step.action for step in steps]
    count = len(live.rows) if live.count is None else live.count
    return Plan(
        object_name=object_name,
        entity_id=entity_id,
        mode=mode,
        match_on=match_on,
        steps=steps,
        desired=len(desired),
        live=count,
        in_scope=None if live.in_scope is None else len(live.in_scope),
        unchanged=making.unchanged,
        left_alone=making.left_alone,
        protected=making.protected,
        transactions=len(steps) + reads_to_apply(actions, count, full_records=making.full_records),
        fields=making.fields,
        full_records=making.full_records,
        source=source,
        origin=origin,
    )


class _Making:
    """One plan in the making; the counts are right once :meth:`steps` was called."""

    def __init__(
        self,
        object_name: str,
        desired: Sequence[Mapping[str, Any]],
        live: Live,
        model: Mapping[str, Any],
        mode: Mode,
        match_on: str,
        on_delete: OnDelete,
    ) -> None:
        self.unchanged = self.left_alone = self.protected = 0
        self.types = types_of(model)
        self._wanted = _by_match(desired, match_on)
        fields, full = fields_of(self._wanted.values(), self.types, match_on=match_on)
        self.full_records = live.full_records or full
        status = ["status"] if mode == "mirror" and on_delete == "deactivate" else []
        self.fields = tuple(dict.fromkeys([*fields, *status]))
        self._object_name = object_name
        self._live = live
        self._mode = mode
        self._match_on = match_on
        self._on_delete = on_delete
        self._own = own_references(model, object_name)

    def steps(self) -> tuple[Step, ...]:
        found, others = self._paired()
        missing = [match for match in self._wanted if match not in found]
        conflicts.check_spelling(self._object_name, self._match_on, self._wanted, missing, self._live.rows)
        conflicts.check_scope(self._object_name, found, self._live.in_scope)
        updates = self._updates(found)
        creates = [] if self._mode == "update" else [self._creation(match) for match in missing]
        self.left_alone += len(missing) - len(creates)
        conflicts.check_creations(self._match_on, creates)
        made = [*self._leveled(creates), *self._leveled(updates), *self._removals(others)]
        return tuple(
            sorted(made, key=lambda step: (_ORDER.index(step.action), step.level, step.match, step.key))
        )

    def _paired(self) -> tuple[dict[str, Mapping[str, Any]], list[tuple[str, Mapping[str, Any]]]]:
        """Return the live records that are desired by match value, and the others of a mirror."""
        found: dict[str, Mapping[str, Any]] = {}
        others: dict[str, Mapping[str, Any]] = {}
        for given in self._live.rows:
            row = flatten(given) if dict in map(type, given.values()) else given
            key, match = _identity(row, self._match_on)
            ours = self._live.in_scope is None or key in self._live.in_scope
            pool = found if match in self._wanted else others
            if pool is others and not (self._mode == "mirror" and ours):
                continue
            if not match:
                raise IntacctArgumentError(
                    f"The live record with key {key} has a blank {self._match_on}; mode mirror would delete it. "
                    "Match on a field that every record has."
                )
            if match in pool:
                raise IntacctArgumentError(
                    f"Two live records have {self._match_on} {shown(match)}: keys {pool[match]['key']} and {key}. "
                    "Match on a field that is unique, or remove one of them."
                )
            pool[match] = row
        return found, list(others.items())

    def _updates(self, found: Mapping[str, Mapping[str, Any]]) -> list[Step]:
        steps = []
        for match, wanted in self._wanted.items():
            row = found.get(match)
            if row is None:
                continue
            changes = self._changes(wanted, row)
            if not changes:
                self.unchanged += 1
            elif self._mode == "create":
                self.left_alone += 1
            elif str(row["key"]) in self._live.protected:
                self.protected += 1
            else:
                steps.append(self._update(match, row, changes, plain(wanted)))
        return steps

    def _changes(self, wanted: Mapping[str, Any], row: Mapping[str, Any]) -> tuple[FieldChange, ...]:
        if not differences(wanted, row, self.types):
            return ()
        # Once more in the types of JSON, which is slow, so that a date is no difference to its text.
        found = differences(plain(wanted), plain(row), self.types)
        return tuple(_by_its_name(change) for change in found)

    def _update(
        self, match: str, row: Mapping[str, Any], changes: tuple[FieldChange, ...], wanted: Mapping[str, Any]
    ) -> Step:
        fields = f"{len(changes)} fields differ" if len(changes) > 1 else "1 field differs"
        return Step(
            action="update",
            match=match,
            key=str(row["key"]),
            reason=fields,
            changes=changes,
            body=patch_for(changes, wanted),
            fingerprint=fingerprint_of(row, self.fields),
        )

    def _creation(self, match: str) -> Step:
        # A new record has nothing to clear, and Intacct refuses references without a value.
        given = {path: value for path, value in plain(self._wanted[match]).items() if value is not None}
        changes = tuple(FieldChange(path, None, value) for path, value in given.items() if value != {})
        return Step("create", match, reason="not in Intacct", changes=changes, body=unflatten(given))

    def _removals(self, others: Sequence[tuple[str, Mapping[str, Any]]]) -> list[Step]:
        """Return a deletion, or deactivation, of each live record that is not desired, unless it is protected."""
        rows = []
        for match, row in others:
            inactive = self._on_delete == "deactivate" and row.get("status") == INACTIVE
            if inactive:
                self.unchanged += 1
            elif str(row["key"]) in self._live.protected:
                self.protected += 1
            else:
                rows.append((match, row))
        if self._on_delete == "deactivate":
            return [self._deactivation(match, row) for match, row in rows]
        level = self._deletion_levels(rows)
        return [replace(self._deletion(match, row), level=level[match]) for match, row in rows]

    def _deactivation(self, match: str, row: Mapping[str, Any]) -> Step:
        status = plain(row.get("status"))
        return Step(
            action="deactivate",
            match=match,
            key=str(row["key"]),
            reason="not desired",
            changes=(FieldChange("status", status, INACTIVE),),
            body={"status": INACTIVE},
            fingerprint=fingerprint_of(row, self.fields),
        )

    def _deletion(self, match: str, row: Mapping[str, Any]) -> Step:
        flat = plain(row)
        values = ((path, value_at(flat, path)) for path in self.fields if path != "key")
        return Step(
            action="delete",
            match=match,
            key=str(row["key"]),
            reason="not desired",
            changes=tuple(FieldChange(path, value, None) for path, value in values if not is_blank(value)),
            fingerprint=fingerprint_of(row, self.fields),
        )

    def _leveled(self, steps: Sequence[Step]) -> list[Step]:
        """Put records after those of the same kind of step that they come to refer to."""
        names = {step.match: self._names(step) for step in steps}
        owner = {name: match for match, given in names.items() for name in given}
        needs = {}
        for step in steps:
            changed = {change.path: change.new for change in step.changes}
            others = referred(changed, self._object_name, self._own)
            needs[step.match] = {owner[name] for name in others if name in owner}
        found = levels(needs, circles=f"Records of {self._object_name}")
        return [replace(step, level=found[step.match]) for step in steps]

    def _names(self, step: Step) -> set[str]:
        """Return what other records may call a record: its id, and its key."""
        wanted = self._wanted[step.match]
        given = wanted.get("id", step.match if self._match_on == "id" else None)
        return {name for name in (match_text(given), f"key:{step.key}") if name not in ("", "key:")}

    def _deletion_levels(self, rows: Sequence[tuple[str, Mapping[str, Any]]]) -> dict[str, int]:
        """Delete what refers to others before those."""
        owner = {f"key:{row['key']}": match for match, row in rows}
        owner |= {match_text(value_at(row, "id")): match for match, row in rows if value_at(row, "id")}
        users: dict[str, set[str]] = {match: set() for match, _ in rows}
        for match, row in rows:
            for name in referred(row, self._object_name, self._own):
                if name in owner and owner[name] != match:
                    users[owner[name]].add(match)
        return levels(users)


def _by_its_name(change: FieldChange) -> FieldChange:
    """Say of a reference that is cleared what it was; ``{"term": null}`` and ``{"term": {"id": null}}`` are one."""
    old = change.old
    if (
        change.new is None
        and isinstance(old, Mapping)
        and not any(isinstance(one, Mapping) for one in old.values())
    ):
        leaf = next((name for name in ("id", "key") if not is_blank(old.get(name))), None)
        if leaf:
            return FieldChange(f"{change.path}.{leaf}", old[leaf], None)
    return change


def _by_match(desired: Iterable[Mapping[str, Any]], match_on: str) -> dict[str, dict[str, Any]]:
    """Return the desired records, flat, by what they are matched on."""
    wanted: dict[str, dict[str, Any]] = {}
    for number, record in enumerate(desired, start=1):
        flat = flatten(record)
        match = match_text(flat.get(match_on))
        if not match:
            raise IntacctArgumentError(
                f"desired record {number} has no {match_on} to match on.{did_you_mean(match_on, flat)}"
            )
        if match in wanted:
            raise IntacctArgumentError(f"{match_on} {shown(match)} is desired more than once; keep one.")
        wanted[match] = flat
    return wanted


def _identity(row: Mapping[str, Any], match_on: str) -> tuple[str, str]:
    """Return key and match value; a field that was not read must not pass for a blank one."""
    for name in ("key", match_on):
        if name not in row:
            raise IntacctArgumentError(
                f"A live record (key {shown(row.get('key'))}) has no {name}; read it with its other fields."
                f"{did_you_mean(name, row)}"
            )
    if row["key"] in (None, ""):
        raise IntacctArgumentError(f"The live record with {match_on} {shown(row[match_on])} has no key.")
    return str(row["key"]), match_text(row[match_on])
