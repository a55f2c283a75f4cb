# SPDX-License-Identifier: Apache-2.0
"""The client's settings: what is refused before anything is sent, and that no text shows the key."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from airflow_provider_alchemy.api.errors import (
    AlchemyConfigurationError,
    AlchemyError,
    AlchemyPermanentError,
    ErrorKind,
)
from airflow_provider_alchemy.api.settings import ClientSettings
from airflow_provider_alchemy.connection_form import EXTRA_FIELDS, KNOWN_NETWORKS, UI_FIELD_BEHAVIOUR, conn_fields

from .shells import KEY

FIELDS = {field.name: field for field in dataclasses.fields(ClientSettings)}


def refused(**settings: Any) -> AlchemyError:
    with pytest.raises(AlchemyPermanentError) as caught:
        ClientSettings(**{"api_key": KEY, "source": "connection 'mine'"} | settings)
    return caught.value


def test_a_key_is_all_that_is_needed() -> None:
    settings = ClientSettings(api_key=KEY)
    assert settings.base_url == "https://eth-mainnet.g.alchemy.com"
    assert (settings.api_version, settings.auth, settings.timeout, settings.max_attempts) == ("v2", "path", 30, 5)
    assert (settings.compute_units_per_second, settings.verify, settings.allow_insecure) == (300, True, False)


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        ClientSettings(api_key=KEY).api_key = "other"  # type: ignore[misc]


def test_the_representation_shows_neither_key_nor_proxy() -> None:
    settings = ClientSettings(api_key=KEY, proxy="http://user:word@proxy.example.com:3128")
    assert KEY not in repr(settings)
    assert "word" not in repr(settings)


@pytest.mark.parametrize(
    ("host", "network", "base_url"),
    [
        (None, "base-mainnet", "https://base-mainnet.g.alchemy.com"),
        ("", "base-mainnet", "https://base-mainnet.g.alchemy.com"),
        ("https://proxy.example.com", "base-mainnet", "https://proxy.example.com"),
        ("https://proxy.example.com/alchemy//", "base-mainnet", "https://proxy.example.com/alchemy"),
        ("https://{network}.proxy.example.com", "base-mainnet", "https://base-mainnet.proxy.example.com"),
        ("https://proxy.example.com/{network}", "base-mainnet", "https://proxy.example.com/base-mainnet"),
        ("http://127.0.0.1:8765/", "eth-mainnet", "http://127.0.0.1:8765"),
    ],
)
def test_the_base_url_comes_from_host_and_network(host: str | None, network: str, base_url: str) -> None:
    assert ClientSettings(api_key=KEY, host=host, network=network).base_url == base_url


@pytest.mark.parametrize("network", KNOWN_NETWORKS)
def test_each_network_of_the_form_is_accepted(network: str) -> None:
    assert ClientSettings(api_key=KEY, network=network).base_url == f"https://{network}.g.alchemy.com"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"api_key": ""}, "'password (API key)' of connection 'mine' is empty"),
        ({"api_key": "a key"}, "a space or a character that no key has"),
        ({"api_key": "key\n"}, "a space or a character that no key has"),
        ({"api_key": "schlüssel"}, "a space or a character that no key has"),
        ({"api_key": "https://eth-mainnet.g.alchemy.com/v2/abc"}, "holds a URL; expected the key alone"),
        ({"network": "Eth-Mainnet"}, "field 'network' of connection 'mine'"),
        ({"network": "evil.example/"}, "field 'network' of connection 'mine'"),
        ({"api_version": "v1"}, "'api_version' of connection 'mine' is 'v1'; expected v2 or v3"),
        ({"auth": "basic"}, "'auth' of connection 'mine' is 'basic'; expected path or header"),
        ({"timeout": 0}, "'timeout' of connection 'mine' is 0; expected a number of seconds above 0"),
        ({"timeout": -1}, "timeout"),
        ({"timeout": "30"}, "timeout"),
        ({"timeout": True}, "timeout"),
        ({"timeout": float("nan")}, "timeout"),
        ({"timeout": float("inf")}, "timeout"),
        ({"max_attempts": 0}, "'max_attempts' of connection 'mine' is 0; expected a whole number from 1"),
        ({"max_attempts": None}, "max_attempts"),
        ({"max_attempts": 2.5}, "expected a whole number from 1"),
        ({"timeout": 10**400}, "timeout"),
        ({"compute_units_per_second": 47}, "expected at least 48: one reingestContract call needs 480 units"),
        ({"usd_per_million_units": -0.01}, "'usd_per_million_units' of connection 'mine' is -0.01; expected"),
        ({"usd_per_million_units": float("nan")}, "is nan; expected US dollars for a million compute units"),
        ({"usd_per_million_units": "0.45"}, "usd_per_million_units"),
        ({"host": "proxy.example.com"}, "expected a base URL such as https://"),
        ({"host": "ftp://proxy.example.com"}, "expected a base URL"),
        ({"host": "https://"}, "expected a base URL"),
        ({"host": "https://h.example:99999"}, "expected a base URL"),
        ({"host": "https://h.example:port"}, "expected a base URL"),
        ({"host": "https://h.example/?a=b"}, "expected a base URL"),
        ({"host": "https://h.example/#a"}, "expected a base URL"),
        ({"host": "https://user@h.example"}, "expected a base URL"),
        ({"host": "https://:word@h.example"}, "expected a base URL"),
        ({"host": "http://h.example"}, "would send the key in clear text to h.example"),
        ({"host": "http://127.0.0.1.h.example"}, "would send the key in clear text"),
        ({"host": "http://localhost.h.example"}, "would send the key in clear text"),
        ({"host": "http://10.0.0.1"}, "would send the key in clear text"),
    ],
    ids=lambda value: str(value)[:60] if isinstance(value, dict) else "",
)
def test_a_setting_that_cannot_be_right_is_refused_with_a_sentence_that_names_it(
    settings: dict[str, Any], words: str
) -> None:
    error = refused(**settings)
    assert words in str(error)
    assert error.kind is ErrorKind.PERMANENT


@pytest.mark.parametrize("host", ["http://127.0.0.1:1", "http://127.9.9.9", "http://[::1]:80", "http://localhost"])
def test_plain_http_is_accepted_to_this_machine(host: str) -> None:
    assert ClientSettings(api_key=KEY, host=host).base_url == host


def test_plain_http_is_accepted_elsewhere_where_the_connection_says_so() -> None:
    host = "http://proxy.internal.example"
    assert ClientSettings(api_key=KEY, host=host, allow_insecure=True).base_url == host


@pytest.mark.parametrize("field", ["network", "host", "api_version", "auth", "timeout", "max_attempts"])
def test_a_key_that_was_put_into_another_field_too_is_not_shown(field: str) -> None:
    assert KEY not in str(refused(**{field: KEY}))


@pytest.mark.parametrize("key", ["abcdefgh12345678", "AbCdEfGh12345678"])
def test_a_key_that_looks_like_a_network_is_no_network(key: str) -> None:
    error = refused(api_key=key, network=key.lower())
    assert "is the API key; expected a network's slug" in str(error)
    assert key.lower() not in str(error)


@pytest.mark.parametrize("path", [f"/v2/{KEY}", f"/nft/v2/{KEY}/", f"/v2/{KEY}/getNFTs", "/v2/a%2Fb%2Bc%3Dd"])
def test_a_key_in_the_path_of_the_host_is_refused(path: str) -> None:
    key = KEY if KEY in path else "a/b+c=d"
    error = refused(api_key=key, host=f"https://eth-mainnet.g.alchemy.com{path}")
    assert "holds the API key, which stands in field 'password' alone" in str(error)
    assert path not in str(error)


def test_a_host_whose_path_holds_a_part_of_the_key_is_accepted() -> None:
    host = "https://proxy.example.com/demonstrations/demo-proxy"
    assert ClientSettings(api_key="demo", host=host).base_url == host


def test_a_url_in_the_place_of_the_key_is_not_shown() -> None:
    assert KEY not in str(refused(api_key=f"https://eth-mainnet.g.alchemy.com/v2/{KEY}"))


def test_a_password_in_the_host_is_not_shown() -> None:
    assert "pa55word" not in str(refused(host="https://user:pa55word@proxy.example.com"))


@pytest.mark.parametrize("key", ["demo", "docs-demo", "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJ4In0.sig-na_ture", "a/b+c="])
def test_trial_keys_and_tokens_are_accepted(key: str) -> None:
    assert ClientSettings(api_key=key).api_key == key


def test_a_refusal_is_a_configuration_error() -> None:
    assert type(refused(auth="basic")) is AlchemyConfigurationError


@pytest.mark.parametrize("field", EXTRA_FIELDS, ids=lambda field: field.name)
def test_each_field_of_the_form_is_a_setting_with_the_same_default(field: Any) -> None:
    # A text field of the form has a text as its default, so verify is "true" there.
    default = {"true": True}.get(field.default, field.default)
    assert FIELDS[field.name].default == default


def test_each_setting_has_a_field_in_the_form_or_in_the_connection() -> None:
    elsewhere = {"api_key", "host", "source"}
    assert {field.name for field in EXTRA_FIELDS} == set(FIELDS) - elsewhere


@pytest.mark.parametrize("field", [field for field in EXTRA_FIELDS if field.choices], ids=lambda field: field.name)
def test_each_choice_of_the_form_is_accepted_by_the_settings(field: Any) -> None:
    accepted = [getattr(ClientSettings(**{"api_key": KEY, field.name: choice}), field.name) for choice in field.choices]
    assert accepted == list(field.choices)


def test_the_form_describes_each_field_in_airflows_shape() -> None:
    form = conn_fields()
    assert {name for name, field in form.items() if set(field) != {"label", "description", "schema"}} == set()
    assert {name for name, field in form.items() if "null" not in field["schema"]["type"]} == set()


def test_the_form_hides_what_is_typed_into_the_proxy() -> None:
    assert conn_fields()["proxy"]["schema"]["format"] == "password"


def test_the_form_relabels_the_fields_that_it_does_not_hide() -> None:
    assert set(UI_FIELD_BEHAVIOUR["relabeling"]) == {"password", "host"}
    assert set(UI_FIELD_BEHAVIOUR["hidden_fields"]) == {"login", "port", "schema"}
