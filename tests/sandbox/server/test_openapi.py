"""The sandbox's OpenAPI document: it is valid, covers every address, and is as strict as the answers are."""

import copy
import json
import subprocess
import sys
from datetime import date

import jsonschema_rs
import pytest
import requests
import schemathesis
from raw_client import RawClient
from sandbox_client import running
from schemathesis.specs.openapi.definitions import OPENAPI_31

from intacct_provider.sandbox.api.operations import ADDRESSES
from intacct_provider.sandbox.objects.catalog import BUILT_IN
from intacct_provider.sandbox.openapi.document import build_document

CUSTOMER = "accounts-receivable/customer"
CUSTOMER_GROUP = "accounts-receivable/customer-group"
ACCOUNT_GROUP = "general-ledger/account-group"
PURPOSE = "general-ledger/account-group-purpose"
DOCUMENT = build_document()
REGISTRY = jsonschema_rs.Registry([("urn:doc", DOCUMENT)], draft=jsonschema_rs.Draft202012)


@pytest.fixture(scope="module")
def demo():
    """The demo company."""
    with running("demo", faults={"concurrency": 50}) as company:
        yield company


@pytest.fixture(scope="module")
def ask(demo):
    """Return a call on the demo company that answers the body of a success."""
    client = RawClient(demo)

    def call(method, path, body=None):
        answer = client(method, path, body)
        assert answer.ok, answer.text
        return answer.json()

    return call


def schema_of(name):
    """Return the validator of a schema of the document."""
    return jsonschema_rs.Draft202012Validator(
        {"$ref": f"urn:doc#/components/schemas/{name.replace('/', '.')}"}, registry=REGISTRY
    )


def body_of(path, method, status):
    """Return the validator of an answer."""
    pointer = f"/paths/{path.replace('/', '~1')}/{method}/responses/{status}/content/application~1json/schema"
    reference = "urn:doc#" + pointer.replace("{", "%7B").replace("}", "%7D")
    return jsonschema_rs.Draft202012Validator({"$ref": reference}, registry=REGISTRY)


def everything_in(value):
    """Yield every object of a JSON value."""
    if isinstance(value, dict):
        yield value
    for one in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from everything_in(one)


# --- the document itself


def test_it_is_valid_openapi():
    # Formats are annotations in JSON Schema; OpenAPI lets an address be relative where its own schema says "uri".
    rules = jsonschema_rs.Draft202012Validator(OPENAPI_31, validate_formats=False)
    assert [str(error) for error in rules.iter_errors(DOCUMENT)] == []


def test_its_schemas_are_valid_json_schema():
    for name, schema in DOCUMENT["components"]["schemas"].items():
        assert jsonschema_rs.meta.is_valid(schema), name


def test_its_references_lead_somewhere():
    references = {one["$ref"] for one in everything_in(DOCUMENT) if isinstance(one.get("$ref"), str)}
    assert len(references) > 100
    for reference in references:
        found = DOCUMENT
        for name in reference.removeprefix("#/").split("/"):
            assert name in found, reference
            found = found[name]


def test_no_component_is_left_over():
    used = {one["$ref"] for one in everything_in(DOCUMENT) if isinstance(one.get("$ref"), str)}
    made = {f"#/components/{kind}/{name}" for kind in ("schemas", "headers", "parameters", "responses")
            for name in DOCUMENT["components"][kind]}  # fmt: skip
    # These answer calls that no path describes; the introduction names them.
    elsewhere = {f"#/components/responses/{name}" for name in ("version-400", "address-404", "refusal-405")}
    assert made - used == elsewhere


@pytest.mark.slow
def test_schemathesis_reads_it():
    schema = schemathesis.openapi.from_dict(copy.deepcopy(DOCUMENT))
    operations = [operation.ok() for operation in schema.get_all_operations()]
    assert len(operations) == sum(len(methods) for methods in DOCUMENT["paths"].values())


def test_operations_have_names_of_their_own():
    names = [operation["operationId"] for path in DOCUMENT["paths"].values() for operation in path.values()]
    assert len(set(names)) == len(names)


def test_it_is_served(demo):
    answer = requests.get(demo.site + "openapi.json", timeout=30)
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == json.loads(json.dumps(DOCUMENT))
    assert requests.compat.urljoin(answer.url, DOCUMENT["servers"][0]["url"]) == demo.url


def test_starting_a_sandbox_does_not_make_it():
    program = (
        "from intacct_provider.sandbox import Sandbox\n"
        "from intacct_provider.sandbox.openapi.document import build_document\n"
        "with Sandbox(): print(build_document.cache_info().currsize)"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout == b"0\n"
    assert build_document() is build_document()


# --- every address


def routes():
    """Return the methods of each address of the application, one address for each object."""
    found = {}
    for route in ADDRESSES:
        names = BUILT_IN.objects if "{application}" in route.path else [""]
        for name in names:
            path = route.path.replace("{application}/{name}", name).replace("{keys}", "{key}")
            found.setdefault(path, set()).update(route.methods - {"HEAD"})
    return found


def test_it_covers_every_route_and_invents_none():
    described = {path: {method.upper() for method in methods} for path, methods in DOCUMENT["paths"].items()}
    assert described == routes()


def test_every_operation_says_how_it_can_be_refused():
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            assert {"400", "401", "429"} <= set(operation["responses"]), (method, path)
            assert (operation.get("security") == []) is (path == "/oauth2/token")


# --- the records of the demo company


@pytest.mark.parametrize("name", sorted(BUILT_IN.objects))
def test_get_answers_the_documented_members_in_the_documented_order(ask, name):
    """For each record of the demo company, and for each group of members within it."""
    keys = [one["key"] for one in ask("GET", f"/objects/{name}")["ia::result"]]
    if not keys:
        keys = [made_of_example(ask, name)]
    answer = ask("GET", f"/objects/{name}/{','.join(keys)}")
    assert [str(error) for error in body_of(f"/objects/{name}/{{key}}", "get", 200).iter_errors(answer)] == []
    records = answer["ia::result"] if len(keys) > 1 else [answer["ia::result"]]
    for record in records:
        same_order(record, DOCUMENT["components"]["schemas"][name.replace("/", ".")], name)


def made_of_example(ask, name):
    """Create the record that the document gives as an example, and return its key."""
    content = DOCUMENT["paths"][f"/objects/{name}"]["post"]["requestBody"]["content"]["application/json"]
    return ask("POST", f"/objects/{name}", content["example"])["ia::result"]["key"]


def same_order(value, schema, where):
    if isinstance(value, list):
        for element in value:
            same_order(element, schema["items"], f"{where}/*")
    elif isinstance(value, dict) and not where.endswith("/memberFilter"):  # which is kept as it was written
        order = [name for name in schema["properties"] if name in value]
        assert list(value) == order, where
        for name, member in value.items():
            same_order(member, schema["properties"][name], f"{where}/{name}")


@pytest.mark.parametrize("name", sorted(BUILT_IN.objects))
def test_the_example_of_a_create_can_be_created(ask, name):
    content = DOCUMENT["paths"][f"/objects/{name}"]["post"]["requestBody"]["content"]["application/json"]
    example = content["example"] | {"id": f"Second example {len(name)}"[:20]}
    assert schema_of(f"{name}.create").is_valid(example)
    assert ask("POST", f"/objects/{name}", example)["ia::result"]["id"] == example["id"]


def test_every_value_of_a_row_has_the_type_of_its_field(ask):
    """Also under the names of related records, and as the smallest and largest of a group."""
    fields = [
        "key",
        "isOnHold",
        "totalDue",
        "creditLimit",
        "audit.createdDateTime",
        "parent.key",
        "parent.href",
    ]
    for names in (
        fields,
        ["status", "count:key", "min:totalDue", "max:creditLimit", "min:audit.createdDateTime"],
    ):
        page = ask("POST", "/services/core/query", {"object": CUSTOMER, "fields": names})
        assert body_of("/services/core/query", "post", 200).is_valid(page)
        assert set(names) <= set(page["ia::result"][0])
    row = schema_of("row")
    for wrong in (
        {"key": 24},
        {"parent.key": "A"},
        {"isOnHold": "true"},
        {"totalDue": 170200.0},
        {"totalDue": "170200.0"},
        {"min:totalDue": 1},
        {"creditLimit": "10"},
        {"lastInvoiceCreatedDate": "2025-03-16T00:00:00Z"},
        {"audit.modifiedDateTime": "2025-03-16 13:26:56"},
        {"max:audit.modifiedDateTime": "2025-03-16"},
        {"parent.href": "/objects/accounts-receivable/customer"},
        {"count:key": "3"},
        {"parent": {"key": "1"}},
    ):
        assert not row.is_valid(wrong), wrong


# --- shapes that Sage documents


SET = {"key": "31", "id": "Plus", "href": "/objects/company-config/user/31"}
AUDIT = {
    "createdDateTime": "2026-02-03T04:05:06Z",
    "modifiedDateTime": "2026-02-04T05:06:07Z",
    "createdByUser": SET,
    "createdBy": "31",
    "modifiedByUser": SET,
    "modifiedBy": "31",
}
GROUP = {
    "key": "7",
    "id": "North",
    "name": "Customers in the north",
    "description": None,
    "groupType": "specific",
    "memberFilter": {"object": CUSTOMER, "filterExpression": "and", "orderBy": [{"id": "asc"}]},
    "audit": AUDIT,
    "entity": {"key": None, "id": None, "name": None},
    "groupMembers": [
        {"key": "3", "id": "A", "sortOrder": "0", "href": f"/objects/{CUSTOMER}/3"},
        {"key": "9", "id": "B", "sortOrder": "1", "href": f"/objects/{CUSTOMER}/9"},
    ],
    "isDimensionStructure": False,
    "href": f"/objects/{CUSTOMER_GROUP}/7",
}
ONE = {"totalCount": 1, "totalSuccess": 1, "totalError": 0}


def test_a_customer_group_of_chosen_members():
    answer = {"ia::result": GROUP, "ia::meta": ONE}
    assert [
        str(error) for error in body_of(f"/objects/{CUSTOMER_GROUP}/{{key}}", "get", 200).iter_errors(answer)
    ] == []


@pytest.mark.parametrize(
    ("pointer", "value"),
    [
        ("key", 7),
        ("key", "North"),
        ("name", None),
        ("groupType", "some"),
        ("isDimensionStructure", "false"),
        ("isDimensionStructure", None),
        ("audit/createdDateTime", "2026-02-03T04:05:06"),
        ("audit/createdDateTime", "2026-02-03"),
        ("audit/createdByUser/href", "/objects/company-config/contact/31"),
        ("audit/createdByUser/key", None),
        ("audit/createdByUser/name", "Plus"),
        ("entity/href", "/objects/company-config/entity/1"),
        ("entity/key", "1"),
        ("groupMembers/0/sortOrder", 0),
        ("groupMembers/0/href", f"/objects/{CUSTOMER_GROUP}/3"),
        ("memberFilter/orderBy", [{"id": "asc"}, {"name": "asc"}]),
        ("href", "/ia/api/v1/objects/accounts-receivable/customer-group/7"),
        ("members", []),
    ],
)
def test_a_customer_group_that_is_not_as_documented(pointer, value):
    """Each of them was right but for one value."""
    group = copy.deepcopy(GROUP)
    *path, last = (int(name) if name.isdigit() else name for name in pointer.split("/"))
    at = group
    for name in path:
        at = at[name]
    at[last] = value
    assert schema_of(CUSTOMER_GROUP).is_valid(GROUP)
    assert not schema_of(CUSTOMER_GROUP).is_valid(group)


@pytest.mark.parametrize("name", list(GROUP))
def test_no_member_may_be_missing(name):
    assert not schema_of(CUSTOMER_GROUP).is_valid({key: value for key, value in GROUP.items() if key != name})


def test_a_list_and_the_answers_to_writes():
    listed = {"key": "5", "id": "East", "href": f"/objects/{PURPOSE}/5"}
    pages = {"totalCount": 1, "start": 1, "pageSize": 100, "next": None, "previous": None}
    assert body_of(f"/objects/{PURPOSE}", "get", 200).is_valid({"ia::result": [listed], "ia::meta": pages})
    assert body_of(f"/objects/{PURPOSE}", "post", 201).is_valid({"ia::result": listed, "ia::meta": ONE})
    assert body_of(f"/objects/{PURPOSE}/{{key}}", "patch", 200).is_valid(
        {"ia::result": listed, "ia::meta": ONE}
    )
    # A new customer group is named by its id alone.
    group = body_of(f"/objects/{CUSTOMER_GROUP}", "post", 201)
    assert group.is_valid({"ia::result": {"id": "North"}, "ia::meta": ONE})
    assert not group.is_valid({"ia::result": {**listed}, "ia::meta": ONE})


@pytest.mark.parametrize(
    ("name", "body", "fits"),
    [
        (f"{CUSTOMER}.create", {"id": "C-9", "name": "Dawn", "taxId": "1-2", "creditLimit": 7.5}, True),
        (f"{CUSTOMER}.create", {"name": "Dawn", "parent": {"id": "C-1"}, "term": {"key": "1"}, "vendor": None}, True),
        (f"{CUSTOMER}.create", {"name": "Dawn", "contacts": {"default": {"email1": "a@b.example"}}}, True),
        (f"{CUSTOMER}.create", {"name": "Dawn", "overridePriceList": "Billing contact"}, True),
        (f"{CUSTOMER}.create", {"id": "C-9"}, False),
        (f"{CUSTOMER}.create", {"name": " "}, False),
        (f"{CUSTOMER}.create", {"name": "Dawn", "totalDue": "1.00"}, False),
        (f"{CUSTOMER}.create", {"name": "Dawn", "creditLimit": "7.5"}, False),
        (f"{CUSTOMER}.create", {"name": "Dawn", "parent": {"name": "C-1"}}, False),
        (f"{CUSTOMER}.create", {"name": "Dawn", "parent": "C-1"}, False),
        (f"{CUSTOMER}.update", {"creditLimit": 1}, True),
        (f"{CUSTOMER}.update", {"id": "C-9"}, False),
        (f"{CUSTOMER}.update", {"contactList": [{"key": "1", "ia::operation": "delete"}]}, True),
        (f"{CUSTOMER}.update", {"contactList": [{"ia::operation": "delete"}]}, False),
        (f"{CUSTOMER_GROUP}.create", {"id": "E", "name": "East", "groupMembers": [{"id": "2"}]}, True),
        (f"{CUSTOMER_GROUP}.create", {"id": "E", "name": "East", "groupMembers": [{}]}, False),
        (f"{CUSTOMER_GROUP}.create", {"id": "E", "name": "E", "memberFilter": {"filters": [{"$eq": {}}]}}, True),
        (f"{CUSTOMER_GROUP}.create", {"id": "E", "name": "E", "memberFilter": {"filters": [{"$between": {}}]}}, False),
        (f"{ACCOUNT_GROUP}.create", {"id": "A", "accountRanges": [{"sortOrder": 0, "rangeFrom": "1"}]}, True),
        (f"{ACCOUNT_GROUP}.create", {"id": "A", "reportFilters": {"department": "noFilter"}}, True),
        (f"{ACCOUNT_GROUP}.create", {"id": "A", "reportFilters": {"vendor": "nullValue"}}, False),
        (f"{ACCOUNT_GROUP}.update", {"groupType": "groups"}, False),
        (f"{PURPOSE}.update", {"id": "Plans"}, True),
    ],
)  # fmt: skip
def test_what_a_write_takes(name, body, fits):
    assert schema_of(name).is_valid(body) is fits


@pytest.mark.parametrize("name", sorted(BUILT_IN.objects))
def test_a_write_takes_nothing_that_only_the_server_sets(name):
    for part in ("create", "update"):
        schema = DOCUMENT["components"]["schemas"][f"{name}.{part}".replace("/", ".")]
        for field in BUILT_IN.objects[name].fields:
            if field.read_only or (part == "update" and not field.mutable):
                assert not has(schema, field.path.split(".")), field.path


def has(schema, path):
    for name in path:
        if name not in schema.get("properties", {}):
            return False
        schema = schema["properties"][name]
    return True


def test_the_three_refusals_of_the_api_and_that_of_the_token():
    error = {"code": "invalidRequest", "message": "No", "errorId": "REST-1064", "supportId": "x"}
    cause = {"code": "invalidRequest", "message": "/a is wrong", "errorId": "REST-1043", "target": "/a"}
    meta = {"totalCount": 1, "totalSuccess": 0, "totalError": 1}
    gateway = {"code": "GW-0040", "message": "No", "supportId": "x", "details": {"requestId": "y"}}
    assert schema_of("refusal").is_valid(
        {"ia::result": {"ia::error": {**error, "details": [cause]}}, "ia::meta": meta}
    )
    assert schema_of("refusal-of-address").is_valid({"ia::error": error})
    assert schema_of("refusal-of-gateway").is_valid({"error": gateway})
    assert schema_of("refusal-of-token").is_valid({"error": "invalid_grant", "error_description": "No"})
    several = {"ia::result": [{"ia::error": error, "ia::status": 404}], "ia::meta": meta}
    assert schema_of("refusal-of-records").is_valid(several)
    assert not schema_of("refusal").is_valid(
        {"ia::result": {"ia::error": {**error, "code": "wrong"}}, "ia::meta": meta}
    )
    assert not schema_of("refusal").is_valid({"ia::result": {"ia::error": error}, "ia::meta": ONE})
    assert not schema_of("refusal-of-gateway").is_valid({"error": {**gateway, "code": "REST-1206"}})


def test_dates_are_dates():
    """The pattern alone would let the thirty-first of February pass; the format is there for those who check it."""
    schema = DOCUMENT["components"]["schemas"]["accounts-receivable.customer"]
    last = schema["properties"]["lastInvoiceCreatedDate"]
    assert last["format"] == "date"
    assert jsonschema_rs.Draft202012Validator(last).is_valid(date(2026, 2, 3).isoformat())
    assert not jsonschema_rs.Draft202012Validator(last, validate_formats=True).is_valid("2026-02-31")
