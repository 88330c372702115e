"""Lists taken out of records: every element is a row, once, and nothing else of a record changes."""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intacct_provider.client.paging.pages import Page
from intacct_provider.exceptions import IntacctColumnError
from intacct_provider.export.schema.columns import REST, detail_columns
from intacct_provider.export.schema.element_models import (
    Element,
    find_element_objects,
    find_owner,
    read_element_models,
)
from intacct_provider.export.schema.lists import (
    count_elements,
    join_columns,
    split_columns,
    split_page,
)

INVOICE, LINE, TAX = "receivable/invoice", "receivable/invoice-line", "receivable/tax-entry"
MODEL = {
    "fields": {"key": {"type": "string"}, "position": {"type": "integer"}},
    "groups": {
        "restrictions": {"fields": {"kind": {}}, "lists": {"places": {"type": "string"}}},
        "only": {"lists": {"oldLines": {"apiObject": f"objects/{LINE}"}}},
    },
    "lists": {"lines": {"apiObject": f"objects/{LINE}"}, "free": {"type": "object"}},
}
MODELS = {
    LINE: {
        "type": "ownedObject",
        "fields": {"key": {}, "position": {"type": "string"}, "parent_key": {}},
        "refs": {"invoice": {"apiObject": INVOICE, "isOwner": True}, "reversed": {"apiObject": INVOICE}},
        "lists": {"taxes": {"apiObject": f"objects/{TAX}"}},
    },
    TAX: {
        "type": "ownedObject",
        "fields": {"rate": {"type": "number"}},
        "lists": {"lines": {"apiObject": LINE}},
    },
}
ELEMENT = Element(LINE, "invoice", (("lines",), ("only", "oldLines")))
COLUMNS, LISTS = split_columns(detail_columns(MODEL, lambda path: MODELS.get(path, {})), [ELEMENT])
BY_NAME = {one.name: one for one in LISTS}


def split(*records):
    """Return the records without their lists, and the rows of each list."""
    records = [{"key": str(n), **record} for n, record in enumerate(records)]
    page, parts = split_page(Page(records, keys=[record["key"] for record in records]), LISTS)
    return page.rows, {one.name: part for one, part in zip(LISTS, parts, strict=True)}


def test_lists_leave_the_columns_of_records_and_so_do_groups_of_lists_only():
    assert [column.name for column in COLUMNS] == ["key", "position", "restrictions", REST]
    assert [member.name for member in COLUMNS[2].members] == ["kind"]
    assert sorted(BY_NAME) == ["free", "lines", "only.oldLines", "restrictions.places"]


def test_the_rows_of_a_list_begin_with_the_key_of_the_record_and_the_position():
    found = {name: [column.name for column in one.columns] for name, one in BY_NAME.items()}
    own = ["parent_key", "position"]
    lines = [*own, "key", "parent_key_", "position_", "invoice", "reversed", "taxes", REST]
    assert found == {
        "lines": lines,
        "only.oldLines": lines,
        "restrictions.places": [*own, "item"],
        "free": [*own, "item"],
    }
    assert [column.type for column in BY_NAME["lines"].columns[:2]] == ["string", "integer"]
    assert BY_NAME["free"].columns[-1].type == "json"


def test_lists_within_lists_stay_in_their_rows_with_the_types_of_their_models():
    [taxes] = [column for column in BY_NAME["lines"].columns if column.name == "taxes"]
    [rate, *_] = taxes.members[0].members
    assert (taxes.type, rate.name, rate.type) == ("list", "rate", "decimal")


def test_every_element_is_a_row():
    records, rows = split(
        {"lines": [{"key": "a", "position": "x"}, None, "odd"], "restrictions": {"kind": 1, "places": ["L"]}},
        {"lines": None, "only": {"oldLines": [{"key": "b"}]}},
        {"restrictions": None, "free": [{"a": [1]}, 2]},
    )
    assert rows["lines"].rows == [
        {"parent_key": "0", "position": 0, "key": "a", "position_": "x"},
        {"parent_key": "0", "position": 1},
        {"parent_key": "0", "position": 2, "item": "odd"},
    ]
    assert rows["lines"].keys == ["0", "0", "0"]
    assert rows["only.oldLines"].rows == [{"parent_key": "1", "position": 0, "key": "b"}]
    assert rows["restrictions.places"].rows == [{"parent_key": "0", "position": 0, "item": "L"}]
    assert [row["item"] for row in rows["free"].rows] == [{"a": [1]}, 2]
    assert records == [
        {"key": "0", "restrictions": {"kind": 1}},
        {"key": "1", "only": {}},
        {"key": "2", "restrictions": None},
    ]


@pytest.mark.parametrize("value", [{}, "text", 0, False])
def test_what_is_no_list_is_refused_by_name(value):
    with pytest.raises(IntacctColumnError, match=r"'only\.oldLines' of record 0 is a"):
        split({"only": {"oldLines": value}})


elements = st.sampled_from([None, 7, {}, {"key": "a"}, {"position": 1, "x": [2]}])
some = st.lists(elements, max_size=3) | st.none()
sometimes = st.fixed_dictionaries(
    {},
    optional={
        "lines": some,
        "free": some,
        "name": st.sampled_from("ab"),
        "restrictions": st.none() | st.fixed_dictionaries({"kind": st.just("k")}, optional={"places": some}),
        "only": st.fixed_dictionaries({}, optional={"oldLines": some}),
    },
)


@given(st.lists(sometimes, max_size=4))
def test_records_and_rows_together_are_what_was_sent(records):
    sent = copy.deepcopy(records)
    own, rows = split(*records)
    assert records == sent, "what was read is not changed"
    assert sum(len(part) for part in rows.values()) == sum(map(count_all, records))
    lines = dict.fromkeys(map(str, range(len(records))), 0)
    for name in ("lines", "only.oldLines"):
        for key in rows[name].keys:
            lines[key] += 1
    assert list(lines.values()) == [count_elements(record, ELEMENT) for record in records]
    assert [row.get("name") for row in own] == [record.get("name") for record in records]
    assert not any(count_all(row) for row in own)


def count_all(value):
    """Return how many elements the lists of a value have, those in groups included."""
    if isinstance(value, dict):
        return sum(map(count_all, value.values()))
    return len(value) if isinstance(value, list) else 0


def test_columns_of_lists_count_as_columns_when_exports_are_compared():
    joined = join_columns(COLUMNS, LISTS)
    assert joined[: len(COLUMNS)] == COLUMNS
    assert [(one.name, one.type) for one in joined[len(COLUMNS) :]] == [(one.name, "list") for one in LISTS]


# --- what the elements are


class Models:
    """A client as far as models go."""

    def __init__(self):
        self.asked = []

    def models(self, names):
        self.asked.append(names)
        return {name: MODELS[name] for name in names if name in MODELS}


def test_models_are_asked_for_once_for_each_level_whatever_refers_back():
    client = Models()
    assert read_element_models(client, MODEL) == MODELS
    assert client.asked == [[LINE], [TAX]]


def test_standalone_records_are_not_asked_for():
    client = Models()
    model = {"lists": {"groupMembers": {"apiObject": "objects/accounts-receivable/customer"}}}
    assert read_element_models(client, model) == {}
    assert client.asked == []


def test_lists_are_found_in_groups_and_references():
    assert find_element_objects(MODEL) == {"lines": LINE, "only.oldLines": LINE}


@pytest.mark.parametrize(
    ("refs", "owner"),
    [
        ({"a": {"apiObject": f"objects/{INVOICE}"}, "b": {"apiObject": "x/y", "isOwner": True}}, "a"),
        ({"a": {"apiObject": INVOICE}, "b": {"apiObject": INVOICE, "isOwner": True}}, "b"),
        ({"a": {"apiObject": INVOICE}, "b": {"apiObject": INVOICE}}, ""),
        ({"a": {"apiObject": INVOICE, "isOwner": True}, "b": {"apiObject": INVOICE, "isOwner": True}}, ""),
        ({"a": {"apiObject": "x/y"}}, ""),
        ([], ""),
    ],
)
def test_the_owner_is_the_reference_that_the_model_marks_or_the_only_one(refs, owner):
    assert find_owner({"refs": refs}, INVOICE) == owner
