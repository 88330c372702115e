"""The dimensions service: the objects that the lines of a transaction can be tagged with."""

from __future__ import annotations

from typing import Any

from intacct_provider.sandbox.api.messages import meta
from intacct_provider.sandbox.objects.catalog import Catalog
from intacct_provider.sandbox.objects.names import CUSTOMER, DEPARTMENT, EMPLOYEE, LOCATION

# Name, label, object, and whether the general ledger uses it, as in Sage's sample company.
_STANDARD = (
    ("DEPARTMENT", "Department", DEPARTMENT, True),
    ("LOCATION", "Location", LOCATION, True),
    ("PROJECT", "Project", "projects/project", True),
    ("CUSTOMER", "Customer", CUSTOMER, True),
    ("VENDOR", "Vendor", "accounts-payable/vendor", True),
    ("EMPLOYEE", "Employee", EMPLOYEE, True),
    ("ITEM", "Item", "inventory-control/item", True),
    ("CLASS", "Class", "company-config/class", True),
    ("CONTRACT", "Contract", "contracts/contract", False),
    ("TASK", "Task", "projects/task", False),
    ("WAREHOUSE", "Warehouse", "inventory-control/warehouse", False),
    ("COSTTYPE", "Cost type", "construction/cost-type", False),
    ("AFFILIATEENTITY", "Affiliate entity", "company-config/affiliate-entity", False),
    ("FIXEDASSET", "Asset", "fixed-assets/asset", False),
)


def _list_custom(catalog: Catalog) -> list[str]:
    refs = [ref for one in catalog.objects.values() for ref in one.refs]
    return sorted(
        {ref.target for ref in refs if ref.path.startswith("dimensions.") and "/nsp::" in ref.target}
    )


def _describe_custom(object_name: str) -> dict[str, Any]:
    label = object_name.partition("nsp::")[2]
    return {
        "dimensionName": label.upper(),
        "dimensionLabel": label,
        "termName": label,
        "isUserDefinedDimension": True,
        "isEnabledInGL": True,
        "dimensionEndpoint": f"/objects/{object_name}",
    }


def list_dimensions(catalog: Catalog) -> dict[str, Any]:
    """Return the response body of ``GET /services/company-config/dimensions/list``.

    The custom objects that a company file has below ``dimensions`` of other objects are its user-defined dimensions.
    """
    result = [
        {
            "dimensionName": name,
            "dimensionLabel": label,
            "termName": label,
            "isUserDefinedDimension": False,
            "isEnabledInGL": in_ledger,
            "dimensionEndpoint": f"/objects/{object_name}",
        }
        for name, label, object_name, in_ledger in _STANDARD
        if object_name in catalog.objects
    ]
    result += [_describe_custom(name) for name in _list_custom(catalog)]
    return {"ia::result": result, "ia::meta": meta(len(result), 0)}
