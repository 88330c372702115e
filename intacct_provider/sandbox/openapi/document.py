"""What the sandbox answers, as an OpenAPI document of our own, made from the objects that it knows."""

from __future__ import annotations

from functools import cache
from typing import Any

from intacct_provider.sandbox.gateway import BASE
from intacct_provider.sandbox.objects.catalog import OBJECTS
from intacct_provider.sandbox.openapi import bulk_services, object_paths, responses, services

ABOUT = (
    "What a local stand-in for Sage Intacct answers, described by the authors of airflow-provider-intacct; it is "
    "no promise of Sage's. An address that is not here answers 404 (another version 400), another method 405: see "
    "address-404, version-400 and refusal-405. Faults that were planned may answer anything."
)


@cache
def build_document() -> dict[str, Any]:
    """Return the OpenAPI 3.1 document that ``/openapi.json`` serves; made when first asked for."""
    schemas = responses.schemas() | services.schemas() | bulk_services.schemas()
    paths = services.paths() | bulk_services.paths()
    for name in sorted(OBJECTS):
        schemas |= object_paths.schemas(OBJECTS[name])
        paths |= object_paths.paths(OBJECTS[name])
    return {
        "openapi": "3.1.0",
        "info": {"title": "Sage Intacct sandbox", "version": "1", "description": ABOUT},
        "servers": [{"url": BASE}],
        "security": [{"OAuth2": []}, {"Bearer": []}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": responses.responses(),
            "headers": responses.headers(),
            "parameters": object_paths.PARAMETERS,
            "securitySchemes": services.SECURITY,
        },
    }
