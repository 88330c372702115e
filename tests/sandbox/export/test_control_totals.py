"""Control totals of exports while people work: equal as far as nothing changed, not comparable, or red for a reason."""

import json
from decimal import Decimal

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from sandbox_client import client_of, running
from sandbox_clocks import StandingClock

from intacct_provider.client.session import Session
from intacct_provider.exceptions import IntacctIncompleteReadError
from intacct_provider.operators.export_ranges import IntacctCommitExportOperator, IntacctKeyRangesOperator
from intacct_provider.transfers.intacct_to_object_storage import IntacctToObjectStorageOperator

CUSTOMER = "accounts-receivable/customer"
QUERY = "/services/core/query"
FIELDS = ["key", "creditLimit"]


@pytest.fixture
def clock():
    return StandingClock()


@pytest.fixture
def company(clock, monkeypatch):
    """Three hundred customers from the minute before, in pages of fifty."""
    with running(clock=clock) as one, client_of(one) as client:
        records = [{"id": f"C{n}", "name": f"C{n}", "creditLimit": Decimal(f"{n}.25")} for n in range(1, 301)]
        assert all(result.ok for result in client.create_many(CUSTOMER, records))
        clock.seconds += 60
        monkeypatch.setenv("AIRFLOW_CONN_INTACCT_DEFAULT", one.connection(page_size=50, max_concurrency=1))
        yield client


@pytest.fixture
def after_query(clock, monkeypatch):
    """Return a function that lets something happen after one of the queries, and a second pass before each."""
    send, asked = Session.send, []

    def let(number, happen):
        def interrupted(session, request):
            if request.path == QUERY and number is not None:
                clock.seconds += 1
            reply = send(session, request)
            if request.path == QUERY:
                asked.append(request)
                if len(asked) == number:
                    happen()
            return reply

        monkeypatch.setattr(Session, "send", interrupted)
        return asked

    return let


@pytest.fixture
def export(company, tmp_path):
    def run(fields=FIELDS, **more):
        file = tmp_path / "customers.jsonl"
        IntacctToObjectStorageOperator(
            task_id="export",
            object_name=CUSTOMER,
            fields=fields,
            control_totals=["creditLimit"],
            destination=str(file),
            **more,
        ).execute({})
        found = json.loads((tmp_path / "customers.jsonl.manifest.json").read_text())["completeness"]
        rows = [json.loads(line) for line in file.read_text().splitlines()]
        assert list(rows[0]) == fields, "what was asked for besides is not in the file"
        assert Decimal(found["control_totals"]["creditLimit"]) == sum(
            Decimal(str(one["creditLimit"] or 0)) for one in rows
        )
        return found

    return run


def test_a_company_that_stands_still_is_equal(export):
    assert "control_totals_result" not in export()


@pytest.mark.parametrize("fields", [FIELDS, [*FIELDS, "audit.modifiedDateTime"]])
def test_an_amount_that_changes_before_its_page_is_read_leaves_the_others_equal(
    fields, export, company, after_query
):
    """The count of all was asked for before, or after: then nothing differs."""
    after_query(2, lambda: company.update(CUSTOMER, "290", {"creditLimit": Decimal("7.50")}))
    found = export(fields)
    assert found["result"] == "equal"
    assert found.get("control_totals_result", "equal for unchanged records") == "equal for unchanged records"


@pytest.mark.parametrize(
    "happen",
    [
        lambda client: client.update(CUSTOMER, "3", {"creditLimit": Decimal("7.50")}),
        lambda client: client.delete(CUSTOMER, "3"),
        lambda client: [client.delete(CUSTOMER, "3"), client.create(CUSTOMER, {"id": "N", "name": "N"})],
    ],
)
def test_a_row_that_changes_after_it_was_read_is_not_compared_and_not_red(
    happen, export, company, after_query, capsys
):
    asked = after_query(2, lambda: happen(company))
    found = export()
    assert found["control_totals_result"] == "not comparable"
    assert "control totals are not comparable: " in capsys.readouterr().out
    assert len(asked) < 30


def test_records_that_come_leave_the_others_equal(export, company, after_query):
    some = [{"id": f"N{n}", "name": f"N{n}", "creditLimit": Decimal("5.00")} for n in range(3)]
    after_query(3, lambda: company.create_many(CUSTOMER, some))
    found = export()
    assert found.get("control_totals_result") in (None, "equal for unchanged records")


@pytest.mark.parametrize("changes", [0, 1])
def test_an_amount_that_never_was_so_is_red_also_while_others_change(
    changes, export, company, after_query, monkeypatch
):
    """Each reading contradicts Intacct's sums of records that nobody has touched."""
    from intacct_provider.client.paging.row_formats import StructRows

    read = StructRows.read

    def falsify(form, content, start, size):
        return read(form, content.replace(b"100.25", b"100.26"), start, size)

    monkeypatch.setattr(StructRows, "read", falsify)
    if changes:
        some = [{"id": f"N{n}", "name": f"N{n}", "creditLimit": Decimal("5.00")} for n in range(3)]
        after_query(2, lambda: company.create_many(CUSTOMER, some))
    with pytest.raises((IntacctIncompleteReadError, AirflowFailException), match=r"difference -0\.01"):
        export()


def test_ranges_tell_the_worst_of_theirs(company, after_query, tmp_path):
    made = IntacctKeyRangesOperator(task_id="plan", object_name=CUSTOMER, ranges=2).execute({})
    file = tmp_path / "customers.jsonl"
    after_query(2, lambda: company.update(CUSTOMER, "3", {"creditLimit": Decimal("7.50")}))
    exports = [
        IntacctToObjectStorageOperator(
            task_id="export",
            object_name=CUSTOMER,
            fields=FIELDS,
            control_totals=["creditLimit"],
            destination=str(file),
            key_range=one,
        ).execute({})
        for one in made
    ]
    IntacctCommitExportOperator(task_id="commit", destination=str(file), exports=exports).execute({})
    found = json.loads((tmp_path / "customers.jsonl.manifest.json").read_text())["completeness"]
    assert found["control_totals_result"] == "not comparable"
    assert [one.get("control_totals_result") for one in found["ranges"]] == ["not comparable", None]
