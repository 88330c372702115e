"""The arguments of IntacctEventQueueTrigger, and which events it wants."""

import pytest
from airflow.triggers.base import BaseEventTrigger
from airflow_parts import needs_streams

from intacct_provider.client import QueuedEvent
from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.triggers.events import IntacctEventQueueTrigger

pytestmark = needs_streams

CUSTOMER = "accounts-receivable/customer"


@pytest.mark.parametrize(
    ("watched", "named", "same"),
    [
        (CUSTOMER, CUSTOMER, True),
        (CUSTOMER, "customer", True),
        (CUSTOMER, "CUSTOMER", True),
        ("customer", CUSTOMER, True),
        (CUSTOMER, "order-entry/customer", False),
        (CUSTOMER, "customer-group", False),
        (CUSTOMER, "ARCUSTOMER", False),
        ("JOB", "job", True),
    ],
)
def test_objects_are_the_same_whether_their_application_is_named_or_not(watched, named, same):
    event = QueuedEvent("e", named, "create")
    assert IntacctEventQueueTrigger(object_name=watched).wants(event) is same


def test_equal_watchers_are_equal_to_airflow():
    one = IntacctEventQueueTrigger(
        object_name=["b", " a", "b"], actions=("update", "create"), check_interval=60
    )
    two = IntacctEventQueueTrigger(object_name=("a", "b"), actions=["create", "update"], check_interval=60.0)
    assert one.serialize() == two.serialize()
    assert BaseEventTrigger.hash(*one.serialize()) == BaseEventTrigger.hash(*two.serialize())
    assert IntacctEventQueueTrigger(**one.serialize()[1]).serialize() == one.serialize()


def test_all_watchers_of_a_connection_share_a_stream_and_no_others():
    key = IntacctEventQueueTrigger(object_name=CUSTOMER).shared_stream_key()
    assert IntacctEventQueueTrigger(actions="create", check_interval=5).shared_stream_key() == key
    assert IntacctEventQueueTrigger(intacct_conn_id="other").shared_stream_key() != key


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"object_name": []}, "object_name must be a name"),
        ({"object_name": ["a", 1]}, "object_name must be a name"),
        ({"object_name": " "}, "object_name must be a name"),
        ({"actions": "created"}, "create, update, delete, not 'created'"),
        ({"check_interval": 0}, "at least 1 second"),
        ({"check_interval": None}, "at least 1 second"),
    ],
)
def test_wrong_arguments_are_refused(arguments, match):
    with pytest.raises(IntacctArgumentError, match=match):
        IntacctEventQueueTrigger(**arguments)
