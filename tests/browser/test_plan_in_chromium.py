"""The page of a plan in a real Chromium, opened from a file as a controller does.

Without Chromium or playwright these tests are skipped; with INTACCT_REQUIRE_CHROMIUM=1 they fail instead.
"""

import pytest
from contrasts import CONTRASTS
from sync_plans import create, delete, members, plan, rich, update

from intacct_provider.sync.rendering.page import render_page

pytestmark = pytest.mark.slow

MANY = [f"C-{n:05}" for n in range(300)]


def made():
    """Return a plan with something of everything that a page shows."""
    return plan(
        *rich().steps,
        update("LONG", members=(members(*MANY), members(*MANY, "C-X"))),
        update("W" * 200, name=("x" * 900, None), note=("Monday and Tuesday", "Monday or Tuesday")),
        *(create(f"N-{n}", name=f"New {n}") for n in range(80)),
        *(delete(f"D-{n}", name=f"Old {n}") for n in range(80)),
        breaches=("It deletes 81 records ('GONE', 'D-0' and 79 more), more than max_deletes=10.",),
        unchanged=4,
    )


@pytest.fixture
def opened(chromium, tmp_path):
    """Return a function that opens a page from its file; at the end, none may have asked for more or complained."""
    asked, complaints, contexts = set(), [], []
    file = tmp_path / "groups.plan.html"

    def open_page(*, scheme="light", width=1280, shown=None):
        file.write_bytes(render_page(shown or made()))
        context = chromium.new_context(color_scheme=scheme, viewport={"width": width, "height": 800})
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: asked.add(request.url))
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(file.as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert asked == {file.as_uri()}
    assert complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_stands_out_from_what_is_behind_it(opened, scheme):
    page = opened(scheme=scheme)
    page.evaluate("document.querySelectorAll('details').forEach((one) => (one.open = true))")
    texts = page.evaluate(CONTRASTS)
    assert len(texts) > 200
    assert [text for text in texts if text["contrast"] < 4.5] == []


def test_light_and_dark_differ(opened):
    color = "getComputedStyle(document.body).backgroundColor"
    assert opened(scheme="light").evaluate(color) != opened(scheme="dark").evaluate(color)


def test_a_plan_that_does_nothing_stands_out_too(opened):
    for scheme in ("light", "dark"):
        texts = opened(scheme=scheme, shown=plan()).evaluate(CONTRASTS)
        assert [text for text in texts if text["contrast"] < 4.5] == []


@pytest.mark.parametrize("width", [1280, 640, 400, 360])
def test_a_narrow_window_scrolls_down_only(opened, width):
    page = opened(width=width)
    page.evaluate("document.querySelectorAll('details').forEach((one) => (one.open = true))")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


#: The words of a page, and the parts of those with a hyphen or a slash, that stand in more than one line.
BROKEN = """
() => {
  const texts = document.createTreeWalker(document.querySelector("main"), NodeFilter.SHOW_TEXT), broken = [];
  while (texts.nextNode())
    for (const word of texts.currentNode.data.matchAll(/[^\\s/-]+/g)) {
      const range = document.createRange();
      range.setStart(texts.currentNode, word.index);
      range.setEnd(texts.currentNode, word.index + word[0].length);
      if (new Set([...range.getClientRects()].map((box) => Math.round(box.top))).size > 1) broken.push(word[0]);
    }
  return broken;
}
"""


def test_on_a_phone_only_words_longer_than_a_line_are_broken(opened):
    word = "accounts-receivable.customerGroupDescription"
    page = opened(
        width=360, shown=plan(update("A-" + "1" * 30, name=(word, word + "2"), note=("x" * 90, None)))
    )
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    texts = page.evaluate(BROKEN)
    assert "x" * 90 in texts
    assert [text for text in texts if len(text) < 40] == []


def test_the_rest_of_many_records_unfolds_by_keyboard(opened):
    page = opened()
    last = page.get_by_role("rowheader", name="D-79")
    assert not last.is_visible()
    page.get_by_text("51 to 81 of 81 to delete").focus()
    page.keyboard.press("Enter")
    assert last.is_visible()


def test_a_printed_page_has_everything_unfolded(opened):
    page = opened()
    folded = page.get_by_text("C-00299").first
    assert not folded.is_visible()
    page.emulate_media(media="print")
    assert folded.is_visible()
    assert page.get_by_role("rowheader", name="D-79").is_visible()
    assert page.get_by_role("rowheader", name="N-79").is_visible()


def test_a_printed_page_is_dark_on_white_whatever_the_reader_prefers(opened):
    page = opened(scheme="dark")
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert [text for text in page.evaluate(CONTRASTS) if text["contrast"] < 4.5] == []


def test_tables_have_names_for_a_screen_reader(opened):
    page = opened()
    assert page.get_by_role("table", name="81 records to delete").first.is_visible()
    assert page.get_by_role("heading", name="It exceeds 1 limit, so it cannot be applied").is_visible()


def test_the_browser_refuses_what_an_injected_text_could_do(chromium, tmp_path):
    file, refused = tmp_path / "plan.html", []
    file.write_bytes(render_page(rich()))
    page = chromium.new_page()
    page.on("console", lambda message: refused.append(message.text))
    page.goto(file.as_uri())
    page.evaluate(
        """() => {
            document.body.insertAdjacentHTML("beforeend", "<img src=x onerror='window.hurt = 1'>");
            document.body.insertAdjacentHTML("beforeend", "<style>body { display: none }</style>");
            const script = document.createElement("script");
            script.textContent = "window.hurt = 2";
            document.body.append(script);
        }"""
    )
    page.wait_for_function("() => [...document.images].every((i) => i.complete)")
    assert page.evaluate("window.hurt") is None
    assert page.locator("body").is_visible()
    assert len([text for text in refused if "Content Security Policy" in text]) >= 3
    page.close()
