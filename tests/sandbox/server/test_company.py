"""A company of a file over HTTP: every object works by its model alone, and the built-in ones stay."""

import json

import pytest
import requests
from companies import CUSTOMER, MACHINE, MAKER, PART, PLANT, company, machines, model, recorded, reference
from companies import field as field_of
from raw_client import RawClient
from sandbox_client import client_of, running, until
from wire_audit import WireAudit

from intacct_provider.client.query.expressions import field
from intacct_provider.exceptions import IntacctAPIError
from intacct_provider.sandbox.__main__ import StartError, parse_arguments, start
from intacct_provider.sandbox.objects.company_file import CompanyFileError

GROUP = "accounts-receivable/customer-group"
TERM = "accounts-receivable/term"


@pytest.fixture
def plant():
    """An empty company with machines."""
    with running(company=machines()) as sandbox:
        yield sandbox


@pytest.fixture
def client(plant):
    with client_of(plant) as ours:
        yield ours


@pytest.fixture(scope="module")
def full():
    """A company with machines and the demo records; for tests that only read."""
    with running("demo", company=machines()) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def reader(full):
    with client_of(full) as ours:
        yield ours


NEW = {
    "name": "Press",
    "serialNumber": 17,
    "weight": 2.5,
    "boughtOn": "2026-01-31",
    "servicedAt": "2026-02-28T10:00:00Z",
    "price": "1200.50",
    "hourlyRate": "0.1234",
    "nsp::colours": ["red", "blue"],
    "action": "draft",
    "warranty": {"until": "2028-01-31"},
    "tags": ["heavy"],
    "parts": [{"name": "Bolt", "quantity": 12}, {"name": "Nut"}],
}


def test_a_record_is_created_read_changed_and_deleted(client):
    key = client.create(MACHINE, NEW)["key"]
    found = client.get(MACHINE, key)
    for name in ("name", "serialNumber", "weight", "boughtOn", "servicedAt", "price", "hourlyRate", "tags"):
        assert found[name] == NEW[name]
    assert (found["nsp::colours"], found["state"], found["isLeased"]) == (["red", "blue"], "new", False)
    assert (found["id"], "action" in found) == (key, False)
    assert found["warranty"] == {"until": "2028-01-31", "terms": None}
    assert [(one["name"], one["quantity"]) for one in found["parts"]] == [("Bolt", 12), ("Nut", 1)]
    client.update(MACHINE, key, {"price": None, "state": "used", "nsp::colours": []})
    found = client.get(MACHINE, key)
    assert (found["price"], found["state"], found["nsp::colours"]) == (None, "used", [])
    assert [one["key"] for one in client.list(MACHINE)] == [key]
    client.delete(MACHINE, key)
    assert client.list(MACHINE) == []
    assert list(client.iter_rows(PART, ["key"])) == [], "the parts went with their machine"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"price": "1.234"}, "at most two decimal places"),
        ({"hourlyRate": "1.23456"}, "at most 4 decimal places"),
        ({"state": "broken"}, "must be one of"),
        ({"boughtOn": "31.01.2026"}, "/boughtOn"),
        ({"isLeased": None}, "must not be null"),
        ({"serialNumber": "17"}, "must be an integer"),
        ({"internalCode": "x"}, "/internalCode"),
        ({"colour": "red"}, "The colour field does not exist"),
        ({"name": ""}, "must not be blank"),
        ({"customer": {"id": "nobody"}}, f"There is no {CUSTOMER} with id nobody"),
        ({"nsp::colours": "red"}, "must be an array"),
        ({"parts": [{"size": 1}]}, "/parts/0/size"),
    ],
)
def test_a_value_that_the_model_does_not_allow_is_rejected(client, change, says):
    with pytest.raises(IntacctAPIError) as caught:
        client.create(MACHINE, NEW | change)
    assert says.replace("The colour field does not exist", "colour") in str(caught.value)


def test_what_the_file_requires_is_required(client):
    with pytest.raises(IntacctAPIError, match="name is required"):
        client.create(MACHINE, {"serialNumber": 1})


def test_references_are_found_shown_and_joined(client):
    customer = client.create(CUSTOMER, {"id": "C-9", "name": "Acme"})["key"]
    first = client.create(MACHINE, {"name": "Old"})["key"]
    made = {"name": "New", "customer": {"id": "C-9"}, "replaces": {"key": first}, "maker": {"id": "Krupp"}}
    key = client.create(MACHINE, made)["key"]
    found = client.get(MACHINE, key)
    assert (found["customer"]["key"], found["customer"]["name"]) == (customer, "Acme")
    assert (found["replaces"]["name"], found["maker"]["id"]) == ("Old", "Krupp")
    wanted = ["customer.name", "customer.status", "replaces.id", "maker.id"]
    rows = client.query(MACHINE, wanted, filters=field("maker.id") == "Krupp").rows
    assert [{name: row[name] for name in wanted} for row in rows] == [
        {"customer.name": "Acme", "customer.status": "active", "replaces.id": first, "maker.id": "Krupp"}
    ]
    with pytest.raises(IntacctAPIError):  # it is in use
        client.delete(CUSTOMER, customer)


def test_an_object_that_is_only_referred_to_is_no_object_of_the_api(client):
    with pytest.raises(IntacctAPIError):
        client.query(MAKER, ["key"])
    assert MAKER not in client.object_names()


def test_owned_records_are_merged_by_key_and_have_an_address(client):
    key = client.create(MACHINE, NEW)["key"]
    bolt, nut = client.get(MACHINE, key)["parts"]
    change = [
        {"key": bolt["key"], "ia::operation": "delete"},
        {"key": nut["key"], "quantity": 5},
        {"name": "Belt"},
    ]
    client.update(MACHINE, key, {"parts": change})
    assert [(one["name"], one["quantity"]) for one in client.get(MACHINE, key)["parts"]] == [
        ("Nut", 5),
        ("Belt", 1),
    ]
    assert client.get(PART, nut["key"])["machine"]["key"] == key
    added = client.create(PART, {"name": "Lid", "machine": {"key": key}})["key"]
    rows = client.query(PART, ["key", "name"], filters=field("machine.key") == key).rows
    assert [row["name"] for row in sorted(rows, key=lambda row: int(row["key"]))] == ["Nut", "Belt", "Lid"]
    assert client.get(MACHINE, key)["parts"][-1]["key"] == added


def test_filters_orders_and_aggregates_follow_the_types(client):
    for number, price in enumerate(("9.00", "10.00", "100.00")):
        client.create(MACHINE, {"name": f"m{number}", "price": price, "hourlyRate": f"0.000{number + 1}"})
    above = client.query(MACHINE, ["name"], filters=field("price").gt("9.5"), order_by=[{"price": "desc"}])
    assert [row["name"] for row in above.rows] == ["m2", "m1"]
    exact = client.query(MACHINE, ["name"], filters=field("hourlyRate") == "0.0002")
    assert [row["name"] for row in exact.rows] == ["m1"]
    totals = client.query(MACHINE, ["state", "sum:price", "sum:hourlyRate", "count:key"]).rows
    assert totals == [{"state": "new", "sum:price": "119.00", "sum:hourlyRate": "0.0006", "count:key": 3}]


def test_the_model_is_the_one_of_the_file(client):
    described = machines()["objects"]
    for name in (MACHINE, PART, PLANT):
        found = client.model(name)
        assert {key: value for key, value in found.items() if key != "href"} == described[name]["model"]
    assert {MACHINE, PLANT, CUSTOMER} <= set(client.object_names())


def test_methods_that_the_model_does_not_have_are_not_allowed(plant):
    call = RawClient(plant)
    answer = call("POST", f"/objects/{PLANT}", {"name": "x"})
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, HEAD, OPTIONS")
    assert call("GET", f"/objects/{PLANT}").status_code == 200
    assert call("OPTIONS", f"/objects/{PLANT}").headers["Allow"] == "GET, HEAD, OPTIONS"


def test_batches_composites_and_jobs_take_the_objects(client, plant):
    made = client.create_many(MACHINE, [{"name": "a"}, {"name": "b"}, {"price": "1.00"}])
    assert [one.ok for one in made] == [True, True, False]
    answers = client.composite(
        [
            {
                "method": "POST",
                "path": f"/objects/{MACHINE}",
                "body": {"name": "c"},
                "resultReference": "one",
            },
            {"method": "GET", "path": f"/objects/{MACHINE}/@{{one.key}}"},
        ]
    )
    assert "c" in str(answers[1])
    plant.faults.job_seconds = 0
    client.submit_job(MACHINE, "create", [{"name": "d"}])
    until(lambda: len(plant.records(MACHINE)) == 4)


def test_the_demo_has_a_few_of_every_object_with_values_in_every_field(reader, full):
    for name in (MACHINE, PART, PLANT):
        assert len(full.records(name)) >= 10
        rows = list(reader.iter_rows(name, "*"))
        assert {column for column in rows[0] if all(row[column] is None for row in rows)} <= {
            column for column in rows[0] if column.startswith("entity.")
        }
    assert len(full.records(CUSTOMER)) == 246, "the demo company itself is there, too"
    [machine, *_] = reader.iter_rows(MACHINE, ["key"], order_by=[{"key": "asc"}])
    assert len(reader.get(MACHINE, machine["key"])["parts"]) == 2


def test_generated_records_are_the_same_every_time():
    def generate():
        with running(f"{MACHINE}=25,{PART}=50", company=machines()) as sandbox, client_of(sandbox) as ours:
            return [list(ours.iter_rows(name, "*")) for name in (MACHINE, PART, PLANT)]

    first = generate()
    assert first == generate()
    # Two parts for each machine, and more for the same ones.
    assert [len(rows) for rows in first] == [25, 100, 10]
    assert {row["machine.key"] for row in first[1]} <= {row["key"] for row in first[0]}


def test_the_document_and_the_pages_know_the_objects(full):
    document = requests.get(f"{full.site}openapi.json", timeout=30).json()
    assert f"/objects/{MACHINE}/{{key}}" in document["paths"]
    for path in (f"records/{MACHINE}", f"records/{MACHINE}/1", ""):
        page = requests.get(f"{full.site}{path}", timeout=30)
        assert (page.status_code, "machine" in page.text) == (200, True)


def test_answers_are_as_the_document_of_the_company_says(plant):
    plant.seed(f"{MACHINE}=3")
    audit, call = WireAudit(), RawClient(plant)
    audit.document = requests.get(f"{plant.site}openapi.json", timeout=30).json()
    new = {name: value for name, value in NEW.items() if name != "price"}
    query = {"object": MACHINE, "fields": ["key", "price", "hourlyRate", "customer.name", "nsp::colours"]}
    for method, path, body in (
        ("GET", f"/objects/{MACHINE}", None),
        ("GET", f"/objects/{MACHINE}/1", None),
        ("GET", f"/objects/{PART}/1,2,3", None),
        ("POST", f"/objects/{MACHINE}", new),
        ("POST", f"/objects/{MACHINE}", {"price": 1}),
        ("POST", f"/objects/{PLANT}", {"name": "x"}),
        ("POST", "/services/core/query", query),
        ("POST", "/services/core/query", {**query, "fields": query["fields"][:4]}),
        ("GET", f"/services/core/model?name={MACHINE}", None),
        ("GET", "/services/core/model?type=object", None),
        ("GET", "/services/company-config/dimensions/list", None),
    ):
        answer = call(method, path, body)
        headers = {name.lower(): value for name, value in answer.headers.items()}
        path = f"/ia/api/v1{path.partition('?')[0]}"
        audit.check(method, path, answer.status_code, headers, answer.content)
    assert audit.violations == {}


def test_user_defined_dimensions_are_listed():
    content = machines()
    model = content["objects"][PART]["model"]
    model["groups"]["dimensions"] = {"refs": {"nsp::plant": model["refs"].pop("supplier")}}
    model["groups"]["dimensions"]["refs"]["nsp::plant"]["apiObject"] = PLANT
    with running(company=content) as sandbox:
        answer = RawClient(sandbox)("GET", "/services/company-config/dimensions/list")
        listed = answer.json()["ia::result"]
    assert [one["dimensionEndpoint"] for one in listed if one["isUserDefinedDimension"]] == [
        f"/objects/{PLANT}"
    ]


def test_entities_of_the_file_are_those_of_the_company():
    with running(company=machines() | {"entities": [{"id": "100"}, {"id": "200"}]}) as sandbox:
        assert [one["id"] for one in sandbox.records("company-config/entity")] == ["100", "200"]
        with client_of(sandbox, entity_id="200") as ours:
            ours.create(MACHINE, {"name": "private"})
        with client_of(sandbox) as top:
            assert list(top.iter_rows(MACHINE, ["key"])) == []


def test_a_captured_customer_keeps_its_custom_fields_and_the_demo_company(monkeypatch):
    with running("demo", company=recorded()) as sandbox, client_of(sandbox) as ours:
        assert len(list(ours.iter_rows(CUSTOMER, ["id"]))) == 240
        row = ours.query(CUSTOMER, ["name", "nsp::r10007.key", "contacts.default.email1"], size=1).rows[0]
        assert row["name"]
        assert len(ours.get(GROUP, ours.list(GROUP)[0]["key"])) > 3
        key = ours.create(TERM, {"id": "N5", "description": "built in"})["key"]
        assert ours.get(TERM, key)["description"] == "built in"


def test_a_wrong_file_is_refused_before_the_server_starts(tmp_path):
    content = machines()
    content["objects"][MACHINE]["model"]["fields"]["price"]["type"] = "money"
    path = tmp_path / "company.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(CompanyFileError, match=rf"company\.json: {MACHINE}, field price: the type 'money'"):
        running(company=path).__enter__()


def test_objects_that_refer_to_each_other_are_generated_with_their_references():
    one = model("x/one", refs={"other": {**reference("x/other"), "required": True}})
    other = model("x/other", refs={"one": {**reference("x/one"), "required": True}})
    with running("x/one=5", company=company(**{"x/one": one, "x/other": other})) as sandbox:
        for name, path in (("x/one", "other"), ("x/other", "one")):
            assert all(record[path]["key"] for record in sandbox.records(name))


def test_elements_can_have_lists_of_their_own():
    lines = model(
        "x/line", "ownedObject", lists={"taxes": {"apiObject": "x/tax"}}, refs={"entry": owner("x/entry")}
    )
    taxes = model("x/tax", "ownedObject", fields={"rate": field_of("number")}, refs={"line": owner("x/line")})
    entry = model("x/entry", lists={"lines": {"apiObject": "x/line"}})
    described = company(**{"x/entry": entry, "x/line": lines, "x/tax": taxes})
    with running(company=described) as sandbox, client_of(sandbox) as ours:
        key = ours.create("x/entry", {"lines": [{"taxes": [{"rate": 1}, {"rate": 2}]}, {"taxes": []}]})["key"]
        first, second = ours.get("x/entry", key)["lines"]
        assert ([one["rate"] for one in first["taxes"]], second["taxes"]) == ([1, 2], [])
        gone = {"key": first["taxes"][0]["key"], "ia::operation": "delete"}
        ours.update("x/entry", key, {"lines": [{"key": first["key"], "taxes": [gone]}]})
        assert [[one["rate"] for one in line["taxes"]] for line in ours.get("x/entry", key)["lines"]] == [
            [2],
            [],
        ]
        ours.delete("x/entry", key)
        assert sandbox.records("x/line") == sandbox.records("x/tax") == []


def owner(name):
    """Return the reference of an owned record to its owner."""
    return reference(name, isOwner=True)


def test_the_command_runs_a_company(tmp_path):
    path = tmp_path / "company.json"
    path.write_text(json.dumps(machines()), encoding="utf-8")
    sandbox = start(parse_arguments(["--port", "0", "--company", str(path), "--seed", f"{MACHINE}=3"]))
    try:
        assert len(sandbox.records(MACHINE)) == 3
    finally:
        sandbox.stop()
    with pytest.raises(StartError, match=r"other\.json: it cannot be read"):
        start(parse_arguments(["--port", "0", "--company", str(tmp_path / "other.json")]))


def test_the_shipped_models_are_a_company():
    with running("general-ledger/journal-entry=4", company="shipped") as sandbox, client_of(sandbox) as ours:
        entry = ours.get("general-ledger/journal-entry", ours.list("general-ledger/journal-entry")[0]["key"])
        assert len(entry["lines"]) == 2
        rows = list(ours.iter_rows("general-ledger/journal-entry-line", "*"))
        assert {row["journalEntry.key"] for row in rows} >= {entry["key"]}
        assert len(rows) == 8
