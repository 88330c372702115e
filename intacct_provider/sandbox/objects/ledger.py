"""Accounts, their groups and the purposes of those, as Sage's description of version 1 has them."""

from __future__ import annotations

from intacct_provider.sandbox.objects.definitions import (
    AUDIT,
    ENTITY_REF,
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
    status,
)
from intacct_provider.sandbox.objects.names import (
    ACCOUNT,
    ACCOUNT_GROUP,
    ACCOUNT_GROUP_PURPOSE,
    CATEGORY_MEMBER,
    CUSTOMER,
    DEPARTMENT,
    EMPLOYEE,
    ENTITY,
    LOCATION,
)

DIMENSIONS = {
    "location": LOCATION,
    "department": DEPARTMENT,
    "departmentGroup": "company-config/department-group",
    "locationGroup": "company-config/location-group",
    "project": "projects/project",
    "customer": CUSTOMER,
    "vendor": "accounts-payable/vendor",
    "employee": EMPLOYEE,
    "item": "inventory-control/item",
    "class": "company-config/class",
    "task": "projects/task",
    "warehouse": "inventory-control/warehouse",
    "asset": "fixed-assets/asset",
    "contract": "contracts/contract",
    "costType": "construction/cost-type",
    "workOrder": "construction/work-order",
    "affiliateEntity": "company-config/affiliate-entity",
    "loanAccount": "loan-management/loan-account",
    "entity": ENTITY,
}

SPECIFIC = (None, "noFilter", "specific", "nullValue")
HIERARCHY = (None, "noFilter", "specificHierarchy", "specific", "nullValue")
ALL_OR_NONE = (None, "noFilter", "nullValue")
REPORT_FILTERS: tuple[Member, ...] = (
    choice("reportFilters.debitOrCredit", None, "both", "debitOnly", "creditOnly"),
    choice("reportFilters.department", *HIERARCHY),
    choice("reportFilters.location", *HIERARCHY, default="noFilter"),
    # The vendor's filter says "unspecified" where the others say "nullValue"; so does Sage's description.
    choice("reportFilters.vendor", None, "noFilter", "specificHierarchy", "specific", "unspecified"),
    choice("reportFilters.customer", *HIERARCHY),
    choice("reportFilters.project", *HIERARCHY),
    choice("reportFilters.employee", *HIERARCHY),
    choice("reportFilters.item", *SPECIFIC),
    choice("reportFilters.class", *HIERARCHY),
    choice("reportFilters.contract", *HIERARCHY),
    choice("reportFilters.task", *ALL_OR_NONE),
    choice("reportFilters.warehouse", *HIERARCHY),
    choice("reportFilters.costType", *ALL_OR_NONE),
    choice("reportFilters.asset", *HIERARCHY),
    choice("reportFilters.affiliateEntity", *SPECIFIC),
    choice("reportFilters.loanAccount", *SPECIFIC),
)

OWNER = Ref("glAccountGroup", ACCOUNT_GROUP, read_only=True, owner=True)
OWNED: tuple[Field | Ref, ...] = (KEY, Field("id", read_only=True))
OWNED_AUDIT: tuple[Field | Ref, ...] = tuple(member for member in AUDIT if isinstance(member, Field | Ref))
RANGE: tuple[Field | Ref, ...] = (
    *OWNED,
    OWNER,
    Field("sortOrder", "integer", default=0),
    Field("rangeFrom"),
    Field("rangeTo"),
    *OWNED_AUDIT,
)
CATEGORY: tuple[Field | Ref, ...] = (
    *OWNED,
    Field("sortOrder", "integer"),
    Ref("accountCategory", "general-ledger/reporting-category"),
    OWNER,
    *OWNED_AUDIT,
)


def formula(side: str) -> tuple[Field | Ref, ...]:
    """Return the members of one side of a computation: an account, a group or a constant."""
    return (
        Ref(f"{side}.glAccount", ACCOUNT, NAMED),
        Ref(f"{side}.glAccountGroup", ACCOUNT_GROUP),
        Field(f"{side}.constant"),
        choice(f"{side}.asOf", "forPeriod", "startOfPeriod", "endOfPeriod"),
    )


COMPUTATION: tuple[Field | Ref, ...] = (
    *OWNED,
    OWNER,
    *formula("formulaLeft"),
    choice("operator", "add", "subtract", "multiply", "divide"),
    *formula("formulaRight"),
    Field("numberOfDecimalPlaces", "integer"),
    choice(
        "displayAs",
        *("number", "percent", "ratioWithDecimals", "ratioWithoutDecimals"),
        *("dailyAverage", "weeklyAverage", "monthlyAverage", "quarterlyAverage"),
    ),
    Field("unit"),
    choice("unitPlacement", None, "left", "right"),
    *OWNED_AUDIT,
)

account_group = ObjectType(
    ACCOUNT_GROUP,
    (
        KEY,
        identifier(mutable=False),
        choice("normalBalance", "debit", "credit", default="credit"),
        choice("calculationMethod", None, "period", "startOfPeriod", "endOfPeriod", default="period"),
        boolean("includeChildAmount"),
        Field("title"),
        Field("displayTotalLineAs"),
        *(Ref(f"dimensions.{name}", target, NAMED) for name, target in DIMENSIONS.items()),
        *REPORT_FILTERS,
        Field(
            "groupType",
            enum=(
                "accounts",
                "groups",
                "statisticalAccounts",
                "computation",
                "category",
                "statisticalCategory",
            ),
            default="accounts",
            nullable=False,
            mutable=False,
        ),
        Ref("dimensionsGroup.departmentGroup", DIMENSIONS["departmentGroup"], NAMED),
        Ref("dimensionsGroup.locationGroup", DIMENSIONS["locationGroup"], NAMED),
        boolean("isKPI"),
        *AUDIT,
        Field("manager"),
        Ref("accountGroupPurpose", ACCOUNT_GROUP_PURPOSE),
        ListField("accountRanges", "general-ledger/account-range", RANGE),
        ListField(
            "accountGroupMembers",
            "general-ledger/account-group-member",
            (*OWNED, Field("sortOrder", "integer"), Ref("accountGroup", ACCOUNT_GROUP), OWNER, *OWNED_AUDIT),
        ),
        ListField("accountGroupComputation", "general-ledger/account-group-computation", COMPUTATION),
        ListField("accountGroupCategoryMembers", CATEGORY_MEMBER, CATEGORY),
        ListField("statisticalAccountGroupCategoryMembers", CATEGORY_MEMBER, CATEGORY),
        ListField("statisticalAccountRanges", "general-ledger/account-range", RANGE),
        ENTITY_REF,
    ),
)

account_group_purpose = ObjectType(
    ACCOUNT_GROUP_PURPOSE,
    (identifier(), status(), KEY, *AUDIT, ENTITY_REF),
)

REQUIRABLE = (
    *("department", "location", "project", "customer", "vendor", "employee", "item", "class", "contract"),
    *("warehouse", "asset", "affiliateEntity", "task", "costType", "loanAccount", "isWorkOrderRequired"),
)

account = ObjectType(
    ACCOUNT,
    (
        KEY,
        identifier(),
        Field("name", nullable=False, required=True, max_length=80),
        choice("accountType", "balanceSheet", "incomeStatement", default="balanceSheet"),
        choice("normalBalance", "debit", "credit", default="debit"),
        choice(
            "closingType",
            *("nonClosingAccount", "closingAccount", "closedToAccount"),
            default="nonClosingAccount",
        ),
        Ref("closeToGLAccount", ACCOUNT, required_when=("closingType", "closingAccount")),
        status(),
        *(boolean(f"requireDimensions.{name}") for name in REQUIRABLE),
        boolean("isTaxable"),
        *(Field(name) for name in ("category", "taxCode", "mrcCode")),
        choice("alternativeGLAccount", "none", "payablesAccount", "receivablesAccount", default="none"),
        Field(
            "constructionCategory",
            enum=(
                *(None, "cost", "revenue", "overbilling", "underbilling", "offset"),
                *("underbillingOffset", "overbillingOffset"),
            ),
            read_only=True,
        ),
        boolean("isGermanTaxAccount"),
        *AUDIT,
        boolean("disallowDirectPosting"),
        boolean("enableGLMatching"),
        Field("reconciliationSequence"),
        ENTITY_REF,
    ),
)

OBJECT_TYPES = (account_group, account_group_purpose, account)
