"""Whether two paths name one file, however they are written."""

import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath

from intacct_provider.storage.files import is_same_file


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("s3://b/x.json", "s3://conn@b/x.json", True),
        ("s3a://b/x.json", "s3://b/x.json", True),
        ("s3a://conn@b/y/../x.json", "s3://b/x.json", True),
        ("gcs://b/x.json", "gs://b/x.json", True),
        ("abfss://c/x.json", "abfs://c/x.json", True),
        ("s3://b/x.json", "gs://b/x.json", False),
        ("s3://b/x.json", "s3://b/y.json", False),
        ("s3://b/x.json", "s3://c/x.json", False),
        ("file:///data/x.json", "/data/./x.json", True),
        ("file:///data/x.json", "s3://data/x.json", False),
    ],
)
def test_a_file_is_the_same_under_any_of_its_names(one, other, same):
    assert is_same_file(ObjectStoragePath(one), other) == same
    assert is_same_file(ObjectStoragePath(other), one) == same
