"""Personal data that an export hides: fields that are hashed or dropped before anything is written or remembered."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal
from typing import Any

from msgspec import structs

from intacct_provider.client.arguments import check_choice
from intacct_provider.client.paging.pages import Page
from intacct_provider.client.spelling import did_you_mean
from intacct_provider.exceptions import IntacctArgumentError, IntacctColumnError
from intacct_provider.export.schema.columns import REST, Column
from intacct_provider.export.schema.values import to_text

SHA256, DROP = "sha256", "drop"
MASKS = (SHA256, DROP)

#: What a hash looks like.
EXAMPLE_HASH = hashlib.sha256(b"").hexdigest()

#: How fields are hidden, by dotted name.
Masks = Mapping[str, str]


def parse_masks(given: Any) -> dict[str, str]:
    """Return the masks that a user gives.

    :raises IntacctArgumentError: for what is not a mapping of fields to :data:`MASKS`, and for ``key``, by which
        records are read, merged and found to be deleted.
    """
    if given is None:
        return {}
    if not isinstance(given, Mapping) or not all(isinstance(name, str) for name in given):
        raise IntacctArgumentError(
            f"mask must be a mapping of fields to {' or '.join(map(repr, MASKS))}, such as {{'taxId': 'sha256'}}, not "
            f"{given!r}."
        )
    for name, how in given.items():
        check_choice(f"mask[{name!r}]", how, MASKS)
    if "key" in given:
        raise IntacctArgumentError(
            "mask has 'key', which cannot be hidden: manifests, retries and deletions name records by it. It is "
            "Intacct's own number of the record; leave it out of fields if it is not wanted."
        )
    return dict(given)


def expand_groups(masks: Masks, fields: Collection[str]) -> dict[str, str]:
    """Return masks of a query's fields: a group or reference that is dropped stands for every field in it."""
    expanded: dict[str, str] = {}
    for name, how in masks.items():
        within = [field for field in fields if field.startswith(f"{name}.")] if how == DROP else []
        expanded |= dict.fromkeys(within, how) if within and name not in fields else {name: how}
    return expanded


def mask_columns(columns: Sequence[Column], masks: Masks) -> tuple[Column, ...]:
    """Return the columns of masked rows: hashes are text, and what is dropped has no column.

    :raises IntacctArgumentError: for a mask that names no column, or hashes a group or list.
    """
    known = dict(_list_paths(columns))
    for name, how in masks.items():
        if name not in known:
            raise _unknown(name, columns, known)
        if how == SHA256 and known[name].nested:
            raise IntacctArgumentError(
                f"mask[{name!r}] is 'sha256', and {name} is a group or a list. Use 'drop', or name what is in it:"
                f" {', '.join(path for path in known if path.startswith(name + '.')) or 'nothing is known'}."
            )
    masked = tuple(_mask_columns(columns, "", masks))
    if not masked:
        raise IntacctArgumentError("mask drops every field, so nothing is left to export.")
    return masked


class Masker:
    """Hides values in the rows of pages.

    :param fields: of the rows; None for whole records.
    """

    def __init__(self, masks: Masks, fields: Sequence[str] | None) -> None:
        self._slots = [f"f{n}" for n, name in enumerate(fields or ()) if masks.get(name) == SHA256]
        self._tree = _build_tree(masks) if fields is None else {}

    def mask(self, page: Page) -> Page:
        """Return a page whose rows do not have what is hidden; structs are changed in place.

        :raises IntacctColumnError: if something else is where a masked member should be within.
        """
        for slot in self._slots:
            for row in page.rows:
                setattr(row, slot, hash_value(getattr(row, slot)))
        if not self._tree:
            return page
        rows = [_mask_members(row, self._tree, key) for key, row in zip(page.keys, page.rows, strict=True)]
        return replace(page, rows=rows)


def hash_value(value: Any) -> Any:
    """Return the SHA-256 of a value's text in UTF-8, as hexadecimal digits; nothing stays nothing.

    Equal numbers have equal hashes, whether JSON has them as 1000, 1000.00 or 1e3. Text is hashed as it is.
    """
    if value is None or value == "":
        return value
    if isinstance(value, Decimal):
        exact = Context(prec=max(len(value.as_tuple().digits), 1), Emax=MAX_EMAX, Emin=MIN_EMIN)
        value = exact.normalize(value) or 0
    return hashlib.sha256((to_text(value) or "").encode()).hexdigest()


def check_not_used(masks: Masks, argument: str, fields: Iterable[str], why: str) -> None:
    """Reject a field that is hidden, on its own or with what it is within, and whose values another argument shows.

    :raises IntacctArgumentError: naming both arguments.
    """
    for field in fields:
        if any(field == name or field.startswith(f"{name}.") for name in masks):
            raise IntacctArgumentError(f"mask hides {field!r}, and {argument} has it: {why}.")


def check_filters_hide(masks: Masks, filters: Iterable[Mapping[str, Any]]) -> None:
    """Reject conditions on hidden fields, but for those on whether there is a value.

    :raises IntacctArgumentError: naming the field.
    """
    compared = (
        field
        for condition in filters
        for operand in condition.values()
        for field, value in operand.items()
        if value not in (None, "")
    )
    check_not_used(masks, "filters", compared, "the values compared with would be in the manifest")


def find_changes(before: Sequence[Column] | None, now: Sequence[Column]) -> list[str]:
    """Return the fields whose values were written as they are and are hashed now, or the other way round.

    :param before: columns of the last export; None before the first.
    """
    old = {path: column.mask for path, column in _list_paths(before or ())}
    return [path for path, column in _list_paths(now) if path in old and old[path] != column.mask]


def _list_paths(columns: Sequence[Column], prefix: str = "") -> Iterator[tuple[str, Column]]:
    for column in columns:
        if column.name != REST:
            yield prefix + column.field, column
            yield from _list_paths(_members(column), f"{prefix}{column.field}.")


def _members(column: Column) -> tuple[Column, ...]:
    """Return the members of a struct, or of the elements of a list."""
    return column.members[0].members if column.type == "list" else column.members


def _mask_columns(columns: Sequence[Column], prefix: str, masks: Masks) -> Iterator[Column]:
    for column in columns:
        path = prefix + column.field
        how = masks.get(path)
        if how == SHA256:
            yield Column(column.name, column.field, "string", mask=SHA256)
        elif how is None:
            members = tuple(_mask_columns(_members(column), f"{path}.", masks))
            if members == _members(column):
                yield column
            elif column.type == "list":
                element = structs.replace(column.members[0], members=members)
                yield structs.replace(column, members=(element,))
            elif members:  # Parquet has no struct without members
                yield structs.replace(column, members=members)


def _build_tree(masks: Masks) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for name, how in masks.items():
        *groups, last = name.split(".")
        within = tree
        for group in groups:
            within = within.setdefault(group, {})
            if within == DROP:
                break  # with everything in it
        else:
            within[last] = how
    return tree


def _mask_members(value: Any, tree: Mapping[str, Any], key: str) -> Any:
    if value is None or value == "":
        return value
    if isinstance(value, list):
        return [_mask_members(item, tree, key) for item in value]
    if not isinstance(value, Mapping):
        raise IntacctColumnError(
            f"Record {key} has text or a number where an object with {', '.join(tree)} should be, which mask hides, so "
            "nothing is written. Drop what they are in as a whole."
        )
    masked = dict(value)
    for name in tree.keys() & masked.keys():
        how = tree[name]
        if how == DROP:
            del masked[name]
        elif how == SHA256:
            masked[name] = hash_value(masked[name])
        else:
            masked[name] = _mask_members(masked[name], how, key)
    return masked


def _unknown(name: str, columns: Sequence[Column], known: Mapping[str, Any]) -> IntacctArgumentError:
    field = next((column.field for column in columns if column.name == name), None)
    hint = f" It names a column; its field is {field!r}." if field else did_you_mean(name, known)
    return IntacctArgumentError(
        f"mask has {name!r}, which is not among the fields of the export.{hint} Fields: {', '.join(known)}."
    )
