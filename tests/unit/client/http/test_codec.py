"""JSON: no digit of an amount is lost either way, and times are UTC as Intacct writes them."""

from __future__ import annotations

import datetime as dt
import json
import time
from contextlib import suppress
from decimal import Decimal

import pendulum
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intacct_provider.client.http import codec
from intacct_provider.exceptions import IntacctArgumentError

PROVE = settings(derandomize=True, deadline=None, max_examples=200)
BERLIN = dt.timezone(dt.timedelta(hours=2))
MOMENTS = [
    (dt.datetime(2025, 3, 16, 13, 26, 56, 999999, dt.UTC), "2025-03-16T13:26:56Z"),
    (dt.datetime(2025, 3, 16, 1, 26, 56, tzinfo=BERLIN), "2025-03-15T23:26:56Z"),
    (dt.datetime(2025, 3, 16, 13, 26, 56), "2025-03-16T13:26:56Z"),  # noqa: DTZ001
    (pendulum.datetime(2025, 7, 1, 2, tz="Europe/Berlin"), "2025-07-01T00:00:00Z"),
    (pendulum.datetime(2025, 7, 1, 2, 0, 0, 5), "2025-07-01T02:00:00Z"),
    (dt.date(2025, 7, 1), "2025-07-01"),
    (pendulum.date(2025, 7, 1), "2025-07-01"),
]


@PROVE
@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_a_decimal_arrives_exactly_and_as_a_number(amount):
    sent = codec.encode({"amount": amount})
    assert b'"' not in sent.removeprefix(b'{"amount":')
    received = codec.decode(sent)["amount"]
    assert isinstance(received, Decimal | int)
    assert Decimal(received) == amount


def test_digits_that_a_float_would_lose_are_kept():
    assert codec.decode(b'{"a":0.1000000000000000055511151231257827,"b":12345678901234567890}') == {
        "a": Decimal("0.1000000000000000055511151231257827"),
        "b": 12345678901234567890,
    }
    assert codec.encode(Decimal("170200.00")) == b"170200.00"


@PROVE
@given(st.integers(-(10**60), 10**60))
def test_a_whole_number_of_any_length_arrives_exactly_both_ways(number):
    sent = codec.encode({"a": number})
    assert sent == b'{"a":%d}' % number
    assert codec.decode(sent) == {"a": number}
    assert type(codec.decode(sent)["a"]) is int


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b'"99999999999999.99"', "99999999999999.99"),
        (b"99999999999999.99", Decimal("99999999999999.99")),
        (b"1" * 40, int("1" * 40)),
        (b"1" * 40 + b".1", Decimal("1" * 40 + ".1")),
        (b"1e400", Decimal("1e400")),
        (b"1.10", Decimal("1.10")),
    ],
)
def test_long_numbers_survive(body, value):
    found = codec.decode(body)
    assert (str(found), type(found)) == (str(value), type(value))


def test_money_as_text_stays_the_text_it_is():
    assert codec.decode(b'"170200.00"') == "170200.00"
    assert codec.encode("170200.00") == b'"170200.00"'


@pytest.mark.parametrize("body", [
        b"", b"<html>", b'{"a":', b'{"a":1}x', b"\xff", b"NaN", b'{"a":"s3cret\xff"}', b'"\xc3"', b'"\\ud800"',
        b"[" * 100_000, b'{"a":' * 100_000, b"9" * 5000, b"1e9999999999999999999", b"\xef\xbb\xbf{}",
    ],
    ids=lambda body: repr(body[:12]),
)  # fmt: skip
def test_what_is_not_json_is_a_value_error_that_does_not_hold_the_body(body):
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        codec.decode(body)
    assert caught.value.__context__ is None or caught.value.__suppress_context__
    assert not isinstance(caught.value, UnicodeDecodeError)  # it would carry the body as its object
    assert "s3cret" not in repr(caught.value)


@PROVE
@given(st.binary(max_size=40))
def test_any_bytes_are_a_value_or_a_value_error(body):
    try:
        codec.decode(body)
    except ValueError:
        return
    json.loads(body)


def test_an_answer_nested_as_deeply_as_python_allows_is_a_value_or_a_value_error():
    for depth in range(800, 1100, 7):
        body = b"[" * depth + b"]" * depth
        with suppress(ValueError):
            codec.decode(body)


@pytest.mark.parametrize(("moment", "text"), MOMENTS)
def test_a_time_is_sent_as_utc_with_whole_seconds_wherever_it_stands(moment, text):
    assert codec.encode_value(moment) == text
    assert json.loads(codec.encode({"a": moment, "b": [{"c": moment}], "d": (moment,)})) == {
        "a": text,
        "b": [{"c": text}],
        "d": [text],
    }


@PROVE
@given(st.datetimes(dt.datetime(1900, 1, 2), dt.datetime(2999, 1, 1)), st.integers(-14 * 60, 14 * 60))  # noqa: DTZ001
def test_any_time_is_sent_as_the_same_moment(naive, offset):
    moment = naive.replace(tzinfo=dt.timezone(dt.timedelta(minutes=offset)))
    text = json.loads(codec.encode({"at": moment}))["at"]
    assert text.endswith("Z")
    assert dt.datetime.fromisoformat(text) == moment.replace(microsecond=0)


@pytest.fixture
def new_york(monkeypatch):
    """Let the machine be in New York."""
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("new_york")
def test_a_time_without_a_zone_is_utc_wherever_the_machine_is():
    assert codec.encode_value(dt.datetime(2025, 7, 1, 2)) == "2025-07-01T02:00:00Z"  # noqa: DTZ001


@pytest.mark.parametrize("value", ["x", 1, 1.5, None, True, Decimal("1.0")])
def test_anything_else_is_sent_as_it_is(value):
    assert codec.encode_value(value) is value
    assert codec.decode(codec.encode({"a": value})) == {"a": value}


@pytest.mark.parametrize("number", [float("nan"), float("inf"), Decimal("NaN"), Decimal("-Infinity")])
@pytest.mark.parametrize(
    ("wrap", "path"),
    [
        (lambda n: {"creditLimit": n}, "creditLimit"),
        (lambda n: {"lines": [{"amount": 1}, {"amount": n}]}, "lines.1.amount"),
        (lambda n: {"lines": ({"amounts": (1, n)},)}, "lines.0.amounts.1"),
        (lambda n: [{"a": n}], "0.a"),
    ],
)
def test_what_is_no_number_is_refused_with_its_place_as_null_would_clear_the_field(number, wrap, path):
    with pytest.raises(IntacctArgumentError) as caught:
        codec.encode(wrap(number))
    assert str(caught.value) == f"{path} is {number}; give a number, or None to clear the field."


def test_what_json_cannot_carry_names_its_type():
    with pytest.raises(IntacctArgumentError, match="A value of type object cannot be sent to Intacct"):
        codec.encode({"a": object()})


@pytest.mark.parametrize("value", [{"a", "b"}, frozenset("a")])
def test_a_set_is_refused_since_its_order_would_change_the_idempotency_key(value):
    with pytest.raises(
        IntacctArgumentError, match=r"lines\.0\.tags is a set, which has no order; give a list"
    ):
        codec.encode({"lines": [{"tags": value}]})


def test_bytes_are_refused_since_they_would_be_sent_in_a_code_of_their_own():
    with pytest.raises(IntacctArgumentError, match=r"lines\.0\.note is bytes; give text"):
        codec.encode({"lines": [{"note": b"x"}]})


def test_content_within_itself_is_refused():
    record = {}
    record["parent"] = record
    with pytest.raises(IntacctArgumentError, match="nested too deeply, or contains itself"):
        codec.encode(record)


@pytest.mark.parametrize("record", [{"a": "\ud800"}, {"\ud800": 1}])
def test_half_a_character_is_refused(record):
    with pytest.raises(IntacctArgumentError, match="a lone surrogate"):
        codec.encode(record)


def test_names_that_are_no_text_are_refused():
    with pytest.raises(IntacctArgumentError, match="A value of type NoneType cannot be sent"):
        codec.encode({"a": {None: 1}})


def test_encoding_leaves_the_record_as_it_was():
    record = {"at": MOMENTS[0][0], "lines": [{"on": MOMENTS[5][0]}]}
    codec.encode(record)
    assert record == {"at": MOMENTS[0][0], "lines": [{"on": MOMENTS[5][0]}]}


def test_plain_values_for_xcom_keep_every_digit():
    record = {
        "a": Decimal("1.10"),
        "b": [{"c": Decimal("2.50")}],
        "d": (dt.date(2025, 1, 2),),
        "e": None,
        "f": 3,
    }
    assert codec.to_plain(record) == {
        "a": "1.10",
        "b": [{"c": "2.50"}],
        "d": ["2025-01-02"],
        "e": None,
        "f": 3,
    }
    assert json.loads(json.dumps(codec.to_plain(record))) == codec.to_plain(record)
