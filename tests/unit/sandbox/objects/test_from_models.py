"""Objects follow from their models alone."""

import pytest
from companies import CUSTOMER, MACHINE, MAKER, PART, company, field, machines, model, recorded, reference

from intacct_provider.sandbox.objects.catalog import BUILT_IN, build_catalog
from intacct_provider.sandbox.objects.company_file import CompanyFileError, load
from intacct_provider.sandbox.objects.definitions import ListField, Ref

VENDOR = "accounts-payable/vendor"
INVOICE = "accounts-receivable/invoice"


def catalog_of(content):
    return build_catalog(load(content))


def test_a_company_without_a_file_has_the_built_in_objects():
    assert build_catalog(None) is BUILT_IN


def test_objects_of_the_file_replace_built_in_ones_and_the_others_stay():
    catalog = catalog_of(recorded())
    assert catalog.objects[CUSTOMER] is not BUILT_IN.objects[CUSTOMER]
    assert catalog.objects["accounts-receivable/term"] is BUILT_IN.objects["accounts-receivable/term"]
    assert [name for name in catalog.objects if catalog.is_described(name)] == [
        *(one for one in BUILT_IN.objects if one in recorded()["objects"]),
        *(one for one in recorded()["objects"] if one not in BUILT_IN.objects),
    ]


def test_custom_fields_and_relations_of_a_recorded_customer_are_there():
    customer = catalog_of(recorded()).objects[CUSTOMER]
    relation, leaf = customer.ref("nsp::r10007.key")
    assert (relation.target, leaf) == ("company-config/class", "key")
    assert customer.field("contacts.default.email1") is not None
    assert customer.ref("territory.name") is not None


def test_types_formats_and_flags_follow_the_model():
    machine = catalog_of(machines()).objects[MACHINE]
    assert machine.field("price").format == "decimal-precision-2"
    assert machine.field("state").enum == (None, "new", "used", "scrapped")
    assert machine.field("name").required
    assert machine.field("internalCode").read_only
    assert machine.field("action").write_only
    assert not machine.field("isLeased").nullable
    assert machine.field("serialNumber").kind == "integer"


def test_what_a_model_never_says_is_taken_from_the_built_in_object():
    customer = catalog_of(recorded()).objects[CUSTOMER]
    assert customer.field("name").required
    assert not customer.field("id").mutable


def test_a_name_that_differs_in_case_only_is_another_name_of_the_same():
    vendor = catalog_of(recorded()).objects[VENDOR]
    assert vendor.resolve("accountlabel.id") == "accountLabel.id"


def test_unknown_targets_are_stubs_and_no_part_of_the_api():
    catalog = catalog_of(machines())
    assert list(catalog.stubs) == [MAKER]
    assert catalog.stubs[MAKER].field("country") is not None
    assert MAKER not in catalog.objects
    assert MAKER not in catalog.queryable


def test_lists_of_owned_objects_of_references_and_of_values_are_told_apart():
    catalog = catalog_of(
        company(
            **{
                "x/owner": model(
                    "x/owner",
                    lists={
                        "lines": {"apiObject": "x/line"},
                        "members": {"apiObject": CUSTOMER},
                        "names": {"type": "string"},
                        "strange": {"apiObject": "x/unknown"},
                    },
                ),
                "x/line": model("x/line", "ownedObject", fields={"note": field()}),
            }
        )
    )
    found = {one.path: one for one in catalog.objects["x/owner"].lists}
    assert (found["lines"].owned, found["members"].whole, found["strange"].free) == (True, True, True)
    assert found["names"] == ListField("names")
    hidden = next(one for one in catalog.objects["x/line"].refs if one.owner)
    assert (hidden.target, hidden.hidden) == ("x/owner", True)


def test_the_owner_is_the_reference_that_the_model_names():
    part = catalog_of(machines()).objects[PART]
    assert [ref.path for ref in part.refs if ref.owner] == ["machine"]
    assert isinstance(part.member("supplier"), Ref)


def test_objects_that_own_each_other_are_no_endless_description():
    catalog = catalog_of(
        company(
            **{
                "x/a": model("x/a", "ownedObject", lists={"b": {"apiObject": "x/b"}}),
                "x/b": model("x/b", "ownedObject", lists={"a": {"apiObject": "x/a"}}),
            }
        )
    )
    assert set(catalog.objects) >= {"x/a", "x/b"}


def test_references_to_fields_that_a_known_target_lacks_are_kept_with_the_record():
    catalog = catalog_of(
        company(**{"x/a": model("x/a", refs={"term": reference("accounts-receivable/term", "mood")})})
    )
    assert catalog.objects["x/a"].field("term.mood") is not None


def test_an_object_with_more_fields_than_a_table_has_columns_is_refused():
    content = company(**{"x/y": model("x/y", fields={f"f{n}": field() for n in range(1900)})})
    with pytest.raises(CompanyFileError, match=r"x/y has 1,\d+ fields, and the sandbox keeps at most 1,900"):
        catalog_of(content)
