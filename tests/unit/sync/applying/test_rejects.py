"""Refused records: how many are tolerated, and how they are shown and kept."""

import json
from decimal import Decimal

import pytest

from intacct_provider.client.errors import build_error
from intacct_provider.sync.applying.rejects import Reject, Tolerance, encode_rejects, format_rejects
from intacct_provider.sync.desired.sources import Layout, read_desired_file

ERROR = {
    "code": "invalidRequest",
    "message": "Payload contains errors",
    "errorId": "REST-1064",
    "supportId": "abc~1",
    "details": [{"errorId": "REST-1050", "message": "No | such\nterm", "target": "/contacts/default/id"}],
}


def reject(action="update", match="A", **record):
    return Reject(action, match, build_error(400, ERROR), record)


@pytest.mark.parametrize(
    ("refused", "limits", "accepted"),
    [
        (0, {}, True),
        (1, {}, False),
        (2, {"max_rejects": 2}, True),
        (3, {"max_rejects": 2}, False),
        (5, {"max_reject_percent": 5}, True),
        (6, {"max_reject_percent": 5}, False),
        (6, {"max_rejects": 6, "max_reject_percent": 5}, True),
        (5, {"max_rejects": 1, "max_reject_percent": 5}, True),
        (100, {"max_reject_percent": 100}, True),
    ],
)
def test_how_many_are_tolerated(refused, limits, accepted):
    assert Tolerance(**limits).allows(100, [reject()] * refused) is accepted


def test_a_line_is_a_desired_record_with_the_reason():
    [line] = encode_rejects([reject(name="New", term={"id": "N30"}, creditLimit=Decimal("1.10"))], "id")
    assert json.loads(line, parse_float=Decimal) == {
        "id": "A",
        "name": "New",
        "term": {"id": "N30"},
        "creditLimit": Decimal("1.10"),
        "_reject": {
            "action": "update",
            "status": 400,
            "code": "REST-1064",
            "message": "Payload contains errors: No | such term",
            "field": "contacts.default.id",
            "support_id": "abc~1",
        },
    }


@pytest.mark.parametrize(
    ("match_on", "record", "wanted"),
    [
        ("id", {"id": "A", "name": "x"}, {"id": "A", "name": "x"}),
        ("entity.id", {"entity": {"id": "A"}}, {"entity": {"id": "A"}}),
        ("entity.id", {"name": "x"}, {"entity": {"id": "A"}, "name": "x"}),
        ("key", {"name": "x"}, {"key": "A", "name": "x"}),
    ],
)
def test_lines_can_be_read_as_desired_records_again(match_on, record, wanted):
    lines = b"".join(encode_rejects([reject(**record)], match_on))
    assert read_desired_file("rejects.jsonl", lines, Layout(match_on=match_on)).records == (wanted,)


def test_the_table_is_one_line_for_each_and_long_ones_are_cut():
    table = format_rejects([reject(match=f"A|{n}") for n in range(60)], limit=50).splitlines()
    assert table[2].startswith(
        "| update | A\\|0 | 400 | Payload contains errors: No \\| such term [REST-1050] (HTTP 400"
    )
    assert len(table) == 2 + 50 + 1
    assert table[-1] == "10 more are not shown."
