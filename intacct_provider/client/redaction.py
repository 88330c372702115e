"""Text of a server made fit for a message: without secrets, without characters that control a terminal or a log."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterable, Iterator, Sequence
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
        # Replaced as a whole, since threads share it: the pattern, and the secrets that it matches.
        self._compiled = (self._fixed, _build_pattern(self._fixed))

    def add(self, secret: str) -> None:
        """Mask this secret from now on, too."""
        if secret and secret not in self._fixed and secret not in self._recent:
            # Tokens come and go; those in use are among the last.
            self._recent = (*self._recent, secret)[-_MOST_RECENT:]

    def clean(self, text: str) -> str:
        """Return text on one line, without secrets and control characters."""
        secrets = (*self._fixed, *self._recent)
        matched, pattern = self._compiled
        if matched != secrets:
            pattern = _build_pattern(secrets)
            self._compiled = (secrets, pattern)
        plain = _unescape(text)
        if plain != text and pattern.search(_fold(plain)):
            text = plain
        # A secret can have spaces that cleaning joins, and invisible characters in between that it removes.
        text = _mask(pattern, clean_text(_mask(pattern, text)))
        # It can be split over lines or words. What is shorter may be parts of words.
        return _mask(pattern, text, [n for n, one in enumerate(text) if not one.isspace()], _BEGINNING)


def _unescape(text: str) -> str:
    """Return text without the escapes of JSON and HTML."""
    return html.unescape(_ESCAPED.sub(lambda found: chr(int(found[1], 16)) if found[1] else found[2], text))


def _fold(text: str) -> str:
    """Return text in small letters, each character at its place."""
    folded = text.lower()
    return folded if len(folded) == len(text) else "".join(one.lower()[0] for one in text)


def _mask(pattern: re.Pattern[str], text: str, kept: Sequence[int] | None = None, shortest: int = 0) -> str:
    """Mask what matches.

    :param kept: positions of the characters that are looked at; by default all.
    :param shortest: characters of a match at least.
    """
    folded = _fold(text)
    places = range(len(text)) if kept is None else kept
    for found in reversed([*pattern.finditer("".join(folded[n] for n in kept) if kept else folded)]):
        if len(found[0]) >= shortest:
            text = text[: places[found.start()]] + MASK + text[places[found.end() - 1] + 1 :]
    return text


def _mask_token(found: re.Match[str]) -> str:
    scheme, space, name, separator = found.groups()
    return f"{scheme or name or ''}{space or separator or ''}{MASK}"


def _build_pattern(secrets: Iterable[str]) -> re.Pattern[str]:
    """Return what matches each secret in each of its forms, in small letters; the longest first."""
    forms = {_fold(form) for secret in secrets for form in _iter_forms(secret)}
    whole = [re.escape(form) for form in sorted(forms, key=len, reverse=True)]
    begun = [
        re.escape(_fold(one[:_BEGINNING])) + r"[\w.~+/=-]*" for one in secrets if len(one) >= 2 * _BEGINNING
    ]
    # Without a secret: something that is never found.
    return re.compile("|".join([*whole, *begun]) or r"(?!)")


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
