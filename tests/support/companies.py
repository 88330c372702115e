"""Companies that the tests describe by company files: the recorded models, and an object that nobody has seen."""

import json
from pathlib import Path

#: Four models as a real company answered them.
RECORDED = Path(__file__).with_name("recorded_models.json")
MACHINE = "platform-apps/nsp::machine"
PART = "platform-apps/nsp::machine_part"
PLANT = "platform-apps/nsp::plant"
#: Referred to, and in no file.
MAKER = "platform-apps/nsp::maker"
CUSTOMER = "accounts-receivable/customer"
USER = "company-config/user"


def field(kind="string", **rest):
    """Return a field as the model service describes it."""
    flags = {"readOnly": False, "writeOnly": False, "required": False, "nullable": True, "mutable": True}
    return {"type": kind} | flags | rest


def reference(target, *shown, read_only=False, **rest):
    """Return a reference that shows key and id, and more fields of its target."""
    leaves = {name: field(readOnly=read_only) for name in ("key", "id")}
    leaves |= {name: field(readOnly=True) for name in (*shown, "href")}
    return {"apiObject": target, "fields": leaves, **rest}


def audit():
    """Return the group that Intacct fills."""
    fields = {name: field(readOnly=True) for name in ("createdBy", "modifiedBy")}
    fields |= {
        name: field(format="date-time", readOnly=True) for name in ("createdDateTime", "modifiedDateTime")
    }
    refs = {name: reference(USER, read_only=True) for name in ("createdByUser", "modifiedByUser")}
    return {"fields": fields, "refs": refs}


def model(name, kind="rootObject", methods="OPTIONS,GET,POST,DELETE,PATCH", **maps):
    """Return the model of an object, with key, id, address and audit stamps."""
    fields = {"key": field(readOnly=True, mutable=False), "id": field(mutable=False)}
    fields |= {"href": field(readOnly=True)} | maps.pop("fields", {})
    groups = {"audit": audit()} | maps.pop("groups", {})
    described = {"fields": fields, "groups": groups, "refs": {}, "lists": {}} | maps
    return described | {
        "apiObject": f"objects/{name}",
        "type": kind,
        "httpMethods": methods,
        "idempotenceSupported": True,
    }


def company(*, entities=(), **objects):
    """Return a company file of models by name."""
    entries = {name: {"count": None, "model": described} for name, described in objects.items()}
    listed = [{"id": one} for one in entities]
    return {"format": "intacct-company/1", "entities": listed, "objects": entries}


def machines():
    """Return a company with custom objects that the sandbox does not know: ten types of fields, lists, references."""
    machine = model(
        MACHINE,
        fields={
            "name": field(required=True),
            "serialNumber": field("integer"),
            "weight": field("number"),
            "isLeased": field("boolean", nullable=False, default=False),
            "boughtOn": field(format="date"),
            "servicedAt": field(format="date-time"),
            "price": field(format="decimal-precision-2"),
            "hourlyRate": field(format="decimal-precision-4"),
            "state": field(enum=[None, "new", "used", "scrapped"], default="new"),
            "nsp::colours": field("array"),
            "internalCode": field(readOnly=True),
            "action": field(writeOnly=True, enum=["submit", "draft"]),
        },
        groups={"warranty": {"fields": {"until": field(format="date"), "terms": field()}}},
        refs={
            "customer": reference(CUSTOMER, "name"),
            "plant": reference(PLANT, "name"),
            "replaces": reference(MACHINE, "name"),
            "maker": reference(MAKER, "country"),
        },
        lists={"parts": {"apiObject": PART}, "tags": {"type": "string"}},
    )
    part = model(
        PART,
        "ownedObject",
        fields={"id": field(readOnly=True), "name": field(), "quantity": field("integer", default=1)},
        refs={
            "machine": reference(MACHINE, isOwner=True),
            "supplier": reference("accounts-payable/vendor", "name"),
        },
    )
    plant = model(PLANT, methods="OPTIONS,GET", fields={"name": field()})
    return company(**{MACHINE: machine, PART: part, PLANT: plant})


ENTRY = "general-ledger/journal-entry"
LINE = "general-ledger/journal-entry-line"


def ledger():
    """Return a company with journal entries, whose lines have dimensions, two of them of the company's own."""
    dimensions = {
        "location": reference("company-config/location", "name"),
        "department": reference("company-config/department", "name"),
        "customer": reference(CUSTOMER, "name"),
        "vendor": reference("accounts-payable/vendor", "name"),
        "project": reference("projects/project", "name"),
        "class": reference("company-config/class", "name"),
        "item": reference("inventory-control/item", "name"),
        "nsp::plant": reference(PLANT, "name"),
        "nsp::machine": reference(MACHINE, "name"),
    }
    line = model(
        LINE,
        "ownedObject",
        fields={
            "id": field(readOnly=True),
            "lineNumber": field("integer"),
            "txnType": field(enum=["debit", "credit"], nullable=False),
            "txnAmount": field(format="decimal-precision-2"),
            "baseAmount": field(format="decimal-precision-2", readOnly=True),
            "documentId": field(),
            "description": field(),
        },
        groups={
            "dimensions": {"refs": dimensions},
            "currency": {"fields": {"baseCurrency": field(), "exchangeRate": field("number")}},
        },
        refs={
            "journalEntry": reference(ENTRY, isOwner=True),
            "glAccount": reference("general-ledger/account", "name"),
        },
    )
    entry = model(
        ENTRY,
        fields={"id": field(readOnly=True), "postingDate": field(format="date"), "description": field()},
        lists={"lines": {"apiObject": LINE}},
    )
    plant = model(PLANT, fields={"name": field()})
    machine = model(MACHINE, fields={"name": field()})
    return company(**{ENTRY: entry, LINE: line, PLANT: plant, MACHINE: machine})


def recorded():
    """Return the recorded models."""
    return json.loads(RECORDED.read_bytes())
