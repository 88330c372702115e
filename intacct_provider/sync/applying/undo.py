"""The reverse of a plan, which restores the records that the plan writes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from intacct_provider.client.model import get_entries
from intacct_provider.sync.object_facts import KINDS, SET_BY_INTACCT
from intacct_provider.sync.plan import FieldChange, Plan, Step
from intacct_provider.sync.planning.cost import count_transactions
from intacct_provider.sync.planning.diff import build_patch
from intacct_provider.sync.records import flatten, is_blank, unflatten, value_at

if TYPE_CHECKING:
    from intacct_provider.client import IntacctClient

_REASONS = {"create": "deleted by the plan", "update": "changed by the plan", "delete": "created by the plan"}


def reverse_plan(client: IntacctClient, plan: Plan, steps: Sequence[Step]) -> Plan:
    """Return the plan that reverses some steps of another one, which are not written yet.

    What was created is deleted, what was changed gets its old values again, what was deleted is created again with
    every field that can be set, under another key and with another history. For that, the records that will be deleted
    are read in full, 500 a call.

    Whether a record is still as the plan left it is decided by its values, so the step of a record that was never
    changed counts as done.

    :param steps: those of ``plan`` that are about to be written.
    """
    keys = [step.key for step in steps if step.action == "delete"]
    # A billed call, which most plans do without.
    model = client.model(plan.object_name) if keys or _clears_objects(steps) else {}
    to_delete = {str(one["key"]): one for one in client.get_many(plan.object_name, keys)} if keys else {}
    last = max((step.level for step in plan.steps), default=0)
    reversed_steps = (_reverse_step(step, model, to_delete, last) for step in steps)
    reverse = [step for step in reversed_steps if step.body or step.action == "delete"]
    reverse.sort(key=lambda step: step.rank)
    undo = replace(
        plan,
        mode="undo",
        steps=tuple(reverse),
        desired=0,
        unchanged=0,
        left_alone=0,
        protected=0,
        # A deleted record may have fields that a query cannot return.
        full_records=plan.full_records or bool(to_delete),
        source=f"undo of {plan.source}" if plan.source else "undo",
        origin=f"undo of {plan.digest}",
        breaches=(),
    )
    return replace(undo, transactions=count_transactions(undo))


def select_steps(undo: Plan, matches: Collection[str]) -> Plan:
    """Return the part of a reverse plan that is about some records.

    :param matches: their match values.
    """
    part = replace(undo, steps=tuple(step for step in undo.steps if step.match in matches))
    return replace(part, transactions=count_transactions(part))


def select_writable(record: Mapping[str, Any], model: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a live record with which it can be created again.

    Read-only and empty fields are left out, and so are fields that are not in the model, unless they are custom fields.
    References are by id, or by key if they have no id.

    :param model: the response of Intacct's model service for the object, or a part of it.
    """
    found: dict[str, Any] = {}
    kinds = {name: (kind, spec) for kind in KINDS for name, spec in get_entries(model, kind).items()}
    for name, value in record.items():
        kind, spec = kinds.get(name, ("custom" if "::" in name else "", {}))
        kept = None if spec.get("readOnly") is True else _convert_member(kind, name, value, spec, record)
        if name not in SET_BY_INTACCT and not is_blank(kept):
            found[name] = kept
    return found


def _convert_member(
    kind: str, name: str, value: Any, spec: Mapping[str, Any], owner: Mapping[str, Any]
) -> Any:
    if kind in ("fields", "custom"):
        return value
    if kind == "lists":
        return convert_list(name, value, owner)
    if kind == "groups":
        return select_writable(value, spec) if isinstance(value, Mapping) else None
    if kind == "refs" and isinstance(value, Mapping):
        given = get_entries(spec, "fields")
        for leaf in ("id", "key"):
            if not is_blank(value.get(leaf)) and given.get(leaf, {}).get("readOnly") is not True:
                return {leaf: value[leaf]}
        return select_writable({k: v for k, v in value.items() if k not in ("id", "key")}, spec)
    return None


def convert_list(name: str, value: Any, owner: Mapping[str, Any] | None = None) -> Any:
    """Return a list that was read from Intacct in the form in which it can be written.

    The model does not describe elements. Those of ``groupMembers`` are references; those of other lists are records
    that the record owns, whose keys, history and reference to their owner Intacct sets.

    :param owner: the record that the list is of.
    """
    if not isinstance(value, list | tuple):
        return value
    if name == "groupMembers":
        return [_shorten_reference(item) for item in value]
    return [_convert_element(item, owner or {}) for item in value]


def _convert_element(item: Any, owner: Mapping[str, Any]) -> Any:
    if not isinstance(item, Mapping) or not any(mark in item for mark in SET_BY_INTACCT):
        return item  # a condition of a filter, or a plain value
    content = {name: value for name, value in item.items() if name != "id" and not _is_owner(value, owner)}
    return _convert_group(content)


def _convert_group(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of an element, or of a group in it, that have a value; references by id."""
    kept = {}
    for name, value in record.items():
        if name in SET_BY_INTACCT or is_blank(value):
            continue
        if isinstance(value, Mapping):
            kept[name] = _shorten_reference(value) if {"key", "id"} & value.keys() else _convert_group(value)
        else:
            kept[name] = value
    return kept


def _is_owner(value: Any, owner: Mapping[str, Any]) -> bool:
    return (
        isinstance(value, Mapping)
        and not is_blank(owner.get("key"))
        and (value.get("key"), value.get("id")) == (owner.get("key"), owner.get("id"))
    )


def _shorten_reference(item: Any) -> Any:
    if not isinstance(item, Mapping):
        return item
    return next(({leaf: item[leaf]} for leaf in ("id", "key") if not is_blank(item.get(leaf))), item)


def build_merge(step: Step, row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body of an update that undoes another one, for the record as it is now.

    Intacct merges a list of owned records, so a PATCH has to name the elements to remove.

    :param row: the live record with its lists.
    """
    flat = flatten(row)
    changes = [FieldChange(change.path, value_at(flat, change.path), change.new) for change in step.changes]
    return build_patch(changes, step.body)


def changes_list(step: Step) -> bool:
    """Return whether a step changes a list."""
    return any(isinstance(value, list | tuple) for c in step.changes for value in (c.old, c.new))


def _reverse_step(
    step: Step, model: Mapping[str, Any], to_delete: Mapping[str, Mapping[str, Any]], last: int
) -> Step:
    level = last - step.level
    if step.action == "create":
        changes = tuple(FieldChange(change.path, change.new, None) for change in step.changes)
        return Step("delete", step.match, "", _REASONS["delete"], changes, {}, level, None)
    if step.action == "delete":
        body = select_writable(to_delete[step.key], model)
        changes = tuple(FieldChange(path, None, value) for path, value in sorted(flatten(body).items()))
        return Step("create", step.match, "", _REASONS["create"], changes, body, level, "")
    owner = {"key": step.key, "id": step.match}
    changes = tuple(back for change in step.changes for back in _reverse_change(change, model, owner))
    paths = {change.path for change in step.changes}
    kept = {path: value for path, value in flatten(step.body).items() if path not in paths}
    body = unflatten(kept | {change.path: change.new for change in changes})
    return Step("update", step.match, step.key, _REASONS["update"], changes, body, level, None)


def _reverse_change(
    change: FieldChange, model: Mapping[str, Any], owner: Mapping[str, Any]
) -> Iterator[FieldChange]:
    """Yield the changes that give a field its old value, in the form in which it can be written."""
    if isinstance(change.old, Mapping):  # a reference or a group that is cleared as a whole
        parts = flatten(select_writable(unflatten({change.path: change.old}), model))
        yield from (FieldChange(path, None, value) for path, value in parts.items())
    elif isinstance(change.old, list | tuple):
        name = change.path.rpartition(".")[2]
        yield FieldChange(change.path, change.new, convert_list(name, change.old, owner))
    elif is_blank(change.old) and isinstance(change.new, list | tuple):
        yield FieldChange(change.path, change.new, [])
    else:
        yield FieldChange(change.path, change.new, change.old)


def _clears_objects(steps: Iterable[Step]) -> bool:
    return any(isinstance(change.old, Mapping) for step in steps for change in step.changes)
