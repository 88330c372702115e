"""Forms of values: what they show, and that they are not the values."""

import re

import pytest

from intacct_provider.capture.forms import describe_forms, describe_pattern
from intacct_provider.client.model import read_fields

MODEL = {
    "fields": {
        "key": {"type": "string"},
        "name": {"type": "string"},
        "status": {"type": "string", "enum": ["active", "inactive"]},
        "start": {"type": "string", "format": "date"},
        "limit": {"type": "number"},
    }
}
FIELDS = read_fields(MODEL)


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("C-00042", r"[A-Z]{1}\-[0-9]{5}"),
        ("Acme Ltd.", r"[A-Z]{1}[a-z]{3}\ [A-Z]{1}[a-z]{2}\."),
        ("1234.50", r"[0-9]{4}\.[0-9]{2}"),
        ("Ärger", "[A-Z]{1}[a-z]{4}"),
        ("名前", "[a-z]{2}"),
        ("a#b", "[a-z]{1}.{1}[a-z]{1}"),
    ],
)
def test_a_pattern_shows_the_kinds_of_characters(text, pattern):
    assert describe_pattern(text) == pattern
    re.compile(pattern)


def test_forms_are_lengths_patterns_and_shares_of_nulls():
    rows = [{"key": str(number), "name": f"AB-{number}", "limit": None} for number in range(10, 13)]
    rows.append({"key": "13", "name": None, "limit": 4})
    assert describe_forms(FIELDS, rows) == {
        "key": {"nulls": 0.0, "lengths": [2, 2], "patterns": ["[0-9]{2}"]},
        "name": {"nulls": 0.25, "lengths": [5, 5], "patterns": [r"[A-Z]{2}\-[0-9]{2}"]},
        "limit": {"nulls": 0.75},
    }


def test_the_form_of_one_value_alone_is_not_shown():
    [found] = describe_forms(FIELDS, [{"name": "Only-1"}, {"name": "other"}]).values()
    assert found == {"nulls": 0.0, "lengths": [5, 6], "patterns": []}


def test_dates_and_values_of_enumerations_have_the_form_of_their_model():
    rows = [{"status": "active", "start": "2026-01-01"}] * 2
    assert describe_forms(FIELDS, rows) == {"status": {"nulls": 0.0}, "start": {"nulls": 0.0}}


def test_without_rows_there_are_no_forms():
    assert describe_forms(FIELDS, []) == {}
