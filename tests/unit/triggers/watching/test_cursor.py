"""What a watcher remembers: packed without loss, small, and bounded."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intacct_provider.triggers.watching import cursor as module
from intacct_provider.triggers.watching.cursor import Cursor, limit_pairs, pack, unpack

NOON, LATER = "2026-06-30T12:00:00Z", "2026-06-30T12:00:01Z"
KEYS = st.sets(st.one_of(st.integers(0).map(str), st.text("0a²Ä", min_size=1)), min_size=1)


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(st.sampled_from([NOON, LATER]), KEYS))
def test_pairs_are_packed_without_loss_and_always_as_the_same_text(pairs):
    text = pack(pairs)
    assert unpack(text) == pairs
    assert pack(dict(reversed(pairs.items()))) == text


@pytest.mark.parametrize("key", ["007", "²", "", "-1", "12a", "0"])
def test_keys_that_only_look_like_numbers_are_kept_as_they_are(key):
    assert unpack(pack({NOON: {key, "7"}})) == {NOON: {key, "7"}}


def test_ten_thousand_random_keys_fit_in_what_airflow_stores_without_a_warning():
    keys = random.Random(1).sample(range(1_000_000), 10_000)
    stamps = [f"2026-06-30T12:{n // 60:02}:{n % 60:02}Z" for n in range(600)]
    pairs = {stamp: {str(key) for key in keys[n::600]} for n, stamp in enumerate(stamps)}
    assert len(Cursor(NOON, NOON, pack(pairs)).to_text()) < 45_000


def test_a_cursor_that_was_stored_is_the_same_and_another_text_is_none():
    cursor = Cursor(LATER, NOON, pack({NOON: {"1"}}), {"count": 1})
    assert Cursor.from_text(cursor.to_text()) == cursor
    assert Cursor.from_text('{"polled": "x", "floor": "x", "version": 2}') is None
    assert Cursor.from_text("[]") is None


def test_what_is_earlier_than_the_floor_is_dropped():
    assert limit_pairs({NOON: {"1"}, LATER: {"2"}}, LATER) == ({LATER: {"2"}}, LATER)


def test_of_too_many_pairs_the_latest_seconds_are_kept_and_the_log_says_so(monkeypatch, caplog):
    monkeypatch.setattr(module, "MAX_PAIRS", 3)
    pairs = {NOON: {"1", "2"}, LATER: {"3", "4"}}
    assert limit_pairs(pairs, NOON) == ({LATER: {"3", "4"}}, LATER)
    assert "more than 3 changes" in caplog.text
    assert LATER in caplog.text


def test_a_second_with_too_many_pairs_is_kept_as_a_whole(monkeypatch):
    monkeypatch.setattr(module, "MAX_PAIRS", 1)
    assert limit_pairs({NOON: {"1", "2"}}, NOON) == ({NOON: {"1", "2"}}, NOON)
