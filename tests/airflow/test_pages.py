"""The pages of plans and manifests in Airflow's own API server: who sees them, and what they never show."""

from __future__ import annotations

import asyncio
import html
import json
import os
import re
import secrets
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from anyio import to_thread
from clouds import Cloud
from picky_auth import OUTSIDER
from starlette.testclient import TestClient

from intacct_provider.sandbox import Sandbox

DAG = "ui"
#: The task that has each page, and the file that it is about.
TASKS = {"plan": "plan", "manifest": "export"}
FILES = {"plan": "groups.plan.json", "manifest": "groups.csv.manifest.json"}


@pytest.fixture(scope="module")
def api_server():
    """Airflow's API server as it starts: with the plugins of all providers, here without a port."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW__CORE__AUTH_MANAGER", "picky_auth.PickyAuthManager")
        from airflow.api_fastapi.app import create_app

        yield create_app()


@pytest.fixture
def browser(api_server):
    """Return a function that gives a browser in which somebody is logged in, or nobody."""
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

    def sign_in(name=None, role="viewer"):
        cookies = {}
        if name:
            user = SimpleAuthManagerUser(username=name, role=role)
            cookies = {"_token": api_server.state.auth_manager.generate_jwt(user)}
        return TestClient(api_server, base_url="http://airflow.test", cookies=cookies)

    return sign_in


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the DAG writes its files."""
    return tmp_path_factory.mktemp("files")


@pytest.fixture(scope="module")
def run(airflow_db, dag_files, folder):
    """One run of the DAG that has each link."""
    from airflow_parts import open_dag_bag

    with (
        Sandbox(seed="demo", client_secret=secrets.token_urlsafe(24)) as running,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("AIRFLOW_CONN_INTACCT_DEFAULT", running.connection())
        done = open_dag_bag(dag_files[DAG]).dags[DAG].test(run_conf={"folder": f"file://{folder}"})
    assert str(done.state) == "success"
    return done


class Storage(ThreadingHTTPServer):
    """Has no file, and says so when it is told to."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Nothing)
        self.asked, self.answers = threading.Event(), threading.Event()

    def __enter__(self):
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.answers.set()
        self.shutdown()
        self.server_close()


class _Nothing(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.set()
        self.server.answers.wait()
        self.send_response(404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_GET  # noqa: N815

    def log_message(self, *_):
        """Log nothing."""


def links(browser, run, task_id):
    path = f"/api/v2/dags/{DAG}/dagRuns/{run.run_id}/taskInstances/{task_id}/links"
    answer = browser.get(path)
    assert answer.status_code == 200
    return answer.json()["extra_links"]


def xcom(run, task_id, key):
    [task] = [task for task in run.get_task_instances() if task.task_id == task_id]
    return task.xcom_pull(task_ids=task_id, key=key)


@pytest.fixture
def forge(browser, run):
    """Return a function that changes what a page is about, as somebody with the right to change XComs can."""
    admin = browser("admin", "admin")
    before = {page: xcom(run, task_id, f"intacct_{page}") for page, task_id in TASKS.items()}

    def change(page, **value):
        key = f"intacct_{page}"
        path = f"/api/v2/dags/{DAG}/dagRuns/{run.run_id}/taskInstances/{TASKS[page]}/xcomEntries/{key}"
        answer = admin.patch(path, json={"value": value})
        assert answer.status_code == 200, answer.text

    for page, value in before.items():
        if isinstance(value, dict):
            change(page, **value)
        if not isinstance(xcom(run, TASKS[page], f"intacct_{page}"), dict):
            pytest.skip("this Airflow makes text of a mapping that its REST API is given as an XCom")
    yield change
    for page, value in before.items():
        change(page, **value)


def test_each_task_links_to_what_it_has(browser, run):
    viewer = browser("viewer")
    [plan] = links(viewer, run, "plan").items()
    assert plan[0] == "Plan"
    [apply] = links(viewer, run, "apply").items()
    assert apply[0] == "Plan"
    assert viewer.get(apply[1]).status_code == 200
    [manifest] = links(viewer, run, "export").items()
    assert manifest[0] == "Manifest"
    address = links(viewer, run, "get")["Record in Intacct"]
    assert urlsplit(address).scheme == "https"
    assert address == xcom(run, "get", "return_value")["webURL"]
    assert links(viewer, run, "create")["Record in Intacct"] != address
    # A term has no such address, and the other one was not asked for.
    assert links(viewer, run, "get_term") == {"Record in Intacct": None}
    assert links(viewer, run, "create_only") == {"Record in Intacct": None}


def test_the_page_of_a_plan_is_shown_and_is_only_text(browser, run):
    viewer = browser("viewer")
    answer = viewer.get(links(viewer, run, "plan")["Plan"])
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "&lt;b&gt;&amp; Africa&lt;/b&gt;" in answer.text
    assert xcom(run, "plan", "return_value")["sha256"] in answer.text
    assert f"<dd>{xcom(run, 'plan', 'return_value')['made']}</dd>" in answer.text
    assert "<script" not in answer.text
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "frame-ancestors 'self'" in policy
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_the_page_of_a_manifest_is_its_json(browser, run, folder):
    viewer = browser("viewer")
    answer = viewer.get(links(viewer, run, "export")["Manifest"])
    assert answer.status_code == 200
    assert answer.content == (folder / "groups.csv.manifest.json").read_bytes()
    assert answer.headers["content-type"] == "application/json"
    assert "sandbox" in answer.headers["content-security-policy"]


def test_who_is_not_logged_in_or_may_not_read_the_dag_is_refused(browser, run):
    admin = browser("admin", "admin")
    for task_id, name in (("plan", "Plan"), ("export", "Manifest")):
        url = links(admin, run, task_id)[name]
        answer = browser().get(url)
        assert answer.status_code == 401
        assert "/api/v2/auth/login?next=" in answer.text
        stranger = TestClient(admin.app, base_url="http://airflow.test", cookies={"_token": "not.a.token"})
        assert stranger.get(url).status_code in (401, 403)
        answer = browser(OUTSIDER, "op").get(url)
        assert answer.status_code == 403
        assert "EMEA" not in answer.text
        assert admin.get(url).status_code == 200


def test_a_login_leads_back_to_the_address_that_people_know(browser, monkeypatch):
    nobody, path = browser(), "/intacct/plan?dag_id=ui&run_id=one%2Btwo&task_id=plan"
    for base, address in (
        ("", "http://airflow.test"),
        ("https://airflow.example/", "https://airflow.example"),
    ):
        monkeypatch.setenv("AIRFLOW__API__BASE_URL", base)
        [login] = re.findall(r'<a href="([^"]+)">Sign in', nobody.get(path).text)
        answer = nobody.get(html.unescape(login), follow_redirects=False)
        assert answer.status_code == 307
        assert parse_qs(urlsplit(answer.headers["location"]).query)["next"] == [address + path]


def test_only_a_get_is_answered(browser, run):
    admin = browser("admin", "admin")
    url = links(admin, run, "plan")["Plan"]
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        assert admin.request(method, url).status_code == 405
    assert admin.get("/intacct/").status_code == 404
    assert admin.get("/intacct/plan.css").status_code == 404


@pytest.mark.parametrize("name", ["dag_id", "run_id", "task_id", "map_index"])
@pytest.mark.parametrize("value", ["", ".", "..", "../../../variables", "a/b", "~", "none"])
def test_an_address_that_names_no_task_of_a_plan_shows_nothing(browser, run, name, value):
    query = {"dag_id": DAG, "run_id": run.run_id, "task_id": "plan", "map_index": "-1", name: value}
    answer = browser("admin", "admin").get("/intacct/plan", params=query)
    assert answer.status_code == 404
    assert "EMEA" not in answer.text


def test_the_address_cannot_name_a_file(browser, run, folder):
    other = folder / "other.plan.json"
    other.write_bytes((folder / "groups.plan.json").read_bytes().replace(b"EMEA", b"APAC"))
    admin = browser("admin", "admin")
    url = links(admin, run, "plan")["Plan"]
    query = f"&path=file://{other}&plan={other}&sha256={'0' * 64}"
    assert admin.get(url + query).content == admin.get(url).content


def test_what_is_not_a_plan_is_refused_whatever_the_xcom_says(browser, run, folder, forge):
    admin = browser("admin", "admin")
    url = links(admin, run, "plan")["Plan"]
    named = xcom(run, "plan", "intacct_plan")
    secret = folder / "secret.json"
    secret.write_text(json.dumps({"version": "3", "password": "never-to-be-shown"}))
    empty, pipe = folder / "empty.json", folder / "pipe.json"
    empty.touch()
    os.mkfifo(pipe)
    changed = folder / "changed.plan.json"
    changed.write_bytes((folder / "groups.plan.json").read_bytes().replace(b"EMEA", b"APAC"))
    manifest = folder / "groups.csv.manifest.json"
    refused = [f"file://{file}" for file in (secret, empty, pipe, changed, manifest, folder / "groups.csv")]
    for path in [*refused, str(secret), "/proc/self/environ", "/etc/hostname"]:
        forge("plan", **{**named, "path": path})
        answer = admin.get(url)
        assert answer.status_code == 422, path
        assert "never-to-be-shown" not in answer.text
        assert "is not a plan" in answer.text
    for path in ("file:///nowhere/at.all", str(folder), "nosuch://bucket/plan.json", "relative"):
        forge("plan", **{**named, "path": path})
        answer = admin.get(url)
        assert answer.status_code in (404, 422), path
    assert "relative" in answer.text
    large = folder / "large.json"
    large.touch()
    os.truncate(large, (64 << 20) + 1)
    forge("plan", **{**named, "path": f"file://{large}"})
    assert admin.get(url).status_code == 413
    large.unlink()
    for value in ({"path": named["path"]}, {**named, "sha256": "f"}, {**named, "path": 1}, {}):
        forge("plan", **value)
        assert admin.get(url).status_code == 422
    forge("plan", **named)
    assert admin.get(url).status_code == 200


def test_a_file_out_of_reach_and_another_plan_in_its_place_are_named(browser, run, folder, forge):
    admin = browser("admin", "admin")
    for page, link in (("plan", "Plan"), ("manifest", "Manifest")):
        file = folder / FILES[page]
        url, named = links(admin, run, TASKS[page])[link], xcom(run, TASKS[page], f"intacct_{page}")
        forge(page, **{**named, "sha256": "0" * 64})
        answer = admin.get(url)
        assert answer.status_code == 409
        assert "has replaced it since" in answer.text
        # With the digest of a file, a user who may change XComs would have it shown.
        assert named["sha256"] not in answer.text
        forge(page, **named)
        file.rename(folder / "elsewhere")
        answer = admin.get(url)
        (folder / "elsewhere").rename(file)
        assert answer.status_code == 404
        assert f"The API server cannot read file://{file} (FileNotFoundError)" in answer.text


def test_a_manifest_is_nothing_else(browser, run, folder, forge):
    admin = browser("admin", "admin")
    url, named = links(admin, run, "export")["Manifest"], xcom(run, "export", "intacct_manifest")
    for file in (folder / "groups.plan.json", folder / "groups.csv"):
        forge("manifest", **{**named, "path": f"file://{file}"})
        answer = admin.get(url)
        assert answer.status_code == 422
        assert "is not a manifest" in answer.text


def test_no_server_is_asked_for_what_is_not_on_a_storage_of_airflow(browser, run, forge):
    admin = browser("admin", "admin")
    url, named = links(admin, run, "plan")["Plan"], xcom(run, "plan", "intacct_plan")
    with Storage() as server:
        for scheme in ("http", "simplecache::http", "zip://plan.json::http"):
            forge("plan", **{**named, "path": f"{scheme}://127.0.0.1:{server.server_port}/plan.json"})
            assert admin.get(url).status_code == 404
        assert not server.asked.is_set()


def test_airflow_answers_while_a_storage_does_not(api_server, browser, run, forge):
    admin = browser("admin", "admin")
    url, named = links(admin, run, "plan")["Plan"], xcom(run, "plan", "intacct_plan")

    async def open_pages():
        to_thread.current_default_thread_limiter().total_tokens = 8
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(api_server),
            base_url="http://airflow.test",
            cookies=dict(admin.cookies),
        ) as client:
            pages = [asyncio.create_task(client.get(url)) for _ in range(16)]
            assert await asyncio.to_thread(server.asked.wait, 60)
            for _ in range(16):
                answer = await asyncio.wait_for(client.get(f"/api/v2/dags/{DAG}"), 60)
                assert answer.status_code == 200
            assert not all(page.done() for page in pages)
            server.answers.set()
            return [page.status_code for page in await asyncio.gather(*pages)]

    with Storage() as server:
        cloud = Cloud("s3", "slow_plans", f"http://127.0.0.1:{server.server_port}")
        cloud.connect()
        forge("plan", **{**named, "path": str(cloud.path("finance/groups.plan.json"))})
        assert asyncio.run(open_pages()) == [404] * 16


def test_reasons_are_only_text(browser, run, forge):
    admin = browser("admin", "admin")
    url, named = links(admin, run, "plan")["Plan"], xcom(run, "plan", "intacct_plan")
    forge("plan", **{**named, "path": "file:///<script>alert(1)</script>"})
    answer = admin.get(url)
    assert "&lt;script&gt;" in answer.text
    assert "<script" not in answer.text
