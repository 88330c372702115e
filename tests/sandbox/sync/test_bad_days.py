"""Applying a plan on bad days: killed at any point, two at once, tokens that die, people who change things meanwhile.

Processes are real ones, and SIGKILL is what ends them. The sandbox's records show what happened.
"""

import json
import os
import signal
from datetime import datetime, timedelta

import pytest
from reliability_work import events
from sandbox_client import calls, client_of, running, until
from sync_deaths import KILLED, job, mortals
from sync_work import OWNER, applied, planned, saved, undone

from intacct_provider.exceptions import IntacctServerError, IntacctStalePlanError
from intacct_provider.sync.applying.journal import Journal

CUSTOMER = "accounts-receivable/customer"
PURPOSE = "general-ledger/account-group-purpose"
GROUP = "accounts-receivable/customer-group"
KEYS = f'SELECT key, id FROM "{CUSTOMER}"'  # noqa: S608
WRITES = ("POST", "PATCH", "DELETE")
#: Longer than any test.
ENDLESS = 3600
#: What is live, and what is to be: every action, two levels of creations and of deletions, one refusal.
LIVE = [
    {"id": "STAYS", "name": "Stays"},
    {"id": "CHANGES", "name": "Before"},
    {"id": "REFUSED", "name": "Before"},
    {"id": "GOES", "name": "Goes", "notes": "kept"},
    {"id": "GOES TOO", "name": "Goes too", "parent": {"id": "GOES"}},
]
DESIRED = [
    {"id": "STAYS", "name": "Stays"},
    {"id": "CHANGES", "name": "After"},
    {"id": "REFUSED", "parent": {"id": "NOBODY"}},
    {"id": "NEW", "name": "New"},
    {"id": "NEW TOO", "name": "New too", "parent": {"id": "NEW"}},
]
DONE = {
    "created": 2,
    "updated": 1,
    "deactivated": 0,
    "deleted": 2,
    "held": 0,
    "found": 0,
    "stale": [],
    "refused": ["REFUSED"],
}
#: Calls that write, when nothing goes wrong.
METHODS = ("POST", "POST", "PATCH", "DELETE", "DELETE")
CALLS = len(METHODS)


@pytest.fixture(scope="module")
def processes():
    with mortals() as found:
        yield found


class Day:
    """A company with a plan, and what must be true of it in the end."""

    def __init__(self, sandbox, folder):
        self.sandbox = sandbox
        sandbox.seed(CUSTOMER, LIVE)
        self.before = self.state()
        folder.mkdir()
        with client_of(sandbox) as client:
            self.plan = planned(client, CUSTOMER, DESIRED, mode="mirror")
        self.path = saved(self.plan, folder)

    def job(self, **how):
        return job(self.sandbox, self.path, max_rejects=1, **how)

    def state(self):
        with client_of(self.sandbox) as client:
            fields = ["id", "name", "notes", "parent.id"]
            return {row["id"]: row for row in client.iter_rows(CUSTOMER, fields)}

    def carried_out(self, call):
        """Whether the company shows what a call does."""
        state = self.state()
        return (
            "NEW" in state,
            "NEW TOO" in state,
            state["CHANGES"]["name"] == "After",
            "GOES TOO" not in state,
            "GOES" not in state,
        )[call]

    def writes(self):
        return [call for call in calls(self.sandbox, "/objects") if call.method in WRITES]

    def assert_applied_once(self):
        """Check that everything happened, and happened once; that the journal says so; that it can be undone."""
        after = self.state()
        assert {one: after[one]["name"] for one in after} == {
            "STAYS": "Stays",
            "CHANGES": "After",
            "REFUSED": "Before",
            "NEW": "New",
            "NEW TOO": "New too",
        }
        assert after["NEW TOO"]["parent.id"] == "NEW"
        assert events(self.sandbox) == self.expected_events()
        self.assert_journal_true()
        with client_of(self.sandbox) as client:
            assert [step.match for step in planned(client, CUSTOMER, DESIRED, mode="mirror").steps] == [
                "REFUSED"
            ]
            outcome = undone(client, self.path)
        assert (outcome.stale, outcome.rejects, outcome.held) == ((), (), 0)
        assert self.state() == self.before

    def expected_events(self):
        with self.sandbox.store.transaction() as conn:
            names = {str(row["key"]): row["id"] for row in conn.execute(KEYS)}
        keys = {name: key for key, name in names.items()} | {"GOES": "4", "GOES TOO": "5"}
        happened = [(name, "created") for name in ("NEW", "NEW TOO")]
        happened += [("CHANGES", "modified"), ("GOES", "deleted"), ("GOES TOO", "deleted")]
        seeded = {(str(key), "created"): 1 for key in range(1, len(LIVE) + 1)}
        return seeded | {(keys[name], what): 1 for name, what in happened}

    def assert_journal_true(self):
        journal = Journal(self.path, self.plan, OWNER)
        assert journal.ended
        outcomes = [one for batch in range(1, CALLS + 1) for one in journal.done(batch)]
        assert {self.plan.steps[one.step].match: one.outcome for one in outcomes} == {
            "NEW": "written",
            "NEW TOO": "written",
            "CHANGES": "written",
            "REFUSED": "refused",
            "GOES": "written",
            "GOES TOO": "written",
        }
        assert len(outcomes) == len(self.plan.steps)


@pytest.fixture
def day(sandbox, tmp_path):
    return Day(sandbox, tmp_path / "plans")


# --- killed


@pytest.mark.slow
def test_killed_before_any_operation_on_a_file_the_next_try_ends_it_and_repeats_nothing(processes, tmp_path):
    """Every moment at which the journal, the reverse plan or the rejects file is about to change, one after another."""
    moment = 0
    while True:
        moment += 1
        with running() as sandbox:
            day = Day(sandbox, tmp_path / str(moment))
            [first] = processes.run(day.job(moment=moment))
            if first != KILLED:
                break
            [second] = processes.run(day.job())
            assert second == DONE, f"after the death before operation {moment}"
            day.assert_applied_once()
    assert first == DONE
    assert moment > 2 * CALLS + 4, (
        "each batch has two files, and there are the beginning, two undos and the end"
    )


@pytest.mark.slow
@pytest.mark.parametrize("done", [False, True], ids=["before it is carried out", "after it is carried out"])
@pytest.mark.parametrize("call", range(CALLS))
def test_killed_while_a_call_is_under_way_the_next_try_ends_it_and_repeats_nothing(
    processes, day, call, done
):
    method = METHODS[call]
    held = {"kind": "hang", "done": done, "seconds": ENDLESS}
    day.sandbox.fail(**held, path="/objects", method=method, skip=METHODS[:call].count(method))
    [pid] = processes.start(day.job())
    until(lambda: len(day.writes()) == call + 1 and (not done or day.carried_out(call)))
    os.kill(pid, signal.SIGKILL)
    assert processes.ended() == [KILLED]
    [second] = processes.run(day.job())
    assert second == DONE
    sent = day.writes()
    if done and method == "PATCH":
        assert sent[call + 1].idempotency_key == sent[call].idempotency_key is not None
        assert sent[call + 1].transactions == 0, "the sandbox answered with what it had kept"
    # What can be seen is not sent again. What was refused is: by itself, after the answer that was kept.
    assert len(sent) == CALLS + (1 if not done else 2 if method == "PATCH" else 0)
    day.assert_applied_once()


@pytest.mark.slow
@pytest.mark.parametrize("why", ["two days later", "an object without idempotency keys"])
def test_killed_where_intacct_does_not_remember_only_what_cannot_be_seen_is_sent_again(processes, day, why):
    """The update was carried out, another one of its call was refused, and nobody read the answer."""
    day.sandbox.fail(kind="hang", done=True, seconds=ENDLESS, path="/objects", method="PATCH")
    [pid] = processes.start(day.job())
    until(lambda: day.carried_out(METHODS.index("PATCH")))
    os.kill(pid, signal.SIGKILL)
    assert processes.ended() == [KILLED]
    with day.sandbox.store.transaction() as conn:
        conn.execute('DELETE FROM "ia::idempotency"')
    if why == "two days later":
        [sent] = day.path.parent.rglob("00003.sent.json")
        written = json.loads(sent.read_bytes())
        moment = datetime.fromisoformat(written["when"]) - timedelta(hours=48)
        sent.write_text(json.dumps(written | {"when": moment.isoformat()}))
    else:
        with client_of(day.sandbox) as client:
            model = client.model(CUSTOMER) | {"idempotenceSupported": False}
        answer = {"ia::result": model, "ia::meta": {"totalCount": 1, "totalSuccess": 1, "totalError": 0}}
        day.sandbox.fail(status=200, body=answer, path="/services/core/model")
    [second] = processes.run(day.job())
    assert second == DONE
    assert len(calls(day.sandbox, "/objects", "PATCH")) == 2
    day.assert_applied_once()


@pytest.mark.slow
def test_killed_again_and_again_at_every_call(processes, day):
    """Each attempt gets one call further, and is killed after the sandbox has carried it out."""
    for method in METHODS:
        day.sandbox.fail(kind="hang", done=True, seconds=ENDLESS, path="/objects", method=method)
    for call in range(CALLS):
        [pid] = processes.start(day.job())
        until(lambda call=call: day.carried_out(call))
        os.kill(pid, signal.SIGKILL)
        assert processes.ended() == [KILLED]
    [last] = processes.run(day.job())
    assert last == DONE
    day.assert_applied_once()


@pytest.mark.slow
@pytest.mark.parametrize("done", [False, True], ids=["before it is carried out", "after it is carried out"])
@pytest.mark.parametrize("call", range(CALLS))
def test_killed_while_a_plan_is_taken_back_the_next_try_ends_it(processes, day, call, done):
    """The reverse plan does not know the keys of what the plan has created."""
    with client_of(day.sandbox) as client:
        applied(client, day.path, max_rejects=1)
    sent, method, undo = len(day.writes()), METHODS[call], day.path.with_name("groups.plan.undo.json")
    held = {"kind": "hang", "done": done, "seconds": ENDLESS}
    day.sandbox.fail(**held, path="/objects", method=method, skip=METHODS[:call].count(method))
    visible = (
        lambda now: "GOES" in now,
        lambda now: "GOES TOO" in now,
        lambda now: now["CHANGES"]["name"] == "Before",
        lambda now: "NEW TOO" not in now,
        lambda now: "NEW" not in now,
    )[call]
    [pid] = processes.start(job(day.sandbox, undo, owner="dag/undo/apply"))
    until(lambda: len(day.writes()) == sent + call + 1 and (not done or visible(day.state())))
    os.kill(pid, signal.SIGKILL)
    assert processes.ended() == [KILLED]
    [second] = processes.run(job(day.sandbox, undo, owner="dag/undo/apply"))
    # What had been refused is not part of the undo.
    counts = {"created": 2, "updated": 1, "deleted": 2}
    assert second == DONE | counts | {"refused": []}
    assert day.state() == day.before
    happened = events(day.sandbox)
    assert {times for (key, what), times in happened.items() if (key, what) != ("2", "modified")} == {1}
    assert happened["2", "modified"] == 2


@pytest.mark.slow
def test_killed_in_the_middle_of_ten_thousand(processes, sandbox, tmp_path):
    desired = [{"id": f"P{n:05d}", "status": "inactive"} for n in range(10_000)]
    with client_of(sandbox) as client:
        path = saved(planned(client, PURPOSE, desired), tmp_path)
        sandbox.fail(kind="hang", done=True, seconds=ENDLESS, path="/objects", method="POST", skip=9)
        [pid] = processes.start(job(sandbox, path))
        until(lambda: len(sandbox.records(PURPOSE)) == 5_000)
        os.kill(pid, signal.SIGKILL)
        assert processes.ended() == [KILLED]
        before = sandbox.transactions
        [second] = processes.run(job(sandbox, path))
        assert second == DONE | {"created": 10_000, "updated": 0, "deleted": 0, "refused": []}
        # Two pages of the live records with the highest key, and the model to compare them; and all of them afterwards.
        assert sandbox.transactions - before == 5_000 + 4 + 4
        assert len(calls(sandbox, "/objects", "POST")) == 20
        assert events(sandbox, PURPOSE) == {(str(key), "created"): 1 for key in range(1, 10_001)}
        assert planned(client, PURPOSE, desired).is_empty


@pytest.mark.slow
def test_a_task_that_comes_back_from_the_dead_does_nothing_again(processes, day):
    """Airflow gives a worker up that only lost its connection to it; both tries end the plan at the same time."""
    day.sandbox.fail(kind="hang", done=True, seconds=3, path="/objects", method="POST")
    first, second = processes.run(day.job(), day.job())
    assert [first, second] == [DONE, DONE]
    day.assert_applied_once()


@pytest.mark.parametrize("turn", range(5))
def test_of_two_owners_at_once_one_wins_and_the_other_is_told(processes, day, turn):
    answers = processes.run(day.job(owner="dag/run/one"), day.job(owner="dag/run/two"))
    [won] = [n for n, answer in enumerate(answers) if answer == DONE]
    lost = answers[1 - won]
    assert lost["error"] == "IntacctPlanInUseError"
    assert f"dag/run/{('one', 'two')[won]}" in lost["message"]
    assert "has written nothing" in lost["message"]
    assert events(day.sandbox) == day.expected_events()


# --- what people do meanwhile


def change(sandbox, match, **fields):
    with client_of(sandbox) as client:
        client.update(CUSTOMER, client.find(CUSTOMER, match)["key"], fields)


def delete(sandbox, name):
    with client_of(sandbox) as client:
        client.delete(CUSTOMER, client.find(CUSTOMER, name)["key"])


def create(sandbox, name):
    with client_of(sandbox) as client:
        client.create(CUSTOMER, {"id": name, "name": "By hand"})


def create_again(sandbox, name):
    delete(sandbox, name)
    create(sandbox, name)


MEANWHILE = {
    "changed": (lambda one: change(one, "CHANGES", name="By hand"), "CHANGES", "'CHANGES' was changed"),
    "deleted": (lambda one: delete(one, "CHANGES"), "CHANGES", "'CHANGES' no longer exists"),
    "another record": (
        lambda one: create_again(one, "CHANGES"),
        "CHANGES",
        "'CHANGES' no longer exists",
    ),
    "created": (lambda one: create(one, "NEW"), "NEW", "'NEW' exists now"),
    "changed before its deletion": (
        lambda one: change(one, "GOES TOO", name="By hand"),
        "GOES TOO",
        "'GOES TOO' was changed",
    ),
}
meanwhile = pytest.mark.parametrize(("act", "match", "message"), MEANWHILE.values(), ids=MEANWHILE)


@meanwhile
def test_a_record_that_a_person_touched_stops_the_plan_before_any_write(day, act, match, message):
    act(day.sandbox)
    before, sent = day.state(), len(day.writes())
    with client_of(day.sandbox) as client, pytest.raises(IntacctStalePlanError, match=message) as caught:
        applied(client, day.path, max_rejects=1)
    assert [step.match for step in caught.value.steps] == [match]
    assert "Nothing was written" in str(caught.value)
    assert (day.state(), len(day.writes())) == (before, sent)


@meanwhile
def test_a_record_that_a_person_touched_is_left_alone_if_asked(day, act, match, message):
    act(day.sandbox)
    by_hand = day.state().get(match)
    with client_of(day.sandbox) as client:
        outcome = applied(client, day.path, on_stale="skip", max_rejects=2)
    assert outcome.stale == (match,)
    assert day.state().get(match) == by_hand
    done = outcome.created + outcome.updated + outcome.deleted
    assert done + len(outcome.rejects) + 1 == len(day.plan.steps)


def test_a_record_that_a_person_made_as_the_plan_wants_it_is_no_reason_to_stop(day):
    change(day.sandbox, "CHANGES", name="After")
    delete(day.sandbox, "GOES TOO")
    with client_of(day.sandbox) as client:
        outcome = applied(client, day.path, max_rejects=1)
    assert (outcome.created, outcome.updated, outcome.deleted, outcome.found) == (2, 0, 1, 2)
    with client_of(day.sandbox) as client:
        undone(client, day.path)
    assert day.state()["CHANGES"]["name"] == "After", (
        "the plan did not do it, so its reverse takes nothing back"
    )
    assert "GOES TOO" not in day.state()


def test_a_change_between_two_tries_stops_the_second_one(processes, day):
    day.sandbox.fail(kind="hang", seconds=ENDLESS, path="/objects", method="PATCH")
    [pid] = processes.start(day.job())
    until(lambda: len(day.writes()) == 3)
    os.kill(pid, signal.SIGKILL)
    processes.ended()
    change(day.sandbox, "GOES", notes="By hand", name="By hand")
    [second] = processes.run(day.job())
    assert second["error"] == "IntacctStalePlanError"
    assert "Nothing more was written" in second["message"]
    [third] = processes.run(day.job(on_stale="skip"))
    assert (third["created"], third["updated"], third["stale"]) == (2, 1, ["GOES"])
    assert day.state()["GOES"]["name"] == "By hand"


def test_a_group_whose_member_was_deleted_is_told_and_the_others_are_written(sandbox, tmp_path):
    sandbox.seed(CUSTOMER, [{"id": one, "name": one} for one in "ABC"])
    group = {"groupType": "specific", "groupMembers": [{"id": "A"}]}
    sandbox.seed(GROUP, [{"id": one, "name": one, **group} for one in ("G1", "G2")])
    desired = [
        {"id": "G1", "groupMembers": [{"id": "A"}, {"id": "B"}]},
        {"id": "G2", "groupMembers": [{"id": "A"}, {"id": "C"}]},
    ]
    with client_of(sandbox) as client:
        path = saved(planned(client, GROUP, desired), tmp_path)
        delete(sandbox, "B")
        outcome = applied(client, path)
        [reject] = outcome.rejects
        assert (reject.match, outcome.updated) == ("G1", 1)
        [line] = map(json.loads, path.with_name("groups.plan.rejects.jsonl").read_bytes().splitlines())
        assert (line["id"], line["groupMembers"]) == ("G1", [{"id": "A"}, {"id": "B"}])
        assert "B" in line["_reject"]["message"]
        assert line["_reject"]["field"].startswith("groupMembers")


# --- what the network and the server do


@pytest.mark.parametrize("skip", range(8))
def test_a_token_that_dies_on_the_way_is_no_reason_to_stop(day, skip):
    with client_of(day.sandbox) as client:
        day.sandbox.fail(kind="expire", skip=skip)
        outcome = applied(client, day.path, max_rejects=1)
    assert (outcome.created, outcome.updated, outcome.deleted) == (2, 1, 2)
    day.assert_applied_once()


@pytest.mark.parametrize(
    "kind", [{"kind": "reset", "done": True}, {"kind": "cut", "done": True}, {"status": 503}]
)
@pytest.mark.parametrize("method", WRITES)
def test_an_answer_that_is_lost_is_no_reason_to_stop(day, method, kind):
    day.sandbox.fail(**kind, path="/objects", method=method)
    with client_of(day.sandbox) as client:
        applied(client, day.path, max_rejects=1)
    day.assert_applied_once()


@pytest.mark.parametrize("done", [False, True], ids=["before it is carried out", "after it is carried out"])
@pytest.mark.parametrize("call", range(CALLS))
def test_a_server_that_is_down_for_long_makes_the_next_try_go_on(day, call, done):
    method = METHODS[call]
    down = {"status": 503, "headers": {"Retry-After": "3600"}, "done": done}
    day.sandbox.fail(**down, path="/objects", method=method, skip=METHODS[:call].count(method))
    with client_of(day.sandbox) as client:
        with pytest.raises(IntacctServerError):
            applied(client, day.path, max_rejects=1)
        outcome = applied(client, day.path, max_rejects=1)
    assert (outcome.created, outcome.updated, outcome.deleted, len(outcome.rejects)) == (2, 1, 2, 1)
    day.assert_applied_once()


@pytest.mark.parametrize("way", [{"status": 207}, {"status": 200}], ids=["under 207", "under 200"])
@pytest.mark.parametrize(
    "bad",
    [(1,), (0, 2), *(pytest.param(bad, marks=pytest.mark.slow) for bad in ((0,), (2,), (0, 1, 2)))],
    ids=str,
)
@pytest.mark.parametrize("method", WRITES)
def test_each_record_of_a_call_has_its_own_outcome(sandbox, tmp_path, method, bad, way):
    names = [f"P{n}" for n in range(3)]
    refused = [names[n] for n in bad]
    with client_of(sandbox) as client:
        if method != "POST":
            sandbox.seed(CUSTOMER, [{"id": name, "name": "Before"} for name in names])
        if method == "DELETE":
            sandbox.seed(CUSTOMER, [{"id": f"K{n}", "name": "k", "parent": {"id": names[n]}} for n in bad])
            path = saved(planned(client, CUSTOMER, [{"id": f"K{n}"} for n in bad], mode="mirror"), tmp_path)
        else:
            wrong = {"parent": {"id": "NOBODY"}}
            desired = [{"id": n, "name": "After", **(wrong if n in refused else {})} for n in names]
            path = saved(planned(client, CUSTOMER, desired), tmp_path)
        sandbox.fail(kind="alter", **way, method=method, path="/objects")
        outcome = applied(client, path)
    assert [reject.match for reject in outcome.rejects] == refused
    assert outcome.created + outcome.updated + outcome.deleted == 3 - len(bad)
    left = {record["id"]: record["name"] for record in sandbox.records(CUSTOMER) if record["id"] in names}
    good = [name for name in names if name not in refused]
    assert (
        left
        == {
            "POST": dict.fromkeys(good, "After"),
            "PATCH": dict.fromkeys(good, "After") | dict.fromkeys(refused, "Before"),
            "DELETE": dict.fromkeys(refused, "Before"),
        }[method]
    )
