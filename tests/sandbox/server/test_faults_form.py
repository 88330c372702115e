"""What can be made to go wrong, in the one form that command line, environment, control address and tests share."""

import json
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import pytest
import requests
from raw_client import bearer, token
from sandbox_client import client_of, running, stored

from intacct_provider.sandbox.faults.plan import Fault, Faults, read_faults
from intacct_provider.sandbox.state import TIERS

PURPOSE = "general-ledger/account-group-purpose"
CUSTOMER = "accounts-receivable/customer"
QUERY = "/services/core/query"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def purposes():
    """A thousand purposes."""
    with running(f"{PURPOSE}=1000") as company:
        yield company


def page(sandbox, headers, start=1, size=100, **query):
    """Ask for one page of purposes without any help of ours."""
    body = {"object": PURPOSE, "fields": ["key"], "start": start, "size": size, **query}
    return requests.post(sandbox.url + QUERY, json=body, headers=headers, timeout=20)


def keys(answer):
    return [row["key"] for row in answer.json()["ia::result"]]


def read_by_offset(sandbox, headers, **query):
    """Return the keys that a client reads which counts pages from the start, as most do."""
    found, start = [], 1
    while start is not None:
        answer = page(sandbox, headers, start, **query)
        found += keys(answer)
        start = answer.json()["ia::meta"]["next"]
    return found


# --- the form itself


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"latencyy": 1}, "'latencyy' is unknown; did you mean 'latency'"),
        ({"fail": [{"statuss": 500}]}, "'statuss' is unknown; did you mean 'status'"),
        ({"fail": [{"kind": "explode"}]}, "kind must be one of status, alter, cut, .*, not 'explode'"),
        ({"rotation": "never"}, "rotation must be one of single-use, reusable, silent, not 'never'"),
        ({"latency": -1}, "latency must be at least 0, not -1"),
        ({"latency": "fast"}, r"Expected `float`, got `str` - at `\$.latency`"),
        ({"concurrency": 0}, "concurrency must be at least 1, not 0"),
        ({"max_size": 0}, "max_size must be at least 1"),
        ({"job_rate": 0}, "job_rate must be more than 0"),
        ({"fail": [{"every": 0}]}, "every must be at least 1"),
        ({"fail": [{"status": 42}]}, "status must be an HTTP status from 200 to 599, not 42"),
        ({"fail": [{"framing": "magic"}]}, "framing must be one of length, chunked, close, not 'magic'"),
        ({"fail": [{"ending": "bang"}]}, "ending must be one of close, reset, not 'bang'"),
        ({"fail": [{"at": -1}]}, "at must be at least 0, not -1"),
        ({"fail": [{"repeat": -1}]}, "repeat must be at least 0, not -1"),
        ({"fail": [{"drop": -1}]}, "drop must be at least 0, not -1"),
        ({"fail": [{"path": "objects"}]}, "path must start with /, as in \"/objects\", not 'objects'"),
        ('{"latency": ', "faults must be a JSON object"),
        ("[1]", "faults must be an object"),
    ],
)
def test_a_wrong_form_is_refused_by_name_and_value(given, message):
    with pytest.raises(ValueError, match=message):
        read_faults(given)


def test_text_mapping_and_object_mean_the_same():
    mapping = {"latency": 0.5, "clamp": True, "fail": [{"status": 429, "every": 7, "path": "/objects"}]}
    built = Faults(latency=0.5, clamp=True, fail=[Fault(status=429, every=7, path="/objects")])
    assert read_faults(mapping) == read_faults(json.dumps(mapping)) == read_faults(built) == built
    assert built.changed() == read_faults(built.changed()).changed()


def test_a_planned_fault_says_what_it_does():
    assert str(Fault(status=429, every=7, path="/objects")) == (
        "429 Too Many Requests: any method on /objects, one in 7, no limit"
    )
    assert str(Fault(kind="cut", method="POST", times=2)) == "cut: POST on any path, each, 2 left"
    assert str(Fault(kind="cut", at=7, done=True)) == "cut at 7, done: any method on any path, each, 1 left"
    assert str(Fault(status=599)) == "599: any method on any path, each, 1 left"


def test_what_a_test_passes_stays_its_own(sandbox):
    given = Faults(latency=0.0)
    with running(faults=given) as other:
        other.faults.clamp = True
        other.fail(times=3)
    assert given == Faults()


# --- which calls fail


@pytest.mark.parametrize(
    ("path", "method", "call", "meant"),
    [
        (None, None, ("GET", "/objects/a/b"), True),
        ("/objects/a/b", None, ("GET", "/objects/a/b"), True),
        ("/objects/a/b", None, ("GET", "/objects/a/b/1"), True),
        ("/objects/a/b", None, ("GET", "/objects/a/bc"), False),
        ("/objects/*/b", None, ("GET", "/objects/a/b"), True),
        ("*/b", None, ("GET", "/objects/a/b/1"), True),
        ("/services", "post", ("POST", "/services/core/query"), True),
        ("/services", "GET", ("POST", "/services/core/query"), False),
    ],
)
def test_path_pattern_and_method_choose_the_calls(path, method, call, meant):
    assert Fault(path=path, method=method).matches(*call) is meant


def test_one_in_so_many_calls_fails_without_end(purposes):
    headers = bearer(purposes)
    purposes.faults = {"fail": [{"status": 503, "every": 3, "path": QUERY}]}
    assert [page(purposes, headers).status_code for _ in range(9)] == [200, 200, 503] * 3
    assert [call.fault for call in purposes.requests[-3:]] == [None, None, "status"]


def test_skip_and_times_count_the_calls(purposes):
    headers = bearer(purposes)
    purposes.fail(status=500, skip=1, times=2)
    assert [page(purposes, headers).status_code for _ in range(4)] == [200, 500, 500, 200]


def test_a_call_that_one_fault_lets_pass_meets_the_next(purposes):
    headers = bearer(purposes)
    purposes.faults = {"fail": [{"status": 500, "every": 2}, {"status": 429, "every": 3}]}
    assert [page(purposes, headers).status_code for _ in range(6)] == [200, 500, 200, 500, 429, 500]


def test_clearing_forgets_the_calls_and_keeps_the_rest(purposes):
    headers = bearer(purposes)
    purposes.faults = {"max_size": 7, "clamp": True}
    purposes.fail(times=5)
    purposes.clear_faults()
    assert len(keys(page(purposes, headers))) == 7


# --- time


def test_latency_jitter_and_rows_take_their_time(purposes):
    headers = bearer(purposes)
    purposes.faults = {"latency": 0.05}
    page(purposes, headers)
    purposes.faults = {"jitter": 0.2}
    for _ in range(5):
        page(purposes, headers)
    purposes.faults = {"row_cost": 0.002}
    page(purposes, headers, size=100)
    page(purposes, headers, size=1)
    seconds = [call.seconds for call in purposes.requests[1:]]
    assert seconds[0] >= 0.05
    assert max(seconds[1:6]) >= 0.1  # the same five waits in every run: 0.03, 0.17, 0.15, 0.05 and 0.1 s
    assert seconds[6] >= 0.2
    assert [call.rows for call in purposes.requests[-2:]] == [100, 1]


def test_the_clock_of_the_server_can_be_wrong(sandbox):
    with running(clock=lambda: NOON, faults={"clock_skew": -3600}) as company, client_of(company) as client:
        key = client.create(PURPOSE, {"id": "P"})["key"]
        assert client.get(PURPOSE, key)["audit"]["createdDateTime"] == "2026-03-01T11:00:00Z"
        answer = token(company)
        assert parsedate_to_datetime(answer.headers["Date"]) == datetime(2026, 3, 1, 11, tzinfo=UTC)
        assert len(answer.raw.headers.getlist("Date")) == 1


# --- pages


def test_pages_without_order_come_in_another_order_each_time(purposes):
    headers = bearer(purposes)
    assert keys(page(purposes, headers)) == keys(page(purposes, headers))
    purposes.faults.unordered = True
    assert keys(page(purposes, headers)) != keys(page(purposes, headers))
    ordered = {"orderBy": [{"key": "asc"}]}
    assert keys(page(purposes, headers, **ordered)) == keys(page(purposes, headers, **ordered))
    assert len(set(read_by_offset(purposes, headers))) < 1000  # a client that trusts the order loses rows


def test_churn_hurts_who_counts_pages_and_not_who_asks_by_key(purposes):
    headers, before = bearer(purposes), set(stored(purposes, PURPOSE))
    purposes.faults.churn = 5
    found = read_by_offset(purposes, headers, orderBy=[{"key": "asc"}])
    purposes.faults.churn = 0
    left = {row["key"] for row in purposes.records(PURPOSE) if row["id"] in before}
    assert len(left) < 1000
    assert left - set(found)  # records that existed the whole time, and that the reader never saw

    purposes.faults.churn = 5
    before = {row["key"] for row in purposes.records(PURPOSE)}
    with client_of(purposes, page_size=100) as ours:
        complete = {row["key"] for row in ours.iter_rows(PURPOSE, ["key"])}
    purposes.faults.churn = 0
    assert before & {row["key"] for row in purposes.records(PURPOSE)} <= complete


def test_churn_spares_records_in_use():
    with running(f"{CUSTOMER}=300") as company:
        headers = bearer(company)
        used = {row["parent"]["key"] for row in company.records(CUSTOMER)} - {None}
        company.faults.churn = 10
        body = {"object": CUSTOMER, "fields": ["key"], "size": 100}
        assert requests.post(company.url + QUERY, json=body, headers=headers, timeout=20).status_code == 200
        assert used <= {row["key"] for row in company.records(CUSTOMER)}
        assert len(company.records(CUSTOMER)) == 300


# --- tokens and users


def refreshed(sandbox, refresh_token):
    return token(sandbox, grant_type="refresh_token", refresh_token=refresh_token)


def test_single_use_refresh_tokens_end_with_their_use(sandbox):
    first = token(sandbox).json()["refresh_token"]
    second = refreshed(sandbox, first).json()["refresh_token"]
    assert second != first
    assert refreshed(sandbox, first).json()["error"] == "invalid_grant"
    assert refreshed(sandbox, second).status_code == 200


def test_reusable_refresh_tokens_stay_good(sandbox):
    sandbox.faults.rotation = "reusable"
    first = token(sandbox).json()["refresh_token"]
    assert refreshed(sandbox, first).json()["refresh_token"] != first
    assert refreshed(sandbox, first).status_code == 200


def test_silent_rotation_answers_no_refresh_token(sandbox):
    sandbox.faults.rotation = "silent"
    first = token(sandbox).json()["refresh_token"]
    assert "refresh_token" not in refreshed(sandbox, first).json()
    assert refreshed(sandbox, first).status_code == 200


def test_every_user_of_the_company_signs_what_they_write(sandbox):
    clerk = bearer(sandbox, username="ar.clerk@SANDBOX")
    address = f"{sandbox.url}/objects/{PURPOSE}"
    answer = requests.post(address, json={"id": "P"}, headers=clerk, timeout=10).json()
    controller = bearer(sandbox, username="controller@SANDBOX|US")
    key = answer["ia::result"]["key"]
    requests.patch(f"{address}/{key}", json={"status": "inactive"}, headers=controller, timeout=10)
    [record] = sandbox.records(PURPOSE)
    users = {user["key"]: user["id"] for user in sandbox.records("company-config/user")}
    assert users[record["audit"]["createdByUser"]["key"]] == "ar.clerk"
    assert users[record["audit"]["modifiedByUser"]["key"]] == "controller"
    assert [(call.caller, call.entity) for call in sandbox.requests if call.name == PURPOSE] == [
        ("ar.clerk@SANDBOX", None),
        ("controller@SANDBOX", "US"),
    ]
    assert token(sandbox, username="nobody@SANDBOX").json()["error"] == "invalid_grant"


def test_transactions_are_billed_by_object_and_caller(sandbox):
    clerk, robot = bearer(sandbox, username="ar.clerk@SANDBOX"), bearer(sandbox)
    address = f"{sandbox.url}/objects/{PURPOSE}"
    batch = [{"id": f"P{number}"} for number in range(5)]
    requests.post(address, json=batch, headers=clerk, timeout=10)
    requests.post(address, json={"id": "P0"}, headers=clerk, timeout=10)  # taken: refused, and not billed
    page(sandbox, robot)
    requests.get(sandbox.url + "/services/core/model", headers=robot, timeout=10)
    assert sandbox.billed == {
        (PURPOSE, "ar.clerk@SANDBOX"): 5,
        (PURPOSE, "airflow@SANDBOX"): 1,
        ("services/core/model", "airflow@SANDBOX"): 1,
    }
    assert sandbox.transactions == 7


@pytest.mark.parametrize("tier", TIERS)
def test_the_tier_limits_calls_in_flight(tier):
    with running(tier=tier) as company:
        headers = token(company).headers
        application, whole = TIERS[tier].application, TIERS[tier].company
        assert headers["X-IA-Throttle-Limit"] == str(application)
        assert headers["X-IA-Throttle-Limit-Remaining"] == str(application - 1)
        assert headers["X-IA-Tenant-Throttle-Limit"] == str(whole)
        assert headers["X-IA-Tenant-Throttle-Limit-Remaining"] == str(whole - 1)


def test_an_unknown_tier_is_refused():
    with pytest.raises(ValueError, match="tier must be one of 1, 2, 3, 4, not 5"), running(tier=5):
        pass


# --- the history of a record


def test_a_record_keeps_who_changed_what(sandbox):
    from intacct_provider.sandbox.records.audit import read_events

    with client_of(sandbox) as client:
        key = client.create(PURPOSE, {"id": "P"})["key"]
        client.update(PURPOSE, key, {"status": "inactive"})
        client.delete(PURPOSE, key)
    with sandbox.store.transaction() as conn:
        deleted, modified, created = read_events(conn, PURPOSE, int(key))
    assert [event.action for event in (created, modified, deleted)] == ["created", "modified", "deleted"]
    assert {event.user for event in (created, modified, deleted)} == {"airflow"}
    assert created.changes["id"] == [None, "P"]
    assert modified.changes == {"status": ["active", "inactive"]}
    assert deleted.changes["id"] == ["P", None]
    assert sandbox.records(PURPOSE) == []


# --- control over HTTP


def test_faults_are_changed_over_http():
    with running(control=True) as company:
        address = company.site + "sandbox/faults"
        assert requests.get(address, timeout=10).json()["latency"] == 0
        changed = {"latency": 0.01, "fail": [{"status": 502, "times": 2}]}
        assert requests.put(address, json=changed, timeout=10).json()["latency"] == 0.01
        assert token(company).status_code == 502
        assert company.faults.fail[0].times == 1
        assert requests.patch(address, json={"clamp": True}, timeout=10).json()["latency"] == 0.01
        assert (company.faults.clamp, company.faults.fail[0].times) == (True, 1)
        assert requests.put(address, json={"clamp": True}, timeout=10).json()["latency"] == 0
        assert company.faults.fail == []
        requests.delete(address, timeout=10)
        assert company.faults.changed() == {}
        assert company.faults == Faults()


def test_wrong_faults_over_http_change_nothing():
    with running(control=True, faults={"latency": 0.01}) as company:
        address = company.site + "sandbox/faults"
        answer = requests.put(address, json={"latencyy": 1}, timeout=10)
        assert (answer.status_code, answer.json()["error"]) == (
            400,
            "faults: 'latencyy' is unknown; did you mean 'latency'?",
        )
        form = requests.put(
            address, data='{"latency": 1}', headers={"Content-Type": "text/plain"}, timeout=10
        )
        assert form.status_code == 415
        assert company.faults.changed() == {"latency": 0.01}


def test_control_is_off_unless_asked_for(sandbox):
    assert requests.get(sandbox.site + "sandbox/faults", timeout=10).status_code == 404
    assert requests.get(sandbox.site + "sandbox/usage", timeout=10).status_code == 404


def test_usage_tells_what_clients_did():
    with running(control=True) as company:
        headers = bearer(company)
        with requests.Session() as session:
            for _ in range(3):
                body = {"object": PURPOSE, "fields": ["key"]}
                session.post(company.url + QUERY, json=body, headers=headers, timeout=10)
        usage = requests.get(company.site + "sandbox/usage", timeout=10).json()
        assert usage == {
            "calls": 4,
            "transactions": 3,
            "connections": 2,
            "mostInFlight": 1,
            "billed": [{"object": PURPOSE, "caller": "airflow@SANDBOX", "transactions": 3}],
        }


def test_a_page_of_another_site_cannot_read_the_company():
    with running(control=True) as company:
        for path in ("", "openapi.json", "sandbox/faults"):
            answer = requests.get(company.site + path, headers={"Host": "evil.example"}, timeout=10)
            assert answer.status_code == 400
            assert requests.get(company.site + path, timeout=10).status_code == 200


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "OPTIONS"])
@pytest.mark.parametrize(
    "path", ["/oauth2/token", QUERY, f"/objects/{PURPOSE}", "/oauth2/authorize", "/nothing"]
)
def test_a_page_of_another_site_cannot_reach_the_api(method, path):
    with running() as company:
        headers = bearer(company)
        before = len(company.requests)
        port = company.url.split(":")[2].partition("/")[0]
        for host in (
            "evil.example",
            f"evil.example:{port}",
            "127.0.0.1.evil.example",
            "localhost@evil",
            "[::1",
            "",
        ):
            answer = requests.request(
                method, company.url + path, headers={**headers, "Host": host}, data=b"{}", timeout=10
            )
            assert answer.status_code == 400
            assert "not a name of the sandbox" in answer.text
            assert answer.headers.get("Content-Type", "").startswith(("application/json", "text/plain"))
        assert len(company.requests) == before
        assert company.transactions == 0


def test_the_api_answers_under_every_name_of_this_machine():
    with running() as company:
        for host in ("localhost", "LOCALHOST:1", "127.0.0.1", "[::1]", "[::1]:8765", "localhost."):
            headers = {**bearer(company), "Host": host}
            assert (
                requests.get(f"{company.url}/objects/{PURPOSE}", headers=headers, timeout=10).status_code
                == 200
            )
            assert requests.get(company.site, headers={"Host": host}, timeout=10).status_code == 200


def test_a_sandbox_for_other_machines_answers_under_any_name():
    with running(host="0.0.0.0", allow_remote=True) as company:  # noqa: S104
        headers = {**bearer(company), "Host": "intacct.corp.example"}
        assert (
            requests.get(f"{company.url}/objects/{PURPOSE}", headers=headers, timeout=10).status_code == 200
        )


# --- where it listens


@pytest.mark.parametrize("host", ["api.intacct.com", "API.INTACCT.COM", "intacct.example", "api.sage.com"])
def test_a_host_of_sage_is_refused_even_when_told_twice(host):
    with pytest.raises(ValueError, match="looks like Sage's own"), running(host=host, allow_remote=True):
        pass


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "10.0.0.1", "example.com"])  # noqa: S104
def test_other_machines_need_to_be_allowed_twice(host):
    with pytest.raises(ValueError, match="--allow-remote"), running(host=host):
        pass


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "localhost"])
def test_this_machine_is_always_allowed(host):
    with running(host=host) as company:
        assert token(company).status_code == 200
        assert requests.get(company.site, timeout=10).status_code == 200


# --- records put in and taken out without a call


def test_seeded_records_are_there_and_cost_nothing(sandbox):
    [key] = sandbox.seed(CUSTOMER, [{"id": "C-1", "name": "Acme"}], entity="UK")
    [record] = sandbox.records(CUSTOMER)
    assert (record["key"], record["id"], record["entity"]["id"]) == (key, "C-1", "UK")
    assert (sandbox.requests, sandbox.transactions) == ([], 0)


def test_seeding_is_all_or_nothing(sandbox):
    records = [{"id": "C-1", "name": "Acme"}, {"id": "C-2", "nme": "Bolt"}]
    with pytest.raises(
        ValueError, match=r"record 1 \(id 'C-2'\) of .*: The nme field does not exist; name is required"
    ):
        sandbox.seed(CUSTOMER, records)
    assert sandbox.records(CUSTOMER) == []


def test_an_unknown_object_or_entity_is_named(sandbox):
    with pytest.raises(ValueError, match=f"did you mean '{CUSTOMER}'"):
        sandbox.records("accounts-receivable/customers")
    with pytest.raises(ValueError, match="no entity 'FR'"):
        sandbox.seed(CUSTOMER, [{"name": "Acme"}], entity="FR")
