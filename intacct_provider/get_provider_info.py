"""The provider's metadata for Airflow. Every Airflow process reads it, so it imports nothing else."""

from __future__ import annotations

from typing import Any

from intacct_provider import __version__

_PASSWORD = {"type": ["string", "null"], "format": "password"}
_TEXT = {"type": ["string", "null"]}


def get_provider_info() -> dict[str, Any]:
    """Return the provider's metadata and the form of its connection type."""
    return {
        "package-name": "airflow-provider-intacct",
        "name": "Sage Intacct",
        "description": "Read, write, query, export and sync `Sage Intacct <https://www.sageintacct.com/>`__ records.",
        "state": "ready",
        "versions": [__version__],
        # Midnight UTC of the release date, as in Airflow's own providers.
        "source-date-epoch": 1795996800,
        "integrations": [
            {
                "integration-name": "Sage Intacct",
                "external-doc-url": "https://developer.sage.com/intacct/",
                "logo": "https://github.com/airflow-provider-intacct/airflow-provider-intacct/raw/main/docs/images/logo.svg",
                "tags": ["service"],
            }
        ],
        "hooks": [_modules("hooks.intacct")],
        "operators": [
            _modules(
                "operators.records",
                "operators.query",
                "operators.sync",
                "operators.export_ranges",
                "operators.jobs",
            )
        ],
        "sensors": [_modules("sensors.query", "sensors.records", "sensors.jobs")],
        "triggers": [_modules("triggers.changes", "triggers.events", "triggers.jobs", "triggers.query")],
        # Airflow knows them from 3.4 on; earlier releases ignore the key.
        "retry-policies": [_modules("policies.retry")],
        "transfers": [
            {
                "source-integration-name": "Sage Intacct",
                "target-integration-name": "Common IO",
                "python-module": "intacct_provider.transfers.intacct_to_object_storage",
            },
            {
                "source-integration-name": "Sage Intacct",
                "target-integration-name": "Common SQL",
                "python-module": "intacct_provider.transfers.intacct_to_sql",
            },
        ],
        "asset-uris": [
            {
                "schemes": ["intacct"],
                "handler": "intacct_provider.assets.intacct.sanitize_uri",
                "factory": "intacct_provider.assets.intacct.create_asset",
                "to_openlineage_converter": "intacct_provider.assets.intacct.convert_asset_to_openlineage",
            }
        ],
        "extra-links": [
            f"intacct_provider.links.{name}" for name in ("PlanLink", "ManifestLink", "RecordLink")
        ],
        "connection-types": [_connection_type()],
        "config": {
            "intacct": {
                "description": "Settings of the Sage Intacct provider.",
                "options": {
                    "credential_store_prefixes": {
                        "description": "Comma-separated list of dotted prefixes, such as packages or modules, under "
                        "which the\nextra credential_store of an Intacct connection may name a class or function. By "
                        "default\nnone: connections can use the stores memory and variable only, so that a user "
                        "who may edit\nconnections cannot choose what is imported and called.\n",
                        "version_added": None,
                        "type": "string",
                        "example": "finance.secrets,company_airflow.stores",
                        "default": "",
                    },
                },
            },
        },
    }


def _modules(*names: str) -> dict[str, Any]:
    return {
        "integration-name": "Sage Intacct",
        "python-modules": [f"intacct_provider.{name}" for name in names],
    }


def _connection_type() -> dict[str, Any]:
    return {
        "connection-type": "intacct",
        "hook-class-name": "intacct_provider.hooks.intacct.IntacctHook",
        "hook-name": "Sage Intacct",
        "ui-field-behaviour": {
            "hidden-fields": ["schema"],
            "relabeling": {
                "host": "API base URL",
                "port": "Port (443; the Test button needs it)",
                "login": "Client ID",
                "password": "Client secret",
            },
            "placeholders": {
                "host": "https://api.intacct.com/ia/api/v1",
                "port": "443",
                "login": "Client ID of the registered application",
            },
        },
        "conn-fields": {
            "company_id": {
                "label": "Company ID",
                "description": "Intacct company to sign in to. Case-sensitive.",
                "schema": _TEXT,
            },
            "user_id": {
                "label": "User ID",
                "description": "Web Services user of the company, authorized for the client ID.",
                "schema": _TEXT,
            },
            "entity_id": {
                "label": "Entity ID",
                "description": "Entity to work in; empty for the top level. Every operator can override it.",
                "schema": _TEXT,
            },
            "auth_type": {
                "label": "Grant type",
                "description": "Use client_credentials unless your company requires refresh_token.",
                "schema": {
                    "type": ["string", "null"],
                    "enum": ["client_credentials", "refresh_token"],
                    "default": "client_credentials",
                },
            },
            "refresh_token": {
                "label": "Refresh token",
                "description": "First refresh token, only for the grant type refresh_token. Later ones are read from "
                "the credential store.",
                "schema": _PASSWORD,
            },
            "credential_store": {
                "label": "Credential store",
                "description": "Where tasks share tokens: memory (not shared), variable (an encrypted Airflow "
                "Variable) or the dotted path of your own store, which the option credential_store_prefixes in section "
                "[intacct] of Airflow's configuration must allow.",
                "schema": {"type": ["string", "null"], "default": "memory"},
            },
            "timeout": {
                "label": "Timeout (seconds)",
                "description": "Maximum wait for a connection, and between two parts of a response.",
                "schema": {"type": ["number", "null"], "minimum": 0.1, "maximum": 3600, "default": 60},
            },
            "max_concurrency": {
                "label": "Maximum requests in flight",
                "description": "Per task: auto for as many as Intacct's responses allow, or a number from 1 to 30.",
                "schema": {
                    "type": ["string", "null"],
                    "pattern": r"^(auto|[1-9]|[12][0-9]|30)$",
                    "default": "auto",
                },
            },
            "page_size": {
                "label": "Rows per page",
                "description": "Intacct bills each page as one transaction, whatever its size.",
                "schema": {"type": ["integer", "null"], "minimum": 1, "maximum": 4000, "default": 4000},
            },
            "proxy": {
                "label": "Proxy",
                "description": "URL of the proxy to use, such as http://user:password@proxy.acme.com:3128; empty for "
                "that of the environment. A loopback address is never reached through a proxy.",
                "schema": _PASSWORD,
            },
            "verify": {
                "label": "Verify certificate",
                "description": "true (the default), false, or the path of the CA bundle to trust.",
                "schema": _TEXT,
            },
        },
    }
