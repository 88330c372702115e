"""Which objects the patterns of a capture name."""

import pytest

from intacct_provider.capture.selection import select_named, select_objects, split_patterns
from intacct_provider.exceptions import IntacctArgumentError

KNOWN = (
    "accounts-receivable/customer",
    "accounts-receivable/customer-group",
    "general-ledger/journal-entry",
    "general-ledger/journal-entry-line",
    "platform-apps/nsp::asset_tag",
)


def test_patterns_are_separated_by_commas():
    assert split_patterns(" a/b, objects/c/* ,a/b,") == ["a/b", "c/*"]
    with pytest.raises(IntacctArgumentError, match="names no object"):
        split_patterns(" , ")


@pytest.mark.parametrize(
    ("patterns", "found"),
    [
        (["accounts-receivable/customer"], KNOWN[:1]),
        (["general-ledger/journal-entry*"], KNOWN[2:4]),
        (["platform-apps/nsp::*", "accounts-receivable/*"], (*KNOWN[:2], KNOWN[4])),
        (["*"], KNOWN),
    ],
)
def test_objects_that_match(patterns, found):
    assert select_objects(patterns, KNOWN) == list(found)


@pytest.mark.parametrize(
    ("pattern", "nearest"),
    [
        ("accounts-receivable/custmer", "'accounts-receivable/customer'"),
        ("account-receivables/*", "'accounts-receivable/*'"),
        ("general-ledger/journal-entries*", "'general-ledger/journal-entry"),
        ("Accounts-Receivable/customer", "'accounts-receivable/customer'"),
        ("xyz", 'Give --objects "*"'),
    ],
)
def test_a_pattern_without_a_match_names_the_nearest(pattern, nearest):
    with pytest.raises(IntacctArgumentError) as raised:
        select_objects(["accounts-receivable/*", pattern], KNOWN)
    assert f"No object matches {pattern!r}." in str(raised.value)
    assert nearest in str(raised.value)


def test_without_a_list_of_objects_only_full_names_can_be_used():
    assert select_named(["b/c", "a/b", "b/c"], "403") == ["a/b", "b/c"]
    with pytest.raises(IntacctArgumentError, match=r"cannot be listed \(403\), so 'a/\*' matches nothing"):
        select_named(["a/b", "a/*"], "403")
    with pytest.raises(IntacctArgumentError, match="must be an object's path"):
        select_named(["customer"], "403")
