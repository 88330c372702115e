"""A small company over real HTTP, whose answers can be bent: a server that contradicts us and itself."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count

from small_world import REPLAYED, Company

from intacct_provider.client import IntacctClient, IntacctConfig
from intacct_provider.client.http.retry import RetryPolicy

_tokens = count(1)


class Contrary:
    """The server; see :func:`contrary`.

    :ivar calls: method and path of each call, but those for tokens.
    :ivar bend: takes method, path, status and body of a true answer, and returns those of the answer that is sent.
    :ivar drop: takes the same; if it returns True, the answer is not sent at all.
    """

    def __init__(self, company):
        self.company = company
        self.calls = []
        self.bend = lambda _method, _path, status, body: (status, body)
        self.drop = lambda _method, _path: False
        self._lock = threading.Lock()

    def answer(self, method, path, headers, content):
        """Return status, body and headers of an answer; None to break the connection."""
        if path.endswith("/oauth2/token"):
            return 200, {"access_token": f"contrary-{next(_tokens)}", "expires_in": 43_200}, {}
        with self._lock:
            self.calls.append((method, path.partition("/ia/api/v1")[2]))
            multipart = "multipart" in headers.get("Content-Type", "")
            body = json.loads(content) if content and not multipart else content or None
            status, said, replayed = self.company.answer(method, path, headers, body)
            if self.drop(method, path):
                return None
            status, said = self.bend(method, path, status, said)
        return status, said, {REPLAYED: "2026-11-20T00:00:00Z"} if replayed else {}

    def written(self, method="POST"):
        """Return how many records were written so."""
        return sum(one == method for one, _key in self.company.written)


def bending(change, method="POST", times=1):
    """Return what bends the body of the first answers to a method for objects, as a function changes it."""
    left = [times]

    def bend(asked, path, status, body):
        if asked != method or "/objects/" not in path or not left[0]:
            return status, body
        left[0] -= 1
        return status, change(json.loads(json.dumps(body)))

    return bend


@contextmanager
def contrary(count=4, **how):
    """Run a company with some records, and yield it with a client of it."""
    served = Contrary(Company(count, **how))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_args):
            pass

        def _handle(self):
            content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            answer = served.answer(self.command, self.path, self.headers, content)
            if answer is None:
                self.close_connection = True
                return
            status, body, headers = answer
            sent = b"" if body is None else json.dumps(body).encode()
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", **headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

        do_GET = do_POST = do_PATCH = do_DELETE = _handle  # noqa: N815

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    config = IntacctConfig(
        client_id="app",
        client_secret=f"secret-{server.server_port}",
        company_id="Small",
        user_id=f"ws{server.server_port}",
        base_url=f"http://127.0.0.1:{server.server_port}/ia/api/v1",
    )
    try:
        with IntacctClient(config, retry=RetryPolicy(base=0.01, budget=10)) as client:
            yield served, client
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
