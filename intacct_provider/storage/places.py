"""Where a user wants a file: on a disk by its whole path, or on a storage whose packages are installed."""

from __future__ import annotations

import os
import re
import unicodedata
from posixpath import normpath

from airflow.sdk import ObjectStoragePath

from intacct_provider._compat import AirflowNotFoundException
from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.storage import azure
from intacct_provider.storage.kinds import WITHOUT_FOLDERS, is_local

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(?://)?")
_LOCAL = ("file", "local")
_AZURE = "apache-airflow-providers-microsoft-azure"
#: The package that brings a storage to Airflow, by scheme.
_PACKAGES = {
    **dict.fromkeys(("s3", "s3a", "s3n"), "apache-airflow-providers-amazon[s3fs]"),
    **dict.fromkeys(("gs", "gcs"), "apache-airflow-providers-google"),
    **dict.fromkeys(("abfs", "abfss", "adl"), _AZURE),
}
#: Other names of one storage.
_SAME_STORAGE = {"s3a": "s3", "s3n": "s3", "gcs": "gs"} | dict.fromkeys(azure.PROTOCOLS, "abfs")
#: Schemes that fsspec knows and Airflow does not.
_OTHER_NAMES = dict.fromkeys(("az", "wasb", "wasbs"), "abfs")


def parse_destination(destination: str, argument: str = "destination") -> ObjectStoragePath:
    """Return the path of a file that a user names.

    :param argument: that names it.
    :raises IntacctArgumentError: if it names no file, is a relative path, or is on a storage that Airflow does not know
        or whose package is not installed.
    """
    if not isinstance(destination, str) or not destination.strip() or destination.endswith("/"):
        raise IntacctArgumentError(f"{argument} must be the path or URI of a file, not {destination!r}.")
    if destination != destination.strip() or any(map(_is_control, destination)):
        raise IntacctArgumentError(
            f"{argument} {destination!r} begins or ends with a blank, or has a line break or another control character "
            "in it. Look for it in what its template renders."
        )
    check_absolute(argument, destination)
    try:
        path = ObjectStoragePath(destination)
    except ValueError as err:
        raise IntacctArgumentError(
            f"{argument} {destination!r} is on a storage that Airflow does not know: {err}"
        ) from err
    if path.protocol in ("http", "https"):
        raise IntacctArgumentError(
            f"{argument} {destination!r} cannot be written: {path.protocol} only reads. Name the storage behind it, "
            "such as s3://, gs:// or abfs://, or a local path."
        )
    require_storage(argument, path)
    if path.protocol in WITHOUT_FOLDERS and "/" not in path.path.strip("/"):
        raise IntacctArgumentError(
            f"{argument} {destination!r} names a bucket and no file in it, such as '{destination}/customers.csv'."
        )
    return path


def check_absolute(argument: str, place: str) -> None:
    """Reject a local path that is not absolute: what it means depends on the worker that happens to run the task.

    :raises IntacctArgumentError: in that case.
    """
    scheme = _SCHEME.match(place)
    if scheme and scheme[1].lower() not in _LOCAL:
        return
    if not place[scheme.end() if scheme else 0 :].startswith("/"):
        raise IntacctArgumentError(
            f"{argument} {place!r} is a relative path, which each worker would understand differently. Give the whole "
            "path, such as '/data/customers.csv' or 'file:///data/customers.csv', or a URI such as "
            "'s3://bucket/customers.csv'."
        )


def require_storage(argument: str, path: ObjectStoragePath) -> None:
    """Make sure that what reaches a path's storage is installed, without reaching it.

    :raises IntacctArgumentError: naming the package to install.
    """
    try:
        _ = path.fs
    except ImportError as err:
        raise IntacctArgumentError(
            f"{argument} {str(path)!r} needs a package that is not installed ({err}).{_advise(path.protocol)}"
        ) from err
    except AirflowNotFoundException as err:
        raise IntacctArgumentError(
            f"{argument} {str(path)!r} names connection {path.conn_id!r}, which does not exist."
        ) from err
    except ValueError as err:
        if "registered" not in str(err):
            raise
        raise IntacctArgumentError(
            f"{argument} {str(path)!r}: no installed provider of Airflow brings a storage for "
            f"{path.protocol}://.{_advise(path.protocol)}"
        ) from err


def _advise(scheme: str) -> str:
    if scheme in _PACKAGES:
        return f" On every worker: pip install '{_PACKAGES[scheme]}'"
    if scheme in _OTHER_NAMES:
        other = _OTHER_NAMES[scheme]
        return f" Write {other}://, and on every worker: pip install '{_PACKAGES[other]}'"
    return f" Storages that are known: a local path, {', '.join(f'{name}://' for name in _PACKAGES)}."


def is_same_file(path: ObjectStoragePath, other: str) -> bool:
    """Whether a path or URI names the same file, however it is written."""
    try:
        named = ObjectStoragePath(other)
    except ValueError:
        return False
    if is_local(path) and is_local(named):
        return os.path.realpath(path.path) == os.path.realpath(named.path)
    return _name_storage(path) == _name_storage(named) and normpath(path.path) == normpath(named.path)


def _name_storage(path: ObjectStoragePath) -> str:
    return _SAME_STORAGE.get(path.protocol, path.protocol)


def _is_control(character: str) -> bool:
    return unicodedata.category(character) == "Cc"
