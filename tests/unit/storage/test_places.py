"""Where a destination is: a connection that does not exist is an error of the argument that names it."""

import pytest
from airflow.providers.common.compat.sdk import AirflowNotFoundException

from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.storage.places import require_storage


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
