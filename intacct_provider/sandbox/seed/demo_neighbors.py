"""The records that customers and groups of the demo company refer to: people, places, types and terms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from unicodedata import normalize

from intacct_provider.sandbox.objects.names import (
    CONTACT,
    CUSTOMER_TYPE,
    DEPARTMENT,
    EMPLOYEE,
    ENTITY,
    LOCATION,
    TERM,
    TERRITORY,
    USER,
)
from intacct_provider.sandbox.seed.demo import Record
from intacct_provider.sandbox.seed.demo_names import (
    CONTACTS,
    CUSTOMER_TYPES,
    DEPARTMENTS,
    EMPLOYEES,
    ENTITIES,
    ISO_CODES,
    LOCATIONS,
    PEOPLE,
    PLACES,
    STREETS,
    TERMS,
    TERRITORIES,
    USERS,
)

CURRENCIES = {"USD": "US dollar", "GBP": "Pound sterling"}
# Each with currency, country, federal id, tax id, and the place of its head office.
_FACTS = {
    "US": ("USD", "unitedStates", "04-1234567", "MA-7654321", ("Boston", "MA", "United States")),
    "UK": ("GBP", "unitedKingdom", "GB1234567", "GB987654321", ("London", None, "United Kingdom")),
}
_CITIES: Mapping[str, tuple[str, str | None, str]] = MappingProxyType(
    {
        "US-BOS": ("Boston", "MA", "United States"),
        "US-AUS": ("Austin", "TX", "United States"),
        "US-SJC": ("San Jose", "CA", "United States"),
        "UK-LON": ("London", None, "United Kingdom"),
    }
)
_MANAGERS = {"US": "E-101", "UK": "E-105", "US-BOS": "E-102", "UK-LON": "E-103"}


def company(entities: Sequence[str] = ()) -> Iterator[Record]:
    """Yield the records that every company has: users, currencies and entities.

    :param entities: ids of entities instead of those of the demo company.
    """
    for identifier, name in USERS.items():
        yield Record(USER, {"id": identifier, "name": name})
    for identifier, name in CURRENCIES.items():
        yield Record("company-config/txn-currency", {"id": identifier, "name": name})
    for identifier, name in ENTITIES.items() if not entities else zip(entities, entities, strict=True):
        yield Record(ENTITY, _entity(identifier, name))


def neighbors() -> Iterator[Record]:
    """Yield the other records, each after those that it refers to."""
    yield from _types_and_terms()
    for number, (name, place) in enumerate(zip(CONTACTS, PLACES, strict=True)):
        yield Record(CONTACT, _person(number, *PEOPLE[number], place[1:], id=name))
    for number, (entity, name) in enumerate(ENTITIES.items(), 12):
        yield Record(CONTACT, _contact(number, _FACTS[entity][4], id=name, printAs=name, companyName=name))
    for number, (name, _title, _department, location, _manager) in enumerate(EMPLOYEES.values(), 20):
        first, last = name.split()
        yield Record(CONTACT, _person(number, first, last, _CITIES[location], id=name))
    for identifier, (name, parent) in LOCATIONS.items():
        yield _location(identifier, name, parent)
    for identifier, (name, parent, _head) in DEPARTMENTS.items():
        payload = {"id": identifier, "name": name, "reportTitle": name, "parent": {"id": parent}}
        yield Record(DEPARTMENT, payload)
    for number, identifier in enumerate(EMPLOYEES):
        yield Record(EMPLOYEE, _employee(number, identifier))


def managers() -> Iterator[Record]:
    """Yield the managers of departments, locations and entities, as changes: employees are added after those."""
    for identifier, (_name, _parent, head) in DEPARTMENTS.items():
        yield Record(DEPARTMENT, {"id": identifier, "supervisor": {"id": head}})
    for identifier, manager in _MANAGERS.items():
        yield Record(LOCATION, {"id": identifier, "manager": {"id": manager}})
    for identifier, name in ENTITIES.items():
        contacts = {"primary": {"id": name}, "shipTo": {"id": name}}
        change = {"id": identifier, "contacts": contacts, "manager": {"id": _MANAGERS[identifier]}}
        yield Record(ENTITY, change)


def _types_and_terms() -> Iterator[Record]:
    for identifier, parent in CUSTOMER_TYPES.items():
        yield Record(CUSTOMER_TYPE, {"id": identifier, "parent": {"id": parent}})
    for identifier, (description, days) in TERMS.items():
        payload: dict[str, object] = {
            "id": identifier,
            "description": description,
            "due": {"days": days, "from": "fromInvoiceDate"},
        }
        if identifier.startswith("2%"):
            payload["discount"] = {
                "days": 10,
                "from": "fromInvoiceDate",
                "amount": 2,
                "unit": "percentage",
                "graceDays": 3,
                "calculateOn": "lineItemsTotal",
            }
        if days > 30:
            payload["penalty"] = {"cycle": "monthly", "amount": 1, "unit": "percentage", "graceDays": 10}
        yield Record(TERM, payload)
    for identifier, name in TERRITORIES.items():
        yield Record(TERRITORY, {"id": identifier, "name": name})


def _entity(identifier: str, name: str) -> dict[str, object]:
    currency, country, federal, tax, _place = _FACTS.get(identifier, _FACTS["US"])
    return {
        "id": identifier,
        "name": name,
        "federalId": federal,
        "taxId": tax,
        "baseCurrency": {"id": currency},
        "startDate": "2023-01-01",
        "openBooksStartDate": "2023-10-01",
        "firstFiscalMonth": "january" if identifier == "US" else "april",
        "firstTaxMonth": "january" if identifier == "US" else "april",
        "weekStart": "sunday" if identifier == "US" else "monday",
        "businessDays": ["monday", "tuesday", "wednesday", "thursday", "friday"],
        "weekendDays": ["saturday", "sunday"],
        "defaultCountryForAddresses": country,
        "operatingCountry": country,
        "texts": {"reportPrintAs": name, "message": "Thank you for your business."},
    }


def _location(identifier: str, name: str, parent: str | None) -> Record:
    entity = parent or identifier
    payload: dict[str, object] = {
        "id": identifier,
        "name": name,
        "parent": {"id": parent},
        "startDate": "2023-01-01",
        "reportTitle": name,
        "printAs": ENTITIES[entity],
        "contacts": {"primary": {"id": ENTITIES[entity]}},
    }
    # An entity is a location too, and its currency is that of the locations below it.
    facts = {"baseCurrency": _FACTS[entity][0], "locationType": "location" if parent else "entity"}
    return Record(LOCATION, payload, facts)


def _employee(number: int, identifier: str) -> dict[str, object]:
    name, title, department, location, manager = EMPLOYEES[identifier]
    return {
        "id": identifier,
        "name": name,
        "jobTitle": title,
        "department": {"id": department},
        "location": {"id": location},
        "manager": {"id": manager},
        "primaryContact": {"id": name},
        "startDate": f"202{3 + number % 3}-0{number + 1}-01",
        "defaultCurrency": "GBP" if location.startswith("UK") else "USD",
        "preferredPaymentMethod": "ach" if number % 2 else "printedCheck",
    }


def _person(
    number: int, first: str, last: str, place: tuple[str, str | None, str], **rest: object
) -> dict[str, object]:
    address = "".join(
        one for one in normalize("NFKD", f"{first}.{last}").lower() if one == "." or "a" <= one <= "z"
    )
    return _contact(
        number,
        place,
        firstName=first,
        lastName=last,
        printAs=f"{first} {last}",
        email1=f"{address}@contact.example",
        mobile=f"555-01{99 - number}",
        **rest,
    )


def _contact(number: int, place: tuple[str, str | None, str], **rest: object) -> dict[str, object]:
    city, state, country = place
    address = {
        "addressLine1": f"{(number + 1) * 12} {STREETS[number % len(STREETS)]}",
        "city": city,
        "state": state,
        "postCode": f"{10000 + number * 1371}",
        "country": country,
        "isoCountryCode": ISO_CODES[country],
    }
    return {**rest, "phone1": f"555-01{number:02d}", "mailingAddress": address}
