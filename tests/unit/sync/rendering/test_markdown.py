"""The markdown of a plan: what a person reads in the task's log, and on the page where it is approved."""

from __future__ import annotations

from decimal import Decimal
from html.parser import HTMLParser

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from sync_plans import create, deactivate, delete, members, plan, rich, update

from intacct_provider.sync.plan import FieldChange, Plan, Step
from intacct_provider.sync.rendering.markdown import render_markdown
from intacct_provider.sync.rendering.page import render_page
from intacct_provider.sync.rendering.wording import make_visible

# With linkify, which looks for addresses without markup, as Airflow's page does.
MARKDOWN = MarkdownIt("gfm-like")
# GitHub's markdown knows no endings of addresses; these are as good as a www.
MARKDOWN.linkify.tlds(["com", "net", "org"])
ARROWS = "a\u202eb\u200bc"


class Shown(HTMLParser):
    """What a reader of the rendered markdown sees: the text, the tables' rows, and the tags that made it."""

    def __init__(self, markdown):
        super().__init__(convert_charrefs=True)
        self.text, self.rows, self.tags, self._cell = "", [], set(), False
        self.feed(MARKDOWN.render(markdown))
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("th", "td"):
            self.rows[-1].append("")
        self._cell = tag in ("th", "td") or (self._cell and tag not in ("table", "tr"))

    def handle_endtag(self, tag):
        if tag in ("th", "td"):
            self._cell = False

    def handle_data(self, data):
        self.text += data
        if self._cell:
            self.rows[-1][-1] += data


def changed(old, new, path="name"):
    """Return the now and planned cells of one changed field."""
    [_, row] = Shown(render_markdown(plan(update("A", **{path: (old, new)})))).rows
    return tuple(row[2:])


def test_a_plan_is_told_in_numbers_and_then_record_by_record_deletions_first():
    assert render_markdown(rich()).splitlines() == [
        (
            "Plan for accounts-receivable/customer-group (company ACME, entity 10, mode mirror, matched on id), "
            "desired state: groups.csv"
        ),
        "",
        f"SHA-256: {rich().digest}",
        "",
        (
            "**1 to delete, 1 to deactivate, 1 to update, 1 to create**; 1,200 unchanged, 2 protected. "
            "Applying it takes about 6 billed transactions."
        ),
        "",
        "#### 1 record to delete",
        "",
        "| id | now | why |",
        "| --- | --- | --- |",
        "| GONE | name: Gone & away, groupType: specific | not desired |",
        "",
        "#### 1 record to deactivate",
        "",
        "| id | now | why |",
        "| --- | --- | --- |",
        "| OLD | status: active | not desired |",
        "",
        "#### 1 record to update",
        "",
        "| id | field | now | planned |",
        "| --- | --- | --- | --- |",
        "| KEY | name | Key acounts | Key accounts |",
        "| KEY | groupMembers | C-1, C-2, +1 more | C-2, C-1, +2 more (adds C-4, C-9; drops C-3) |",
        "",
        "#### 1 record to create",
        "",
        "| id | field | planned |",
        "| --- | --- | --- |",
        "| NET-30 | name | Education on Net 30 |",
        "| NET-30 | groupType | all |",
    ]


def test_a_plan_that_does_nothing_says_so():
    assert render_markdown(plan(entity_id="")).splitlines() == [
        "Plan for accounts-receivable/customer-group (entity top level, mode upsert, matched on id)",
        "",
        f"SHA-256: {plan(entity_id='').digest}",
        "",
        "**Nothing to change**; 3 unchanged.",
    ]


def test_deletions_that_are_none_are_counted_too():
    text = render_markdown(plan(create("A"), left_alone=1))
    assert "**0 to delete, 0 to update, 1 to create**; 3 unchanged, 1 left alone. " in text
    assert "takes about 1 billed transaction." in text


def test_what_a_plan_breaks_is_told_before_the_records():
    breaches = ("It deletes 2 records ('A_', '<b>'), more than max_deletes=1.", "It costs too much.")
    text = render_markdown(plan(delete("A_"), delete("<b>"), breaches=breaches))
    shown = Shown(text)
    assert "It exceeds 2 limits, so it cannot be applied:" in shown.text
    assert all(breach in shown.text for breach in breaches)
    assert text.index("exceeds 2 limits") < text.index("####")


def test_what_a_limit_hides_is_counted_and_the_page_named():
    steps = [create(f"N-{n}", name="x") for n in range(60)] + [delete(f"D-{n}") for n in range(3)]
    text = render_markdown(plan(*steps), limit=4, page="s3://bucket/a_b/groups.plan.html")
    shown = Shown(text)
    assert [row[0] for row in shown.rows] == ["id", "D-0", "D-1", "D-2", "id", "N-0"]
    assert "**3 to delete, 0 to update, 60 to create**" in text
    assert "59 more lines not shown." in text
    assert shown.text.strip().endswith("The complete plan: s3://bucket/a_b/groups.plan.html")
    assert Shown(render_markdown(plan(*steps), limit=0)).rows == []
    assert render_markdown(plan(*steps), limit=0).count("Not shown.") == 2


def test_the_page_is_not_named_when_all_is_there():
    assert "The complete plan" not in render_markdown(rich(), page="s3://bucket/groups.plan.html")


def test_new_records_are_condensed_to_a_line_each_where_their_fields_would_not_fit():
    steps = [create(f"N-{n}", a="1", b=True, c=members("x", "y", "z"), d=1, e=2) for n in range(9)]
    rows = Shown(render_markdown(plan(*steps), limit=20)).rows
    assert rows[:2] == [["id", "planned"], ["N-0", "a: 1, b: true, c: x, y, +1 more, d: 1, +1 field"]]
    assert len(rows) == 10
    assert len(Shown(render_markdown(plan(*steps), limit=45)).rows) == 46


@pytest.mark.slow
@settings(derandomize=True, deadline=None, max_examples=40)
@given(
    size=st.integers(0, 70),
    limit=st.integers(-1, 70),
    text=st.sampled_from(["\U0001f600" * 90, "|" * 90, "a"]),
)
def test_lines_shown_and_counted_are_all_lines_and_never_more_than_fit(size, limit, text):
    steps = [update(f"{n}{text}", name=(text, f"{text}!")) for n in range(size)]
    markdown = render_markdown(
        plan(*steps, breaches=(text * 9,) * 8, source=text * 9), limit=limit, page=text * 9
    )
    assert len(markdown.encode()) <= 30_000
    rows = max(len(Shown(markdown).rows) - 1, 0)
    hidden = [line.split()[0] for line in markdown.splitlines() if line.endswith(" not shown.")]
    hidden = int(hidden[0]) if hidden else (0 if rows or not size else size)
    assert rows + hidden == size
    assert rows <= max(limit, 0)


@pytest.mark.parametrize(
    ("old", "new", "now", "planned"),
    [
        (None, "x", "(empty)", "x"),
        ("x", None, "x", "(empty)"),
        ("x", "", "x", "(empty)"),
        (False, True, "false", "true"),
        (Decimal("10.50"), Decimal("11.00"), "10.50", "11.00"),
        ("a|b\nc\td", "<b>*x*</b> [y](z) `k` & \\ ~~s~~ _u_ a_b &amp;", "a|b⟨U+000A⟩c⟨U+0009⟩d", None),
        ("North", "North ", "North", '"North "'),
        ("one space", "one  space", "one space", "one ␣space"),
        ("a b", "a\u00a0b", "a b", "a⟨U+00A0⟩b"),
        (ARROWS, "a\x00b", "a⟨U+202E⟩b⟨U+200B⟩c", "a⟨U+0000⟩b"),
        ("x" * 61, "y", "x" * 59 + "…", "y"),
    ],
)
def test_values_are_shown_as_the_text_that_they_are(old, new, now, planned):
    assert changed(old, new) == (now, new if planned is None else planned)


MARKS = st.text("ab _*~`|\\[]()<>&#;!-=.:/@1\n\"'$^", max_size=30)


@settings(derandomize=True, deadline=None, max_examples=400)
@given(text=MARKS | st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
@example("\\|")
@example("``\\``")
@example("&lt;b>")
@example("<https://example.com>")
@example("![x](y)")
@example("a__b__c")
@example("https://example.com/approve")
@example("see www.example.com!")
@example("WWW.example.com")
@example("pay@example.com")
@example("`pay@example.com`x")
@example("a|http://x|b")
def test_no_text_works_as_markdown(text):
    shown = Shown(
        render_markdown(plan(update(text or "x", name=("old", text)), create(f"n{text}", note=text)))
    )
    assert shown.tags <= {"p", "strong", "h4", "table", "thead", "tbody", "tr", "th", "td", "code"}
    seen = make_visible(text)
    seen = seen if text == text.strip() else f'"{seen}"'
    seen = seen if len(seen) <= 60 else f"{seen[:59]}…"
    seen = seen.replace("  ", " ␣") or "(empty)"
    assert len(shown.rows) == 4
    assert shown.rows[1][3] == seen
    assert shown.rows[-1][2] == seen


def test_long_texts_are_cut_around_their_difference():
    now, planned = changed("same " * 30 + "OLD", "same " * 30 + "NEW")
    assert now.startswith("…")
    assert now.endswith("OLD")
    assert planned.endswith("NEW")
    assert len(now) <= 60


@settings(derandomize=True, deadline=None)
@given(prefix=st.text("ab", max_size=90), old=st.text("ab", max_size=90), new=st.text("ab", max_size=90))
@example(prefix="a" * 99, old="", new="Z")
def test_a_change_of_text_can_always_be_seen(prefix, old, new):
    if old != new:
        now, planned = changed(prefix + old, prefix + new)
        assert now != planned
        assert max(len(now), len(planned)) <= 60


@pytest.mark.parametrize("kind", [list, tuple])
@pytest.mark.parametrize(
    ("old", "new", "now", "planned"),
    [
        (
            members("C-1", "C-2", "C-3", "C-4", "C-5"),
            members("C-1", "C-2", "C-3", "C-4", "C-6"),
            "C-1, C-2, +3 more",
            "C-1, C-2, +3 more (adds C-6; drops C-5)",
        ),
        (members("C-1", "C-2"), members("C-2", "C-1"), "C-1, C-2", "C-2, C-1 (reordered)"),
        (members("C-1", "C-1"), members("C-1"), "C-1, C-1", "C-1 (different content)"),
        (members("C-1"), [], "C-1", "(empty)"),
        ([], members("C-1"), "(empty)", "C-1"),
        ([{"id": "1", "from": "a"}], [{"id": "1", "from": "b"}], "1", "1 (different content)"),
        (
            [{"$eq": {"status": "active"}}],
            [{"$eq": {"status": None}}],
            "status = active",
            "status = null (adds status = null; drops status = active)",
        ),
        (
            [{"$gte": {"customer.totalDue": Decimal("10.50")}}, {"$in": {"customer.id": ["A", "B"]}}],
            [{"$startsWith": {"name": ""}}],
            "customer.totalDue ≥ 10.50, customer.id in A, B",
            "name startsWith (empty) (adds ",
        ),
    ],
)
def test_lists_say_what_comes_and_goes(old, new, now, planned, kind):
    got_now, got_planned = changed(kind(old), kind(new), "members")
    assert got_now == now
    assert got_planned.startswith(planned)


def test_the_name_of_a_record_comes_first_and_what_it_lacks_is_left_out():
    deleted = delete("A", z="1", id="A", nothing=None, name="Alpha")
    assert Shown(render_markdown(plan(deleted))).rows[1] == ["A", "name: Alpha, z: 1", "not desired"]
    assert Shown(render_markdown(plan(create("A", b="1", title="Alpha")))).rows[1:] == [
        ["A", "title", "Alpha"],
        ["A", "b", "1"],
    ]
    assert Shown(render_markdown(plan(create("A")))).rows[1:] == [["A", "", ""]]


def test_an_action_without_steps_has_no_table():
    text = render_markdown(plan(deactivate("A")))
    assert text.count("####") == 1
    assert "to deactivate" in text


def test_what_is_cleared_is_counted_and_warnings_are_shown():
    step = Step(
        "update", "A", key="1", changes=(FieldChange("name", "x", None), FieldChange("memo", "y", "z"))
    )
    plan = Plan(
        "o/p", None, "upsert", "id", (step,), 1, 1, 0, 0, 0, 1, (), False, warnings=("Text 'NULL' in name.",)
    )
    assert plan.cleared == 1
    for text in (render_markdown(plan), render_page(plan).decode()):
        assert "1 field cleared" in text or "<b>1</b> field cleared" in text
        assert "Look at this before you approve" in text
        assert "in name." in text
