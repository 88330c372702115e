"""Which keys are numbers."""

import pytest

from intacct_provider.client.keys import as_number, as_numbers


@pytest.mark.parametrize(
    ("key", "number"), [("0", 0), ("7", 7), ("1203", 1203), (24, 24), (0, 0), ("9" * 30, 10**30 - 1)]
)
def test_plain_digits_are_numbers(key, number):
    assert as_number(key) == number


@pytest.mark.parametrize(
    "key",
    [
        "", " ", "1.0", "007", "00", " 5 ", "5\n", "1_0", "+1", "-1", "1e3", "0x1", "\u0661", "\u00b2", "\uff15",
        "9" * 5000, "CUST-1", True, False, None, -1, 1.0, b"5", ["5"],
    ],
)  # fmt: skip
def test_nothing_else_is_a_number(key):
    assert as_number(key) is None


def test_keys_of_a_page_are_numbers_together():
    assert as_numbers([]) == []
    assert as_numbers(["0", "7", "1203", "9" * 30]) == [0, 7, 1203, 10**30 - 1]


@pytest.mark.parametrize(
    "key",
    ["", "1.0", "007", "00", " 5 ", "5\n", "1_0", "+1", "-1", "-0", "1e3", "\u0661", "\u00b2", "\uff15", "CUST-1"]
    + ["9" * digits for digits in (1001, 4400)] + ["None", "True"],
)  # fmt: skip
def test_one_of_them_that_is_not_a_number_is_enough(key):
    assert as_numbers(["1", key]) is None
    assert as_number(key) is None
