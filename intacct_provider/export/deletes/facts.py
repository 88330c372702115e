"""What is written down about deleted records, in manifests and in the state of exports."""

from __future__ import annotations

from msgspec import UNSET, Struct, UnsetType


class FileRef(Struct, frozen=True):
    """A file of keys, and its SHA-256."""

    path: str
    sha256: str


class KeySet(FileRef, frozen=True):
    """The keys that an export leaves behind for the next one.

    :param rows: how many.
    :param last: the last one in order.
    :param audited: up to which moment the audit history was read.
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
    :param file: the tombstones, for the same run to be run again; only in the state.
    """

    method: str
    rows: int
    deleted: int
    left: int
    keys: KeySetSummary
    file: FileRef | UnsetType | None = UNSET
