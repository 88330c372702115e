"""A client that others wrote and published, ``sageintacctrestsdk``, works with the sandbox as it is.

It knows Intacct from its authors' own use, not from this project. Its known weaknesses show here as well: the
sandbox's faults make them visible, and our client is shown to be free of them.
"""

import importlib
import inspect
import pkgutil

import intacctsdk
import pytest
from intacctsdk.apis import ApiBase
from intacctsdk.exceptions import BadRequestError, InternalServerError, InvalidTokenError
from sandbox_client import calls, client_of, running, stored

CUSTOMER = "accounts-receivable/customer"
CUSTOMERS = 4500  # three pages of the 2,000 rows that it asks for


def modules_of(package):
    """Return all modules of a package."""
    return [
        package,
        *(
            importlib.import_module(found.name)
            for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
        ),
    ]


@pytest.fixture
def connect(monkeypatch):
    """Return a function that logs the client in to a sandbox; it cannot reach anything else meanwhile."""
    modules = modules_of(intacctsdk)
    writing_addresses = [one.__name__ for one in modules if "://" in inspect.getsource(one)]
    assert writing_addresses == ["intacctsdk.constants"], (
        "it has addresses that this fixture does not replace"
    )
    monkeypatch.setenv("NO_PROXY", "*")

    def log_in(sandbox, **options):
        for module in modules:
            if hasattr(module, "BASE_URL"):
                monkeypatch.setattr(module, "BASE_URL", sandbox.url)
        left = [one.__name__ for one in modules if "api.intacct.com" in str(getattr(one, "BASE_URL", ""))]
        assert left == []
        identity = sandbox.identity
        known = {
            "username": f"{identity.user}@{identity.company}",
            "client_id": identity.client_id,
            "client_secret": identity.client_secret,
        }
        return intacctsdk.IntacctRESTSDK(**{**known, **options})

    return log_in


@pytest.fixture(scope="module")
def crowd():
    """A company with several pages of customers, for tests that only read."""
    with running(f"{CUSTOMER}={CUSTOMERS}") as company:
        yield company


@pytest.fixture(scope="module")
def demo():
    """The demo company, for tests that only read."""
    with running("demo") as company:
        yield company


@pytest.fixture
def sandbox():
    """An empty company."""
    with running() as company:
        yield company


def rows_of(api, **options):
    """Return the rows of all pages, and how many pages there were."""
    pages = list(api.get_all_generator(**options))
    return [row for page in pages for row in page], len(pages)


def shared(company, name):
    """Return the records that the top level sees."""
    return [one for one in company.records(name) if not one.get("entity", {}).get("id")]


def test_a_list_brings_every_row_once_over_several_pages(connect, crowd):
    rows, pages = rows_of(connect(crowd).customers, fields=["key", "id", "name", "term.id"])
    assert pages == 3
    assert sorted(row["id"] for row in rows) == sorted(stored(crowd, CUSTOMER))
    assert {"key", "id", "name", "term.id"} <= set(rows[0])


def test_filters_and_order_hold_over_several_pages(connect, crowd):
    customers = connect(crowd).customers
    filters = [{"$eq": {"status": "active"}}, {"$gt": {"creditLimit": 20000}}]
    rows, _ = rows_of(customers, fields=["id", "creditLimit"], filters=filters, order_by=[{"id": "desc"}])
    expected = [
        one["id"]
        for one in crowd.records(CUSTOMER)
        if one["status"] == "active" and (one["creditLimit"] or 0) > 20000
    ]
    assert [row["id"] for row in rows] == sorted(expected, reverse=True)
    assert 0 < len(rows) < CUSTOMERS
    assert customers.count(filters=filters) == len(rows)
    either, _ = rows_of(customers, fields=["id"], filters=filters, filter_expression="1 or 2")
    assert len(rows) < len(either) == customers.count(filters=filters, filter_expression="1 or 2")


def test_a_count_needs_no_filter(connect, crowd):
    assert connect(crowd).customers.count() == CUSTOMERS


def test_a_record_is_created_read_changed_and_deleted(connect, sandbox):
    customers = connect(sandbox).customers
    created = customers.post({"id": "ACME", "name": "Acme"})["ia::result"]
    assert customers.get_by_key(created["key"])["ia::result"]["name"] == "Acme"
    assert (
        customers.update(created["key"], {"name": "Acme Ltd", "creditLimit": 500})["ia::result"]["id"]
        == "ACME"
    )
    [customer] = sandbox.records(CUSTOMER)
    assert (customer["key"], customer["name"], customer["creditLimit"]) == (created["key"], "Acme Ltd", 500)
    assert customers.delete(created["key"]) is None
    assert sandbox.records(CUSTOMER) == []
    with pytest.raises(BadRequestError, match="404"):
        customers.get_by_key(created["key"])


def test_an_idempotency_key_makes_a_repeated_creation_one(connect, sandbox):
    customers = connect(sandbox).customers
    first, again = (customers.post({"name": "Acme"}, idempotent_key="one") for _ in range(2))
    assert first == again
    assert len(stored(sandbox, CUSTOMER)) == 1
    with pytest.raises(BadRequestError, match="409"):
        customers.post({"name": "Another"}, idempotent_key="one")


def test_the_model_names_the_fields(connect, sandbox):
    described = connect(sandbox).customers.get_model()["ia::result"]
    assert described["apiObject"] == f"objects/{CUSTOMER}"
    assert {"id", "name", "creditLimit"} <= set(described["fields"])


def test_every_object_that_both_know_can_be_listed_counted_and_described(connect, demo):
    compared = []
    for api in connect(demo)._api_instances:
        name = (api._object_path or "").removeprefix("/objects/")
        try:
            here = shared(demo, name)
        except ValueError:
            continue  # the sandbox does not have it
        rows, _ = rows_of(api, fields=["key", "id"])
        assert sorted(row["key"] for row in rows) == sorted(one["key"] for one in here)
        assert api.count() == len(here)
        assert api.get_model()["ia::result"]["apiObject"] == f"objects/{name}"
        compared.append(name)
    assert {CUSTOMER, "company-config/user", "company-config/entity", "general-ledger/account"} <= set(
        compared
    )


def test_a_session_for_the_older_api_is_told(connect, sandbox):
    sessions = connect(sandbox).sessions
    first, second = (sessions.get_session_id() for _ in range(2))
    assert first["sessionId"] != second["sessionId"]
    assert first["expiresIn"] > 0


def test_the_dimensions_are_listed_and_lead_to_objects_that_can_be_read(connect, demo):
    sdk = connect(demo)
    dimensions = sdk.dimensions.list()
    assert {"CUSTOMER", "DEPARTMENT", "LOCATION"} <= {one["dimensionName"] for one in dimensions}
    for one in dimensions:
        api = ApiBase(sdk, object_path=one["dimensionEndpoint"])
        api.update_access_token(sdk.access_token)
        assert api.count() == len(shared(demo, one["dimensionEndpoint"].removeprefix("/objects/")))


def test_what_is_written_in_an_entity_is_private_to_it(connect, sandbox):
    top, uk = connect(sandbox), connect(sandbox, entity_id="UK")
    uk.customers.post({"id": "ACME", "name": "Acme"})
    assert sandbox.records(CUSTOMER)[0]["entity"]["id"] == "UK"
    assert (uk.customers.count(), top.customers.count()) == (1, 0)
    # The list of entities is the one that it asks for at the top level.
    assert uk.location_entities.count() == top.location_entities.count() > 1


def test_a_login_tells_both_tokens_and_how_long_they_last(connect, sandbox):
    sdk = connect(sandbox)
    assert sdk.access_token != sdk.refresh_token
    assert sdk.access_token_expires_in == 43200


def test_a_refresh_token_logs_in_once_and_brings_the_next(connect, sandbox):
    tokens = [connect(sandbox).refresh_token]
    for _ in range(2):
        sdk = connect(sandbox, refresh_token=tokens[-1], use_client_credentials_auth=False)
        assert sdk.customers.count() == 0
        tokens.append(sdk.refresh_token)
    assert len(set(tokens)) == 3
    with pytest.raises(BadRequestError, match="invalid_grant"):
        connect(sandbox, refresh_token=tokens[0], use_client_credentials_auth=False)


def test_a_token_of_nobody_is_known_as_such(connect, sandbox):
    with pytest.raises(InvalidTokenError):
        connect(sandbox, access_token="nonsense").customers.count()


def test_a_wrong_secret_is_refused(connect, sandbox):
    with pytest.raises(BadRequestError, match="invalid_client"):
        connect(sandbox, client_secret="wrong")


@pytest.mark.parametrize(("status", "error"), [(429, BadRequestError), (503, InternalServerError)])
def test_it_gives_up_on_the_first_failure(connect, sandbox, status, error):
    customers = connect(sandbox).customers
    sandbox.fail(status=status, path="/services/core/query")
    with pytest.raises(error, match=str(status)):
        customers.count()
    assert customers.count() == 0


def test_it_drops_rows_when_pages_are_smaller_than_asked_for_and_ours_does_not(connect):
    with running(f"{CUSTOMER}=1200", faults={"max_size": 500, "clamp": True}) as company:
        customers = connect(company).customers
        rows, _ = rows_of(customers, fields=["key", "id"])
        assert (len(rows), customers.count()) == (500, 1200)
        with client_of(company) as ours:
            assert len({row["key"] for row in ours.iter_rows(CUSTOMER, ["key", "id"])}) == 1200


def test_it_loses_rows_when_others_delete_records_between_its_pages_and_ours_does_not(connect):
    def lost(read):
        with running(f"{CUSTOMER}={CUSTOMERS}", faults={"churn": 25}) as company:
            before = stored(company, CUSTOMER)
            ids = {row["id"] for row in read(company)}
            # A reader must get the records that existed the whole time.
            return set(before) & set(stored(company, CUSTOMER)) - ids

    def theirs(company):
        return rows_of(connect(company).customers, fields=["id"], order_by=[{"key": "asc"}])[0]

    def ours(company):
        with client_of(company, page_size=2000) as client:
            return list(client.iter_rows(CUSTOMER, ["id"]))

    assert len(lost(theirs)) == 50
    assert lost(ours) == set()


def test_it_cannot_refresh_when_the_answer_keeps_the_token_silently(connect, sandbox):
    token = connect(sandbox).refresh_token
    sandbox.faults.rotation = "silent"
    with pytest.raises(KeyError, match="refresh_token"):
        connect(sandbox, refresh_token=token, use_client_credentials_auth=False)


def test_a_login_and_a_question_are_two_calls(connect, sandbox):
    connect(sandbox).customers.count()
    assert [(call.method, call.path, call.status) for call in calls(sandbox)] == [
        ("POST", "/oauth2/token", 200),
        ("POST", "/services/core/query", 200),
    ]
