"""``python -m intacct_provider.sandbox capture``: the shape of a company in a file, over HTTP."""

import json
import os
import signal
import subprocess
import sys

import pytest
from capture_command import run_capture
from sandbox_client import calls, running, until

from intacct_provider.capture.__main__ import main
from intacct_provider.sandbox.__main__ import main as sandbox_main

MODEL = "/services/core/model"
CUSTOMER, TERM = "accounts-receivable/customer", "accounts-receivable/term"
MARKER = "Zqmarker"


@pytest.fixture
def run(tmp_path, capsys):
    """Capture a sandbox; return the exit code, what was printed, and the file's path."""

    def capture(company, objects, *options, **others):
        path = tmp_path / "company.json"
        code = run_capture(company, path, *options, objects=objects, **others)
        return code, capsys.readouterr(), path

    return capture


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def test_a_capture_has_models_counts_and_the_number_of_entities(demo, run):
    code, printed, path = run(demo, "accounts-receivable/customer*,general-ledger/account-group")
    assert (code, printed.err) == (0, "")
    company = read(path)
    assert company["format"] == "intacct-company/1"
    assert company["entities"] == [{"id": "E1"}, {"id": "E2"}]
    objects = company["objects"]
    assert (objects[CUSTOMER]["count"], objects["accounts-receivable/customer-group"]["count"]) == (240, 14)
    model = objects[CUSTOMER]["model"]
    assert model["type"] == "rootObject"
    assert {*model["fields"]["status"]["enum"]} >= {"active", "inactive"}
    assert model["refs"]["term"]["apiObject"] == "accounts-receivable/term"
    assert "href" not in model
    assert "Wrote" in printed.out
    assert f"{CUSTOMER}: " in printed.out
    assert "240 records" in printed.out


def test_the_elements_of_lists_are_captured_with_their_owner(demo, run):
    _, _, path = run(demo, "general-ledger/account-group")
    objects = read(path)["objects"]
    lists = objects["general-ledger/account-group"]["model"]["lists"]
    owned = {part["apiObject"] for part in lists.values() if part.get("apiObject") in objects}
    assert objects.keys() == {"general-ledger/account-group", *owned}
    assert owned
    assert {objects[name]["model"]["type"] for name in owned} == {"ownedObject"}


def test_it_is_a_command_of_the_sandbox(sandbox, run):
    def command(arguments):
        return sandbox_main(["capture", *arguments])

    code, _, path = run(sandbox, CUSTOMER, command=command)
    assert (code, read(path)["objects"][CUSTOMER]["count"]) == (0, 0)


def test_nothing_of_a_record_gets_into_the_file_or_the_terminal(run):
    """Markers in every free text of some records, and in the ids of entities."""
    with running() as company:
        company.seed("company-config/entity", [{"id": f"{MARKER}E", "name": MARKER, "federalId": MARKER}])
        texts = {"notes": MARKER, "taxId": MARKER}
        company.seed(CUSTOMER, [{"id": f"{MARKER}{n}", "name": f"{MARKER} {n}", **texts} for n in range(5)])
        code, printed, path = run(company, "accounts-receivable/cust*,company-config/entity", "--sample")
        assert code == 0
        text = path.read_text(encoding="utf-8")
        forms = read(path)["objects"][CUSTOMER]["forms"]
        assert forms["id"] == {"nulls": 0.0, "lengths": [9, 9], "patterns": ["[A-Z]{1}[a-z]{7}[0-9]{1}"]}
        assert forms["notes"]["patterns"] == ["[A-Z]{1}[a-z]{7}"]
        identity = company.identity
        for said in (text, printed.out, printed.err):
            assert MARKER.casefold() not in said.casefold()
            for name in (identity.company, identity.client_id, identity.client_secret):
                assert name not in said
        assert read(path)["entities"] == [{"id": "E1"}, {"id": "E2"}, {"id": "E3"}]


def test_without_a_sample_no_record_is_read(demo, run):
    before = len(demo.requests)
    run(demo, TERM)
    asked = [(call.method, call.path) for call in demo.requests[before:] if "oauth2" not in call.path]
    assert asked == [("GET", MODEL)] * 3 + [("POST", "/services/core/query")] * 2


def test_a_second_capture_says_what_has_changed(sandbox, run):
    _, _, path = run(sandbox, CUSTOMER)
    _, printed, _ = run(sandbox, CUSTOMER)
    assert "No model has changed" in printed.out
    earlier = read(path)
    del earlier["objects"][CUSTOMER]["model"]["fields"]["name"]
    path.write_text(json.dumps(earlier))
    _, printed, _ = run(sandbox, CUSTOMER)
    assert printed.out.endswith(f"Since the capture before:\n~ {CUSTOMER}: +name\n")


def test_a_file_of_another_kind_is_kept_before_a_call_is_made(sandbox, run, tmp_path):
    path = tmp_path / "company.json"
    path.write_text('{"mine": 1}')
    code, printed, _ = run(sandbox, CUSTOMER)
    assert (code, sandbox.requests) == (1, [])
    assert "is not a captured company, or is damaged, so it is kept" in printed.err
    assert path.read_text() == '{"mine": 1}'
    assert run(sandbox, CUSTOMER, "--overwrite")[0] == 0
    assert CUSTOMER in read(path)["objects"]


def test_a_capture_that_fails_leaves_the_earlier_file(sandbox, run, tmp_path):
    _, _, path = run(sandbox, CUSTOMER)
    before = path.read_bytes()
    sandbox.fail(path=MODEL, status=403, skip=2)
    code, printed, _ = run(sandbox, CUSTOMER)
    assert code == 1
    assert f"The model of {CUSTOMER} cannot be read, so nothing is captured." in printed.err
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_an_object_whose_model_may_not_be_read_is_left_out(sandbox, run):
    sandbox.fail(path=MODEL, status=403, skip=2)
    code, printed, path = run(sandbox, f"{CUSTOMER},{TERM}")
    assert (code, [*read(path)["objects"]]) == (0, [TERM])
    assert f"{CUSTOMER} is left out, because its model cannot be read: " in printed.out


@pytest.mark.parametrize(
    ("objects", "nearest"),
    [
        ("accounts-receivable/custmer", f"Did you mean {CUSTOMER!r}?"),
        ("account-receivables/*", "Did you mean 'accounts-receivable/*'?"),
    ],
)
def test_a_pattern_that_matches_nothing_names_the_nearest(sandbox, run, objects, nearest):
    code, printed, path = run(sandbox, objects)
    assert code == 1
    assert f"No object matches {objects!r}. {nearest}" in printed.err
    assert not path.exists()


def test_no_more_calls_than_allowed_are_made_and_the_plan_says_so_first(demo, run):
    before = demo.transactions
    code, printed, path = run(demo, "*", "--max-calls", "9")
    assert code == 1
    assert demo.transactions - before == 2
    assert "--max-calls allows 9. Give narrower --objects" in printed.err
    assert "(limit: 9)" in printed.out
    assert not path.exists()
    code, printed, path = run(demo, TERM, "--max-calls", "5")
    assert (code, demo.transactions - before) == (0, 7)


def test_counts_can_be_left_out(sandbox, run):
    _, printed, path = run(sandbox, CUSTOMER, "--no-counts")
    assert read(path)["objects"][CUSTOMER]["count"] is None
    assert "not counted" in printed.out


def test_an_object_that_may_not_be_queried_has_no_count(sandbox, run):
    sandbox.faults = {"denied": [CUSTOMER]}
    code, _, path = run(sandbox, f"{CUSTOMER},{TERM}", "--sample")
    objects = read(path)["objects"]
    assert (code, objects[CUSTOMER]["count"], objects[TERM]["count"]) == (0, None, 0)
    assert objects[CUSTOMER]["model"]["fields"]


def test_objects_can_be_named_when_they_may_not_be_listed(sandbox, run):
    sandbox.fail(path=MODEL, status=403)
    code, _, path = run(sandbox, CUSTOMER)
    assert (code, [*read(path)["objects"]]) == (0, [CUSTOMER])
    sandbox.fail(path=MODEL, status=403)
    code, printed, _ = run(sandbox, "accounts-receivable/*")
    assert code == 1
    assert "cannot be listed" in printed.err
    assert "Name each object in full" in printed.err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--conn-id", "y", "--company-id", "c"], "--company-id can only be used with --client-id"),
        (["--conn-id", "y", "--sample", "many"], "must be a whole number between 1 and 4,000, not 'many'"),
        (["--conn-id", "y", "--max-calls", "0"], "must be a whole number between 1 and 100,000, not '0'"),
        (["--company-id", "c"], "one of the arguments --conn-id --client-id is required"),
    ],
)
def test_options_that_cannot_be_are_refused(capsys, options, said):
    with pytest.raises(SystemExit) as ended:
        main([*options, "--objects", "*", "--out", "x.json"])
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_a_wrong_secret_is_reported_as_one(sandbox, run, monkeypatch):
    monkeypatch.setenv("WRONG_SECRET_OF_A_TEST", "guessed")
    code, printed, path = run(sandbox, CUSTOMER, "--client-secret-env", "WRONG_SECRET_OF_A_TEST")
    assert (code, path.exists(), len(printed.err.splitlines())) == (1, False, 1)
    assert "client secret" in printed.err
    assert "guessed" not in printed.err


def test_a_missing_secret_is_an_error_that_names_its_variable(sandbox, run):
    code, printed, _ = run(sandbox, CUSTOMER, "--client-secret-env", "SECRET_THAT_IS_NOT_SET")
    assert code == 1
    assert "SECRET_THAT_IS_NOT_SET" in printed.err
    assert sandbox.requests == []


def test_a_capture_that_a_person_stops_leaves_no_file(sandbox, tmp_path):
    sandbox.fail(kind="hang", seconds=120, path="/services/core/query", skip=1)
    identity, path = sandbox.identity, tmp_path / "company.json"
    application = ["--client-id", identity.client_id, "--host", sandbox.url, "--company-id", identity.company]
    options = ["--user-id", identity.user, "--objects", f"{CUSTOMER},{TERM}", "--out", str(path)]
    running = subprocess.Popen(
        [sys.executable, "-m", "intacct_provider.sandbox", "capture", *application, *options],
        env={**os.environ, "INTACCT_CLIENT_SECRET": identity.client_secret},
        stderr=subprocess.PIPE,
        text=True,
        # Tests that run in the background ignore the signal, and so would what they start.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    until(lambda: len(calls(sandbox, "/services/core/query")) == 2)
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=60)
    assert (running.returncode, said) == (1, "intacct capture: stopped\n")
    assert [*tmp_path.iterdir()] == []


@pytest.mark.slow
def test_the_company_of_an_airflow_connection(demo, tmp_path):
    path = tmp_path / "company.json"
    options = ["--conn-id", "intacct_default", "--objects", CUSTOMER, "--out", str(path)]
    done = subprocess.run(
        [sys.executable, "-m", "intacct_provider.sandbox", "capture", *options],
        env={**os.environ, "AIRFLOW_CONN_INTACCT_DEFAULT": demo.connection(entity_id="US")},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert read(path)["objects"][CUSTOMER]["count"] == 240
    assert calls(demo, MODEL)
