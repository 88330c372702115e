"""What a server says is shown without secrets that it repeats, and without characters that control a terminal."""

from __future__ import annotations

import base64
import html
import json
import unicodedata
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intacct_provider.client.errors import build_error
from intacct_provider.client.redaction import Redactor, clean_text

SECRET = 'p/ss wörd+<1>"=&secret'


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        quote(SECRET),
        quote(SECRET, safe=""),
        quote_plus(SECRET),
        quote(SECRET, safe="").lower().replace("%c3%b6", "%c3%b6"),
        quote(quote(SECRET, safe=""), safe=""),
        html.escape(SECRET),
        json.dumps(SECRET),
        SECRET.encode().hex(),
        base64.b64encode(SECRET.encode()).decode(),
        base64.urlsafe_b64encode(SECRET.encode()).decode(),
        *(base64.b64encode(f"{'i' * n}:{SECRET}:x".encode()).decode() for n in range(3)),
        SECRET.upper(),
        SECRET.encode().hex().upper(),
        "\n".join(SECRET[n : n + 8] for n in range(0, len(SECRET), 8)),
        " ".join(SECRET),
        "\r\n ".join(base64.b64encode(SECRET.encode()).decode()[n : n + 8] for n in range(0, 32, 8)),
        "".join(f"\\u{ord(character):04X}" for character in SECRET),
        "".join(f"&#{ord(character)};" for character in SECRET),
        SECRET.replace("/", "\\/"),
        SECRET.replace("/", "&#x2F;").replace("=", "&#61;"),
        'p/ss wö\x00rd+<1>"=&sec\u200bret',
        'p/ss  \x1b[31mwörd+<1>"=&secret',
    ],
)
def test_a_secret_is_masked_in_every_form(form):
    shown = Redactor(SECRET).clean(f"client secret {form}!")
    assert "***" in shown
    for part in ("secret=", "wörd", "p/ss", "cGF", SECRET.encode().hex()[4:20], form[8:20]):
        assert part not in shown
    assert shown.startswith("client secret ")


def test_every_secret_that_was_added_is_masked_and_old_tokens_are_forgotten():
    redactor = Redactor("first-secret", "")
    assert redactor.clean("first-secret token-1") == "*** token-1"
    redactor.add("token-1")
    redactor.add("")
    assert redactor.clean("first-secret token-1") == "*** ***"
    for n in range(2, 40):
        redactor.add(f"token-{n}")
    assert redactor.clean("first-secret token-1, token-39") == "*** token-1, ***"


def test_a_long_secret_that_is_cut_short_is_masked_too():
    token = "eyx9876543210-abcdefghijklmnopqrstuvwxyz"
    for shown in (token[:20] + "...", token[:12], token[:30] + "/x"):
        assert token[:12] not in Redactor(token).clean(f"token {shown} is old")
    assert Redactor(token).clean(f"token {token[:11]} is old") == f"token {token[:11]} is old"


def test_a_longer_secret_is_masked_before_one_that_it_contains():
    assert Redactor("abcdef", "abcdef-ghi").clean("x abcdef-ghi y abcdef z") == "x *** y *** z"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Authorization: Bearer abc123def456.x_y-z", "Authorization: Bearer ***"),
        ("BEARER  abcdefghijklmnopqrstuvwxyz", "BEARER ***"),
        ("Basic aWQ6c2VjcmV0MQ==", "Basic ***"),
        ("grant_type=x&client_secret=hunter2&y=1", "grant_type=x&client_secret=***&y=1"),
        ('{"access_token": "hunter2", "a": 1}', '{"access_token": "***", "a": 1}'),
        ("is eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dozjgNryP4J3 valid", "is *** valid"),
        ("The bearer authorization is missing", "The bearer authorization is missing"),
        ("Basic subscription is required", "Basic subscription is required"),
        ("password: must be 8 characters", "password: must be 8 characters"),
        ("The token is not valid", "The token is not valid"),
    ],
)
def test_what_looks_like_a_token_is_masked_and_words_are_not(text, shown):
    assert clean_text(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[31;1mred\x1b[0m b", "ared b"),
        ("a\x9b31mred", "ared"),
        ("\x1b]0;title\x07a\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "alink"),
        ("it\x9d s \x1b]0;never ended", "it s 0;never ended"),
        ("a\r\nb\tc\x0bd\x0ce\x1cf\x85g\u2028h\u2029i", "a b c d e f g h i"),
        ("\x00a\x07\x08\x7fb\x80\x9f", "ab"),
        ("a\u202eb\u2066c\u2069d\u200be\u200f\ufefff\u061c\u00ad", "abcdef"),
        ("a\ud800b\U000e0041", "ab"),
        ("Größe 5 € 表", "Größe 5 € 表"),
    ],
)
def test_control_characters_are_removed(text, shown):
    assert clean_text(text) == shown


def is_harmless(character):
    return unicodedata.category(character) not in ("Cc", "Cs", "Zl", "Zp") and not (
        "\u202a" <= character <= "\u202e" or "\u2066" <= character <= "\u2069"
    )


@settings(derandomize=True, deadline=None, max_examples=300)
# Without the forms in this file, which Hypothesis takes its texts from, too; they look like a request's body.
@given(st.text(alphabet=st.characters(exclude_characters="=:"), max_size=30))
def test_no_text_brings_a_control_character_into_any_part_of_an_error(text):
    detail = {"message": text, "errorId": text, "target": text, "code": text, "correction": text}
    holder = {"placeholders": {text: {text: [text]}}}
    error = build_error(400, {**detail, "supportId": text, "details": [detail], "additionalInfo": holder})
    parts = [str(error), *error.placeholders, *error.placeholders.values(), *error.details[0:1]]
    assert all(map(is_harmless, "".join("".join(part) for part in parts)))
