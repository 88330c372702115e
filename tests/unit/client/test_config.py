"""A connection that cannot work is refused before anything is sent, in words that say what to change."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import intacct_provider.client
import intacct_provider.client.query
from intacct_provider.client.config import (
    DEFAULT_BASE_URL,
    EXTRAS,
    IntacctConfig,
    check_base_url,
    is_loopback,
    redact_url,
)
from intacct_provider.exceptions import IntacctConfigError

WHO = {"company_id": "Acme", "user_id": "ws_user"}


def connection(extra=None, **parts):
    given = {"host": None, "port": None, "login": "app-id", "password": "s3cret", **parts}
    return IntacctConfig.from_connection(**given, extra=WHO if extra is None else extra)


def refusal(extra=None, **parts):
    with pytest.raises(IntacctConfigError) as caught:
        connection(extra, **parts)
    assert "s3cret" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    "name",
    [
        "client_id",
        "client_secret",
        "company_id",
        "user_id",
        "base_url",
        "entity_id",
        "auth_type",
        "credential_store",
        "proxy",
    ],
)
@pytest.mark.parametrize("value", [5, ["s3cret"], b"s3cret", True])
def test_what_must_be_text_is_named_when_it_is_not(name, value):
    given = {"client_id": "a", "client_secret": "b", **WHO, name: value}
    with pytest.raises(IntacctConfigError, match=f"{name} must be text, not (int|list|bytes|bool)"):
        IntacctConfig(**given)


@pytest.mark.parametrize("end", ["", "/", "//", "/ "])
def test_a_base_url_may_end_in_a_slash(end):
    config = IntacctConfig(client_id="a", client_secret="b", **WHO, base_url=DEFAULT_BASE_URL + end)
    assert config.base_url == DEFAULT_BASE_URL


@pytest.mark.parametrize("url", ["https://exa mple.com", "https://api.intacct.com\n/x", "https://a\x0bb/"])
def test_a_base_url_with_spaces_inside_is_rejected(url):
    with pytest.raises(IntacctConfigError, match="host must be the API base URL"):
        check_base_url(url)


# --- what a connection gives


def test_an_empty_host_and_no_further_extras_take_the_documented_defaults():
    config = connection()
    assert config.base_url == DEFAULT_BASE_URL == "https://api.intacct.com/ia/api/v1"
    assert (config.auth_type, config.credential_store, config.entity_id) == (
        "client_credentials",
        "memory",
        "",
    )
    assert (config.timeout, config.max_concurrency, config.page_size) == (60, "auto", 4000)
    assert config.username == "ws_user@Acme"


def test_every_extra_may_be_text_as_a_connection_uri_delivers_it():
    extra = {
        **WHO,
        "entity_id": " E1 ",
        "auth_type": "refresh_token",
        "refresh_token": "first",
        "credential_store": "variable",
        "timeout": "12.5",
        "max_concurrency": "2",
        "page_size": "100",
        "proxy": " http://proxy.acme.com:3128 ",
        "verify": "False",
    }
    assert set(extra) == set(EXTRAS)
    config = connection(extra)
    assert (config.timeout, config.max_concurrency, config.page_size) == (12.5, 2, 100)
    assert isinstance(config.max_concurrency, int)
    assert isinstance(config.page_size, int)
    assert config.entity_id == "E1"
    assert (config.proxy, config.verify) == ("http://proxy.acme.com:3128", False)


def test_every_extra_may_be_of_its_json_type_and_numbers_may_be_ids():
    config = connection(
        {"company_id": 4711, "user_id": "u", "timeout": 5, "max_concurrency": 6, "page_size": 1}
    )
    assert config.username == "u@4711"
    assert (config.timeout, config.max_concurrency, config.page_size) == (5.0, 6, 1)


@pytest.mark.parametrize("text", ["auto", " Auto "])
def test_as_many_requests_as_the_server_allows_can_be_asked_for(intacct, text):
    assert connection({**WHO, "max_concurrency": text}).max_concurrency == "auto"
    assert intacct.config(max_concurrency=text).max_concurrency == "auto"


@pytest.mark.parametrize("empty", [None, ""])
def test_empty_extras_take_the_defaults(empty):
    names = [name for name in EXTRAS if name not in WHO]
    assert connection({**WHO, **dict.fromkeys(names, empty)}) == connection()


def test_the_spaces_around_ids_are_dropped_and_those_of_the_secret_kept():
    config = connection(
        {"company_id": " Acme ", "user_id": " ws_user "}, login=" app-id ", password=" s3cret "
    )
    assert (config.client_id, config.username, config.client_secret) == ("app-id", "ws_user@Acme", " s3cret ")


@pytest.mark.parametrize(
    ("host", "port", "expected"),
    [
        (None, None, DEFAULT_BASE_URL),
        ("", 443, DEFAULT_BASE_URL),
        ("  https://api.intacct.com/ia/api/v1/ ", None, DEFAULT_BASE_URL),
        ("api.intacct.com", None, DEFAULT_BASE_URL),
        ("api.intacct.com", 443, DEFAULT_BASE_URL),
        ("api.intacct.com/ia/api/v1", None, DEFAULT_BASE_URL),
        ("https://api.intacct.com", 443, DEFAULT_BASE_URL),
        ("https://api.intacct.com:443/ia/api/v1", 443, "https://api.intacct.com:443/ia/api/v1"),
        ("https://proxy.acme.com/intacct", 8443, "https://proxy.acme.com:8443/intacct"),
        ("https://proxy.acme.com:9000", 8443, "https://proxy.acme.com:9000/ia/api/v1"),
        ("127.0.0.1", 8765, "http://127.0.0.1:8765/ia/api/v1"),
        ("localhost:8765", None, "http://localhost:8765/ia/api/v1"),
        ("http://localhost:8765", None, "http://localhost:8765/ia/api/v1"),
        ("http://127.0.0.1", 80, "http://127.0.0.1/ia/api/v1"),
        ("http://[::1]:8765/ia/api/v1", None, "http://[::1]:8765/ia/api/v1"),
    ],
)
def test_the_base_url_comes_from_host_and_port_however_the_connection_was_made(host, port, expected):
    assert connection(host=host, port=port).base_url == expected


# --- what is refused


@pytest.mark.parametrize(
    ("wrong", "right"),
    [("comapny_id", "company_id"), ("Page_Size", "page_size"), ("user", "user_id"), ("entity", "entity_id")],
)
def test_an_unknown_extra_names_the_nearest_known_one_and_all_of_them(wrong, right):
    said = refusal({**WHO, wrong: "x"})
    assert f"Unknown extra {wrong!r} in the Intacct connection. Did you mean {right!r}?" in said
    assert all(name in said for name in EXTRAS)


def test_an_unknown_extra_like_no_other_only_lists_the_known_ones():
    said = refusal({**WHO, "zzz": "x"})
    assert "Did you mean" not in said
    assert "Known extras: company_id" in said


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"login": None}, "client_id is missing: give the client id (login"),
        ({"login": "  "}, "client_id is missing: give the client id (login"),
        ({"password": None}, "client_secret is missing: give the client secret (password"),
        ({"extra": {"user_id": "u"}}, "company_id is missing: give the Intacct company id (extra company_id"),
        ({"extra": {"company_id": "c"}}, "user_id is missing: give the Web Services user (extra user_id"),
        ({"extra": {"company_id": " ", "user_id": "u"}}, "company_id is missing"),
    ],
)
def test_a_missing_part_says_where_to_put_it(parts, said):
    assert said in refusal(**parts)


@pytest.mark.parametrize("name", ["company_id", "user_id"])
def test_a_user_at_company_in_one_extra_is_told_to_be_split(name):
    said = refusal({**WHO, name: "ws_user@Acme"})
    assert f"{name} 'ws_user@Acme' must not contain '@'" in said
    assert "the user as user_id and the company as company_id" in said


@pytest.mark.parametrize(
    ("given", "nearest"),
    [("client_credential", "client_credentials"), ("refresh-token", "refresh_token")],
)
def test_an_unknown_auth_type_names_the_nearest(given, nearest):
    said = refusal({**WHO, "auth_type": given})
    assert f"Unknown auth_type {given!r}. Did you mean {nearest!r}?" in said
    assert "Use one of: client_credentials, refresh_token." in said


def test_the_refresh_token_grant_needs_a_refresh_token_or_a_store_that_may_have_one():
    said = refusal({**WHO, "auth_type": "refresh_token"})
    assert (
        "auth_type refresh_token needs the extra refresh_token, or a credential_store that keeps one" in said
    )
    assert "python -m intacct_provider.authorize" in said
    assert connection({"auth_type": "refresh_token", "credential_store": "variable"}).refresh_token == ""


def test_the_refresh_token_grant_needs_neither_user_nor_company():
    config = connection({"auth_type": "refresh_token", "refresh_token": "first"})
    assert (config.company_id, config.user_id) == ("", "")


@pytest.mark.parametrize(
    "host", ["http://api.intacct.com/ia/api/v1", "http://10.0.0.1", "http://localhost.evil.example"]
)
def test_plain_http_is_refused_except_to_loopback(host):
    said = refusal(host=host)
    assert "is plain http, which would send the client secret in the clear" in said
    assert "Use https" in said


@pytest.mark.parametrize(
    "host", ["http://127.0.0.1:1/x", "http://127.8.8.8/x", "http://localhost/x", "http://[::1]/x"]
)
def test_plain_http_is_fine_for_loopback(host):
    check_base_url(host)


@pytest.mark.parametrize(
    "host", ["ftp://api.intacct.com", "https:///ia/api/v1", "://x", "file:///etc/passwd"]
)
def test_a_host_that_is_no_web_address_shows_what_one_looks_like(host):
    assert f"host must be the API base URL, such as {DEFAULT_BASE_URL}" in refusal(host=host)


@pytest.mark.parametrize(
    "host",
    [
        "https://me:hunter2@api.intacct.com/x",
        "me:hunter2@api.intacct.com",
        "http://127.0.0.1@evil.example/x",
        "https://api.intacct.com/x?token=hunter2",
        "https://api.intacct.com/x#hunter2",
    ],
)
def test_credentials_in_the_host_are_refused_and_not_repeated(host):
    said = refusal(host=host)
    assert "without user, password, query or fragment" in said
    assert "hunter2" not in said


@pytest.mark.parametrize(
    "host", ["https://api.intacct.com:https", "https://api.intacct.com:99999", "https://[bad"]
)
@pytest.mark.parametrize("port", [None, 443])
def test_a_host_with_a_broken_port_or_address_is_refused_as_such(host, port):
    assert "host is not a URL with a valid port" in refusal(host=host, port=port)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("timeout", "0", "from 0.1 to 3600, not '0'"),
        ("timeout", 3601, "from 0.1 to 3600, not 3601"),
        ("timeout", "soon", "a number from 0.1 to 3600, not 'soon'"),
        ("timeout", math.nan, "from 0.1 to 3600, not nan"),
        ("max_concurrency", 0, "auto or from 1 to 30, not 0"),
        ("max_concurrency", "31", "auto or from 1 to 30, not '31'"),
        ("max_concurrency", True, "auto or from 1 to 30, not True"),
        ("max_concurrency", "automatic", "auto or a number from 1 to 30, not 'automatic'"),
        ("page_size", 4001, "from 1 to 4000, not 4001"),
        ("page_size", "-1", "from 1 to 4000, not '-1'"),
        ("page_size", "4000.5", "a number from 1 to 4000, not '4000.5'"),
        ("page_size", 1.5, "a whole number from 1 to 4000, not 1.5"),
        ("max_concurrency", 2.5, "auto or a whole number from 1 to 30, not 2.5"),
        ("page_size", math.inf, "a number from 1 to 4000, not inf"),
        ("page_size", [1], "a number from 1 to 4000, not [1]"),
    ],
)
def test_a_number_out_of_range_is_refused_with_its_range(name, value, said):
    assert f"{name} must be {said}." in refusal({**WHO, name: value})


@pytest.mark.parametrize(
    "change",
    [
        {"max_concurrency": 0},
        {"page_size": 0},
        {"page_size": 5000},
        {"timeout": 0},
        {"timeout": -5},
        {"timeout": "x"},
    ],
)
def test_a_configuration_made_without_a_connection_is_checked_too(intacct, change):
    """No request may be in flight at 0, so that the first one would wait for ever."""
    with pytest.raises(IntacctConfigError, match=r"must be (auto or )?(a number )?from"):
        intacct.config(**change)


# --- what it shows


def test_neither_the_secret_nor_the_refresh_token_is_in_its_repr():
    shown = repr(connection({**WHO, "auth_type": "refresh_token", "refresh_token": "r3fresh"}))
    assert "app-id" in shown
    assert "s3cret" not in shown
    assert "r3fresh" not in shown


def test_a_redacted_url_keeps_host_and_path_only():
    assert redact_url("https://u:p@h.example:8443/ia/api/v1?token=t#f") == "https://h.example:8443/ia/api/v1"


@settings(derandomize=True, deadline=None, max_examples=200)
@given(st.text(max_size=40), st.one_of(st.none(), st.integers(0, 70000)))
def test_any_host_gives_a_safe_base_url_or_a_config_error(host, port):
    try:
        config = connection(host=host, port=port)
    except IntacctConfigError:
        return
    check_base_url(config.base_url)


def test_the_package_offers_its_public_names_and_no_others():
    assert intacct_provider.client.IntacctConfig is IntacctConfig
    for name in intacct_provider.client.__all__:
        assert getattr(intacct_provider.client, name).__name__ == name
    assert intacct_provider.client.query.Query.__name__ == "Query"
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = intacct_provider.client.Nothing
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = intacct_provider.client.query.Nothing


# --- what cannot be sent


@pytest.mark.parametrize(
    "entity", ["Łódź", "東京", "a\r\nX: y", "a\nb", "a\x00", "\u2028", "\ud800", " E1", "E1 ", 5]
)
def test_an_entity_that_no_header_can_carry_is_refused(intacct, entity):
    with pytest.raises(IntacctConfigError, match="entity_id"):
        intacct.config(entity_id=entity)


@pytest.mark.parametrize("entity", ["", "E1", "E 1", "Zürich", "a/b", "100%"])
def test_an_entity_of_latin_characters_is_fine(intacct, entity):
    assert intacct.config(entity_id=entity).entity_id == entity


@pytest.mark.parametrize("name", ["client_id", "client_secret", "company_id", "user_id", "refresh_token"])
def test_half_a_character_is_refused_without_repeating_it(intacct, name):
    with pytest.raises(IntacctConfigError, match=f"{name} must be text") as caught:
        intacct.config(**{name: "s3cret\ud800"})
    assert "s3cret" not in str(caught.value)


# --- proxy and certificates


@pytest.mark.parametrize(
    "proxy",
    [
        "http://proxy.acme.com:3128",
        "http://proxy.acme.com",
        "https://proxy.acme.com:3129/",
        "http://user:p%40ss@proxy.acme.com:3128",
        "http://10.0.0.1:3128",
        "http://[2001:db8::1]:3128",
    ],
)
def test_a_proxy_is_a_url_and_its_credentials_are_not_shown(proxy):
    config = connection({**WHO, "proxy": proxy})
    assert config.proxy == proxy
    assert "proxy" not in repr(config)


@pytest.mark.parametrize(
    ("proxy", "shown"),
    [
        ("proxy.acme.com:3128", "proxy.acme.com:3128"),
        ("user:hunter2@proxy.acme.com:3128", "proxy.acme.com:3128"),
        ("ftp://user:hunter2@proxy.acme.com:3128", "proxy.acme.com:3128"),
        ("http://user:hunter2@proxy.acme.com:port", "proxy.acme.com:port"),
        ("http://user:hunter2@proxy.acme.com:99999", "proxy.acme.com:99999"),
        ("http://user:hunter2@", ""),
        ("http://user:hunter2@[bad", "[bad"),
        ("http://user:hunter2@proxy.acme.com/path", "proxy.acme.com/path"),
        ("http://user:hunter2@proxy.acme.com?x=1", "proxy.acme.com?x=1"),
        ("http://pro xy", "http://pro xy"),
        ("true", "true"),
    ],
)
def test_what_is_no_proxy_is_refused_without_its_credentials(proxy, shown):
    said = refusal({**WHO, "proxy": proxy})
    assert "proxy must be a URL such as http://proxy.acme.com:3128" in said
    assert f"not {shown!r}" in said
    assert "hunter2" not in said


@pytest.mark.parametrize(
    ("given", "read"), [(True, True), (False, False), ("true", True), ("FALSE", False), (" true ", True)]
)
def test_verify_is_true_or_false(given, read):
    assert connection({**WHO, "verify": given}).verify is read


def test_verify_may_be_the_path_of_a_bundle_that_exists(tmp_path, intacct):
    bundle = tmp_path / "ca.pem"
    bundle.write_text("x")
    assert connection({**WHO, "verify": str(bundle)}).verify == str(bundle)
    said = refusal({**WHO, "verify": str(tmp_path / "missing.pem")})
    assert f"there is nothing at '{tmp_path}/missing.pem'" in said
    with pytest.raises(IntacctConfigError, match="verify must be true, false or the path"):
        intacct.config(verify="/missing.pem")


@pytest.mark.parametrize("wrong", ["yes", "0", 1, [], " ", "a\nb"])
def test_anything_else_is_refused_for_verify(wrong):
    assert "verify must be true, false or the path" in refusal({**WHO, "verify": wrong})


# --- loopback


@pytest.mark.parametrize(
    "host",
    [
        "localhost", "LOCALHOST", "localhost.", "127.0.0.1", "127.255.0.9", "127.1", "0x7f.1", "2130706433", "::1",
        "[::1]", "0:0:0:0:0:0:0:1", "::ffff:127.0.0.1",
    ],
)  # fmt: skip
def test_loopback_is_known_in_every_form(host):
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host",
    [
        "",
        "api.intacct.com",
        "localhost.evil.example",
        "127.evil.example",
        "128.1",
        "10.0.0.1",
        "::2",
        "1 127",
    ],
)
def test_no_other_host_is_loopback(host):
    assert not is_loopback(host)


@pytest.mark.parametrize("host", ["LOCALHOST:8765", "[::1]:8765", "127.1:8765"])
def test_a_loopback_host_without_a_scheme_is_reached_in_the_clear(host):
    assert connection(host=host).base_url == f"http://{host}/ia/api/v1"


def test_a_company_with_its_entity_is_taken_apart_and_said(caplog):
    caplog.set_level("INFO")
    config = connection({**WHO, "company_id": "Acme | E-10"})
    assert (config.company_id, config.entity_id, config.username) == ("Acme", "E-10", "ws_user@Acme")
    assert "company 'Acme' and entity 'E-10'" in caplog.text
    same = connection({**WHO, "company_id": "Acme|E-10", "entity_id": "E-10"})
    assert (same.company_id, same.entity_id) == ("Acme", "E-10")


@pytest.mark.parametrize(
    ("company", "entity", "part"),
    [
        ("Acme|E-10", "E-11", "entity_id is 'E-11'"),
        ("Acme|", "", "company|entity"),
        ("A|B|C", "", "company|entity"),
    ],
)
def test_a_company_with_another_entity_is_refused(company, entity, part):
    assert part in refusal({**WHO, "company_id": company, "entity_id": entity})


@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n"])
def test_a_line_break_at_the_end_of_a_secret_is_said(end):
    assert "client_secret ends with a line break" in refusal(password=f"s3cret{end}")
    assert "client_secret has a line break" in refusal(password=f"s3{end}cret")
