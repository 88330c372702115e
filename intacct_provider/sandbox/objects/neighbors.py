"""Objects that exist only as targets of references, with the few fields that the references show."""

from __future__ import annotations

from intacct_provider.sandbox.objects.definitions import (
    AUDIT,
    ENTITY_REF,
    KEY,
    Field,
    Member,
    ObjectType,
    Ref,
    boolean,
    choice,
    identifier,
    name_field,
    status,
)
from intacct_provider.sandbox.objects.names import TERRITORY, USER, VENDOR

NAMES = (
    "accounts-payable/account-label",
    VENDOR,
    "accounts-receivable/account-label",
    "accounts-receivable/customer-message",
    "accounts-receivable/shipping-method",
    TERRITORY,
    "company-config/affiliate-entity",
    "company-config/attachment",
    "company-config/class",
    "company-config/department-group",
    "company-config/email-template",
    "company-config/location-group",
    "company-config/print-template",
    "company-config/txn-currency",
    USER,
    "construction/cost-type",
    "construction/work-order",
    "contracts/contract",
    "fixed-assets/asset",
    "general-ledger/reporting-category",
    "inventory-control/item",
    "inventory-control/warehouse",
    "loan-management/loan-account",
    "order-entry/customer-gl-group",
    "order-entry/price-list",
    "order-entry/txn-definition",
    "projects/project",
    "projects/task",
    "purchasing/price-schedule",
    "tax/contact-tax-group",
    "tax/tax-solution",
)

TEMPLATE_TYPES = (None, "arInvoice", "arStatement", "contract", "orderEntryTxn", "purchasingTxn")
EXTRAS: dict[str, tuple[Member, ...]] = {
    VENDOR: (
        boolean("isSystemGenerated"),
        choice("billingType", None, "openItem", "balanceForward"),
        Ref("accountLabel", "accounts-payable/account-label"),
        choice("status", "active", "activeNonPosting", "inactive", default="active"),
    ),
    "accounts-receivable/customer-message": (Field("message"),),
    "company-config/email-template": (choice("templateType", *TEMPLATE_TYPES, default="arInvoice"),),
}

# A recorded model has both.
ALIASES = {VENDOR: {"accountlabel": "accountLabel"}}


def neighbor(name: str) -> ObjectType:
    """Return a neighbor: key, id, name, status, audit and what references show besides."""
    own = (KEY, identifier(mutable=name != VENDOR), name_field(), *EXTRAS.get(name, ()))
    last = () if name == VENDOR else (status(),)
    return ObjectType(name, (*own, *last, *AUDIT, ENTITY_REF), ALIASES.get(name, {}))


OBJECT_TYPES = tuple(neighbor(name) for name in NAMES)
