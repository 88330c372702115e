"""What Schemathesis has to know of Intacct beyond the document; it loads this file in its own process.

The document says what a single request looks like. Some rules hold between a request and the company's records, and
no schema can state those: here they are, one by one, so that every other refusal of a valid request is a failure.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import schemathesis
from schemathesis.core.failures import AcceptedNegativeData
from schemathesis.openapi.checks import AuthScenario, IgnoredAuth, RejectedPositiveData

ENTITY = "X-IA-API-Param-Entity"
PATHS = (
    *("/objects/accounts-receivable/customer", "/objects/general-ledger/account-group-purpose/1"),
    *("/services/core/model", "/services/company-config/dimensions/list"),
)
#: Each object has this many records, by the test; some of them at the beginning are the demo's.
RECORDS, SOME = 150, 60
KEYS = re.compile(r"[0-9]{1,18}(,[0-9]{1,18})*")

#: Codes and ids of refusals that depend on other records, or on which fields an object has.
OF_OTHERS = {
    "invalidKey",  # a reference leads to no record, or an element is not in the list
    "notFound",  # one record of a batch does not exist
    "unprocessed",  # a record of an atomic batch in which another one failed
    "invalidParameter",  # a filter compares a field with a value of another type
    "REST-1106",  # the object has no such field
}
#: The same for refusals that Sage gives no id to.
OTHER_RULES = re.compile(
    "|".join(
        (
            r"cannot be deleted because a record of .* uses it",
            r"has a key and an id of different records",
            r"cannot be its own parent",
            r"^filterExpression .* is not valid",  # it names a filter that does not exist
            r"^filter .* is not a regular expression",
            r"^(sum|avg):.* needs a number or an amount",
            r"a query with aggregates can only be sorted by its fields",
            # The parts of a composite request know each other.
            r"is taken by an earlier request$",
            r"no earlier request has the resultReference",
            r"a composite request cannot be a part of another",
            # To a JSON schema 1.0 is an integer; the sandbox wants it written as one.
            r"must be an integer$",
        )
    )
)
#: An update is judged together with what is stored; for a create the document has this rule.
OF_THE_STORED = re.compile(r" is required when .* is ")


@schemathesis.hook
def map_case(_context: Any, case: Any) -> Any:
    """Point generated requests to existing records, so that they pass the first check; invalid parts stay invalid."""
    if case.headers and ENTITY in case.headers:
        case.headers[ENTITY] = "US"  # any other text would only ever be refused
    key = unquote(str((case.path_parameters or {}).get("key")))
    # A chain of calls has its keys from the answers before.
    if KEYS.fullmatch(key) and case.meta.phase.name != "stateful":
        known = high if case.method == "DELETE" else low
        case.path_parameters["key"] = ",".join(map(known, key.split(",")))
    if case.meta.generation.mode.is_positive and isinstance(case.body, dict | list):
        case.body = CHANGES.get(case.path, of_records)(case.body)
    return case


def low(key: str) -> str:
    """Return one of the first keys, which records have."""
    return str(int(key) % SOME + 1)


def high(key: str) -> str:
    """Return one of the last keys, whose records no other one uses."""
    return str(RECORDS - int(key) % SOME)


def of_records(value: Any) -> Any:
    """Return records whose references lead to the first record, and whose own keys are low."""
    if isinstance(value, list):
        return [of_records(element) for element in value]
    if not isinstance(value, dict):
        return value
    if {"key", "id"}.issuperset(value) and any(value.values()):
        return {"key": "1"}
    changed = {name: of_records(member) for name, member in value.items()}
    return changed | ({"key": low(changed["key"])} if KEYS.fullmatch(str(changed.get("key"))) else {})


def of_query(query: dict[str, Any]) -> dict[str, Any]:
    """Return a query about fields that every object has."""
    named = dict(query)
    named["fields"] = [
        ("key", "id", "href", "entity.name", "count:key")[len(name) % 5] for name in query["fields"]
    ]
    named["filterExpression"] = ("and", "or")[len(query.get("filterExpression") or "") % 2]
    for part, field in (("filters", "id"), ("orderBy", "key")):
        named[part] = [with_field(one, field) for one in query.get(part) or ()]
    return named


def of_parts(parts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the parts of a composite request with addresses that there are."""
    return [{**part, "path": PATHS[len(part["path"]) % len(PATHS)]} for part in parts]


def with_field(part: dict[str, Any], field: str) -> dict[str, Any]:
    """Return a filter, or an element of orderBy, that names another field."""
    [(name, content)] = part.items()
    if isinstance(content, dict):
        return {name: {field: next(iter(content.values()))}}
    return {field: content}


CHANGES = {"/services/core/query": of_query, "/services/core/composite": of_parts}


@schemathesis.hook
def filter_failure(_context: Any, failure: Any, case: Any, response: Any) -> bool:
    """Drop the failures that are Intacct's own ways."""
    if isinstance(failure, IgnoredAuth):
        # Intacct answers 400 REST-1206, not 401, to a token that it never issued.
        return not (
            failure.scenario is AuthScenario.INVALID_AUTH and "got `400 Bad Request`" in failure.message
        )
    if isinstance(failure, RejectedPositiveData):
        errors = list(errors_in(json.loads(response.content)))
        return not errors or not all(of_others(error, case.method) for error in errors)
    if isinstance(failure, AcceptedNegativeData) and response.status_code == 207:
        # Of a batch only the records that are wrong are refused.
        return not list(errors_in(json.loads(response.content)))
    return True


def errors_in(value: Any) -> Iterator[dict[str, Any]]:
    """Yield the errors of an answer: the causes where there are any."""
    if isinstance(value, list):
        for element in value:
            yield from errors_in(element)
    elif isinstance(value, dict):
        error = value.get("ia::error")
        yield from (error.get("details") or [error]) if error else errors_in(value.get("ia::result"))


def of_others(error: dict[str, Any], method: str) -> bool:
    """Whether a refusal is about more than the request."""
    known = {error.get("code"), error.get("errorId")} & OF_OTHERS
    stored = method == "PATCH" and OF_THE_STORED.search(error["message"])
    return bool(known or stored or OTHER_RULES.search(error["message"]))
