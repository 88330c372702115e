"""What object storages answer to a request to create a file that must not exist."""

import errno
from types import SimpleNamespace

import pytest

from intacct_provider.storage.exclusive import can_create_exclusively, create_exclusively


class Storage:
    """A file system that stores, and answers as it should; ``stores`` is what the file has when the answer comes."""

    def __init__(self, answer=None, stores=None):
        self.answer, self.content, self.conditions = answer, stores, []

    def pipe_file(self, _path, content, **condition):
        self.conditions.append(condition)
        if condition and self.answer:
            raise self.answer
        self.content = content

    def cat_file(self, _path):
        if self.content is None:
            raise FileNotFoundError
        return self.content


def translated(number, status, code):
    """Return an error of s3fs, which comes from one of botocore."""
    error, cause = OSError(number, code), Exception(code)
    cause.response = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    error.__cause__ = cause
    return error


class AzureError(Exception):
    """An error of Azure's library."""

    status_code = 409


EXISTS = [
    FileExistsError(),
    # A storage compatible with S3 that does not say which condition failed.
    translated(errno.EINVAL, 412, "PreconditionFailed"),
    translated(errno.EIO, 409, "ConditionalRequestConflict"),
    AzureError(),
]


def create(storage, protocol="s3"):
    return create_exclusively(SimpleNamespace(protocol=protocol, path="b/claim", fs=storage), b"mine")


@pytest.mark.parametrize("answer", EXISTS, ids=repr)
def test_the_file_of_another_stays(answer):
    storage = Storage(answer, stores=b"other")
    assert create(storage) is False
    assert storage.content == b"other"


@pytest.mark.parametrize("answer", EXISTS, ids=repr)
def test_a_file_whose_response_was_lost_before_the_request_was_repeated_is_ours(answer):
    assert create(Storage(answer, stores=b"mine")) is True


def test_a_conflict_with_a_file_that_is_being_removed_is_an_error_that_a_retry_may_fix():
    with pytest.raises(OSError, match="ConditionalRequestConflict"):
        create(Storage(translated(errno.EIO, 409, "ConditionalRequestConflict")))


def test_a_storage_that_knows_no_conditions_gets_the_file_without_one():
    storage = Storage(translated(errno.ENOSYS, 501, "NotImplemented"))
    assert create(storage) is True
    assert storage.content == b"mine"


@pytest.mark.parametrize("status", [403, 404, 500, 503])
def test_any_other_error_is_raised(status):
    with pytest.raises(OSError, match="other"):
        create(Storage(translated(errno.EIO, status, "other")))


@pytest.mark.parametrize("protocol", ["s3", "s3a", "gs", "gcs", "abfs", "abfss", "adl"])
def test_every_cloud_has_a_condition(protocol):
    storage = Storage()
    assert can_create_exclusively(SimpleNamespace(protocol=protocol))
    assert create(storage, protocol) is True
    assert storage.conditions in ([{"mode": "create"}], [{"overwrite": False}])
