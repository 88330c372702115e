"""Nothing clears a field by accident."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intacct_provider.sync.desired.sources import Layout, read_desired_file, read_desired_records

NAN = float("nan")


class NAType:
    """Like ``pandas.NA``: comparing it says nothing."""

    def __ne__(self, other):
        return self

    def __bool__(self):
        raise TypeError("boolean value of NA is ambiguous")

    __hash__ = None


class NaTType:
    """Like ``pandas.NaT``."""

    def __ne__(self, other):
        return True

    __hash__ = None


def take(record, **kwargs):
    [found] = read_desired_records([record], Layout(match_on="id"), source="x", **kwargs).records
    return found


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ({"id": None}, {}),
        ({"id": None, "key": "7"}, {"term": {"key": "7"}}),
        ({"a": {"b": None, "c": {"d": None}}}, {}),
        ({"a": {"b": None, "c": 1}}, {"term": {"a": {"c": 1}}}),
        ([{"id": "A", "memo": None}], {"term": [{"id": "A"}]}),
        ([{"id": "A", "dept": {"id": None}}], {"term": [{"id": "A"}]}),
        ({"filters": [{"$eq": {"a": None}}], "e": None}, {"term": {"filters": [{"$eq": {"a": None}}]}}),
        ({"id": NAN}, {}),
    ],
)
def test_a_null_inside_a_value_leaves_it_alone_wherever_it_comes_from(value, kept):
    wanted = {"id": "A", **kept}
    assert take({"id": "A", "term": value}) == wanted
    assert take({"id": "A", "term": value}, table=True) == wanted
    if value != {"id": NAN}:
        data = json.dumps([{"id": "A", "term": value}]).encode()
        assert read_desired_file("x.json", data, Layout(match_on="id")).records == (wanted,)
        assert read_desired_file("x.yaml", data, Layout(match_on="id")).records[0].keys() == wanted.keys()


@pytest.mark.parametrize("empty", [NAN, Decimal("NaN"), Decimal("sNaN"), NAType(), NaTType()])
@pytest.mark.parametrize("table", [False, True])
def test_markers_of_data_frames_are_empty(empty, table):
    assert take({"id": "A", "name": empty, "term.id": empty}, table=table) == {"id": "A"}


def test_a_null_of_the_record_itself_clears():
    record = {"id": "A", "name": None, "term": None, "parent.id": None}
    wanted = {"id": "A", "name": None, "term": None, "parent": {"id": None}}
    assert take(record) == wanted
    assert take(record, table=True) == {"id": "A"}


def test_a_marker_in_a_table_clears_a_member():
    text = "id;term.id;name\nA;(none);-\nB;;x\n"
    layout = Layout(match_on="id", null_markers=["(none)", "-"])
    first, second = read_desired_file("x.csv", text.encode(), layout).records
    assert first == {"id": "A", "term": {"id": None}, "name": None}
    assert second == {"id": "B", "name": "x"}


def test_a_rejected_record_keeps_the_nulls_that_clear():
    line = b'{"id": "A", "term": {"id": null}, "_reject": {"problems": []}}'
    assert read_desired_file("x.jsonl", line, Layout(match_on="id")).records == (
        {"id": "A", "term": {"id": None}},
    )


@given(
    st.recursive(
        st.none() | st.integers(),
        lambda inner: (
            st.dictionaries(st.sampled_from("abc"), inner, max_size=3) | st.lists(inner, max_size=2)
        ),
        max_leaves=8,
    )
)
def test_random_nested_nulls_never_clear(value):
    def nulls(item):
        if isinstance(item, dict):
            return any(inner is None or nulls(inner) for inner in item.values())
        return isinstance(item, list) and any(map(nulls, item))

    found = take({"id": "A", "x": value})
    assert ("x" in found and found["x"] is None) == (value is None)
    assert not nulls({name: item for name, item in found.items() if item is not None})
