"""Models of the objects that people export most, as files in the form of a captured company.

Vendors, customers, invoices and accounts are as recorded from a real company; the others have the names, types and
enumerations of Sage's description of version 1.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

#: The name under which all of them are a company.
SHIPPED = "shipped"


def list_files() -> list[Path]:
    """Return the files, sorted by name."""
    return sorted(Path(__file__).parent.glob("*.json"))


def read_shipped() -> dict[str, Any]:
    """Return the content of all files as one company."""
    parts = [json.loads(file.read_bytes()) for file in list_files()]
    objects = {name: entry for part in parts for name, entry in part["objects"].items()}
    return {**parts[0], "objects": objects}
