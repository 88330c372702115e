"""What a sync would change, as a document that a person can approve and a task can apply."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Literal, get_args

import msgspec

from intacct_provider.client.errors import IntacctArgumentError, IntacctError, did_you_mean
from intacct_provider.client.wire import encode
from intacct_provider.sync.desired import check_desired, match_text
from intacct_provider.sync.diff import (
    FieldChange,
    compare,
    fields_to_read,
    flatten,
    is_blank,
    needs_full_records,
    patch_for,
    unflatten,
)
from intacct_provider.sync.fingerprint import fingerprint_of, plain
from intacct_provider.sync.problems import shown

Mode = Literal["create", "update", "upsert", "mirror"]
MODES: tuple[Mode, ...] = get_args(Mode)

_VERSION = "1"


class IntacctSyncGuardError(IntacctError):
    """A plan changes more than the user allowed; nothing was written."""

    retryable = False


@dataclass(frozen=True, slots=True)
class Create:
    """A desired record that Intacct does not have; ``record`` is the nested body of the POST."""

    match: str
    record: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Update:
    """A live record that differs; ``body`` is the nested body of the PATCH."""

    match: str
    key: str
    changes: tuple[FieldChange, ...]
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Delete:
    """A live record that is not desired."""

    match: str
    key: str


@dataclass(frozen=True, slots=True)
class Plan:
    """The exact difference between desired and live records of one object.

    :param object_name: such as ``accounts-receivable/customer``.
    :param entity_id: entity the plan is for; ``""`` is the top level, None the connection's default.
    :param mode: one of :data:`MODES`.
    :param match_on: dotted path of the field that pairs desired and live records.
    :param unchanged: number of live records that are as desired already.
    :param skipped: number left alone because of the mode: existing records that differ (``create``),
        desired records that do not exist (``update``).
    :param live_count: number of live records that the plan was made from.
    :param fields: dotted paths to read before the plan is applied, for :func:`is_stale`.
    :param full_records: whether ``fields`` has lists, so that records must be fetched by key.
    :param fingerprint: SHA-256 over those fields of the live records that the plan creates (none),
        updates or deletes.
    """

    object_name: str
    entity_id: str | None
    mode: Mode
    match_on: str
    creates: tuple[Create, ...]
    updates: tuple[Update, ...]
    deletes: tuple[Delete, ...]
    unchanged: int
    skipped: int
    live_count: int
    fields: tuple[str, ...]
    full_records: bool
    fingerprint: str

    @property
    def changes(self) -> int:
        """Number of records that the plan creates, updates or deletes."""
        return len(self.creates) + len(self.updates) + len(self.deletes)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return self.changes == 0

    @property
    def touched(self) -> tuple[str, ...]:
        """The ``match_on`` values of the records that the plan creates, updates or deletes."""
        steps: tuple[Create | Update | Delete, ...] = (*self.creates, *self.updates, *self.deletes)
        return tuple(step.match for step in steps)

    def to_json(self) -> bytes:
        """Return the plan as indented JSON; :meth:`from_json` gives back an equal plan."""
        return msgspec.json.format(encode({"version": _VERSION, "plan": self}), indent=2)

    @classmethod
    def from_json(cls, data: bytes) -> Plan:
        """Read what :meth:`to_json` wrote.

        :raises IntacctArgumentError: if it is not a plan, or one of another version.
        """
        try:
            version = msgspec.json.decode(data, type=_Envelope).version
            if version != _VERSION:
                raise IntacctArgumentError(
                    f"The plan has version {shown(version)}; this release reads version {_VERSION!r}. "
                    "Make the plan again."
                )
            return _decoder.decode(data).plan
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            reason = error if isinstance(error, msgspec.DecodeError) else "not UTF-8"
            raise IntacctArgumentError(f"This is not a sync plan: {reason}") from None


class _Envelope(msgspec.Struct):
    version: str


class _PlanFile(msgspec.Struct):
    version: str
    plan: Plan


_decoder = msgspec.json.Decoder(_PlanFile, float_hook=Decimal)


def make_plan(
    object_name: str,
    desired: Sequence[Mapping[str, Any]],
    live: Iterable[Mapping[str, Any]],
    *,
    mode: Mode,
    match_on: str = "id",
    entity_id: str | None = None,
    types: Mapping[str, str],
) -> Plan:
    """Compare desired with live records and return what ``mode`` would change.

    ``create`` adds what is missing, ``update`` changes what exists, ``upsert`` does both, and ``mirror``
    also deletes live records that are not desired. Steps keep the order of their records.

    :param desired: typed records, from :func:`~intacct_provider.sync.desired.coerce`.
    :param live: every live record in scope, nested or dotted, with ``key``, ``match_on`` and the other
        :func:`~intacct_provider.sync.diff.fields_to_read`.
    :param types: from :func:`~intacct_provider.sync.diff.types_of`.
    :raises IntacctArgumentError: for an unknown mode, for desired records that
        :func:`~intacct_provider.sync.desired.check_desired` refuses, for a live record without ``key`` or
        ``match_on``, or if two live records match one desired record.
    """
    if mode not in MODES:
        guess = did_you_mean(str(mode), MODES)
        raise IntacctArgumentError(f"mode is {shown(mode)}; use one of {', '.join(MODES)}.{guess}")
    check_desired(desired, match_on=match_on, source="desired records")
    wanted = {match_text(flatten(record)[match_on]): plain(record) for record in desired}
    rows = list(live)
    found, others = _pair(wanted, rows, match_on, mode)
    missing = [match for match in wanted if match not in found]
    differing = _updates(wanted, found, types)
    creates = _creates(wanted, missing, match_on) if mode != "update" else ()
    updates = differing if mode != "create" else ()
    fields = tuple(fields_to_read(desired, types, match_on=match_on))
    plan = Plan(
        object_name=object_name,
        entity_id=entity_id,
        mode=mode,
        match_on=match_on,
        creates=creates,
        updates=updates,
        deletes=others,
        unchanged=len(found) - len(differing),
        skipped={"create": len(differing), "update": len(missing)}.get(mode, 0),
        live_count=len(rows),
        fields=fields,
        full_records=needs_full_records(desired),
        fingerprint="",
    )
    return replace(plan, fingerprint=fingerprint_of(rows, plan.touched, fields, match_on))


def is_stale(plan: Plan, live: Iterable[Mapping[str, Any]]) -> bool:
    """Tell whether Intacct has changed in a way that the plan did not see.

    It has when a record to create exists by now, or when one to update or delete is gone, has another
    key, or has another value in one of ``plan.fields``. Other records may change freely.

    :param live: live records read again with ``plan.fields``: at least those whose ``match_on`` value is
        in ``plan.touched``; any others are ignored.
    """
    return fingerprint_of(live, plan.touched, plan.fields, plan.match_on) != plan.fingerprint


def check_guards(plan: Plan, *, max_deletes: int | None, max_change_percent: float | None) -> None:
    """Refuse a plan that changes more than the user allowed.

    :param max_deletes: most records that may be deleted; None for no limit.
    :param max_change_percent: most records that may be created, updated or deleted, in percent of the
        live records (of 1 when there are none); None for no limit.
    :raises IntacctSyncGuardError: naming the number, the limit, the first records and what allows it.
    :raises IntacctArgumentError: for a limit that is not a number of 0 or more.
    """
    _check_limit("max_deletes", max_deletes)
    _check_limit("max_change_percent", max_change_percent)
    deletes = len(plan.deletes)
    if max_deletes is not None and deletes > max_deletes:
        raise IntacctSyncGuardError(
            f"The plan for {plan.object_name} deletes {deletes} records ({_first(plan.deletes)}), more than "
            f"max_deletes={max_deletes}. Nothing was written. To allow it, set max_deletes={deletes}."
        )
    percent = 100 * plan.changes / max(plan.live_count, 1)
    if max_change_percent is not None and percent > max_change_percent:
        steps: tuple[Create | Update | Delete, ...] = (*plan.deletes, *plan.updates, *plan.creates)
        raise IntacctSyncGuardError(
            f"The plan for {plan.object_name} changes {plan.changes} records ({_first(steps)}), "
            f"{percent:.1f} % of the {plan.live_count} live ones, more than "
            f"max_change_percent={max_change_percent}. Nothing was written. "
            f"To allow it, set max_change_percent={math.ceil(percent)}."
        )


def _check_limit(name: str, limit: float | None) -> None:
    if limit is None:
        return
    if isinstance(limit, bool) or not isinstance(limit, int | float) or not limit >= 0:
        raise IntacctArgumentError(f"{name} is {shown(limit)}; it must be a number of 0 or more, or None")


def _first(steps: Sequence[Create | Update | Delete]) -> str:
    names = ", ".join(shown(step.match) for step in steps[:5])
    return f"{names} and {len(steps) - 5} more" if len(steps) > 5 else names


def _pair(
    wanted: Mapping[str, Any], rows: Iterable[Mapping[str, Any]], match_on: str, mode: Mode
) -> tuple[dict[str, Mapping[str, Any]], tuple[Delete, ...]]:
    """Return the live records that are desired by match value, and the deletes of a mirror."""
    found: dict[str, Mapping[str, Any]] = {}
    deletes = []
    for row in rows:
        key, match = _identity(row, match_on)
        if match in found:
            raise IntacctArgumentError(
                f"Two live records have {match_on} {shown(match)}: keys {found[match]['key']} and {key}. "
                "Match on a field that is unique, or remove one of them."
            )
        if match in wanted:
            found[match] = row
        elif mode == "mirror":
            if not match:
                raise IntacctArgumentError(
                    f"The live record with key {key} has a blank {match_on}; mode mirror would delete it. "
                    "Match on a field that every record has."
                )
            deletes.append(Delete(match, key))
    return found, tuple(deletes)


def _identity(row: Mapping[str, Any], match_on: str) -> tuple[str, str]:
    """Return key and match value; a field that was not read must not pass for a blank one."""
    flat = flatten(row)
    for name in ("key", match_on):
        if name not in flat:
            raise IntacctArgumentError(
                f"A live record (key {shown(flat.get('key'))}) has no {name}; read it with its other fields."
                f"{did_you_mean(name, flat)}"
            )
    if is_blank(flat["key"]):
        raise IntacctArgumentError(f"The live record with {match_on} {shown(flat[match_on])} has no key.")
    return str(flat["key"]), match_text(flat[match_on])


def _creates(wanted: Mapping[str, Any], missing: Sequence[str], match_on: str) -> tuple[Create, ...]:
    if match_on == "key" and missing:
        raise IntacctArgumentError(
            f"There is no live record with key {shown(missing[0])}. Intacct numbers new records itself, so "
            "match on another field, or use mode update."
        )
    return tuple(Create(match, _without_nulls(wanted[match])) for match in missing)


def _updates(
    wanted: Mapping[str, Any], found: Mapping[str, Mapping[str, Any]], types: Mapping[str, str]
) -> tuple[Update, ...]:
    updates = []
    for match in wanted:
        if match not in found:
            continue
        live = plain(found[match])
        changes = tuple(compare(wanted[match], live, types))
        if changes:
            body = patch_for(changes, wanted[match])
            updates.append(Update(match, str(live["key"]), changes, body))
    return tuple(updates)


def _without_nulls(record: Mapping[str, Any]) -> dict[str, Any]:
    """A new record has nothing to clear, and Intacct refuses references without a value."""
    return unflatten({path: value for path, value in flatten(record).items() if value is not None})
