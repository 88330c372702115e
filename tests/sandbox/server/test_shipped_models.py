"""The models that the package ships: the objects that people export most, in the form of a captured company."""

import json

import pytest
from sandbox_client import client_of, running

from intacct_provider.client.model import get_entries, get_object_name, read_fields
from intacct_provider.sandbox.models import list_files, read_shipped

OBJECTS = read_shipped()["objects"]
EXPECTED = {
    "accounts-payable/bill",
    "accounts-payable/bill-line",
    "accounts-payable/vendor",
    "accounts-receivable/customer",
    "accounts-receivable/invoice",
    "accounts-receivable/invoice-line",
    "accounts-receivable/payment",
    "company-config/class",
    "company-config/department",
    "company-config/location",
    "general-ledger/account",
    "general-ledger/journal-entry",
    "general-ledger/journal-entry-line",
    "inventory-control/item",
    "projects/project",
}


def test_the_objects_that_people_export_most_are_shipped():
    assert OBJECTS.keys() >= EXPECTED


@pytest.mark.parametrize("file", list_files(), ids=lambda file: file.name)
def test_a_file_has_the_form_of_a_captured_company(file):
    text = file.read_text(encoding="utf-8")
    content = json.loads(text)
    assert content["format"] == "intacct-company/1"
    assert text == json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


@pytest.mark.parametrize("name", sorted(OBJECTS))
def test_a_model_is_that_of_its_object(name):
    model = OBJECTS[name]["model"]
    assert model["apiObject"] == f"objects/{name}"
    fields = read_fields(model)
    assert {"key", "id"} <= fields.keys()
    assert {field.type for field in fields.values() if not field.is_list} <= {
        *("string", "integer", "number", "boolean")
    }
    for part in get_entries(model, "lists").values():
        owned = OBJECTS.get(get_object_name(part))
        if owned:
            owners = [ref["apiObject"] for ref in owned["model"]["refs"].values() if ref.get("isOwner")]
            assert owners == [name]


def test_they_are_a_company_by_name():
    """Every object is found in the list, has its model, and its generated records can be read whole."""
    seed = ",".join(f"{name}=3" for name in sorted(OBJECTS) if OBJECTS[name]["model"]["type"] == "rootObject")
    with running(seed, company="shipped") as sandbox, client_of(sandbox) as client:
        names = {*client.object_names(), *client.object_names("ownedObject")}
        assert names >= OBJECTS.keys()
        for name, entry in OBJECTS.items():
            assert client.fields(name) == read_fields(entry["model"])
            rows = [*client.iter_rows(name, "*")]
            assert len(rows) >= 3 or entry["model"]["type"] == "ownedObject", name
        lines = [*client.iter_rows("general-ledger/journal-entry-line", ["key", "journalEntry.postingDate"])]
        assert lines


def test_an_item_has_its_measurements_and_what_follows_them():
    fields = read_fields(OBJECTS["inventory-control/item"]["model"])
    assert {
        f"measurements.{name}" for name in ("thickness", "area", "volume", "outerDiameter")
    } <= fields.keys()
    assert {"measurements.diameterUnitOfMeasure.id", "sales.taxGroup.id", "commercial.brand"} <= fields.keys()
    assert fields["purchasing.standardCost"].format == "decimal-precision-10"
    assert fields["replenishment.safetyStock"].type == "integer"
