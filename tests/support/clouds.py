"""S3, Google Cloud Storage and Azure Blob on loopback, and Airflow's paths to them.

S3 is moto, Google Cloud Storage is gcp-storage-emulator, and Azure Blob is Azurite, which npm installs. Airflow's
providers for Google and Azure do not install beside the pinned Airflow or bring far more than a test needs, so the file
systems that they would make are attached here.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote

import pytest
import requests
from airflow.providers.common.compat.sdk import ObjectStoragePath
from required import lack

#: Where `make azurite` puts it.
AZURITE = Path(sys.prefix, "node_modules", ".bin", "azurite-blob")
#: The account and the key that Azurite's documentation gives to everybody.
AZURE_ACCOUNT = "devstoreaccount1"
AZURE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
NUMBERS = itertools.count(1)

# Otherwise gcsfs asks by gRPC and TLS, for a minute, what kind of bucket it is.
os.environ.setdefault("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")


@dataclass(frozen=True)
class Cloud:
    """An object storage that Airflow reaches by a connection.

    :param scheme: of its URIs.
    :param conn_id: of the connection, which no other storage has: Airflow keeps file systems by connection.
    :param endpoint: URL of its server.
    """

    scheme: str
    conn_id: str
    endpoint: str

    @property
    def fs(self) -> Any:
        """The file system."""
        return self.path("any").fs

    def list_unfinished_uploads(self, path: ObjectStoragePath) -> list[str]:
        """Return the objects in the bucket of a path whose upload was begun and neither completed nor given up."""
        if self.scheme == "s3":
            found = self.fs.call_s3("list_multipart_uploads", Bucket=path.path.partition("/")[0]).get(
                "Uploads", []
            )
            return [upload["Key"] for upload in found]
        if self.scheme == "gs":
            return requests.get(f"{self.endpoint}/unfinished", timeout=10).json()
        return []  # Azure drops blocks that nobody commits after a week, and has no way to do so before

    def path(self, place: str) -> ObjectStoragePath:
        """Return the path of a place, which begins with a bucket."""
        return ObjectStoragePath(f"{self.scheme}://{self.conn_id}@{place}")

    def make_bucket(self) -> ObjectStoragePath:
        """Make a bucket."""
        name = f"bucket-{next(NUMBERS)}"
        self.fs.mkdir(name)
        return self.path(name)

    def connect(self, **options: Any) -> None:
        """Let paths of this process, or of one that it starts, reach the storage."""
        from airflow.sdk.io import attach, store

        store._STORE_CACHE.pop(f"{self.scheme}-{self.conn_id}", None)
        if self.scheme == "s3":
            login = {"login": "testing", "password": "testing", **options}
            extra = {"endpoint_url": self.endpoint, "region_name": "us-east-1"}
            extra["config_kwargs"] = {"retries": {"max_attempts": 1}}
            connection = {"conn_type": "aws", **login, "extra": extra}
            os.environ[f"AIRFLOW_CONN_{self.conn_id.upper()}"] = json.dumps(connection)
            return
        make = {"gs": _google_file_system, "abfs": _azure_file_system}[self.scheme]
        attach(protocol=self.scheme, conn_id=self.conn_id, fs=make(self.endpoint, **options))


def _google_file_system(endpoint: str, **options: Any) -> Any:
    from gcsfs import GCSFileSystem

    defaults = {"project": "finance", "token": "anon", "access": "full_control", "skip_instance_cache": True}
    return GCSFileSystem(endpoint_url=endpoint, **{**defaults, **options})


def _azure_file_system(endpoint: str, **options: Any) -> Any:
    from adlfs import AzureBlobFileSystem

    parts = {
        "DefaultEndpointsProtocol": "http",
        "AccountName": AZURE_ACCOUNT,
        "AccountKey": AZURE_KEY,
        "BlobEndpoint": f"{endpoint}/{AZURE_ACCOUNT}",
        **options,
    }
    text = ";".join(f"{name}={value}" for name, value in parts.items())
    return AzureBlobFileSystem(connection_string=text, skip_instance_cache=True)


@contextmanager
def run_cloud(scheme: str, conn_id: str | None = None) -> Iterator[Cloud]:
    """Run an emulator; skip the test if it is not installed.

    :param conn_id: for DAGs that name one.
    """
    run = {"s3": run_s3, "gs": _run_google, "abfs": _run_azure}[scheme]
    with run() as endpoint:
        cloud = Cloud(scheme, conn_id or f"{scheme}_{next(NUMBERS)}", endpoint)
        cloud.connect()
        yield cloud


@contextmanager
def run_s3() -> Iterator[str]:
    """Run S3, and return its address; skip the test if it cannot be emulated."""
    pytest.importorskip("s3fs")
    pytest.importorskip("moto.server")
    from moto.moto_server.werkzeug_app import (
        DomainDispatcherApplication,
        MotoRequestHandler,
        create_backend_app,
    )
    from werkzeug.serving import make_server

    moto, one_at_a_time = DomainDispatcherApplication(create_backend_app), threading.Lock()

    def answer(environ: Any, start: Any) -> Any:
        # S3 decides on conditions and writes in one step; moto does not, and knows none for copies.
        with one_at_a_time:
            if "HTTP_X_AMZ_COPY_SOURCE" in environ and not _may_copy(environ):
                start("412 Precondition Failed", [("Content-Type", "application/xml")])
                return [b"<Error><Code>PreconditionFailed</Code><Message>It has changed.</Message></Error>"]
            return list(moto(environ, start))

    server = make_server("127.0.0.1", 0, answer, threaded=True, request_handler=MotoRequestHandler)
    with serve(server):
        yield f"http://127.0.0.1:{server.server_port}"


def _may_copy(environ: Any) -> bool:
    """Whether the object that a copy replaces is the one that the request names."""
    from moto.core import DEFAULT_ACCOUNT_ID
    from moto.s3.models import s3_backends

    bucket, _, key = environ["PATH_INFO"].lstrip("/").partition("/")
    found = s3_backends[DEFAULT_ACCOUNT_ID]["aws"].get_object(bucket, key)
    if environ.get("HTTP_IF_NONE_MATCH") == "*":
        return found is None
    wanted = environ.get("HTTP_IF_MATCH")
    return wanted is None or (found is not None and found.etag.strip('"') == wanted.strip('"'))


@contextmanager
def _run_google() -> Iterator[str]:
    pytest.importorskip("gcsfs")
    pytest.importorskip("gcp_storage_emulator")
    from gcp_storage_emulator.server import RequestHandler
    from gcp_storage_emulator.storage import Storage

    storage, one_at_a_time = Storage(use_memory_fs=True), threading.Lock()

    class Handler(RequestHandler):
        """Adds what exports need and the emulator lacks: generations as conditions, and giving up an upload."""

        def do_POST(self) -> None:  # noqa: N802
            with one_at_a_time:
                _post(self, storage, super().do_POST)

        def do_GET(self) -> None:  # noqa: N802
            if self.path != "/unfinished":
                return super().do_GET()
            self.send_response(HTTPStatus.OK)
            self.end_headers()
            return self.wfile.write(json.dumps([one["name"] for one in storage.resumable.values()]).encode())

        def do_DELETE(self) -> None:  # noqa: N802
            if "upload_id=" not in self.path:
                with one_at_a_time:
                    if not _may_write(self.path, storage):
                        return self.send_error(HTTPStatus.PRECONDITION_FAILED)
                    return super().do_DELETE()
            storage.resumable.pop(parse_qs(self.path)["upload_id"][0], None)
            return self.send_error(499)

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, storage))
    with serve(server):
        yield f"http://127.0.0.1:{server.server_port}"


def _post(handler: Any, storage: Any, write: Any) -> None:
    """Let a handler write, if the request names no other generation than there is."""
    if not _may_write(handler.path, storage):
        handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        handler.send_error(HTTPStatus.PRECONDITION_FAILED)
        return
    if "ifGenerationMatch=0" in handler.path:
        handler.storage = _OnlyNew(storage)
    try:
        write()
    except FileExistsError:
        handler.send_error(HTTPStatus.PRECONDITION_FAILED)


def _may_write(path: str, storage: Any) -> bool:
    """Whether the object that a request replaces or deletes has the generation that it names, where it names one."""
    place, _, query = path.partition("?")
    asked = parse_qs(query)
    wanted = asked.get("ifGenerationMatch", ["0"])[0]
    bucket, _, key = place.rpartition("/b/")[2].partition("/o")
    key = key.removeprefix("/") or asked.get("name", [""])[0]
    found = storage.objects.get(unquote(bucket), {}).get(unquote(key))
    if wanted == "0":  # of an upload, whose name is in the body, the storage decides
        return "/rewriteTo/" not in path or "ifGenerationMatch" not in asked or found is None
    return found is not None and found["generation"] == wanted


class _OnlyNew:
    """The emulator's storage for a request with ifGenerationMatch=0."""

    def __init__(self, storage: Any) -> None:
        self._storage = storage

    def create_file(self, bucket: str, name: str, *args: Any) -> None:
        """Create an object unless it exists."""
        if name in self._storage.objects.get(bucket, {}):
            raise FileExistsError(name)
        self._storage.create_file(bucket, name, *args)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)


@contextmanager
def serve(server: Any) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def _run_azure() -> Iterator[str]:
    program = AZURITE if AZURITE.exists() else shutil.which("azurite-blob")
    if program is None:
        lack("AZURITE", "no Azurite: `make azurite` installs it, and needs npm")
    pytest.importorskip("adlfs")
    options = ["--inMemoryPersistence", "--silent", "--skipApiVersionCheck", "--disableTelemetry"]
    process = subprocess.Popen(
        [program, "--blobHost", "127.0.0.1", "--blobPort", "0", *options], stdout=subprocess.PIPE, text=True
    )
    try:
        for line in process.stdout:
            if "successfully listens on " in line:
                yield line.rpartition(" ")[2].strip()
                return
        pytest.fail(f"Azurite ended with {process.wait(10)}.")
    finally:
        process.terminate()
        process.communicate(timeout=30)
