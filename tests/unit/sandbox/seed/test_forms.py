"""Generated texts have the forms that a capture found, and never a value of the company."""

import re

import pytest

from intacct_provider.sandbox.seed.forms import find_null_share, shape_text


@pytest.mark.parametrize(
    ("pattern", "key", "text"),
    [
        (r"[A-Z]{1}\-[0-9]{5}", 42, "A-00042"),
        (r"[0-9]{2}\-[0-9]{3}", 12345, "12-345"),
        (r"[a-z]{2}@[a-z]{1}\.[a-z]{3}[0-9]{1}", 7, "ab@a.abc7"),
        (r"[0-9]{3}", 1000, "plain 1000"),
        ("[A-Z]{3}", 1, "plain 1"),
    ],
)
def test_the_number_of_a_record_is_in_the_digits_of_its_pattern(pattern, key, text):
    made = shape_text({"patterns": [pattern]}, "plain {}".format, unique=True)(key)
    assert made == text
    assert text.startswith("plain") or re.fullmatch(pattern, text)


def test_patterns_take_turns_and_ids_have_one():
    form = {"patterns": ["[0-9]{4}", r"[A-Z]{1}[0-9]{4}"]}
    assert [shape_text(form, str)(key) for key in (1, 2)] == ["A0001", "0002"]
    assert [shape_text(form, str, unique=True)(key) for key in (1, 2)] == ["0001", "0002"]


def test_texts_without_a_pattern_have_the_lengths():
    made = shape_text({"lengths": [6, 8]}, "text {}".format)
    assert [made(1), made(12345)] == ["text 1", "text 123"]


def test_a_share_is_known_or_not():
    assert [find_null_share({"nulls": 0.25}), find_null_share({})] == [25, None]
