"""Where cursors are kept: with every asset of a trigger, whatever Airflow injects."""

from __future__ import annotations

import asyncio

import pytest
from airflow.sdk import Asset

from intacct_provider.triggers.watching.cursor import Cursor
from intacct_provider.triggers.watching.store import CursorStore

NOON, LATER = "2026-06-30T12:00:00Z", "2026-06-30T12:00:01Z"


class PlainStore:
    """The store of an asset as the first releases with one had it, without ``await``."""

    def __init__(self, text=None):
        self.text = text

    def get(self, _name):
        return self.text

    def set(self, _name, text):
        self.text = text


def test_every_asset_that_airflow_injects_is_found():
    """By parts of Airflow that are not public: a trigger does not know its assets."""
    contexts = pytest.importorskip("airflow.sdk.execution_time.context")
    if not hasattr(contexts, "AssetStateStoreAccessors"):
        pytest.skip("this Airflow keeps no state with assets")
    assets = [Asset("b"), Asset("a"), Asset("c")]
    store = CursorStore.find(contexts.AssetStateStoreAccessors(inlets=assets), "name")
    assert [repr(one) for one in store._accessors] == [
        f"<AssetStateStoreAccessor name={name!r}>" for name in "abc"
    ]
    assert store.lasting


def test_nothing_is_kept_if_airflow_injects_nothing():
    store = CursorStore.find(None, "name")
    assert not store.lasting
    asyncio.run(store.save(Cursor(NOON, NOON)))
    assert asyncio.run(store.load()) is None


def test_a_store_without_await_is_used_on_a_thread():
    plain = PlainStore()
    store = CursorStore.find(plain, "name")
    cursor = Cursor(NOON, NOON)
    asyncio.run(store.save(cursor))
    assert asyncio.run(store.load()) == cursor


def test_the_oldest_cursor_counts_and_of_the_same_age_the_one_that_has_an_event_to_send():
    old, pending, new = Cursor(NOON, NOON), Cursor(LATER, NOON, "", {"count": 1}), Cursor(LATER, NOON)

    def load(*cursors):
        return asyncio.run(CursorStore([PlainStore(one.to_text()) for one in cursors], "name").load())

    assert load(new, pending, old) == old
    assert load(new, pending) == pending
