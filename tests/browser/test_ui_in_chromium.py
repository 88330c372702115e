"""What a person does in the UI of a real Airflow that asks for a login: a connection, and the links of tasks.

Without Chromium or playwright these tests are skipped; with INTACCT_REQUIRE_CHROMIUM=1 they fail instead.
"""

import json
import re
import shutil
from pathlib import Path

import pytest
from guarded_airflow import ADMIN, GuardedAirflow
from picky_auth import CLOSED, OUTSIDER
from sandbox_client import running

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

ROOT = Path(__file__).resolve().parents[2]
DAG = ROOT / "tests" / "airflow" / "dags" / f"{CLOSED}.py"
SECONDS = 120_000


@pytest.fixture(scope="module")
def airflow(chromium, tmp_path_factory, pytestconfig):
    """Run Airflow with one DAG; at the end, it gives what it has left behind to the audit of the suite."""
    audit = pytestconfig.pluginmanager.get_plugin(str(ROOT / "tests" / "conftest.py")).audit
    before = set(audit.secrets)
    dags = tmp_path_factory.mktemp("dags")
    shutil.copy(DAG, dags)
    one = GuardedAirflow(tmp_path_factory.mktemp("airflow"), dags)
    try:
        one.start()
        yield one
    finally:
        one.stop()
    audit.leaks += one.leaks(audit.secrets - before)


@pytest.fixture(scope="module")
def sandbox(airflow):
    with running("demo") as company:
        yield company


@pytest.fixture(scope="module")
def sign_in(chromium, airflow):
    """Return a function that gives the page of a browser, in which somebody has signed in by Airflow's form."""
    contexts = []

    def open_browser(user, address="/"):
        contexts.append(chromium.new_context(viewport={"width": 1400, "height": 1600}))
        page = contexts[-1].new_page()
        page.set_default_timeout(SECONDS)
        page.goto(airflow.url + address)
        if address != "/":  # the page in place of the one that is refused
            page.get_by_role("link", name="Sign in").click()
        page.locator("input[name=username]").fill(user)
        page.locator("input[name=password]").fill(airflow.passwords[user])
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(lambda url: "/login" not in url)
        return page

    yield open_browser
    for context in contexts:
        context.close()


@pytest.fixture(scope="module")
def person(sign_in):
    """Somebody who may do everything."""
    return sign_in(ADMIN)


@pytest.fixture(scope="module")
def run(airflow, sandbox, tmp_path_factory):
    """One run of the DAG that has each link."""
    airflow.connect("intacct_default", sandbox)
    one = airflow.run(CLOSED, folder=f"file://{tmp_path_factory.mktemp('files')}")
    one.succeed()
    return one


def details(person, airflow, run, task_id):
    person.goto(f"{airflow.url}/dags/{CLOSED}/runs/{run.run_id}/tasks/{task_id}/details")


def test_a_connection_is_made_tested_and_opened_again(airflow, sandbox, person):
    conn = json.loads(sandbox.connection())
    extra = {**conn["extra"], "entity_id": "", "page_size": "1000"}
    person.goto(f"{airflow.url}/connections")
    person.get_by_role("button", name="Add Connection").click()
    form = person.get_by_role("dialog")
    form.locator("[name=connection_id]").fill("made_by_hand")
    form.get_by_role("combobox").fill("Sage")
    person.get_by_role("option", name="Sage Intacct", exact=True).click()
    for label in ("API base URL", "Client ID", "Client secret"):
        form.get_by_text(label, exact=True).wait_for()
    standard = {"host": conn["host"], "login": conn["login"], "password": conn["password"], "port": "443"}
    if conn.get("port"):
        standard["port"] = str(conn["port"])
    for name, value in standard.items():
        form.locator(f"[name={name}]").fill(value)
    form.get_by_role("button", name="Extra Fields", exact=True).click()
    for name in ("company_id", "user_id", "page_size"):
        form.locator(f"[name=element_{name}]").fill(extra[name])
    form.get_by_role("button", name="Save").click()
    form.wait_for(state="detached")

    row = person.get_by_role("row").filter(has_text="made_by_hand")
    # What the page says of saving looks like what it says of testing.
    with person.expect_response(re.compile("/api/v2/connections/test")) as answer:
        row.get_by_role("button", name="Test Connection").click()
    tested = answer.value.json()
    assert tested["status"] is True, tested
    assert [call for call in sandbox.requests if call.path.endswith("/services/core/query")]

    row.get_by_role("button", name="Edit Connection").click()
    form = person.get_by_role("dialog")
    form.locator("[name=host]").wait_for()
    for name in ("host", "login", "port"):
        assert form.locator(f"[name={name}]").input_value() == standard[name]
    shown = form.locator("[name=password]").input_value()
    assert shown in ("", "***")
    form.get_by_role("button", name="Extra Fields", exact=True).click()
    for name in ("company_id", "user_id"):
        assert form.locator(f"[name=element_{name}]").input_value() == extra[name]
    assert re.sub(r"\D", "", form.locator("[name=element_page_size]").input_value()) == "1000"
    assert conn["password"] not in person.content()


def test_the_link_to_a_plan_and_to_a_manifest_open_them_within_airflow(airflow, person, run):
    details(person, airflow, run, "plan")
    person.get_by_role("link", name="Plan", exact=True).click()
    person.get_by_role("heading", name="Plan for accounts-receivable/customer-group").wait_for()
    assert person.url.startswith(f"{airflow.url}/intacct/plan?")
    text = person.locator("body").inner_text()
    assert "Europe <b>& Africa</b>" in text
    assert run.xcom("plan")["sha256"] in text
    assert re.search(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC, by try 1", text)
    assert person.evaluate("document.scripts.length") == 0
    assert person.evaluate("document.styleSheets[0].cssRules.length") > 20

    details(person, airflow, run, "export")
    with person.expect_response(re.compile("/intacct/manifest")) as answer:
        person.get_by_role("link", name="Manifest", exact=True).click()
    assert answer.value.json()["rows"] == run.xcom("export")["rows"]
    assert '"manifest_version"' in person.locator("body").inner_text()


def test_the_link_to_a_record_leads_to_intacct_and_is_away_where_intacct_has_none(airflow, person, run):
    address = run.xcom("get")["webURL"]
    # The page of Intacct is not on this machine.
    person.route(address, lambda route: route.fulfill(status=200, body="the record"))
    person.context.route(address, lambda route: route.fulfill(status=200, body="the record"))
    details(person, airflow, run, "get")
    with person.context.expect_page() as opened:
        person.get_by_role("link", name="Record in Intacct").click()
    opened.value.get_by_text("the record").wait_for()
    assert opened.value.url == address
    opened.value.close()
    details(person, airflow, run, "get_term")
    person.get_by_text("IntacctGetRecordOperator").first.wait_for()
    person.get_by_role("table").first.wait_for()
    assert person.get_by_role("link", name="Record in Intacct").count() == 0


def test_a_page_is_refused_without_login_and_shown_after_it(airflow, chromium, sign_in, run):
    address = run.xcom("plan", "_link_PlanLink")
    nobody = chromium.new_page()
    answer = nobody.goto(address)
    assert answer.status == 401
    assert "EMEA" not in nobody.content()
    nobody.close()
    page = sign_in(ADMIN, address.removeprefix(airflow.url))
    page.get_by_role("heading", name="Plan for").wait_for()
    assert page.url == address


def test_a_page_is_refused_to_who_may_not_read_the_dag(airflow, sign_in, run):
    outsider = sign_in(OUTSIDER)
    for task_id, key in (("plan", "_link_PlanLink"), ("export", "_link_ManifestLink")):
        answer = outsider.goto(run.xcom(task_id, key))
        assert answer.status == 403
        assert "You may not read the XComs of this DAG" in outsider.locator("body").inner_text()


def test_a_page_of_what_is_not_a_plan_is_refused(airflow, person, run, tmp_path):
    secret = tmp_path / "secret.json"
    secret.write_text('{"version": "3", "sha256": "never shown"}')
    named = run.xcom("plan", "intacct_plan")
    for path, status in ((f"file://{secret}", 422), ("file:///nowhere/at.all", 404)):
        airflow.change_xcom(run, "plan", "intacct_plan", {**named, "path": path})
        answer = person.goto(run.xcom("plan", "_link_PlanLink"))
        assert answer.status == status
        text = person.locator("body").inner_text()
        assert path in text
        assert "never shown" not in text
    assert "The API server cannot read" in text
