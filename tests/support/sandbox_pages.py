"""The pages of a sandbox as a browser reads them, and what would be wrong with one."""

import html
import json
import re
from collections import Counter
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from itertools import count
from urllib.parse import urljoin

import requests
from sandbox_client import client_of, running

CUSTOMER = "accounts-receivable/customer"
PURPOSE = "general-ledger/account-group-purpose"
VOID = {"meta", "link", "input", "wbr", "br", "hr", "img"}


class Page(HTMLParser):
    """A page as a browser would read it, and what is wrong with its markup."""

    def __init__(self, answer):
        super().__init__(convert_charrefs=True)
        self.answer, self.text, self.problems = answer, "", []
        self.open, self.tags, self.rows = [], [], []
        self.feed(answer.text)
        self.close()
        self.problems += [f"<{tag}> is not closed" for tag in self.open]

    def handle_starttag(self, tag, attributes):
        if len(dict(attributes)) < len(attributes):
            self.problems.append(f"<{tag}> repeats an attribute")
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.problems.append(f"</{tag}> closes something else")

    def handle_data(self, data):
        self.text += data
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def links(self):
        return [attributes["href"] for attributes in self.all("a")]

    @property
    def cells(self):
        """The rows of all tables, their cells without the space around them."""
        return [[" ".join(cell.split()) for cell in row] for row in self.rows]

    @property
    def record(self):
        """The JSON in the page of a record."""
        shown = re.search(r'<pre class="json".*?</pre>', self.answer.text, re.DOTALL)[0]
        return json.loads(html.unescape(re.sub(r"<[^>]*>", "", shown)))


@contextmanager
def busy_company():
    """Run the demo company after some calls; ``kept`` and ``gone`` are the keys of a changed and a deleted record."""
    seconds = count()

    def clock():
        return datetime(2026, 7, 1, 8, tzinfo=UTC) + timedelta(seconds=next(seconds))

    with running("demo", clock=clock) as company, client_of(company) as client:
        client.query(CUSTOMER, ["key", "id"], size=40)
        company.kept = client.create(CUSTOMER, {"id": "KEPT", "name": "Kept, Inc."})["key"]
        client.update(CUSTOMER, company.kept, {"name": "Kept & Sons", "term": {"id": "Net 30"}})
        company.gone = client.create(CUSTOMER, {"id": "GONE", "name": "Gone"})["key"]
        client.delete(CUSTOMER, company.gone)
        company.fail(status=503)
        client.query(PURPOSE, ["key"])
        yield company


def page(sandbox, path="", status=200, **options):
    answer = requests.get(sandbox.site + path, timeout=10, **options)
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    return Page(answer)


def of(object_name, key=""):
    return f"records/{object_name}/{key}".rstrip("/")


def crawl(sandbox):
    """Follow every link of the pages, a few of each kind, and return the pages by address."""
    found, ahead, kinds = {}, [sandbox.site], Counter()
    while ahead:
        address = ahead.pop()
        kind = re.sub(r"\d+|=[^&]*", "", address)
        kinds[kind] += 1
        if address in found or kinds[kind] > 3:
            continue
        found[address] = answer = requests.get(address, timeout=10)
        if "html" in answer.headers["Content-Type"]:
            ahead += [urljoin(address, link).partition("#")[0] for link in Page(answer).links]
    return found


def problems(shown):
    """Return what is wrong with the markup of a page for a parser, a keyboard or a screen reader."""
    tags = Counter(tag for tag, _ in shown.tags)
    found = [f"{tags[tag]} <{tag}>" for tag in ("h1", "main", "title") if tags[tag] != 1]
    found += [f"a <{tag}>" for tag in ("script", "img", "style", "iframe", "object", "base") if tags[tag]]
    if tags["caption"] != tags["table"]:
        found.append("a table has no caption")
    return [*shown.problems, *found, *wrong_references(shown), *wrong_attributes(shown)]


def wrong_references(shown):
    """Yield duplicate ids, and references to missing ids."""
    ids = Counter(attributes["id"] for _, attributes in shown.tags if "id" in attributes)
    yield from (f"the id {one} is there {times} times" for one, times in ids.items() if times > 1)
    for tag, attributes in shown.tags:
        wanted = [attributes[name] for name in ("for", "aria-labelledby") if name in attributes]
        if attributes.get("href", "").startswith("#"):
            wanted.append(attributes["href"][1:])
        yield from (f"<{tag}> refers to the id {one}, which is missing" for one in wanted if one not in ids)


def wrong_attributes(shown):
    """Yield attributes that run something or lead elsewhere, and those that are missing."""
    labeled = {attributes.get("for") for attributes in shown.all("label")}
    for tag, attributes in shown.tags:
        leads = [attributes[name] for name in ("href", "src", "action") if name in attributes]
        if not all(address.startswith(("/", "#")) for address in leads):
            yield f"<{tag}> leads elsewhere: {leads}"
        if any(name.startswith("on") or name == "style" for name in attributes):
            yield f"<{tag}> has a script or a style in it: {attributes}"
        if tag == "th" and "scope" not in attributes:
            yield "a heading of a table has no scope"
        field = tag in ("input", "select") and attributes.get("type") != "hidden"
        if field and attributes.get("id") not in labeled:
            yield f"the field {attributes} has no label"
