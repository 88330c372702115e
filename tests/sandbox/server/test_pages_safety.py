"""The pages over HTTP: they only show, they show no secret, and nobody's text becomes markup."""

import json
import re
import uuid
from urllib.parse import quote, urljoin

import pytest
import requests
from sandbox_client import client_of, running
from sandbox_pages import CUSTOMER, PURPOSE, Page, busy_company, crawl, of, page, problems

from intacct_provider.sandbox.auth import Tokens

NASTY_ID = "<script>1</script>"
NASTY_NAME = "\"><img src=x onerror=alert(1)> '&amp; {{ 7 * 191 }}"


@pytest.fixture(scope="module")
def busy():
    with busy_company() as company:
        yield company


# --- reading only


@pytest.mark.parametrize(
    "path", ["nothing", "records", "sandbox/faults", "static/", "static/../site.py", "%2e%2e/"]
)
def test_other_addresses_are_not_found(busy, path):
    answer = requests.get(busy.site + path, timeout=10)
    if path == "records":
        assert answer.url == f"{busy.site}#objects"
    else:
        assert answer.status_code == 404
        assert busy.url in Page(answer).text


def addresses(busy):
    yield from (
        "",
        "calls",
        of(CUSTOMER),
        of(CUSTOMER, busy.kept),
        "static/sandbox.css",
        "favicon.svg",
        "favicon.ico",
    )


def test_pages_take_get_and_head_alone(busy):
    for address in addresses(busy):
        for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
            answer = requests.request(method, busy.site + address, data=b"x", timeout=10)
            assert answer.status_code == 405
            assert set(answer.headers["Allow"].split(", ")) == {"GET", "HEAD"}
        head, get = (requests.request(one, busy.site + address, timeout=10) for one in ("HEAD", "GET"))
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["Content-Length"] == str(len(get.content))


def test_looking_costs_nothing_and_leaves_no_trace(busy):
    def usage():
        return len(busy.requests), busy.transactions, busy.billed, busy._state.connections

    def rows():
        with busy.store.transaction() as conn:
            return "\n".join(conn.iterdump())

    before = usage(), rows()
    crawl(busy)
    assert (usage(), rows()) == before


def test_a_failure_of_our_own_is_logged_and_shown(caplog):
    with running() as company:
        company.store.close()
        shown = page(company, status=500)
    assert "The sandbox failed; see its log." in shown.text
    assert problems(shown) == []
    [record] = [one for one in caplog.records if one.name.startswith("intacct_provider")]
    assert record.getMessage() == "The sandbox itself failed on GET /"
    assert record.exc_info


@pytest.mark.parametrize(
    "search", ["_" * 30_000, "é" * 9_000, "éa" * 3_000, "\0", "\ud800", "' OR 1=1 --", '"']
)
def test_no_search_fails(busy, search):
    address = busy.site + of(CUSTOMER) + "?search=" + quote(search, errors="surrogatepass")
    shown = Page(requests.get(address, timeout=10))
    assert shown.answer.status_code == 200
    assert problems(shown) == []


# --- safety


def test_every_answer_forbids_the_browser_all_but_showing_it(busy):
    policy = {
        "default-src": "'none'",
        "style-src": "'self'",
        "img-src": "'self' data:",
        "form-action": "'self'",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
    }
    for address in (*addresses(busy), "nothing", "calls?page=x", of(CUSTOMER, busy.gone), "openapi.json"):
        headers = requests.get(busy.site + address, timeout=10).headers
        given = dict(part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";"))
        assert given == policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    foreign = requests.get(busy.site, headers={"Host": "evil.example"}, timeout=10)
    assert foreign.status_code == 400
    assert "Content-Security-Policy" in foreign.headers


def test_the_stylesheet_is_kept_by_the_browser_and_pages_are_not(busy):
    shown = page(busy)
    assert shown.answer.headers["Cache-Control"] == "no-store"
    [style] = [link["href"] for link in shown.all("link") if link["rel"] == "stylesheet"]
    answer = requests.get(urljoin(busy.site, style), timeout=10)
    assert answer.headers["Content-Type"] == "text/css; charset=utf-8"
    assert "max-age=31536000" in answer.headers["Cache-Control"]
    assert "?v=" in style  # another text, another address
    assert not re.search(r"url\(|@import|http", answer.text)


def test_every_link_leads_somewhere_within_the_sandbox(busy):
    found = crawl(busy)
    assert len(found) > 60
    gone = {urljoin(busy.site, of(CUSTOMER, busy.gone))}
    for address, answer in found.items():
        assert address.startswith(busy.site)
        assert answer.status_code == (410 if address in gone else 200), address


def test_every_page_is_well_formed_and_labeled(busy):
    pages = [answer for answer in crawl(busy).values() if "html" in answer.headers["Content-Type"]]
    for path in ("nothing", "records/customer", "calls?page=x", "calls?status=none"):
        pages.append(requests.get(busy.site + path, timeout=10))
    for answer in pages:
        assert problems(Page(answer)) == [], answer.url


def test_what_anybody_wrote_stays_text():
    with running() as company:
        company.seed(CUSTOMER, [{"id": NASTY_ID, "name": NASTY_NAME}])
        with company.store.transaction() as conn:
            for name in ("entity", "user"):
                sql = f'UPDATE "company-config/{name}" SET "id" = ?, "name" = ? WHERE "key" = 1'  # noqa: S608
                conn.execute(sql, (NASTY_ID, NASTY_NAME))
        with client_of(company, user_id=NASTY_ID, entity_id=NASTY_ID) as client:
            client.update(CUSTOMER, "1", {"name": f"2 {NASTY_NAME}", "notes": "</code></pre><script>"})
            group = {
                "id": NASTY_NAME,
                "name": NASTY_ID,
                "groupType": "specific",
                "groupMembers": [{"key": "1"}],
            }
            client.create("accounts-receivable/customer-group", group)
        requests.get(
            f"{company.url}/objects/{NASTY_ID}", headers={"X-IA-API-Param-Entity": NASTY_ID}, timeout=10
        )
        company.fail(path=f"/{NASTY_NAME}")
        pages = {
            "": 2,
            "calls": 2,
            f"calls?object={quote(NASTY_ID)}": 1,
            f"calls?object={quote('objects/' + NASTY_ID)}": 3,
            of(CUSTOMER): 1,
            of(CUSTOMER) + f"?search={quote(NASTY_ID)}&sort=-id": 3,
            of(CUSTOMER, "1"): 3,
            of("accounts-receivable/customer-group"): 1,
            of("accounts-receivable/customer-group", "1"): 3,
        }
        for path, times in pages.items():
            shown = page(company, path)
            assert problems(shown) == [], path
            seen = shown.text + json.dumps([attributes for _, attributes in shown.tags])
            assert seen.count(NASTY_ID) >= times, path
            assert "1337" not in seen
        for path in (
            quote(NASTY_ID),
            f"records/{quote(NASTY_ID, safe='')}/x",
            f"calls?page={quote(NASTY_ID)}",
        ):
            shown = Page(requests.get(company.site + path, timeout=10))
            assert problems(shown) == []
            assert NASTY_ID in shown.text
        host = {"Host": 'localhost:1"><script>'}
        shown = Page(requests.get(company.site, headers=host, timeout=10))
        assert not shown.all("script")


def test_pages_show_no_secret_no_token_and_no_idempotency_key(monkeypatch):
    issued, key = set(), str(uuid.uuid4())
    issue = Tokens._issue

    def tell(self, *args):
        issued.add(token := issue(self, *args))
        return token

    monkeypatch.setattr(Tokens, "_issue", tell)
    with running("demo") as company:
        with client_of(company) as client:
            client.create(PURPOSE, {"id": "P"})
        [token] = [one for one in issued if one][:1]
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": key}
        requests.post(f"{company.url}/objects/{PURPOSE}", json={"id": "Q"}, headers=headers, timeout=10)
        texts = [answer.text for answer in crawl(company).values()]
        keys = {call.idempotency_key for call in company.requests} - {None}
    assert key in keys
    assert len(issued) >= 2
    for secret in (*issued, *keys, company.identity.client_secret):
        assert not any(secret in text for text in texts)
    assert "&lt;your client secret&gt;" in texts[0]
    assert "has its own client secret, which is not shown" in texts[0]
