"""A captured company in the sandbox: it answers as the company did, so a capture of it is the same again."""

import json

import pytest
from capture_command import capture
from sandbox_client import client_of, running

CUSTOMER = "accounts-receivable/customer"
FIELD = {"readOnly": False, "writeOnly": False, "required": False, "nullable": True, "mutable": True}
TEXT, READ_ONLY = FIELD | {"type": "string"}, FIELD | {"type": "string", "readOnly": True, "mutable": False}
LINK = {"fields": {"id": TEXT, "key": TEXT, "href": READ_ONLY}}
THING = {
    "apiObject": "objects/platform-apps/nsp::thing",
    "type": "rootObject",
    "httpMethods": "OPTIONS,GET,POST,DELETE,PATCH",
    "idempotenceSupported": True,
    "fields": {
        "key": READ_ONLY,
        "id": TEXT,
        "href": READ_ONLY,
        "nsp::SIZE": TEXT | {"enum": [None, "S", "M"], "default": "S"},
        "nsp::COUNT": FIELD | {"type": "integer"},
        "nsp::SHARE": FIELD | {"type": "number"},
        "nsp::FLAG": FIELD | {"type": "boolean", "default": False},
        "nsp::DAY": TEXT | {"format": "date"},
        "nsp::AMOUNT": TEXT | {"format": "decimal-precision-2"},
    },
    "groups": {"audit": {"fields": {"modifiedDateTime": READ_ONLY | {"format": "date-time"}}}},
    "refs": {"nsp::r10007": {"apiObject": CUSTOMER, **LINK}},
    "lists": {},
}


def without_counts(company):
    """Return a captured company without what depends on its records."""
    return company | {
        "objects": {
            name: {part: content for part, content in entry.items() if part not in ("count", "forms")}
            for name, entry in company["objects"].items()
        }
    }


@pytest.fixture(scope="module")
def captured(demo, tmp_path_factory):
    return capture(demo, tmp_path_factory.mktemp("capture") / "company.json")


def test_a_capture_of_the_captured_company_is_the_same_but_for_counts(captured, tmp_path):
    with running(company=captured) as second:
        again = capture(second, tmp_path / "again.json")
    one, two = (json.loads(path.read_text(encoding="utf-8")) for path in (captured, again))
    assert without_counts(two) == without_counts(one)
    assert one["objects"][CUSTOMER]["count"] == 240
    assert two["objects"][CUSTOMER]["count"] == 0


def test_custom_objects_and_fields_come_through(tmp_path):
    company = {
        "format": "intacct-company/1",
        "entities": [{"id": "E1"}],
        "objects": {"platform-apps/nsp::thing": {"count": None, "model": THING}},
    }
    with running(company=company) as sandbox:
        path = capture(sandbox, tmp_path / "company.json", objects="platform-apps/*")
        with client_of(sandbox) as client:
            assert [*client.iter_rows("platform-apps/nsp::thing", "*")] == []
    found = json.loads(path.read_text(encoding="utf-8"))
    assert without_counts(found) == without_counts(company)
