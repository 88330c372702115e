"""A server that sends exactly the bytes that a test gives it, right or wrong."""

import json
import socket
import threading
import time
from contextlib import contextmanager
from http.client import responses

from sandbox_client import RETRY

from intacct_provider.client import IntacctClient, IntacctConfig
from intacct_provider.client.http import auth

SECRET = "s3cret/of+the app"
TOKEN = "raw-token-0123456789"


def response(body=b"{}", status=200, length=None, **headers):
    """Return the bytes of a response; underscores in the names of headers become hyphens.

    :param length: what it says its length is, if not the truth; ``""`` for no length.
    """
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {
        "Content-Type": "application/json",
        "Content-Length": str(len(content) if length is None else length),
    }
    named |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [
        f"HTTP/1.1 {status} {responses.get(status, 'Odd')}",
        *(f"{k}: {v}" for k, v in named.items() if v != ""),
    ]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + content


def slowly(content, pause, *, piece=1):
    """Yield content in pieces, with a pause before each."""
    for start in range(0, len(content), piece):
        time.sleep(pause)
        yield content[start : start + piece]


class RawServer:
    """Answers each request with what ``answer`` returns: bytes, or an iterable of them.

    :param answer: takes the head and the body of a request that is not for a token; None closes the connection.
    :ivar requests: heads of the requests so far, those for tokens included.
    """

    def __init__(self, answer, token=None):
        self.answer = answer
        self.token = token or (lambda _head: response({"access_token": TOKEN, "expires_in": 43200}))
        self.requests = []
        self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/ia/api/v1"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        """Stop listening."""
        self._listener.close()

    def asked(self, part):
        """Return the heads of the requests whose first line contains this."""
        return [head for head in self.requests if part in head.partition("\r\n")[0]]

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with connection, connection.makefile("rb") as reader:
            while (head := read_head(reader)) is not None:
                length = next((int(v) for k, v in headers_of(head) if k.lower() == "content-length"), 0)
                body = reader.read(length)
                self.requests.append(head)
                is_token = "/oauth2/token" in head.partition("\r\n")[0]
                answer = self.token(head) if is_token else self.answer(head, body)
                if answer is None:
                    return
                try:
                    for piece in [answer] if isinstance(answer, bytes) else answer:
                        connection.sendall(piece)
                except OSError:
                    return
                if isinstance(answer, bytes) and b"Connection: close" in answer.partition(b"\r\n\r\n")[0]:
                    return


def read_head(reader):
    """Return the lines of a request before its body; None at the end of the connection."""
    lines = []
    try:
        for line in reader:
            if line == b"\r\n":
                return "\r\n".join(lines)
            lines.append(line.decode("latin-1").rstrip("\r\n"))
    except OSError:
        pass
    return None


def headers_of(head):
    """Return the headers of a request."""
    return [
        (name, value.strip()) for name, _, value in (line.partition(":") for line in head.split("\r\n")[1:])
    ]


@contextmanager
def raw_server(answer, **options):
    """Run a server that sends what a test gives it."""
    auth.forget_tokens()
    server = RawServer(answer, **options)
    try:
        yield server
    finally:
        server.close()
        auth.forget_tokens()


def raw_client(url, *, retry=RETRY, on_secret=None, **changes):
    """Return a client of such a server."""
    given = {
        "client_id": "app",
        "client_secret": SECRET,
        "company_id": "Acme",
        "user_id": "ws",
        "base_url": url,
    }
    return IntacctClient(IntacctConfig(**{**given, **changes}), retry=retry, on_secret=on_secret)
