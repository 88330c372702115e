"""Bounds: exact numbers, and arguments that cannot be right."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.triggers.bounds import describe_bounds, is_within, read_bounds

AMOUNTS = st.decimals(allow_nan=False, allow_infinity=False, places=2, min_value=-(10**15), max_value=10**15)


@given(AMOUNTS, AMOUNTS)
def test_amounts_are_compared_digit_by_digit(value, bound):
    for given_as in (bound, str(bound), f" {bound} "):
        assert is_within(value, read_bounds({"at_least": given_as}, whole=False)) == (value >= bound)
        assert is_within(value, read_bounds({"at_most": given_as}, whole=False)) == (value <= bound)
        assert is_within(value, read_bounds({"exactly": given_as}, whole=False)) == (value == bound)


def test_a_float_means_what_its_author_wrote():
    assert is_within(Decimal("0.1"), read_bounds({"exactly": 0.1}, whole=False))


def test_bounds_are_a_range():
    bounds = read_bounds({"at_least": 2, "at_most": "4", "exactly": None}, whole=True)
    assert [is_within(Decimal(n), bounds) for n in range(1, 6)] == [False, True, True, True, False]
    assert describe_bounds(bounds) == "at least 2 and at most 4"


def test_bounds_are_plain_text_for_json():
    assert read_bounds({"at_least": Decimal("1E+3")}, whole=False) == {"at_least": "1000"}
    assert read_bounds({"exactly": "3.0"}, whole=True) == {"exactly": "3"}


@pytest.mark.parametrize("argument", ["at_least", "at_most", "exactly"])
@pytest.mark.parametrize(
    "value", ["many", "", "None", True, [], "1,000", float("nan"), "inf", 1.5, -1], ids=repr
)
def test_what_is_not_a_count_is_refused(argument, value):
    with pytest.raises(IntacctArgumentError, match=rf"^{argument} must be a whole number"):
        read_bounds({argument: value}, whole=True)


@pytest.mark.parametrize("value", ["many", "", "None", False, {}, "1,000.00", float("inf"), "sNaN"], ids=repr)
def test_what_is_not_an_amount_is_refused(value):
    with pytest.raises(
        IntacctArgumentError, match=r"^exactly must be a number, best as text or Decimal, not"
    ):
        read_bounds({"exactly": value}, whole=False)


def test_at_least_0_would_always_be_met():
    with pytest.raises(IntacctArgumentError, match="at_least must be a whole number of 1 or more, not 0"):
        read_bounds({"at_least": 0}, whole=True)
    assert read_bounds({"at_most": 0}, whole=True) == {"at_most": "0"}


@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        ({"at_least": 5, "at_most": 4}, "at_least=5 is more than at_most=4"),
        ({"exactly": 5, "at_most": 9}, "exactly=5 and at_most=9: give one of them"),
    ],
)
def test_bounds_that_contradict_each_other_are_refused(bounds, message):
    with pytest.raises(IntacctArgumentError, match=message):
        read_bounds(bounds, whole=True)
