"""The pages over HTTP: what they show of the company, its records, their history and the calls."""

import json
import re
import shlex
import socket
import time
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests
from raw_client import RawClient
from sandbox_client import client_of, running, stored
from sandbox_pages import CUSTOMER, PURPOSE, busy_company, of, page

from intacct_provider.sandbox import Sandbox


@pytest.fixture(scope="module")
def busy():
    with busy_company() as company:
        yield company


# --- the company


def test_the_company_shows_who_it_is_and_how_to_connect(busy):
    shown = page(busy)
    for part in (busy.identity.company, busy.url, busy.identity.user, busy.identity.client_id):
        assert part in shown.text
    assert ["US", "Sandbox Incorporated", "active"] in shown.cells
    assert "export AIRFLOW_CONN_INTACCT_DEFAULT=" in shown.text


def test_the_connection_that_is_shown_is_the_one_that_works():
    with Sandbox() as company:
        text = page(company).text
        command = re.search(r"export \S+=(.*)", text)[1]
        assert "This is the public secret of the sandbox." in text
        assert json.loads(shlex.split(command)[0]) == json.loads(company.connection())


def test_the_company_shows_what_was_billed(busy):
    shown = page(busy)
    assert [CUSTOMER, "airflow@SANDBOX", "5"] in shown.cells
    assert [PURPOSE, "airflow@SANDBOX", "1"] in shown.cells
    assert ["All", "6"] in shown.cells
    assert "less than 0.1% of the 100,000 that tier 1 includes each month" in shown.text
    [meter] = shown.all("meter")
    assert (meter["value"], meter["max"]) == ("6", "100000")


@pytest.mark.parametrize(("tier", "allowed"), [(1, "100,000"), (4, "2,500,000")])
def test_the_allowance_is_that_of_the_tier(tier, allowed):
    with running(tier=tier) as company:
        assert f"0.0% of the {allowed} that tier {tier} includes" in page(company).text


def test_the_company_counts_its_records(busy):
    shown = page(busy)
    for name in (CUSTOMER, PURPOSE, "company-config/user"):
        assert [name, str(len(stored(busy, name)))] in shown.cells
    assert f"/{of('construction/cost-type')}" in shown.links  # has none, and is folded


def test_the_company_shows_the_last_20_calls(sandbox):
    for number in range(25):
        requests.get(f"{sandbox.url}/objects/number-{number}", timeout=10)
    paths = [row[2] for row in page(sandbox).cells if len(row) == 10]
    assert paths == ["Path"] + [f"/objects/number-{number}" for number in range(24, 4, -1)]


def test_a_call_shows_its_facts(busy):
    rows = page(busy, "calls").cells
    query = next(row for row in rows if row[2] == f"/services/core/query {CUSTOMER}")
    assert query[0].startswith("2026-07-01 08:0")
    assert [query[1], query[3], *query[5:]] == ["POST", "200", "40", "1", "airflow@SANDBOX", "", ""]
    assert float(query[4]) > 0
    failed = next(row for row in rows if row[3] == "503")
    assert failed[-1] == "status"


def test_a_call_shows_its_entity_and_that_there_was_no_response(sandbox):
    with client_of(sandbox, entity_id="UK") as client:
        client.query(PURPOSE, ["key"])
        sandbox.fail(kind="reset")
        client.query(PURPOSE, ["key"])
    rows = page(sandbox).cells
    assert [row[-2:] for row in rows if row[2:4] == [f"/services/core/query {PURPOSE}", "200"]] == [
        ["UK", ""],
        ["UK", ""],
    ]
    assert [row[-1] for row in rows if "no response" in row] == ["reset"]
    assert [row[-1] for row in page(sandbox, "calls?status=none").cells[1:]] == ["reset"]


def test_a_call_that_has_not_ended_is_running(sandbox):
    sandbox.fail(kind="hang")
    address = urlsplit(sandbox.url)
    with socket.create_connection((address.hostname, address.port)) as client:
        client.sendall(f"GET {address.path}/objects/x/y HTTP/1.1\r\nHost: {address.netloc}\r\n\r\n".encode())
        deadline = time.monotonic() + 10
        while not sandbox.requests and time.monotonic() < deadline:
            time.sleep(0.01)
        [row] = page(sandbox, "calls").cells[1:]
    assert row[2:5] == ["/objects/x/y", "running", ""]


def test_a_call_leads_to_its_record_and_its_object(busy):
    links = page(busy, "calls").links
    assert f"/{of(CUSTOMER, busy.kept)}" in links
    assert f"/{of(CUSTOMER)}" in links


def test_faults_that_are_on_are_shown(sandbox):
    assert "None" in page(sandbox).text
    sandbox.faults = {"latency": 0.01, "fail": [{"status": 429, "every": 7, "path": "/objects"}]}
    text = " ".join(page(sandbox).text.split())
    assert "2 on latency 0.01 429 Too Many Requests: any method on /objects, one in 7, no limit" in text


def test_bulk_jobs_are_shown_as_they_are_by_now():
    now = datetime(2026, 7, 1, tzinfo=UTC)
    with running(clock=lambda: now, faults={"job_seconds": 10, "job_rate": 1}) as company:
        assert "Bulk jobs" not in page(company).text
        client = RawClient(company)
        job_id = client.submit([{"id": text, "name": text} for text in "ABC"]).json()["ia::result"]["jobId"]
        for seconds, status, since, done in (
            (0, "queued", "00:00:00", 0),
            (21, "processing", "00:00:20", 1),
            (12, "completed", "00:00:33", 3),
        ):
            now += timedelta(seconds=seconds)
            shown = page(company)
            facts = [status, f"2026-07-01 {since}", f"{done} of 3", "airflow@SANDBOX"]
            assert [job_id, "create", CUSTOMER, *facts] in shown.cells
            assert ([CUSTOMER, str(done)] in shown.cells) == (done > 0)
        assert [CUSTOMER, "airflow@SANDBOX", "3"] in shown.cells


# --- the calls


def test_calls_are_paged_from_the_latest(sandbox):
    for number in range(230):
        requests.get(f"{sandbox.url}/objects/number-{number}", timeout=10)
    seen = []
    address = "calls"
    while address:
        shown = page(sandbox, address)
        seen += [row[2] for row in shown.cells[1:]]
        following = [link for link in shown.all("a") if link.get("rel") == "next"]
        address = following[0]["href"].lstrip("/") if following else None
    assert seen == [f"/objects/number-{number}" for number in reversed(range(230))]


def test_a_call_for_many_keys_does_not_fill_the_page(sandbox):
    keys = ",".join(map(str, range(1, 501)))
    requests.get(f"{sandbox.url}/objects/{PURPOSE}/{keys}", timeout=10)
    [row] = page(sandbox, "calls").cells[1:]
    assert row[2].startswith(f"/objects/{PURPOSE}/1,2,3")
    assert len(row[2]) < 150


def test_calls_are_filtered_by_status_and_object(busy):
    assert {row[3] for row in page(busy, "calls?status=5xx").cells[1:]} == {"503"}
    assert {row[3] for row in page(busy, "calls?status=2xx").cells[1:]} == {"200", "201", "204"}
    assert page(busy, "calls?status=none").cells == []
    of_purpose = page(busy, "calls", params={"object": PURPOSE, "status": "2xx"}).cells[1:]
    assert [row[2] for row in of_purpose] == [f"/services/core/query {PURPOSE}"]


def test_paging_keeps_the_filter(sandbox):
    for _ in range(101):
        requests.get(f"{sandbox.url}/objects/x/y", timeout=10)
    query = {"status": "4xx", "object": "objects/x/y"}
    shown = page(sandbox, "calls", params=query)
    [following] = {link["href"] for link in shown.all("a") if link.get("rel") == "next"}
    assert dict(parse_qsl(urlsplit(following).query)) == {**query, "page": "2"}


# --- the records of an object


def test_records_show_what_they_are(busy):
    kept = next(record for record in busy.records(CUSTOMER) if record["id"] == "KEPT")
    [row] = page(busy, of(CUSTOMER), params={"search": "KEPT"}).cells[1:]
    modified = kept["audit"]["modifiedDateTime"].replace("T", " ").rstrip("Z")
    assert row == [busy.kept, "KEPT", "Kept & Sons", "active", "", modified]


def test_private_records_are_shown_with_their_entity(sandbox):
    sandbox.seed(PURPOSE, [{"id": "Ours"}], entity="UK")
    [row] = page(sandbox, of(PURPOSE)).cells[1:]
    assert row[:4] == ["1", "Ours", "active", "UK"]


def test_records_are_paged_by_50_without_a_gap(busy):
    seen, address = [], of(CUSTOMER)
    while address:
        shown = page(busy, address)
        assert len(shown.cells) <= 51
        seen += [row[1] for row in shown.cells[1:]]
        following = [link for link in shown.all("a") if link.get("rel") == "next"]
        address = following[0]["href"].lstrip("/") if following else None
    assert seen == stored(busy, CUSTOMER)


def test_a_page_says_where_it_is_and_leads_back(busy):
    total = len(stored(busy, CUSTOMER))
    shown = page(busy, of(CUSTOMER) + "?page=2")
    assert f"51–100 of {total}" in shown.text  # noqa: RUF001
    assert {"prev", "next"} <= {link.get("rel") for link in shown.all("a")}
    last = page(busy, of(CUSTOMER) + "?page=999999999999")
    assert f"–{total} of {total}" in last.text  # noqa: RUF001


def matches(sandbox, search):
    """Return the ids of the customers that a search must find."""
    return [
        record["id"]
        for record in sandbox.records(CUSTOMER)
        if search.casefold() in f"{record['id']}\n{record['name']}".casefold()
    ]


@pytest.mark.parametrize("search", ["müller", "MÜLLER", "Müller Gruppe", "c-00042", "42", "o'hara", "&", "ü"])
def test_search_finds_part_of_the_id_or_the_name_in_any_case(busy, search):
    wanted = matches(busy, search)
    shown = page(busy, of(CUSTOMER), params={"search": search})
    assert wanted
    assert [row[1] for row in shown.cells[1:]] == wanted[:50]
    assert f"{len(wanted)} record" in shown.text
    [field] = [field for field in shown.all("input") if field["type"] == "search"]
    assert field["value"] == search


@pytest.mark.parametrize("search", ["%", "_", "\\", "C-0%", "C_00001", "é%ü"])
def test_search_takes_every_letter_as_itself(busy, search):
    found = [row[1] for row in page(busy, of(CUSTOMER), params={"search": search}).cells[1:]]
    assert found == matches(busy, search)


def test_search_finds_a_percent_sign(sandbox):
    sandbox.seed(PURPOSE, [{"id": "100% ours"}, {"id": "100 of ours"}, {"id": "Éa_b\\"}])
    for search, wanted in (("0% o", "100% ours"), ("é", "Éa_b\\"), ("a_b\\", "Éa_b\\")):
        assert [row[1] for row in page(sandbox, of(PURPOSE), params={"search": search}).cells[1:]] == [wanted]


@pytest.mark.parametrize("sort", ["key", "id", "modified"])
def test_records_are_sorted_through_the_links_of_the_headings(busy, sort):
    def facts(record):
        moment = record["audit"]["modifiedDateTime"]
        key = int(record["key"])
        return {"key": key, "id": record["id"], "modified": (moment, key)}[sort]

    wanted = [record["id"] for record in sorted(busy.records(CUSTOMER), key=facts)]
    up = page(busy, of(CUSTOMER), params={"sort": sort})
    assert [row[1] for row in up.cells[1:]] == wanted[:50]
    assert [th["aria-sort"] for th in up.all("th") if "aria-sort" in th] == ["ascending"]
    down = page(busy, of(CUSTOMER), params={"sort": f"-{sort}"})
    assert [row[1] for row in down.cells[1:]] == wanted[::-1][:50]
    assert f"/{of(CUSTOMER)}?sort=-{sort}" in up.links


def test_records_of_one_moment_are_sorted_by_key():
    with running(clock=lambda: datetime(2026, 7, 1, tzinfo=UTC)) as company:
        company.seed(PURPOSE, [{"id": text} for text in "CAB"])
        for sort, wanted in (("modified", "CAB"), ("-modified", "BAC")):
            rows = page(company, of(PURPOSE), params={"sort": sort}).cells[1:]
            assert "".join(row[1] for row in rows) == wanted


def test_paging_and_sorting_keep_the_search(busy):
    shown = page(busy, of(CUSTOMER), params={"search": "c-0", "sort": "-id"})
    queries = [dict(parse_qsl(urlsplit(link).query)) for link in shown.links if "?" in link]
    assert {"search": "c-0", "sort": "-id", "page": "2"} in queries
    assert {"search": "c-0", "sort": "modified"} in queries
    assert {"type": "hidden", "name": "sort", "value": "-id"} in shown.all("input")


@pytest.mark.parametrize(
    ("address", "said"),
    [
        (of(CUSTOMER) + "?sort=modifed", "not 'modifed'; did you mean modified?"),
        (of(CUSTOMER) + "?page=0", "page must be a whole number from 1, not '0'."),
        (of(CUSTOMER) + "?page=x", "page must be a whole number from 1, not 'x'."),
        ("calls?page=-1", "page must be a whole number from 1, not '-1'."),
        ("calls?status=40x", "not '40x'; did you mean 4xx?"),
    ],
)
def test_a_wrong_parameter_is_named(busy, address, said):
    assert said in page(busy, address, 400).text


# --- one record


def test_a_record_is_shown_as_the_api_answers_it(busy):
    with client_of(busy) as client:
        for name in (CUSTOMER, PURPOSE, "accounts-receivable/customer-group", "general-ledger/account-group"):
            key = busy.records(name)[0]["key"]
            wanted = client.get(name, key)
            shown = page(busy, of(name, key))
            assert {"key": key, **shown.record} == wanted
            assert f"{busy.url}/objects/{name}/{key}" in shown.text


def test_a_record_leads_to_those_that_it_refers_to(busy):
    shown = page(busy, of(CUSTOMER, busy.kept))
    term = shown.record["term"]
    assert f"/{of('accounts-receivable/term', term['key'])}" in shown.links
    assert page(busy, of("accounts-receivable/term", term["key"])).record["id"] == "Net 30"


def test_the_history_shows_who_changed_what(busy):
    shown = page(busy, of(CUSTOMER, busy.kept))
    assert ["name", "Kept, Inc.", "Kept & Sons"] in shown.cells
    assert ["name", "Kept, Inc."] in shown.cells  # the creation
    term = shown.record["term"]["key"]
    assert ["term.key", "empty", term] in shown.cells
    assert shown.links.count(f"/{of('accounts-receivable/term', term)}") == 2  # from the record and from here
    text = " ".join(shown.text.split())
    assert re.search(r"modified 2026-07-01 08:\S+ by airflow .* created 2026-07-01 08:\S+ by airflow", text)


def test_the_audit_stamps_stand_in_for_a_history_that_is_not_kept():
    with running(f"{PURPOSE}=3") as company:
        [record] = [one for one in company.records(PURPOSE) if one["key"] == "2"]
        text = page(company, of(PURPOSE, "2")).text
    for verb in ("created", "modified"):
        moment = record["audit"][f"{verb}DateTime"].replace("T", " ").rstrip("Z")
        assert f"{moment} UTC by {record['audit'][f'{verb}ByUser']['id']}" in text
    assert "There are no events" in text


def test_a_long_history_is_cut_and_says_so(sandbox):
    sandbox.seed(PURPOSE, [{"id": "P"}])
    with client_of(sandbox) as client:
        for number in range(101):
            client.update(PURPOSE, "1", {"status": ("inactive", "active")[number % 2]})
    shown = page(sandbox, of(PURPOSE, "1"))
    assert len([tag for tag in shown.tags if tag[0] == "li"]) == 100
    assert "Older events are not shown." in shown.text


def test_a_deleted_record_is_gone_but_its_history_is_there(busy):
    shown = page(busy, of(CUSTOMER, busy.gone), 410)
    text = " ".join(shown.text.split())
    assert re.search(r"This record was deleted on 2026-07-01 08:\S+ UTC by airflow\.", text)
    assert ["id", "GONE"] in shown.cells
    assert not shown.all("pre")


@pytest.mark.parametrize("key", ["999999", "0", "x", "1,2", "-1", "9" * 30, "1.0", "%00", "\u0661"])
def test_a_record_that_never_was_is_not_found(busy, key):
    assert "has no record with the key" in page(busy, of(CUSTOMER, key), 404).text


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("accounts-receivable/custmer", CUSTOMER),
        ("accounts-receivable/custmer/1", CUSTOMER),
        ("customer", CUSTOMER),
        ("CUSTOMER-GROUP", "accounts-receivable/customer-group"),
        ("general-ledger/account-grups", "general-ledger/account-group"),
        ("a/b/c/d", None),
    ],
)
def test_an_unknown_object_leads_to_the_nearest(busy, name, near):
    shown = page(busy, f"records/{name}", 404)
    assert "The sandbox does not have the object" in shown.text
    [suggestion] = [link for link in shown.links if link.startswith("/records/")]
    assert near is None or suggestion == f"/records/{near}"
