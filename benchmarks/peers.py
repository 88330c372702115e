"""The code that a user writes with other tools, following their documentation."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

from common import (
    ASCENDING,
    BASE,
    CUSTOMER,
    FORM,
    GROUP,
    QUERY,
    TOKEN,
    Work,
    customers,
    groups,
    write_lines,
    write_lines_with_orjson,
)
from served import ACCOUNT, FIELDS


def sdk(site: str) -> Work:
    """sageintacctrestsdk; its address is a constant, its page size a constructor argument that objects do not show."""
    import intacctsdk
    import intacctsdk.apis.api_base as api_base
    import intacctsdk.intacctsdk as main
    from intacctsdk.apis import ApiBase

    for module in (main, api_base, *(m for n, m in sys.modules.items() if n.startswith("intacctsdk"))):
        if hasattr(module, "BASE_URL"):
            module.BASE_URL = site + BASE

    def run(folder: Path, *, page_size: int | None = None, ordered: bool = False) -> None:
        known = {name: FORM[name] for name in ("username", "client_id", "client_secret")}
        api = intacctsdk.IntacctRESTSDK(**known).accounts
        if page_size:
            setattr(api, f"_{ApiBase.__name__}__page_size", page_size)
        order = {"order_by": ASCENDING} if ordered else {}
        pages = api.get_all_generator(fields=list(FIELDS), **order)
        write_lines(folder, (row for page in pages for row in page))

    return run


def sdk_writes(site: str) -> Work:
    """sageintacctrestsdk, which creates one record per call."""
    sdk(site)
    import intacctsdk

    def run(_: Path, *, records: int) -> None:
        known = {name: FORM[name] for name in ("username", "client_id", "client_secret")}
        api = intacctsdk.IntacctRESTSDK(**known).customers
        for record in customers(records):
            api.post(record)

    return run


def dlt_extract(site: str) -> Work:
    """The rest_api of dlt as a source; rows are written in the common way."""
    import dlt  # noqa: F401

    def run(folder: Path, *, page_size: int = 1000, ordered: bool = False) -> None:
        write_lines(folder, iter(dlt_source(site, page_size, ordered)))

    return run


def dlt_pipeline(site: str) -> Work:
    """A dlt pipeline to files in a folder."""
    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
    import dlt
    from dlt.destinations import filesystem

    def run(
        folder: Path, *, file_format: str, page_size: int = 1000, ordered: bool = False, plain: bool = False
    ) -> None:
        os.environ["DATA_WRITER__DISABLE_COMPRESSION"] = str(plain).lower()
        with tempfile.TemporaryDirectory(prefix="intacct-bench-dlt-") as state:
            pipeline = dlt.pipeline(
                "bench", pipelines_dir=state, destination=filesystem(str(folder)), dataset_name="out"
            )
            pipeline.run(dlt_source(site, page_size, ordered), loader_file_format=file_format)  # type: ignore[arg-type]

    return run


def dlt_source(site: str, page_size: int, ordered: bool) -> Any:
    """Return a source configured as in dlt's documentation."""
    from dlt.sources.helpers.rest_client.auth import OAuth2ClientCredentials
    from dlt.sources.helpers.rest_client.paginators import JSONResponseCursorPaginator
    from dlt.sources.rest_api import rest_api_source

    body = {"object": ACCOUNT, "fields": list(FIELDS), "start": 1, "size": page_size}
    if ordered:
        body["orderBy"] = ASCENDING
    return rest_api_source(
        {
            "client": {
                "base_url": site + BASE,
                "auth": OAuth2ClientCredentials(
                    access_token_url=site + TOKEN,
                    client_id=FORM["client_id"],
                    client_secret=FORM["client_secret"],
                    access_token_request_data={"username": FORM["username"]},
                ),
                "paginator": JSONResponseCursorPaginator(
                    cursor_path="'ia::meta'.next", cursor_body_path="start"
                ),
            },
            "resources": [
                {
                    "name": "accounts",
                    "endpoint": {
                        "path": "services/core/query",
                        "method": "POST",
                        "json": body,
                        "data_selector": "'ia::result'",
                    },
                }
            ],
        }
    )


def http_operator(site: str) -> Work:
    """Airflow's HttpOperator with a pagination_function; the token is as if from an earlier task."""
    import requests
    import tenacity
    from airflow.providers.http.operators.http import HttpOperator

    os.environ["AIRFLOW_CONN_HTTP_DEFAULT"] = site

    def run(folder: Path, *, page_size: int = 1000, ordered: bool = False, patient: bool = False) -> None:
        token = requests.post(site + TOKEN, data=FORM, timeout=60).json()["access_token"]
        body: dict[str, Any] = {"object": ACCOUNT, "fields": list(FIELDS), "start": 1, "size": page_size}
        if ordered:
            body["orderBy"] = ASCENDING

        def following(response: requests.Response) -> dict[str, Any] | None:
            start = response.json()["ia::meta"]["next"]
            return {"data": json.dumps({**body, "start": start})} if start else None

        def written(responses: list[requests.Response]) -> str:
            write_lines(folder, (row for one in responses for row in one.json()["ia::result"]))
            return str(folder)

        HttpOperator(
            task_id="export",
            endpoint=QUERY,
            data=json.dumps(body),
            headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
            pagination_function=following,
            response_filter=written,
            retry_args={"wait": tenacity.wait_fixed(1), "stop": tenacity.stop_after_attempt(5)}
            if patient
            else None,
        ).execute({})

    return run


def by_hand(site: str) -> Work:
    """A hand-written loop with requests; in its best variant with a session and orjson."""
    import requests

    def run(
        folder: Path,
        *,
        page_size: int = 1000,
        ordered: bool = False,
        session: bool = False,
        orjson: bool = False,
    ) -> None:
        with requests.Session() as kept:
            post = kept.post if session else requests.post
            token = post(site + TOKEN, data=FORM, timeout=60).json()["access_token"]
            write = write_lines_with_orjson if orjson else write_lines
            write(folder, loop_rows(post, site, token, page_size, ordered, orjson))

    return run


def loop_rows(
    post: Any, site: str, token: str, page_size: int, ordered: bool, fast: bool
) -> Iterator[dict[str, Any]]:
    """Yield rows page by page, following ``next``."""
    if fast:
        import orjson
    start = 1
    while start:
        body = {"object": ACCOUNT, "fields": FIELDS, "start": start, "size": page_size}
        if ordered:
            body["orderBy"] = ASCENDING
        reply = post(site + QUERY, json=body, headers={"Authorization": f"Bearer {token}"}, timeout=60)
        reply.raise_for_status()
        answer = orjson.loads(reply.content) if fast else reply.json()
        yield from answer["ia::result"]
        start = answer["ia::meta"]["next"]


def hand_writes(site: str) -> Work:
    """A loop with requests that creates one record per call over one connection."""
    import requests

    def run(_: Path, *, records: int) -> None:
        with requests.Session() as session:
            token = session.post(site + TOKEN, data=FORM, timeout=60).json()["access_token"]
            for record in customers(records):
                session.post(
                    f"{site}{BASE}/objects/{CUSTOMER}",
                    json=record,
                    headers={"Authorization": f"Bearer {token}"},
                    timeout=60,
                ).raise_for_status()

    return run


def hand_updates(site: str) -> Work:
    """A loop with requests that updates every group in batches, because it does not know which differ."""
    import requests

    def run(_: Path, *, records: int, batch: int) -> None:
        with requests.Session() as session:
            headers = {
                "Authorization": f"Bearer {session.post(site + TOKEN, data=FORM, timeout=60).json()['access_token']}"
            }
            url = f"{site}{BASE}/objects/{GROUP}"
            wanted = [
                {"key": str(number), "name": group["name"], "description": group["description"]}
                for number, group in enumerate(groups(records), 1)
            ]
            for start in range(0, records, batch):
                some = wanted[start : start + batch]
                if batch == 1:
                    [group] = some
                    reply = session.patch(
                        f"{url}/{group.pop('key')}", json=group, headers=headers, timeout=60
                    )
                else:
                    reply = session.patch(url, json=some, headers=headers, timeout=60)
                reply.raise_for_status()

    return run


def ceiling(site: str) -> Work:
    """Pages requested in parallel with a known number of pages, and written undecoded."""
    import requests

    def run(folder: Path, *, rows: int, page_size: int = 4000, in_flight: int = 4) -> None:
        with requests.Session() as session, ThreadPoolExecutor(in_flight) as pool:
            token = session.post(site + TOKEN, data=FORM, timeout=60).json()["access_token"]

            def page(start: int) -> bytes:
                body = {
                    "object": ACCOUNT,
                    "fields": FIELDS,
                    "start": start,
                    "size": page_size,
                    "orderBy": ASCENDING,
                }
                reply = session.post(
                    site + QUERY, json=body, headers={"Authorization": f"Bearer {token}"}, timeout=60
                )
                return reply.content

            starts = iter(range(1, rows + 1, page_size))
            waiting = [pool.submit(page, start) for start in islice(starts, 2 * in_flight)]
            with (folder / "accounts.pages").open("wb") as file:
                while waiting:
                    file.write(waiting.pop(0).result() + b"\n")
                    waiting += [pool.submit(page, start) for start in islice(starts, 1)]

    return run
