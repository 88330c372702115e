"""What all operators share."""

import pytest

from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.operators.base import read_flag


@pytest.mark.parametrize("value", [True, "True", " true "])
def test_a_flag_is_read_as_true(value):
    assert read_flag("dry_run", value) is True


@pytest.mark.parametrize("value", [False, "False", " false "])
def test_a_flag_is_read_as_false(value):
    assert read_flag("dry_run", value) is False


@pytest.mark.parametrize("value", ["", "None", None])
def test_a_flag_that_rendered_to_nothing_means_what_the_caller_says(value):
    assert read_flag("full_refresh", value, blank=False) is False


@pytest.mark.parametrize("value", ["maybe", 1, "0", "", "None", None])
def test_other_values_of_a_flag_are_rejected(value):
    with pytest.raises(IntacctArgumentError, match=r"dry_run must be True or False, not "):
        read_flag("dry_run", value)
