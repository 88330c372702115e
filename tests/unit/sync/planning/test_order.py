"""In which order records are written that refer to each other."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.sync.object_facts import find_self_references, has_owned_lists
from intacct_provider.sync.planning.order import assign_levels, find_references

CUSTOMER = "accounts-receivable/customer"
GROUP = "general-ledger/account-group"


def ref(api_object):
    return {"apiObject": api_object, "fields": {"key": {}, "id": {}}}


def test_levels_count_the_longest_way_down():
    needs = {"d": ["b", "c"], "c": ["b"], "b": ["a"], "a": [], "e": ["nobody"]}
    assert assign_levels(needs) == {"a": 0, "b": 1, "c": 2, "d": 3, "e": 0}


def test_a_chain_of_ten_thousand_is_no_trouble():
    needs = {str(n): [str(n + 1)] for n in range(10_000)}
    assert assign_levels(needs)["0"] == 9_999


@pytest.mark.parametrize(
    ("needs", "way"),
    [
        ({"a": ["a"]}, "'a' -> 'a'"),
        ({"a": ["b"], "b": ["a"]}, "'a' -> 'b' -> 'a'"),
        ({"x": ["a"], "a": ["b"], "b": ["c"], "c": ["a"]}, "'a' -> 'b' -> 'c' -> 'a'"),
    ],
)
def test_a_circle_is_named(needs, way):
    with pytest.raises(IntacctArgumentError) as caught:
        assign_levels(needs, cycles="Records of x")
    assert f"Records of x refer to each other in a cycle ({way})" in str(caught.value)
    assert set(assign_levels(needs)) == set(needs)


NEEDS = st.dictionaries(st.sampled_from("abcdefgh"), st.lists(st.sampled_from("abcdefgh"), max_size=3))


@settings(derandomize=True, deadline=None, max_examples=300)
@given(NEEDS)
def test_a_record_is_always_above_what_it_needs_or_there_is_a_circle(needs):
    try:
        found = assign_levels(needs, cycles="Records")
    except IntacctArgumentError as error:
        *_, way = str(error).partition("(")
        names = way.partition(")")[0].replace("'", "").split(" -> ")
        assert names[0] == names[-1]
        assert all(below in needs[above] for above, below in pairwise(names))
        return
    for name, others in needs.items():
        inner = [other for other in others if other in needs]
        assert found[name] == max((found[other] + 1 for other in inner), default=0)


def test_references_to_the_object_itself_come_from_the_model():
    model = {
        "fields": {},
        "refs": {"parent": ref(CUSTOMER), "term": ref("accounts-receivable/term")},
        "groups": {"links": {"refs": {"main": ref(f"objects/{CUSTOMER}")}, "groups": []}},
    }
    assert find_self_references(model, CUSTOMER) == ("parent", "links.main")
    assert find_self_references({"refs": [], "groups": []}, CUSTOMER) == ()


@pytest.mark.parametrize(
    ("record", "found"),
    [
        ({"parent": {"id": "C-1"}}, {"C-1"}),
        ({"parent.id": "C-1", "parent.key": "7"}, {"C-1", "key:7"}),
        ({"parent": {"id": None, "key": None}}, set()),
        ({"term": {"id": "N30"}, "id": "C-1"}, set()),
        ({"contactList": [{"customer": {"key": "3"}, "contact": {"id": "x"}}]}, {"key:3"}),
    ],
)
def test_what_a_customer_refers_to(record, found):
    assert find_references(record, CUSTOMER, ("parent",)) == found


def test_what_an_account_group_refers_to_is_in_its_lists():
    record = {
        "accountGroupMembers": [{"accountGroup": {"id": "A"}}, {"accountGroup.id": "B"}],
        "accountGroupComputation": [
            {"formulaLeft": {"glAccountGroup": {"id": "L"}, "glAccount": {"id": "1000"}}, "constant": "5"}
        ],
        "accountGroupPurpose": {"id": "Reporting"},
        "accountRanges": ["odd"],
    }
    assert find_references(record, GROUP, ()) == {"A", "B", "L"}


def test_only_objects_that_own_records_refer_in_lists():
    assert has_owned_lists({"lists": {"m": {"apiObject": f"{GROUP}-member"}}}, GROUP)
    assert not has_owned_lists({"lists": {"groupMembers": {"apiObject": CUSTOMER}}}, f"{CUSTOMER}-group")
    assert not has_owned_lists({"lists": []}, GROUP)
