"""What object storages refuse, over HTTP: reported with the way out, and apart from what may pass."""

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from clouds import Cloud, serve

from intacct_provider.exceptions import IntacctArgumentError
from intacct_provider.storage.files import check_place, write_whole

NUMBERS = iter(range(1000))


def s3(status, code):
    return "s3", status, f"<Error><Code>{code}</Code><Message>secret-text</Message></Error>"


def google(status, message):
    return "gs", status, f'{{"error": {{"code": {status}, "message": "{message} secret-text"}}}}'


def azure(status, code):
    return "abfs", status, f"<Error><Code>{code}</Code><Message>secret-text</Message></Error>"


class Refusing(BaseHTTPRequestHandler):
    """Answers everything alike."""

    protocol_version = "HTTP/1.1"

    def answer(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        status, text = self.server.answer
        content = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json" if text[0] == "{" else "application/xml")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = answer  # noqa: N815

    def log_message(self, *_):
        """Log nothing."""


@pytest.fixture
def refuse():
    """Return a function that runs a storage, and returns a destination on it."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Refusing)

    def start(scheme, status, text):
        pytest.importorskip({"s3": "s3fs", "gs": "gcsfs", "abfs": "adlfs"}[scheme])
        server.answer = (status, text)
        cloud = Cloud(scheme, f"refusing_{next(NUMBERS)}", f"http://127.0.0.1:{server.server_port}")
        cloud.connect()
        return cloud.path("finance/customers.jsonl")

    with serve(server):
        yield start


DENIED = [
    s3(403, "AccessDenied"),
    s3(403, "InvalidAccessKeyId"),
    s3(403, "SignatureDoesNotMatch"),
    s3(400, "ExpiredToken"),
    google(403, "no storage.objects.create"),
    azure(403, "AuthenticationFailed"),
    azure(401, "InvalidAuthenticationInfo"),
]
MISSING = [
    s3(404, "NoSuchBucket"),
    google(404, "The specified bucket does not exist."),
    azure(404, "ContainerNotFound"),
]


@pytest.mark.parametrize("refusal", DENIED, ids=lambda one: f"{one[0]}-{one[1]}")
@pytest.mark.parametrize("write", [check_place, lambda target: write_whole(target, [b"rows"])])
def test_denied_access_names_the_connection_and_is_not_retried(refuse, refusal, write):
    target = refuse(*refusal)
    with pytest.raises(IntacctArgumentError, match="denied access") as raised:
        write(target)
    assert not raised.value.retryable
    assert repr(target.conn_id) in str(raised.value)
    assert "secret-text" not in str(raised.value)


def test_a_connection_that_does_not_exist_is_named_where_the_worker_s_own_credentials_were_used(
    refuse, monkeypatch
):
    target = refuse(*s3(403, "AccessDenied"))
    assert target.fs  # made while there was a connection
    monkeypatch.delenv(f"AIRFLOW_CONN_{target.conn_id.upper()}")
    with pytest.raises(
        IntacctArgumentError, match=r"'refusing_\d+', which does not exist, so those of the worker"
    ):
        check_place(target)


@pytest.mark.parametrize("refusal", MISSING, ids=lambda one: one[0])
def test_a_missing_bucket_is_named(refuse, refusal):
    with pytest.raises(IntacctArgumentError, match="bucket or container 'finance' does not exist"):
        check_place(refuse(*refusal))


@pytest.mark.parametrize(
    "refusal", [google(400, "Bucket name"), azure(400, "OutOfRangeInput")], ids=lambda one: one[0]
)
def test_a_name_that_the_storage_does_not_accept_is_named(refuse, refusal):
    with pytest.raises(IntacctArgumentError, match=r"does not accept the name.*'finance'"):
        check_place(refuse(*refusal))
