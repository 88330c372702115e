"""A range of keys that a task is given, checked before anything is read."""

import pytest
from msgspec import structs

from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.export.key_range import KeyRange

ONLY = {"number": 1, "of": 1, "above": None, "upto": None}
FIRST = {"number": 1, "of": 3, "above": None, "upto": "900"}
MIDDLE = {"number": 2, "of": 3, "above": "900", "upto": "1800"}
LAST = {"number": 3, "of": 3, "above": "1800", "upto": None}


@pytest.mark.parametrize("given", [ONLY, FIRST, MIDDLE, LAST])
def test_a_range_of_a_plan_is_taken_as_it_is(given):
    assert structs.asdict(KeyRange.parse(given)) == given


def test_the_names_of_its_parts_sort_as_the_ranges_do():
    labels = [KeyRange(number, 12, None, None).label for number in (1, 2, 10)]
    assert labels == sorted(labels) == ["r00001", "r00002", "r00010"]


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"number": 0}, "number"),
        ({"number": 4}, "number"),
        ({"number": "2"}, "number"),
        ({"of": None}, "number"),
        ({"above": None}, "above"),
        ({"upto": None}, "upto"),
        ({"above": 900}, "keys"),
        ({"upto": "x"}, "keys"),
        ({"above": "1800"}, "empty"),
        ({"above": "2000"}, "empty"),
        ({"extra": 1}, "IntacctKeyRangesOperator"),
    ],
)
def test_what_no_plan_has_is_refused(change, word):
    with pytest.raises(IntacctArgumentError, match=word) as refused:
        KeyRange.parse(MIDDLE | change)
    assert "key_range" in str(refused.value)


@pytest.mark.parametrize("given", [FIRST | {"above": "1"}, LAST | {"upto": "9000"}])
def test_a_plan_without_open_ends_is_refused(given):
    """It would lose what is made after it, or what is below its first key."""
    with pytest.raises(IntacctArgumentError, match="None for above of the first range"):
        KeyRange.parse(given)


@pytest.mark.parametrize("given", [None, "3", [FIRST], {"above": "1", "upto": "2"}])
def test_what_is_no_range_is_refused(given):
    with pytest.raises(IntacctArgumentError, match="IntacctKeyRangesOperator returns"):
        KeyRange.parse(given)


def test_keys_compare_as_numbers():
    assert KeyRange.parse(MIDDLE | {"above": "900", "upto": "10000"}).upto == "10000"
