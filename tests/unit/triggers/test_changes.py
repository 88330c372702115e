"""The trigger of asset watchers: what it accepts, what Airflow stores of it, and who shares a poll."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal

import pytest
from airflow.triggers.base import BaseEventTrigger
from airflow_parts import needs_streams

from intacct_provider.client.query.expressions import field
from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.export.incremental.planning import LOOKBACK
from intacct_provider.triggers.changes import IntacctChangeTrigger

CUSTOMER = "accounts-receivable/customer"
FULL = {
    "filters": (field("status") == "active") & (field("totalDue") > Decimal("100.10")),
    "filter_parameters": {"includePrivate": True},
    "fields": ["id", "name"],
    "modified_field": "audit.createdDateTime",
    "lookback": dt.timedelta(minutes=30),
    "check_interval": dt.timedelta(minutes=1),
    "max_keys": 5,
    "intacct_conn_id": "acme",
    "entity_id": "E1",
}


@needs_streams
@pytest.mark.parametrize("arguments", [{}, FULL], ids=["defaults", "full"])
def test_what_is_stored_is_plain_and_makes_the_same_trigger_again(arguments):
    trigger = IntacctChangeTrigger(CUSTOMER, **arguments)
    path, stored = trigger.serialize()
    assert path == "intacct_provider.triggers.changes.IntacctChangeTrigger"
    assert all(value is None or isinstance(value, str | int | float) for value in stored.values())
    again = IntacctChangeTrigger(**json.loads(json.dumps(stored)))
    assert again.serialize() == (path, stored)
    assert again.watched == trigger.watched
    assert again.shared_stream_key() == trigger.shared_stream_key() != None  # noqa: E711
    assert BaseEventTrigger.hash(path, stored) == BaseEventTrigger.hash(*again.serialize())


def test_the_look_back_is_that_of_exports():
    assert IntacctChangeTrigger(CUSTOMER).watched.lookback == LOOKBACK


CHANGES = [{name: value} for name, value in FULL.items()]


@needs_streams
@pytest.mark.parametrize("change", CHANGES, ids=lambda one: next(iter(one)))
def test_watchers_share_a_poll_and_a_state_if_they_are_about_the_same(change):
    plain, other = IntacctChangeTrigger(CUSTOMER), IntacctChangeTrigger(CUSTOMER, **change)
    [name] = change
    assert (plain.shared_stream_key() == other.shared_stream_key()) is (
        name in ("max_keys", "check_interval")
    )
    kept = ("fields", "lookback", "max_keys", "check_interval")
    assert (plain.state_name == other.state_name) is (name in kept)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"object_name": "customer"}, "Did you mean 'accounts-receivable/customer'"),
        ({"check_interval": 0}, "check_interval must be at least 1 second"),
        ({"max_keys": 1001}, "max_keys must be a whole number from 0 to 1000"),
        ({"lookback": 59}, "lookback must be at least 60 seconds"),
        ({"lookback": "2h"}, "lookback must be at least 60 seconds"),
        ({"lookback": float("nan")}, "lookback must be at least 60 seconds"),
        ({"filters": [{"$eq": 1}]}, "filters: condition 1"),
        ({"filter_expression": "1 and 2"}, "filter_expression"),
        ({"fields": ["id", "count:key"]}, "aggregate"),
        ({"fields": "id"}, "fields must be a list"),
        ({"modified_field": ""}, "not a field name"),
    ],
)
def test_arguments_that_cannot_be_right_are_rejected_when_the_dag_is_parsed(arguments, reason):
    with pytest.raises(IntacctArgumentError, match=reason):
        IntacctChangeTrigger(**{"object_name": CUSTOMER, **arguments})


@pytest.mark.parametrize("fields", [{"id", "name"}, frozenset({"id"}), {"id": "ID"}])
def test_fields_without_an_order_that_lasts_are_refused(fields):
    with pytest.raises(IntacctArgumentError, match="fields must be a list of names"):
        IntacctChangeTrigger("accounts-receivable/customer", fields=fields)
