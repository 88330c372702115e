"""The built documentation: links lead somewhere, nothing is loaded from elsewhere, and questions find answers."""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import yaml
from bs4 import BeautifulSoup, Tag

ROOT = Path(__file__).resolve().parents[2]
QUESTIONS = yaml.safe_load((Path(__file__).parent / "visitor_questions.yaml").read_text(encoding="utf-8"))
START = "index.html"
MOST_CLICKS = 2
#: Tags with the attribute by which a browser loads something with the page.
LOADED = {"img": "src", "script": "src", "link": "href", "iframe": "src", "source": "src"}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


class Site:
    """The pages of a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.open = cache(self._open)

    def _open(self, page: str) -> BeautifulSoup:
        return BeautifulSoup((self.folder / page).read_text(encoding="utf-8"), "html.parser")

    def pages(self) -> list[str]:
        return sorted(str(path.relative_to(self.folder)) for path in self.folder.rglob("*.html"))

    def resolve(self, page: str, target: str) -> tuple[str, str]:
        """Return the file and the anchor that a link of a page leads to."""
        parts = urlsplit(target)
        if not parts.path:
            return page, unquote(parts.fragment)
        path = (self.folder / page).parent / unquote(parts.path)
        return str(path.resolve().relative_to(self.folder.resolve())), unquote(parts.fragment)

    def click(self, page: str, text: str) -> tuple[str, str]:
        """Return where the first link with a text leads, in what the page says or in the list of its sections."""
        shown = self.open(page).select("article a[href], .toc-tree a[href]")
        links = [link for link in shown if words(link) == text]
        assert links, f"{page} has no link {text!r}"
        return self.resolve(page, links[0]["href"])

    def section(self, page: str, anchor: str) -> Tag:
        article = self.open(page).article
        found = article.find(id=anchor) if anchor else article.find("section")
        assert isinstance(found, Tag), f"{page} has no {anchor!r}"
        return found


def words(tag: Tag) -> str:
    """Return the text of a tag, in one line, with the apostrophes of the source."""
    return " ".join(tag.get_text().replace("\u2019", "'").split())


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    folder = tmp_path_factory.mktemp("html")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", "docs", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return Site(folder)


def test_every_link_leads_to_a_page_and_an_anchor(site):
    broken = []
    for page in site.pages():
        for link in site.open(page).find_all("a", href=True):
            if urlsplit(link["href"]).scheme or link["href"] == "#":
                continue
            file, anchor = site.resolve(page, link["href"])
            exists = (site.folder / file).is_file()
            if exists and anchor and file.endswith(".html"):
                exists = site.open(file).find(id=anchor) is not None
            if not exists:
                broken.append(f"{page}: {link['href']}")
    assert broken == []


def test_nothing_is_loaded_from_another_site_and_what_is_loaded_exists(site):
    for page in site.pages():
        for name, attribute in LOADED.items():
            for tag in site.open(page).find_all(name, attrs={attribute: True}):
                target = tag[attribute]
                if not target.startswith("data:"):
                    assert not urlsplit(target).netloc, f"{page} loads {target}"
                if name != "link" or "stylesheet" in tag.get("rel", ()):
                    file, _ = site.resolve(page, target)
                    assert (site.folder / file).is_file(), f"{page} loads {target}"


def test_every_page_is_in_the_side_list_of_the_start_page(site):
    listed = {site.resolve(START, link["href"])[0] for link in site.open(START).select(".sidebar-tree a")}
    pages = {page for page in site.pages() if not page.startswith("_")}
    assert pages - listed == {START, "genindex.html", "py-modindex.html", "search.html"}


def test_the_reference_has_no_constructors_in_its_side_list(site):
    entries = [words(link) for link in site.open("api.html").select(".toc-tree a")]
    assert "IntacctSyncOperator" in entries
    assert [entry for entry in entries if entry.startswith("_") or "__" in entry] == []


def test_there_are_twenty_questions():
    assert len(QUESTIONS) >= 20
    assert len({one["question"] for one in QUESTIONS}) == len(QUESTIONS)


@pytest.mark.parametrize("one", QUESTIONS, ids=[one["question"] for one in QUESTIONS])
def test_a_visitor_finds_the_answer(site, one):
    page, anchor = START, ""
    assert 1 <= len(one["clicks"]) <= MOST_CLICKS
    for text in one["clicks"]:
        page, anchor = site.click(page, text)
    section = site.section(page, anchor)
    heading = section.find(["h1", "h2", "h3"])
    assert words(heading).rstrip("¶") == one["heading"]
    assert one["answer"] in words(section)
