"""Where a destination is: a connection that does not exist is an error of the argument that names it."""

import pytest
from airflow.providers.common.compat.sdk import AirflowNotFoundException, ObjectStoragePath

from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.storage.places import is_same_file, require_storage


class Place:
    """A path whose provider asks Airflow for a connection, as those of Google and Azure do."""

    protocol, conn_id = "gs", "finance"

    @property
    def fs(self):
        raise AirflowNotFoundException(f"The conn_id `{self.conn_id}` isn't defined")

    def __str__(self):
        return "gs://finance@bucket/customers.csv"


def test_a_connection_that_does_not_exist_is_named():
    message = (
        r"destination 'gs://finance@bucket/customers.csv' names connection 'finance', which does not exist"
    )
    with pytest.raises(IntacctArgumentError, match=message):
        require_storage("destination", Place())


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
