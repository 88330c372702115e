"""Links of tasks to what Intacct names."""

import pytest
from airflow.sdk import BaseOperator

from intacct_provider.links import RecordLink, link_record


@pytest.mark.parametrize(
    ("address", "link"),
    [
        ("https://www.intacct.com/ia/acct/ur.phtml?.r=1", "https://www.intacct.com/ia/acct/ur.phtml?.r=1"),
        ("javascript:alert(1)", ""),
        ("https://[www.intacct.com", ""),
        ("", ""),
        (None, ""),
        (1, ""),
    ],
)
def test_only_an_address_of_the_web_becomes_a_link_and_nothing_fails_for_want_of_one(address, link):
    operator = BaseOperator(task_id="get")
    link_record(operator, {"webURL": address})
    assert RecordLink().get_link(operator, ti_key=None) == link
