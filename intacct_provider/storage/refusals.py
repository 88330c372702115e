"""Refusals of object storages, which every library reports in its own way, apart from errors that may pass."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from airflow.sdk import BaseHook

from intacct_provider._compat import AirflowNotFoundException
from intacct_provider.exceptions import IntacctArgumentError, IntacctError

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

#: Errors of the libraries of AWS, Google and Azure where credentials are missing or not usable.
_NO_CREDENTIALS = frozenset(
    {
        "NoCredentialsError",
        "PartialCredentialsError",
        "ProfileNotFound",
        "DefaultCredentialsError",
        "RefreshError",
        "ClientAuthenticationError",
        "CredentialUnavailableError",
    }
)


@contextmanager
def explain_refusals(target: ObjectStoragePath, argument: str = "destination") -> Iterator[None]:
    """Turn what an object storage refuses, and would refuse again, into an error that says why.

    :param argument: that names the file.
    :raises IntacctArgumentError: if access is denied, the bucket does not exist, or its name is not possible.
    """
    try:
        yield
    except IntacctError:
        raise
    except Exception as err:
        if (reason := _explain(err, target)) is None:
            raise
        raise IntacctArgumentError(
            f"{argument} {str(target)!r} cannot be written ({type(err).__name__}): {reason}"
        ) from err


def _explain(err: Exception, target: ObjectStoragePath) -> str | None:
    if target.protocol in ("", "file", "local", "memory"):
        return None
    status = find_status(err)
    if status in (401, 403) or isinstance(err, PermissionError) or type(err).__name__ in _NO_CREDENTIALS:
        return (
            f"the storage denied access. Check the credentials of {_name_credentials(target)}, and that they may "
            "write, read, list and delete there."
        )
    bucket = target.path.lstrip("/").partition("/")[0]
    if status == 404 or isinstance(err, FileNotFoundError):
        return f"bucket or container {bucket!r} does not exist. It is not created by an export."
    if status == 400:
        return f"the storage does not accept the name of the file, or of bucket or container {bucket!r}."
    return None


def _name_credentials(target: ObjectStoragePath) -> str:
    if not target.conn_id:
        return "the worker, since the URI names no connection"
    named = f"connection {target.conn_id!r}"
    try:
        BaseHook.get_connection(target.conn_id)
    except AirflowNotFoundException:
        if target.protocol.startswith("s3"):
            return f"{named}, which does not exist, so those of the worker were used"
    return named


def find_status(err: BaseException | None) -> int | None:
    """Return the HTTP status that an error, or the one that it came from, has."""
    while err is not None:
        # gcsfs has an error without a status for 403 alone.
        if type(err) is OSError and str(err).startswith("Forbidden:"):
            return 403
        response = getattr(err, "response", None)  # a mapping in errors of botocore
        answered = response.get("ResponseMetadata", {}) if isinstance(response, dict) else {}
        named = (getattr(err, name, None) for name in ("status_code", "status", "code"))
        for status in (*named, answered.get("HTTPStatusCode")):
            if isinstance(status, int) and 400 <= status < 600:
                return status
        err = err.__cause__
    return None
