"""Changes to a file on one condition: that it is still what it was when somebody looked.

S3, Google Cloud Storage and Azure decide on the condition when they write, so a process that was stopped since it
looked changes nothing. On a disk the file is looked at again right before. Other storages say only whether a
file exists.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from intacct_provider.storage import azure
from intacct_provider.storage.files import ObjectStoragePath, remove, rename, write_small
from intacct_provider.storage.kinds import is_local
from intacct_provider.storage.refusals import find_status

#: HTTP statuses: the file is another one, or is being changed; it does not exist; the storage knows no such conditions,
#: as some that are compatible with S3.
_CHANGED, _MISSING, _NO_CONDITIONS = (409, 412), 404, 501


def read_version(path: ObjectStoragePath) -> str | None:
    """Return what changes whenever a file is written; None if it does not exist.

    On S3 it comes from the content, so it is the same again for a file that has the same content again.
    """
    return _find(path).read(path)


def write_if(path: ObjectStoragePath, content: bytes, version: str | None) -> bool:
    """Write a few bytes at once, if a file has a version; return False if not, which leaves it as it is.

    :param version: None for a file that must not exist.
    """
    return _find(path).write(path, content, version)


def rename_if(path: ObjectStoragePath, target: ObjectStoragePath, version: str | None) -> bool:
    """Rename a file, if the one that it replaces has a version; return False if not, or if the file is gone.

    :param version: of the target; None if it must not exist.
    """
    return _find(path).rename(path, target, version)


def remove_if(path: ObjectStoragePath, version: str | None) -> bool:
    """Delete a file if it has a version; return False if not."""
    return version is not None and _find(path).remove(path, version)


class _Looking:
    """A storage without conditions: the file is looked at right before."""

    def read(self, path: ObjectStoragePath) -> str | None:
        if not is_local(path):
            return "" if path.fs.exists(path.path) else None
        try:
            found = os.lstat(path.path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        return f"{found.st_ino}-{found.st_mtime_ns}-{found.st_size}"

    def write(self, path: ObjectStoragePath, content: bytes, version: str | None) -> bool:
        return self._act(path, version, lambda: write_small(path, content))

    def rename(self, path: ObjectStoragePath, target: ObjectStoragePath, version: str | None) -> bool:
        return self._act(target, version, lambda: rename(path, target))

    def remove(self, path: ObjectStoragePath, version: str) -> bool:
        return self._act(path, version, lambda: path.fs.rm_file(path.path))

    def _act(self, path: ObjectStoragePath, version: str | None, change: Callable[[], object]) -> bool:
        if self.read(path) != version:
            return False
        try:
            change()
        except FileNotFoundError:
            return False
        return True


class _Deciding(_Looking):
    """A storage that decides on a condition when it writes."""

    def read(self, path: ObjectStoragePath) -> str | None:
        try:
            return self._read(path)
        except Exception as err:
            if _is_missing(err):
                return None
            raise

    def write(self, path: ObjectStoragePath, content: bytes, version: str | None) -> bool:
        try:
            self._write(path, content, version)
        except Exception as err:
            # Without a version, what is missing is the bucket.
            if _is_changed(err) or (version is not None and _is_missing(err)):
                return False
            if find_status(err) == _NO_CONDITIONS:
                return super().write(path, content, version)
            raise
        return True

    def rename(self, path: ObjectStoragePath, target: ObjectStoragePath, version: str | None) -> bool:
        try:
            self._copy(path, target, version)
        except Exception as err:
            if _is_changed(err) or _is_missing(err):
                return False
            if find_status(err) == _NO_CONDITIONS:
                return super().rename(path, target, version)
            raise
        remove(path)
        return True

    def remove(self, path: ObjectStoragePath, version: str) -> bool:
        try:
            self._remove(path, version)
        except Exception as err:
            if _is_changed(err) or _is_missing(err):
                return False
            if find_status(err) == _NO_CONDITIONS:
                return super().remove(path, version)
            raise
        finally:
            path.fs.invalidate_cache()
        return True

    def _read(self, path: ObjectStoragePath) -> str:
        raise NotImplementedError

    def _write(self, path: ObjectStoragePath, content: bytes, version: str | None) -> None:
        raise NotImplementedError

    def _copy(self, path: ObjectStoragePath, target: ObjectStoragePath, version: str | None) -> None:
        raise NotImplementedError

    def _remove(self, path: ObjectStoragePath, version: str) -> None:
        raise NotImplementedError


class _S3(_Deciding):
    """E-tags. An older botocore leaves out the conditions that it does not know."""

    def _read(self, path: ObjectStoragePath) -> str:
        found: Mapping[str, str] = path.fs.call_s3("head_object", **self._name(path))
        return found["ETag"]

    def _write(self, path: ObjectStoragePath, content: bytes, version: str | None) -> None:
        path.fs.pipe_file(path.path, content, **self._demand(version))

    def _copy(self, path: ObjectStoragePath, target: ObjectStoragePath, version: str | None) -> None:
        path.fs.cp_file(path.path, target.path, **self._demand(version))

    def _remove(self, path: ObjectStoragePath, version: str) -> None:
        path.fs.call_s3("delete_object", **self._name(path), **self._demand(version))

    def _name(self, path: ObjectStoragePath) -> dict[str, str]:
        bucket, key, _ = path.fs.split_path(path.path)
        return {"Bucket": bucket, "Key": key}

    def _demand(self, version: str | None) -> dict[str, str]:
        return {"IfNoneMatch": "*"} if version is None else {"IfMatch": version}


class _Google(_Deciding):
    """Generations, of which gcsfs knows only that there is none."""

    def _read(self, path: ObjectStoragePath) -> str:
        return str(self._call(path, "GET", "b/{}/o/{}", *self._name(path), json_out=True)["generation"])

    def _write(self, path: ObjectStoragePath, content: bytes, version: str | None) -> None:
        if version is None:
            path.fs.pipe_file(path.path, content, mode="create")
            return
        bucket, key = self._name(path)
        url = f"{path.fs._location}/upload/storage/v1/b/{{}}/o"
        headers = {"Content-Type": "application/octet-stream"}
        demand = self._demand(version)
        self._call(
            path, "POST", url, bucket, uploadType="media", name=key, data=content, headers=headers, **demand
        )

    def _copy(self, path: ObjectStoragePath, target: ObjectStoragePath, version: str | None) -> None:
        names = *self._name(path), *self._name(target)
        options = {"json_out": True, "headers": {"Content-Type": "application/json"}, **self._demand(version)}
        done = {"done": False, "rewriteToken": None}
        while not done["done"]:  # a big object takes several calls
            token = done["rewriteToken"]
            done = self._call(
                path, "POST", "b/{}/o/{}/rewriteTo/b/{}/o/{}", *names, rewriteToken=token, **options
            )
        path.fs.invalidate_cache()

    def _remove(self, path: ObjectStoragePath, version: str) -> None:
        self._call(path, "DELETE", "b/{}/o/{}", *self._name(path), **self._demand(version))

    def _call(self, path: ObjectStoragePath, *args: Any, **options: Any) -> Any:
        return path.fs.call(*args, **options)

    def _name(self, path: ObjectStoragePath) -> tuple[str, str]:
        bucket, key, _ = path.fs.split_path(path.path)
        return bucket, key

    def _demand(self, version: str | None) -> dict[str, str]:
        return {"ifGenerationMatch": version or "0"}


class _Azure(_Deciding):
    """E-tags, which are never the same again. adlfs knows no conditions for copies and deletions."""

    def _read(self, path: ObjectStoragePath) -> str:
        return str(azure.call(path, "get_blob_properties").etag)

    def _write(self, path: ObjectStoragePath, content: bytes, version: str | None) -> None:
        demand = {"overwrite": False} if version is None else self._demand(version)
        path.fs.pipe_file(path.path, content, **demand)

    def _copy(self, path: ObjectStoragePath, target: ObjectStoragePath, version: str | None) -> None:
        azure.call(target, "start_copy_from_url", azure.find_blob(path).url, **self._demand(version))
        azure.finish_copy(target)
        path.fs.invalidate_cache()

    def _remove(self, path: ObjectStoragePath, version: str) -> None:
        azure.call(path, "delete_blob", **self._demand(version))

    def _demand(self, version: str | None) -> dict[str, Any]:
        from azure.core import MatchConditions

        if version is None:
            return {"match_condition": MatchConditions.IfMissing}
        return {"etag": version, "match_condition": MatchConditions.IfNotModified}


def _is_changed(err: Exception) -> bool:
    return isinstance(err, FileExistsError) or find_status(err) in _CHANGED


def _is_missing(err: Exception) -> bool:
    return isinstance(err, FileNotFoundError) or find_status(err) == _MISSING


_LOOKING = _Looking()
_DECIDING: Mapping[str, _Looking] = {
    **dict.fromkeys(("s3", "s3a", "s3n"), _S3()),
    **dict.fromkeys(("gs", "gcs"), _Google()),
    **dict.fromkeys(azure.PROTOCOLS, _Azure()),
}


def _find(path: ObjectStoragePath) -> _Looking:
    return _DECIDING.get(path.protocol, _LOOKING)
