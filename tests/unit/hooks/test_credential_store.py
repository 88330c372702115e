"""Which credential stores a connection may name, and how many of those a process keeps."""

import sys

import pytest
from token_stores import FileStore

from intacct_provider.exceptions import IntacctConfigError
from intacct_provider.hooks import credential_store
from intacct_provider.hooks.credential_store import MAX_STORES, find_credential_store

OPTION = "AIRFLOW__INTACCT__CREDENTIAL_STORE_PREFIXES"


@pytest.fixture(autouse=True)
def _stores(tmp_path, monkeypatch):
    monkeypatch.setenv("INTACCT_TEST_STORES", str(tmp_path))
    monkeypatch.delenv(OPTION, raising=False)
    credential_store._make_store.cache_clear()


@pytest.fixture
def forbidden(monkeypatch):
    """Let nothing be imported or called."""

    def refuse(name, *_):
        raise AssertionError(f"{name} was imported")

    monkeypatch.setattr(credential_store.importlib, "import_module", refuse)


@pytest.mark.usefixtures("forbidden")
@pytest.mark.parametrize("setting", ["token_stores.FileStore", "os.system", "posix.system", "builtins.eval"])
def test_by_default_no_dotted_path_is_imported(setting):
    with pytest.raises(IntacctConfigError) as caught:
        find_credential_store(setting, "touch x")
    said = str(caught.value)
    assert f"credential_store {setting!r} is not allowed" in said
    assert "credential_store_prefixes in section [intacct] of Airflow's configuration allows none" in said
    assert f"Add {setting.rpartition('.')[0]!r} to it" in said
    assert OPTION in said
    assert "'memory' or 'variable'" in said


@pytest.mark.usefixtures("forbidden")
@pytest.mark.parametrize(
    "setting", ["token_storesx.FileStore", "token.FileStore", "os.token_stores.FileStore", "token_stores"]
)
def test_a_prefix_ends_at_a_dot(monkeypatch, setting):
    monkeypatch.setenv(OPTION, "token_stores, finance.secrets")
    text = "allows only 'token_stores', 'finance.secrets'" if "." in setting else "Unknown credential_store"
    with pytest.raises(IntacctConfigError, match=text):
        find_credential_store(setting, "a")


@pytest.mark.parametrize(
    "prefixes",
    ["token_stores", "token_stores.FileStore", "a.b , token_stores.", "a,\ntoken_stores,", "a\ntoken_stores"],
)
def test_a_path_under_a_prefix_is_called(monkeypatch, prefixes):
    monkeypatch.setenv(OPTION, prefixes)
    assert isinstance(find_credential_store("token_stores.FileStore", "a"), FileStore)


def test_a_permission_that_is_taken_back_counts_at_once(monkeypatch):
    monkeypatch.setenv(OPTION, "token_stores")
    find_credential_store("token_stores.FileStore", "a")
    monkeypatch.setenv(OPTION, "")
    with pytest.raises(IntacctConfigError, match="is not allowed"):
        find_credential_store("token_stores.FileStore", "a")


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("variabel", "Did you mean 'variable'?"),
        ("Memory", "Did you mean 'memory'?"),
        ("vault", "Unknown credential_store"),
    ],
)
def test_an_unknown_name_of_ours_is_said_to_be_one(setting, said):
    with pytest.raises(IntacctConfigError, match=said.replace("?", "[?]")):
        find_credential_store(setting, "a")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("def Store(conn_id): return None", "returned a NoneType, not an object with load\\(\\) and save"),
        ("def Store(conn_id): return conn_id", "returned a str, not an object with load"),
        ("class Store: pass", "importing or calling it failed \\(TypeError\\)"),
        ("Store = 5", "importing or calling it failed \\(TypeError\\)"),
        ("def (:", "importing or calling it failed \\(SyntaxError\\)"),
        ("", "importing or calling it failed \\(AttributeError\\)"),
    ],
)
def test_what_is_not_a_store_is_said_to_be_none(tmp_path, monkeypatch, source, said):
    (tmp_path / "broken_stores.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "broken_stores", raising=False)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setenv(OPTION, "broken_stores")
    with pytest.raises(IntacctConfigError, match=said):
        find_credential_store("broken_stores.Store", "a")
    sys.modules.pop("broken_stores", None)


def test_a_process_keeps_a_bounded_number_of_stores():
    kept = find_credential_store("variable", "kept")
    for number in range(2 * MAX_STORES):
        find_credential_store("variable", str(number))
        assert find_credential_store("variable", "kept") is kept
    assert credential_store._make_store.cache_info().currsize == MAX_STORES
