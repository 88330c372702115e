"""The page of a plan: all of it, for anybody with a browser, and nothing that a record says is more than text."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
from types import SimpleNamespace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sandbox_pages import Page, wrong_references
from sync_plans import create, deactivate, delete, members, plan, rich, update

from intacct_provider.sync.rendering.page import render_page
from intacct_provider.sync.rendering.wording import make_visible

#: Twice what an attribute or a tag could begin and end with.
HOSTILE = "</style><script>alert(1)</script><img src=x onerror=alert(1)>\"'{{ 7 * 7 }}{% raw %}&amp;<!--"


def page(made):
    """Return a page as a browser reads it."""
    return Page(SimpleNamespace(text=render_page(made).decode()))


def rows(made):
    """Return the rows of all tables, without their heads."""
    return [row for row in page(made).cells if row[1] != "field"]


def test_all_of_a_plan_is_there_deletions_first():
    shown = page(rich())
    assert shown.problems == []
    assert shown.cells == [
        ["id", "field", "now"],
        ["GONE not desired key 8", "name", "Gone & away"],
        ["groupType", "specific"],
        ["id", "field", "now", "planned"],
        ["OLD not desired key 9", "status", "active", "inactive"],
        ["id", "field", "now", "planned"],
        ["KEY fields differ key 7", "name", "Key acounts", "Key accounts"],
        ["groupMembers", "C-1, C-2, C-3", "C-2, C-1, C-4, C-9adds 2: C-4, C-9drops 1: C-3"],
        ["id", "field", "planned"],
        ["NET-30 not in Intacct", "name", "Education on Net 30"],
        ["groupType", "all"],
    ]
    text = " ".join(shown.text.split())
    for part in (
        "Plan for accounts-receivable/customer-group",
        "1 to delete 1 to deactivate 1 to update 1 to create 1,200 unchanged 2 protected",
        "Company ACME Entity 10 Desired state groups.csv, 3 records In Intacct 3 records Mode mirror, matched on id",
        "Applying it takes about 6 billed transactions Made by groups/manual/plan/0",
        rich().digest,
        "1 record to delete",
    ):
        assert part in text
    assert "breaks" not in text
    assert "left alone" not in text


def test_what_a_plan_breaks_comes_first():
    shown = page(
        plan(delete("A"), breaches=("It deletes 1 record ('A'), more than max_deletes=0.",), left_alone=4)
    )
    text = " ".join(shown.text.split())
    assert text.index("It exceeds 1 limit, so it cannot be applied") < text.index("1 to delete")
    assert "more than max_deletes=0." in text
    assert "4 left alone" in text


def test_a_plan_that_does_nothing_says_so():
    shown = page(plan(entity_id=""))
    assert "Nothing to change: Intacct is as desired." in shown.text
    assert "top level" in shown.text
    assert shown.cells == []


def test_a_reverse_plan_names_its_source():
    text = " ".join(
        page(plan(delete("A", key=""), mode="undo", source="undo of groups.csv", desired=0)).text.split()
    )
    assert "Source undo of groups.csv" in text
    assert "Desired" not in text
    assert "A not desiredno other fields" in text


def test_a_scope_is_told_in_numbers():
    assert "3 records, 2 of them in scope" in page(plan(in_scope=2)).text
    assert "in scope" not in page(plan()).text


def test_a_record_without_fields_is_there_too():
    assert rows(plan(create("A"))) == [["A not in Intacct", "no other fields"]]
    assert rows(plan(delete("A", note=None))) == [["A not desired key 8", "no other fields"]]


def test_the_page_needs_nothing_else_and_may_do_nothing():
    shown = page(rich())
    tags = {tag for tag, _ in shown.tags}
    assert not tags & {
        "script",
        "img",
        "iframe",
        "object",
        "embed",
        "base",
        "form",
        "a",
        "link",
        "svg",
        "video",
    }
    assert not [
        (tag, name)
        for tag, attributes in shown.tags
        for name in attributes
        if name.startswith("on") or name in ("style", "src", "href", "action")
    ]
    [policy] = [
        tag["content"] for tag in shown.all("meta") if tag.get("http-equiv") == "Content-Security-Policy"
    ]
    style = re.search(r"<style>(.*?)</style>", shown.answer.text, re.DOTALL)[1]
    assert "url(" not in style
    assert "@import" not in style
    digest = b64encode(sha256(style.encode()).digest()).decode()
    assert policy == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    assert shown.answer.text.index("Content-Security-Policy") < shown.answer.text.index("<style>")
    assert list(wrong_references(shown)) == []
    assert all("scope" in head for head in shown.all("th"))


def test_the_same_plan_gives_the_same_bytes():
    assert render_page(rich()) == render_page(rich())
    assert render_page(rich()).startswith(b"<!DOCTYPE html>")


ANY = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@settings(derandomize=True, deadline=None)
@given(text=st.text("<>&\"'{}%#/= ax\n", max_size=30) | ANY)
@example(HOSTILE)
def test_no_text_is_more_than_text(text):
    made = plan(
        update(
            f"u{text}",
            key=text,
            **{f"f{text}": (f"o{text}", f"n{text}"), "list": (members(text), members(f"x{text}"))},
        ),
        create(f"c{text}", note=text),
        source=text,
        origin=text,
        entity_id=text,
        company_id=text,
        breaches=(text,),
    )
    shown, harmless = (
        page(made),
        page(
            plan(
                update("u", f=("o", "n"), list=(members("a"), members("b"))),
                create("c", note="n"),
                source="s",
                origin="o",
                entity_id="e",
                company_id="c",
                breaches=("b",),
            )
        ),
    )
    assert shown.problems == []
    ours = {"mark", "span"}
    assert [t for t in shown.tags if t[0] not in ours and t[0] != "meta"][:20] == [
        t for t in harmless.tags if t[0] not in ours and t[0] != "meta"
    ][:20]
    assert {tag for tag, _ in shown.tags} <= {tag for tag, _ in harmless.tags} | ours
    assert f"u{make_visible(text)}" in shown.text
    assert f"o{make_visible(text, keep=chr(10))}" in shown.text


def test_what_cannot_be_seen_is_replaced():
    [row] = rows(plan(update("A\u202eB", name=("a\u00a0b\x00", "c\nd "))))
    assert row[0].startswith("A⟨U+202E⟩B")
    assert row[2:] == ["a⟨U+00A0⟩b⟨U+0000⟩", '"c d "']
    [row] = rows(plan(update("A", name=(None, "a\u202eb"), list=([], members("c\u202ed")))))[:1]
    assert row[2:] == ["(empty)", "a⟨U+202E⟩b"]
    [_, row] = rows(plan(update("A", name=(None, "a"), list=(members("a\u202eb"), members("c\u202ed")))))
    assert row[1:] == ["a⟨U+202E⟩b", "c⟨U+202E⟩dadds 1: c⟨U+202E⟩ddrops 1: a⟨U+202E⟩b"]


@pytest.mark.parametrize(
    ("old", "new", "marked"),
    [
        ("Reviewed on Monday", "Reviewed on Tuesday", ["Mon", "Tues"]),
        ("Net 30", "Net 30 days", [" days"]),
        ("Total", "Nothing in common", []),
        ("10000", "100000", ["0"]),
        ("aaaa", "aaaaa", ["a"]),
    ],
)
def test_the_part_of_a_text_that_differs_is_marked(old, new, marked):
    text = render_page(plan(update("A", name=(old, new)))).decode()
    assert re.findall("<mark>(.*?)</mark>", text) == marked


@settings(derandomize=True, deadline=None)
@given(old=st.text("ab", min_size=1, max_size=12), new=st.text("ab", min_size=1, max_size=12))
def test_a_text_with_a_mark_is_still_whole(old, new):
    assert rows(plan(update("A", name=(old, new))))[0][2:] == [old, new]


def test_a_long_list_is_folded_and_whole():
    many = [f"C-{n}" for n in range(40)]
    shown = page(plan(update("A", members=(members(*many), members(*many, "C-X")))))
    assert "40 members" in shown.text
    assert "41 members" in shown.text
    assert "adds 1: C-X" in shown.text
    assert sum(1 for tag, _ in shown.tags if tag == "ol") == 2
    assert shown.answer.text.count("<li>C-7</li>") == 2


def test_many_records_are_all_there_with_the_rest_folded_away():
    shown = page(
        plan(*(create(f"N-{n}", name="x") for n in range(1120)), *(delete(f"D-{n}") for n in range(60)))
    )
    assert "51 to 60 of 60 to delete: D-50 … D-59" in shown.text
    assert "51 to 550 of 1,120 to create: N-50 … N-549" in shown.text
    assert "551 to 1,050 of 1,120 to create: N-550 … N-1049" in shown.text
    assert "1,051 to 1,120 of 1,120 to create: N-1050 … N-1119" in shown.text
    assert [row[0].removesuffix(" not in Intacct") for row in shown.cells if row[0].startswith("N-")] == [
        f"N-{n}" for n in range(1120)
    ]
    assert sum(row[0].startswith("D-") for row in shown.cells) == 60


def test_an_action_has_its_color_only_when_there_is_something_to_do():
    shown = page(plan(deactivate("A")))
    assert [tag["class"] for tag in shown.all("li")] == ["none", "deactivate", "none", "none", "none"]
    assert [tag["class"] for tag in page(plan(update("A"))).all("li")] == ["none", "update", "none", "none"]
