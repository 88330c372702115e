"""A person who reads a plan on a page of a real Airflow, and says yes or no.

The DAG is the example's, Airflow's scheduler, workers and API server are processes of their own, and so is Chromium.
Without Chromium or playwright these tests are skipped; with INTACCT_REQUIRE_CHROMIUM=1 they fail instead.
"""

import csv
import shutil
from pathlib import Path

import pytest
from real_airflow import RealAirflow
from sandbox_client import client_of, running

from intacct_provider.sync.plan import Plan

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "example_dags"
SAMPLE = EXAMPLES / "data" / "customer_groups.csv"
DAG = "intacct_sync_with_approval"
GROUP = "accounts-receivable/customer-group"
#: Text that would be something else if it were not shown as text.
HOSTILE = "<img src=x onerror=alert(1)> **A** _b_ [c](javascript:alert(1)) `d` | <!-- \\ &lt; ~~e~~"
SECONDS = 60_000


@pytest.fixture(scope="module")
def airflow(chromium, tmp_path_factory, pytestconfig):
    """Run Airflow with the example alone: others of them have schedules, and would begin at once.

    At the end, it gives what it has left behind to the audit of the suite.
    """
    audit = pytestconfig.pluginmanager.get_plugin(str(ROOT / "tests" / "conftest.py")).audit
    before = set(audit.secrets)
    dags = tmp_path_factory.mktemp("dags")
    shutil.copy(EXAMPLES / f"{DAG}.py", dags)
    shutil.copytree(SAMPLE.parent, dags / "data")
    one = RealAirflow(tmp_path_factory.mktemp("airflow"), dags)
    try:
        one.start()
        yield one
    finally:
        one.stop()
    audit.leaks += one.leaks(audit.secrets - before)


@pytest.fixture
def sandbox(airflow):
    with running("demo") as company:
        airflow.connect("intacct_default", company)
        yield company
        airflow.disconnect("intacct_default")


@pytest.fixture
def person(chromium, airflow):
    """Somebody at a browser, whom no text of a record may do anything to."""
    context = chromium.new_context(viewport={"width": 1400, "height": 1000})
    page, dialogs = context.new_page(), []
    page.set_default_timeout(SECONDS)
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    yield page
    context.close()
    assert dialogs == []


@pytest.fixture
def asked(airflow, sandbox, person, tmp_path):
    """Return a function that runs the DAG until it asks, and takes the person there; it returns run and plan."""

    def ask(desired=SAMPLE):
        run = airflow.run(DAG, folder=f"file://{tmp_path}", desired=f"file://{desired}")
        run.until("somebody is asked", lambda: state(run, "approve") == "awaiting_input")
        person.goto(f"{airflow.url}/required_actions?response_received=false")
        person.get_by_role("link", name="Change Intacct's customer groups?").click()
        person.get_by_role("button", name="Approve").wait_for()
        assert writes(sandbox) == []
        [file] = tmp_path.glob("*/groups.plan.json")
        return run, Plan.from_json(file.read_bytes())

    return ask


def state(run, task_id):
    [task] = [task for task in run.tasks() if task["task_id"] == task_id]
    return task["state"]


def writes(sandbox):
    return [c for c in sandbox.requests if c.method in ("POST", "PATCH", "DELETE") and "/objects/" in c.path]


def groups(sandbox):
    return {group["id"]: group for group in sandbox.records(GROUP)}


def table_rows(person):
    """Return the cells of all rows of the plan as the page shows them."""
    return person.locator("table tr").evaluate_all(
        "(rows) => rows.map((r) => [...r.cells].map((c) => c.innerText))"
    )


def test_what_a_person_has_read_and_approved_is_what_happens(airflow, sandbox, person, asked, tmp_path):
    before = groups(sandbox)
    run, plan = asked()
    assert plan.counts == {"create": 3, "update": 3, "delete": 4}
    text = person.locator("body").inner_text()
    assert "4 to delete, 3 to update, 3 to create; 6 unchanged, 1 protected." in text
    assert f"Applying it takes about {plan.transactions} billed transactions." in text
    rows = table_rows(person)
    assert [row[0] for row in rows[1:5]] == ["HEALTHCARE", "NET-60", "NO-CREDIT-LIMIT", "ON-HOLD"]
    shown = {tuple(row[:2]) for row in rows}
    assert {(s.match, c.path) for s in plan.steps if s.action == "update" for c in s.changes} <= shown
    assert {s.match for s in plan.steps if s.action == "create"} <= {first for first, *_ in rows}
    assert ["HIGH-BALANCE", "name", "Balance over 10,000", "Balance over 25,000"] in rows

    # The page beside the plan has the same in full.
    [file] = tmp_path.glob("*/groups.plan.html")
    assert run.xcom("plan")["page"] == f"file://{file}"
    page = person.context.new_page()
    page.goto(file.as_uri())
    assert page.get_by_role("rowheader").count() == len(plan.steps)
    assert plan.digest in page.locator("body").inner_text()
    page.close()

    # And so has its page within Airflow, to which the request links.
    with person.context.expect_page() as opened:
        person.get_by_role("link", name="The whole plan on a page").click()
    page = opened.value
    page.get_by_text(plan.digest).wait_for()
    assert page.url.startswith(f"{airflow.url}/intacct/plan?")
    assert page.get_by_role("rowheader").count() == len(plan.steps)
    assert run.xcom("plan")["made"] in page.locator("body").inner_text()
    page.close()

    person.get_by_role("button", name="Approve").click()
    run.succeed()
    after = groups(sandbox)
    with SAMPLE.open() as file:
        assert after.keys() == {row["id"] for row in csv.DictReader(file)} | {"BOARD-REPORT"}
    assert after["HIGH-BALANCE"]["name"] == "Balance over 25,000"
    assert after["BOARD-REPORT"] == before["BOARD-REPORT"]
    counts = run.xcom("apply")
    assert [counts[name] for name in ("created", "updated", "deleted", "rejected")] == [3, 3, 4, 0]
    assert abs(counts["transactions"] - plan.transactions) <= 1

    # The next run finds nothing to change, and asks nobody.
    sent = len(writes(sandbox))
    again = airflow.run(DAG, folder=f"file://{tmp_path / 'again'}")
    states = {task["task_id"]: task["state"] for task in again.wait()}
    assert states == {
        "plan": "success",
        "anything_to_change": "success",
        "approve": "skipped",
        "apply": "skipped",
    }
    assert len(writes(sandbox)) == sent


def test_what_a_person_rejects_does_not_happen_and_a_long_plan_is_cut_and_only_text(
    sandbox, person, asked, tmp_path
):
    desired = tmp_path / "groups.csv"
    with desired.open("w", newline="") as file:
        csv.writer(file).writerows(
            [
                ["id", "name"],
                *([i, i] for i in groups(sandbox) if i != "EMEA"),
                *([f"N-{n}", HOSTILE] for n in range(300)),
            ]
        )
    before = sandbox.records(GROUP)
    run, plan = asked(desired)
    assert plan.counts["delete"] == 1
    assert plan.counts["create"] == 300
    rows = table_rows(person)
    assert rows[1][0] == "EMEA"
    created = [row[1] for row in rows if row[0].startswith("N-")]
    assert set(created) == {f"name: {HOSTILE[:59]}…"}
    text = person.locator("body").inner_text()
    assert "1 to delete, 12 to update, 300 to create" in text
    assert f"{300 - len(created)} more lines not shown." in text

    person.get_by_role("button", name="Reject").click()
    states = {task["task_id"]: task["state"] for task in run.wait()}
    assert states == {
        "plan": "success",
        "anything_to_change": "success",
        "approve": "success",
        "apply": "skipped",
    }
    assert sandbox.records(GROUP) == before
    assert writes(sandbox) == []


def test_what_changed_while_the_person_read_is_not_written_over(sandbox, person, asked):
    run, _ = asked()
    with client_of(sandbox) as client:
        client.update(GROUP, groups(sandbox)["HIGH-BALANCE"]["key"], {"name": "Somebody else's"})
    before, sent = sandbox.records(GROUP), len(writes(sandbox))
    person.get_by_role("button", name="Approve").click()
    states = {task["task_id"]: task["state"] for task in run.wait()}
    assert states["apply"] == "failed"
    assert len(run.tries("apply")) == 1
    assert "HIGH-BALANCE" in run.log("apply", 1)
    assert sandbox.records(GROUP) == before
    assert len(writes(sandbox)) == sent
