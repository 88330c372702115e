"""The manifest: what was exported, and what proves it whole. It is written last."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from intacct_provider import __version__
from intacct_provider.exceptions import IntacctArgumentError

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    from intacct_provider.export.files.parts import Part
    from intacct_provider.export.source import Source

SUFFIX = ".manifest.json"
VERSION = 2


def manifest_of(target: ObjectStoragePath) -> ObjectStoragePath:
    """Return where the manifest of a destination is."""
    return target.with_name(target.name + SUFFIX)


def manifest(
    source: Source,
    *,
    target: ObjectStoragePath,
    parts: Sequence[Part],
    form: Mapping[str, Any],
    company: Mapping[str, str],
    proof: Mapping[str, Any],
    more: Mapping[str, Any],
    run: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the content of a manifest.

    All but ``run`` depends on nothing but the arguments of the export and the data, so that two exports of one state
    have equal manifests.

    :param form: of the files: ``file_format`` and so on.
    :param company: ``company_id`` and ``entity_id``.
    :param proof: why the rows are everything.
    :param more: what only some exports have: their window, deletions and so on.
    :param run: what differs from run to run: times, tries, cost.
    """
    listed = [part.facts() for part in parts]
    only = listed[0] if len(listed) == 1 else None
    return {
        "manifest_version": VERSION,
        **source.facts(),
        **company,
        **form,
        "path": str(target),
        "parts": listed,
        "rows": sum(part.rows for part in parts),
        "bytes": sum(part.bytes for part in parts),
        "sha256": only["sha256"] if only else None,
        "first_key": next((part.first_key for part in parts if part.rows), None),
        "last_key": next((part.last_key for part in reversed(parts) if part.rows), None),
        "completeness": dict(proof),
        **more,
        "provider_version": __version__,
        "run": dict(run),
    }


def encoded(content: Mapping[str, Any]) -> bytes:
    """Return a manifest as it is written: indented, since people read it."""
    return msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n"


def read_manifest(path: ObjectStoragePath) -> dict[str, Any] | None:
    """Return a manifest, or None when there is none.

    :raises IntacctArgumentError: if the file is something else.
    """
    try:
        with path.open("rb") as file:
            found = msgspec.json.decode(file.read())
    except FileNotFoundError:
        return None
    except (msgspec.DecodeError, UnicodeDecodeError):
        found = None
    if not isinstance(found, dict) or "manifest_version" not in found:
        raise IntacctArgumentError(
            f"{path} is no manifest of an export. Remove it, or name another destination."
        )
    return found
