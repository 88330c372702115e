"""Where plans are: a name of its own for each run's plan, and the content that was approved or none."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.storage.files import (
    ObjectStoragePath,
    create_whole,
    read_file,
    read_small,
    writable,
    write_whole,
)
from intacct_provider.storage.places import check_absolute
from intacct_provider.sync.plan import Plan, companion_path
from intacct_provider.sync.problems import show_value

#: Digits of the digest in a plan's own name.
_DIGITS = 12
_SHA256 = re.compile(r"[0-9a-f]{64}")


def save_plan(plan_path: ObjectStoragePath, plan: Plan) -> ObjectStoragePath:
    """Write a plan and return its path, which is another one if somebody else's plan is there.

    A person may still be reading that plan, so it is not overwritten: the new one gets the first digits of its digest
    into its name. Only another attempt of the same task and run replaces its own plan.

    :raises IntacctArgumentError: if nothing can be written there.
    """
    content = plan.to_json()
    with writable(plan_path, "plan_path"):
        if create_whole(plan_path, content):
            return plan_path
        path = plan_path
        if not _is_own(plan_path.read_bytes(), plan.origin, plan.digest):
            path = companion_path(plan_path, f".{plan.digest[:_DIGITS]}.json")
    write_whole(path, [content], argument="plan_path")
    return path


def choose_failed_path(plan_path: ObjectStoragePath, origin: str, content: bytes) -> ObjectStoragePath:
    """Return the path of a plan that was not made because of rejected records, so that they are kept beside it.

    If somebody else's plan is under ``plan_path``, the files beside it are not touched.

    :param origin: of the plan.
    :param content: what will be written, from which the path gets a name of its own.
    :raises IntacctArgumentError: if nothing can be written there.
    """
    with writable(plan_path, "plan_path"):
        found = read_small(plan_path)
    if found is None or _is_own(found, origin):
        return plan_path
    return companion_path(plan_path, f".{hashlib.sha256(content).hexdigest()[:_DIGITS]}.json")


def _is_own(content: bytes, origin: str, digest: str = "") -> bool:
    """Return whether the plan in a file was made by the same task and run, or is the same."""
    try:
        found = Plan.from_json(content)
    except IntacctArgumentError:
        return False
    return found.digest == digest or (bool(origin) and found.origin == origin)


def list_plan_files(plan_path: ObjectStoragePath) -> Iterator[ObjectStoragePath]:
    """Yield the path of a plan, then those of other plans that :func:`save_plan` was to write there."""
    yield plan_path
    own_name = re.compile(rf"{re.escape(plan_path.name.removesuffix('.json'))}\.[0-9a-f]{{{_DIGITS}}}\.json")
    try:
        siblings = [path for path in plan_path.parent.iterdir() if own_name.fullmatch(path.name)]
    except OSError:
        return
    yield from siblings


def read_plan(path: str, sha256: str | None) -> Plan:
    """Read the plan that was approved.

    :param sha256: its digest; None to check only that the file is as it was written.
    :raises IntacctArgumentError: if there is no such plan, or another one.
    """
    return Plan.from_json(read_file("plan", path), sha256=sha256, name=f"The plan {path}")


def parse_reference(plan: Any, plan_sha256: Any) -> tuple[str, str | None]:
    """Return path and digest of the plan to apply.

    :param plan: what the task that made the plan returned, or a path.
    :param plan_sha256: the digest if ``plan`` is a path.
    :raises IntacctArgumentError: if a template rendered to nothing, the path is relative, or the digest is missing or
        not one.
    """
    if isinstance(plan, Mapping):
        return _parse_result(plan, plan_sha256)
    if not isinstance(plan, str) or plan.strip() in ("", "None"):
        raise IntacctArgumentError(
            f"plan is {show_value(plan)}; it must be what the task that made the plan returned, or the path of a plan."
        )
    if plan.lstrip().startswith("{"):
        raise IntacctArgumentError(
            "plan is the result of a task that a template made into text. Give plan=plan_task.output, or the path with "
            "plan_sha256."
        )
    check_absolute("plan", plan)
    return plan, None if plan_sha256 is None else _check_digest("plan_sha256", plan_sha256)


def _parse_result(result: Mapping[str, Any], plan_sha256: Any) -> tuple[str, str]:
    path = result.get("plan")
    if not isinstance(path, str) or not path:
        raise IntacctArgumentError(
            "plan is the result of a task that wrote no plan; that task needs a plan_path."
        )
    check_absolute("plan", path)
    digest = _check_digest("sha256 of plan", result.get("sha256"))
    if plan_sha256 is not None and _check_digest("plan_sha256", plan_sha256) != digest:
        raise IntacctArgumentError(
            f"plan {path!r} has the SHA-256 {digest}, and plan_sha256 is {plan_sha256}. Leave plan_sha256 out."
        )
    return path, digest


def _check_digest(name: str, value: Any) -> str:
    text = str(value).strip().lower()
    if not _SHA256.fullmatch(text):
        raise IntacctArgumentError(
            f"{name} must be the sha256 that the task that made the plan returned, not {show_value(value)}."
        )
    return text
