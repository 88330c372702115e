"""The filters of what events of the change trigger are about."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from intacct_provider.assets.changes import build_change_filters
from intacct_provider.exceptions import IntacctArgumentError

CUSTOMER, MODIFIED = "accounts-receivable/customer", "audit.modifiedDateTime"


def event(lower, upper, object_name=CUSTOMER, **more):
    payload = {"object": object_name, "field": MODIFIED, "lower": lower, "upper": upper}
    return SimpleNamespace(extra={"from_trigger": True, "payload": payload | more})


def test_one_window_is_made_of_all_events_by_time_and_not_by_text():
    events = [
        event("2026-06-30T12:00:01Z", "2026-06-30T12:05:00Z"),
        event("2026-06-30T12:00:01.500000Z", "2026-06-30T12:05:00.500000Z"),
    ]
    assert build_change_filters(events) == [
        {"$gte": {MODIFIED: "2026-06-30T12:00:01Z"}},
        {"$lte": {MODIFIED: "2026-06-30T12:05:00.500000Z"}},
    ]


def test_other_events_are_ignored():
    other = [
        {"extra": {}},
        {"extra": None},
        {"extra": {"payload": "text"}},
        SimpleNamespace(extra={"rows": 3}),
    ]
    assert build_change_filters(other) == []
    assert len(build_change_filters([*other, event("2026-06-30T12:00:01Z", "2026-06-30T12:00:02Z")])) == 2


def test_events_of_different_objects_are_rejected():
    one, other = (event("2026-06-30", "2026-06-30", name) for name in (CUSTOMER, "accounts-payable/vendor"))
    with pytest.raises(IntacctArgumentError, match="about different things"):
        build_change_filters([one, other])
