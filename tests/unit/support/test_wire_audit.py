"""The audit that the whole suite relies on must itself be able to fail."""

from __future__ import annotations

import copy
import json

import msgspec
import pytest
import requests
from sandbox_client import running
from wire_audit import MANY_ROWS, WireAudit, decoded

from intacct_provider.sandbox.gateway import Gateway

TERM = "/ia/api/v1/objects/accounts-receivable/term"
ONE = {"totalCount": 1, "totalSuccess": 1, "totalError": 0}
CHANGED = {"key": "3", "id": "N30", "href": "/objects/accounts-receivable/term/3"}
PAGES = {"totalCount": 3, "start": 1, "pageSize": 100, "next": None, "previous": None}
HEADERS = {
    "date": "Sat, 21 Nov 2026 07:00:00 GMT",
    "content-type": "application/json",
    **{f"x-ia-{whose}throttle-limit{what}": "6" for whose in ("", "tenant-") for what in ("", "-remaining")},
}


@pytest.fixture
def audit():
    return WireAudit()


def check(audit, method, path, status, body, **headers):
    content = b"" if body is None else json.dumps(body).encode()
    audit.check(method, path, status, {**HEADERS, **headers}, content)
    return [violation.partition(" (in ")[0] for violation in audit.violations]


def test_lets_documented_answers_pass(audit):
    check(audit, "PATCH", f"{TERM}/3", 200, {"ia::result": CHANGED, "ia::meta": ONE})
    check(audit, "GET", TERM, 200, {"ia::result": [CHANGED], "ia::meta": PAGES})
    check(audit, "DELETE", f"{TERM}/3", 204, None)
    assert audit.violations.total() == 0
    assert audit.answers == 3


def test_names_the_place_and_the_rule_and_nothing_of_the_body(audit):
    body = {"ia::result": {**CHANGED, "key": "secret-key"}, "ia::meta": ONE}
    [violation] = check(audit, "PATCH", f"{TERM}/3", 200, body)
    assert violation == f"PATCH {TERM[10:]}/{{key}} 200: /ia::result/key breaks key/pattern"


@pytest.mark.parametrize(
    ("method", "path", "status", "body", "said"),
    [
        ("GET", f"{TERM}/3", 418, {}, "the status is not documented"),
        ("GET", f"{TERM}/3", 500, {}, "the status is not documented"),
        ("DELETE", f"{TERM}/3", 204, {"ia::result": {}}, "there is a body"),
        ("GET", "/ia/api/v1/objects/no/object", 200, {}, "the status is not documented"),
        ("GET", "/ia/api/v1/objects/no/object", 404, {}, "/ breaks refusal-of-address/required"),
        ("GET", "/ia/api/v2/objects/no/object", 404, {"ia::error": {}}, "/ia::error breaks "),
        ("PUT", TERM, 200, {}, "the status is not documented"),
        ("GET", TERM, 200, {"ia::result": [{**CHANGED, "key": 3}], "ia::meta": PAGES}, "/*/key breaks key/type"),
        ("GET", TERM, 200, {"ia::result": []}, "/ breaks schema/required"),
    ],
)  # fmt: skip
def test_finds_what_is_not_documented(audit, method, path, status, body, said):
    assert said in check(audit, method, path, status, body)[0]


def test_finds_a_header_that_is_missing_or_wrong(audit):
    body = {"ia::result": CHANGED, "ia::meta": ONE}
    check(audit, "PATCH", f"{TERM}/3", 200, body, date="2026-11-21")
    check(audit, "PATCH", f"{TERM}/3", 200, body, **{"x-ia-throttle-limit": "six"})
    check(audit, "PATCH", f"{TERM}/3", 200, body, **{"content-type": "text/html"})
    refusal = {"error": {"code": "GW-0010", "message": "No", "supportId": "x", "details": {"requestId": "y"}}}
    found = check(audit, "PATCH", f"{TERM}/3", 429, refusal)
    assert {one.split(": ", 1)[1] for one in found} == {
        "the header Date breaks its schema",
        "the header X-IA-Throttle-Limit breaks its schema",
        "the content type is not documented",
        "the header Retry-After is missing",
        "the header X-IA-Throttle-Limit-Retry-After is missing",
    }


def test_looks_at_the_first_rows_of_a_large_page(audit):
    rows = [{"key": str(number)} for number in range(MANY_ROWS + 1)]
    body = {"ia::result": rows, "ia::meta": PAGES}
    assert len(decoded(json.dumps(body, separators=(",", ":")).encode(), page=True)["ia::result"]) < MANY_ROWS
    rows[3] = {"key": 3}
    path = "/ia/api/v1/services/core/query"
    audit.check("POST", path, 200, HEADERS, msgspec.json.encode(body))
    [violation] = audit.violations
    assert "/ia::result/*/key breaks " in violation


def test_hears_every_answer_of_a_running_sandbox_but_planned_faults(audit, monkeypatch):
    monkeypatch.setattr(Gateway, "__call__", Gateway.__call__)  # to be put back
    audit.install()
    with running() as sandbox:
        requests.get(sandbox.url + "/services/core/model", timeout=10)
        sandbox.fail(status=503)
        requests.get(sandbox.url + "/services/core/model", timeout=10)
        assert (audit.answers, audit.violations.total()) == (1, 0)
        audit.document = copy.deepcopy(audit.document)
        del audit.document["paths"]["/services/core/model"]["get"]["responses"]["401"]
        requests.get(sandbox.url + "/services/core/model", timeout=10)
    [violation] = audit.violations
    assert violation.startswith("GET /services/core/model 401: the status is not documented")
    assert "test_hears_every_answer" in violation
