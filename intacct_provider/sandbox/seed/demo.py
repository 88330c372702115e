"""The customers and customer groups of the demo company, as payloads for the API.

Everything is invented and the same in every run: the generator has a fixed seed, and all times are relative to
:data:`DEMO_TIME`, not to the clock. Ids are stable, because example files refer to them.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

from intacct_provider.sandbox.objects.names import CUSTOMER, CUSTOMER_GROUP
from intacct_provider.sandbox.objects.values import format_cents
from intacct_provider.sandbox.seed.demo_names import (
    CONTACTS,
    CUSTOMER_TYPES,
    DESCRIPTIONS,
    EMPLOYEES,
    FAMILIES,
    FILTER_GROUPS,
    FIRST_WORDS,
    GRANDCHILDREN,
    ISO_CODES,
    MEMBER_GROUPS,
    NOTES,
    PEOPLE,
    PLACES,
    SECOND_WORDS,
    SPECIAL_NAMES,
    STREETS,
    STRUCTURES,
    TERMS,
    UK_NAMES,
)

DEMO_TIME = datetime(2026, 6, 30, 18, 0, 0, tzinfo=UTC)
"""The latest time in the demo company; its records were created in the two years before."""

SHARED_CUSTOMERS = 240
UK_CUSTOMERS = 6
"""Customers private to the entity UK; at top level a query shows them only with ``includePrivate``."""


@dataclass(frozen=True, slots=True)
class Record:
    """A record to write: its payload, and the values of its read-only fields."""

    object_name: str
    payload: Mapping[str, object]
    set_by_sage: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))
    entity: str | None = None


def random_times(generator: random.Random, count: int) -> list[datetime]:
    """Return `count` random times in the last two years, oldest first, in whole seconds."""
    seconds = sorted(generator.randrange(730 * 86400) for _ in range(count))
    start = DEMO_TIME - timedelta(days=730)
    return [start + timedelta(seconds=second) for second in seconds]


def customers(generator: random.Random) -> Iterator[Record]:
    """Yield the customers, each parent before its children: ids ``C-00001`` to ``C-00246``."""
    parents: dict[str, str] = {}
    names = [*_family_names(), *_single_names(generator)]
    for number in range(1, SHARED_CUSTOMERS + UK_CUSTOMERS + 1):
        shared = number <= SHARED_CUSTOMERS
        name, parent = names[number - 1] if shared else (UK_NAMES[number - SHARED_CUSTOMERS - 1], None)
        customer = f"C-{number:05d}"
        parents[name] = customer
        payload = _customer(generator, customer, name, parents[parent] if parent else None)
        yield Record(CUSTOMER, payload, _balances(generator, payload), None if shared else "UK")


def customer_groups() -> Iterator[Record]:
    """Yield the 14 customer groups: ten by filter, three of named members, one of both."""
    for group, (name, *filters) in FILTER_GROUPS.items():
        yield Record(CUSTOMER_GROUP, _group(group, name, filters, groupType="all"))
    for group, (name, numbers) in MEMBER_GROUPS.items():
        members = [{"id": f"C-{number:05d}"} for number in numbers]
        filters = [{"$eq": {"status": "active"}}] if group == "KEY-ACCOUNTS" else []
        yield Record(CUSTOMER_GROUP, _group(group, name, filters, groupType="specific", groupMembers=members))


def _group(group: str, name: str, filters: list[object], **rest: object) -> dict[str, object]:
    payload: dict[str, object] = {"id": group, "name": name, "description": DESCRIPTIONS.get(group), **rest}
    payload["isDimensionStructure"] = group in STRUCTURES
    if filters:
        payload["memberFilter"] = {
            "object": CUSTOMER,
            "filterExpression": "and",
            "filters": filters,
            "orderBy": [{"id": "asc"}],
        }
    return payload


def _family_names() -> Iterator[tuple[str, str | None]]:
    """Yield (name, name of parent): each family's head, its children, and one family's grandchildren."""
    for head, children in FAMILIES.items():
        yield head, None
        for child in children:
            yield child, head
    for grandchild in GRANDCHILDREN:
        yield grandchild, "Northwind Freight West"


def _single_names(generator: random.Random) -> Iterator[tuple[str, str | None]]:
    used = len(list(_family_names())) + len(SPECIAL_NAMES)
    combined = [f"{first} {second}" for first in FIRST_WORDS for second in SECOND_WORDS]
    for name in [*SPECIAL_NAMES, *generator.sample(combined, SHARED_CUSTOMERS - used)]:
        yield name, None


def _customer(generator: random.Random, customer: str, name: str, parent: str | None) -> dict[str, object]:
    territory, city, state, country = generator.choice(PLACES)
    status = generator.choices(("active", "activeNonPosting", "inactive"), (78, 6, 16))[0]
    if name in FAMILIES:
        status = "active"  # the parent of a family has invoices as long as its children do
    payload: dict[str, object] = {
        "id": customer,
        "name": name,
        "status": status,
        "customerType": {"id": generator.choices(list(CUSTOMER_TYPES), (30, 20, 18, 14, 10, 8))[0]},
        "term": {"id": generator.choice(list(TERMS))},
        "territory": {"id": territory},
        "currency": "GBP" if country == "United Kingdom" else "EUR" if territory == "EMEA" else "USD",
        "creditLimit": generator.choice((5000, 10000, 25000, 50000, 75000, 100000, 250000, 1000000)),
        "isOnHold": status != "inactive" and generator.random() < 0.07,
        "deliveryOptions": generator.choice(("print", "email", "email", "both")),
        "contacts": _contacts(generator, name, city, state, country),
    }
    if parent:
        payload["parent"] = {"id": parent}
    return payload | _optional(generator)


def _contacts(
    generator: random.Random, name: str, city: str, state: str | None, country: str
) -> dict[str, object]:
    contacts: dict[str, object] = {"default": _contact(generator, name, city, state, country)}
    if generator.random() < 0.6:
        contacts["primary"] = {"id": generator.choice(list(CONTACTS))}
    return contacts


def _optional(generator: random.Random) -> dict[str, object]:
    """Return the fields that are empty for many customers."""
    choices: dict[str, tuple[float, object]] = {
        "salesRepresentative": (0.8, {"id": generator.choice(list(EMPLOYEES))}),
        "taxId": (0.7, f"{generator.randrange(10, 99)}-{generator.randrange(1000000, 9999999)}"),
        "notes": (0.2, generator.choice(NOTES)),
        "discountPercent": (0.15, generator.choice(("2.5", "5", "10"))),
        "customerResaleNumber": (0.1, f"R{generator.randrange(10000, 99999)}"),
        "retainagePercentage": (0.1, generator.choice((5, 7.5, 10))),
        "emailOptIn": (0.5, True),
    }
    chosen = {name: value for name, (chance, value) in choices.items() if generator.random() < chance}
    if "notes" in chosen or generator.random() < 0.1:
        chosen["creditLimit"] = None
    return chosen


def _contact(
    generator: random.Random, name: str, city: str, state: str | None, country: str
) -> dict[str, object]:
    first, last = generator.choice(PEOPLE)
    domain = "".join(letter for letter in name.lower() if "a" <= letter <= "z")[:20]
    return {
        "firstName": first,
        "lastName": last,
        "printAs": name,
        "email1": f"ap@{domain}.example" if generator.random() < 0.85 else None,
        "phone1": f"555-01{generator.randrange(100):02d}" if generator.random() < 0.75 else None,
        "companyName": name,
        "mailingAddress": {
            "addressLine1": f"{generator.randrange(1, 990)} {generator.choice(STREETS)}",
            "city": city,
            "state": state,
            "postCode": f"{generator.randrange(10000, 99999)}",
            "country": country,
            "isoCountryCode": ISO_CODES[country],
        },
    }


def _balances(generator: random.Random, payload: Mapping[str, object]) -> dict[str, object]:
    """Return the fields that follow from invoices: most customers owe something, some nothing, a few have credit."""
    kind = generator.choices(("owes", "settled", "credit", "new"), (68, 22, 4, 6))[0]
    if kind == "new":
        return {"totalDue": None, "lastInvoiceCreatedDate": None}
    cents = min(int(generator.lognormvariate(13.2, 1.7)), 90_000_000) + 100
    due = {"owes": cents, "settled": 0, "credit": -cents // 40}[kind]
    if payload["status"] == "inactive":
        due = 0
    invoiced = DEMO_TIME.date() - timedelta(days=generator.randrange(400))
    return {
        "totalDue": format_cents(due),
        "lastInvoiceCreatedDate": invoiced.isoformat(),
        "lastStatementGeneratedDate": f"{invoiced:%Y-%m}-28" if generator.random() < 0.6 else None,
    }
