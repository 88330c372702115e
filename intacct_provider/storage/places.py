"""Where a user wants a file: on a disk by its whole path, or on a storage whose packages are installed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from airflow.providers.common.compat.sdk import AirflowNotFoundException

from intacct_provider.exceptions import IntacctArgumentError

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(?://)?")
_LOCAL = ("file", "local")
_AZURE = "apache-airflow-providers-microsoft-azure"
#: The package that brings a storage to Airflow, by scheme.
_PACKAGES = {
    **dict.fromkeys(("s3", "s3a", "s3n"), "apache-airflow-providers-amazon[s3fs]"),
    **dict.fromkeys(("gs", "gcs"), "apache-airflow-providers-google"),
    **dict.fromkeys(("abfs", "abfss", "adl"), _AZURE),
}
#: Schemes that fsspec knows and Airflow does not.
_OTHER_NAMES = dict.fromkeys(("az", "wasb", "wasbs"), "abfs")


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
