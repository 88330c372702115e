"""A company that shares no code with the sandbox and has models of any form: it lists them, and counts records."""

import json
from urllib.parse import parse_qs, urlsplit

from raw_server import SECRET, TOKEN, response

from intacct_provider.capture.__main__ import main

#: What only records and refusals have: no file and no terminal may have it.
MARKER = "Zanzibar Trading"


class OddCompany:
    """Answers the model service and queries.

    :param models: by name; a value that is bytes is the whole response.
    :ivar replies: by the number of the request from 1: bytes to answer it with, None to close the connection.
    :ivar rows: of every query.
    """

    def __init__(self, models, *, unlisted=(), rows=()):
        self.models = dict(models)
        self.unlisted = {*unlisted}
        self.rows = list(rows)
        self.replies = {}
        self.refused = {}
        self.asked = []

    def answer(self, head, body):
        """Return the bytes of a response."""
        line = head.partition("\r\n")[0]
        address = urlsplit(line.split(" ")[1])
        path, query = address.path.removeprefix("/ia/api/v1"), parse_qs(address.query)
        name = query["name"][0] if "name" in query else json.loads(body)["object"] if body else ""
        self.asked.append((path, name))
        if len(self.asked) in self.replies:
            return self.replies[len(self.asked)]
        if f"Authorization: Bearer {TOKEN}" not in head:
            return response({"error": {"code": "GW-0040", "message": MARKER}}, 401)
        if name in self.refused and path in self.refused[name]:
            return response(*self.refused[name][path])
        if path.endswith("/query"):
            return self.query(json.loads(body))
        return self.describe(name, query)

    def query(self, body):
        if "count:key" in body["fields"]:
            return response({"ia::result": [{"count:key": len(self.rows)}], "ia::meta": {"totalCount": 1}})
        page = self.rows[body.get("start", 1) - 1 :][: body.get("size", 100)]
        meta = {"totalCount": len(self.rows), "start": 1, "pageSize": 100, "next": None, "previous": None}
        return response({"ia::result": page, "ia::meta": meta})

    def describe(self, name, query):
        if name:
            found = self.models.get(name.removeprefix("objects/"), [])
            return (
                found
                if isinstance(found, bytes)
                else response({"ia::result": found, "ia::meta": {"totalCount": 1}})
            )
        kind = query.get("type", ["rootObject"])[0]
        kinds = {"object": ("rootObject", "ownedObject")}.get(kind, (kind,))
        listed = [
            {"apiObject": f"objects/{one}", "type": "rootObject", "httpMethods": "GET"}
            for one, model in self.models.items()
            if one not in self.unlisted
            and (isinstance(model, bytes) or model.get("type", "rootObject") in kinds)
        ]
        return response({"ia::result": listed, "ia::meta": {"totalCount": len(listed)}})


def refusal(status, code="REST-1106"):
    """Return the body and the status of a refusal with a marker in each text."""
    error = {"code": code, "errorId": code, "message": f"{MARKER} may not", "supportId": MARKER}
    return {"ia::result": {"ia::error": error | {"details": [{"message": MARKER, "target": MARKER}]}}}, status


def run_capture(monkeypatch, url, path, *options, objects="*"):
    """Capture a company that is served at an address, and return the exit code."""
    monkeypatch.setenv("INTACCT_CLIENT_SECRET", SECRET)
    source = ["--client-id", "app", "--host", url, "--company-id", "Acme", "--user-id", "ws"]
    return main([*source, "--objects", objects, "--out", str(path), *options])
