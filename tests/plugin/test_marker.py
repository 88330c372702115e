"""The marker that says how a test's company starts, and what it says to somebody who mistypes it."""

import pytest

pytestmark = pytest.mark.slow

CUSTOMER = "accounts-receivable/customer"


def test_the_marker_says_how_the_company_starts(project):
    project.write(
        "test_marked.py",
        f"""
        from datetime import UTC, datetime
        import pytest
        import requests

        @pytest.mark.intacct_sandbox(seed="{CUSTOMER}=7", tier=3, faults={{"latency": 0.01, "clamp": True}})
        def test_marked(intacct_sandbox):
            assert len(intacct_sandbox.records("{CUSTOMER}")) == 7
            assert (intacct_sandbox.faults.latency, intacct_sandbox.faults.clamp) == (0.01, True)
            assert requests.get(intacct_sandbox.url).headers["X-IA-Throttle-Limit"] == "12"

        @pytest.mark.intacct_sandbox(clock=lambda: datetime(2030, 1, 2, tzinfo=UTC))
        def test_date(intacct_sandbox):
            intacct_sandbox.seed("{CUSTOMER}", [{{"id": "ACME", "name": "Acme"}}])
            [customer] = intacct_sandbox.records("{CUSTOMER}")
            assert customer["audit"]["createdDateTime"] == "2030-01-02T00:00:00Z"

        def test_unmarked(intacct_sandbox):
            assert intacct_sandbox.faults.changed() == {{}}
        """,
    )
    result = project.run()
    assert result.counts == {"passed": 3}, result.output


def test_the_nearest_marker_wins_argument_by_argument(project):
    project.write(
        "test_nested.py",
        f"""
        import pytest

        pytestmark = pytest.mark.intacct_sandbox(seed="{CUSTOMER}=2", faults={{"churn": 1}})

        def customers(sandbox):
            return len(sandbox.records("{CUSTOMER}")), sandbox.faults.churn

        def test_module(intacct_sandbox):
            assert customers(intacct_sandbox) == (2, 1)

        @pytest.mark.intacct_sandbox(seed="{CUSTOMER}=3")
        class TestClass:
            def test_class(self, intacct_sandbox):
                assert customers(intacct_sandbox) == (3, 1)

            @pytest.mark.intacct_sandbox(faults={{}})
            def test_function(self, intacct_sandbox):
                assert customers(intacct_sandbox) == (3, 0)

        @pytest.mark.parametrize("count", [pytest.param(5, marks=pytest.mark.intacct_sandbox(seed="{CUSTOMER}=5"))])
        def test_parameter(intacct_sandbox, count):
            assert customers(intacct_sandbox) == (count, 1)
        """,
    )
    result = project.run()
    assert result.counts == {"passed": 4}, result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("seeds='demo'", "the marker intacct_sandbox has no argument seeds='demo'; did you mean 'seed'?"),
        ("Tier=2", "the marker intacct_sandbox has no argument Tier=2; did you mean 'tier'?"),
        ("'demo'", "the marker intacct_sandbox takes keyword arguments only, such as seed='demo'"),
        ("seed='dem'", "intacct_sandbox: cannot seed 'dem'; did you mean demo?"),
        ("tier=5", "intacct_sandbox: tier must be one of 1, 2, 3, 4, not 5"),
        (
            "faults={'latencyy': 1}",
            "intacct_sandbox: faults: 'latencyy' is unknown; did you mean 'latency'?",
        ),
        ("faults={'latency': -1}", "latency must be at least 0, not -1"),
    ],
)
def test_a_mistake_in_the_marker_is_told_with_what_was_meant_and_without_a_traceback(
    project, arguments, message
):
    project.write(
        "test_mistake.py",
        f"import pytest\n@pytest.mark.intacct_sandbox({arguments})\ndef test_mistake(intacct_sandbox): pass\n",
    )
    result = project.run()
    assert result.counts == {"error": 1}, result.output
    assert message in result.output
    assert "testing.py" not in result.output
