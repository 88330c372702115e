"""Plain English: refuse phrases and function names that readers stumble over, and say what to write instead."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("intacct_provider", "example_dags", "tests", "tools", "benchmarks", "docs", ".ci")
#: Texts that are not ours to change, and what is built from ours.
SKIPPED = ("LICENSE", "constraints.txt", "benchmarks/constraints.txt", "benchmarks/results/", "docs/_build/")
SUFFIXES = {".py", ".md", ".html", ".js", ".css", ".toml", ".yaml", ".yml", ".csv", ".txt"}

#: What to look for, and what to write instead. Only phrases that are wrong in nearly every use.
PHRASES = {
    r"untold": "unknown",
    r"told(?! to\b(?! be\b))": "reported, said, configured, asked; 'by default' for 'unless told otherwise'",
    r"tells": "says, reports, shows, names; 'distinguishes' for 'tells apart'",
    r"(?<!can )(?<!could )(?<!to )tell": "return, report, show, notify; 'distinguish' for 'tell apart'",
    r"(?<!there )is (?-i:none)\b(?! %})": "is not a ..., is missing, is not one of ...",
    r"(?<!there )(?:is|are) no\b(?! longer| more than| less than| fewer than)": "is not a ..., are not ...",
    r"is for no": "is not for a ..., is not a ...",
    r"guilty": "rejected",
    r"(?:of|be|are|is) no use": "cannot be used",
    r"beside each other": "in parallel",
    r"(?:is|are|be) not there": "not found, missing, not supported",
    r"(?:that|which|what|if it|it) (?:is|are|was|were) there": "exists, existing, found",
    r"half of a character": "a lone surrogate",
    r"whoever": "a caller who, readers, everyone who",
    r"mend(?:s|ed|ing)?": "fix, correct",
    r"anew": "again, from the start",
    r"for good": "permanently, for the last time",
    r"bec(?:omes?|ame) of": "the outcome of",
    r"things stand": "the state, the progress",
    r"under way": "in flight, running, in progress",
    r"so many": "this many, up to N",
    r"half way": "partway",
    r"(?:a|the|each|every|another|first|second|last|next|earlier) tr(?:y|ies)(?! to)": "attempt",
    r"(?:in a circle|circles)": "in a cycle, cycles",
    r"neither yes nor no": "not whether it happened",
    r"goes? on \w+ing": "keeps ...ing",
    r"do(?:es)? not mind": "is not affected by",
    r"stands? under": "is the value of, is below",
    r"need each other": "refer to each other",
    r"tak(?:es?|en) (?:it|them|that|this) for": "treat it as",
    r"(?:has|have) not(?=[.,;:)])": "does not have, cannot",
    r"(?:another|earlier|first|second|last|each|later|next|n-th) sending|sendings": "request, attempt",
    r"under HTTP": "with HTTP",
}
PATTERNS = {
    re.compile(rf"(?<![\w`]){phrase}(?![\w`])", re.IGNORECASE): use for phrase, use in PHRASES.items()
}

#: Where a phrase is right: file, words around it, reason.
ALLOWED: list[tuple[str, str, str]] = [
    (
        "intacct_provider/client/idempotency.py",
        "in progress|under way",
        "words of Intacct's messages",
    ),
]

ANY_PHRASE = re.compile("|".join(f"(?:{pattern.pattern})" for pattern in PATTERNS), re.IGNORECASE)

COMMENT = re.compile(r"^(?P<before>.*?)(?:(?<=\s)|^)#+[:!]?\s*(?P<words>.*)$")
#: Names of functions that are a participle and nothing else, such as ``planned``.
PARTICIPLE = re.compile(
    r"_*(?:[a-z]+ed|told|made|known|given|taken|shown|written|kept|held|left|found|sent|met)"
)
#: Verbs that end like a participle.
VERBS = {"embed", "exceed", "feed", "need", "proceed", "seed", "shed"}
#: Public methods, whose names stay.
PUBLIC = {"changed"}


def list_files(*folders: str) -> list[Path]:
    """Return the files of the repository that are ours to write, or those of some folders."""
    found = [path for name in folders or FOLDERS for path in (ROOT / name).rglob("*")]
    if not folders:
        found += ROOT.glob("*")
    return [
        path
        for path in sorted(found)
        if path.is_file()
        and path != Path(__file__)
        and not str(path.relative_to(ROOT)).startswith(SKIPPED)
        and (path.suffix in SUFFIXES or path.name in ("Makefile", "run"))
    ]


def read_texts(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the line and the words of each text: a paragraph, comment, docstring or string."""
    source = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        line = 1
        for paragraph in re.split(r"(\n\s*\n)", source):
            yield line, " ".join(paragraph.split())
            line += paragraph.count("\n")
        return
    yield from read_comments(source)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, " ".join(node.value.split())


def read_comments(source: str) -> Iterator[tuple[int, str]]:
    """Yield comments, those of consecutive lines as one."""
    first, words = 0, ""
    for line, text in enumerate(source.split("\n"), start=1):
        comment = COMMENT.search(text)
        if comment and comment["before"].strip() == "" and words:
            words += f" {comment['words']}"
            continue
        if words:
            yield first, words
        first, words = line, comment["words"] if comment else ""
    if words:
        yield first, words


def find_phrases(text: str) -> Iterator[tuple[str, str]]:
    """Yield the phrases of a text that readers stumble over, and what to write instead."""
    if not ANY_PHRASE.search(text):
        return
    for pattern, use in PATTERNS.items():
        for found in pattern.finditer(text):
            yield text[max(found.start() - 30, 0) : found.end() + 30], use


def is_allowed(path: str, text: str) -> bool:
    """Return whether a text is on the list of exceptions."""
    return any(path == file and words in text for file, words, _ in ALLOWED)


def test_texts_are_in_plain_english() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: ...{words}...  Write: {use}"
        for path in list_files()
        for line, text in read_texts(path)
        if not is_allowed(str(path.relative_to(ROOT)), text)
        for words, use in find_phrases(text)
    ]
    assert not found, "\n" + "\n".join(sorted(set(found)))


def test_there_are_texts_to_check() -> None:
    files = list_files()
    assert len(files) > 400
    assert sum(1 for path in files[:50] for _ in read_texts(path)) > 500


def test_exceptions_are_still_needed() -> None:
    for file, words, _ in ALLOWED:
        texts = [text for _, text in read_texts(ROOT / file) if words in text]
        assert any(list(find_phrases(text)) for text in texts), f"{file} no longer needs an exception"


@pytest.mark.parametrize(
    "text",
    [
        "None if untold",
        "an error that tells which",
        "mode='merge' is not there for this database",
        "the address is no URL",
        "which is none of the choices",
        "Whoever stops early",
        "what a retry cannot mend",
        "the first try of the task",
        "one in so many calls",
        "records that refer to each other in a circle",
    ],
)
def test_a_phrase_is_found(text: str) -> None:
    assert list(find_phrases(text))


@pytest.mark.parametrize(
    "text",
    [
        "None if unknown",
        "there is no such object, and there is none like it",
        "what the retries try to do",
        "it is no longer used, and is no more than a hint",
        "a recommendation that amends `told`",
        "{% if value is none %}",
    ],
)
def test_plain_words_pass(text: str) -> None:
    assert not list(find_phrases(text))


def list_functions() -> Iterator[tuple[str, str, bool]]:
    """Yield module, name and whether it is a value (a property or fixture) of each function of the package."""
    for path in list_files("intacct_provider", "example_dags"):
        if path.suffix == ".py":
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    decorators = {ast.unparse(one).split("(")[0] for one in node.decorator_list}
                    yield str(path.relative_to(ROOT)), node.name, bool(decorators)


def is_noun(name: str) -> bool:
    """Return whether a function's name is a participle, or a noun that ends in ``_of``."""
    if name.endswith("_of"):
        return not name.endswith("as_of")
    return bool(PARTICIPLE.fullmatch(name)) and name.strip("_") not in VERBS | PUBLIC


def test_functions_are_named_by_verbs() -> None:
    found = [
        f"{module}: {name}()" for module, name, is_value in list_functions() if not is_value and is_noun(name)
    ]
    assert not found, f"{len(found)}\n" + "\n".join(sorted(found))
