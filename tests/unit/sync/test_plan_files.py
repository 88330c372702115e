"""Where plans are: which content is read, and which file is never overwritten."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath
from airflow.sdk.io import attach
from fsspec.implementations.memory import MemoryFileSystem
from hypothesis import given
from hypothesis import strategies as st
from sync_plans import create, plan, rich, update

from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.sync.plan import Plan
from intacct_provider.sync.plan_files import list_plan_files, parse_reference, read_plan, save_plan

CONTENT = rich().to_json()


@given(place=st.integers(0, len(CONTENT) - 1), bits=st.integers(1, 255))
def test_a_plan_with_one_other_byte_is_refused(place, bits):
    changed = bytearray(CONTENT)
    changed[place] ^= bits
    for approved in (None, rich().digest):
        with pytest.raises(IntacctArgumentError):
            Plan.from_json(bytes(changed), sha256=approved)


def list_members(value, path=()):
    """Return the path of each member of a JSON document."""
    members = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    return [found for name, one in members for found in [(*path, name), *list_members(one, (*path, name))]]


MEMBERS = list_members(json.loads(CONTENT))


@given(
    path=st.sampled_from(MEMBERS),
    value=st.none() | st.booleans() | st.integers() | st.text(),
    remove=st.booleans(),
)
def test_a_plan_with_one_other_member_is_refused(path, value, remove):
    document = json.loads(CONTENT)
    owner = document
    for name in path[:-1]:
        owner = owner[name]
    if remove:
        del owner[path[-1]]
    elif owner[path[-1]] == value and type(owner[path[-1]]) is type(value):
        return
    else:
        owner[path[-1]] = value
    changed = (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()
    for approved in (None, rich().digest):
        with pytest.raises(IntacctArgumentError):
            Plan.from_json(changed, sha256=approved)


def test_the_file_carries_the_digest_and_numbers_keep_it():
    made = plan(update("A", name=("x", 1e22), rate=(0.1, 1e-7)))
    assert json.loads(made.to_json())["sha256"] == made.digest
    assert Plan.from_json(made.to_json(), sha256=made.digest).digest == made.digest


@pytest.mark.parametrize(
    "change",
    [
        lambda made: replace(made, breaches=()),
        lambda made: replace(made, steps=made.steps[:1]),
        lambda made: replace(made, origin="another run"),
    ],
)
def test_another_plan_is_refused_and_both_digests_named(tmp_path, change):
    approved = replace(rich(), breaches=("too many",))
    other = change(approved)
    path = f"file://{tmp_path}/p.json"
    ObjectStoragePath(path).write_bytes(other.to_json())
    with pytest.raises(IntacctArgumentError) as caught:
        read_plan(path, approved.digest)
    for text in (path, approved.digest, other.digest, "Nothing was written"):
        assert text in str(caught.value)


def test_a_changed_plan_is_refused_without_an_approval_too(tmp_path):
    path = f"file://{tmp_path}/p.json"
    ObjectStoragePath(path).write_bytes(CONTENT.replace(b"Key accounts", b"Key Accounts"))
    with pytest.raises(IntacctArgumentError, match="was changed after it was written") as caught:
        read_plan(path, None)
    assert rich().digest in str(caught.value)
    assert path in str(caught.value)


@pytest.mark.parametrize("protocol", ["file", "memory"])
def test_a_plan_of_another_run_is_not_overwritten(tmp_path, protocol):
    if protocol == "memory":
        attach("memory", fs=MemoryFileSystem())
    path = ObjectStoragePath(f"{protocol}://{tmp_path}/groups.plan.json")
    first, second = plan(create("A"), origin="run 1"), plan(create("B"), origin="run 2")
    assert save_plan(path, first) == path
    own = save_plan(path, second)
    assert own.name == f"groups.plan.{second.digest[:12]}.json"
    assert path.read_bytes() == first.to_json()
    assert own.read_bytes() == second.to_json()
    assert save_plan(path, second) == own, "another attempt"
    assert set(list_plan_files(path)) == {path, own}
    later = plan(create("C"), origin="run 1")
    assert save_plan(path, later) == path, "a run may make its own plan again"
    assert path.read_bytes() == later.to_json()


def test_a_plan_whose_run_is_unknown_is_nobodys_to_overwrite(tmp_path):
    path = ObjectStoragePath(f"file://{tmp_path}/p.json")
    save_plan(path, plan(create("A")))
    assert save_plan(path, plan(create("B"))) != path
    assert save_plan(path, plan(create("A"))) == path


def test_a_file_that_is_not_a_plan_is_not_overwritten(tmp_path):
    path = ObjectStoragePath(f"file://{tmp_path}/p.json")
    path.write_bytes(b'[{"id": "A"}]')
    assert save_plan(path, rich()) != path
    assert path.read_bytes() == b'[{"id": "A"}]'


DIGEST = rich().digest


def test_what_names_a_plan():
    result = {"plan": "s3://b/p.json", "sha256": DIGEST, "page": "p", "changed": True}
    assert parse_reference(result, None) == ("s3://b/p.json", DIGEST)
    assert parse_reference(result, DIGEST) == ("s3://b/p.json", DIGEST)
    assert parse_reference("/plans/p.json", f" {DIGEST.upper()} ") == ("/plans/p.json", DIGEST)
    assert parse_reference("/plans/p.json", None) == ("/plans/p.json", None)


@pytest.mark.parametrize(
    ("plan", "sha256", "text"),
    [
        ("None", None, "plan is 'None'"),
        ("", None, "plan is ''"),
        (None, None, "plan is None"),
        ("{'plan': 'p.json'}", None, r"plan=plan_task\.output"),
        ({"sha256": DIGEST}, None, "needs a plan_path"),
        ({"plan": "/plans/p.json"}, None, "sha256 of plan must be"),
        ({"plan": "/plans/p.json", "sha256": DIGEST}, "0" * 64, "plan_sha256 is 0000"),
        ("/plans/p.json", "", "plan_sha256 must be"),
        ("/plans/p.json", "None", "plan_sha256 must be"),
        ("/plans/p.json", "abc", "plan_sha256 must be"),
    ],
)
def test_what_does_not_name_a_plan(plan, sha256, text):
    with pytest.raises(IntacctArgumentError, match=text):
        parse_reference(plan, sha256)
