"""The pages in a real Chromium: what it asks for, how they look in light and dark, and the keyboard alone.

Without Chromium or playwright these tests are skipped; with INTACCT_REQUIRE_CHROMIUM=1 they fail instead.
INTACCT_CHROMIUM names the program, and INTACCT_SCREENSHOTS a folder for a picture of every page.
"""

import os
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from contrasts import CONTRASTS
from sandbox_pages import CUSTOMER, busy_company, of

pytestmark = pytest.mark.slow

WIDE, NARROW = 1280, 400

FOCUSED = """
() => {
  const e = document.activeElement, style = getComputedStyle(e), box = e.getBoundingClientRect();
  return {
    tag: e.tagName, id: e.id, text: e.innerText || "", outline: parseFloat(style.outlineWidth),
    line: style.outlineStyle, y: box.top, x: box.left, inside: box.top < innerHeight && box.bottom > 0,
  };
}
"""


@pytest.fixture(scope="module")
def busy():
    with busy_company() as company:
        yield company


def failure(request):
    """Return what went wrong with a request; the icon of a page that was left early is nothing wrong."""
    return [] if request.failure == "net::ERR_ABORTED" else [f"{request.failure}: {request.url}"]


@pytest.fixture
def look(chromium, busy):
    """Return a function that opens a page; at the end, none may have asked elsewhere or complained."""
    asked, complaints, contexts = [], [], []

    def opened(address="", *, scheme="light", width=WIDE, **options):
        context = chromium.new_context(
            color_scheme=scheme, viewport={"width": width, "height": 800}, **options
        )
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("requestfailed", lambda request: complaints.extend(failure(request)))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
        page.goto(busy.site + address)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert asked
    assert {"{0.scheme}://{0.netloc}/".format(urlsplit(url)) for url in asked} == {busy.site}
    assert complaints == []


def pages(busy):
    return {
        "company": "",
        "calls": "calls",
        "events": "events",
        "records": of(CUSTOMER),
        "search": of(CUSTOMER) + "?search=north&sort=-modified",
        "record": of(CUSTOMER, busy.kept),
    }


def keep(page, name):
    """Keep a picture for people to look at; nothing is compared with it."""
    if folder := os.environ.get("INTACCT_SCREENSHOTS"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


def tab_to(page, wanted, most=80):
    """Press Tab until the focus is where it is wanted; every stop on the way must be seen to have it."""
    for _ in range(most):
        page.keyboard.press("Tab")
        focused = page.evaluate(FOCUSED)
        assert focused["outline"] >= 2, focused
        assert focused["line"] != "none", focused
        assert focused["inside"], focused
        if wanted(focused):
            return focused
    raise AssertionError("the focus never came there")


def test_the_stylesheet_and_the_icon_are_all_that_is_loaded(look, busy):
    page = look()
    asked = []
    page.on("request", lambda request: asked.append(urlsplit(request.url).path))
    page.reload()
    assert set(asked) <= {"/", "/static/sandbox.css", "/favicon.svg"}
    assert page.evaluate("document.styleSheets[0].cssRules.length") > 20
    assert page.evaluate("document.scripts.length") == 0


def test_the_browser_would_refuse_what_an_injected_text_could_do(chromium, busy):
    refused = []
    page = chromium.new_page()
    page.on("console", lambda message: refused.append(message.text))
    page.goto(busy.site)
    page.evaluate(
        """() => {
            document.body.insertAdjacentHTML("beforeend", "<img src=x onerror='window.hurt = 1'>");
            document.body.insertAdjacentHTML("beforeend", "<img src='http://127.0.0.2:9/out'>");
            const script = document.createElement("script");
            script.textContent = "window.hurt = 2";
            document.body.append(script);
        }"""
    )
    page.wait_for_function(
        "() => document.images.length === 2 && [...document.images].every((i) => i.complete)"
    )
    assert page.evaluate("window.hurt") is None
    assert len([text for text in refused if "Content Security Policy" in text]) >= 2
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_stands_out_from_what_is_behind_it(look, busy, scheme):
    for name, address in pages(busy).items():
        page = look(address, scheme=scheme)
        page.evaluate("document.querySelectorAll('details').forEach((one) => (one.open = true))")
        texts = page.evaluate(CONTRASTS)
        assert len(texts) > 20
        assert [text for text in texts if text["contrast"] < 4.5] == [], name
        page.evaluate("document.querySelectorAll('details').forEach((one) => (one.open = false))")
        keep(page, f"{name}-{scheme}")


def test_light_and_dark_differ(look):
    light, dark = (
        look(scheme=scheme).evaluate("getComputedStyle(document.body).backgroundColor")
        for scheme in ("light", "dark")
    )
    assert light != dark


def test_faults_stand_out_too(look, busy):
    busy.faults = {"latency": 0.001, "fail": [{"status": 429, "every": 7}]}
    try:
        for scheme in ("light", "dark"):
            texts = look(scheme=scheme).evaluate(CONTRASTS)
            alert = [text for text in texts if "429" in text["text"] or "2 on" in text["text"]]
            assert len(alert) == 2
            assert min(text["contrast"] for text in alert) >= 4.5
    finally:
        busy.faults = {}


@pytest.mark.parametrize("width", [WIDE // 2, NARROW, 320])  # the first is a zoom of 200 %
def test_a_narrow_window_scrolls_down_only(look, busy, width):
    for name, address in pages(busy).items():
        page = look(address, width=width)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
        if width == NARROW:
            keep(page, f"{name}-narrow")


def test_the_keyboard_alone_leads_from_the_company_to_a_history(look, busy):
    page = look()
    page.keyboard.press("Tab")
    skip = page.evaluate(FOCUSED)
    assert skip["text"] == "Skip to content"
    assert skip["inside"]
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    tab_to(page, lambda focused: focused["tag"] == "A" and focused["text"] == CUSTOMER)
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/{of(CUSTOMER)}")
    tab_to(page, lambda focused: focused["id"] == "search")
    page.keyboard.type("kept")
    page.keyboard.press("Enter")
    page.wait_for_url("**search=kept")
    assert "1 record with" in page.inner_text("main")
    tab_to(page, lambda focused: focused["text"] == "KEPT")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/{of(CUSTOMER, busy.kept)}")
    history = page.locator("section", has=page.get_by_role("heading", name="History"))
    assert "Kept, Inc." in history.inner_text()
    assert "Kept & Sons" in history.inner_text()
    tab_to(page, lambda focused: focused["tag"] == "SUMMARY")
    page.keyboard.press("Enter")
    assert history.get_by_role("cell", name="KEPT", exact=True).is_visible()


def test_the_focus_moves_down_the_page_and_through_every_link(look, busy):
    page = look()
    stops = []
    while True:
        page.keyboard.press("Tab")
        focused = page.evaluate(FOCUSED)
        if focused["tag"] == "BODY" or len(stops) > 300:
            break
        stops.append(focused["text"])
    links = page.evaluate("[...document.links].filter((a) => a.checkVisibility()).map((a) => a.innerText)")
    assert [text for text in stops if text in links] == links
    assert page.locator("[tabindex]:not([tabindex='0']):not([tabindex='-1'])").count() == 0


def test_fields_and_tables_have_names_for_a_screen_reader(look, busy):
    records = look(of(CUSTOMER))
    assert records.get_by_role("searchbox", name="Part of the id or the name").is_visible()
    assert records.get_by_role("table", name=f"Records of {CUSTOMER}").is_visible()
    assert records.get_by_role("columnheader", name="Key").get_attribute("aria-sort") == "ascending"
    calls = look("calls")
    assert calls.get_by_role("combobox", name="Status").is_visible()
    assert calls.get_by_role("combobox", name="Object or service").is_visible()


def test_a_printed_page_has_all_of_the_record_and_no_form(look, busy):
    page = look(of(CUSTOMER, busy.kept))
    page.emulate_media(media="print")
    shown = page.locator("pre.json")
    assert shown.evaluate("(e) => e.scrollHeight - e.clientHeight") <= 1
    page.goto(f"{busy.site}{of(CUSTOMER)}")
    assert not page.locator("form").is_visible()
    assert page.locator("table").is_visible()
