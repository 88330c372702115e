"""Paths lead to the object and the records that were named, and nowhere else."""

import pytest

from intacct_provider.client.paths import check_key, collection_path, record_path
from intacct_provider.exceptions import IntacctArgumentError

CUSTOMER = "accounts-receivable/customer"
NO_KEYS = [
    "",
    " ",
    "1,2",
    "..",
    ".",
    ".. ",
    "../1",
    "1/../2",
    "a/b",
    "a\\b",
    "%2e%2e",
    "1%2F2",
    "1?x=1",
    "1#",
    "1\n",
    "\x00",
]
NO_KEYS += ["1\u2028", "\ud800"]


@pytest.mark.parametrize("key", NO_KEYS)
def test_what_leads_elsewhere_is_no_key(key):
    for check in (lambda: record_path(CUSTOMER, ["1", key]), lambda: check_key(key)):
        with pytest.raises(IntacctArgumentError, match="look the key up with client"):
            check()


@pytest.mark.parametrize("key", ["007", "1.0", "1_0", "x", "-1", " 5 ", "٣", "²", "+1"])
def test_keys_other_than_plain_digits_are_only_taken_from_intacct(key):
    with pytest.raises(IntacctArgumentError, match="key must be a record's key, such as '24', not"):
        check_key(key)
    assert record_path(CUSTOMER, [key]).startswith(f"/objects/{CUSTOMER}/")


@pytest.mark.parametrize("key", [None, True, 1.5, -1, [], ["1"], {}, b"1"])
def test_what_is_no_text_is_no_key(key):
    with pytest.raises(IntacctArgumentError, match="look the key up with client"):
        check_key(key)


@pytest.mark.parametrize("key", ["0", "24", 24, "9" * 30])
def test_plain_digits_are_keys(key):
    assert record_path(CUSTOMER, [check_key(key), "1"]) == f"/objects/{CUSTOMER}/{key},1"


@pytest.mark.parametrize("key", ["..", None, "", "1/2", "1,2", "007", "%31"])
def test_nothing_is_sent_for_what_is_no_key(intacct, key):
    client = intacct.client()
    for act in (
        lambda: client.get(CUSTOMER, key),
        lambda: client.update(CUSTOMER, key, {"name": "x"}),
        lambda: client.delete(CUSTOMER, key),
    ):
        with pytest.raises(IntacctArgumentError):
            act()
    assert intacct.calls() == []


@pytest.mark.parametrize(
    "name",
    [
        "a/..", "a/.", "a/...", "a/.. ", "a/..\\x", "a/b\\..", "a/b%2f..", "../a", "a/../b", "a/b/c", "a//b", "a/b\n",
        "a/b\x00", "a/\u2028", "a/b\u202e", "a/\ud800", "a/b?x", "a/b#x", "a/ b", "a/",
    ],
)  # fmt: skip
def test_what_leads_elsewhere_is_no_object(intacct, name):
    with pytest.raises(IntacctArgumentError, match="must be an object's path"):
        collection_path(name)
    with pytest.raises(IntacctArgumentError, match="must be an object's path"):
        intacct.client().list(name)
    assert intacct.calls() == []


@pytest.mark.parametrize(
    "path", ["/objects/../services/x", "/objects/a/b/..", "/objects/a/%2e%2E/b", "/objects/a\\..\\b"]
)
def test_a_part_of_a_composite_call_leads_nowhere_else(intacct, path):
    with pytest.raises(IntacctArgumentError, match="must not lead elsewhere"):
        intacct.client().composite([{"method": "GET", "path": path}] * 2)
    assert intacct.calls() == []


def test_the_message_about_a_long_key_is_short():
    # Not parameters, since Python writes no number of 5,000 digits.
    for key in ("9" * 5000, 10**5000, "x" * 5000):
        with pytest.raises(IntacctArgumentError) as caught:
            check_key(key)
        assert len(str(caught.value)) < 400
