"""The plan as a document: what is in the file, and what is not a plan."""

from __future__ import annotations

import json

import pytest
from sync_plans import create, plan, rich, update

from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.sync.plan import Plan


def test_a_plan_is_readable_json_with_a_version():
    document = json.loads(rich().to_json())
    assert document["version"] == "3"
    assert document["plan"]["steps"][1]["changes"][0] == {
        "path": "name",
        "old": "Key acounts",
        "new": "Key accounts",
    }
    assert b"\n  " in rich().to_json()
    assert rich().to_json().endswith(b"}\n")


def test_a_plan_is_read_as_it_was_written():
    assert Plan.from_json(rich().to_json()) == rich()


def test_equal_plans_have_one_digest_and_others_another():
    assert rich().digest == rich().digest
    assert len(rich().digest) == 64
    assert plan(origin="a").digest != plan(origin="b").digest


def test_counts_and_what_is_touched():
    made = plan(create("A"), create("B"), update("C"))
    assert made.counts == {"create": 2, "update": 1}
    assert made.counts["delete"] == 0
    assert made.touched == {"A", "B", "C"}
    assert plan().is_empty
    assert not made.is_empty


@pytest.mark.parametrize(
    ("data", "parts"),
    [
        (b'{"version": "1", "plan": {"new": 1}}', ["version '1'", "reads version '3'", "Make the plan again"]),
        (b'{"version": "3"}', ["not a sync plan", "plan"]),
        (b'{"version": "3", "plan": {"object_name": "x"}}', ["not a sync plan", "missing required field", "$.plan"]),
        (b"[]", ["not a sync plan"]),
        (b"secret", ["not a sync plan"]),
        (b'{"version": "\xff"}', ["not a sync plan"]),
        (b"", ["not a sync plan"]),
    ],
)  # fmt: skip
def test_what_is_not_a_plan_is_refused(data, parts):
    with pytest.raises(IntacctArgumentError) as caught:
        Plan.from_json(data)
    for part in parts:
        assert part in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "place"), [("mirror", "mirrr", "mode"), ("create", "crate", "action")]
)
def test_a_plan_with_an_unknown_word_is_refused(old, new, place):
    data = rich().to_json().replace(f'"{old}"'.encode(), f'"{new}"'.encode())
    with pytest.raises(IntacctArgumentError, match=rf"not a sync plan.*\$\.plan\..*{place}"):
        Plan.from_json(data)


def test_a_plan_of_a_release_before_is_refused_since_it_does_not_say_what_is_protected():
    with pytest.raises(IntacctArgumentError, match=r"has version '2'.*Make the plan again"):
        Plan.from_json(rich().to_json().replace(b'"version": "3"', b'"version": "2"'))
