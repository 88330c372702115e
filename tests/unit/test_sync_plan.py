"""Plans: what each mode does, the document, its guards, staleness, and the table people approve."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intacct_provider.client.errors import IntacctArgumentError, IntacctError
from intacct_provider.sync.diff import FieldChange
from intacct_provider.sync.plan import (
    MODES,
    Create,
    Delete,
    IntacctSyncGuardError,
    Plan,
    Update,
    check_guards,
    is_stale,
    make_plan,
)
from intacct_provider.sync.table import plan_table

OBJECT = "accounts-receivable/customer"
TYPES = {"id": "string", "name": "string", "creditLimit": "number", "term.id": "string", "term.key": "string"}
LIVE = [
    {"key": "1", "id": "C-1", "name": "North", "creditLimit": 10},
    {"key": "2", "id": "C-2", "name": "South", "creditLimit": Decimal("20.00")},
    {"key": "3", "id": "C-3", "name": "East", "creditLimit": None},
]
DESIRED = [
    {"id": "C-9", "name": "New", "creditLimit": None, "term": {"id": "N30"}},
    {"id": "C-2", "name": "South-West", "creditLimit": 20},
    {"id": "C-1", "name": "North"},
]


def plan(desired=DESIRED, live=LIVE, *, mode="upsert", **kwargs) -> Plan:
    return make_plan(OBJECT, desired, iter(live), mode=mode, types=TYPES, **kwargs)


def mirror_of(deletes: int) -> Plan:
    live = [{"key": str(n), "id": f"C-{n}"} for n in range(deletes + 1)]
    return plan([{"id": "C-0"}], live, mode="mirror")


# --- modes


@pytest.mark.parametrize(
    ("mode", "creates", "updates", "deletes", "skipped"),
    [
        ("create", ["C-9"], [], [], 1),
        ("update", [], ["C-2"], [], 1),
        ("upsert", ["C-9"], ["C-2"], [], 0),
        ("mirror", ["C-9"], ["C-2"], ["C-3"], 0),
    ],
)
def test_modes(mode, creates, updates, deletes, skipped):
    made = plan(mode=mode)
    assert [step.match for step in made.creates] == creates
    assert [step.match for step in made.updates] == updates
    assert [step.match for step in made.deletes] == deletes
    assert (made.unchanged, made.skipped, made.live_count) == (1, skipped, 3)
    assert made.touched == (*creates, *updates, *deletes)
    assert made.changes == len(made.touched)
    assert not made.is_empty


def test_steps_carry_what_is_sent():
    made = plan(mode="mirror", entity_id="10")
    assert made.creates == (Create("C-9", {"id": "C-9", "name": "New", "term": {"id": "N30"}}),)
    assert made.updates == (
        Update("C-2", "2", (FieldChange("name", "South", "South-West"),), {"name": "South-West"}),
    )
    assert made.deletes == (Delete("C-3", "3"),)
    assert (made.object_name, made.entity_id, made.mode, made.match_on) == (OBJECT, "10", "mirror", "id")
    assert made.fields == ("key", "id", "creditLimit", "name", "term.id")
    assert made.full_records is False


def test_lists_ask_for_full_records():
    assert plan([{"id": "C-1", "members": []}], LIVE).full_records is True


def test_a_plan_without_changes_is_empty():
    made = plan([{"id": "C-1", "name": "North"}])
    assert made.is_empty
    assert made.unchanged == 1


def test_matching_on_another_field():
    made = plan([{"name": "South", "creditLimit": 5}], match_on="name")
    assert made.updates[0].key == "2"
    made = plan([{"key": "3", "name": "West"}], match_on="key", mode="update")
    assert made.updates == (Update("3", "3", (FieldChange("name", "East", "West"),), {"name": "West"}),)


def test_nothing_given_is_changed_by_making_a_plan():
    before = json.dumps([DESIRED, LIVE], default=str)
    plan(mode="mirror")
    assert json.dumps([DESIRED, LIVE], default=str) == before


@pytest.mark.parametrize(
    ("desired", "live", "options", "parts"),
    [
        (
            DESIRED,
            LIVE,
            {"mode": "mirrors"},
            ["mode is 'mirrors'", "create, update, upsert, mirror", "Did you mean 'mirror'?"],
        ),
        ([], LIVE, {"mode": "mirror"}, ["desired records", "no records", "mirror"]),
        (
            [{"id": "a"}, {"id": "a"}],
            LIVE,
            {},
            ["desired records", "'a' is given more than once", "record 1, record 2"],
        ),
        (
            [{"id": "C-1"}],
            [LIVE[0], LIVE[0] | {"key": "8"}],
            {},
            ["Two live records have id 'C-1'", "keys 1 and 8"],
        ),
        ([{"id": "C-1"}], [{"id": "C-1", "kye": "1"}], {}, ["has no key", "Did you mean 'kye'?"]),
        ([{"id": "C-1"}], [{"id": "C-1", "key": None}], {}, ["id 'C-1' has no key"]),
        ([{"id": "C-1"}], [{"key": "1", "name": "x"}], {"mode": "mirror"}, ["(key '1')", "has no id"]),
        (
            [{"id": "C-1"}],
            [{"key": "7", "id": None}],
            {"mode": "mirror"},
            ["key 7", "blank id", "would delete it"],
        ),
        (
            [{"key": "99", "name": "x"}],
            LIVE,
            {"match_on": "key"},
            ["no live record with key '99'", "mode update"],
        ),
        ([{"id": "C-1", "x": float("inf")}], LIVE, {}, ["inf", "use null"]),
    ],
)
def test_make_plan_refuses(desired, live, options, parts):
    with pytest.raises(IntacctArgumentError) as caught:
        plan(desired, live, **options)
    for part in parts:
        assert part in str(caught.value)


def test_live_records_with_a_blank_match_are_ignored_unless_they_would_be_deleted():
    assert plan([{"id": "C-1", "name": "North"}], [*LIVE, {"key": "7", "id": None}]).is_empty


# --- the document


def test_plan_is_readable_json_with_a_version():
    document = json.loads(plan(entity_id="").to_json())
    assert document["version"] == "1"
    assert document["plan"]["updates"][0]["changes"] == [
        {"path": "name", "old": "South", "new": "South-West"}
    ]
    assert document["plan"]["entity_id"] == ""
    assert b"\n  " in plan().to_json()


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False, width=32)
    | st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-(10**12), max_value=10**12)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text("pqr", min_size=1, max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)
ROWS = st.dictionaries(
    st.sampled_from("ABCDE"), st.fixed_dictionaries({"v": VALUES, "w": VALUES}), min_size=1
)


def rows(given, *, keyed):
    return [
        {"id": match} | record | ({"key": str(ord(match))} if keyed else {})
        for match, record in given.items()
    ]


@settings(derandomize=True, deadline=None)
@given(desired=ROWS, live=ROWS, mode=st.sampled_from(MODES), entity=st.sampled_from([None, "", "E-1"]))
def test_plan_round_trips_exactly_and_renders(desired, live, mode, entity):
    made = plan(rows(desired, keyed=False), rows(live, keyed=True), mode=mode, entity_id=entity)
    again = Plan.from_json(made.to_json())
    assert again == made
    assert again.to_json() == made.to_json()
    assert not is_stale(again, rows(live, keyed=True))
    assert plan_table(again) == plan_table(made)
    assert len(desired) == len(made.creates) + len(made.updates) + made.unchanged + made.skipped


@pytest.mark.parametrize(
    ("data", "parts"),
    [
        (
            b'{"version": "2", "plan": {"new": 1}}',
            ["version '2'", "reads version '1'", "Make the plan again"],
        ),
        (b'{"version": "1"}', ["not a sync plan", "plan"]),
        (
            b'{"version": "1", "plan": {"object_name": "x"}}',
            ["not a sync plan", "missing required field", "$.plan"],
        ),
        (b"[]", ["not a sync plan"]),
        (b"secret", ["not a sync plan"]),
        (b'{"version": "\xff"}', ["not a sync plan"]),
        (b"", ["not a sync plan"]),
    ],
)
def test_what_is_not_a_plan_is_refused(data, parts):
    with pytest.raises(IntacctArgumentError) as caught:
        Plan.from_json(data)
    for part in parts:
        assert part in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_plan_with_an_unknown_mode_is_refused():
    data = plan().to_json().replace(b'"upsert"', b'"upsrt"')
    with pytest.raises(IntacctArgumentError, match=r"not a sync plan.*\$\.plan\.mode"):
        Plan.from_json(data)


# --- staleness


def changed(index: int, **fields) -> list[dict]:
    return [row | fields if n == index else row for n, row in enumerate(LIVE)]


@pytest.mark.parametrize(
    ("live", "stale"),
    [
        (LIVE, False),
        (LIVE[::-1], False),
        (changed(1, creditLimit=Decimal("20.00"), href="/x"), False),
        (changed(2, creditLimit=""), False),
        (changed(0, name="renamed, but the plan leaves it alone"), False),
        ([*LIVE, {"key": "4", "id": "C-4", "name": "unrelated"}], False),
        (LIVE[1:], False),
        (changed(1, name="South-East"), True),
        (changed(1, creditLimit=21), True),
        (changed(1, key="22"), True),
        (changed(2, name="East!"), True),
        (LIVE[:2], True),
        ([*LIVE, {"key": "9", "id": "C-9"}], True),
        ([], True),
    ],
)
def test_a_plan_is_stale_when_a_record_that_it_touches_has_changed(live, stale):
    assert is_stale(plan(mode="mirror"), live) is stale


def test_staleness_does_not_care_for_the_shape_of_live_records():
    nested = [
        {"key": "1", "id": "C-1", "term": {"key": "3", "id": "N30", "href": "/x"}, "m": [{"a": 1, "b": 2}]}
    ]
    dotted = [{"m": [{"b": 2, "a": 1}], "term.id": "N30", "term.key": "3", "id": "C-1", "key": "1"}]
    made = plan([{"id": "C-1", "term": {"id": "N60"}, "m": []}], nested)
    assert not is_stale(made, dotted)
    assert is_stale(made, [dotted[0] | {"m": [{"b": 2}]}])


# --- guards


def test_guards_pass_at_the_limit():
    check_guards(mirror_of(3), max_deletes=3, max_change_percent=75)
    check_guards(mirror_of(3), max_deletes=None, max_change_percent=None)


def test_too_many_deletes_are_refused_with_the_way_to_allow_them():
    with pytest.raises(IntacctSyncGuardError) as caught:
        check_guards(mirror_of(7), max_deletes=2, max_change_percent=None)
    message = str(caught.value)
    for part in (
        OBJECT,
        "deletes 7",
        "max_deletes=2",
        "'C-1', 'C-2', 'C-3', 'C-4', 'C-5' and 2 more",
        "set max_deletes=7",
    ):
        assert part in message
    assert isinstance(caught.value, IntacctError)


def test_max_deletes_of_zero_refuses_any():
    with pytest.raises(IntacctSyncGuardError, match="max_deletes=0"):
        check_guards(mirror_of(1), max_deletes=0, max_change_percent=None)


def test_too_many_changes_are_refused_with_the_way_to_allow_them():
    with pytest.raises(IntacctSyncGuardError) as caught:
        check_guards(plan(), max_deletes=None, max_change_percent=66.5)
    message = str(caught.value)
    for part in (
        "changes 2 records",
        "'C-2', 'C-9'",
        "66.7 % of the 3 live",
        "max_change_percent=66.5",
        "set max_change_percent=67",
    ):
        assert part in message


def test_percent_of_an_empty_company_counts_as_of_one_record():
    made = plan(live=[])
    check_guards(made, max_deletes=0, max_change_percent=300)
    with pytest.raises(IntacctSyncGuardError, match=r"300\.0 %"):
        check_guards(made, max_deletes=0, max_change_percent=299)


@pytest.mark.parametrize("name", ["max_deletes", "max_change_percent"])
@pytest.mark.parametrize("limit", [-1, True, "5", float("nan")])
def test_a_limit_that_is_no_number_is_refused(name, limit):
    limits = {"max_deletes": None, "max_change_percent": None} | {name: limit}
    with pytest.raises(IntacctArgumentError, match=f"{name} is {limit!r}"):
        check_guards(plan(), **limits)


# --- the table


def test_table_of_a_mirror():
    assert plan_table(plan(mode="mirror", entity_id="10")).splitlines() == [
        "Plan for accounts-receivable/customer (mode mirror, entity 10, matched on id)",
        "",
        "| action | id | field | now | planned |",
        "| --- | --- | --- | --- | --- |",
        "| delete | C-3 |  | key 3 | (deleted) |",
        "| update | C-2 | name | South | South-West |",
        "| create | C-9 |  |  | id: C-9, name: New, term.id: N30 |",
        "",
        "1 to create, 1 to update, 1 to delete, 1 unchanged",
    ]


def test_table_of_nothing_has_only_totals():
    lines = plan_table(plan([{"id": "C-1"}], entity_id="")).splitlines()
    assert lines == [
        "Plan for accounts-receivable/customer (mode upsert, entity top level, matched on id)",
        "",
        "0 to create, 0 to update, 0 to delete, 1 unchanged",
    ]


def test_table_names_what_the_mode_leaves_alone():
    assert plan_table(plan(mode="update")).endswith(
        "0 to create, 1 to update, 0 to delete, 1 unchanged, 1 left alone"
    )


def test_a_long_table_is_cut_after_the_deletes():
    made = plan([{"id": f"N-{n}"} for n in range(60)], LIVE, mode="mirror")
    lines = plan_table(made, limit=4).splitlines()
    assert [line.split(" | ")[0] for line in lines[4:8]] == ["| delete"] * 3 + ["| create"]
    assert lines[-3:] == [
        "59 more lines are not shown.",
        "",
        "60 to create, 0 to update, 3 to delete, 0 unchanged",
    ]
    assert plan_table(made, limit=0).endswith(lines[-1])


def cells(old, new, path="name") -> tuple[str, str]:
    """Return the now and planned cells of one changed field."""
    made = plan([{"id": "C-1", path: new}], [{"key": "1", "id": "C-1", path: old}])
    [line] = [line for line in plan_table(made).splitlines() if line.startswith("| update")]
    now, planned = line.removesuffix(" |").split(" | ")[3:]
    return now, planned


@pytest.mark.parametrize(
    ("old", "new", "now", "planned"),
    [
        (None, "x", "(empty)", "x"),
        ("x", None, "x", "(empty)"),
        (False, True, "false", "true"),
        (Decimal("10.50"), Decimal("11.00"), "10.50", "11.00"),
        (
            "a|b\nc\td",
            "<b>*x*</b> [y](z) `k` & \\",
            r"a\|b c d",
            r"&lt;b>\*x\*&lt;/b> \[y\](z) \`k\` &amp; \\",
        ),
        ("North", "North ", "North", '"North "'),
        ("a\u202eb", "a\x00b", "a\ufffdb", "a\ufffdb"),
        ("x" * 61, "y", "x" * 59 + "…", "y"),
    ],
)
def test_values_are_shown_as_safe_text(old, new, now, planned):
    assert cells(old, new) == (now, planned)


def test_long_texts_are_cut_around_their_difference():
    now, planned = cells("same " * 30 + "OLD", "same " * 30 + "NEW")
    assert now.startswith("…")
    assert now.endswith("OLD")
    assert planned.endswith("NEW")
    assert len(now) <= 60


def test_a_text_that_only_grows_beyond_the_cut_is_seen_to_differ():
    now, planned = cells("a" * 100, "a" * 100 + "Z")
    assert now != planned
    assert planned.endswith("Z")


@settings(derandomize=True, deadline=None)
@given(prefix=st.text("ab", max_size=90), old=st.text("ab", max_size=90), new=st.text("ab", max_size=90))
def test_a_change_of_text_can_always_be_seen(prefix, old, new):
    if old != new:
        now, planned = cells(prefix + old, prefix + new)
        assert now != planned
        assert max(len(now), len(planned)) <= 60


def members(*names: str) -> list[dict]:
    return [{"id": name} for name in names]


@pytest.mark.parametrize(
    ("old", "new", "now", "planned"),
    [
        (
            members("C-1", "C-2", "C-3", "C-4", "C-5"),
            members("C-1", "C-2", "C-3", "C-4", "C-6"),
            "C-1, C-2, +3 more",
            "C-1, C-2, +3 more (adds C-6; drops C-5)",
        ),
        (members("C-1", "C-2"), members("C-2", "C-1"), "C-1, C-2", "C-2, C-1 (another order)"),
        (members("C-1"), [], "C-1", "(empty)"),
        ([], members("C-1"), "(empty)", "C-1"),
        ([{"id": "1", "from": "a"}], [{"id": "1", "from": "b"}], "1", "1 (other content)"),
        (
            [{"$eq": {"status": "active"}}],
            [{"$eq": {"status": "inactive"}}],
            "$eq.status: active",
            "$eq.status: inactive (adds $eq.status: inactive; drops $eq.status: active)",
        ),
    ],
)
def test_lists_say_what_comes_and_goes(old, new, now, planned):
    got_now, got_planned = cells(old, new, "members")
    assert got_now == now
    assert got_planned.startswith(planned)


def test_creates_are_condensed():
    record = {"id": "N-1", "a": "1", "b": True, "c": members("x", "y", "z"), "d": 1, "e": 2}
    assert "id: N-1, a: 1, b: true, c: x, y, +1 more, +2 fields" in plan_table(plan([record], []))
