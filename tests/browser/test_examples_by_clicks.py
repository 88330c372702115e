"""The example DAGs in `make airflow`, as a person at a browser runs them: by clicks, twice in a row.

The short version runs one DAG of each kind; `make examples-by-clicks` runs all of them.
Without Chromium or playwright these tests are skipped; with INTACCT_REQUIRE_CHROMIUM=1 they fail instead.
"""

from __future__ import annotations

import re
import time
from urllib.parse import unquote

import pytest
from made_airflow import KINDS, ROOT, RUNS_ALL, MadeAirflow
from real_airflow import PATIENCE

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

EXAMPLES = sorted(file.stem for file in (ROOT / "example_dags").glob("*.py"))
PAUSE = 300
ENDED = {"Success", "Failed"}


@pytest.fixture(scope="module")
def interface(chromium, tmp_path_factory):
    one = MadeAirflow(tmp_path_factory.mktemp("clicks") / "home", tmp_path_factory.mktemp("own"))
    yield one
    one.stop()


@pytest.fixture(scope="module")
def person(chromium, interface):
    """Somebody who has signed in with the password that `make airflow` has printed."""
    context = chromium.new_context(viewport={"width": 1400, "height": 1600})
    page = context.new_page()
    page.set_default_timeout(PATIENCE * 1000)
    page.goto(interface.address)
    page.locator("input[name=username]").fill("admin")
    page.locator("input[name=password]").fill(interface.password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(lambda url: "/login" not in url)
    yield page
    context.close()


def open_dag(person, dag_id):
    person.get_by_test_id("nav-dags-link").click()
    person.get_by_role("link", name=dag_id, exact=True).click()
    person.get_by_role("heading", name=dag_id).wait_for()
    person.get_by_role("link", name="Overview", exact=True).wait_for()


def trigger(person):
    """Run the DAG that the page shows, as its form proposes; return the id of the run, to whose page that leads."""
    person.get_by_role("button", name="Trigger Dag").click()
    form = person.get_by_role("dialog")
    form.get_by_test_id("trigger-dag-submit").click()
    form.wait_for(state="detached")
    person.wait_for_url(re.compile("/runs/manual__"))
    return unquote(re.search(r"/runs/([^/?]+)", person.url)[1])


def finish(person, interface, dag_id, run_id):
    """Wait on the page of a run until it has ended, and approve what it asks for; return its state."""
    page_of_run = person.get_by_test_id("header-card").filter(has_text=run_id)
    waiting = person.get_by_role("row").filter(has_text="Awaiting Input").get_by_role("link")
    answered, end = set(), time.monotonic() + PATIENCE
    while (state := page_of_run.get_by_test_id("state-badge").first.inner_text()) not in ENDED:
        assert time.monotonic() < end, f"{dag_id}: {state}\n{interface.log(dag_id)}"
        for task_id in set(waiting.all_inner_texts()) - answered:
            if interface.may_answer(dag_id, task_id, run_id):
                approve(person, task_id, run_id)
                answered.add(task_id)
                break
        person.wait_for_timeout(PAUSE)
    return state


def approve(person, task_id, run_id):
    """Approve what a task of the run that the page shows asks for, and return to that page."""
    person.get_by_role("table").get_by_role("link", name=task_id, exact=True).click()
    person.get_by_role("link", name="Required Action").click()
    with person.expect_response(re.compile("/hitlDetails$")) as answer:
        person.get_by_role("button", name="Approve").click()
    assert answer.value.ok
    person.get_by_role("link", name=run_id, exact=True).click()


def states(person):
    """Return the states of all runs of the DAG, once each has ended: a schedule begins one of them by itself."""
    person.get_by_role("link", name="Runs", exact=True).click()
    badges = person.get_by_role("table").get_by_test_id("state-badge")
    end = time.monotonic() + PATIENCE
    while not set(shown := badges.all_inner_texts()) <= ENDED or len(shown) < 2:
        assert time.monotonic() < end, shown
        person.wait_for_timeout(PAUSE)
    return shown


def test_the_page_lists_every_example_but_those_that_it_says_are_left_out(interface, person):
    person.get_by_test_id("nav-dags-link").click()
    left_out = set(re.findall(r"(intacct_\w+) \(needs", interface.printed))
    expected = set(EXAMPLES) - left_out
    person.get_by_text(f"{len(expected)} Dags", exact=True).wait_for()
    links = person.get_by_role("link").filter(has_text=re.compile("^intacct_")).all_inner_texts()
    assert expected <= set(links)


@pytest.mark.parametrize("dag_id", EXAMPLES if RUNS_ALL else KINDS)
def test_a_dag_is_green_twice_in_a_row(interface, person, dag_id):
    if f"{dag_id} (needs" in interface.printed:
        pytest.skip(f"`make airflow` leaves {dag_id} out, as it says")
    for _ in range(2):
        open_dag(person, dag_id)
        run_id = trigger(person)
        assert finish(person, interface, dag_id, run_id) == "Success", interface.log(dag_id)
    open_dag(person, dag_id)
    assert set(states(person)) == {"Success"}, interface.log(dag_id)
