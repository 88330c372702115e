"""What an export records about itself: in manifests, in the log of loads, and in the state for the next export."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import UNSET, Struct, UnsetType

from intacct_provider.export.key_range import KeyRange
from intacct_provider.export.schema.drift import Drift

if TYPE_CHECKING:
    from intacct_provider.storage.claims import Holder


class RangeCompleteness(KeyRange, frozen=True):
    """How complete one of several ranges was when it was read."""

    result: str
    rows: int
    counted: int
    deleted_meanwhile: int
    added_meanwhile: int
    control_totals: dict[str, str]
    control_totals_result: str | UnsetType = UNSET


class Completeness(Struct, frozen=True, kw_only=True):
    """How the rows of an export compare with what Intacct says about them.

    :param result: ``equal`` or ``changed meanwhile``.
    :param rows: of the export.
    :param counted: what Intacct says.
    :param deleted_meanwhile: rows that were deleted while the export read, so that Intacct may count fewer.
    :param added_meanwhile: records that were created while the export read, so that Intacct may count more.
    :param control_totals: by field, as text, with every digit.
    :param control_totals_result: ``equal for unchanged records`` or ``not comparable``, when amounts or records changed
        during the read; without it, all of them are those of Intacct.
    :param ranges: those of an export by many tasks.
    """

    result: str
    rows: int
    counted: int
    deleted_meanwhile: int | UnsetType = UNSET
    added_meanwhile: int | UnsetType = UNSET
    control_totals: dict[str, str]
    control_totals_result: str | UnsetType = UNSET
    ranges: tuple[RangeCompleteness, ...] | UnsetType = UNSET


class ListCompleteness(Struct, frozen=True, kw_only=True):
    """How the rows of a list compare with a query of the object that its elements are.

    :param result: ``equal``; ``changed meanwhile``, if records changed while they were read; or ``unproven``.
    :param counted: what the query counts for the exported records, in all of their lists of the object.
    :param reason: why nothing is proven.
    """

    result: str
    counted: int | UnsetType = UNSET
    reason: str | UnsetType = UNSET


class TaskFacts(Struct, frozen=True):
    """A task of Airflow."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int


def describe_task(holder: Holder) -> TaskFacts | UnsetType:
    """Return the task that owns a destination."""
    if holder.task is None:
        return UNSET
    return TaskFacts(*holder.task, holder.map_index)


class RunFacts(Struct, frozen=True, kw_only=True):
    """What differs from run to run.

    :param transactions: billed.
    :param schema_drift: how the columns differ from those of the last export.
    :param ranges: digests of what the tasks left, by path, of an export by many tasks.
    :param task: that published; not outside of Airflow.
    """

    started_at: str
    finished_at: str
    transactions: int
    schema_drift: Drift | UnsetType = UNSET
    ranges: dict[str, str] | UnsetType = UNSET
    task: TaskFacts | UnsetType = UNSET


class FileRef(Struct, frozen=True):
    """A file of keys, and its SHA-256."""

    path: str
    sha256: str


class KeySet(FileRef, frozen=True):
    """The keys that an export leaves behind for the next one.

    :param rows: how many.
    :param last: the last one in order.
    :param audited: up to which time the audit history was read.
    """

    rows: int
    last: str | None = None
    audited: str | None = None


class KeySetSummary(Struct, frozen=True):
    """What a manifest says about a set of keys."""

    rows: int
    sha256: str


class DeletionFacts(Struct, frozen=True, kw_only=True):
    """What an export found out about deleted records.

    :param method: ``audit``, ``keys``, or ``rows`` when the rows of a full export showed it.
    :param rows: records that are gone.
    :param deleted: those of them that were deleted.
    :param left: those of them that still exist and no longer meet the filters.
    :param keys: what is left for the next export.
    :param missed: records among the rows that no export had before, although they are older than its window.
    :param file: the tombstones, for the same run to be run again; only in the state.
    :param missed_file: the keys of the missed records; likewise.
    """

    method: str
    rows: int
    deleted: int
    left: int
    keys: KeySetSummary
    missed: int | UnsetType = UNSET
    file: FileRef | UnsetType | None = UNSET
    missed_file: FileRef | UnsetType = UNSET
