"""Customers, their groups, types and terms, as Sage's description of version 1 has them."""

from __future__ import annotations

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
    identifier,
    name_field,
    status,
)
from intacct_provider.sandbox.objects.names import (
    ACCOUNT,
    CONTACT,
    CUSTOMER,
    CUSTOMER_GROUP,
    CUSTOMER_TYPE,
    DEPARTMENT,
    EMPLOYEE,
    LOCATION,
    TERM,
    TERRITORY,
)

# Sage still shows the contact's own fields here, although they are deprecated.
CONTACT_FIELDS = (
    *("lastName", "firstName", "middleName", "prefix", "email1", "email2", "phone1", "phone2", "mobile"),
    *("pager", "fax", "URL1", "URL2", "companyName", "printAs"),
)
ADDRESS_FIELDS = ("addressLine1", "addressLine2", "addressLine3", "city", "state", "postCode")
PRINT_TEMPLATES = (
    *("arInvoice", "orderEntryQuote", "orderEntryOrder", "orderEntryList", "orderEntryInvoice"),
    *("orderEntryAdjustment", "orderEntryOther"),
)

DEFAULT_CONTACT: tuple[Member, ...] = (
    *(Field(f"contacts.default.mailingAddress.{name}", deprecated=True) for name in ADDRESS_FIELDS),
    Field("contacts.default.mailingAddress.country", default="US", deprecated=True),
    Field("contacts.default.mailingAddress.isoCountryCode", default="US", deprecated=True),
    boolean("contacts.default.tax.isTaxable"),
    Ref("contacts.default.tax.group", "tax/contact-tax-group"),
    Ref("contacts.default.tax.solution", "tax/tax-solution"),
    *(Field(f"contacts.default.{name}", deprecated=True) for name in CONTACT_FIELDS),
    boolean("contacts.default.showInContactList", default=True),
    Field("contacts.default.electronicInvoiceDetails.legalCategory"),
    Field("contacts.default.electronicInvoiceDetails.mainActivity"),
    Field("contacts.default.electronicInvoiceDetails.typeOfCompany"),
    Field("contacts.default.electronicInvoiceDetails.registeredCapital", "integer"),
    Field("contacts.default.electronicInvoiceDetails.valueAddedTaxRegime"),
    Field("contacts.default.internationalTaxId"),
    Field("contacts.default.electronicAddress"),
)

OWNER = Ref("customer", CUSTOMER, owner=True, open=("key", "id"))
OWNED: tuple[Field | Ref, ...] = (KEY, Field("id", read_only=True))
OWNED_AUDIT: tuple[Field | Ref, ...] = tuple(member for member in AUDIT if isinstance(member, Field | Ref))

CUSTOMER_LISTS: tuple[Member, ...] = (
    ListField(
        "contactList",
        "accounts-receivable/customer-contact",
        (*OWNED, Field("categoryName"), *OWNED_AUDIT, OWNER, Ref("contact", CONTACT)),
    ),
    ListField(
        "customerEmailTemplates",
        "accounts-receivable/customer-email-template",
        (
            *OWNED,
            OWNER,
            Ref("txnDefinition", "order-entry/txn-definition"),
            Field("txnDefinitionName"),
            Ref("emailTemplate", "company-config/email-template", ("key", "id", "name", "templateType")),
        ),
    ),
    ListField(
        "restrictedDepartments",
        "accounts-receivable/customer-restricted-department",
        (
            *OWNED,
            Ref("department", DEPARTMENT),
            Ref("departmentGroup", "company-config/department-group"),
            OWNER,
        ),
    ),
    ListField(
        "restrictedLocations",
        "accounts-receivable/customer-restricted-location",
        (
            *OWNED,
            Ref("location", LOCATION),
            Ref("locationGroup", "company-config/location-group"),
            OWNER,
        ),
    ),
)

customer = ObjectType(
    CUSTOMER,
    (
        KEY,
        identifier(required=False, mutable=False),
        name_field(required=True),
        Ref("parent", CUSTOMER, NAMED),
        Ref("contacts.default", CONTACT),
        *DEFAULT_CONTACT,
        Ref("contacts.primary", CONTACT),
        Ref("contacts.shipTo", CONTACT),
        Ref("contacts.billTo", CONTACT),
        Ref("term", TERM),
        Ref("salesRepresentative", EMPLOYEE, NAMED),
        Field("resaleNumber", "number", deprecated=True),
        Field("customerResaleNumber"),
        Field("taxId"),
        Field("electronicAddress"),
        Field("creditLimit", "number"),
        Field("totalDue", format="decimal-precision-2", read_only=True),
        Field("notes"),
        Ref("accountLabel", "accounts-receivable/account-label"),
        Ref("defaultRevenueGLAccount", ACCOUNT, NAMED),
        Field("lastInvoiceCreatedDate", format="date", read_only=True),
        Field("lastStatementGeneratedDate", format="date", read_only=True),
        choice("deliveryOptions", "print", "email", "both", default="print"),
        Ref("territory", TERRITORY, NAMED, open=("name",)),
        Ref("shippingMethod", "accounts-receivable/shipping-method"),
        Ref("customerType", CUSTOMER_TYPE),
        Ref("accountGroup", "order-entry/customer-gl-group"),
        Ref("attachment", "company-config/attachment"),
        Ref("priceSchedule", "purchasing/price-schedule"),
        Field("discountPercent"),
        Ref("priceList", "order-entry/price-list"),
        Field("retainagePercentage", "number"),
        Field("advanceBillBy"),
        choice("advanceBillByType", "", "days", "months"),
        Field("currency"),
        # Writes of null are accepted.
        Field("status", enum=("active", "activeNonPosting", "inactive"), default="active"),
        boolean("isOneTimeUse"),
        Ref(
            "customerMessage",
            "accounts-receivable/customer-message",
            ("key", "id", "message"),
            open=("message",),
        ),
        boolean("isOnHold"),
        Field(
            "overridePriceList",
            enum=("customer", "billingContact", "shippingContact"),
            default="customer",
            nullable=False,
            # The values in Sage's earlier description of the object.
            synonyms=(
                ("Customer", "customer"),
                ("Billing contact", "billingContact"),
                ("Shipping contact", "shippingContact"),
            ),
        ),
        boolean("enableOnlineCardPayment", default=True, deprecated=True),
        boolean("enableOnlineACHPayment", default=True, deprecated=True),
        boolean("disableRefund"),
        Ref("vendor", "accounts-payable/vendor", ("key", "id", "isSystemGenerated")),
        Field("activationDate", format="date", read_only=True, deprecated=True),
        Field("subscriptionEndDate", format="date", read_only=True),
        *AUDIT,
        ENTITY_REF,
        choice("customerRestriction", "unrestricted", "rootOnly", "restricted", default="unrestricted"),
        choice("restrictions.restrictionType", None, "unrestricted", "rootOnly", "restricted"),
        Ref("overrideOffsetGLAccount", ACCOUNT, NAMED),
        boolean("emailOptIn"),
        Field("customerAccountHealth.healthScore", "integer"),
        choice("customerAccountHealth.healthStatus", "healthy", "atRisk", "escalated", default="healthy"),
        boolean("customerAccountHealth.churnRisk"),
        *(
            Ref(f"printTemplates.{name}", "company-config/print-template", linked=False)
            for name in PRINT_TEMPLATES
        ),
        Field("webURL", read_only=True),
        *CUSTOMER_LISTS,
    ),
)

customer_group = ObjectType(
    CUSTOMER_GROUP,
    (
        KEY,
        identifier(mutable=False),
        name_field(required=True),
        Field("description"),
        choice("groupType", "all", "specific", default="all"),
        ListField(
            "memberFilter",
            items=(
                Field("object"),
                Field("filters"),
                Field("filterExpression", default="and"),
                Field("orderBy"),
                Field("size", "integer"),
            ),
            shape="object",
        ),
        *AUDIT,
        ENTITY_REF,
        ListField(
            "groupMembers", CUSTOMER, (KEY, Field("id"), Field("sortOrder", read_only=True)), whole=True
        ),
        boolean("isDimensionStructure"),
    ),
)

customer_type = ObjectType(
    CUSTOMER_TYPE,
    (identifier(mutable=False), Ref("parent", CUSTOMER_TYPE), status(), KEY, *AUDIT, ENTITY_REF),
)

# What the days of a term are counted from.
COUNTED = (
    *(None, "fromInvoiceDate", "ofTheMonthOfInvoiceDate", "ofNextMonthFromInvoiceDate"),
    *("of2ndMonthFromInvoiceDate", "of3rdMonthFromInvoiceDate", "of4thMonthFromInvoiceDate"),
    *("of5thMonthFromInvoiceDate", "of6thMonthFromInvoiceDate", "afterEndOfMonthOfInvoiceDate"),
    "fromInvoiceDateExtendingToEom",
)
UNITS = (None, "amount", "percentage")
PENALTY_CYCLES = (
    *(None, "noPenalty", "daily", "weekly", "biweekly", "monthly", "bimonthly", "quarterly"),
    *("halfYearly", "annually"),
)

term = ObjectType(
    TERM,
    (
        identifier(mutable=False),
        Field("description", nullable=False, required=True),
        status(),
        KEY,
        Field("due.days", "integer"),
        choice("due.from", *COUNTED),
        Field("discount.days", "integer"),
        choice("discount.from", *COUNTED),
        Field("discount.amount", "integer"),
        choice("discount.unit", *UNITS),
        Field("discount.graceDays", "integer"),
        Field("discount.value", read_only=True),
        choice("discount.calculateOn", "lineItemsTotal", "invoiceTotal", default="invoiceTotal"),
        choice("penalty.cycle", *PENALTY_CYCLES, default="noPenalty"),
        Field("penalty.amount", "integer"),
        choice("penalty.unit", *UNITS),
        Field("penalty.graceDays", "integer"),
        *AUDIT,
        HIDDEN_ENTITY_REF,
    ),
)

OBJECT_TYPES = (customer, customer_group, customer_type, term)
