"""The manifest: what was exported, and what proves it complete. It is written last."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.export.facts import Completeness, DeletionFacts, ListCompleteness, RunFacts
from intacct_provider.export.files.file_part import FilePart, PartSummary
from intacct_provider.export.incremental.window import Window
from intacct_provider.export.key_range import KeyRange
from intacct_provider.export.schema.columns import Column
from intacct_provider.export.schema.lists import join_columns
from intacct_provider.storage.files import ObjectStoragePath, read_small

SUFFIX = ".manifest.json"
VERSION = 2


class ManifestDeletions(DeletionFacts, frozen=True, kw_only=True):
    """Deleted records, and the files that name them."""

    parts: tuple[PartSummary, ...]


class ManifestList(msgspec.Struct, frozen=True, kw_only=True):
    """What a manifest says about a list of the records that has files of its own.

    :param name: of the list, in the names of its files, too.
    :param object: of its elements.
    :param path: where a single file of it is.
    :param first_key: of the first record that has rows in it.
    """

    name: str
    object: str | UnsetType = UNSET
    columns: tuple[Column, ...]
    path: str
    parts: tuple[PartSummary, ...]
    rows: int
    bytes: int
    sha256: str | None
    first_key: str | None
    last_key: str | None
    completeness: ListCompleteness


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a manifest says.

    Apart from ``run``, it depends only on the arguments of the export and the data, so that two exports of one state
    have equal manifests.

    :param query: what Intacct was asked, in its own terms.
    :param sha256: of the only part; with several, of a line for each as ``sha256sum`` writes it: its SHA-256, two
        spaces, its name and a line feed.
    :param lists: those of the records that have files of their own.
    :param window: of an incremental export.
    """

    manifest_version: int = VERSION
    object: str
    query: dict[str, Any]
    detail: bool
    columns: tuple[Column, ...]
    company_id: str
    entity_id: str
    file_format: str
    compression: str | None
    csv_safe: bool | UnsetType = UNSET
    delimiter: str | UnsetType = UNSET
    bom: bool | UnsetType = UNSET
    path: str
    parts: tuple[PartSummary, ...]
    rows: int
    bytes: int
    sha256: str
    first_key: str | None
    last_key: str | None
    lists: tuple[ManifestList, ...] | UnsetType = UNSET
    completeness: Completeness
    window: Window | UnsetType = UNSET
    deletions: ManifestDeletions | UnsetType = UNSET
    provider_version: str
    run: RunFacts

    @property
    def all_columns(self) -> tuple[Column, ...]:
        """The columns, those of lists included."""
        return join_columns(self.columns, self.lists or ())

    @property
    def names(self) -> set[str]:
        """The names of all files that it is about."""
        parts = [*self.parts, *(part for one in self.lists or () for part in one.parts)]
        return {part.name for part in (*parts, *(self.deletions.parts if self.deletions else ()))}


class RangeManifest(Manifest, frozen=True, kw_only=True):
    """What the export of a range leaves for the task that commits all ranges.

    :param staged: the parts, which stay hidden until then.
    :param staged_lists: those of each list, in the order of ``lists``.
    """

    range: KeyRange
    staged: tuple[FilePart, ...]
    staged_lists: tuple[tuple[FilePart, ...], ...] = ()

    @property
    def all_staged(self) -> list[FilePart]:
        """The parts, those of lists included."""
        return [*self.staged, *(part for parts in self.staged_lists for part in parts)]


AnyManifest = TypeVar("AnyManifest", bound=Manifest)


def manifest_path(target: ObjectStoragePath) -> ObjectStoragePath:
    """Return where the manifest of a destination is."""
    return target.with_name(target.name + SUFFIX)


def read_manifest(path: ObjectStoragePath) -> Manifest | None:
    """Return a manifest, or None if there is none of this version.

    :raises IntacctArgumentError: if the file is something else.
    """
    content = read_small(path)
    if content is None:
        return None
    try:
        version = msgspec.json.decode(content, type=_Version).manifest_version
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        version = VERSION
    return parse_manifest(content, path, Manifest) if version == VERSION else None


def parse_manifest(content: bytes, path: ObjectStoragePath, kind: type[AnyManifest]) -> AnyManifest:
    """Return a manifest of this version.

    :raises IntacctArgumentError: if the file is something else.
    """
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise IntacctArgumentError(
            f"{path} is not a manifest of an export. Remove it, or name another destination."
        ) from None


def encode_manifest(manifest: Manifest) -> bytes:
    """Return the content of its file, indented, since people read it."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"


class _Version(msgspec.Struct):
    manifest_version: int


def describe_parts(parts: Sequence[FilePart]) -> dict[str, Any]:
    """Return the members of a manifest that follow from its parts."""
    summaries = tuple(part.summarize() for part in parts)
    with_rows = [part for part in summaries if part.rows]
    return {
        "parts": summaries,
        "rows": sum(part.rows for part in summaries),
        "bytes": sum(part.bytes for part in summaries),
        "sha256": summaries[0].sha256 if len(summaries) == 1 else _hash_list(summaries),
        "first_key": with_rows[0].first_key if with_rows else None,
        "last_key": with_rows[-1].last_key if with_rows else None,
    }


def _hash_list(parts: Sequence[PartSummary]) -> str:
    lines = "".join(f"{part.sha256}  {part.name}\n" for part in parts)
    return hashlib.sha256(lines.encode()).hexdigest()
