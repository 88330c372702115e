"""Azure may go on copying after it has answered: a file is renamed when the copy is complete, and not before."""

import pytest
from slow_azure import blob_name, run_slow_azure

from intacct_provider.storage.files import rename, write_whole

pytest.importorskip("adlfs")


@pytest.fixture
def slow():
    with run_slow_azure() as running:
        yield running


def test_a_file_is_renamed_when_its_copy_is_complete(slow):
    azure, cloud = slow
    target = cloud.path("finance/customers.jsonl")
    write_whole(target, [b"one\n", b"two\n"])
    assert azure.blobs == {blob_name("finance/customers.jsonl"): b"one\ntwo\n"}


@pytest.mark.parametrize("outcome", ["failed", "aborted"])
def test_a_copy_that_fails_leaves_the_source_and_is_an_error_that_a_retry_may_fix(slow, outcome):
    azure, cloud = slow
    azure.outcome = outcome
    source, target = cloud.path("finance/.part"), cloud.path("finance/customers.jsonl")
    source.fs.pipe_file(source.path, b"rows")
    with pytest.raises(ConnectionError, match=f"Azure.*finance/customers.jsonl.*{outcome}"):
        rename(source, target)
    assert azure.blobs[blob_name("finance/.part")] == b"rows"
