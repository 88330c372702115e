"""Writes of our client: each record's own outcome, all or nothing, deletions, keys, and nothing twice."""

import pytest
from raw_client import RawClient
from sandbox_client import RETRY, calls, client_of, running, stored
from sandbox_clocks import HeldClock

from intacct_provider.client.batches import ADDRESS_LENGTH, split_keys
from intacct_provider.client.http.retry import RetryPolicy
from intacct_provider.client.idempotency import IdempotencyKeys
from intacct_provider.client.paths import record_path
from intacct_provider.exceptions import (
    IntacctArgumentError,
    IntacctConflictError,
    IntacctConnectionError,
    IntacctIdempotencyError,
    IntacctInterruptedWriteError,
    IntacctNotFoundError,
    IntacctResponseError,
    IntacctServerError,
    IntacctValidationError,
)

PURPOSE = "general-ledger/account-group-purpose"
PURPOSES = f"/objects/{PURPOSE}"
GROUP = "accounts-receivable/customer-group"
QUERY = "/services/core/query"
MODEL = "/services/core/model"
MISSING = "999999"
SCOPES = {"POST": "dag/run/task", "PATCH": "dag/run/task"}
SKIPPED = {"code": "unprocessed", "message": "Operation skipped due to atomic transaction failure"}
WRONG = {"code": "invalidRequest", "message": "The credit limit is too high", "errorId": "REST-1064"}
IMPATIENT = RetryPolicy(base=0, attempts=3)


def purposes(*ids):
    return [{"id": one} for one in ids]


@pytest.fixture
def keys(sandbox):
    """The keys of five existing records."""
    return sandbox.seed(PURPOSE, purposes(*"ABCDE"))


def scoped(sandbox, **options):
    """Return a client as another attempt of the same task has it."""
    client = client_of(sandbox, **options)
    client.idempotency.scopes = SCOPES
    return client


def statuses(sandbox):
    return [one["status"] for one in sandbox.records(PURPOSE)]


# --- each record its own outcome


@pytest.mark.parametrize(
    "bad",
    [{0}, {2}, {4}, {0, 2, 4}, {0, 1, 2, 3, 4}, set()],
    ids=lambda bad: "".join(map(str, bad)) or "none",
)
class TestOutcomes:
    """Whether the first, a middle one, the last, several, all or none of five records are refused."""

    def test_of_created_records_are_told_in_order(self, sandbox, client, bad):
        records = [{"id": f"P{n}", **({"status": "actve"} if n in bad else {})} for n in range(5)]
        results = client.create_many(PURPOSE, records)
        assert [result.index for result in results] == [0, 1, 2, 3, 4]
        assert {result.index for result in results if not result.ok} == bad
        assert [result.id for result in results] == [None if n in bad else f"P{n}" for n in range(5)]
        assert stored(sandbox, PURPOSE) == [f"P{n}" for n in range(5) if n not in bad]
        made = {one["id"]: one["key"] for one in sandbox.records(PURPOSE)}
        assert {result.id: result.key for result in results if result.ok} == made
        assert {type(result.error) for result in results if result.index in bad} <= {IntacctValidationError}
        assert client.transactions == sandbox.transactions == 5 - len(bad) + len(calls(sandbox, MODEL))

    def test_of_changed_records_are_told_in_order(self, sandbox, client, keys, bad):
        given = [MISSING if n in bad else key for n, key in enumerate(keys)]
        results = client.update_many(PURPOSE, [{"key": key, "status": "inactive"} for key in given])
        assert [(result.index, result.key, result.ok) for result in results] == [
            (n, key, n not in bad) for n, key in enumerate(given)
        ]
        assert statuses(sandbox) == ["active" if n in bad else "inactive" for n in range(5)]
        assert {type(result.error) for result in results if result.index in bad} <= {IntacctNotFoundError}
        assert client.transactions == sandbox.transactions == 5 - len(bad)

    @pytest.mark.parametrize("missing_ok", [False, True])
    def test_of_deleted_records_are_told_by_their_position(self, sandbox, client, keys, bad, missing_ok):
        given = [MISSING if n in bad else key for n, key in enumerate(keys)]
        results = client.delete_many(PURPOSE, given, missing_ok=missing_ok)
        assert [(result.index, result.key, result.ok) for result in results] == [
            (n, key, missing_ok or n not in bad) for n, key in enumerate(given)
        ]
        assert stored(sandbox, PURPOSE) == ["ABCDE"[n] for n in sorted(bad)]
        assert client.transactions == sandbox.transactions == 5 - len(bad)

    @pytest.mark.parametrize("verb", ["create_many", "update_many", "delete_many"])
    def test_of_all_or_none_name_the_refused_ones(self, sandbox, client, keys, bad, verb):
        given = [MISSING if n in bad else key for n, key in enumerate(keys)]
        records = {
            "create_many": [{"id": f"P{n}", **({"status": "actve"} if n in bad else {})} for n in range(5)],
            "update_many": [{"key": key, "status": "inactive"} for key in given],
            "delete_many": given,
        }[verb]
        before = sandbox.records(PURPOSE)
        results = getattr(client, verb)(PURPOSE, records, atomic=True)
        assert {result.index for result in results if result.error and not result.unprocessed} == bad
        assert [result.ok for result in results] == [not bad] * 5
        assert (sandbox.records(PURPOSE) == before) is bool(bad)
        for result in results:
            if result.unprocessed:
                first = results[min(bad)].error
                assert str(result.error).endswith(f"The rejected record is at index {min(bad)}: {first}")
        written = 0 if bad else 5
        assert client.transactions == sandbox.transactions == written + len(calls(sandbox, MODEL))


def test_a_deletion_in_use_stays_and_the_others_go(sandbox, client):
    customer = "accounts-receivable/customer"
    sandbox.seed(customer, [{"id": "P", "name": "x"}, {"id": "C", "name": "x", "parent": {"id": "P"}}])
    sandbox.seed(customer, [{"id": "D", "name": "x"}])
    results = client.delete_many(customer, ["1", MISSING, "3"], missing_ok=True)
    assert [result.ok for result in results] == [False, True, True]
    assert stored(sandbox, customer) == ["P", "C"]
    assert client.transactions == sandbox.transactions


# --- refusals in every form


@pytest.mark.parametrize("status", [207, 404, 422])
@pytest.mark.parametrize("form", ["plain", "nested", "bare list"])
@pytest.mark.parametrize("rejected", [0, 1, 2])
def test_the_refused_record_of_an_atomic_call_is_found_in_every_form(sandbox, client, status, form, rejected):
    errors = [WRONG if n == rejected else SKIPPED for n in range(3)]
    items = [{"ia::error": error, "ia::status": 422} for error in errors]
    if form == "nested":
        items = [{"ia::result": {"ia::error": one["ia::error"]}, "ia::status": 422} for one in items]
    meta = {"totalCount": 3, "totalSuccess": 0, "totalError": 3}
    body = items if form == "bare list" else {"ia::result": items, "ia::meta": meta}
    for write in (
        lambda: client.create_many(PURPOSE, purposes("A", "B", "C"), atomic=True),
        lambda: client.update_many(PURPOSE, [{"key": key} for key in "123"], atomic=True),
        lambda: client.delete_many(PURPOSE, ["1", "2", "3"], atomic=True),
    ):
        sandbox.fail(status=status, body=body, path="/objects")
        results = write()
        assert [(result.ok, result.unprocessed) for result in results] == [
            (False, n != rejected) for n in range(3)
        ]
        assert results[rejected].error.message == WRONG["message"]
        assert all(WRONG["message"] in str(result.error) for result in results)
    assert client.transactions == 0


@pytest.mark.parametrize("status", [400, 404, 409, 422])
@pytest.mark.parametrize("shape", ["result", "top", "list of one"])
def test_one_refusal_of_a_whole_batch_is_every_record_s(sandbox, client, status, shape):
    body = {
        "result": {"ia::result": {"ia::error": WRONG}, "ia::meta": {"totalError": 1}},
        "top": {"ia::error": WRONG},
        "list of one": {"ia::result": [{"ia::error": WRONG}]},
    }[shape]
    for write in (
        lambda: client.create_many(PURPOSE, purposes("A", "B", "C"), atomic=True),
        lambda: client.update_many(PURPOSE, [{"key": key} for key in "123"]),
        lambda: client.delete_many(PURPOSE, ["1", "2", "3"]),
    ):
        sandbox.fail(status=status, body=body, path="/objects")
        results = write()
        assert [result.index for result in results] == [0, 1, 2]
        assert [result.error.message for result in results] == [WRONG["message"]] * 3
        assert not any(result.unprocessed for result in results)
    assert client.transactions == 0


@pytest.mark.parametrize("form", ["plain", "nested", "bare list"])
def test_a_single_write_that_is_answered_by_a_list_is_read_too(sandbox, client, form):
    item = {"ia::error": WRONG, "ia::status": 422}
    item = {"ia::result": {"ia::error": WRONG}, "ia::status": 422} if form == "nested" else item
    body = [item] if form == "bare list" else {"ia::result": [item]}
    for write in (
        lambda: client.create(PURPOSE, {"id": "A"}),
        lambda: client.update(PURPOSE, "1", {"status": "inactive"}),
    ):
        sandbox.fail(status=207, body=body, path="/objects")
        with pytest.raises(IntacctValidationError, match=WRONG["message"]):
            write()
    good = {"ia::result": [{"key": "7", "id": "A", "ia::status": 201}]}
    sandbox.fail(status=207, body=good, path="/objects")
    assert client.create(PURPOSE, {"id": "A"}) == {"key": "7", "id": "A", "href": None}


def test_a_status_that_comes_as_text_is_one(sandbox, client):
    items = [{"key": "1", "id": "A", "ia::status": "201"}, {"ia::status": "422"}]
    sandbox.fail(status=207, body={"ia::result": items}, path="/objects")
    assert [result.ok for result in client.create_many(PURPOSE, purposes("A", "B"))] == [True, False]


REFERENCES = [{"key": str(n), "id": one} for n, one in enumerate("ABC", 1)]
TORN = [REFERENCES[0], {"ia::error": WRONG, "ia::status": 422}, REFERENCES[2]]


@pytest.mark.parametrize(
    ("verb", "atomic", "items", "meta", "text"),
    [
        ("create_many", True, TORN, {}, "reported 2 of 3 records of an atomic call as written"),
        (
            "delete_many",
            True,
            [{}, {"ia::status": 404}, {}],
            {},
            "reported 2 of 3 records of an atomic call as written",
        ),
        ("create_many", False, REFERENCES, {"totalError": 1}, "counts 1 failures without showing any"),
        ("update_many", False, REFERENCES, {"totalError": "2"}, "counts 2 failures without showing any"),
        ("create_many", False, [*REFERENCES[:2], {}], {}, "without naming the one at index 2"),
        ("create_many", False, [*REFERENCES[:2], None], {}, "without accounting for each of them"),
        ("update_many", False, [REFERENCES[1], *REFERENCES[1:]], {}, r"two results for index 1 \(key 2\)"),
        ("create_many", False, TORN, {"totalError": 0}, "counts 0 failures but shows 1"),
        ("update_many", False, TORN, {"totalSuccess": 3}, "counts 3 successes but shows 2"),
        ("delete_many", False, [{}, {}], {}, "without accounting for each of them"),
    ],
)
def test_an_answer_that_contradicts_itself_is_never_a_success(
    sandbox, client, verb, atomic, items, meta, text
):
    what = {
        "create_many": purposes("A", "B", "C"),
        "update_many": [{"key": key} for key in "123"],
        "delete_many": ["1", "2", "3"],
    }[verb]
    sandbox.fail(status=207, body={"ia::result": items, "ia::meta": meta}, path="/objects")
    with pytest.raises(IntacctResponseError, match=text):
        getattr(client, verb)(PURPOSE, what, atomic=atomic)
    assert client.transactions == 0


def test_a_single_success_that_counts_a_failure_is_none(sandbox, client):
    body = {"ia::result": {"key": "1", "id": "A"}, "ia::meta": {"totalError": 1}}
    sandbox.fail(status=201, body=body, path="/objects", times=2)
    with pytest.raises(IntacctResponseError, match="counts 1 failures without showing any"):
        client.create(PURPOSE, {"id": "A"})
    with pytest.raises(IntacctResponseError, match="counts 1 failures without showing any"):
        client.update(PURPOSE, "1", {"status": "inactive"})


def test_an_interrupted_write_names_the_first_refused_record(sandbox, client):
    records = [{"id": f"P{n}", **({"status": "actve"} if n in (7, 9) else {})} for n in range(600)]
    sandbox.fail(kind="reset", path=PURPOSES, skip=1, times=0)
    with client_of(sandbox, retry=IMPATIENT) as hasty, pytest.raises(IntacctInterruptedWriteError) as caught:
        hasty.create_many(PURPOSE, records)
    assert "600 records" in str(caught.value)
    assert "stopped after 500 (498 written, first rejected at index 7: " in str(caught.value)
    assert "Did you mean 'active'?" in str(caught.value)


# --- arguments


@pytest.mark.parametrize(
    ("write", "text"),
    [
        (lambda client: client.create_many(PURPOSE, {"id": "A"}), "records must be a list, not dict"),
        (lambda client: client.create_many(PURPOSE, iter([])), "records must be a list, not list_iterator"),
        (lambda client: client.create_many(PURPOSE, [{"id": "A"}, "B"]), r"records\[1\] must be a mapping"),
        (lambda client: client.update_many(PURPOSE, "12"), "changes must be a list, not str"),
        (lambda client: client.delete_many(PURPOSE, "12"), "keys must be a list, not str"),
        (
            lambda client: client.delete_many(PURPOSE, [*map(str, range(600)), ""]),
            "key must be a record's key",
        ),
        (lambda client: client.delete_many(PURPOSE, ["1"] * 501, atomic=True), "all 501 records in one call"),
    ],
)
def test_what_cannot_be_written_is_refused_before_a_call(sandbox, client, write, text):
    with pytest.raises(IntacctArgumentError, match=text):
        write(client)
    assert calls(sandbox, "/objects") == []


def test_a_key_may_be_given_as_a_number(sandbox, client, keys):
    [result] = client.update_many(PURPOSE, [{"key": int(keys[0]), "status": "inactive"}])
    assert (result.ok, result.key) == (True, keys[0])
    [result] = client.delete_many(PURPOSE, [int(keys[1])])
    assert (result.ok, result.key) == (True, keys[1])


def test_long_keys_go_in_several_addresses_that_a_server_takes():
    long = [f"{n:040d}" for n in range(300)]
    batches = list(split_keys(PURPOSE, long))
    assert [key for batch in batches for key in batch] == long
    assert all(len(record_path(PURPOSE, batch)) <= ADDRESS_LENGTH for batch in batches)
    assert len(batches) == 2
    assert [len(batch) for batch in split_keys(PURPOSE, [str(n) for n in range(1001)])] == [500, 500, 1]
    [[only]] = split_keys(PURPOSE, ["/" * 4000])
    assert len(only) == 4000


# --- missing records


def test_a_missing_record_is_an_error_unless_it_may_be_missing(sandbox, client, keys):
    client.delete(PURPOSE, keys[0])
    client.delete(PURPOSE, keys[0], missing_ok=True)
    with pytest.raises(IntacctNotFoundError):
        client.delete(PURPOSE, keys[0])
    assert client.transactions == sandbox.transactions == 1


@pytest.mark.parametrize("fault", [None, {"kind": "reset"}, {"status": 503}])
def test_an_object_that_does_not_exist_is_no_missing_record(sandbox, client, fault):
    for delete in (
        lambda: client.delete("accounts-receivable/custmer", "1", missing_ok=True),
        lambda: client.delete("accounts-receivable/custmer", "1"),
    ):
        if fault:
            sandbox.fail(**fault, method="DELETE")
        with pytest.raises(IntacctNotFoundError, match="Did you mean 'accounts-receivable/customer'"):
            delete()
    for missing_ok in (True, False):
        if fault:
            sandbox.fail(**fault, method="DELETE")
        results = client.delete_many("accounts-receivable/custmer", ["1", "2"], missing_ok=missing_ok)
        assert [result.ok for result in results] == [False, False]


def test_a_missing_record_of_an_object_that_nobody_can_tell_of_is_an_error(sandbox, client):
    rare = "general-ledger/account-category"
    sandbox.fail(status=403, path=MODEL, times=0)
    with pytest.raises(IntacctNotFoundError):
        client.delete(rare, "1", missing_ok=True)


def test_missing_records_do_not_keep_an_atomic_deletion_from_the_others(sandbox, client, keys):
    given = [MISSING, keys[0], MISSING, keys[1]]
    results = client.delete_many(PURPOSE, given, atomic=True, missing_ok=True)
    assert [(result.index, result.key, result.ok) for result in results] == [
        (n, key, True) for n, key in enumerate(given)
    ]
    assert stored(sandbox, PURPOSE) == ["C", "D", "E"]
    assert client.transactions == sandbox.transactions == 2
    assert [call.status for call in calls(sandbox, PURPOSES, "DELETE")] == [404, 204]


def test_a_record_in_use_still_keeps_an_atomic_deletion_from_all(sandbox, client):
    customer = "accounts-receivable/customer"
    sandbox.seed(customer, [{"id": "P", "name": "x"}, {"id": "C", "name": "x", "parent": {"id": "P"}}])
    sandbox.seed(customer, [{"id": "D", "name": "x"}])
    results = client.delete_many(customer, [MISSING, "1", "3"], atomic=True, missing_ok=True)
    assert [(result.ok, result.unprocessed) for result in results] == [
        (True, False), (False, False), (False, True),
    ]  # fmt: skip
    assert stored(sandbox, customer) == ["P", "C", "D"]


@pytest.mark.parametrize("missing_ok", [False, True])
@pytest.mark.parametrize("atomic", [False, True])
def test_a_deletion_whose_answer_was_lost_is_reported_and_billed(sandbox, client, keys, atomic, missing_ok):
    sandbox.fail(kind="after", method="DELETE")
    results = client.delete_many(PURPOSE, keys[:3], atomic=atomic, missing_ok=missing_ok)
    assert [result.ok for result in results] == [True] * 3
    sandbox.fail(kind="after", method="DELETE")
    client.delete(PURPOSE, keys[3], missing_ok=missing_ok)
    assert stored(sandbox, PURPOSE) == ["E"]
    assert client.transactions == sandbox.transactions == 4


def test_an_atomic_deletion_that_failed_twice_is_not_taken_for_done(sandbox, client, keys):
    """After a lost answer a missing record means a deletion only if all are missing: it was all or none."""
    sandbox.fail(kind="after", method="DELETE")
    results = client.delete_many(PURPOSE, [keys[0], MISSING, keys[1]], atomic=True)
    assert [(result.ok, result.unprocessed) for result in results] == [
        (False, True), (False, False), (False, True),
    ]  # fmt: skip
    assert stored(sandbox, PURPOSE) == list("ABCDE")
    assert client.transactions == sandbox.transactions == 0


# --- customer groups


def group(one):
    return {"id": one, "name": one, "groupType": "all"}


def test_the_key_of_a_customer_group_is_looked_up(sandbox, client):
    made = client.create(GROUP, group("G1"))
    results = client.create_many(GROUP, [group("G2"), {"id": "G3"}, group("G4")])
    keys = {one["id"]: one["key"] for one in sandbox.records(GROUP)}
    assert made["key"] == keys["G1"]
    assert [(result.ok, result.key) for result in results] == [
        (True, keys["G2"]), (False, None), (True, keys["G4"]),
    ]  # fmt: skip
    assert len(calls(sandbox, QUERY)) == 2
    assert client.transactions == sandbox.transactions


def test_a_key_that_nobody_wants_is_not_looked_up(sandbox, client):
    assert client.create(GROUP, group("G1"), with_key=False) == {"key": None, "id": "G1", "href": None}
    results = client.create_many(GROUP, [group("G2"), group("G3")], with_key=False)
    assert [(result.ok, result.key, result.id) for result in results] == [
        (True, None, "G2"), (True, None, "G3"),
    ]  # fmt: skip
    assert calls(sandbox, QUERY) == []
    assert client.transactions == sandbox.transactions == 3


def test_a_key_that_intacct_tells_is_there_without_looking(sandbox, client):
    assert client.create(PURPOSE, {"id": "A"}, with_key=False)["key"] == "1"
    assert [one.key for one in client.create_many(PURPOSE, purposes("B"), with_key=False)] == ["2"]
    assert calls(sandbox, QUERY) == []


# --- nothing twice


WRITES = {
    "create": lambda client: client.create(PURPOSE, {"id": "NEW"}),
    "create_many": lambda client: client.create_many(PURPOSE, purposes("NEW", "MORE")),
    "update": lambda client: client.update(PURPOSE, "1", {"status": "inactive"}),
    "update_many": lambda client: client.update_many(
        PURPOSE, [{"key": "1", "status": "inactive"}, {"key": "2", "status": "inactive"}]
    ),
}


@pytest.mark.parametrize("verb", WRITES)
def test_a_second_sending_waits_for_the_first_and_takes_its_answer(verb):
    clock = HeldClock()
    with running(clock=clock) as sandbox:
        sandbox.seed(PURPOSE, purposes("A", "B"))
        with client_of(sandbox) as warm:
            warm.list(PURPOSE)  # so that the token is there
        with client_of(sandbox, timeout=0.3) as client:
            client._session.transport._tokens.get()
            let_go_after(clock, sandbox, refusals=2)
            clock.holding = True
            written = WRITES[verb](client)
        # The held request goes on after two refusals; one more can come before it has ended.
        assert sum(call.status == 409 for call in calls(sandbox, PURPOSES)) >= 2
        many = isinstance(written, list)
        assert all(result.ok for result in written) if many else written["key"]
        new = {"create": ["NEW"], "create_many": ["NEW", "MORE"]}.get(verb, [])
        assert stored(sandbox, PURPOSE) == ["A", "B", *new]
        assert client.transactions == sandbox.transactions - 1 == (2 if many else 1)


def let_go_after(clock, sandbox, refusals):
    """Let the held request go once this many others under its key were refused."""
    ask = clock.__call__

    class Watching(HeldClock):
        def __call__(self):
            if sum(call.status == 409 for call in sandbox.requests) >= refusals:
                self.let_go.set()
            return ask()

    clock.__class__ = Watching


@pytest.mark.parametrize("verb", WRITES)
def test_a_first_sending_that_does_not_end_is_neither_a_conflict_nor_a_success(verb):
    clock = HeldClock()
    with running(clock=clock) as sandbox:
        sandbox.seed(PURPOSE, purposes("A", "B"))
        with client_of(sandbox, timeout=0.3, retry=IMPATIENT) as client:
            client._session.transport._tokens.get()
            clock.holding = True
            with pytest.raises(IntacctServerError, match="so its outcome is unknown") as caught:
                WRITES[verb](client)
            clock.let_go.set()
        assert not isinstance(caught.value, IntacctConflictError)
        assert caught.value.retryable


@pytest.mark.parametrize("verb", WRITES)
def test_a_conflict_that_does_not_say_why_is_not_believed_after_a_lost_answer(sandbox, keys, verb):
    conflict = {"ia::error": {"code": "invalidRequest", "message": "Conflict"}}
    sandbox.fail(kind="after", path=PURPOSES)
    sandbox.fail(status=409, body=conflict, path=PURPOSES, times=2)
    with client_of(sandbox, retry=IMPATIENT) as hasty, pytest.raises(IntacctServerError, match="is unknown"):
        WRITES[verb](hasty)


def test_another_worker_that_still_writes_is_waited_for(sandbox):
    """A task that was killed can leave a request behind that is carried out while its retry begins."""
    busy = {
        "ia::error": {"code": "invalidRequest", "message": "A request with this idempotency key is locked"}
    }
    sandbox.fail(status=409, body=busy, path=PURPOSES, times=2)
    with scoped(sandbox) as client:
        assert client.create(PURPOSE, {"id": "A"})["key"] == "1"
        sandbox.fail(status=409, body=busy, path=PURPOSES, times=0)
    with scoped(sandbox, retry=IMPATIENT) as client:
        for write in (
            lambda: client.create(PURPOSE, {"id": "B"}),
            lambda: client.create_many(PURPOSE, purposes("B")),
        ):
            with pytest.raises(IntacctServerError, match="so its outcome is unknown"):
                write()
    assert stored(sandbox, PURPOSE) == ["A"]


@pytest.mark.parametrize("many", [False, True])
def test_a_key_that_was_used_for_other_content_is_a_defect_and_says_so(sandbox, many):
    body = b'[{"id":"A"}]' if many else b'{"id":"A"}'
    key = IdempotencyKeys(scopes=SCOPES).make("POST", PURPOSES, body)
    RawClient(sandbox)("POST", PURPOSES, {"id": "OTHER"}, headers={"Idempotency-Key": key})
    with scoped(sandbox, retry=IMPATIENT) as client, pytest.raises(IntacctIdempotencyError) as caught:
        client.create_many(PURPOSE, purposes("A")) if many else client.create(PURPOSE, {"id": "A"})
    assert "please report it" in str(caught.value)
    assert not caught.value.retryable
    assert stored(sandbox, PURPOSE) == ["OTHER"]
    assert client.transactions == 0


def test_a_conflict_of_records_after_a_lost_sending_stays_a_conflict(sandbox, client, keys):
    for write in (
        lambda: client.create(PURPOSE, {"id": "A"}),
        lambda: client.create_many(PURPOSE, purposes("A"))[0],
    ):
        sandbox.fail(status=503, method="POST", path=PURPOSES)
        try:
            error = write().error
        except IntacctConflictError as err:
            error = err
        assert type(error) is IntacctConflictError
        assert "Another record with the value" in str(error)
    assert stored(sandbox, PURPOSE) == list("ABCDE")


@pytest.mark.parametrize("verb", WRITES)
def test_a_write_whose_every_answer_was_lost_is_found_out_by_the_next_attempt(sandbox, keys, verb):
    sandbox.fail(kind="after", path=PURPOSES, times=3)
    with scoped(sandbox, retry=IMPATIENT) as first, pytest.raises(IntacctConnectionError):
        WRITES[verb](first)
    with scoped(sandbox) as second:
        written = WRITES[verb](second)
    assert all(one.ok for one in written) if isinstance(written, list) else written["key"]
    new = {"create": ["NEW"], "create_many": ["NEW", "MORE"]}.get(verb, [])
    assert stored(sandbox, PURPOSE) == [*"ABCDE", *new]
    wrote = 2 if verb.endswith("many") else 1
    assert sandbox.transactions == wrote + len(calls(sandbox, QUERY))


def test_a_failure_that_an_earlier_attempt_left_behind_is_asked_anew_once(sandbox):
    customer = "accounts-receivable/customer"
    records = [{"id": "C1", "name": "x"}, {"id": "C2", "name": "x", "parent": {"id": "P"}}]
    with scoped(sandbox) as first:
        assert [result.ok for result in first.create_many(customer, records)] == [True, False]
    sandbox.seed(customer, [{"id": "P", "name": "x"}])
    sent = len(calls(sandbox, f"/objects/{customer}", "POST"))
    with scoped(sandbox) as second:
        results = second.create_many(customer, records)
    assert [(result.index, result.ok, result.id) for result in results] == [(0, True, "C1"), (1, True, "C2")]
    assert stored(sandbox, customer) == ["C1", "P", "C2"]
    assert len(calls(sandbox, f"/objects/{customer}", "POST")) - sent == 2


@pytest.mark.parametrize("many", [False, True])
def test_a_server_error_that_is_kept_under_the_key_is_asked_anew(sandbox, many):
    kept = {"x-ia-idempotency-cached-date": "Sun, 16 Mar 2025 00:00:00 GMT"}
    sandbox.fail(status=500, headers=kept, path=PURPOSES, times=RETRY.attempts)
    with scoped(sandbox) as client:
        if many:
            assert client.create_many(PURPOSE, purposes("A"))[0].ok
        else:
            assert client.create(PURPOSE, {"id": "A"})["key"] == "1"
    assert stored(sandbox, PURPOSE) == ["A"]
    assert client.transactions == sandbox.transactions == 1


def test_a_customer_group_deleted_since_an_earlier_attempt_made_it_is_made_again(sandbox):
    with scoped(sandbox) as first:
        made = [first.create(GROUP, group("G1")), *first.create_many(GROUP, [group("G2"), group("G3")])]
    for key in (made[0]["key"], made[1].key):
        assert RawClient(sandbox)("DELETE", f"/objects/{GROUP}/{key}").status_code == 204
    before = sandbox.transactions
    with scoped(sandbox) as second:
        again = [second.create(GROUP, group("G1")), *second.create_many(GROUP, [group("G2"), group("G3")])]
    assert [again[0]["key"], *(one.key for one in again[1:])] == ["4", "5", made[2].key]
    assert stored(sandbox, GROUP) == ["G3", "G1", "G2"]
    assert second.transactions == sandbox.transactions - before


def test_whether_a_record_was_deleted_since_may_be_unknown_and_nothing_is_written_then(sandbox):
    with scoped(sandbox) as first:
        first.create(PURPOSE, {"id": "A"})
    sandbox.fail(status=403, path=QUERY)
    with scoped(sandbox) as second:
        assert second.create(PURPOSE, {"id": "A"})["key"] == "1"
    assert stored(sandbox, PURPOSE) == ["A"]
