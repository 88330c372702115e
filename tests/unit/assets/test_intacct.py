"""``intacct://`` names one object of one company, in one spelling, or is refused in words that help."""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

import pytest
from airflow.sdk import AssetWatcher

from intacct_provider.assets.intacct import convert_asset_to_openlineage, create_asset, sanitize_uri
from intacct_provider.triggers.changes import IntacctChangeTrigger


def sanitized(uri: str) -> str:
    return urlunsplit(sanitize_uri(urlsplit(uri)))


@pytest.mark.parametrize(
    "uri",
    [
        "intacct://ACME-prod/accounts-receivable/customer",
        "intacct://acme_2-Copy/platform-apps/nsp::My_Object",
        "intacct://A%20B%40C%3A1/order-entry/document::Sales%20Order",
        "intacct://ACME/platform-apps/nsp::caf%C3%A9",
    ],
)
def test_one_spelling_stays_as_it_is(uri):
    assert sanitized(uri) == uri


@pytest.mark.parametrize(
    ("uri", "spelling"),
    [
        ("intacct://ACME/platform-apps/nsp%3A%3Aname", "intacct://ACME/platform-apps/nsp::name"),
        ("intacct://ACME/accounts-receivable/customer/", "intacct://ACME/accounts-receivable/customer"),
        ("intacct://A%43ME/accounts-receivable/%63ustomer", "intacct://ACME/accounts-receivable/customer"),
        (
            "intacct://A B/order-entry/document::Sales Order",
            "intacct://A%20B/order-entry/document::Sales%20Order",
        ),
    ],
)
def test_other_spellings_of_an_object_become_that_one(uri, spelling):
    assert sanitized(uri) == spelling
    assert sanitized(spelling) == spelling


@pytest.mark.parametrize(
    ("uri", "problem"),
    [
        ("intacct:///accounts-receivable/customer", "the company is missing."),
        ("intacct://%20/accounts-receivable/customer", "the company is missing."),
        ("intacct:accounts-receivable/customer", "the company is missing."),
        ("intacct://ACME", "object_name '' must be an object's path"),
        ("intacct://ACME/accounts-receivable", "object_name 'accounts-receivable' must be an object's path"),
        ("intacct://ACME/customer", "Did you mean 'accounts-receivable/customer'?"),
        (
            "intacct://ACME/objects/accounts-receivable/customer",
            "Did you mean 'accounts-receivable/customer'?",
        ),
        ("intacct://ACME/Accounts/customer", "object_name 'Accounts/customer' must be an object's path"),
        ("intacct://ACME/accounts-receivable/customer?status=active", "cannot have a query or a fragment."),
        ("intacct://ACME/accounts-receivable/customer#1", "cannot have a query or a fragment."),
        ("intacct://user@ACME/accounts-receivable/customer", "cannot have a user or a port."),
        ("intacct://ACME:443/accounts-receivable/customer", "cannot have a user or a port."),
        (
            "intacct://ACME/accounts-receivable/cust%2Fomer",
            "object_name 'accounts-receivable/cust/omer' must be",
        ),
        ("intacct://ACME/accounts-receivable/100%25", "object_name 'accounts-receivable/100%' must be"),
    ],
)
def test_what_names_no_object_is_refused_in_words_that_help(uri, problem):
    with pytest.raises(
        ValueError, match=r"is not in the form intacct://<company>/<application>/<object>"
    ) as raised:
        sanitized(uri)
    assert problem in str(raised.value)


def test_a_refusal_does_not_repeat_what_may_be_a_password():
    with pytest.raises(ValueError, match="cannot have a user") as raised:
        sanitized("intacct://user:hunter2@ACME/accounts-receivable/customer")
    assert "hunter2" not in str(raised.value)
    assert "user:" not in str(raised.value)


def test_an_asset_is_made_from_company_and_object():
    asset = create_asset(company_id="A B", object_name="platform-apps/nsp::name", extra={"rows": 1})
    assert (asset.uri, asset.name) == ("intacct://A%20B/platform-apps/nsp::name",) * 2
    assert asset.extra == {"rows": 1}
    assert create_asset(company_id="A", object_name="a/b", name="customers").name == "customers"


def test_an_asset_can_have_watchers():
    watcher = AssetWatcher(name="changes", trigger=IntacctChangeTrigger("accounts-receivable/customer"))
    asset = create_asset(company_id="A", object_name="accounts-receivable/customer", watchers=[watcher])
    assert asset.watchers == [watcher]
    assert create_asset(company_id="A", object_name="a/b").watchers == []


@pytest.mark.parametrize(
    ("company_id", "object_name"),
    [("", "accounts-receivable/customer"), ("ACME", "customer"), ("ACME", "a/b/c")],
)
def test_no_asset_is_made_of_what_names_no_object(company_id, object_name):
    with pytest.raises(ValueError, match="is not in the form intacct://"):
        create_asset(company_id=company_id, object_name=object_name)


def test_a_company_with_marks_of_its_own_stays_one_company():
    asset = create_asset(company_id="a/b@c:1?d#e%41", object_name="accounts-receivable/customer")
    dataset = convert_asset_to_openlineage(asset, None)
    assert dataset.namespace == "intacct://a%2Fb%40c%3A1%3Fd%23e%2541"
    assert dataset.name == "accounts-receivable/customer"


def test_openlineage_knows_the_object_by_its_own_path():
    asset = create_asset(company_id="ACME", object_name="order-entry/document::Sales Order")
    dataset = convert_asset_to_openlineage(asset, None)
    assert (dataset.namespace, dataset.name) == ("intacct://ACME", "order-entry/document::Sales Order")
