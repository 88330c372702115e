"""The records of a bulk job: read from a list, a file or a query, and checked before the job is submitted."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from intacct_provider.client.arguments import check_choice
from intacct_provider.client.http import codec
from intacct_provider.client.keys import as_number
from intacct_provider.client.query.request import check_object_name
from intacct_provider.client.writing.job_limits import OPERATIONS, check_size
from intacct_provider.exceptions import IntacctArgumentError, IntacctNotFoundError
from intacct_provider.sync.desired.sources import Layout
from intacct_provider.sync.desired.typed_records import convert_records
from intacct_provider.sync.object_facts import REQUIRED, collect_types
from intacct_provider.sync.planning.unknown_fields import check_known_fields
from intacct_provider.sync.problems import Problem, raise_problems, show_value
from intacct_provider.sync.records import flatten, is_blank, is_given, match_text

if TYPE_CHECKING:
    from intacct_provider.client import IntacctClient
    from intacct_provider.client.config import IntacctConfig
    from intacct_provider.sync.desired.state import Desired


@dataclass(frozen=True, slots=True)
class Order:
    """What a job does with which records.

    :param object_name: path such as ``accounts-receivable/customer``.
    :param operation: ``create``, ``update`` or ``delete``.
    :param records: nested, as they are sent; those to delete have their key alone.
    :param digest: SHA-256 of all of that and of the company and entity that it is for.
    """

    object_name: str
    operation: str
    records: Sequence[Mapping[str, Any]]
    digest: str

    def __str__(self) -> str:
        """Return what the job does, without a value of its records."""
        return describe_order(self.operation, len(self.records), self.object_name, self.digest)


def describe_order(operation: str, count: int, object_name: str, digest: str) -> str:
    """Return what a job does, without a value of its records."""
    return f"{operation} of {count:,} records of {object_name}, SHA-256 {digest[:16]}"


def check_request(object_name: str, operation: str) -> None:
    """Check what a job is to do, before its records are read.

    :raises IntacctArgumentError: naming what is wrong.
    """
    check_object_name(object_name)
    check_choice("operation", operation, OPERATIONS)


def make_layout(
    operation: str,
    columns: Mapping[str, str | None] | None,
    constants: Mapping[str, Any] | None,
    null_marker: str | None,
    sheet: str | None,
    *,
    allow_damaged_text: bool,
) -> Layout:
    """Return how the records of a source become those of a job; new ones need no id where Intacct numbers them."""
    return Layout(
        match_field(operation),
        columns,
        constants,
        null_marker,
        sheet=sheet,
        allow_damaged_text=allow_damaged_text,
        match_required=operation != "create",
        why_some="a bulk job needs at least one",
    )


def match_field(operation: str) -> str:
    """Return the field that identifies a record of a job."""
    return "id" if operation == "create" else "key"


def wrap_keys(operation: str, records: Any) -> Any:
    """Return records for keys, since those to delete may be given as a list of keys; all else as it is."""
    if operation != "delete" or not isinstance(records, list | tuple):
        return records
    return [{"key": one} if isinstance(one, str | int) else one for one in records]


def check_given(desired: Desired, operation: str) -> None:
    """Check everything that needs no call: duplicate, missing and invalid keys, damaged rows, and the size of the job.

    :raises IntacctDesiredStateError: for all problems at once.
    :raises IntacctArgumentError: if one job cannot take all of them.
    """
    problems = list(desired.problems)
    if operation != "create":
        problems += _check_keys(desired, {problem.place for problem in problems})
    if problems:
        raise_problems(desired.source, problems)
    content = b""
    with suppress(IntacctArgumentError):  # reported with its place when it is converted
        content = codec.encode(desired.records)
    check_size(len(desired.records), len(content))


def build_order(client: IntacctClient, desired: Desired, object_name: str, operation: str) -> Order:
    """Return the job of some records in the types of the object's model; one call, or three for unknown fields.

    :param desired: from :func:`check_given`.
    :raises IntacctDesiredStateError: for all problems at once.
    """
    if operation == "delete":
        records = [{"key": match_text(record["key"])} for record in desired.records]
    else:
        records = _convert(client, desired, object_name, operation)
    return Order(object_name, operation, records, _digest(client.config, object_name, operation, records))


def _convert(
    client: IntacctClient, desired: Desired, object_name: str, operation: str
) -> list[dict[str, Any]]:
    model = client.model(object_name)
    typed, problems = convert_records(desired, model, match_on=match_field(operation))
    problems += _check_fields(client, desired, model, object_name)
    if operation == "create":
        problems += _check_required(desired, object_name)
    else:
        problems += _check_changes(desired)
    if problems:
        raise_problems(desired.source, problems)
    records = [record for record in typed if record is not None]
    if operation == "update":
        records = [{**record, "key": match_text(record["key"])} for record in records]
    return records


def _check_keys(desired: Desired, known: set[str]) -> Iterator[Problem]:
    """Yield the keys that are not one, but for those of records that have a problem already."""
    for place, record in zip(desired.places, desired.records, strict=True):
        key = record.get("key")
        if place not in known and as_number(match_text(key)) is None:
            text = (
                f"is {show_value(key)}, which is not a key; keys are whole numbers such as '24'. To name records by "
                "their ids, use IntacctSyncOperator"
            )
            yield Problem(place, match_text(key), desired.column("key"), show_value(key), text)


def _check_required(desired: Desired, object_name: str) -> Iterator[Problem]:
    for place, record in zip(desired.places, desired.records, strict=True):
        flat = flatten(record)
        for path in REQUIRED.get(object_name, ()):
            if is_blank(flat.get(path)):
                match = match_text(flat.get("id"))
                yield Problem(place, match, desired.column(path), "", "is required to create the record")


def _check_changes(desired: Desired) -> Iterator[Problem]:
    for place, record in zip(desired.places, desired.records, strict=True):
        if record.keys() == {"key"}:
            yield Problem(place, match_text(record["key"]), "", "", "there is no field to change")


def _check_fields(
    client: IntacctClient, desired: Desired, model: Mapping[str, Any], object_name: str
) -> list[Problem]:
    """Return the fields that the object does not have, as far as its model and one of its records show."""
    types = collect_types(model)
    given = dict.fromkeys(path for record in desired.records for path in flatten(record))
    unknown = [path for path in given if path not in types and path != "key" and "::" not in path]
    if not unknown:
        return []
    record = _fetch_one(client, object_name)
    if record is None:
        return []
    unknown = [path for path in unknown if not is_given(record, path)]
    return check_known_fields(desired, unknown, 1, model, object_name)


def _fetch_one(client: IntacctClient, object_name: str) -> Mapping[str, Any] | None:
    """Return any whole record of an object; None if there is none."""
    rows = client.query(object_name, ["key"], size=1).rows
    with suppress(IntacctNotFoundError):  # deleted meanwhile
        return client.get(object_name, str(rows[0]["key"])) if rows else None
    return None


def _digest(
    config: IntacctConfig, object_name: str, operation: str, records: Sequence[Mapping[str, Any]]
) -> str:
    head = codec.encode([config.company_id, config.entity_id, object_name, operation])
    return hashlib.sha256(head + b"\0" + codec.encode(list(records))).hexdigest()
