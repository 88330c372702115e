"""Text of a server made fit for a message: without secrets, without characters that control a terminal or a log."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import quote, quote_plus

MASK = "***"
#: Secrets shorter than this would tear words apart; no issued secret or token is so short.
_SHORTEST = 4
#: The same for what a secret looks like in another encoding.
_SHORTEST_ENCODED = 6
#: Characters from which the beginning of a long secret is recognized: servers shorten tokens in their messages.
_BEGINNING = 12
_MOST_RECENT = 20

# Whole sequences, so that no "[31m" is left of them.
_ESCAPE_SEQUENCES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # colors and cursor
    # Titles and links. One without an end is not one: what follows must not be swallowed.
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x90\x98\x9c-\x9f]*(?:\x07|\x1b\\|\x9c)"
    r"|\x1b[ -/]*[0-~]?"
)
#: Control characters, format characters that turn or hide text, and lone surrogates, which no log can encode.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e0fff\ud800-\udfff]"
)
_TOKENS = re.compile(
    r"\b(bearer|basic)(\s+)(?=[\w.~+/-]*\d|[\w.~+/-]{24})[\w.~+/-]{8,}=*"
    r"|\b((?:access|refresh|id)_token|client_secret|password)([\"']?=[\"']?|[\"']\s*:\s*[\"'])[^\s\"'&,;]+"
    r"|\beyJ[\w-]{5,}\.[\w-]+\.[\w-]*",
    re.IGNORECASE,
)

_ESCAPED = re.compile(r"\\(?:u([0-9a-f]{4})|([/\"]))", re.IGNORECASE)


def clean_text(text: str) -> str:
    """Return text on one line, without control characters and without anything that looks like a token."""
    text = _INVISIBLE.sub("", _ESCAPE_SEQUENCES.sub("", text))
    return _TOKENS.sub(_mask_token, " ".join(text.split()))


class Redactor:
    """Cleans text of a server, and masks the secrets that it may have echoed, also encoded for a URL or in base64.

    :param secrets: known from the beginning.
    """

    def __init__(self, *secrets: str) -> None:
        self._fixed = tuple(filter(None, secrets))
        self._recent: tuple[str, ...] = ()
        #: Of the secrets in use. Replaced as a whole, since threads share it.
        self._forms: dict[str, frozenset[str]] = {}

    def add(self, secret: str) -> None:
        """Mask this secret from now on, too."""
        if secret and secret not in self._fixed and secret not in self._recent:
            # Tokens come and go; those in use are among the last.
            self._recent = (*self._recent, secret)[-_MOST_RECENT:]

    def clean(self, text: str) -> str:
        """Return text on one line, without secrets and control characters."""
        known = self._forms
        self._forms = {one: known.get(one) or _list_forms(one) for one in (*self._fixed, *self._recent)}
        forms = self._forms
        plain = _unescape(text)
        if plain != text and _build_pattern(forms, _fold(plain)):
            text = plain
        # A secret can have spaces that cleaning joins, and invisible characters in between that it removes.
        text = _mask(forms, clean_text(_mask(forms, text)))
        # It can be split over lines or words. What is shorter may be parts of words.
        return _mask(forms, text, [n for n, one in enumerate(text) if not one.isspace()], _BEGINNING)


def _unescape(text: str) -> str:
    """Return text without the escapes of JSON and HTML."""
    return html.unescape(_ESCAPED.sub(lambda found: chr(int(found[1], 16)) if found[1] else found[2], text))


def _fold(text: str) -> str:
    """Return text in small letters, each character at its place."""
    folded = text.lower()
    return folded if len(folded) == len(text) else "".join(one.lower()[0] for one in text)


def _mask(
    forms: Mapping[str, frozenset[str]], text: str, kept: Sequence[int] | None = None, shortest: int = 0
) -> str:
    """Mask secrets in each of their forms.

    :param kept: positions of the characters that are looked at; by default all.
    :param shortest: characters of what is masked at least.
    """
    folded = _fold(text)
    places = range(len(text)) if kept is None else kept
    searched = folded if kept is None else "".join(folded[n] for n in kept)
    pattern = _build_pattern(forms, searched)
    for found in reversed([*pattern.finditer(searched)] if pattern else []):
        if len(found[0]) >= shortest:
            text = text[: places[found.start()]] + MASK + text[places[found.end() - 1] + 1 :]
    return text


def _mask_token(found: re.Match[str]) -> str:
    scheme, space, name, separator = found.groups()
    return f"{scheme or name or ''}{space or separator or ''}{MASK}"


def _build_pattern(forms: Mapping[str, frozenset[str]], text: str) -> re.Pattern[str] | None:
    """Return what matches the secrets in a text, the longest first; None if it has none.

    Only what the text has is compiled: a pattern of all forms takes longer than the request whose error is cleaned.
    """
    whole = {form for some in forms.values() for form in some if form in text}
    begun = {_fold(one[:_BEGINNING]) for one in forms if len(one) >= 2 * _BEGINNING}
    found = [re.escape(form) for form in sorted(whole, key=len, reverse=True)]
    found += [re.escape(one) + r"[\w.~+/=-]*" for one in begun if one in text]
    return re.compile("|".join(found)) if found else None


def _list_forms(secret: str) -> frozenset[str]:
    """Return a secret in each of its forms, in small letters."""
    return frozenset(map(_fold, _iter_forms(secret)))


def _iter_forms(secret: str) -> Iterator[str]:
    if len(secret) < _SHORTEST:
        return
    yield secret
    yield "".join(secret.split()) or secret
    data = secret.encode("utf-8", "surrogatepass")
    quoted = (quote(data, safe=""), quote(data, safe="/"), quote(data, safe="!*'()"), quote_plus(data))
    escaped = (html.escape(secret), json.dumps(secret)[1:-1], data.hex(), quote(quoted[0], safe=""))
    for form in (*quoted, *escaped, *_iter_base64(data)):
        if len(form) >= _SHORTEST_ENCODED:
            yield form


def _iter_base64(data: bytes) -> Iterator[str]:
    """Yield what a secret is in the base64 of a longer text, such as ``id:secret``, wherever it begins there."""
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + data).decode()
        # Characters at both ends belong partly to what is before and after it.
        inner = encoded[-(-before * 8 // 6) : (before + len(data)) * 8 // 6]
        yield inner
        yield inner.translate(str.maketrans("+/", "-_"))
