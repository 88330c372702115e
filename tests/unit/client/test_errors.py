"""Whatever shape Intacct gives an error, one exception says all of it on one bounded line."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intacct_provider.client.errors import TokenVerdict, build_error, find_error, judge_token
from intacct_provider.client.http.transport import Reply, Request, judge_reply
from intacct_provider.client.spelling import did_you_mean, find_nearest
from intacct_provider.exceptions import (
    ErrorDetail,
    IntacctAPIError,
    IntacctArgumentError,
    IntacctAuthenticationError,
    IntacctConfigError,
    IntacctConflictError,
    IntacctConnectionError,
    IntacctError,
    IntacctIdempotencyError,
    IntacctIncompleteReadError,
    IntacctInterruptedWriteError,
    IntacctNotFoundError,
    IntacctPermissionError,
    IntacctRateLimitError,
    IntacctResponseError,
    IntacctServerError,
    IntacctTokenError,
    IntacctValidationError,
)

FULL = {
    "code": "invalidRequest",
    "message": "Payload contains errors",
    "errorId": "REST-1064",
    "supportId": "abc~123",
    "additionalInfo": {
        "messageId": "IA.PAYLOAD_CONTAINS_ERRORS",
        "placeholders": {"FIELD": "/statsu", "COUNT": 2},
        "propertySet": {},
    },
    "details": [
        {
            "code": "invalidRequest",
            "message": "/statsu is not a valid field",
            "errorId": "REST-1043",
            "target": "/statsu",
            "correction": "TODO",
        },
        {"message": "/name is required"},
    ],
}


def error_of(body, status=400):
    return Reply(status, {}, body).error()


# --- the shapes


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(
            {"ia::result": {"ia::error": FULL}, "ia::meta": {"totalError": 1}}, id="under ia::result"
        ),
        pytest.param({"ia::error": FULL}, id="at the top"),
        pytest.param({"error": FULL}, id="under error"),
    ],
)
@pytest.mark.parametrize("status", [200, 400])
def test_an_error_is_read_in_full_wherever_it_stands_and_under_any_status(body, status):
    error = error_of(body, status)
    assert isinstance(error, IntacctValidationError)
    assert (error.status, error.code, error.error_id) == (status, "invalidRequest", "REST-1064")
    assert (error.support_id, error.target) == ("abc~123", "/statsu")
    assert error.details == (
        ErrorDetail("/statsu is not a valid field", "REST-1043", "/statsu", code="invalidRequest"),
        ErrorDetail("/name is required"),
    )
    assert error.placeholders == {"FIELD": "/statsu", "COUNT": "2"}
    assert str(error) == (
        "Payload contains errors: /statsu is not a valid field [REST-1043]; /name is required "
        f"(HTTP {status}, invalidRequest, REST-1064, target /statsu, support id abc~123)"
    )


def test_an_oauth_error_has_its_description_as_message():
    error = error_of({"error": "invalid_client", "error_description": "Client authentication failed"}, 401)
    assert isinstance(error, IntacctAuthenticationError)
    assert (error.code, error.message) == ("invalid_client", "Client authentication failed")


def test_an_oauth_error_without_description_has_its_code_as_message():
    error = error_of({"error": "invalid_grant"})
    assert isinstance(error, IntacctAuthenticationError)
    assert error.message == "invalid_grant"
    assert "that the Web Services subscription is on" in str(error)


def test_a_gateway_error_has_its_code_as_id_too():
    body = {
        "error": {
            "code": "GW-0011",
            "message": "Invalid Request",
            "supportId": "s",
            "details": {"requestId": "r"},
        }
    }
    error = error_of(body, 403)
    assert isinstance(error, IntacctPermissionError)
    assert (error.error_id, error.details) == ("GW-0011", ())
    assert "Ask an Intacct admin to check Company > Security > Authorized client applications" in str(error)


@pytest.mark.parametrize(
    ("details", "read"),
    [
        ([{"message": "a", "errorId": "X-1"}], [ErrorDetail("a", "X-1")]),
        ({"message": "a", "target": "/x"}, [ErrorDetail("a", target="/x")]),
        ("Another record with the value", [ErrorDetail("Another record with the value")]),
        (["a", {"message": "b"}, 7], [ErrorDetail("a"), ErrorDetail("b"), ErrorDetail("7")]),
        ({"requestId": "r"}, []),
        ([{"code": "x"}, None, {}], [ErrorDetail(code="x")]),
        ([{"correction": "Use another id"}], [ErrorDetail(correction="Use another id")]),
        ([{"message": "a", "correction": "TODO"}], [ErrorDetail("a")]),
        ([], []),
        (None, []),
        ("", []),
    ],
)
def test_details_are_read_as_list_object_or_text(details, read):
    error = build_error(400, {"message": "no", "details": details})
    assert error.details == tuple(read)
    assert all(part in str(error) for detail in read for part in detail)


def test_an_error_shows_what_intacct_advises_about_each_cause():
    causes = [
        {
            "code": "invalidParameter",
            "message": "Not a valid state.",
            "correction": "State must be draft or not included in the request.",
        },
        {"errorId": "REST-1043", "code": "operationFailed", "message": "No"},
    ]
    error = build_error(400, {"code": "operationFailed", "message": "Failed", "details": causes})
    assert str(error) == (
        "Failed: Not a valid state. [invalidParameter], correction: State must be draft or not included in the "
        "request.; No [REST-1043] (HTTP 400, operationFailed)"
    )
    own = build_error(400, {"message": "Failed", "correction": "Do this", "details": ["why"]})
    assert str(own) == "Failed: correction: Do this; why (HTTP 400)"


@pytest.mark.parametrize(
    "fields",
    [
        {"errorId": "REST-1107"},
        {"code": "REST-1107"},
        {"errorId": "REST-1064", "details": [{"message": "no", "errorId": "REST-1107"}]},
    ],
)
def test_advice_follows_an_id_wherever_it_is(fields):
    assert "leads through a list" in str(build_error(400, {"message": "m", **fields}))


def test_placeholders_are_read_wherever_they_are_and_however_nested():
    error = build_error(
        400,
        {
            "message": "m",
            "additionalInfo": {"placeholders": {"FIELD": "/a", "LIST": ["x", None, 2], "NONE": None}},
            "details": [
                {
                    "additionalInfo": {
                        "placeholders": {"FIELD": "/b", "OBJECT": {"NAME": "bill", "KEYS": [1, 2]}}
                    }
                },
                {"placeholders": {"ROWS": [{"ID": "r"}]}},
            ],
        },
    )
    assert error.placeholders == {
        "FIELD": "/a", "LIST": "x, 2", "NONE": "", "OBJECT.NAME": "bill", "OBJECT.KEYS": "1, 2", "ROWS.0.ID": "r",
    }  # fmt: skip


def test_placeholders_are_bounded():
    nested: dict[str, object] = {"a": "x"}
    for _ in range(200):
        nested = {"a": nested, **{f"b{n}": "y" * 9999 for n in range(30)}}
    error = build_error(400, {"message": "m", "additionalInfo": {"placeholders": nested}})
    assert 0 < len(error.placeholders) <= 20
    assert all(len(name) + len(value) <= 1000 for name, value in error.placeholders.items())


@pytest.mark.parametrize(
    "body", [None, {}, [], "x", 5, {"ia::result": []}, {"ia::result": {"ia::error": {}}}]
)
def test_an_answer_without_a_readable_error_is_one_only_by_its_status(body):
    assert error_of(body, 200) is None
    assert str(error_of(body, 418)) == "Intacct answered HTTP 418 (HTTP 418)"


@pytest.mark.parametrize("error", ["just text", ["just text"], {"message": "just text"}])
def test_an_error_that_is_not_an_object_still_tells_its_text(error):
    assert "just text" in str(error_of({"ia::error": error}))


def test_an_error_without_a_message_says_so():
    assert build_error(400, {"code": "x"}).message == "Intacct answered HTTP 400 without a message"


def test_a_refusal_that_comes_as_a_list_tells_its_first_error():
    failed = [{"key": "1"}, {"ia::error": FULL}, {"ia::error": {"message": "another"}}]
    for body in ({"ia::result": failed}, failed):
        error = error_of(body, 422)
        assert (error.message, error.error_id, error.support_id) == (
            "Payload contains errors", "REST-1064", "abc~123",
        )  # fmt: skip
    assert error_of({"ia::result": [{"key": "1"}]}, 422).message == "Intacct answered HTTP 422"


def test_a_gateway_s_request_id_stands_in_for_a_support_id():
    fields = {"code": "GW-0011", "message": "m", "details": {"requestId": "r~1"}}
    assert build_error(400, fields).support_id == "r~1"
    assert build_error(400, {**fields, "supportId": "s~1"}).support_id == "s~1"
    assert build_error(400, {"message": "m", "details": [{"requestId": "r~1"}]}).support_id == ""


def test_errors_of_single_records_are_not_the_error_of_the_answer():
    assert find_error({"ia::result": [{"ia::error": {"message": "no"}}]}) is None


ERROR_NAMES = [
    *("ia::error", "ia::result", "error", "message", "code", "errorId", "details", "target"),
    *("additionalInfo", "placeholders", "supportId", "error_description"),
]
JSON_VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(ERROR_NAMES),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=12,
)


@settings(derandomize=True, deadline=None, max_examples=300)
@given(JSON_VALUES, st.integers(200, 599))
def test_no_body_whatever_its_shape_breaks_the_reader(body, status):
    error = error_of(body, status)
    assert (error is not None) or status < 400
    if error:
        assert isinstance(error, IntacctAPIError)
        assert "\n" not in str(error)


@pytest.mark.parametrize(
    "error",
    [
        {"message": {"ia::result": [{"id": "C1"}]}},
        {"message": [{"id": "C1"}], "code": ["C1"], "target": {"id": "C1"}},
        {"message": "no", "details": [{"message": {"id": "C1"}}, [{"id": "C1"}]]},
        [[{"id": "C1"}]],
    ],
)
def test_no_part_of_a_body_that_is_no_text_gets_into_an_error(error):
    made = build_error(400, error)
    assert "C1" not in f"{made} {made!r} {vars(made)}"


# --- one bounded line


def test_a_message_is_one_line_and_bounded():
    error = build_error(
        400, {"message": "a\n\tb  c " + "x" * 9999, "details": [{"message": "y" * 9999}] * 99}
    )
    assert error.message.startswith("a b c xxx")
    assert len(error.message) == 500
    assert len(error.details) == 20
    assert len(str(error)) < 11_000


# --- which exception it is


@pytest.mark.parametrize(
    ("status", "fields", "kind"),
    [
        (401, {}, IntacctTokenError),
        (400, {"errorId": "REST-1206"}, IntacctTokenError),
        (400, {"errorId": "REST-1216"}, IntacctAuthenticationError),
        (400, {"errorId": "REST-2102"}, IntacctTokenError),
        (400, {"code": "GW-0040"}, IntacctTokenError),
        (400, {"code": "tokenInvalid"}, IntacctTokenError),
        (400, {"code": "REST-2102"}, IntacctTokenError),
        (403, {"errorId": "REST-2102"}, IntacctTokenError),
        (200, {"errorId": "GW-0040"}, IntacctTokenError),
        (400, {"message": "Invalid token"}, IntacctTokenError),
        (400, {"message": "The token is not valid"}, IntacctTokenError),
        (400, {"message": "Invalid token", "errorId": "REST-1064"}, IntacctValidationError),
        (422, {"message": "Invalid token"}, IntacctValidationError),
        (400, {"code": "invalid_grant"}, IntacctAuthenticationError),
        (400, {"code": "invalid_client"}, IntacctAuthenticationError),
        (403, {}, IntacctPermissionError),
        (404, {}, IntacctNotFoundError),
        (409, {}, IntacctConflictError),
        (409, {"message": "The Idempotency-Key was used before"}, IntacctIdempotencyError),
        (422, {"message": "The Idempotency-Key was used before"}, IntacctValidationError),
        (429, {}, IntacctRateLimitError),
        (403, {"code": "GW-0010"}, IntacctRateLimitError),
        (200, {"code": "GW-0001"}, IntacctServerError),
        (400, {"code": "GW-0001"}, IntacctValidationError),
        (200, {}, IntacctValidationError),
        (400, {}, IntacctValidationError),
        (405, {}, IntacctValidationError),
        (422, {}, IntacctValidationError),
        (500, {}, IntacctServerError),
        (503, {}, IntacctServerError),
    ],
)
def test_status_and_id_decide_the_exception(status, fields, kind):
    assert type(build_error(status, {"message": "m", **fields})) is kind


@pytest.mark.parametrize(
    ("kind", "retryable"),
    [
        (IntacctError, True),
        (IntacctConnectionError, True),
        (IntacctResponseError, True),
        (IntacctIncompleteReadError, True),
        (IntacctRateLimitError, True),
        (IntacctServerError, True),
        (IntacctArgumentError, False),
        (IntacctConfigError, False),
        (IntacctAuthenticationError, False),
        (IntacctTokenError, True),
        (IntacctPermissionError, False),
        (IntacctNotFoundError, False),
        (IntacctConflictError, False),
        (IntacctIdempotencyError, False),
        (IntacctValidationError, False),
    ],
)
def test_every_exception_tells_whether_trying_again_can_help(kind, retryable):
    assert kind("x").retryable is retryable
    stopped = IntacctInterruptedWriteError("x", [])
    stopped.__cause__ = kind("y")
    assert stopped.retryable is retryable


def test_wrong_arguments_are_value_errors_too():
    assert issubclass(IntacctArgumentError, ValueError)


# --- what to do next


@pytest.mark.parametrize(
    ("fields", "hint"),
    [
        ({"errorId": "GW-0042"}, "role lacks the permission, or the module is not subscribed"),
        ({"errorId": "REST-1106"}, "Leave the field out of fields, filters and order_by"),
        ({"errorId": "REST-1216"}, "Check the client id and client secret"),
    ],
)
def test_a_known_id_comes_with_what_to_do(fields, hint):
    assert hint in str(build_error(400, {"message": "m", **fields}))


def test_a_given_hint_comes_before_the_general_one():
    assert IntacctAPIError("m", error_id="GW-0042", hint="Do this.").hint == "Do this."


@pytest.mark.parametrize(
    ("word", "best"),
    [("statsu", "status"), ("STATUS", "status"), ("totaldue", "totalDue"), ("zzz", None), ("", None)],
)
def test_the_nearest_name_is_found_whatever_its_case(word, best):
    assert find_nearest(word, ["status", "totalDue", "name"]) == best
    assert did_you_mean(word, ["status", "totalDue", "name"]) == (f" Did you mean {best!r}?" if best else "")


# --- what the exceptions themselves hold


def test_an_error_of_which_only_the_text_is_known_tells_just_that():
    error = IntacctAPIError("No")
    assert str(error) == "No"
    assert error.args == ("No",)
    assert (error.status, error.code, error.error_id, error.support_id, error.target) == (0, "", "", "", "")
    assert (error.details, error.placeholders, error.hint, error.replayed) == ((), {}, "", False)


def test_an_interrupted_write_keeps_its_text_and_its_results():
    error = IntacctInterruptedWriteError("stopped", [1, 2])
    assert (str(error), error.results) == ("stopped", [1, 2])


def test_the_error_s_own_target_comes_before_that_of_a_detail():
    details = [{"message": "why", "target": "/detail"}]
    assert build_error(400, {"target": "/own", "details": details}).target == "/own"
    assert build_error(400, {"details": details}).target == "/detail"


def test_details_of_details_keep_their_advice():
    inner = {"message": "not there", "correction": "Name it", "errorId": "REST-1107", "code": "inner"}
    error = build_error(400, {"message": "m", "details": [{"message": "why", "details": [inner]}]})
    for part in ("why", "not there", "Name it", "REST-1107", "inner"):
        assert part in str(error)


@pytest.mark.parametrize("details", [None, [], "", {}])
def test_no_details_are_none(details):
    assert build_error(400, {"message": "m", "details": details}).details == ()


def test_an_empty_list_for_an_error_is_one_without_a_message():
    assert build_error(400, []).message == "Intacct answered HTTP 400 without a message"


# --- whether the access token is dead

DEAD, SUSPECT, ACCEPTED = TokenVerdict.DEAD, TokenVerdict.SUSPECT, TokenVerdict.ACCEPTED
CHALLENGE = {"WWW-Authenticate": 'Bearer realm="intacct", error="invalid_token", error_description="expired"'}


def in_detail(**fields):
    return {"code": "operationFailed", "errorId": "REST-7001", "message": "failed", "details": [fields]}


@pytest.mark.parametrize("status", [200, 400, 401, 403, 404, 422, 500])
@pytest.mark.parametrize(
    "error",
    [
        {"errorId": "REST-1206"},
        {"errorId": "REST-2102"},
        {"code": "GW-0031", "message": "Invalid JWT"},
        {"code": "GW-0034"},
        {"errorId": "gw-0040"},
        {"code": "tokenInvalid"},
        {"code": "invalid_token"},
        {"code": "TokenExpired", "errorId": "XX-0001"},
        in_detail(errorId="REST-1206"),
        in_detail(code="GW-0034", message="x", target="/x"),
        {"message": "m", "details": {"errorId": "REST-1206"}},
        {"errorId": "REST-1064", "details": [{"message": "a"}, in_detail(errorId="GW-0031")]},
        {"message": "failed", "details": ["REST-1206"]},
        {"message": "failed", "details": {"errors": [{"message": "a"}, {"errorId": "GW-0031"}]}},
        {"message": "[GW-0034] no access (request 7)"},
    ],
)
def test_ids_and_codes_of_a_dead_token_count_wherever_they_are(status, error):
    assert judge_token(status, error) is DEAD
    assert type(build_error(status, error)) is IntacctTokenError
    assert build_error(status, error).retryable


@pytest.mark.parametrize("status", [400, 401, 403])
@pytest.mark.parametrize(
    "header",
    [
        CHALLENGE,
        {"WWW-Authenticate": "Bearer error=INVALID_TOKEN"},
        {"WWW-Authenticate": "Bearer error='invalid_token'"},
    ],
)
def test_the_header_that_names_an_invalid_token_counts(status, header):
    assert judge_token(status, {"message": "No"}, header) is DEAD
    assert type(build_error(status, {}, headers=header)) is IntacctTokenError


@pytest.mark.parametrize(
    "message",
    [
        "Invalid token",
        "The token is not valid",
        "Expired token",
        "Invalid JWT.",
        "The access token has expired",
        "Unauthorized: the access token is invalid or has expired.",
        "Invalid or expired token",
        "Bearer token expired",
        "Your session token was revoked, please sign in again",
        "The OAuth access token is no longer valid",
        "The access token you provided has expired",
        "The access token provided is expired, revoked, malformed, or invalid for other reasons.",
    ],
)
def test_words_about_the_token_count_where_no_id_names_another_problem(message):
    assert judge_token(400, {"message": message}) is DEAD
    assert judge_token(400, {"message": message, "errorId": "XX-9999"}) is SUSPECT
    assert judge_token(403, {"message": message}) is SUSPECT
    assert judge_token(400, in_detail(message=message)) is SUSPECT
    assert judge_token(400, {"message": message, "errorId": "REST-1064"}) is ACCEPTED
    assert judge_token(400, {"message": message, "target": "/token"}) is ACCEPTED
    assert judge_token(422, {"message": message}) is ACCEPTED
    assert judge_token(500, {"message": message}) is ACCEPTED


@pytest.mark.parametrize(
    "message",
    [
        "Invalid token ')' in filterExpression",
        "Invalid token: unexpected character at position 5",
        "Invalid token, expected a number",
        "The field token is not a valid field",
        "token is required",
        "The token is not valid for the field paymentToken",
        "invalid tokenized card",
        "REST-1206 is not the id of a customer",
        "You do not have permission to list tokens",
        "Expired tokens cannot be assigned to the customer",
    ],
)
def test_words_about_another_token_are_an_error_like_any_other(message):
    assert judge_token(400, {"message": message}) is ACCEPTED
    assert type(build_error(400, {"message": message})) is IntacctValidationError


@pytest.mark.parametrize(
    ("status", "error", "verdict", "kind"),
    [
        (401, {}, DEAD, IntacctTokenError),
        (401, {"code": "unauthorizedUser", "message": "No"}, DEAD, IntacctTokenError),
        (401, {"errorId": "REST-1216"}, SUSPECT, IntacctAuthenticationError),
        (401, {"code": "GW-0011"}, SUSPECT, IntacctAuthenticationError),
        (400, {"errorId": "REST-1216"}, ACCEPTED, IntacctAuthenticationError),
        (403, {}, ACCEPTED, IntacctPermissionError),
        (403, {"code": "unauthorizedUser"}, ACCEPTED, IntacctPermissionError),
        (403, {"code": "GW-0042", "message": "Invalid token"}, ACCEPTED, IntacctPermissionError),
        (401, {"code": "GW-0010"}, SUSPECT, IntacctRateLimitError),
    ],
)
def test_status_and_ids_decide_about_the_token_together(status, error, verdict, kind):
    assert judge_token(status, error) is verdict
    assert type(build_error(status, error)) is kind


@pytest.mark.parametrize(
    "body",
    [
        {"ia::error": [{"message": "failed"}, {"errorId": "GW-0034"}]},
        {"error": [{"code": "invalid_token"}]},
        {"code": "invalid_token", "message": "No"},
        {"errors": [{"message": "failed"}, {"errorId": "GW-0034"}]},
        {"fault": {"code": "GW-0034", "message": "No"}},
    ],
)
def test_errors_in_lists_and_without_an_envelope_count(body):
    reply = Reply(400, {}, body)
    assert judge_reply(Request("GET", "/x"), reply) is DEAD
    assert type(reply.error()) is IntacctTokenError


@pytest.mark.parametrize(
    "body",
    [
        {"ia::status": 401},
        {"ia::result": {"ia::status": "401 Unauthorized"}},
        {"ia::result": [{"ia::status": 401}]},
    ],
)
def test_a_status_in_the_content_counts(body):
    assert judge_reply(Request("POST", "/x"), Reply(200, {}, body)) is DEAD


def test_an_error_without_an_envelope_keeps_its_message():
    assert (
        str(Reply(400, {}, {"message": "No such field", "code": "bad"}).error())
        == "No such field (HTTP 400, bad)"
    )
    assert str(Reply(400, {}, {"errors": ["One", "Two"]}).error()) == "One: Two (HTTP 400)"
    assert Reply(200, {}, {"message": "a field of a record", "code": "a field"}).error() is None


def test_rejected_tokens_are_worth_a_retry_and_rejected_credentials_are_not():
    error = build_error(401, {"message": "No"})
    assert isinstance(error, IntacctAuthenticationError)
    assert "issued new access tokens and rejected them" in str(error)
    assert (error.retryable, IntacctAuthenticationError("m").retryable) == (True, False)
