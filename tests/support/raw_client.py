"""A plain HTTP client of a sandbox: for what our own client does not send, or would not show as it came."""

import json

import requests


def token(sandbox, **form):
    """Ask for a token and return the answer; ``form`` changes the request."""
    identity = sandbox.identity
    credentials = {
        "grant_type": "client_credentials",
        "client_id": identity.client_id,
        "client_secret": identity.client_secret,
        "username": f"{identity.user}@{identity.company}",
    }
    return requests.post(sandbox.url + "/oauth2/token", data={**credentials, **form}, timeout=10)


def bearer(sandbox, **form):
    """Return the header of a user who has a token."""
    return {"Authorization": f"Bearer {token(sandbox, **form).json()['access_token']}"}


class RawClient:
    """Calls with a token; ``form`` changes the token request, such as its ``username``."""

    def __init__(self, sandbox, **form):
        self.url = sandbox.url
        self.session = requests.Session()
        self.session.headers.update(bearer(sandbox, **form))

    def __call__(self, method, path, body=None, **options):
        """Send a request and return the answer, whatever it is."""
        options.setdefault("timeout", 30)
        return self.session.request(method, self.url + path, json=body, **options)

    def submit(self, records, *, operation="create", part="file", headers=None, **request):
        """Send a bulk job and return the answer; ``records`` may be the bytes of a file."""
        request = {
            "objectName": "accounts-receivable/customer",
            "operation": operation,
            "jobFile": "records.json",
            "fileContentType": "json",
            **request,
        }
        content = records if isinstance(records, bytes) else json.dumps(records).encode()
        files = {
            "ia::requestBody": (None, json.dumps(request), "application/json"),
            part: ("records.json", content, "application/json"),
        }
        return self("POST", "/services/bulk/job/create", files=files, headers=headers)

    def job(self, job_id, **query):
        """Return the answer on where a job is."""
        return self("GET", "/services/bulk/job/status", params={"jobId": job_id, **query})


def error_of(answer):
    """Return the error of an answer or of an element of one."""
    body = answer if isinstance(answer, dict) else answer.json()
    return body.get("ia::error") or body["ia::result"]["ia::error"]


def messages_of(answer):
    """Return what an answer says is wrong: the text of its error, or those of its causes."""
    error = error_of(answer)
    return [cause["message"] for cause in error.get("details", [error])]
