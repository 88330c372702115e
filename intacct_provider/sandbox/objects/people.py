"""Contacts and employees, as Sage's description of version 1 has them."""

from __future__ import annotations

from intacct_provider.sandbox.objects.countries import COUNTRY_CODES
from intacct_provider.sandbox.objects.definitions import (
    AUDIT,
    ENTITY_REF,
    KEY,
    NAMED,
    Field,
    ObjectType,
    Ref,
    boolean,
    choice,
    identifier,
    name_field,
    status,
)
from intacct_provider.sandbox.objects.names import CONTACT, CUSTOMER, DEPARTMENT, EMPLOYEE, LOCATION

ADDRESS = (
    "addressLine1",
    "addressLine2",
    "addressLine3",
    "city",
    "country",
    "isoCountryCode",
    "postCode",
    "state",
)
# The fields of its contact that an employee, a location or an entity shows; they are changed at the contact.
CONTACT_SHOWN = (
    *(f"mailingAddress.{name}" for name in ADDRESS),
    *("URL1", "URL2", "companyName", "email1", "email2", "fax", "firstName", "id", "lastName", "middleName"),
    *("mobile", "pager", "phone1", "phone2", "prefix", "printAs", "key"),
)
# Sage's own defaults; the other parts of an address have no default.
HOME = {"country": "United States", "isoCountryCode": "US"}

contact = ObjectType(
    CONTACT,
    (
        KEY,
        identifier(mutable=False),
        *(Field(name) for name in ("companyName", "prefix", "firstName", "lastName", "middleName")),
        Field("printAs", nullable=False, required=True),
        boolean("tax.isTaxable", default=True),
        Ref("tax.group", "tax/contact-tax-group"),
        Field("tax.taxId"),
        *(Field(name) for name in ("phone1", "phone2", "mobile", "pager", "fax")),
        *(Field(name) for name in ("email1", "email2", "URL1", "URL2")),
        boolean("showInContactList", default=True),
        *(
            Field(f"mailingAddress.{name}", default=HOME.get(name), deprecated=name == "country")
            for name in ADDRESS
        ),
        status(),
        Field("entityUseCode"),
        Ref("priceSchedule", "purchasing/price-schedule"),
        Field("discount"),
        Ref("priceList", "order-entry/price-list"),
        ENTITY_REF,
    ),
)

employee = ObjectType(
    EMPLOYEE,
    (
        KEY,
        identifier(mutable=False),
        Field("SSN"),
        Field("jobTitle"),
        Ref("location", LOCATION, NAMED),
        Ref("department", DEPARTMENT, NAMED),
        Ref("manager", EMPLOYEE, NAMED),
        *(Field(name, format="date") for name in ("birthDate", "startDate", "endDate")),
        status(),
        choice("gender", None, "female", "male"),
        choice("terminationType", None, "voluntary", "involuntary", "deceased", "disability", "retired"),
        name_field(),
        Ref("primaryContact", CONTACT, CONTACT_SHOWN, nullable=False, required=True),
        Field("defaultCurrency"),
        *(Field(f"form1099.{name}") for name in ("name", "type", "box")),
        boolean("postActualCostWithVariance"),
        *AUDIT,
        Ref("class", "company-config/class", NAMED),
        Ref("defaultCustomer", CUSTOMER, NAMED),
        Ref("defaultItem", "inventory-control/item", NAMED),
        Ref("defaultVendor", "accounts-payable/vendor", NAMED),
        choice("preferredPaymentMethod", None, "printedCheck", "eft", "cash", "ach"),
        Field(
            "bankFile.paymentCountryCode",
            enum=COUNTRY_CODES,
            required_when=("filePaymentService", "bankFile"),
        ),
        Field("bankFile.paymentCurrency"),
        choice("filePaymentService", None, "ach", "bankFile", "none", default="none"),
        boolean("ach.enabled"),
        Field("ach.bankRoutingNumber"),
        Field("ach.accountNumber"),
        choice("ach.accountType", None, "checkingAccount", "savingsAccount"),
        choice("ach.remittanceType", None, "personalPPD", "businessCCD", "businessCTX"),
        boolean("sendAutomaticPaymentNotification"),
        boolean("isPlaceholderResource"),
        boolean("mergePaymentRequests", default=True),
        Field("webURL", read_only=True),
        ENTITY_REF,
    ),
)

OBJECT_TYPES = (contact, employee)
