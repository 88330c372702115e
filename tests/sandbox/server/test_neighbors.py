"""What customers and account groups refer to: eight objects with all the fields that Sage documents for them."""

import json
import re
import sqlite3
from collections.abc import Mapping
from itertools import count

import pytest
import requests
from raw_client import bearer
from sandbox_client import client_of, running

from intacct_provider.client.query.expressions import field
from intacct_provider.exceptions import IntacctConflictError, IntacctError, IntacctValidationError
from intacct_provider.sync.records import flatten

CUSTOMER = "accounts-receivable/customer"
TYPE = "accounts-receivable/customer-type"
TERM = "accounts-receivable/term"
CONTACT = "company-config/contact"
DEPARTMENT = "company-config/department"
EMPLOYEE = "company-config/employee"
ENTITY = "company-config/entity"
LOCATION = "company-config/location"
ACCOUNT = "general-ledger/account"
ACCOUNT_GROUP = "general-ledger/account-group"
WEB_URL = re.compile(r"https://www\.intacct\.com/ia/acct/ur\.phtml\?\.r=[\w-]{43}")

# The record "T" of each of these is what full records refer to.
THIN = (
    "accounts-payable/vendor",
    "company-config/class",
    "inventory-control/item",
    "order-entry/price-list",
    "purchasing/price-schedule",
    "tax/contact-tax-group",
    "tax/tax-solution",
)
LEAST = {
    TYPE: {},
    TERM: {"description": "In a month"},
    CONTACT: {"printAs": "Jo Doe"},
    DEPARTMENT: {"name": "Sales"},
    LOCATION: {"name": "Boston"},
    EMPLOYEE: {"primaryContact": {"id": "T"}},
    ENTITY: {"name": "Sandbox AG", "federalId": "12-3456789"},
    ACCOUNT: {"name": "Bank"},
}
NEIGHBORS = tuple(LEAST)

# The members of GET in their order; those of a group in parentheses behind it.
SHAPES = {
    TYPE: "id parent status key audit entity href",
    TERM: "id description status key due(days from) discount(days from amount unit graceDays value calculateOn) "
    "penalty(cycle amount unit graceDays) audit href",
    CONTACT: "key id companyName prefix firstName lastName middleName printAs tax(isTaxable group taxId) phone1 "
    "phone2 mobile pager fax email1 email2 URL1 URL2 showInContactList mailingAddress(addressLine1 addressLine2 "
    "addressLine3 city country isoCountryCode postCode state) status entityUseCode priceSchedule discount "
    "priceList entity href",
    DEPARTMENT: "id key name parent supervisor audit status reportTitle number href",
    LOCATION: "id key name parent manager contacts(primary shipTo) startDate endDate status audit reportTitle "
    "printAs entity baseCurrency taxId businessId locationType href",
    EMPLOYEE: "key id SSN jobTitle location department manager birthDate startDate endDate status gender "
    "terminationType name primaryContact(mailingAddress URL1 URL2 companyName email1 email2 fax firstName id "
    "lastName middleName mobile pager phone1 phone2 prefix printAs key href) defaultCurrency "
    "form1099(name type box) postActualCostWithVariance audit class defaultCustomer defaultItem defaultVendor "
    "preferredPaymentMethod bankFile(paymentCountryCode paymentCurrency) filePaymentService ach(enabled "
    "bankRoutingNumber accountNumber accountType remittanceType) sendAutomaticPaymentNotification "
    "isPlaceholderResource mergePaymentRequests webURL entity href",
    ENTITY: "id key name manager contacts(primary shipTo legalCategory mainActivity typeOfCompany "
    "registeredCapital valueAddedTaxRegime) startDate endDate status audit federalId firstFiscalMonth "
    "baseCurrency weekStart interEntityPayableGLAccount interEntityReceivableGLAccount texts(message marketing "
    "footnote reportPrintAs customTitle) isRoot vendor customer enableInterEntityRelationships businessDays "
    "weekendDays firstTaxMonth taxId businessId defaultCountryForAddresses openBooksStartDate "
    "legalContact(enableOnTaxForms name address tpar enableOnTPAR) operatingCountry taxSolution isPartialExempt "
    "isDefaultPartialExempt unrecoverableTaxAccount accountingType statutoryReportingPeriodDate isLimitedEntity "
    "enableEInvoicing electronicAddress branding(logo) href",
    ACCOUNT: "key id name accountType normalBalance closingType closeToGLAccount status "
    "requireDimensions(department location project customer vendor employee item class contract warehouse asset "
    "affiliateEntity task costType loanAccount isWorkOrderRequired) isTaxable category taxCode mrcCode "
    "alternativeGLAccount constructionCategory isGermanTaxAccount audit disallowDirectPosting enableGLMatching "
    "reconciliationSequence entity href",
}
# What a new record has beside what it was given, but for false; everything else is null, or an empty list.
DEFAULTS = {
    TYPE: {"status": "active"},
    TERM: {"status": "active", "discount.calculateOn": "invoiceTotal", "penalty.cycle": "noPenalty"},
    CONTACT: {
        "status": "active",
        "tax.isTaxable": True,
        "showInContactList": True,
        "mailingAddress.country": "United States",
        "mailingAddress.isoCountryCode": "US",
    },
    DEPARTMENT: {"status": "active"},
    LOCATION: {"status": "active", "locationType": "location"},
    EMPLOYEE: {"status": "active", "filePaymentService": "none", "mergePaymentRequests": True},
    ENTITY: {
        "status": "active",
        "accountingType": "entity",
        "electronicAddress": "",
        "defaultCountryForAddresses": "unitedStates",
    },
    ACCOUNT: {
        "status": "active",
        "accountType": "balanceSheet",
        "normalBalance": "debit",
        "closingType": "nonClosingAccount",
        "alternativeGLAccount": "none",
    },
}
T = {"id": "T"}
# Everything that can be written, each value other than its default; references lead to the records "T".
FULL = {
    TYPE: """{"status": "inactive", "parent": {"id": "T"}}""",
    TERM: """{
        "status": "inactive", "description": "2% 10, net 30", "due": {"days": 30, "from": "ofTheMonthOfInvoiceDate"},
        "discount": {"days": 10, "from": "fromInvoiceDate", "amount": 2, "unit": "percentage", "graceDays": 3,
            "calculateOn": "lineItemsTotal"},
        "penalty": {"cycle": "halfYearly", "amount": 5, "unit": "amount", "graceDays": 7}
    }""",
    CONTACT: """{
        "companyName": "Café AG", "prefix": "Ms.", "firstName": "Éloïse", "lastName": "O'Hara", "middleName": "B.",
        "phone1": "1", "phone2": "2", "mobile": "3", "pager": "4", "fax": "5", "email1": "a@x.example",
        "email2": "b@x.example", "URL1": "https://x.example", "URL2": "https://y.example",
        "printAs": "Éloïse O'Hara", "showInContactList": false, "discount": "2.5", "entityUseCode": "A",
        "tax": {"isTaxable": false, "taxId": "US2333", "group": {"id": "T"}}, "status": "inactive",
        "mailingAddress": {"addressLine1": "1 Mill Lane", "addressLine2": "Floor 2", "addressLine3": "Rear",
            "city": "San José", "country": "France", "isoCountryCode": "FR", "postCode": "95110", "state": "CA"},
        "priceSchedule": {"id": "T"}, "priceList": {"id": "T"}
    }""",
    DEPARTMENT: """{
        "name": "Web", "number": "10", "reportTitle": "Web sales", "status": "activeNonPosting",
        "parent": {"id": "T"}, "supervisor": {"id": "T"}
    }""",
    LOCATION: """{
        "name": "Lyon", "status": "activeNonPosting", "taxId": "FR1", "businessId": "874563210",
        "startDate": "2021-01-01", "endDate": "2026-04-01", "reportTitle": "Lyon", "printAs": "LYON",
        "parent": {"id": "T"}, "manager": {"id": "T"}, "contacts": {"primary": {"id": "T"}, "shipTo": {"id": "T"}}
    }""",
    EMPLOYEE: """{
        "name": "Jo Doe", "SSN": "078051120", "jobTitle": "VP", "gender": "female", "status": "inactive",
        "birthDate": "1984-04-13", "startDate": "2021-04-30", "endDate": "2026-04-01",
        "terminationType": "retired", "defaultCurrency": "EUR", "preferredPaymentMethod": "eft",
        "form1099": {"name": "Jo", "type": "MISC", "box": "3"},
        "ach": {"enabled": true, "bankRoutingNumber": "325070760", "accountNumber": "31",
            "accountType": "savingsAccount", "remittanceType": "businessCTX"},
        "bankFile": {"paymentCountryCode": "gb", "paymentCurrency": "GBP"}, "filePaymentService": "bankFile",
        "postActualCostWithVariance": true, "mergePaymentRequests": false,
        "sendAutomaticPaymentNotification": true, "isPlaceholderResource": true,
        "manager": {"id": "T"}, "location": {"id": "T"}, "department": {"id": "T"}, "class": {"id": "T"},
        "primaryContact": {"id": "T"}, "defaultCustomer": {"id": "T"}, "defaultItem": {"id": "T"},
        "defaultVendor": {"id": "T"}
    }""",
    ENTITY: """{
        "name": "Lyon SA", "federalId": null, "taxId": "FR2", "businessId": "453", "status": "inactive",
        "startDate": "2024-02-02", "endDate": "2025-03-03", "openBooksStartDate": "2024-01-01",
        "statutoryReportingPeriodDate": "2026-01-01", "firstFiscalMonth": "may", "firstTaxMonth": "june",
        "weekStart": "monday", "businessDays": ["monday", "friday"], "weekendDays": ["sunday"],
        "defaultCountryForAddresses": "côteD'Ivoire", "operatingCountry": "bonaire,SintEustatiusAndSaba",
        "contacts": {"primary": {"id": "T"}, "shipTo": {"id": "T"}, "legalCategory": "24", "mainActivity": "10.3",
            "typeOfCompany": "03", "registeredCapital": 500, "valueAddedTaxRegime": "Monthly"},
        "texts": {"message": "m", "marketing": "n", "footnote": "f", "reportPrintAs": "LYON", "customTitle": "L"},
        "legalContact": {"enableOnTaxForms": true, "enableOnTPAR": true, "name": "Lyon SA",
            "address": {"address1": "1", "address2": "2", "address3": "3", "city": "Lyon", "state": "69",
                "zipCode": "69001", "country": "France", "countryCode": "fr"},
            "tpar": {"contact": {"name": "Jo", "phone": "1", "fax": "2", "email": "jo@x.example"},
                "branchNumber": "001"}},
        "isPartialExempt": true, "isDefaultPartialExempt": true, "accountingType": "fund", "isLimitedEntity": true,
        "enableInterEntityRelationships": true, "branding": {"logo": "UEsDBB"}, "baseCurrency": {"id": "GBP"},
        "customer": {"id": "T"}, "vendor": {"id": "T"}, "manager": {"id": "T"}, "taxSolution": {"id": "T"},
        "unrecoverableTaxAccount": {"id": "T"}, "interEntityPayableGLAccount": {"id": "T"},
        "interEntityReceivableGLAccount": {"id": "T"}
    }""",
    ACCOUNT: """{
        "name": "Sales", "accountType": "incomeStatement", "normalBalance": "credit", "status": "inactive",
        "closingType": "closingAccount", "closeToGLAccount": {"id": "T"},
        "alternativeGLAccount": "receivablesAccount", "isTaxable": true, "isGermanTaxAccount": true,
        "requireDimensions": {"department": true, "location": true, "project": true, "customer": true,
            "vendor": true, "employee": true, "item": true, "class": true, "contract": true, "warehouse": true,
            "asset": true, "affiliateEntity": true, "task": true, "costType": true, "loanAccount": true,
            "isWorkOrderRequired": true},
        "disallowDirectPosting": true, "enableGLMatching": true, "reconciliationSequence": "R1",
        "category": "Cash and Cash Equivalents", "taxCode": "CST", "mrcCode": "m-3"
    }""",
}
FULL = {name: json.loads(text) for name, text in FULL.items()}


@pytest.fixture(scope="module")
def company():
    """A company with the record T of everything that a full record refers to."""
    with running() as sandbox:
        with client_of(sandbox) as client:
            for name in THIN:
                client.create(name, {"id": "T", "name": "Target"})
            for name, rest in LEAST.items():
                client.create(name, {"id": "T", **rest})
            client.create(CUSTOMER, {"id": "T", "name": "Target"})
        yield sandbox


@pytest.fixture(scope="module")
def user(company):
    with client_of(company) as client:
        yield client


@pytest.fixture(scope="module")
def raw(company):
    """GET a record as it is sent: our client puts its key first."""
    headers = bearer(company)

    def get(name, key):
        answer = requests.get(f"{company.url}/objects/{name}/{key}", headers=headers, timeout=10)
        return answer.json()["ia::result"]

    return get


@pytest.fixture(scope="module")
def made(user):
    """Make records, each under an id of its own, and return their keys."""
    numbers = count(1)

    def make(name, rest):
        return user.create(name, {"id": f"made {next(numbers)}", **rest})["key"]

    return make


def shape(record):
    """Return a record's members as the table above writes them; references but the contact stay closed."""

    def opened(name, value):
        return (
            isinstance(value, dict) and name != "audit" and (name == "primaryContact" or "key" not in value)
        )

    members = record.items()
    return " ".join(f"{name}({' '.join(value)})" if opened(name, value) else name for name, value in members)


def leaves(model, prefix=""):
    """Yield the dotted path and the description of every scalar of a model, through groups and references."""
    for name, spec in model["fields"].items() if isinstance(model["fields"], Mapping) else ():
        yield prefix + name, spec
    for kind in ("groups", "refs"):
        below = model.get(kind)
        for name, inner in below.items() if isinstance(below, Mapping) else ():
            yield from leaves({"fields": {}, **inner}, f"{prefix}{name}.")


def row_of(client, name, key, fields):
    [row] = client.query(name, list(fields), filters=field("key") == key).rows
    return row


# --- every field


@pytest.mark.parametrize("name", NEIGHBORS)
def test_the_least_record_has_the_documented_members_in_order_and_defaults(raw, made, name):
    record = raw(name, made(name, LEAST[name]))
    assert shape(record) == SHAPES[name]
    found = {
        path: value
        for path, value in flatten(record).items()
        if value not in (None, False, []) and not path.startswith(("audit.", "primaryContact."))
    }
    assert found.pop("webURL", None) is None or name == EMPLOYEE
    given = {path: value for path, value in flatten(LEAST[name]).items() if path != "primaryContact.id"}
    own = {path: found.pop(path) for path in ("key", "id", "href")}
    assert own["href"] == f"/objects/{name}/{own['key']}"
    assert found == DEFAULTS[name] | given


@pytest.mark.parametrize("name", NEIGHBORS)
def test_a_full_record_is_read_as_it_was_written(user, made, name):
    wanted = flatten(FULL[name])
    key = made(name, FULL[name])
    found = flatten(user.get(name, key))
    assert {path: found.get(path) for path in wanted} == wanted
    lists = {path for path, value in wanted.items() if isinstance(value, list)}
    row = row_of(user, name, key, set(wanted) - lists)
    assert row == {path: value for path, value in wanted.items() if path not in lists}


@pytest.mark.parametrize("name", NEIGHBORS)
def test_the_model_names_what_get_shows_and_a_query_answers_the_same(user, made, name):
    key = made(name, FULL[name])
    found = flatten(user.get(name, key))
    described = dict(leaves(user.model(name)))
    older = {path for path, spec in described.items() if spec.get("deprecated") and path not in found}
    assert older == ({"locationReportingTitle"} if name == LOCATION else set())
    lists = {path for path, value in found.items() if isinstance(value, list)}
    assert set(described) - older - {"entity.href"} == set(found) - lists
    row = row_of(user, name, key, described)
    assert {path: row[path] for path in set(found) - lists} == {
        path: value for path, value in found.items() if path not in lists
    }


@pytest.mark.parametrize("name", NEIGHBORS)
def test_every_field_can_be_filtered_and_sorted_by(user, made, name):
    key = made(name, FULL[name])
    described = dict(leaves(user.model(name)))
    row = row_of(user, name, key, described)
    for path, value in row.items():
        if path in described and not path.endswith("href"):
            same = (field("key") == key) & (field(path) == value)
            assert [one["key"] for one in user.query(name, ["key"], filters=same).rows] == [key], path
    some = [path for path in described if not path.endswith("href")][:40]
    ordered = user.query(name, ["key"], order_by=[{path: "desc"} for path in some])
    assert key in {one["key"] for one in ordered.rows}


@pytest.mark.parametrize("name", NEIGHBORS)
def test_a_change_sets_what_it_names_and_nothing_else(user, made, name):
    key = made(name, FULL[name])
    before = flatten(user.get(name, key))
    reference = {TYPE: "parent", TERM: None, CONTACT: "tax.group", ACCOUNT: None, EMPLOYEE: "manager"}.get(
        name, "manager" if name in (LOCATION, ENTITY) else "parent"
    )
    change = {"status": "active"}
    if reference:
        *group, leaf = reference.split(".")
        change |= {group[0]: {leaf: None}} if group else {leaf: None}
    user.update(name, key, change)
    after = flatten(user.get(name, key))
    changed = {path for path in before | after if before.get(path) != after.get(path)}
    expected = {"status"} | {f"{reference}.{leaf}" for leaf in ("key", "id", "name", "href", "locationType")}
    assert {path for path in changed if not path.startswith("audit.")} <= expected
    assert after["status"] == "active"
    assert reference is None or after[f"{reference}.key"] is None


@pytest.mark.parametrize("name", NEIGHBORS)
def test_an_id_changes_only_where_sage_allows_it(user, made, name):
    key = made(name, LEAST[name])
    if name in (DEPARTMENT, ACCOUNT):
        assert user.update(name, key, {"id": f"renamed {key}"})["id"] == f"renamed {key}"
        return
    with pytest.raises(IntacctValidationError, match="read-only"):
        user.update(name, key, {"id": "renamed"})


def test_the_older_name_of_a_locations_title_still_works(user, made):
    key = made(LOCATION, {"name": "x", "locationReportingTitle": "Old"})
    assert user.get(LOCATION, key)["reportTitle"] == "Old"
    assert row_of(user, LOCATION, key, ["locationReportingTitle"]) == {"locationReportingTitle": "Old"}


def test_what_a_reference_shows_follows_the_contact(user, made):
    contact = made(CONTACT, {"printAs": "Before"})
    employee = made(EMPLOYEE, {"primaryContact": {"key": contact}})
    user.update(CONTACT, contact, {"printAs": "After", "mailingAddress": {"city": "Köln"}})
    shown = user.get(EMPLOYEE, employee)["primaryContact"]
    assert (shown["printAs"], shown["mailingAddress"]["city"]) == ("After", "Köln")
    asked = ["primaryContact.printAs", "primaryContact.mailingAddress.city"]
    assert row_of(user, EMPLOYEE, employee, asked) == dict(zip(asked, ("After", "Köln"), strict=True))


# --- refusals


@pytest.mark.parametrize(
    ("name", "change", "target", "words"),
    [
        # missing
        (TERM, {"description": ...}, "/description", "description is required"),
        (CONTACT, {"printAs": ...}, "/printAs", "printAs is required"),
        (DEPARTMENT, {"name": ...}, "/name", "name is required"),
        (LOCATION, {"name": ...}, "/name", "name is required"),
        (EMPLOYEE, {"primaryContact": ...}, "/primaryContact", "primaryContact is required"),
        (EMPLOYEE, {"primaryContact": {"id": None}}, "/primaryContact", "primaryContact is required"),
        (ENTITY, {"federalId": ...}, "/federalId", "federalId is required"),
        (ACCOUNT, {"name": ...}, "/name", "name is required"),
        *((name, {"id": ...}, "/id", "id is required") for name in NEIGHBORS),
        # required because of another field
        (
            ACCOUNT,
            {"closingType": "closingAccount"},
            "/closeToGLAccount",
            "when closingType is closingAccount",
        ),
        (EMPLOYEE, {"filePaymentService": "bankFile"}, "/bankFile/paymentCountryCode", "is bankFile"),
        # no such value
        *((name, {"status": "closed"}, "/status", '"inactive"') for name in NEIGHBORS),
        (TYPE, {"status": "activeNonPosting"}, "/status", '"active"'),
        (TERM, {"due": {"from": "today"}}, "/due/from", "fromInvoiceDate"),
        (TERM, {"penalty": {"cycle": "hourly"}}, "/penalty/cycle", '"weekly"'),
        (EMPLOYEE, {"gender": ""}, "/gender", '"female"'),
        (EMPLOYEE, {"bankFile": {"paymentCountryCode": "UK"}}, "/bankFile/paymentCountryCode", "253 values"),
        (ENTITY, {"operatingCountry": "Unitd Kingdom"}, "/operatingCountry", '"unitedKingdom"'),
        (ENTITY, {"weekStart": "Monday"}, "/weekStart", '"monday"'),
        (ACCOUNT, {"accountType": "asset"}, "/accountType", '"incomeStatement"'),
        (ACCOUNT, {"normalBalance": None}, "/normalBalance", "must be one of"),
        # wrong kind
        (TERM, {"due": {"days": "30"}}, "/due/days", "integer"),
        (TERM, {"discount": {"amount": 2.5}}, "/discount/amount", "integer"),
        (CONTACT, {"tax": {"isTaxable": "yes"}}, "/tax/isTaxable", "boolean"),
        (LOCATION, {"startDate": "01/02/2026"}, "/startDate", "startDate"),
        (ENTITY, {"businessDays": "monday"}, "/businessDays", "array"),
        (ENTITY, {"businessDays": [1]}, "/businessDays", "strings"),
        (LOCATION, {"contacts": {"primary": "T"}}, "/contacts/primary", "object"),
        (ACCOUNT, {"name": "x" * 81}, "/name", "80 characters"),
        (ENTITY, {"id": "x" * 21}, "/id", "20 characters"),
        (DEPARTMENT, {"name": " "}, "/name", "blank"),
        # references that lead nowhere, or to two places
        (TYPE, {"parent": {"id": "none"}}, "/parent/id", "none"),
        (DEPARTMENT, {"supervisor": {"key": "99999"}}, "/supervisor/key", "99999"),
        (EMPLOYEE, {"primaryContact": {"id": "nobody"}}, "/primaryContact/id", "nobody"),
        (EMPLOYEE, {"department": {"id": ""}}, "/department/id", "blank"),
        (EMPLOYEE, {"location": {"id": "T", "key": "77"}}, "/location/key", "77"),
        (LOCATION, {"contacts": {"shipTo": {"id": "none"}}}, "/contacts/shipTo/id", "none"),
        (ENTITY, {"baseCurrency": {"id": "XXX"}}, "/baseCurrency/id", "XXX"),
        (ACCOUNT, {"closeToGLAccount": {"id": "none"}}, "/closeToGLAccount/id", "none"),
        # read-only
        (TERM, {"discount": {"value": "x"}}, "/discount/value", "read-only"),
        (CONTACT, {"entity": {"id": "US"}}, "/entity/id", "read-only"),
        (LOCATION, {"locationType": "entity"}, "/locationType", "read-only"),
        (LOCATION, {"baseCurrency": "USD"}, "/baseCurrency", "read-only"),
        (LOCATION, {"contacts": {"primary": {"email1": "x"}}}, "/contacts/primary/email1", "read-only"),
        (LOCATION, {"parent": {"locationType": "entity"}}, "/parent/locationType", "read-only"),
        (EMPLOYEE, {"webURL": "https://x.example"}, "/webURL", "read-only"),
        (EMPLOYEE, {"manager": {"name": "x"}}, "/manager/name", "read-only"),
        (
            EMPLOYEE,
            {"primaryContact": {"id": "T", "mailingAddress": {"city": "x"}}},
            "/primaryContact/mailingAddress/city",
            "read-only",
        ),
        (ENTITY, {"isRoot": True}, "/isRoot", "read-only"),
        (ENTITY, {"enableEInvoicing": True}, "/enableEInvoicing", "read-only"),
        (ACCOUNT, {"constructionCategory": "cost"}, "/constructionCategory", "read-only"),
        # unknown: these have no such field
        *((name, {"name": "x"}, "/name", "does not exist") for name in (TYPE, TERM, CONTACT)),
        *(
            (name, {"entity": {"id": "US"}}, "/entity", "does not exist")
            for name in (TERM, DEPARTMENT, ENTITY)
        ),
        (CONTACT, {"audit": {}}, "/audit", "does not exist"),
        (EMPLOYEE, {"primaryContact": {"id": "T", "name": "x"}}, "/primaryContact/name", "does not exist"),
    ],
)
def test_a_wrong_record_is_refused_and_named(company, user, name, change, target, words):
    record = {"id": "wrong", **LEAST[name], **change}
    before = user.transactions
    with pytest.raises(IntacctValidationError) as caught:
        user.create(name, {path: value for path, value in record.items() if value is not ...})
    assert [(where, words in what) for what, _id, where, *_ in caught.value.details] == [(target, True)]
    assert user.find(name, "wrong") is None
    assert user.transactions == before + 2, "what is not found is asked for twice"


def test_a_reference_that_is_required_can_be_replaced_but_not_cleared(user, made):
    employee = made(EMPLOYEE, LEAST[EMPLOYEE])
    other = made(CONTACT, {"printAs": "Other"})
    for empty in (None, {"key": None}, {"id": None}):
        with pytest.raises(IntacctValidationError, match="primaryContact is required"):
            user.update(EMPLOYEE, employee, {"primaryContact": empty})
    user.update(EMPLOYEE, employee, {"primaryContact": {"key": other}})
    assert user.get(EMPLOYEE, employee)["primaryContact"]["printAs"] == "Other"


def test_an_account_that_closes_always_says_where(user, made):
    account = made(ACCOUNT, {"name": "Sales"})
    with pytest.raises(IntacctValidationError, match="closeToGLAccount is required when"):
        user.update(ACCOUNT, account, {"closingType": "closingAccount"})
    user.update(ACCOUNT, account, {"closingType": "closingAccount", "closeToGLAccount": T})
    with pytest.raises(IntacctValidationError, match="closeToGLAccount is required when"):
        user.update(ACCOUNT, account, {"closeToGLAccount": None})
    user.update(ACCOUNT, account, {"closingType": "nonClosingAccount", "closeToGLAccount": None})
    assert user.get(ACCOUNT, account)["closeToGLAccount"] == {"key": None, "id": None}


@pytest.mark.parametrize("name", [TERM, DEPARTMENT, ENTITY])
def test_what_an_object_does_not_have_cannot_be_queried(user, name):
    with pytest.raises(IntacctValidationError, match=r"entity\.id"):
        user.query(name, ["id", "entity.id"])


def test_the_audit_of_a_contact_cannot_be_queried(user):
    with pytest.raises(IntacctValidationError, match="createdDateTime"):
        user.query(CONTACT, ["audit.createdDateTime"])


@pytest.mark.parametrize("name", NEIGHBORS)
def test_an_id_is_given_once(user, name):
    with pytest.raises(IntacctConflictError, match="T already exists"):
        user.create(name, {"id": "T", **LEAST[name]})


# --- what is in use


@pytest.mark.parametrize(
    ("target", "by", "record"),
    [
        (TYPE, CUSTOMER, lambda ref: {"name": "x", "customerType": ref}),
        (TYPE, TYPE, lambda ref: {"parent": ref}),
        (TERM, CUSTOMER, lambda ref: {"name": "x", "term": ref}),
        (CONTACT, CUSTOMER, lambda ref: {"name": "x", "contacts": {"shipTo": ref}}),
        (CONTACT, CUSTOMER, lambda ref: {"name": "x", "contactList": [{"contact": ref}]}),
        (CONTACT, EMPLOYEE, lambda ref: {"primaryContact": ref}),
        (CONTACT, LOCATION, lambda ref: {"name": "x", "contacts": {"primary": ref}}),
        (CONTACT, ENTITY, lambda ref: {"name": "x", "federalId": "1", "contacts": {"shipTo": ref}}),
        (DEPARTMENT, DEPARTMENT, lambda ref: {"name": "x", "parent": ref}),
        (DEPARTMENT, EMPLOYEE, lambda ref: {**LEAST[EMPLOYEE], "department": ref}),
        (DEPARTMENT, ACCOUNT_GROUP, lambda ref: {"dimensions": {"department": ref}}),
        (LOCATION, LOCATION, lambda ref: {"name": "x", "parent": ref}),
        (LOCATION, EMPLOYEE, lambda ref: {**LEAST[EMPLOYEE], "location": ref}),
        (EMPLOYEE, EMPLOYEE, lambda ref: {**LEAST[EMPLOYEE], "manager": ref}),
        (EMPLOYEE, DEPARTMENT, lambda ref: {"name": "x", "supervisor": ref}),
        (EMPLOYEE, CUSTOMER, lambda ref: {"name": "x", "salesRepresentative": ref}),
        (ACCOUNT, ACCOUNT, lambda ref: {"name": "x", "closeToGLAccount": ref}),
        (ACCOUNT, ENTITY, lambda ref: {"name": "x", "federalId": "1", "unrecoverableTaxAccount": ref}),
        (CUSTOMER, ENTITY, lambda ref: {"name": "x", "federalId": "1", "customer": ref}),
        (ENTITY, ACCOUNT_GROUP, lambda ref: {"dimensions": {"entity": ref}}),
    ],
)
def test_a_record_in_use_cannot_be_deleted_and_a_free_one_can(user, made, target, by, record):
    used = made(target, LEAST.get(target, {"name": "x"}))
    holder = made(by, record({"key": used}))
    with pytest.raises(IntacctError, match=f"{by} uses it"):
        user.delete(target, used)
    assert user.get(target, used)["key"] == used
    user.delete(by, holder)
    user.delete(target, used)
    assert user.query(target, ["key"], filters=field("key") == used).rows == []


# --- web addresses


@pytest.mark.parametrize("seed", ["demo", f"{CUSTOMER}=30"])
def test_seeded_customers_have_web_addresses_that_get_and_query_show(seed):
    with running(seed) as sandbox, client_of(sandbox) as client:
        rows = [*client.iter_rows(CUSTOMER, ["key", "webURL"])]
        shown = {row["key"]: row["webURL"] for row in rows}
        assert len(rows) >= 30
        assert len(set(shown.values())) == len(rows)
        assert all(WEB_URL.fullmatch(one) for one in shown.values())
        assert {record["key"]: record["webURL"] for record in client.get_many(CUSTOMER, list(shown))} == shown
        new = client.get(CUSTOMER, client.create(CUSTOMER, {"name": "New"})["key"])["webURL"]
        assert new not in shown.values()


@pytest.mark.parametrize("name", [CUSTOMER, EMPLOYEE])
def test_a_web_address_is_opaque_and_never_changes(user, made, name):
    rest = LEAST.get(name, {"name": "x"})
    keys = [made(name, rest) for _ in range(3)]
    urls = [user.get(name, key)["webURL"] for key in keys]
    assert all(WEB_URL.fullmatch(one) for one in urls)
    # Neighbors have nothing in common, so nobody can count from one to the next.
    first, second, third = (url.rpartition("=")[2] for url in urls)
    assert sum(a == b for a, b in zip(first, second, strict=True)) < 12
    assert len({first, second, third}) == 3
    user.update(name, keys[0], {"status": "inactive"})
    assert user.get(name, keys[0])["webURL"] == urls[0] == row_of(user, name, keys[0], ["webURL"])["webURL"]
    found = user.query(name, ["key"], filters=field("webURL") == urls[1]).rows
    assert found == [{"key": keys[1]}]


def test_the_demo_company_is_the_same_every_time(demo_client):
    with running("demo") as sandbox, client_of(sandbox) as client:
        for name in (CUSTOMER, *NEIGHBORS):
            keys = [row["key"] for row in demo_client.iter_rows(name, ["key"])]
            assert [*client.get_many(name, keys)] == [*demo_client.get_many(name, keys)]


# --- the demo company


def test_every_reference_of_the_demo_company_leads_to_a_record(demo_client):
    keys = {}

    def keys_of(name):
        if name not in keys:
            rows = demo_client.iter_rows(name, ["key"], filter_parameters={"includePrivate": True})
            keys[name] = {row["key"] for row in rows}
        return keys[name]

    followed = set()
    for name in (CUSTOMER, *NEIGHBORS):
        targets = dict(references(demo_client.model(name)))
        rows = demo_client.iter_rows(name, [f"{path}.key" for path in targets])
        for row in rows:
            for path, target in targets.items():
                if row[f"{path}.key"] is not None:
                    assert row[f"{path}.key"] in keys_of(target), (name, path)
                    followed.add((name, path))
    assert followed >= {
        (TYPE, "parent"),
        *((DEPARTMENT, path) for path in ("parent", "supervisor")),
        *((LOCATION, path) for path in ("parent", "manager", "contacts.primary")),
        *((EMPLOYEE, path) for path in ("manager", "location", "department", "primaryContact")),
        *((ENTITY, path) for path in ("manager", "contacts.primary", "baseCurrency")),
        (ACCOUNT, "closeToGLAccount"),
    }


def references(model, prefix=""):
    """Yield the dotted path and the object of every reference of a model."""
    for kind in ("groups", "refs"):
        below = model.get(kind)
        for name, inner in below.items() if isinstance(below, Mapping) else ():
            if kind == "refs":
                yield prefix + name, inner["apiObject"]
            yield from references(inner, f"{prefix}{name}.")


def test_the_demo_accounts_agree_with_the_account_groups(demo_client):
    asked = ["id", "normalBalance", "accountType", "closingType", "closeToGLAccount.id"]
    accounts = {int(row["id"]): row for row in demo_client.iter_rows(ACCOUNT, asked)}
    groups = demo_client.iter_rows(
        ACCOUNT_GROUP, ["key", "normalBalance", "calculationMethod"], filters=field("groupType") == "accounts"
    )
    checked = 0
    for group in groups:
        for one in demo_client.get(ACCOUNT_GROUP, group["key"])["accountRanges"]:
            for number in accounts:
                if int(one["rangeFrom"]) <= number <= int(one["rangeTo"]):
                    checked += 1
                    account = accounts[number]
                    sheet = group["calculationMethod"] == "endOfPeriod"
                    assert account["normalBalance"] == group["normalBalance"], number
                    assert account["accountType"] == ("balanceSheet" if sheet else "incomeStatement"), number
    # The second account of a range of ten lies behind it.
    assert (checked, len(accounts)) == (84, 86)
    closing = {
        row["closeToGLAccount.id"] for row in accounts.values() if row["closingType"] == "closingAccount"
    }
    assert closing == {"3200"}
    assert accounts[3200]["closingType"] == "closedToAccount"
    income = [row for row in accounts.values() if row["accountType"] == "incomeStatement"]
    assert all(row["closingType"] == "closingAccount" for row in income)


def test_the_demo_terms_say_when_they_are_due(demo_client):
    asked = ["id", "due.days", "due.from", "discount.days", "discount.amount", "discount.unit"]
    terms = {row.pop("id"): row for row in demo_client.iter_rows(TERM, asked)}
    assert {name: row["due.days"] for name, row in terms.items()} == {
        "Due on receipt": 0,
        "Net 15": 15,
        "Net 30": 30,
        "Net 45": 45,
        "Net 60": 60,
        "2% 10 Net 30": 30,
    }
    discounts = {name: (row["discount.amount"], row["discount.unit"]) for name, row in terms.items()}
    assert discounts.pop("2% 10 Net 30") == (2, "percentage")
    assert set(discounts.values()) == {(None, None)}


def test_the_demo_people_and_places_are_complete(demo_client):
    wanted = [
        "email1",
        "phone1",
        "mailingAddress.addressLine1",
        "mailingAddress.city",
        "mailingAddress.postCode",
    ]
    people = [*demo_client.iter_rows(CONTACT, ["printAs", "lastName", *wanted])]
    assert len(people) == 22
    for row in people:
        assert all(row[path] for path in wanted if row["lastName"] or path != "email1"), row["printAs"]
    employees = demo_client.iter_rows(
        EMPLOYEE, ["id", "name", "primaryContact.printAs", "manager.id", "jobTitle", "startDate"]
    )
    for row in employees:
        assert row["name"] == row["primaryContact.printAs"]
        assert row["jobTitle"]
        assert row["startDate"]
        assert (row["manager.id"] is None) is (row["id"] == "E-101")
    rows = demo_client.iter_rows(
        LOCATION, ["id", "locationType", "parent.id", "parent.locationType", "baseCurrency"]
    )
    for row in rows:
        entity = "-" not in row["id"]
        assert row["locationType"] == ("entity" if entity else "location")
        assert (row["parent.id"], row["parent.locationType"]) == (
            (None, None) if entity else (row["id"][:2], "entity")
        )
        assert row["baseCurrency"] == ("GBP" if row["id"].startswith("UK") else "USD")


@pytest.mark.parametrize("name", NEIGHBORS)
def test_a_change_of_nothing_changes_nothing(sandbox, name):
    with client_of(sandbox) as client:
        if name == EMPLOYEE:
            client.create(CONTACT, {"id": "T", **LEAST[CONTACT]})
        key = client.create(name, {"id": "N", **LEAST[name]})["key"]
        before = client.get(name, key)
        client.update(name, key, {})
        after = client.get(name, key)
        assert {**after, "audit": None} == {**before, "audit": None}


# --- files of older versions


def test_a_file_that_lacks_columns_of_today_can_be_read_and_changed(tmp_path):
    path = str(tmp_path / "company.db")
    with running("demo", db=path) as sandbox, client_of(sandbox) as client:
        before = client.get(EMPLOYEE, "1")
    lost = {
        EMPLOYEE: ("primaryContact.key", "jobTitle", "webURL", "mergePaymentRequests"),
        ACCOUNT: ("category", "closeToGLAccount.key"),
        CUSTOMER: ("webURL",),
    }
    database = sqlite3.connect(path)
    for name, columns in lost.items():
        for column in columns:
            database.execute(f'ALTER TABLE "{name}" DROP COLUMN "{column}"')
    database.commit()
    database.close()
    with running("demo", db=path) as sandbox, client_of(sandbox) as client:
        after = client.get(EMPLOYEE, "1")
        assert list(after) == list(before)
        changed = {name for name in before if after[name] != before[name]}
        assert changed == {"primaryContact", "jobTitle", "webURL"}
        assert after["mergePaymentRequests"] is True
        assert (after["primaryContact"]["key"], after["jobTitle"], after["webURL"]) == (None, None, None)
        # What is required today is not asked of a record that was made before.
        client.update(EMPLOYEE, "1", {"jobTitle": "Chief"})
        assert row_of(client, EMPLOYEE, "1", ["jobTitle", "webURL"]) == {"jobTitle": "Chief", "webURL": None}
        assert client.get(ACCOUNT, "1")["category"] is None
        assert client.get(CUSTOMER, "1")["webURL"] is None
