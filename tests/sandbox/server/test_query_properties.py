"""The query service against an evaluation of the same query in plain Python.

The sandbox is asked over real HTTP; the expected answer comes from this file alone, over records that it made
up itself. None of the sandbox's code takes part in it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from fractions import Fraction
from functools import cache
from typing import Any

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from intacct_provider.sandbox import Sandbox

CUSTOMER = "accounts-receivable/customer"
COUNT = 200
PRIVATE = 12
NOW = datetime(2026, 5, 14, 9, 30, tzinfo=UTC)  # a Thursday


def examples(count: int) -> settings:
    """Return settings that give the same examples everywhere."""
    return settings(
        max_examples=count,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


# --- the records, and what each field's value is worth -------------------------------------------------------

KINDS = {
    "key": "key",
    "id": "text",
    "name": "text",
    "notes": "text",
    "status": "text",
    "customerAccountHealth.healthScore": "integer",
    "creditLimit": "number",
    "totalDue": "cents",
    "isOnHold": "boolean",
    "lastInvoiceCreatedDate": "date",
    "audit.modifiedDateTime": "moment",
    "parent.key": "key",
    "parent.name": "text",
    "parent.totalDue": "cents",
    "parent.isOnHold": "boolean",
    "parent.lastInvoiceCreatedDate": "date",
    "parent.parent.creditLimit": "number",
    "parent.parent.audit.modifiedDateTime": "moment",
    "parent.customerAccountHealth.healthScore": "integer",
    "term.id": "text",
}
OWN = [path for path in KINDS if "." not in path.replace("customerAccountHealth.", "").replace("audit.", "")]
TERMS = ["Net 30", "net 30", "Due on receipt", "30 % in advance"]
NAMES = [
    *(
        "acme",
        "ACME",
        "Acme",
        "O'Malley & Sons",
        'Harbor "H2", Inc.',
        "Café",
        "CAFÉ",
        "Cafe\u0301",
        "100%",
        "1000",
    ),
    *(
        "a_b",
        "a%b",
        "axb",
        "Straße",
        "STRASSE",
        "Łódź",
        "ß",
        "日本電子",
        "🦅 Falcon",
        "zebra",
        "Zebra",
        "  padded ",
    ),
    *("\\back", "tab\tname", "İzmir", "NULL", "-1", "(1 and 2)"),
]


@dataclass(frozen=True)
class Company:
    """A running sandbox and the records in it, by key: value of each field, as this file understands it."""

    url: str
    session: requests.Session
    records: dict[int, dict[str, Any]]

    def query(self, **body: Any) -> requests.Response:
        return self.session.post(f"{self.url}/services/core/query", json={"object": CUSTOMER, **body})

    def rows(self, **body: Any) -> list[dict[str, Any]]:
        answer = self.query(**{"size": 4000, **body})
        assert answer.status_code == 200, answer.text
        rows: list[dict[str, Any]] = answer.json()["ia::result"]
        assert answer.json()["ia::meta"]["totalCount"] >= len(rows)
        return rows

    def keys(self, **body: Any) -> set[int]:
        rows = self.rows(fields=["key"], **body)
        keys = {int(row["key"]) for row in rows}
        assert len(keys) == len(rows)
        return keys

    @property
    def shared(self) -> list[dict[str, Any]]:
        return [record for record in self.records.values() if not record["private"]]


@pytest.fixture(scope="module")
def company() -> Iterator[Company]:
    with Sandbox(seed="empty", clock=lambda: NOW) as sandbox, requests.Session() as session:
        form = {
            "grant_type": "client_credentials",
            "client_id": "sandbox-client",
            "client_secret": "sandbox-secret",
            "username": "airflow@SANDBOX",
        }
        token = session.post(f"{sandbox.url}/oauth2/token", data=form).json()["access_token"]
        session.headers["Authorization"] = f"Bearer {token}"
        records = dict(fill(sandbox, session))
        relate(records)
        yield Company(sandbox.url, session, records)


def fill(sandbox: Sandbox, session: requests.Session) -> Iterator[tuple[int, dict[str, Any]]]:
    """Make the records over the API, then set in the database what only Intacct itself can set."""
    generator = random.Random(1)
    write(session, sandbox, "company-config/entity", [{"id": "E-TEST", "name": "Test", "federalId": "1"}])
    write(session, sandbox, "accounts-receivable/term", [{"id": term, "description": term} for term in TERMS])
    parents: list[str] = []
    made = [customer(generator, number, parents) for number in range(COUNT + PRIVATE)]
    keys = write(session, sandbox, CUSTOMER, [payload for payload, _ in made[:COUNT]])
    keys += write(session, sandbox, CUSTOMER, [payload for payload, _ in made[COUNT:]], entity="E-TEST")
    with sandbox.store.transaction() as connection:
        for key, (_, record) in zip(keys, made, strict=True):
            record["key"] = key
            due = None if record["totalDue"] is None else int(record["totalDue"] * 100)
            day, moment = record["lastInvoiceCreatedDate"], record["audit.modifiedDateTime"]
            connection.execute(
                'UPDATE "accounts-receivable/customer" SET "totalDue" = ?, "lastInvoiceCreatedDate" = ?,'
                ' "audit.modifiedDateTime" = ? WHERE "key" = ?',
                (due, day and day.isoformat(), moment.strftime("%Y-%m-%dT%H:%M:%SZ"), key),
            )
            yield key, record


def write(
    session: requests.Session, sandbox: Sandbox, name: str, payloads: list[Any], entity: str | None = None
) -> list[int]:
    headers = {"X-IA-API-Param-Entity": entity} if entity else {}
    answer = session.post(f"{sandbox.url}/objects/{name}", json=payloads, headers=headers)
    assert answer.status_code == 201, answer.text
    return [int(result["key"]) for result in answer.json()["ia::result"]]


def customer(
    generator: random.Random, number: int, parents: list[str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a payload for the API and the same record as values."""
    limit = None if generator.random() < 0.2 else generator.randrange(-8, 400) / 4
    score = None if generator.random() < 0.2 else generator.randrange(100)
    payload: dict[str, Any] = {
        "id": f"{generator.choice('CcÇ')}-{number:03d}",
        "name": generator.choice(NAMES),
        "notes": generator.choice([None, "", *NAMES]),
        "status": generator.choice([None, "active", "inactive", "activeNonPosting"]),
        "creditLimit": limit,
        "isOnHold": generator.random() < 0.4,
        "customerAccountHealth": {"healthScore": score},
    }
    record = {path: payload[path] for path in ("id", "name", "notes", "status", "isOnHold")}
    record["creditLimit"] = None if limit is None else Fraction(limit)
    record["customerAccountHealth.healthScore"] = score
    cents = Fraction(generator.randrange(-20_000, 2_000_000), 100)
    record["totalDue"] = None if generator.random() < 0.2 else cents
    day = NOW.date() - timedelta(days=generator.choice([generator.randrange(40), generator.randrange(900)]))
    record["lastInvoiceCreatedDate"] = None if generator.random() < 0.2 else day
    ago = generator.choice([generator.randrange(40 * 86400), generator.randrange(900 * 86400)])
    # Some moments are the first or the last second of a day.
    moment = NOW - timedelta(seconds=ago)
    edge = generator.choice(
        [{}, {}, {"hour": 0, "minute": 0, "second": 0}, {"hour": 23, "minute": 59, "second": 59}]
    )
    record["audit.modifiedDateTime"] = moment.replace(**edge)
    record["term.id"] = generator.choice([None, *TERMS])
    record["private"] = number >= COUNT
    if record["term.id"]:
        payload["term"] = {"id": record["term.id"]}
    record["parent"] = None
    if number >= 20 and generator.random() < 0.7:
        record["parent"] = generator.choice(parents) if number < COUNT else parents[0]
        payload["parent"] = {"id": record["parent"]}
    if number < 60:
        parents.append(payload["id"])
    return payload, record


def relate(records: dict[int, dict[str, Any]]) -> None:
    """Add the values of related records, two levels up."""
    by_id = {record["id"]: record for record in records.values()}
    for record in records.values():
        parent = by_id.get(record["parent"], {})
        grandparent = by_id.get(parent.get("parent"), {})
        for path in KINDS:
            if path.startswith("parent.parent."):
                record[path] = grandparent.get(path.removeprefix("parent.parent."))
            elif path.startswith("parent."):
                record[path] = parent.get(path.removeprefix("parent."))


def wire(path: str, value: Any) -> Any:
    """Return a value as the API shows it."""
    kind = KINDS[path]
    if value is None:
        return None
    if kind == "key":
        return str(value)
    if kind == "number":
        return int(value) if value.denominator == 1 else float(value)
    if kind == "cents":
        return decimals(value)
    if kind == "moment":
        return value.strftime("%Y-%m-%dT%H:%M:%SZ")
    return value.isoformat() if kind == "date" else value


def decimals(value: Fraction) -> str:
    """Return an amount with two decimals, halves rounded away from zero."""
    cents = int(abs(value) * 100 + Fraction(1, 2))
    sign = "-" if value < 0 and cents else ""
    return f"{sign}{cents // 100}.{cents % 100:02d}"


# --- what a filter value means -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Days:
    """The meaning of a macro: a run of days."""

    first: date
    last: date


@cache
def macro_days(macro: str, today: date) -> Days:
    """Find a macro's days by looking at every day around `today`, so as not to share the sandbox's arithmetic."""

    def month(day: date) -> int:
        return day.year * 12 + day.month - 1

    week: Callable[[date], int] = lambda day: (day.toordinal() - 1) // 7  # noqa: E731 - 0001-01-01 was a Monday
    quarter: Callable[[date], int] = lambda day: month(day) // 3  # noqa: E731
    unit, back = {
        "today": (date.toordinal, 0),
        "yesterday": (date.toordinal, 1),
        "currentWeek": (week, 0),
        "lastWeek": (week, 1),
        "currentMonth": (month, 0),
        "priorMonth": (month, 1),
        "currentQuarter": (quarter, 0),
        "priorQuarter": (quarter, 1),
        "currentYear": (lambda day: day.year, 0),
        "priorYear": (lambda day: day.year, 1),
    }[macro]
    around = [today + timedelta(days=offset) for offset in range(-800, 400)]
    days = [day for day in around if unit(day) == unit(today) - back]
    return Days(min(days), max(days))


MACROS = [
    *("today", "yesterday", "currentWeek", "lastWeek", "currentMonth", "priorMonth"),
    *("currentQuarter", "priorQuarter", "currentYear", "priorYear"),
]


@dataclass(frozen=True)
class Value:
    """A filter's value: as it is sent, and what it means (for a macro: its name)."""

    sent: Any
    means: Any
    macro: bool = False


NEGATIONS = {
    "$ne": "$eq",
    "$notIn": "$in",
    "$notBetween": "$between",
    "$notContains": "$contains",
    "$notStartsWith": "$startsWith",
    "$notEndsWith": "$endsWith",
}
TEXT_OPERATORS = ["$contains", "$notContains", "$startsWith", "$notStartsWith", "$endsWith", "$notEndsWith"]
SCALARS = ["$eq", "$ne", "$lt", "$lte", "$gt", "$gte"]
LISTS = ["$in", "$notIn", "$between", "$notBetween"]
OPERATORS = [*SCALARS, *LISTS, *TEXT_OPERATORS]


def text_values(stored: list[Any]) -> st.SearchStrategy[Value]:
    known = st.sampled_from(sorted({*stored, *NAMES}))
    pieces = known.flatmap(
        lambda text: st.builds(lambda a, b: text[min(a, b) : max(a, b)], *(edge(text), edge(text)))
    )
    typed = st.text(alphabet="aAcCéÉ%_'ß1-\\ ", max_size=4)
    texts = st.one_of(known, known.map(str.upper), pieces, typed)
    numbers = st.integers(0, 1000).map(lambda number: Value(number, str(number)))
    return st.one_of(
        texts.map(lambda text: Value(text, text)), texts.map(lambda text: Value(text, text)), numbers
    )


def edge(text: str) -> st.SearchStrategy[int]:
    return st.integers(0, len(text))


def number_values(stored: list[Any]) -> st.SearchStrategy[Value]:
    steps = st.sampled_from([Fraction(0), Fraction(1, 100), Fraction(-1, 4), Fraction(1, 1000), Fraction(7)])
    numbers = st.builds(lambda number, step: Fraction(number) + step, st.sampled_from(stored), steps)
    as_text = numbers.map(lambda number: Value(plain(number), number))
    # As a JSON number only what floating point holds exactly.
    exact = numbers.map(lambda number: Fraction(round(number * 4), 4))
    as_number = exact.map(
        lambda number: Value(float(number) if number.denominator > 1 else int(number), number)
    )
    return st.one_of(as_text, as_number)


def plain(number: Fraction) -> str:
    sign, thousandths = "-" if number < 0 else "", round(abs(number) * 1000)
    return f"{sign}{thousandths // 1000}.{thousandths % 1000:03d}"


def key_values(stored: list[Any]) -> st.SearchStrategy[Value]:
    keys = st.sampled_from([*stored, 0, 1, 9, 10, 99, 100, 10**12])
    return st.one_of(keys.map(lambda key: Value(str(key), key)), keys.map(lambda key: Value(key, key)))


def date_values(stored: list[Any]) -> st.SearchStrategy[Value]:
    days = st.builds(
        lambda day, step: day + timedelta(days=step), st.sampled_from(stored), st.integers(-2, 2)
    )
    macros = st.sampled_from(MACROS).map(lambda macro: Value(macro, macro, macro=True))
    return st.one_of(days.map(lambda day: Value(day.isoformat(), day)), macros)


def moment_values(stored: list[Any]) -> st.SearchStrategy[Value]:
    steps = st.sampled_from([0, 1, -1, 0.5, -0.25, 86400])
    moments = st.builds(lambda moment, step: moment + timedelta(seconds=step), st.sampled_from(stored), steps)
    zulu = moments.map(lambda moment: Value(moment.isoformat().replace("+00:00", "Z"), moment))
    offset = timezone(timedelta(hours=5, minutes=30))
    elsewhere = moments.map(lambda moment: Value(moment.astimezone(offset).isoformat(), moment))
    midnight = moments.map(lambda moment: moment.replace(hour=0, minute=0, second=0, microsecond=0))
    days = midnight.map(lambda moment: Value(moment.date().isoformat(), moment))
    macros = st.sampled_from(MACROS).map(lambda macro: Value(macro, macro, macro=True))
    return st.one_of(zulu, elsewhere, days, macros)


def boolean_values(_: list[Any]) -> st.SearchStrategy[Value]:
    both = [Value(True, True), Value(False, False), Value("true", True), Value("false", False)]
    return st.sampled_from(both)


STRATEGIES = {
    "key": key_values,
    "text": text_values,
    "integer": number_values,
    "number": number_values,
    "cents": number_values,
    "boolean": boolean_values,
    "date": date_values,
    "moment": moment_values,
}


@dataclass(frozen=True)
class Filter:
    """One condition; `value` is a Value, a list of them, or None for null."""

    operator: str
    path: str
    value: Any

    @property
    def sent(self) -> dict[str, Any]:
        value = self.value
        sent = [one.sent for one in value] if isinstance(value, list) else value and value.sent
        return {self.operator: {self.path: sent}}

    def holds(self, record: dict[str, Any], today: date, *, fold: bool = False) -> bool:
        stored = record[self.path]
        positive = NEGATIONS.get(self.operator, self.operator)
        if self.value is None:
            return (stored is None) == (self.operator == "$eq")
        if stored is None:
            return False
        fold = fold and KINDS[self.path] == "text"
        values = self.value if isinstance(self.value, list) else [self.value]
        meanings = [self.meaning(value, today, fold=fold) for value in values]
        if positive in TEXT_OPERATORS:
            stored = str(stored)
        found = POSITIVE[positive](stored.casefold() if fold else stored, meanings)
        return found if positive == self.operator else not found

    def meaning(self, value: Value, today: date, *, fold: bool) -> Any:
        if value.macro:
            return macro_days(value.means, today)
        if self.operator in TEXT_OPERATORS:
            return str(value.sent).casefold() if fold else str(value.sent)
        return value.means.casefold() if fold else value.means


def before(stored: Any, meaning: Any) -> bool:
    """Whether a value lies wholly before a meaning."""
    return day_of(stored) < meaning.first if isinstance(meaning, Days) else stored < meaning


def after(stored: Any, meaning: Any) -> bool:
    """Whether a value lies wholly after a meaning."""
    return day_of(stored) > meaning.last if isinstance(meaning, Days) else stored > meaning


def day_of(stored: Any) -> date:
    return stored.date() if isinstance(stored, datetime) else stored


def equal(stored: Any, meaning: Any) -> bool:
    return not before(stored, meaning) and not after(stored, meaning)


POSITIVE: dict[str, Callable[[Any, list[Any]], bool]] = {
    "$eq": lambda stored, means: equal(stored, means[0]),
    "$lt": lambda stored, means: before(stored, means[0]),
    "$lte": lambda stored, means: not after(stored, means[0]),
    "$gt": lambda stored, means: after(stored, means[0]),
    "$gte": lambda stored, means: not before(stored, means[0]),
    "$in": lambda stored, means: any(equal(stored, meaning) for meaning in means),
    "$between": lambda stored, means: not before(stored, means[0]) and not after(stored, means[1]),
    "$contains": lambda stored, means: means[0] in stored,
    "$startsWith": lambda stored, means: stored.startswith(means[0]),
    "$endsWith": lambda stored, means: stored.endswith(means[0]),
}


def filters(company: Company, operators: list[str], paths: list[str]) -> st.SearchStrategy[Filter]:
    """Draw conditions that the service accepts."""
    return st.tuples(st.sampled_from(operators), st.sampled_from(paths)).flatmap(
        lambda drawn: st.builds(Filter, st.just(drawn[0]), st.just(drawn[1]), filter_value(company, *drawn))
    )


def filter_value(company: Company, operator: str, path: str) -> st.SearchStrategy[Any]:
    stored = [record[path] for record in company.records.values() if record[path] is not None]
    values = STRATEGIES[KINDS[path]](stored)
    if operator in ("$in", "$notIn"):
        return st.lists(values, min_size=1, max_size=4)
    if operator in ("$between", "$notBetween"):
        return st.lists(values, min_size=2, max_size=2)
    return st.one_of(values, values, values, st.none()) if operator in ("$eq", "$ne") else values


def acceptable(operator: str, path: str) -> bool:
    return operator not in TEXT_OPERATORS or KINDS[path] in ("text", "key")


# --- expressions ---------------------------------------------------------------------------------------------


def evaluate(tree: Any, holds: list[bool]) -> bool:
    if isinstance(tree, int):
        return holds[tree - 1]
    word, operands = tree
    results = [evaluate(operand, holds) for operand in operands]
    return all(results) if word == "and" else any(results)


def trees(conditions: int, depth: int = 4) -> st.SearchStrategy[Any]:
    leaves = st.integers(1, conditions)
    if depth == 0:
        return leaves
    below = st.lists(trees(conditions, depth - 1), min_size=2, max_size=3)
    return st.one_of(leaves, st.tuples(st.sampled_from(["and", "or"]), below))


def render(tree: Any, draw: Callable[[st.SearchStrategy[Any]], Any]) -> str:
    """Write a tree down, with parentheses where they are needed and sometimes where they are not."""
    if isinstance(tree, int):
        return f"({tree})" if draw(st.integers(0, 9)) == 0 else str(tree)
    word, operands = tree
    written = []
    for operand in operands:
        needed = word == "and" and isinstance(operand, tuple) and operand[0] == "or"
        text = render(operand, draw)
        written.append(f"({text})" if needed or draw(st.integers(0, 4)) == 0 else text)
    joiner = draw(st.sampled_from([word, word.upper(), f" {word} "]))
    return f" {joiner} ".join(written)


# --- the properties ------------------------------------------------------------------------------------------

KIND_PATHS = {kind: [path for path in KINDS if KINDS[path] == kind] for kind in STRATEGIES}


@pytest.mark.parametrize("count", [6, pytest.param(20, marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", STRATEGIES)
@pytest.mark.parametrize("operator", OPERATORS)
def test_operator_on_every_type(company: Company, operator: str, kind: str, count: int) -> None:
    @examples(count)
    @given(data=st.data())
    def check(data: st.DataObject) -> None:
        wanted = data.draw(filters(company, [operator], KIND_PATHS[kind]))
        answer = company.keys(filters=[wanted.sent])
        assert answer == {record["key"] for record in company.shared if wanted.holds(record, NOW.date())}

    if acceptable(operator, KIND_PATHS[kind][0]):
        check()
    else:
        answer = company.query(fields=["key"], filters=[{operator: {KIND_PATHS[kind][0]: "1"}}])
        assert answer.status_code == 400
        assert operator in answer.json()["ia::result"]["ia::error"]["message"]


@examples(120)
@given(data=st.data())
def test_case_can_be_ignored(company: Company, data: st.DataObject) -> None:
    wanted = data.draw(filters(company, OPERATORS, KIND_PATHS["text"]))
    answer = company.keys(filters=[wanted.sent], filterParameters={"caseSensitiveComparison": False})
    expected = {record["key"] for record in company.shared if wanted.holds(record, NOW.date(), fold=True)}
    assert answer == expected


@pytest.mark.slow
@examples(300)
@given(data=st.data())
def test_expressions(company: Company, data: st.DataObject) -> None:
    operators = [*SCALARS, *LISTS]
    conditions = data.draw(st.lists(filters(company, operators, list(KINDS)), min_size=1, max_size=5))
    tree = data.draw(trees(len(conditions)))
    private = data.draw(st.booleans())
    answer = company.keys(
        filters=[condition.sent for condition in conditions],
        filterExpression=render(tree, data.draw),
        filterParameters={"includePrivate": private},
    )
    visible = company.records.values() if private else company.shared
    expected = set()
    for record in visible:
        if evaluate(tree, [condition.holds(record, NOW.date()) for condition in conditions]):
            expected.add(record["key"])
    assert answer == expected


@pytest.mark.parametrize("word", [None, "and", "or", "OR"])
def test_expression_shortcuts(company: Company, word: str | None) -> None:
    @examples(30)
    @given(data=st.data())
    def check(data: st.DataObject) -> None:
        conditions = data.draw(st.lists(filters(company, SCALARS, list(KINDS)), min_size=1, max_size=4))
        expression = {} if word is None else {"filterExpression": word}
        answer = company.keys(filters=[condition.sent for condition in conditions], **expression)
        join = any if word and word.lower() == "or" else all
        assert answer == {
            record["key"]
            for record in company.shared
            if join(condition.holds(record, NOW.date()) for condition in conditions)
        }

    check()


@pytest.mark.parametrize("macro", MACROS)
def test_macros_follow_the_as_of_date(company: Company, macro: str) -> None:
    @examples(25)
    @given(data=st.data())
    def check(data: st.DataObject) -> None:
        today = data.draw(
            st.one_of(
                st.dates(date(2023, 12, 1), date(2026, 6, 1)),
                st.sampled_from([date(2024, 2, 29), date(2025, 12, 31), date(2026, 1, 1), date(2025, 3, 31)]),
            )
        )
        operator = data.draw(st.sampled_from([*SCALARS, *LISTS]))
        path = data.draw(st.sampled_from(["lastInvoiceCreatedDate", "audit.modifiedDateTime"]))
        value = Value(macro, macro, macro=True)
        size = {"$in": 1, "$notIn": 1, "$between": 2, "$notBetween": 2}.get(operator)
        wanted = Filter(operator, path, [value] * size if size else value)
        answer = company.keys(filters=[wanted.sent], filterParameters={"asOfDate": today.isoformat()})
        assert answer == {record["key"] for record in company.shared if wanted.holds(record, today)}

    check()


@examples(150)
@given(data=st.data())
def test_pages_in_order(company: Company, data: st.DataObject) -> None:
    paths = data.draw(st.lists(st.sampled_from(list(KINDS)), max_size=3, unique=True))
    order = [(path, data.draw(st.sampled_from(["asc", "desc"]))) for path in paths if path != "key"]
    order.append(("key", data.draw(st.sampled_from(["asc", "desc"]))))
    wanted = data.draw(filters(company, SCALARS, OWN))
    size = data.draw(st.integers(20, 90))
    start = data.draw(st.integers(1, 60))
    answer, metas = walk(company, order, wanted, start, size)
    found = sort([record for record in company.shared if wanted.holds(record, NOW.date())], order)
    assert answer == [record["key"] for record in found][start - 1 :]
    for meta in metas:
        here = meta["start"]
        assert meta["totalCount"] == len(found)
        assert meta["pageSize"] == size
        assert meta["next"] == (here + size if here + size <= len(found) else None)
        assert meta["previous"] == (max(1, here - size) if here > 1 else None)


def walk(
    company: Company, order: list[tuple[str, str]], wanted: Filter, start: int, size: int
) -> tuple[list[int], list[dict[str, Any]]]:
    """Return the keys and the metas of all pages from `start` on."""
    keys: list[int] = []
    metas = []
    following: int | None = start
    while following is not None:
        answer = company.query(
            fields=["key"],
            filters=[wanted.sent],
            orderBy=[{path: direction} for path, direction in order],
            start=following,
            size=size,
        )
        assert answer.status_code == 200, answer.text
        keys += [int(row["key"]) for row in answer.json()["ia::result"]]
        metas.append(answer.json()["ia::meta"])
        following = metas[-1]["next"]
    return keys, metas


def sort(records: list[dict[str, Any]], order: list[tuple[str, str]]) -> list[dict[str, Any]]:
    """Sort by several fields: nulls come first in ascending order and last in descending order."""
    for path, direction in reversed(order):
        present = [record for record in records if record[path] is not None]
        absent = [record for record in records if record[path] is None]
        present = sorted(present, key=lambda record: record[path], reverse=direction == "desc")
        records = absent + present if direction == "asc" else present + absent
    return records


@examples(50)
@given(data=st.data())
def test_ties_keep_the_order_of_the_sorted_field(company: Company, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(list(KINDS)))
    direction = data.draw(st.sampled_from(["asc", "desc"]))
    rows = company.rows(fields=["key", path], orderBy=[{path: direction}])
    expected = [wire(path, record[path]) for record in sort(company.shared, [(path, direction)])]
    assert [row[path] for row in rows] == expected
    assert {int(row["key"]) for row in rows} == {record["key"] for record in company.shared}


@examples(60)
@given(data=st.data())
def test_rows_show_what_was_asked_for(company: Company, data: st.DataObject) -> None:
    paths = data.draw(st.lists(st.sampled_from(list(KINDS)), min_size=1, max_size=12, unique=True))
    rows = company.rows(fields=[*paths, "href"], orderBy=[{"key": "asc"}])
    for row, record in zip(rows, sort(company.shared, [("key", "asc")]), strict=True):
        asked = {name: value for name, value in row.items() if not name.startswith("API_QUERY_ALIAS__")}
        assert list(asked) == sorted([*paths, "href"])
        assert asked.pop("href") == f"/objects/{CUSTOMER}/{record['key']}"
        assert asked == {path: wire(path, record[path]) for path in paths}
        for path in paths:
            assert type(asked[path]) is type(wire(path, record[path]))


# --- aggregates ----------------------------------------------------------------------------------------------

GROUPINGS = ["status", "isOnHold", "term.id", "parent.isOnHold", "customerAccountHealth.healthScore"]
NUMERIC = ("integer", "number", "cents")


def summary(function: str, path: str, values: list[Any]) -> Any:
    """Return an aggregate of the values that are not null, as the API shows it."""
    values = [value for value in values if value is not None]
    if function == "count":
        return len(values)
    if not values:
        return None
    if function in ("min", "max"):
        return wire(path, min(values) if function == "min" else max(values))
    total = Fraction(sum(values))
    result = total if function == "sum" else total / len(values)
    if KINDS[path] == "cents":
        return decimals(result)
    return int(result) if result.denominator == 1 else float(result)


def aggregates() -> st.SearchStrategy[tuple[str, str]]:
    ranked = st.tuples(st.sampled_from(["count", "min", "max"]), st.sampled_from(list(KINDS)))
    numeric = st.sampled_from([path for path in KINDS if KINDS[path] in NUMERIC])
    return st.one_of(ranked, st.tuples(st.sampled_from(["sum", "avg"]), numeric))


@examples(250)
@given(data=st.data())
def test_aggregates(company: Company, data: st.DataObject) -> None:
    groups = data.draw(st.lists(st.sampled_from(GROUPINGS), max_size=2, unique=True))
    asked = data.draw(st.lists(aggregates(), min_size=1, max_size=4, unique=True))
    wanted = data.draw(filters(company, SCALARS, list(KINDS)))
    names = [f"{function}:{path}" for function, path in asked]
    rows = company.rows(fields=[*groups, *names], filters=[wanted.sent])
    grouped: dict[tuple[Any, ...], list[dict[str, Any]]] = {} if groups else {(): []}
    for record in company.shared:
        if wanted.holds(record, NOW.date()):
            grouped.setdefault(tuple(record[path] for path in groups), []).append(record)
    expected = {
        group: [summary(function, path, [record[path] for record in members]) for function, path in asked]
        for group, members in grouped.items()
    }
    assert len(rows) == len(expected)
    for row in rows:
        results = expected[tuple(row[path] for path in groups)]
        for name, result in zip(names, results, strict=True):
            assert row[name] == (pytest.approx(result) if isinstance(result, float) else result), name


# --- the order that nobody asked for, and the options --------------------------------------------------------


def test_order_without_order_by(company: Company) -> None:
    rows = company.rows(fields=["key", "id"])
    keys, ids = [int(row["key"]) for row in rows], [row["id"] for row in rows]
    assert keys != sorted(keys)
    assert keys != sorted(keys, reverse=True)
    assert ids != sorted(ids)
    assert [int(row["key"]) for row in company.rows(fields=["key"])] == keys
    paged = [
        int(row["key"])
        for start in (1, 81, 161)
        for row in company.rows(fields=["key"], start=start, size=80)
    ]
    assert paged == keys


@pytest.mark.parametrize(
    ("expression", "named"),
    [
        ("3", "3"),
        ("0", "0"),
        ("1 and", "ends"),
        ("(1 or 2", "("),
        ("1 or 2)", ")"),
        ("1 2", "2"),
        ("1 xor 2", "xor"),
        ("()", ")"),
        ("", "ends"),
        ("not 1", "not"),
        ("(" * 400 + "1" + ")" * 400, "nested"),
        ("9" * 5000, "9"),
    ],
)
def test_expressions_that_make_no_sense(company: Company, expression: str, named: str) -> None:
    conditions = [{"$eq": {"status": "active"}}, {"$eq": {"isOnHold": True}}]
    answer = company.query(fields=["key"], filters=conditions, filterExpression=expression)
    assert answer.status_code == 400
    assert named in answer.json()["ia::result"]["ia::error"]["message"].partition("is not valid:")[2]


def test_a_long_chain_of_conditions(company: Company) -> None:
    conditions = [{"$eq": {"id": record["id"]}} for record in company.shared] * 10
    assert len(company.keys(filters=conditions, filterExpression="or")) == COUNT
