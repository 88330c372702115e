"""What is read of the events of a queue: as much as they say, in whatever form, and never an error for one of them."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intacct_provider.client import EventBatch, QueuedEvent
from intacct_provider.client.http.replies import Reply
from intacct_provider.client.reading.event_queue import ACK_PATH, EventQueue
from intacct_provider.exceptions import (
    IntacctArgumentError,
    IntacctNotFoundError,
    IntacctRateLimitError,
    IntacctResponseError,
)

#: As Sage publishes it; it is not valid JSON.
SAGE_CONTEXT = '{ "object" : "bill", "event" : "after.create", "key" : "12345" : "id" : "B1234" }'


class Session:
    """A session that has one response."""

    def __init__(self, body, status=200, headers=None, **how):
        self.reply = Reply(status, headers or {}, body, **how)
        self.billed, self.sent = 0, []

    def send(self, request):
        self.sent.append(request)
        return self.reply

    def read(self, request):
        self.bill(1)
        return self.send(request).raise_for_error()

    def bill(self, count):
        self.billed += count


def encode(content):
    text = (
        content
        if isinstance(content, bytes)
        else (content if isinstance(content, str) else json.dumps(content)).encode()
    )
    return base64.b64encode(text).decode()


def read(*events, ack_id="a"):
    return EventQueue(Session({"ia::result": {"events": list(events), "ackId": ack_id}})).list()


def event(context, payload="{}", **members):
    return {"eventId": "e", "clientContext": encode(context), "payload": encode(payload), **members}


def test_an_event_as_sage_publishes_it_although_its_context_is_not_json():
    [found] = read(event(SAGE_CONTEXT)).events
    assert found == QueuedEvent("e", "bill", "create", "12345", "B1234", "{}")
    assert found.known


@pytest.mark.parametrize(
    ("context", "expected"),
    [
        (
            {"object": "customer", "event": "after_update", "key": "7", "id": "C"},
            ("customer", "update", "7", "C"),
        ),
        ({"OBJECTNAME": "CLASS", "EVENT": "After Delete", "RECORDNO": 7}, ("CLASS", "delete", "7", None)),
        (
            {"object": "job", "restObjectName": "projects/project", "event": "AFTER-CREATE"},
            ("projects/project", "create", None, None),
        ),
        ({"object": "customer", "event": "before_create"}, ("customer", None, None, None)),
        ({"object": "customer", "event": "after_created"}, ("customer", None, None, None)),
        ({"event": "after_create", "object": ""}, (None, "create", None, None)),
        ({"object": {"name": "x"}, "event": ["after_create"]}, (None, None, None, None)),
        (["after_create"], (None, None, None, None)),
        ("", (None, None, None, None)),
        (b"\xff\xfe", (None, None, None, None)),
    ],
)
def test_the_members_of_a_context(context, expected):
    [found] = read(event(context)).events
    assert (found.object_name, found.action, found.key, found.record_id) == expected
    assert found.known == (None not in expected[:2])


def test_a_key_that_the_context_lacks_is_taken_from_the_payload():
    [found] = read(event({"object": "customer", "event": "after_create"}, {"key": "9", "id": "C-9"})).events
    assert (found.key, found.record_id, found.payload) == ("9", "C-9", '{"key": "9", "id": "C-9"}')


@pytest.mark.parametrize("payload", ["no JSON", "[1]", '"text"', "1e400"])
def test_a_payload_may_be_any_text(payload):
    [found] = read(event({"object": "customer", "event": "after_create", "key": "1"}, payload)).events
    assert (found.key, found.payload) == ("1", payload)


def test_what_is_not_base64_is_missing():
    [found] = read({"eventId": "e", "clientContext": "%%%", "payload": 12}).events
    assert found == QueuedEvent("e")


def test_an_event_without_an_id_has_the_same_one_each_time_it_is_listed():
    first, other = read({"payload": "x"}, {"payload": "y"}).events
    assert read({"payload": "x"}).events[0].id == first.id != other.id


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["object", "event", "key", "id", "payload", "eventId"]), inner, max_size=3
        )
    ),
    max_leaves=6,
)


@given(JSON, JSON)
def test_no_event_keeps_the_others_of_its_list_from_being_read(odd, context):
    good = event({"object": "customer", "event": "after_create", "key": "1"})
    batch = read(odd, event(context), good)
    assert len(batch.events) == 3
    assert batch.events[2].known
    assert all(isinstance(one.id, str) and one.id for one in batch.events)


@pytest.mark.parametrize("result", [[], {}, {"events": []}, {"events": None, "ackId": None}])
def test_an_empty_queue(result):
    assert EventQueue(Session({"ia::result": result})).list() == EventBatch()


@pytest.mark.parametrize(
    "result", [None, "x", [1], {"events": {"a": 1}}, {"events": [{}]}, {"events": [{}], "ackId": ""}]
)
def test_what_is_no_list_of_events_is_an_error(result):
    with pytest.raises(IntacctResponseError, match="list"):
        EventQueue(Session({"ia::result": result})).list()


@pytest.mark.parametrize("result", [{}, [], {"count": "1"}, {"count": True}, {"count": -1}, {"count": 1.5}])
def test_what_is_no_count_is_an_error(result):
    assert EventQueue(Session({"ia::result": {"count": 3}})).count() == 3
    with pytest.raises(IntacctResponseError, match="how many"):
        EventQueue(Session({"ia::result": result})).count()


@pytest.mark.parametrize(
    "result", [{"ackId": "a", "status": "success"}, {"status": "SUCCESS"}, {"status": "acknowledged"}, {}, []]
)
def test_an_acknowledgement(result):
    session = Session({"ia::result": result})
    EventQueue(session).acknowledge("a")
    [request] = session.sent
    assert (request.method, request.path, request.content, request.repeatable) == (
        "POST", ACK_PATH, b'{"ackId":"a"}', True,
    )  # fmt: skip
    assert session.billed == 1


@pytest.mark.parametrize(
    "result", [{"status": "failed"}, {"status": "Not acknowledged"}, {"ackId": "b", "status": "success"}]
)
def test_an_acknowledgement_that_is_not_confirmed_is_an_error(result):
    with pytest.raises(IntacctResponseError, match="may still be in the queue"):
        EventQueue(Session({"ia::result": result})).acknowledge("a")


def test_a_list_is_unknown_only_if_no_earlier_attempt_can_have_acknowledged_it():
    refused = {"ia::error": {"code": "notFound", "message": "unknown"}}
    with pytest.raises(IntacctNotFoundError):
        EventQueue(Session(refused, 404)).acknowledge("a")
    session = Session(refused, 404, maybe_already_done=True)
    EventQueue(session).acknowledge("a")
    assert session.billed == 0


@pytest.mark.parametrize("ack_id", ["", " ", None, 7])
def test_what_is_no_ack_id_is_not_sent(ack_id):
    session = Session({})
    with pytest.raises(IntacctArgumentError, match="list_events"):
        EventQueue(session).acknowledge(ack_id)
    assert session.sent == []


def test_a_rate_limit_says_how_long_to_wait():
    refused = {"error": {"code": "GW-0010", "message": "Too many"}}
    with pytest.raises(IntacctRateLimitError) as caught:
        EventQueue(
            Session(refused, 429, {"X-IA-Throttle-Limit-Retry-After": "90", "Retry-After": "5"})
        ).list()
    assert caught.value.retry_after == 90.0
