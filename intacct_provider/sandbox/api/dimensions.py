"""The dimensions of the company: the objects with which the lines of a transaction can be tagged."""

from __future__ import annotations

from typing import Any

from intacct_provider.sandbox.objects.catalog import OBJECTS

# Name, label, object, and whether the general ledger has it: as in Sage's description of a sample company.
_STANDARD = (
    ("DEPARTMENT", "Department", "company-config/department", True),
    ("LOCATION", "Location", "company-config/location", True),
    ("PROJECT", "Project", "projects/project", True),
    ("CUSTOMER", "Customer", "accounts-receivable/customer", True),
    ("VENDOR", "Vendor", "accounts-payable/vendor", True),
    ("EMPLOYEE", "Employee", "company-config/employee", True),
    ("ITEM", "Item", "inventory-control/item", True),
    ("CLASS", "Class", "company-config/class", True),
    ("CONTRACT", "Contract", "contracts/contract", False),
    ("TASK", "Task", "projects/task", False),
    ("WAREHOUSE", "Warehouse", "inventory-control/warehouse", False),
    ("COSTTYPE", "Cost type", "construction/cost-type", False),
    ("AFFILIATEENTITY", "Affiliate entity", "company-config/affiliate-entity", False),
    ("FIXEDASSET", "Asset", "fixed-assets/asset", False),
)


def listed() -> dict[str, Any]:
    """Return the body that answers ``GET /services/company-config/dimensions/list``; none is user-defined."""
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
        if object_name in OBJECTS
    ]
    count = len(result)
    return {"ia::result": result, "ia::meta": {"totalCount": count, "totalSuccess": count, "totalError": 0}}
