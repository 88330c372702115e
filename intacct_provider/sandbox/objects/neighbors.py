"""Objects that exist only as targets of references, with the few fields that the references show."""

from __future__ import annotations

from intacct_provider.sandbox.objects.definitions import (
    AUDIT,
    ENTITY_REF,
    KEY,
    Field,
    Member,
    ObjectType,
    boolean,
    choice,
    identifier,
    name_field,
    status,
)
from intacct_provider.sandbox.objects.names import TERRITORY, USER

NAMES = (
    "accounts-payable/vendor",
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
    "accounts-payable/vendor": (boolean("isSystemGenerated"),),
    "accounts-receivable/customer-message": (Field("message"),),
    "company-config/email-template": (choice("templateType", *TEMPLATE_TYPES, default="arInvoice"),),
}


def neighbor(name: str) -> ObjectType:
    """Return a neighbor: key, id, name, status, audit and what references show besides."""
    return ObjectType(
        name, (KEY, identifier(), name_field(), *EXTRAS.get(name, ()), status(), *AUDIT, ENTITY_REF)
    )


OBJECT_TYPES = tuple(neighbor(name) for name in NAMES)
