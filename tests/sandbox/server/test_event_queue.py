"""The sandbox's event queue over HTTP: what fires events, how they are listed, and what ends them."""

import base64
import json

import pytest
import requests
from raw_client import RawClient, error_of
from sandbox_client import running
from sandbox_pages import page

from intacct_provider.sandbox import Sandbox
from intacct_provider.sandbox.records.event_queue import BATCH

CUSTOMER = "accounts-receivable/customer"
PURPOSE = "general-ledger/account-group-purpose"
QUEUE = "/services/delivery/event"


@pytest.fixture
def sandbox():
    with running() as company:
        yield company


@pytest.fixture
def client(sandbox):
    return RawClient(sandbox)


def result(answer):
    assert answer.ok, answer.text
    return answer.json()["ia::result"]


def listed(client):
    found = result(client("GET", f"{QUEUE}/list"))
    return found["events"] if found else []


def context_of(event):
    return json.loads(base64.b64decode(event["clientContext"]))


def acknowledge(client, ack_id):
    return client("POST", f"{QUEUE}/ack", {"ackId": ack_id})


def test_an_empty_queue_is_listed_as_live_companies_do(client):
    answer = client("GET", f"{QUEUE}/list")
    assert answer.json() == {
        "ia::result": [],
        "ia::meta": {"totalCount": 1, "totalSuccess": 1, "totalError": 0},
    }
    assert result(client("GET", f"{QUEUE}/count")) == {"count": 0}


def test_writes_fire_events_where_a_trigger_is_set_and_nowhere_else(sandbox, client):
    sandbox.events.add_trigger(CUSTOMER, "create", "delete")
    key = result(client("POST", f"/objects/{CUSTOMER}", {"id": "C", "name": "C"}))["key"]
    client("PATCH", f"/objects/{CUSTOMER}/{key}", {"name": "D"})
    client("POST", f"/objects/{PURPOSE}", {"id": "P"})
    client("DELETE", f"/objects/{CUSTOMER}/{key}")
    expected = [
        {"object": "customer", "event": f"after_{action}", "key": key, "id": "C"}
        for action in ("create", "delete")
    ]
    events = listed(client)
    assert [context_of(event) for event in events] == expected
    assert json.loads(base64.b64decode(events[0]["payload"])) == {"key": key, "id": "C"}
    assert {event["eventType"] for event in events} == {"pull"}


def test_a_write_that_is_rolled_back_fires_no_event(sandbox, client):
    sandbox.events.add_trigger(PURPOSE)
    records = [{"id": "P"}, {"id": "P"}]
    headers = {"X-IA-API-Param-Transaction": "true"}
    assert client("POST", f"/objects/{PURPOSE}", records, headers=headers).status_code >= 400
    assert listed(client) == []
    assert client("POST", f"/objects/{PURPOSE}", [{"id": "Q"}, {"id": "R"}]).status_code == 201
    assert [context_of(event)["id"] for event in listed(client)] == ["Q", "R"]


def test_the_records_of_a_bulk_job_fire_events(client, sandbox):
    sandbox.events.add_trigger(CUSTOMER)
    sandbox.faults = {"job_seconds": 0, "job_rate": 1e6}
    client.submit([{"id": "A", "name": "A"}, {"name": ""}, {"id": "B", "name": "B"}])
    assert [context_of(event)["id"] for event in listed(client)] == ["A", "B"]


def test_a_list_is_repeated_unchanged_until_it_is_acknowledged(sandbox, client):
    first = sandbox.events.fire(CUSTOMER, "create", key="1")
    before = result(client("GET", f"{QUEUE}/list"))
    second = sandbox.events.fire(CUSTOMER, "update")
    assert result(client("GET", f"{QUEUE}/list")) == before
    assert [event["eventId"] for event in before["events"]] == [first]
    assert result(client("GET", f"{QUEUE}/count")) == {"count": 2}

    assert result(acknowledge(client, before["ackId"])) == {"ackId": before["ackId"], "status": "success"}
    [event] = listed(client)
    assert event["eventId"] == second
    assert "key" not in context_of(event)
    assert acknowledge(client, before["ackId"]).status_code == 404


def test_a_long_queue_is_listed_in_batches(sandbox, client):
    for n in range(BATCH + 3):
        sandbox.events.fire(CUSTOMER, "create", key=str(n))
    seen = []
    while found := result(client("GET", f"{QUEUE}/list")):
        seen.append([context_of(event)["key"] for event in found["events"]])
        acknowledge(client, found["ackId"])
    assert seen == [[str(n) for n in range(BATCH)], [str(BATCH + n) for n in range(3)]]


@pytest.mark.parametrize("body", [{}, {"ackId": ""}, {"ackId": 7}, [], None])
def test_an_acknowledgement_without_an_ack_id(client, body):
    answer = client("POST", f"{QUEUE}/ack", body)
    assert answer.status_code == 400
    assert error_of(answer)["code"] == "invalidRequest"


def test_each_call_is_billed_once(sandbox, client):
    sandbox.events.fire(CUSTOMER, "create")
    client("GET", f"{QUEUE}/count")
    acknowledge(client, result(client("GET", f"{QUEUE}/list"))["ackId"])
    assert sandbox.transactions == 3


def test_events_triggers_and_the_list_survive_a_restart(tmp_path):
    file = str(tmp_path / "company.db")
    with Sandbox(db=file) as first:
        first.events.add_trigger(CUSTOMER, "update")
        first.events.fire(CUSTOMER, "create", key="1")
        before = result(RawClient(first)("GET", f"{QUEUE}/list"))
        first.events.fire(CUSTOMER, "create", key="2")
    with Sandbox(db=file) as second:
        client = RawClient(second)
        assert result(client("GET", f"{QUEUE}/list")) == before
        assert second.events.triggers() == {CUSTOMER: ["update"]}
        acknowledge(client, before["ackId"])
        assert [event.key for event in second.events.waiting()] == ["2"]


def test_unknown_objects_and_actions_are_named(sandbox):
    with pytest.raises(ValueError, match="did you mean 'accounts-receivable/customer'"):
        sandbox.events.add_trigger("accounts-receivable/custmer")
    with pytest.raises(ValueError, match="create, update, delete"):
        sandbox.events.fire(CUSTOMER, "created")


# --- the page


def post(sandbox, **form):
    return requests.post(sandbox.site + "events", data=form, timeout=10)


def test_a_person_fires_an_event_on_the_page(sandbox, client):
    shown = page(sandbox, "events")
    assert not shown.problems
    assert "0 events" in shown.text
    assert post(sandbox, do="fire", object=CUSTOMER, action="update", key=" 12 ").status_code == 200
    post(sandbox, do="fire", object=PURPOSE, action="create", key="")
    [event] = [context_of(event) for event in listed(client)[:1]]
    assert event == {"object": "customer", "event": "after_update", "key": "12"}
    rows = page(sandbox, "events").cells
    assert [row[1:] for row in rows if len(row) == 5] == [
        ["Object", "Action", "Key", "State"],
        [CUSTOMER, "update", "12", "listed, not acknowledged"],
        [PURPOSE, "create", "none", "listed, not acknowledged"],
    ]


def test_a_person_sets_and_removes_triggers_on_the_page(sandbox, client):
    post(sandbox, do="add", object=CUSTOMER, action="")
    post(sandbox, do="add", object=PURPOSE, action="delete")
    assert sandbox.events.triggers() == {CUSTOMER: ["create", "update", "delete"], PURPOSE: ["delete"]}
    assert [CUSTOMER, "create, update, delete", "Remove"] in page(sandbox, "events").cells
    client("POST", f"/objects/{CUSTOMER}", {"name": "A"})
    post(sandbox, do="remove", object=CUSTOMER)
    client("POST", f"/objects/{CUSTOMER}", {"name": "B"})
    assert sandbox.events.triggers() == {PURPOSE: ["delete"]}
    assert sandbox.events.count() == 1


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"do": "drop", "object": CUSTOMER},
        {"do": "fire", "object": CUSTOMER, "action": "x"},
        {"do": "add", "object": "x/y"},
    ],
)
def test_another_form_is_refused(sandbox, form):
    assert post(sandbox, **form).status_code == 400
    assert sandbox.events.count() == 0
    assert sandbox.events.triggers() == {}


def test_a_form_of_another_site_is_refused(sandbox):
    headers = {"Sec-Fetch-Site": "cross-site"}
    form = {"do": "fire", "object": CUSTOMER, "action": "create"}
    answer = requests.post(sandbox.site + "events", data=form, headers=headers, timeout=10)
    assert answer.status_code == 403
    assert sandbox.events.count() == 0


def test_what_a_person_enters_is_shown_as_text(sandbox):
    post(sandbox, do="fire", object=CUSTOMER, action="create", key="<script>alert(1)</script>")
    shown = page(sandbox, "events")
    assert not shown.problems
    assert not shown.all("script")
