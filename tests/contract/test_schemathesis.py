"""Schemathesis against a running sandbox: whatever it makes up, the answer is one that the document describes.

It runs as its users run it, from the command line and over HTTP, with the examples of the document, the borders of
each value, made-up data right and wrong, and chains of calls. The seed is fixed, nothing is kept between runs.
``INTACCT_CONTRACT_EXAMPLES=50`` makes it try more, on more objects; CI does, and it takes a minute longer.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from raw_client import RawClient
from sandbox_client import running

from intacct_provider.sandbox.objects.catalog import BUILT_IN
from intacct_provider.sandbox.openapi.document import build_document

pytestmark = pytest.mark.slow

EXAMPLES = int(os.environ.get("INTACCT_CONTRACT_EXAMPLES", "10"))
THOROUGH = EXAMPLES >= 50
HOOKS = Path(__file__).parent / "schemathesis_hooks.py"
SMALL = ("accounts-receivable/customer-group", "general-ledger/account-group-purpose")
LARGE = ("accounts-receivable/customer", "general-ledger/account-group")
SERVICES = "^/(oauth2|services)/"
#: Of every header that names an entity, the hooks make this one; it must not be deleted.
ENTITY = "company-config/entity"
#: As many as the hooks take keys from.
RECORDS = 150
CHECKS = (
    *("not_a_server_error", "status_code_conformance", "content_type_conformance"),
    *("response_schema_conformance", "response_headers_conformance"),
    *("negative_data_rejection", "positive_data_acceptance"),
    *("unsupported_method", "ignored_auth", "use_after_free", "ensure_resource_availability"),
)


@pytest.fixture
def demo():
    """The demo company, for each test its own: they write and delete."""
    with running("demo", faults={"concurrency": 50}) as company:
        yield company


def different_objects():
    """Return one object of each make; those that have the same members are served by the same code."""
    makes = {
        tuple(member.path for member in one.members): name for name, one in reversed(BUILT_IN.objects.items())
    }
    return sorted(set(makes.values()) - {ENTITY})


def addresses(names):
    """Return the pattern of the addresses of objects."""
    return f"^/objects/({'|'.join(sorted(names))})(/|$)"


def schemathesis(sandbox, folder, paths, *phases, examples):
    """Run it and return its exit code and its report, in which tokens are hidden."""
    config = folder / "schemathesis.toml"
    config.write_text(
        f'hooks = "{HOOKS.as_posix()}"\nheaders = {{ Authorization = "Bearer ${{INTACCT_TOKEN}}" }}\n'
    )
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(config), "run"]
    command += [sandbox.site + "openapi.json", "--include-path-regex", paths, "--phases", ",".join(phases)]
    command += ["--checks", ",".join(CHECKS), "--max-examples", str(examples), "--generation-deterministic"]
    command += ["--continue-on-failure", "--no-color"]
    env = {**os.environ, "INTACCT_TOKEN": RawClient(sandbox).session.headers["Authorization"].split()[1]}
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=env, timeout=280)
    return done.returncode, done.stdout + done.stderr


def answered(sandbox):
    """Return the statuses that each operation of the document was answered with."""
    found = {}
    for call in sandbox.requests:
        address = re.sub(r"^(/objects/[^/]+/[^/]+)/[^/]+$", r"\1/{key}", call.path)
        found.setdefault((call.method.lower(), address), set()).add(call.status)
    return found


def fill(sandbox, names):
    """Add records like the document's example, so that most made-up keys lead to one that nothing else uses."""
    for name in names:
        content = build_document()["paths"][f"/objects/{name}"]["post"]["requestBody"]["content"]
        example = content["application/json"]["example"]
        missing = range(RECORDS - len(sandbox.records(name)))
        sandbox.seed(name, [{**example, "id": f"Filling {number}"} for number in missing])


def check(sandbox, folder, paths, *phases, examples):
    """Run it; nearly every operation must have been carried out at times, and all refused at others.

    Nearly, because chance may draw nothing but taken ids for an object; never for all objects.
    """
    code, report = schemathesis(sandbox, folder, paths, *phases, examples=examples)
    assert code == 0, report
    statuses = answered(sandbox)
    described = build_document()["paths"]
    tried = {(method, path) for path in described if re.search(paths, path) for method in described[path]}
    refused = {one for one in tried if any(400 <= status < 500 for status in statuses.get(one, ()))}
    done = {one for one in tried if any(200 <= status < 300 for status in statuses.get(one, ()))}
    assert tried
    assert not tried - refused
    assert len(done) >= 0.9 * len(tried), tried - done
    assert kinds(done) == kinds(tried)


def kinds(operations):
    """Return operations whatever their object is."""
    return {(method, re.sub(r"^/objects/[^/]+/[^/]+", "/objects", path)) for method, path in operations}


def test_the_services(demo, tmp_path):
    for _ in range(250):  # some lists to acknowledge
        demo.events.fire(LARGE[0], "create")
    check(demo, tmp_path, SERVICES, "examples", "coverage", "fuzzing", "stateful", examples=EXAMPLES)


def test_objects_to_the_borders_of_each_value(demo, tmp_path):
    """One member after the other; what employees have is had by customers, too, and takes as long."""
    names = set(different_objects()) - {"company-config/employee"} if THOROUGH else SMALL
    fill(demo, names)
    check(demo, tmp_path, addresses(names), "examples", "coverage", examples=1)


def test_objects_with_made_up_data(demo, tmp_path):
    names = different_objects() if THOROUGH else SMALL + LARGE
    fill(demo, names)
    check(demo, tmp_path, addresses(names), "examples", "fuzzing", examples=max(5, EXAMPLES // 5))


def test_chains_of_calls_on_objects(demo, tmp_path):
    """A record that was created can be read, changed and deleted, and does not exist afterwards."""
    names = SMALL + LARGE
    seeded = {name: max(int(record["key"]) for record in demo.records(name)) for name in names}
    code, report = schemathesis(demo, tmp_path, addresses(names), "stateful", examples=100)
    assert code == 0, report
    on_new = set()
    for call in demo.requests:
        name, _, key = call.path.removeprefix("/objects/").rpartition("/")
        if name in seeded and key.isdigit() and int(key) > seeded[name]:
            on_new.add((call.method, call.status, call.path))
    gone = {path for method, status, path in on_new if (method, status) == ("DELETE", 204)}
    assert gone
    assert {("GET", 200), ("PATCH", 200)} <= {(method, status) for method, status, _ in on_new}
    client = RawClient(demo)
    assert {client("GET", path).status_code for path in gone} == {404}


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"status": 500}, "Server error"),
        ({"status": 200, "body": {"ia::result": [{"key": 1}], "ia::meta": {}}}, "Response violates schema"),
    ],
)
def test_it_finds_an_answer_that_is_wrong(demo, tmp_path, answer, said):
    """Finding nothing would be worth nothing if it could not."""
    demo.fail(path="/services/core/query", times=0, **answer)
    code, report = schemathesis(demo, tmp_path, "^/services/core/query$", "examples", examples=1)
    assert code == 1
    assert said in report
