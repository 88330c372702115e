"""A company over HTTP that takes a number of requests at once, whose headers say so, or less, or more, or nothing."""

import json
import re
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from query_server import Server

from intacct_provider.client import IntacctClient, IntacctConfig
from intacct_provider.client.http.retry import RetryPolicy
from intacct_provider.client.paging.row_formats import MappingRows
from intacct_provider.client.query.request import Query

FIELDS = ["key", "id"]


class BusyServer:
    """Answers queries of a model in memory.

    :param slots: requests that it takes at once; may be changed at any time.
    :param reports: how many its headers say that it takes, given the true number; None for no headers.
    :param seconds: how long a query takes.
    """

    def __init__(self, slots, *, rows=1000, reports=lambda slots: slots, seconds=0.02):
        self.slots, self.reports, self.seconds = slots, reports, seconds
        self.model = Server(range(1, rows + 1))
        self.in_flight = self.refused = self.most = self.queries = 0
        #: How many were in flight when each query began, and whose it was.
        self.seen, self.whose = [], []
        self.between = lambda _number: None
        self._lock = threading.Lock()

    def enter(self):
        with self._lock:
            if self.in_flight >= self.slots:
                self.refused += 1
                return False
            self.in_flight += 1
            self.most = max(self.most, self.in_flight)
            return True

    def leave(self):
        """Return the headers of the response, and let the request go."""
        with self._lock:
            remaining = self.slots - self.in_flight
            self.in_flight -= 1
        return self.headers(remaining)

    def headers(self, remaining):
        if self.reports is None:
            return {}
        reported = self.reports(self.slots)
        remaining = max(0, remaining + reported - self.slots)
        return {"X-IA-Throttle-Limit": reported, "X-IA-Throttle-Limit-Remaining": remaining}

    def query(self, body, client):
        with self._lock:
            self.queries += 1
            number = self.queries
            self.seen.append(self.in_flight)
            self.whose.append(client)
        self.between(number)
        time.sleep(self.seconds)
        with self._lock:
            if body["fields"] == ["count:key"]:
                count = sum(self.model.matches(record, body) for record in self.model.records)
                return {"ia::result": [{"count:key": count}], "ia::meta": {"totalCount": 1, "pageSize": 1}}
            return self.model.answer(body)


@contextmanager
def serving(server):
    """Serve; yield the base URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            content = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path.endswith("/oauth2/token"):
                user = re.search(rb"username=(\w+)", content)[1].decode()
                self.reply(
                    200, {"access_token": f"token-of-{user}", "token_type": "Bearer", "expires_in": 9000}
                )
            elif not server.enter():
                error = {"error": {"code": "GW-0010", "message": "Too many requests"}}
                self.reply(429, error, {**server.headers(0), "Retry-After": "0.05"})
            else:
                answer = server.query(json.loads(content), self.headers["Authorization"])
                self.reply(200, answer, server.leave())

        def reply(self, status, body, headers=()):
            content = json.dumps(body).encode()
            self.send_response(status)
            all_headers = {
                "Content-Type": "application/json",
                "Content-Length": len(content),
                **dict(headers),
            }
            for name, value in all_headers.items():
                self.send_header(name, str(value))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    class Site(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 100

    with Site(("127.0.0.1", 0), Handler) as site:
        thread = threading.Thread(target=site.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{site.server_port}/ia/api/v1"
        finally:
            site.shutdown()
            thread.join()


def read_keys(url, user="reader", page_size=10, taken=lambda _page: None, **changes):
    """Read everything ahead as an export does; return the keys and the client's transactions."""
    config = IntacctConfig(
        client_id="app", client_secret="s3cret-of-app", company_id="Co", user_id=user, base_url=url,
        page_size=page_size, **changes,
    )  # fmt: skip
    with IntacctClient(config, retry=RetryPolicy(base=0.02, budget=60)) as client:
        read = client.read_pages(Query.build("accounts-receivable/customer", FIELDS), MappingRows(FIELDS))
        keys = []
        for page in read:
            keys += [int(row["key"]) for row in page.rows]
            taken(page)
        return keys, client.transactions
