"""The code that a user writes with this provider."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from common import BASE, CUSTOMER, FORM, GROUP, Work, customers, groups, write_lines
from served import ACCOUNT, FIELDS


def operator(site: str) -> Work:
    """Our operator, executed as by a worker."""
    from intacct_provider.client import IntacctClient  # noqa: F401
    from intacct_provider.transfers.intacct_to_object_storage import IntacctToObjectStorageOperator

    def run(
        folder: Path,
        *,
        file_format: str = "jsonl",
        page_size: int = 4000,
        in_flight: int | str = "auto",
        **more: Any,
    ) -> None:
        os.environ["AIRFLOW_CONN_INTACCT_DEFAULT"] = connection(site, page_size, in_flight)
        IntacctToObjectStorageOperator(
            task_id="export",
            object_name=ACCOUNT,
            fields=list(FIELDS),
            destination=str(folder / f"accounts.{file_format}"),
            file_format=file_format,
            **more,
        ).execute({})

    return run


def mapped(site: str) -> Work:
    """Our export by ranges of keys: the plan, one range, or the merge into one export."""
    from intacct_provider.client import IntacctClient  # noqa: F401
    from intacct_provider.operators.export_ranges import IntacctCommitExportOperator, IntacctKeyRangesOperator
    from intacct_provider.transfers.intacct_to_object_storage import IntacctToObjectStorageOperator

    def run(folder: Path, *, ranges: int = 0, key_range: Any = None, exports: Any = None) -> Any:
        os.environ["AIRFLOW_CONN_INTACCT_DEFAULT"] = connection(site, 4000, 4)
        destination = str(folder / "accounts.jsonl")
        if ranges:
            return IntacctKeyRangesOperator(task_id="plan", object_name=ACCOUNT, ranges=ranges).execute({})
        if exports:
            return IntacctCommitExportOperator(
                task_id="commit", destination=destination, exports=exports
            ).execute({})
        return IntacctToObjectStorageOperator(
            task_id="export",
            object_name=ACCOUNT,
            fields=list(FIELDS),
            destination=destination,
            key_range=key_range,
        ).execute({})

    return run


def client(site: str) -> Work:
    """Our client without Airflow; rows are written in the common way."""
    our_client(site).close()

    def run(folder: Path, **options: int) -> None:
        with our_client(site, **options) as client:
            write_lines(folder, client.iter_rows(ACCOUNT, FIELDS))

    return run


def our_client(site: str, *, page_size: int = 4000, in_flight: int | str = "auto") -> Any:
    """Return a client."""
    from intacct_provider.client import IntacctClient, IntacctConfig

    forget_tokens()
    config = IntacctConfig(
        client_id=FORM["client_id"],
        client_secret=FORM["client_secret"],
        company_id="SANDBOX",
        user_id="airflow",
        base_url=site + BASE,
        page_size=page_size,
        max_concurrency=in_flight,
    )
    return IntacctClient(config)


def creation(site: str) -> Work:
    """Our sync operator with mode="create"; it reads the existing records first."""
    from intacct_provider.client import IntacctClient  # noqa: F401
    from intacct_provider.operators.sync import IntacctSyncOperator

    def run(_: Path, *, records: int) -> None:
        os.environ["AIRFLOW_CONN_INTACCT_DEFAULT"] = connection(site, 4000, 4)
        IntacctSyncOperator(
            task_id="create", object_name=CUSTOMER, desired=customers(records), mode="create"
        ).execute({})

    return run


def client_creation(site: str) -> Work:
    """Our client, creating records in batches of 500 without looking them up first."""

    def run(_: Path, *, records: int) -> None:
        with our_client(site) as client:
            client.create_many(CUSTOMER, customers(records))

    return run


def sync(site: str) -> Work:
    """Our sync operator with the desired groups."""
    from intacct_provider.client import IntacctClient  # noqa: F401
    from intacct_provider.operators.sync import IntacctSyncOperator

    def run(_: Path, *, records: int) -> None:
        os.environ["AIRFLOW_CONN_INTACCT_DEFAULT"] = connection(site, 4000, 4)
        IntacctSyncOperator(task_id="sync", object_name=GROUP, desired=groups(records)).execute({})

    return run


def forget_tokens() -> None:
    """Drop the tokens that this process has cached, so that our client requests one, as a separate task would."""
    from intacct_provider.client.http import auth

    auth._grants.clear()


def connection(site: str, page_size: int, in_flight: int | str) -> str:
    """Return our Airflow connection, for a task without a cached token."""
    forget_tokens()
    extra = {
        "company_id": "SANDBOX",
        "user_id": "airflow",
        "page_size": page_size,
        "max_concurrency": in_flight,
    }
    login = {"login": FORM["client_id"], "password": FORM["client_secret"]}
    return json.dumps({"conn_type": "intacct", "host": site + BASE, **login, "extra": extra})
