"""Take the screenshots of the documentation: the sandbox's page, and a plan that waits for approval."""

from __future__ import annotations

import base64
import os
import re
import shutil
import struct
import sys
import time
import zlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import requests
from company import HOME, ROOT, ToolError, exit_on_signals, fresh_home, sandbox
from playwright.sync_api import Page, sync_playwright
from start_airflow import START_SECONDS, connection, standalone, store

from intacct_provider.sandbox import Sandbox

IMAGES = ROOT / "docs" / "images"
SHOWN = "127.0.0.1:8765"  # the address in the picture, instead of the real port
# The most common colors of a picture, and for each pixel the number of the nearest one.
PALETTE = """
async (png) => {
  const image = new Image();
  image.src = "data:image/png;base64," + png;
  await image.decode();
  const {width, height} = image;
  const canvas = new OffscreenCanvas(width, height).getContext("2d");
  canvas.drawImage(image, 0, 0);
  const shades = new Uint32Array(canvas.getImageData(0, 0, width, height).data.buffer);
  const parts = (shade) => [shade & 255, (shade >> 8) & 255, (shade >> 16) & 255];
  const times = new Map();
  for (const shade of shades) times.set(shade, (times.get(shade) || 0) + 1);
  const common = [...times.keys()].sort((a, b) => times.get(b) - times.get(a) || a - b);
  const colors = common.slice(0, 256).map(parts);
  const distance = (a, b) => a.reduce((sum, part, at) => sum + (part - b[at]) ** 2, 0);
  const nearest = (shade) => {
    const far = colors.map((color) => distance(color, parts(shade)));
    return far.indexOf(Math.min(...far));
  };
  const numbers = new Map(common.map((shade) => [shade, nearest(shade)]));
  let pixels = "";
  for (const shade of shades) pixels += String.fromCharCode(numbers.get(shade));
  return {width, height, colors: colors.flat(), pixels: btoa(pixels)};
}
"""
# Replacements for texts that depend on the machine and the time.
REPLACE = """
(pairs) => {
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode())
    for (const [from, to] of pairs)
      texts.currentNode.data = texts.currentNode.data.replaceAll(new RegExp(from, "g"), to);
}
"""
REPLACED = [
    (re.escape(str(ROOT / "example_dags")), "/opt/airflow/dags"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "2026-07-01 06:00:07"),
    (r"\d\d:\d\d:\d\d\.\d{3}", "00:00:06.500"),
]
CUSTOMER = "/objects/accounts-receivable/customer"
GROUP = "/objects/accounts-receivable/customer-group"
QUERY = "/services/core/query"
ARGUMENTS = ["--no-sandbox", "--disable-lcd-text"]
APPROVAL = "intacct_sync_with_approval"
RUN = "july"
EVERYBODY = {"AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True"}


def main() -> None:
    """Write the pictures of ``docs/images``."""
    browser = os.environ.get("INTACCT_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        raise ToolError("A Chromium is needed; INTACCT_CHROMIUM can name one.")
    IMAGES.mkdir(exist_ok=True)
    moment = datetime(2026, 7, 1, 6, tzinfo=UTC)
    # The same company and calls every time.
    with Sandbox(seed="demo", clock=lambda: moment) as running:
        work(running)
        for number, call in enumerate(running.requests):
            # Fixed values for what depends on the machine: the time and duration of each call.
            call.begun = moment + timedelta(seconds=number * 7 // 3)
            call.seconds = 0.0016 + 0.0007 * (number % 5) + 0.00004 * call.rows
        take(browser, running)
    fresh_home()
    with sandbox() as (_, company), standalone(HOME, EVERYBODY) as (url, _):
        ask(url, company)
        take_plan(browser, f"{url}/dags/{APPROVAL}/runs/{RUN}/tasks/approve/required_actions")


def work(sandbox: Sandbox) -> None:
    """Make the calls of two users; one fails by a planned fault."""
    airflow, clerk = Caller(sandbox, "airflow"), Caller(sandbox, "ar.clerk", "UK")
    for start in range(1, 250, 100):
        query = {"object": "accounts-receivable/customer", "fields": ["key", "id", "name"]}
        airflow("POST", QUERY, {**query, "orderBy": [{"key": "asc"}], "start": start, "size": 100})
    airflow("POST", QUERY, {"object": "general-ledger/account-group", "fields": ["key", "id"]})
    sandbox.fail(status=429, headers={"Retry-After": "0"})
    for _ in range(2):
        airflow("POST", GROUP, {"id": "Key accounts", "name": "Key accounts", "groupType": "specific"})
    created = clerk("POST", CUSTOMER, {"id": "C-90001", "name": "Juniper Freight Ltd"})
    address = f"{CUSTOMER}/{created['ia::result']['key']}"
    clerk("PATCH", address, {"creditLimit": 25000, "term": {"id": "Net 30"}})
    clerk("GET", address)
    airflow("GET", f"{CUSTOMER}/99999")


class Caller:
    """One user of the API, on one connection.

    :param entity: id of the entity to work in; the top level by default.
    """

    def __init__(self, sandbox: Sandbox, user: str, entity: str | None = None) -> None:
        identity = sandbox.identity
        form = {
            "grant_type": "client_credentials",
            "client_id": identity.client_id,
            "client_secret": identity.client_secret,
            "username": f"{user}@{identity.company}" + (f"|{entity}" if entity else ""),
        }
        self._base, self._session = sandbox.url, requests.Session()
        answer = self._session.post(f"{self._base}/oauth2/token", data=form, timeout=10)
        self._session.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    def __call__(self, method: str, path: str, body: object = None) -> Any:
        """Send one call and return the answer."""
        return self._session.request(method, self._base + path, json=body, timeout=10).json()


def ask(url: str, company: str) -> None:
    """Run the example DAG, with a connection to a company, until it asks for approval."""
    with requests.Session() as api:
        token = api.get(f"{url}/auth/token", timeout=60).json()["access_token"]
        api.headers["Authorization"] = f"Bearer {token}"
        store(url, token, {"intacct_default": connection(company)})
        dag = f"{url}/api/v2/dags/{APPROVAL}"
        until("the example is known", lambda: api.get(dag, timeout=60).ok)
        api.patch(dag, json={"is_paused": False}, timeout=60).raise_for_status()
        body = {"dag_run_id": RUN, "logical_date": None, "conf": {"folder": f"file://{HOME}"}}
        api.post(f"{dag}/dagRuns", json=body, timeout=60).raise_for_status()
        task = f"{dag}/dagRuns/{RUN}/taskInstances/approve"
        until("somebody is asked", lambda: api.get(task, timeout=60).json().get("state") == "awaiting_input")


def until(what: str, happened: Callable[[], bool]) -> None:
    """Wait until a condition holds."""
    end = time.monotonic() + START_SECONDS
    while not happened():
        if time.monotonic() > end:
            raise ToolError(f"It did not happen within {START_SECONDS} s that {what}; see {HOME / 'logs'}.")
        time.sleep(0.5)


def take_plan(browser: str, approval: str) -> None:
    """Take pictures of Airflow's page with the plan, and of the plan's own page in light and dark."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=ARGUMENTS)
        page = chromium.new_page(viewport={"width": 1280, "height": 1790}, color_scheme="light")
        page.goto(approval)
        page.get_by_role("button", name="Approve").wait_for()
        page.evaluate(REPLACE, REPLACED)
        keep(page, "approval")
        for name, scheme in (("plan", "light"), ("plan-dark", "dark")):
            page = chromium.new_page(viewport={"width": 1280, "height": 800}, color_scheme=scheme)
            page.goto((HOME / RUN / "groups.plan.html").as_uri())
            page.evaluate(REPLACE, REPLACED)
            keep(page, name)
        chromium.close()


def take(browser: str, sandbox: Sandbox) -> None:
    """Take pictures of the sandbox's page under its usual address, in light and dark."""
    port = sandbox.site.rstrip("/").rpartition(":")[2]
    arguments = [*ARGUMENTS, f"--host-resolver-rules=MAP {SHOWN} 127.0.0.1:{port}"]
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=arguments)
        for scheme in ("light", "dark"):
            page = chromium.new_page(viewport={"width": 1280, "height": 800}, color_scheme=scheme)
            page.goto(f"http://{SHOWN}/")
            keep(page, f"sandbox-{scheme}", full=True)
        chromium.close()


def keep(page: Page, name: str, *, full: bool = False) -> None:
    """Save a picture of a page, and close the page."""
    picture = base64.b64encode(page.screenshot(full_page=full)).decode()
    page.goto("about:blank")
    file = IMAGES / f"{name}.png"
    file.write_bytes(small_png(**page.evaluate(PALETTE, picture)))
    print(f"{file.relative_to(ROOT)}: {file.stat().st_size // 1000} kB")


def small_png(width: int, height: int, colors: list[int], pixels: str) -> bytes:
    """Return a PNG with few colors, a third of the size of one with all colors.

    :param colors: red, green and blue of each color in turn.
    :param pixels: the number of each pixel's color, row by row, in base64.
    """
    numbers = base64.b64decode(pixels)
    rows = b"".join(b"\0" + numbers[start : start + width] for start in range(0, len(numbers), width))
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    chunks = {b"IHDR": header, b"PLTE": bytes(colors), b"IDAT": zlib.compress(rows, 9), b"IEND": b""}
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks.items()
    )


if __name__ == "__main__":
    exit_on_signals()
    try:
        main()
    except ToolError as reason:
        sys.exit(str(reason))
