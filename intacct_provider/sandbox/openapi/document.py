"""The OpenAPI document of the sandbox, generated from its own object definitions."""

from __future__ import annotations

from functools import cache
from typing import Any

from intacct_provider.sandbox.gateway import BASE
from intacct_provider.sandbox.objects.catalog import BUILT_IN, Catalog
from intacct_provider.sandbox.openapi import bulk_services, event_services, object_paths, responses, services

ABOUT = (
    "The API of a local sandbox for Sage Intacct, described by the authors of airflow-provider-intacct; Sage does not "
    "guarantee any of it. Other addresses return 404 (another version 400), other methods 405: see address-404, "
    "version-400 and refusal-405. Planned faults can return anything."
)


@cache
def build_document(catalog: Catalog = BUILT_IN) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of a company, ``/openapi.json``; it is built on the first call."""
    names = sorted(catalog.objects)
    schemas = (
        responses.schemas() | services.schemas(catalog) | bulk_services.schemas() | event_services.schemas()
    )
    paths = services.paths(catalog) | bulk_services.paths(names) | event_services.paths()
    for name in names:
        schemas |= object_paths.schemas(catalog.objects[name], catalog)
        paths |= object_paths.paths(catalog.objects[name], catalog)
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
