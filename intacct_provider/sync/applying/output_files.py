"""The files beside a plan, none of which may be the file that the desired records come from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.storage.files import read_small, remove, write_whole
from intacct_provider.storage.places import is_same_file
from intacct_provider.sync.plan import companion_path
from intacct_provider.sync.problems import REJECT

if TYPE_CHECKING:
    from intacct_provider.storage.files import ObjectStoragePath


def check_output_files(plan_path: ObjectStoragePath, source: str) -> None:
    """Refuse a plan whose files would overwrite the desired records.

    :param source: path of the desired records, or another name of them.
    :raises IntacctArgumentError: naming the file.
    """
    for ending in (".json", ".html", ".undo.json"):
        path = plan_path if ending == ".json" else companion_path(plan_path, ending)
        if is_same_file(path, source):
            raise IntacctArgumentError(
                f"plan_path {str(plan_path)!r} would overwrite desired: {str(path)!r} has the desired records. "
                "Give the plan another name."
            )


def choose_rejects_path(plan_path: ObjectStoragePath, source: str) -> ObjectStoragePath:
    """Return where rejected records are written: beside the plan, but not over the desired records.

    So a rejects file can be corrected and given as the desired records of the same task.
    """
    path = companion_path(plan_path, ".rejects.jsonl")
    return companion_path(plan_path, ".rejects-2.jsonl") if is_same_file(path, source) else path


def write_rejects(path: ObjectStoragePath, content: bytes) -> None:
    """Write a rejects file, or remove that of an earlier attempt if there are no rejects."""
    if content:
        write_whole(path, [content], argument="plan_path")
    else:
        remove(path)


def read_invalid(path: ObjectStoragePath) -> list[bytes]:
    """Return the lines of a rejects file that were written when the plan was made."""
    lines = (read_small(path) or b"").splitlines(keepends=True)
    return [line for line in lines if "place" in msgspec.json.decode(line).get(REJECT, {})]
