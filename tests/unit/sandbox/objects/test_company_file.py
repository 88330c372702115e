"""A company file is read whole, or refused with the object, the field and what is wrong with it."""

import copy
import json

import pytest
from companies import MACHINE, RECORDED, company, field, machines, model, reference

from intacct_provider.sandbox.objects.company_file import CompanyFileError, load


def test_a_file_and_its_content_are_the_same_company(tmp_path):
    path = tmp_path / "company.json"
    path.write_text(json.dumps(machines()), encoding="utf-8")
    assert load(path) == load(str(path)) == load(machines())
    assert list(load(path).objects) == list(machines()["objects"])


def test_the_recorded_models_are_read_with_their_groups_and_references():
    customer = load(RECORDED).objects["accounts-receivable/customer"]
    contact, below = customer.maps.groups["contacts"].refs["default"]
    assert contact.api_object == "company-config/contact"
    assert below.groups["mailingAddress"].fields["country"].default == "US"
    assert customer.maps.lists["contactList"].api_object == "accounts-receivable/customer-contact"
    assert load(RECORDED).objects["general-ledger/account"].maps.lists == {}


def test_entities_and_counts_are_read():
    content = company(entities=["100", "200"], **{MACHINE: model(MACHINE)})
    content["objects"][MACHINE]["count"] = 7
    found = load(content)
    assert (found.entities, found.objects[MACHINE].count) == (("100", "200"), 7)


def broken(path, value):
    """Return the machines with another value at a path."""
    content = copy.deepcopy(machines())
    *groups, last = path
    at = content
    for name in groups:
        at = at[name]
    at[last] = value
    return content


MODEL = ("objects", MACHINE, "model")


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        (("format",), "intacct-company/9", "format must be 'intacct-company/1', not 'intacct-company/9'"),
        (("objects",), [], '"objects" must be an object'),
        (("entities",), ["US"], '"entities" must be an array of objects with an "id"'),
        (("objects", "machine"), {}, "'machine' is not the path of an object"),
        (MODEL, None, f'{MACHINE}: it needs a "model"'),
        (("objects", MACHINE, "count"), "many", f"{MACHINE}: \"count\" must be a number or null, not 'many'"),
        ((*MODEL, "fields"), "x", f"{MACHINE}: 'fields' must be an object"),
        (
            (*MODEL, "fields", "price"),
            field("strng"),
            f"{MACHINE}, field price: the type 'strng' is not known; did you mean 'string'?",
        ),
        (
            (*MODEL, "groups", "warranty", "fields", "until", "readOnly"),
            "yes",
            f"{MACHINE}, field warranty.until: Expected `bool`, got `str` - at `readOnly`",
        ),
        ((*MODEL, "fields", "price"), "money", f"{MACHINE}, field price: it must be described by an object"),
        ((*MODEL, "fields", "a.b"), field(), f"{MACHINE}: 'a.b' cannot be the name of a field"),
        ((*MODEL, "refs", "plant"), {"fields": {}}, f'{MACHINE}, reference plant: it needs an "apiObject"'),
        ((*MODEL, "fields", "a\tb"), field(), f"{MACHINE}: 'a\\tb' cannot be the name of a field"),
        (
            (*MODEL, "refs", "price"),
            reference(MACHINE),
            f"{MACHINE}: 'price' is both a field and a reference",
        ),
        (
            (*MODEL, "fields", "price", "readonly"),
            True,
            "price: 'readonly' is unknown; did you mean 'readOnly'?",
        ),
        (
            (*MODEL, "refs", "plant", "apiobject"),
            "a/b",
            "plant: 'apiobject' is unknown; did you mean 'apiObject'?",
        ),
        ((*MODEL, "lists", "id"), {}, f"{MACHINE}: 'id' must be a field, not a list"),
        (("objects", MACHINE, "cuont"), 5, f"{MACHINE}: 'cuont' is unknown; did you mean 'count'?"),
        (("entites",), [], "the file: 'entites' is unknown; did you mean 'entities'?"),
        (
            ("format",),
            "intacct-company/0",
            "another version of the provider wrote: capture the company again",
        ),
        ((*MODEL, "lists", "parts"), {"apiObject": 5}, f"{MACHINE}, list parts: Expected `str`, got `int`"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(path, value, says):
    with pytest.raises(CompanyFileError) as caught:
        load(broken(path, value))
    assert says in str(caught.value)
    assert str(caught.value).startswith("the company: ")


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(
        CompanyFileError, match=r"the company file .*none\.json: it cannot be read: No such file"
    ):
        load(tmp_path / "none.json")
    (tmp_path / "half.json").write_text('{"format": ', encoding="utf-8")
    with pytest.raises(CompanyFileError, match="it is not valid JSON"):
        load(tmp_path / "half.json")
