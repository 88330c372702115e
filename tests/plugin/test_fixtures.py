"""The fixtures of the pytest plugin, in projects of people who test DAGs."""

import pytest

pytestmark = pytest.mark.slow

CUSTOMER = "accounts-receivable/customer"
VARIABLE = "AIRFLOW_CONN_INTACCT_DEFAULT"
REAL = '{"conn_type": "intacct", "host": "http://127.0.0.1:9/ia/api/v1", "login": "real", "password": "real"}'

USERS_TESTS = f"""
    import os
    from intacct_provider.hooks.intacct import IntacctHook

    def test_creates(intacct_sandbox):
        with IntacctHook().client as client:
            client.create("{CUSTOMER}", {{"id": "ACME", "name": "Acme"}})
        [customer] = intacct_sandbox.records("{CUSTOMER}")
        assert (customer["id"], customer["name"]) == ("ACME", "Acme")
        assert intacct_sandbox.transactions == 1
        assert intacct_sandbox.billed == {{("{CUSTOMER}", "airflow@SANDBOX"): 1}}
        assert [call.method for call in intacct_sandbox.requests] == ["POST", "POST"]

    def test_starts_from_nothing(intacct_sandbox):
        assert intacct_sandbox.records("{CUSTOMER}") == []
        assert intacct_sandbox.requests == []
        with IntacctHook().client as client:
            client.create("{CUSTOMER}", {{"id": "ACME", "name": "Another Acme"}})

    def test_can_fail(intacct_sandbox):
        intacct_sandbox.seed("{CUSTOMER}", [{{"id": "ACME", "name": "Acme"}}])
        assert len(intacct_sandbox.records("{CUSTOMER}")) == 2
"""


def test_tests_that_use_the_hook_pass_or_fail_as_they_should(project):
    project.write("test_users.py", USERS_TESTS)
    result = project.run()
    assert result.counts == {"passed": 2, "failed": 1}, result.output
    assert "FAILED test_users.py::test_can_fail" in result.output
    assert "assert 1 == 2" in result.output


def test_every_company_has_a_secret_of_its_own(project):
    project.write(
        "test_secrets.py",
        """
        import json

        secrets = set()

        def test_one(intacct_sandbox):
            secrets.add(json.loads(intacct_sandbox.connection())["password"])

        def test_two(intacct_sandbox, intacct_sandbox_session):
            for sandbox in (intacct_sandbox, intacct_sandbox_session):
                secrets.add(json.loads(sandbox.connection())["password"])
            assert len(secrets | {"sandbox-secret"}) == 4
        """,
    )
    result = project.run()
    assert result.counts == {"passed": 2}, result.output


RESTORED = f"""
    import json
    import os
    import pytest

    BEFORE = os.environ.get("{VARIABLE}")

    @pytest.fixture
    def broken(intacct_sandbox):
        raise RuntimeError

    def test_set(intacct_sandbox):
        connection = json.loads(os.environ["{VARIABLE}"])
        assert connection == json.loads(intacct_sandbox.connection())
        assert connection["host"].startswith("http://127.0.0.1:")

    def test_restored():
        assert os.environ.get("{VARIABLE}") == BEFORE

    def test_fails(intacct_sandbox):
        assert not "here"

    def test_restored_after_failure():
        assert os.environ.get("{VARIABLE}") == BEFORE

    def test_never_begins(broken):
        pass

    def test_restored_after_error():
        assert os.environ.get("{VARIABLE}") == BEFORE
"""


def test_the_variable_is_set_for_the_test_and_restored_however_it_ends(project):
    project.write("test_variable.py", RESTORED)
    for before in (REAL, None):
        result = project.run(**{VARIABLE: before})
        assert result.counts == {"passed": 4, "failed": 1, "error": 1}, result.output


def test_the_session_has_one_demo_company_and_a_test_with_its_own_comes_before_it(project):
    module = f"""
        import json
        import os

        def reached():
            return json.loads(os.environ["{VARIABLE}"])["host"]

        def test_session(intacct_sandbox_session, seen):
            seen.add(intacct_sandbox_session.url)
            assert reached() == intacct_sandbox_session.url
            assert intacct_sandbox_session.records("{CUSTOMER}")

        def test_inner(intacct_sandbox, intacct_sandbox_session):
            assert reached() == intacct_sandbox.url != intacct_sandbox_session.url
            assert intacct_sandbox.records("{CUSTOMER}") == []

        def test_restored(seen):
            assert {{reached()}} == seen
    """
    project.write(
        "conftest.py",
        f"""
        import os
        import pytest

        @pytest.fixture(scope="session")
        def seen():
            return set()

        @pytest.hookimpl(trylast=True)
        def pytest_sessionfinish():
            print("\\nat the end:", os.environ["{VARIABLE}"])
        """,
    )
    project.write("test_one.py", module)
    project.write("test_two.py", module)
    result = project.run("-s", **{VARIABLE: REAL})
    assert result.counts == {"passed": 6}, result.output
    assert f"at the end: {REAL}" in result.output


def test_the_session_company_starts_with_what_the_ini_file_says(project):
    project.write("pytest.ini", f"[pytest]\nintacct_sandbox_seed = {CUSTOMER}=3\n")
    project.write(
        "test_seed.py",
        f"""
        def test_seed(intacct_sandbox_session):
            assert len(intacct_sandbox_session.records("{CUSTOMER}")) == 3
        """,
    )
    result = project.run()
    assert result.counts == {"passed": 1}, result.output


def test_a_session_company_that_starts_inside_a_test_is_refused(project):
    project.write(
        "test_late.py",
        """
        def test_late(intacct_sandbox, request):
            request.getfixturevalue("intacct_sandbox_session")

        def test_in_time(intacct_sandbox_session):
            pass
        """,
    )
    result = project.run(**{VARIABLE: REAL})
    assert "intacct_sandbox_session must start before intacct_sandbox" in result.output
    assert result.counts["failed"] == 1, result.output


def test_nothing_listens_and_no_thread_runs_after_the_session(project):
    project.write(
        "conftest.py",
        """
        import socket
        import threading
        from urllib.parse import urlsplit

        import pytest

        ports = []

        @pytest.fixture(autouse=True)
        def remember(intacct_sandbox, intacct_sandbox_session):
            ports.extend(urlsplit(one.url).port for one in (intacct_sandbox, intacct_sandbox_session))

        @pytest.hookimpl(trylast=True)
        def pytest_unconfigure():
            open_ports = []
            for port in ports:
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        open_ports.append(port)
            print("\\nports", len(ports), "open", open_ports)
            print("threads", [one.name for one in threading.enumerate() if "intacct" in one.name])
        """,
    )
    project.write("test_three.py", "def test_1(): pass\ndef test_2(): pass\ndef test_3(): assert 0\n")
    for arguments in ((), ("-x",)):
        result = project.run("-s", *arguments)
        assert "ports 6 open []\nthreads []" in result.output, result.output
    assert [path.name for path in project.home.iterdir()] == []


def test_a_run_that_does_not_use_the_fixtures_loads_nothing_for_them(project):
    heavy = ("airflow", "starlette", "uvicorn", "requests", "msgspec", "sqlite3", "intacct_provider.sandbox")
    project.write(
        "test_light.py", f"import sys\ndef test_light(): assert not {set(heavy)} & set(sys.modules)\n"
    )
    result = project.run("-p", "intacct_provider.testing", PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")
    assert result.counts == {"passed": 1}, result.output


def test_a_missing_extra_is_named_with_the_command_that_brings_it(project):
    project.write("conftest.py", "import sys\nsys.modules['uvicorn'] = None\n")
    project.write("test_extra.py", "def test_extra(intacct_sandbox): pass\n")
    result = project.run()
    assert result.counts == {"error": 1}
    assert "uvicorn" in result.output
    assert "pip install 'airflow-provider-intacct[sandbox]'" in result.output
    assert "Traceback" not in result.output


def test_pytest_itself_explains_the_fixtures_and_the_marker(project):
    fixtures = project.run("--fixtures", "-v").output
    for text in (
        "intacct_sandbox -- ",
        "intacct_sandbox_session [session scope] -- ",
        "AIRFLOW_CONN_INTACCT_DEFAULT is set",
        '@pytest.mark.intacct_sandbox(seed="demo", tier=2',
    ):
        assert text in fixtures
    assert "@pytest.mark.intacct_sandbox(seed='empty', tier=1" in project.run("--markers").output
    assert "intacct_sandbox_seed (string):" in project.run("--help").output


def test_the_connection_can_be_given_under_another_name_with_more_extras(project):
    project.write(
        "test_entity.py",
        f"""
        from intacct_provider.hooks.intacct import IntacctHook

        def test_entity(intacct_sandbox, monkeypatch):
            monkeypatch.setenv("AIRFLOW_CONN_INTACCT_UK", intacct_sandbox.connection(entity_id="UK"))
            with IntacctHook("intacct_uk").client as client:
                client.create("{CUSTOMER}", {{"id": "ACME", "name": "Acme"}})
            assert intacct_sandbox.records("{CUSTOMER}")[0]["entity"]["id"] == "UK"
        """,
    )
    result = project.run()
    assert result.counts == {"passed": 1}, result.output


def test_no_secret_of_a_company_is_printed_when_a_test_fails(project):
    project.write(
        "test_secret.py",
        """
        import json

        def test_secret(intacct_sandbox):
            secret = json.loads(intacct_sandbox.connection())["password"]
            with open("secret", "w") as file:
                file.write(secret)
            del secret
            assert not intacct_sandbox
        """,
    )
    result = project.run("-l", "-vv")
    assert result.counts == {"failed": 1}
    assert (project.folder / "secret").read_text() not in result.output
