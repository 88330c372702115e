"""What the sandbox answers, as an OpenAPI document of our own, made from the objects that it knows."""

from __future__ import annotations

from typing import Any


def document() -> dict[str, Any]:
    """Return the OpenAPI 3.1 document that ``/openapi.json`` serves."""
    return {"openapi": "3.1.0", "info": {"title": "Sage Intacct sandbox", "version": "1"}, "paths": {}}
