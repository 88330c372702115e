"""Departments, locations and entities, as Sage's description of version 1 has them."""

from __future__ import annotations

from intacct_provider.sandbox.objects.countries import COUNTRIES, COUNTRY_CODES
from intacct_provider.sandbox.objects.definitions import (
    AUDIT,
    ENTITY_REF,
    HIDDEN_ENTITY_REF,
    KEY,
    NAMED,
    Field,
    ListField,
    Member,
    ObjectType,
    Ref,
    boolean,
    choice,
    dimension_status,
    identifier,
    name_field,
    status,
)
from intacct_provider.sandbox.objects.names import (
    ACCOUNT,
    CONTACT,
    CUSTOMER,
    DEPARTMENT,
    EMPLOYEE,
    ENTITY,
    LOCATION,
)
from intacct_provider.sandbox.objects.people import CONTACT_SHOWN

MONTHS = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
WEEKDAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
CONTACTS = (
    Ref("contacts.primary", CONTACT, CONTACT_SHOWN),
    Ref("contacts.shipTo", CONTACT, CONTACT_SHOWN),
)
PERIOD = (Field("startDate", format="date"), Field("endDate", format="date"))

department = ObjectType(
    DEPARTMENT,
    (
        identifier(),
        KEY,
        name_field(required=True),
        Ref("parent", DEPARTMENT, NAMED),
        Ref("supervisor", EMPLOYEE, NAMED),
        *AUDIT,
        dimension_status(),
        Field("reportTitle"),
        Field("number", deprecated=True),
        HIDDEN_ENTITY_REF,
    ),
)

location = ObjectType(
    LOCATION,
    (
        identifier(mutable=False),
        KEY,
        name_field(required=True),
        Ref("parent", LOCATION, (*NAMED, "locationType")),
        Ref("manager", EMPLOYEE, NAMED),
        *CONTACTS,
        *PERIOD,
        dimension_status(),
        *AUDIT,
        Field("reportTitle"),
        Field("printAs"),
        ENTITY_REF,
        Field("baseCurrency", read_only=True),
        Field("taxId"),
        Field("businessId"),
        Field(
            "locationType",
            enum=("entity", "elimination", "location"),
            default="location",
            read_only=True,
            nullable=False,
        ),
    ),
    aliases={"locationReportingTitle": "reportTitle"},
)

LEGAL_ADDRESS = ("address1", "address2", "address3", "city", "state", "zipCode", "country")
LEGAL_CONTACT: tuple[Member, ...] = (
    boolean("legalContact.enableOnTaxForms"),
    Field("legalContact.name"),
    *(Field(f"legalContact.address.{name}") for name in LEGAL_ADDRESS),
    choice("legalContact.address.countryCode", *COUNTRY_CODES),
    *(Field(f"legalContact.tpar.contact.{name}") for name in ("name", "phone", "fax", "email")),
    Field("legalContact.tpar.branchNumber"),
    boolean("legalContact.enableOnTPAR"),
)

entity = ObjectType(
    ENTITY,
    (
        Field("id", nullable=False, required=True, mutable=False, max_length=20),
        KEY,
        name_field(required=True),
        Ref("manager", EMPLOYEE, NAMED),
        *CONTACTS,
        Field("contacts.legalCategory"),
        Field("contacts.mainActivity"),
        Field("contacts.typeOfCompany"),
        Field("contacts.registeredCapital", "integer"),
        Field("contacts.valueAddedTaxRegime"),
        *PERIOD,
        status(),
        *AUDIT,
        Field("federalId", required=True),
        choice("firstFiscalMonth", None, *MONTHS),
        Ref("baseCurrency", "company-config/txn-currency"),
        choice("weekStart", None, *WEEKDAYS),
        Ref("interEntityPayableGLAccount", ACCOUNT),
        Ref("interEntityReceivableGLAccount", ACCOUNT),
        *(
            Field(f"texts.{name}")
            for name in ("message", "marketing", "footnote", "reportPrintAs", "customTitle")
        ),
        boolean("isRoot", read_only=True),
        Ref("vendor", "accounts-payable/vendor", NAMED),
        Ref("customer", CUSTOMER, NAMED),
        boolean("enableInterEntityRelationships"),
        ListField("businessDays", whole=True),
        ListField("weekendDays", whole=True),
        choice("firstTaxMonth", None, *MONTHS),
        Field("taxId"),
        Field("businessId"),
        choice("defaultCountryForAddresses", *COUNTRIES, default="unitedStates"),
        Field("openBooksStartDate", format="date"),
        *LEGAL_CONTACT,
        choice("operatingCountry", *COUNTRIES),
        Ref("taxSolution", "tax/tax-solution"),
        boolean("isPartialExempt"),
        boolean("isDefaultPartialExempt"),
        Ref("unrecoverableTaxAccount", ACCOUNT),
        choice("accountingType", None, "entity", "fund", default="entity"),
        Field("statutoryReportingPeriodDate", format="date"),
        boolean("isLimitedEntity"),
        boolean("enableEInvoicing", read_only=True),
        Field("electronicAddress", default="", read_only=True),
        Field("branding.logo", format="base64zip"),
        HIDDEN_ENTITY_REF,
    ),
)

OBJECT_TYPES = (department, location, entity)
