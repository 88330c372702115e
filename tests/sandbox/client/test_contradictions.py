"""Writes and batch reads against a server of another kind, which contradicts us and itself, over real HTTP."""

import pytest
from contrary_server import bending, contrary
from small_world import FIRST_KEY, OBJECT

from intacct_provider.client.query.request import Query
from intacct_provider.exceptions import (
    IntacctArgumentError,
    IntacctConnectionError,
    IntacctError,
    IntacctIncompleteReadError,
    IntacctResponseError,
)

KEYS = [str(FIRST_KEY + n) for n in range(4)]
NAMED = [{"id": f"N{n}", "name": f"new {n}"} for n in range(3)]
UNNAMED = [{"name": f"new {n}"} for n in range(3)]
CHANGES = [{"key": key, "name": f"changed {key}"} for key in KEYS[:3]]


def of_results(change):
    """Bend the results of a batch and leave the rest."""
    return lambda body: {**body, "ia::result": change(body["ia::result"])}


def reversed_results(results):
    return results[::-1]


def doubled(results):
    return [results[0], *results[:2]]


def refused(results):
    return [
        {**results[0], "ia::error": {"code": "invalidRequest", "message": "No"}, "ia::status": 400},
        *results[1:],
    ]


def named(company):
    return {record["name"]: key for key, record in company.records.items()}


def test_results_in_another_order_belong_to_the_records_that_they_name():
    with contrary() as (server, client):
        server.bend = bending(of_results(reversed_results))
        made = client.create_many(OBJECT, NAMED)
        assert [one.id for one in made] == ["N0", "N1", "N2"]
        assert [int(one.key) for one in made] == [named(server.company)[f"new {n}"] for n in range(3)]
        server.bend = bending(of_results(reversed_results), "PATCH")
        assert all(one.ok for one in client.update_many(OBJECT, CHANGES))
        server.bend = bending(of_results(reversed_results), "GET")
        assert [one["key"] for one in client.get_many(OBJECT, KEYS)] == KEYS


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (of_results(doubled), r"two results for index 0 .*; unknown: index 0, 2"),
        (of_results(lambda results: results[1:]), r"written: index 1 to 2; unknown: index 0"),
        (of_results(lambda results: [*results, results[0]]), r"written: index 1 to 2; unknown: index 0"),
        (
            of_results(lambda results: [{**results[0], "id": "X"}, *results[1:]]),
            r"another record \(.*id X\); written: ",
        ),
        (of_results(refused), r"counts 0 failures but shows 1.*written: index 1 to 2; unknown: index 0"),
        (lambda body: {**body, "ia::meta": {"totalError": 1}}, "counts 1 failures without showing any"),
        (of_results(lambda _results: []), "which of them were written is unknown"),
    ],
)
def test_what_contradicts_is_an_error_and_another_attempt_of_the_task_is_told_the_truth(change, said):
    with contrary() as (server, client):
        server.bend = bending(change)
        client.idempotency.scopes = {"POST": "task"}
        with pytest.raises(IntacctResponseError, match=said) as caught:
            client.create_many(OBJECT, NAMED)
        assert caught.value.retryable
        client.idempotency._written.clear()  # as in the process of another attempt
        assert all(one.ok for one in client.create_many(OBJECT, NAMED))
        assert server.written() == 3


@pytest.mark.parametrize("key", [None, "", "007", "1.0", " 7 ", "..", "7,8", True])
def test_what_is_not_a_key_changes_nothing(key):
    with contrary() as (server, client):
        for write in (client.delete, client.get, lambda name, one: client.update(name, one, {"name": "x"})):
            with pytest.raises(IntacctArgumentError, match="key must be a record's key"):
                write(OBJECT, key)
        assert not server.calls


def test_an_answer_about_another_record_is_not_taken():
    with contrary() as (server, client):
        other = {"ia::result": {"key": "99", "id": "C99"}}
        for method, write in {
            "POST": lambda: client.create(OBJECT, NAMED[0]),
            "PATCH": lambda: client.update(OBJECT, KEYS[0], {"name": "x"}),
            "GET": lambda: client.get(OBJECT, KEYS[0]),
        }.items():
            server.bend = bending(lambda _body: other, method)
            with pytest.raises(IntacctResponseError, match="99"):
                write()


def test_metadata_of_a_batch_read_does_not_become_data():
    with contrary() as (server, client):
        server.bend = lambda method, _path, status, body: (
            (207, of_results(lambda found: [{**one, "ia::status": 200} for one in found])(body))
            if method == "GET"
            else (status, body)
        )
        assert not any(name.startswith("ia::") for one in client.get_many(OBJECT, KEYS) for name in one)
        assert len([*client.get_many(OBJECT, KEYS)]) == 4


# --- objects whose creations are not recognized


@pytest.mark.parametrize("many", [True, False])
def test_a_creation_without_an_id_is_not_sent_twice(many):
    with contrary(remembers=False) as (server, client):
        server.drop = lambda method, path: method == "POST" and path.endswith(OBJECT)
        with pytest.raises(IntacctConnectionError, match="does not support idempotency keys") as caught:
            client.create_many(OBJECT, UNNAMED) if many else client.create(OBJECT, UNNAMED[0])
        assert not caught.value.retryable
        assert server.written() == (3 if many else 1)


def test_a_creation_with_an_id_is_sent_again_but_its_rejection_is_not_believed():
    with contrary(remembers=False) as (server, client):
        lost = [True]
        server.drop = lambda method, path: method == "POST" and path.endswith(OBJECT) and lost and lost.pop()
        with pytest.raises(
            IntacctResponseError, match="rejected those at index 0 to 2, whose ids exist"
        ) as caught:
            client.create_many(OBJECT, NAMED)
        assert not caught.value.retryable
        assert server.written() == 3


def test_a_composite_creation_without_an_id_is_not_sent_twice():
    parts = [{"method": "POST", "path": f"/objects/{OBJECT}", "body": one} for one in UNNAMED]
    with contrary(remembers=False) as (server, client):
        server.drop = lambda _method, path: path.endswith("/composite")
        with pytest.raises(IntacctConnectionError, match="does not support idempotency keys"):
            client.composite(parts)
        assert server.written() == 3


# --- bulk jobs and composite calls


def test_a_job_that_was_taken_although_its_token_was_refused_is_not_submitted_again():
    with contrary() as (server, client):
        refusal = {"error": {"code": "tokenInvalid", "message": "Invalid token"}}
        server.bend = lambda _method, path, status, body: (
            (401, refusal) if path.endswith("/job/create") else (status, body)
        )
        with pytest.raises(IntacctResponseError, match="Whether Intacct took the job is unknown") as caught:
            client.submit_job(OBJECT, "create", UNNAMED)
        assert not caught.value.retryable
        assert server.written() == 3


def test_results_of_a_job_belong_to_the_records_that_were_submitted():
    with contrary() as (server, client):
        job = client.submit_job(OBJECT, "create", NAMED)
        server.company.jobs[job].reverse()
        assert [one.id for one in client.job_result(job, records=NAMED)] == ["N0", "N1", "N2"]
        server.company.jobs[job][0] = server.company.jobs[job][1]
        with pytest.raises(IntacctResponseError, match="with two results for index"):
            client.job_result(job, records=NAMED)


def test_the_state_of_another_job_is_not_taken():
    with contrary() as (server, client):
        job = client.submit_job(OBJECT, "create", NAMED)
        server.bend = lambda _method, _path, status, _body: (
            status,
            {"ia::result": {"jobId": "x", "status": "failed"}},
        )
        with pytest.raises(IntacctResponseError, match=f"bulk job x where {job} was asked for"):
            client.job_status(job)


def parts():
    return [
        {"method": "POST", "path": f"/objects/{OBJECT}", "body": NAMED[0], "resultReference": "made"},
        {
            "method": "PATCH",
            "path": f"/objects/{OBJECT}/{KEYS[0]}",
            "body": {"name": "x"},
            "resultReference": "changed",
        },
        {"method": "GET", "path": f"/objects/{OBJECT}/{KEYS[1]}", "resultReference": "read"},
    ]


def bent_composite(server, change):
    server.bend = lambda _method, path, status, body: (
        (status, of_results(change)(body)) if path.endswith("/composite") else (status, body)
    )


def test_composite_results_in_another_order_are_matched_by_name():
    with contrary() as (server, client):
        bent_composite(server, reversed_results)
        results = client.composite(parts())
        assert [one.name for one in results] == ["made", "changed", "read"]
        assert [one.status for one in results] == [201, 200, 200]
        assert (results[0].result["id"], results[2].result["key"]) == ("N0", KEYS[1])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda found: found[:2],
            r"carried out: index 0 \(name made\), index 1 \(name changed\); unknown: index 2",
        ),
        (
            lambda found: [found[0], *found[:2]],
            r"two results for index 0 \(name made\); .*unknown: index 0 .*, index 2",
        ),
        (lambda found: [{**found[0], "resultReference": "y"}, *found[1:]], r"another record \(name y"),
        (
            lambda found: [{k: v for k, v in one.items() if k != "resultReference"} for one in found[::-1]],
            r"with a result for another request at index 0 ",
        ),
        (lambda _found: [], "which of them were carried out is unknown"),
    ],
)
def test_composite_answers_that_contradict_say_what_is_known(change, said):
    with contrary() as (server, client):
        bent_composite(server, change)
        with pytest.raises(IntacctResponseError, match=said):
            client.composite(parts())


@pytest.mark.slow
def test_an_unknown_outcome_never_passes_for_a_known_one():
    """Whatever one result says, no other kind of error than ours is raised, and nothing is written twice."""
    bends = [
        None,
        [],
        {},
        "x",
        5,
        {"ia::result": None},
        {"ia::status": "x"},
        {"key": {}},
        {"id": []},
        {"ia::error": 1},
    ]
    for wrong in bends:
        with contrary() as (server, client):
            server.bend = bending(of_results(lambda found, wrong=wrong: [wrong, *found[1:]]))
            try:
                results = client.create_many(OBJECT, NAMED)
            except IntacctError:
                results = []
            assert all(one.ok and one.id == f"N{n}" for n, one in enumerate(results)), wrong
            assert server.written() == 3


# --- the first page of a query


def hiding(times):
    """Return what takes the rows off the first answers to queries, and leaves their count."""
    left = [times]

    def bend(_method, path, status, body):
        if not path.endswith("/query") or not left[0]:
            return status, body
        left[0] -= 1
        return status, {**body, "ia::result": []}

    return bend


def test_rows_that_are_counted_and_not_sent_are_asked_for_again():
    with contrary() as (server, client):
        server.bend = hiding(1)
        page = client.first_page(Query.build(OBJECT, ["key"]), 2)
        assert {row["key"] for row in page.rows} < {*KEYS}
        assert len(server.calls) == 2


def test_rows_that_are_counted_and_never_sent_are_not_nothing():
    """An export of what changed would find no timestamp at all, and succeed without a row."""
    with contrary() as (server, client):
        server.bend = hiding(9)
        with pytest.raises(
            IntacctIncompleteReadError, match=r"has 4 records, and sends none of them, and the same"
        ):
            client.first_page(Query.build(OBJECT, ["key"]), 2)
        assert len(server.calls) == 2
