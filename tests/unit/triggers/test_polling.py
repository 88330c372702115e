"""The loop of triggers: when the first poll is, what ends it, and what it says."""

import asyncio
import time
from types import SimpleNamespace

import pytest

from intacct_provider.exceptions import (
    IntacctArgumentError,
    IntacctPermissionError,
    IntacctRateLimitError,
    IntacctServerError,
)
from intacct_provider.triggers import intervals, polling
from intacct_provider.triggers.polling import Finding, PollingTrigger


class Scripted(PollingTrigger):
    """A trigger whose polls find what a list says, or raise it."""

    def __init__(self, script, **how):
        super().__init__(**{"intacct_conn_id": "books", "poll_interval": 300, **how})
        self.script = list(script)

    def poll(self, _client):
        found = self.script.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    def wait(self):
        async def ask(question):
            return question(SimpleNamespace(transactions_here=0))

        return asyncio.run(self._wait(ask)).payload


WAITING, DONE = Finding(False, "nothing yet"), Finding(True, "there it is", {"count": 1})
DOWN = IntacctServerError("down", status=500)


@pytest.fixture
def pauses(monkeypatch):
    """The pauses of a trigger, which does not really wait."""
    taken = []

    async def sleep(seconds):
        taken.append(seconds)

    monkeypatch.setattr(polling.asyncio, "sleep", sleep)
    monkeypatch.setattr(intervals.random, "uniform", lambda low, _high: low)
    return taken


def test_the_first_poll_is_when_the_operator_said_and_the_others_an_interval_apart(pauses):
    trigger = Scripted([WAITING, WAITING, DONE], first_poll=time.time() + 300)
    assert trigger.wait() == {"status": "success", "summary": {"count": 1}}
    assert pauses == [pytest.approx(300, abs=5), 300, 300]


def test_no_poll_comes_within_the_seconds_in_which_airflow_loses_tasks(pauses):
    for how in ({"first_poll": time.time()}, {"first_poll": time.time() + 1}, {"deadline": time.time() + 2}):
        Scripted([DONE], **how).wait()
    assert all(pause >= intervals.FIRST_WAIT >= 6 for pause in pauses)


def test_a_trigger_that_is_restarted_does_not_wait_an_interval_again(pauses):
    Scripted([DONE], first_poll=time.time() - 1000, poll_interval=3600).wait()
    assert pauses == [intervals.FIRST_WAIT]


def test_triggers_that_are_restarted_together_spread_their_polls(pauses, monkeypatch):
    monkeypatch.setattr(polling.random, "uniform", lambda _low, high: high)
    Scripted([DONE], first_poll=time.time() - 1000, poll_interval=30).wait()
    Scripted([DONE], first_poll=time.time() - 1000, poll_interval=3600).wait()
    assert pauses == [intervals.FIRST_WAIT + 30, intervals.FIRST_WAIT + polling.SPREAD]


def test_backoff_goes_on_where_the_operator_was(pauses):
    Scripted([WAITING, WAITING, DONE], exponential_backoff=True, max_wait=1000, polls=1).wait()
    assert pauses == [300, 600, 1000]


def test_failures_are_counted_in_a_row_and_from_the_operator_on(pauses):
    event = Scripted([DOWN, DOWN], failures=3).wait()
    assert (event["status"], event["error_type"], event["retryable"]) == ("error", "IntacctServerError", True)
    assert Scripted([DOWN] * 4 + [WAITING] + [DOWN] * 4 + [DONE]).wait()["status"] == "success"
    assert Scripted([DOWN] * 50 + [DONE], max_failures=None).wait()["status"] == "success"


def test_failures_are_followed_by_longer_pauses(pauses):
    Scripted([DOWN, DOWN, WAITING, DONE]).wait()
    assert pauses[1:] == [600, 900, 300]


def test_a_pause_that_intacct_asks_for_is_kept_once(pauses):
    busy = IntacctRateLimitError("busy", status=429)
    busy.retry_after = 1200.0
    Scripted([busy, DOWN, DONE]).wait()
    assert pauses[1:] == [1200, 900]


def test_what_a_retry_cannot_fix_ends_the_wait_at_once(pauses):
    event = Scripted([IntacctPermissionError("no", status=403)], max_failures=None).wait()
    assert (event["error_type"], event["retryable"]) == ("IntacctPermissionError", False)


def test_any_other_exception_ends_the_wait_with_its_type(pauses):
    event = Scripted([KeyError("odd")]).wait()
    assert (event["status"], event["error_type"], event["retryable"]) == ("error", "KeyError", True)


def test_the_last_poll_is_at_the_deadline(pauses, monkeypatch):
    now = time.time()
    clock = iter([now, now + 290, now + 290, now + 301, now + 301])
    monkeypatch.setattr(polling.time, "time", lambda: next(clock))
    event = Scripted([WAITING, WAITING], deadline=now + 300, first_poll=None, poll_interval=290).wait()
    assert event == {"status": "timeout", "message": "nothing yet"}
    assert pauses == [290, pytest.approx(10, abs=0.01)]


def test_each_poll_says_what_it_found_and_when_the_next_one_is(pauses, capsys):
    Scripted([WAITING, DOWN, DONE]).wait()
    lines = [line.partition("] ")[2] for line in capsys.readouterr().out.splitlines()]
    assert lines[0].startswith("nothing yet (connection 'books'). Next poll in 300 s, at ")
    assert lines[1].startswith(
        "poll failed, 1 in a row: down (HTTP 500) (connection 'books'). Next poll in 600 s, at "
    )
    assert lines[2].startswith("there it is. Done.")


@pytest.mark.parametrize("interval", [0, 0.5, None, float("nan"), float("inf"), "60"])
def test_an_interval_that_would_poll_without_a_pause_is_refused(interval):
    with pytest.raises(IntacctArgumentError, match="poll_interval must be at least 1 second"):
        Scripted([], poll_interval=interval)
