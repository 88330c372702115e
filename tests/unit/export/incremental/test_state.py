"""What is remembered of exports: forward only, run by run."""

import json

import pytest

from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.export.facts import DeletionFacts, FileRef, KeySet, KeySetSummary
from intacct_provider.export.incremental.state import KEY_SETS, RUNS, ExportState, Run
from intacct_provider.export.incremental.window import Window
from intacct_provider.export.schema.columns import Column

CUSTOMER = "accounts-receivable/customer"
MODIFIED = "audit.modifiedDateTime"
NOON, ONE = "2026-06-30T12:00:00Z", "2026-06-30T13:00:00Z"
OLD, NEW = (Column("old", "key", "string"),), (Column("new", "key", "string"),)
STAMP = {"type": "string", "format": "date-time"}


class Shelf(dict):
    """A place for documents, as Airflow's are."""

    def set(self, name, text):
        self[name] = text


@pytest.fixture
def shelf():
    return Shelf()


@pytest.fixture
def state(shelf):
    return ExportState(shelf, "state")


def window(lower=None, upper=NOON, name=MODIFIED):
    return Window(name, lower, upper)


def keys(number):
    return KeySet(f"/keys/{number}", "0", rows=1)


def deletions(number, file=None):
    gone = DeletionFacts(
        method="keys", rows=1 if file else 0, deleted=0, left=0, keys=KeySetSummary(1, "0"), file=file
    )
    return {"keys": keys(number), "gone": gone}


def test_a_run_that_was_overtaken_does_not_move_it_back(state, shelf):
    first, second = window(upper=NOON), window(upper=ONE)
    ExportState(shelf, "state").commit("2", window=second, columns=NEW, **deletions(2))
    state.commit("1", window=first, columns=OLD, **deletions(1))
    after = ExportState(shelf, "state")
    assert (after.watermark(MODIFIED), after.columns, after.keys) == (ONE, NEW, keys(2))


def test_a_run_of_the_past_that_is_run_again_moves_nothing(shelf):
    for number, upper in enumerate((NOON, ONE), 1):
        at = window(None if number == 1 else NOON, upper)
        ExportState(shelf, "state").commit(
            str(number), window=at, columns=[Column(str(number), "key", "string")], **deletions(number)
        )
    before = json.loads(shelf["state"])
    again = ExportState(shelf, "state")
    assert again.repeats("1", window(None, NOON))
    again.commit("1", window=window(None, NOON), columns=OLD, **deletions(7))
    after = json.loads(shelf["state"])
    assert {name: after[name] for name in before if name != "runs"} == {
        n: before[n] for n in before if n != "runs"
    }


def test_deletions_are_remembered_although_nothing_changed(state):
    state.commit("1", window=window(), **deletions(1))
    state.commit("2", window=window(NOON, NOON), **deletions(2))
    assert (state.watermark(MODIFIED), state.keys) == (NOON, keys(2))


def test_a_watermark_of_another_field_is_none(state):
    state.commit("1", window=window())
    assert state.watermark("audit.createdDateTime") is None


def test_nothing_is_written_before_it_is_told_to(state, shelf):
    assert state.watermark(MODIFIED) is None
    assert not shelf


def test_a_run_that_began_keeps_its_window_and_leaves_the_watermark(state, shelf):
    state.remember("1", window())
    after = ExportState(shelf, "state")
    assert after.run("1") == Run(field=MODIFIED, upper=NOON)
    assert after.watermark(MODIFIED) is None
    assert not after.repeats("1", window())


def test_the_last_hundred_runs_are_remembered_and_the_files_of_others_can_go(state):
    files = []
    for number in range(RUNS + 3):
        file = FileRef(f"/gone/{number}", "0")
        files += state.commit(str(number), window=window(), **deletions(number, file))
    gone, sets = ([one.path for one in files if one.path.startswith(kind)] for kind in ("/gone", "/keys"))
    assert gone == [f"/gone/{number}" for number in range(3)]
    assert sets == [f"/keys/{number}" for number in range(RUNS + 3 - KEY_SETS)]
    assert state.run("2") is None
    assert state.run("3").done


def test_a_key_set_that_is_written_again_under_its_name_is_not_removed(state):
    for _ in range(KEY_SETS + 2):
        assert state.commit("1", **deletions(1)) == []


@pytest.mark.parametrize("text", ["", "nonsense", "[]", '{"version": 99}'])
def test_a_document_of_something_else_is_an_error_that_names_it(shelf, text):
    shelf["state"] = text
    with pytest.raises(IntacctArgumentError, match=r"^state .* Remove it to export everything again"):
        ExportState(shelf, "state")
