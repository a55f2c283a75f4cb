# SPDX-License-Identifier: Apache-2.0
"""Each field of the connection, from the form, a URI, JSON or the environment, right and wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowNotFoundException, Connection

from airflow_provider_alchemy.api.errors import AlchemyConfigurationError, AlchemyPermanentError
from airflow_provider_alchemy.api.settings import ClientSettings
from airflow_provider_alchemy.hooks.alchemy import AlchemyHook
from airflow_provider_alchemy.hooks.connection import _warn_of_unknown, read_extra

KEY = "a-key-of-this-test"
VARIABLE = "AIRFLOW_CONN_ALCHEMY_DEFAULT"


@pytest.fixture
def settings_of(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Read a connection that stands in the environment, as JSON with these fields or as a URI."""

    def read(uri: str | None = None, *, network: str | None = None, **fields: Any) -> ClientSettings:
        fields = {"conn_type": "alchemy", "password": KEY, **fields}
        monkeypatch.setenv(VARIABLE, uri or json.dumps(fields))
        with AlchemyHook(network=network) as hook:
            return hook.get_conn().settings

    return read


@pytest.fixture
def refusal_of(settings_of: Any) -> Any:
    """Give the text with which a connection is refused."""

    def read(uri: str | None = None, **fields: Any) -> str:
        with pytest.raises(AlchemyPermanentError) as caught:
            settings_of(uri, **fields)
        return str(caught.value)

    return read


class TestDefaults:
    def test_a_key_is_enough(self, settings_of: Any) -> None:
        assert settings_of() == ClientSettings(api_key=KEY, source="connection 'alchemy_default'")

    def test_empty_fields_of_a_form_are_the_defaults(self, settings_of: Any) -> None:
        names = ("network", "api_version", "auth", "timeout", "max_attempts", "proxy", "verify", "allow_insecure")
        empty = settings_of(host="", extra={**dict.fromkeys(names, ""), "compute_units_per_second": None})

        assert empty == settings_of()

    def test_the_base_url_is_the_networks(self, settings_of: Any) -> None:
        assert settings_of().base_url == "https://eth-mainnet.g.alchemy.com"


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("network", "polygon-mainnet", "polygon-mainnet"),
        ("network", "a-network-of-tomorrow", "a-network-of-tomorrow"),
        ("api_version", "v3", "v3"),
        ("auth", "header", "header"),
        ("timeout", 2.5, 2.5),
        ("timeout", "2.5", 2.5),
        ("max_attempts", 7, 7),
        ("max_attempts", "7", 7),
        ("compute_units_per_second", 10000, 10000),
        ("compute_units_per_second", "10000", 10000),
        ("usd_per_million_units", 0, 0),
        ("usd_per_million_units", "0.4", 0.4),
        ("proxy", "http://proxy.example.com:3128", "http://proxy.example.com:3128"),
        ("verify", False, False),
        ("verify", "false", False),
        ("verify", "True", True),
        ("verify", __file__, __file__),
        ("allow_insecure", True, True),
        ("allow_insecure", "true", True),
        ("allow_insecure", "False", False),
    ],
)
class TestEachField:
    def test_in_json(self, settings_of: Any, name: str, value: Any, expected: Any) -> None:
        assert getattr(settings_of(extra={name: value}), name) == expected

    def test_in_a_form(self, settings_of: Any, name: str, value: Any, expected: Any) -> None:
        assert getattr(settings_of(extra=json.dumps({name: value})), name) == expected

    def test_in_a_uri(self, settings_of: Any, name: str, value: Any, expected: Any) -> None:
        connection: Any = Connection(
            conn_id="alchemy_default", conn_type="alchemy", password=KEY, extra=json.dumps({name: value})
        )

        assert getattr(settings_of(connection.get_uri()), name) == expected


class TestUri:
    def test_the_key_is_the_password(self, settings_of: Any) -> None:
        assert settings_of("alchemy://:some%2Fkey@").api_key == "some/key"

    def test_extras_are_the_query(self, settings_of: Any) -> None:
        settings = settings_of(f"alchemy://:{KEY}@/?network=base-mainnet&auth=header&timeout=5")

        assert (settings.network, settings.auth, settings.timeout) == ("base-mainnet", "header", 5)

    def test_host_port_and_schema_are_the_base_url(self, settings_of: Any) -> None:
        assert settings_of(f"alchemy://:{KEY}@127.0.0.1:8765/http").base_url == "http://127.0.0.1:8765"

    def test_a_host_without_a_schema_is_https(self, settings_of: Any) -> None:
        assert settings_of(f"alchemy://:{KEY}@proxy.example.com").base_url == "https://proxy.example.com"

    def test_a_port_without_a_schema_is_https(self, settings_of: Any) -> None:
        assert settings_of(f"alchemy://:{KEY}@proxy.example.com:8443").base_url == "https://proxy.example.com:8443"

    def test_a_path_is_part_of_the_base_url(self, settings_of: Any) -> None:
        url = settings_of(f"alchemy://:{KEY}@proxy.example.com:8443/alchemy").base_url

        assert url == "https://proxy.example.com:8443/alchemy"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Network", "did you mean 'network'?"),
        ("extra__alchemy__network", "did you mean 'network'?"),
        ("max-attempts", "did you mean 'max_attempts'?"),
        ("compute_units_per_secnd", "did you mean 'compute_units_per_second'?"),
        ("colour", "the fields are network, "),
    ],
)
def test_a_field_that_nothing_reads_is_one_warning(
    name: str, words: str, settings_of: Any, caplog: pytest.LogCaptureFixture
) -> None:
    _warn_of_unknown.cache_clear()
    for _ in range(2):
        settings_of(extra={name: "base-mainnet"})

    (line,) = [record.message for record in caplog.records if "is not used" in record.message]
    assert line.startswith(f"Field {name!r} in the extra of connection 'alchemy_default' is not used: {words}")


@pytest.mark.parametrize("mask", ["***", "********", "•••••", "-"])
def test_a_password_that_is_only_a_mask_is_no_key(mask: str, refusal_of: Any) -> None:
    assert "is only a mask" in refusal_of(password=mask)


@pytest.mark.parametrize("placeholder", ["YOUR_API_KEY", "your-alchemy-api-key", "<api key>", "${ALCHEMY_KEY}", "$KEY"])
def test_a_password_that_is_a_placeholder_is_no_key(placeholder: str, refusal_of: Any) -> None:
    assert "is a placeholder" in refusal_of(password=placeholder)


def test_a_key_that_was_typed_as_the_login_is_named_and_not_shown(refusal_of: Any) -> None:
    refusal = refusal_of(password=None, login=KEY)

    assert "Move the key from login to password" in refusal
    assert KEY not in refusal


@pytest.mark.parametrize("host", ["https://base-mainnet.g.alchemy.com", "base-mainnet.g.alchemy.com"])
def test_a_host_of_another_network_is_refused(host: str, refusal_of: Any, settings_of: Any) -> None:
    refusal = refusal_of(host=host)

    assert "is network 'base-mainnet', while field 'network' says 'eth-mainnet'" in refusal
    assert settings_of(host=host, extra={"network": "base-mainnet"}).network == "base-mainnet"


@pytest.mark.parametrize("path", ["/v2", "/v2/", "/nft/v3", "/nft", "/nft/v3/getNFTsForContract"])
def test_a_host_with_a_path_of_the_api_is_refused(path: str, refusal_of: Any) -> None:
    assert "with a path of the API" in refusal_of(host=f"https://eth-mainnet.g.alchemy.com{path}")


class TestHost:
    def test_the_network_may_stand_in_it(self, settings_of: Any) -> None:
        settings = settings_of(host="https://{network}.proxy.example.com", extra={"network": "base-mainnet"})

        assert settings.base_url == "https://base-mainnet.proxy.example.com"

    def test_the_tasks_network_stands_in_it_too(self, settings_of: Any) -> None:
        settings = settings_of(host="https://proxy.example.com/{network}", network="opt-mainnet")

        assert settings.base_url == "https://proxy.example.com/opt-mainnet"

    def test_a_slash_at_its_end_is_no_part_of_it(self, settings_of: Any) -> None:
        assert settings_of(host="https://proxy.example.com/").base_url == "https://proxy.example.com"

    @pytest.mark.parametrize("host", ["http://127.0.0.1:8765", "http://localhost:8765", "http://[::1]:8765"])
    def test_http_to_this_machine_is_accepted(self, settings_of: Any, host: str) -> None:
        assert settings_of(host=host).base_url == host

    @pytest.mark.parametrize("host", ["http://example.com", "http://10.0.0.1:8080", "http://127.0.0.1.example.com"])
    def test_http_to_another_machine_is_refused(self, refusal_of: Any, host: str) -> None:
        text = refusal_of(host=host)

        assert "field 'host' of connection 'alchemy_default'" in text
        assert "expected https://, or allow_insecure: true" in text

    def test_http_to_another_machine_is_accepted_where_the_connection_says_so(self, settings_of: Any) -> None:
        settings = settings_of(host="http://10.0.0.1:8080", extra={"allow_insecure": True})

        assert settings.base_url == "http://10.0.0.1:8080"


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("network", "Ethereum Mainnet", "expected a network's slug"),
        ("network", "eth-mainnet/../x", "expected a network's slug"),
        ("network", 1, "expected a string"),
        ("api_version", "v1", "expected v2 or v3"),
        ("auth", "query", "expected path or header"),
        ("timeout", 0, "expected a number of seconds above 0"),
        ("timeout", -1, "expected a number of seconds above 0"),
        ("timeout", "soon", "expected a number"),
        ("timeout", "nan", "expected a number of seconds above 0"),
        ("timeout", "inf", "expected a number of seconds above 0"),
        ("timeout", True, "expected a number"),
        ("timeout", [], "expected a number"),
        ("max_attempts", 0, "expected a whole number from 1"),
        ("max_attempts", 1.5, "expected a integer"),
        ("max_attempts", "many", "expected a integer"),
        ("compute_units_per_second", 10, "expected at least 48"),
        ("compute_units_per_second", "nan", "expected at least 48"),
        ("usd_per_million_units", "cheap", "is 'cheap'; expected a number"),
        ("usd_per_million_units", "nan", "or 0 for no prices"),
        ("usd_per_million_units", -1, "is -1; expected US dollars for a million compute units, or 0 for no prices"),
        ("proxy", 3128, "expected a string"),
        ("allow_insecure", "perhaps", "expected a boolean"),
    ],
)
def test_a_wrong_field_is_named_and_what_was_expected(refusal_of: Any, field: str, value: Any, expected: str) -> None:
    text = refusal_of(extra={field: value})

    assert f"field '{field}' of connection 'alchemy_default'" in text
    assert expected in text


@pytest.mark.parametrize("host", ["https://", "ftp://example.com", "https://user:pw@example.com", "https://a b:x"])
def test_a_host_that_is_no_base_url_is_named(refusal_of: Any, host: str) -> None:
    assert "field 'host' of connection 'alchemy_default'" in refusal_of(host=host)


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("", "is empty; expected the key of an app in the Alchemy dashboard"),
        ("  ", "is empty; expected the key of an app in the Alchemy dashboard"),
        (None, "is empty; expected the key of an app in the Alchemy dashboard"),
        ("https://eth-mainnet.g.alchemy.com/v2/abc", "expected the key alone"),
        ("two words", "copy the key again"),
        ("schlüssel", "copy the key again"),
    ],
)
def test_a_key_that_cannot_be_one_is_refused(refusal_of: Any, key: str | None, expected: str) -> None:
    text = refusal_of(password=key)

    assert "field 'password (API key)' of connection 'alchemy_default'" in text
    assert expected in text


@pytest.mark.parametrize(
    "wrong",
    [
        *({"extra": {field: KEY}} for field in ("network", "api_version", "auth", "timeout", "max_attempts")),
        *({"extra": {field: KEY}} for field in ("compute_units_per_second", "proxy", "allow_insecure")),
        *({"extra": {field: [KEY]}} for field in ("network", "api_version", "auth", "timeout", "proxy")),
        {"extra": {"network": KEY.lower()}},
        {"conn_type": KEY},
        {"host": KEY, "schema": KEY},
        {"host": f"https://eth-mainnet.g.alchemy.com/v2/{KEY}"},
    ],
    ids=str,
)
def test_a_key_in_another_field_too_is_not_shown(refusal_of: Any, wrong: dict[str, Any]) -> None:
    assert KEY.lower() not in refusal_of(**wrong).lower()


def test_a_proxys_password_in_a_field_of_another_type_is_not_shown(refusal_of: Any) -> None:
    text = refusal_of(extra={"proxy": ["http://user:pa55word@proxy.example.com"]})

    assert ("is of another type; expected a string" in text, "pa55word" in text) == (True, False)


def test_blanks_round_a_key_are_no_part_of_it(settings_of: Any) -> None:
    assert settings_of(password=f" {KEY}\n").api_key == KEY


@pytest.mark.parametrize("extra", ["[1]", '"text"', "3", "{", "network=eth-mainnet"])
def test_an_extra_that_is_no_object_is_refused(extra: str) -> None:
    # Straight to the reader: some Airflows refuse such a connection before anybody can read it.
    with pytest.raises(AlchemyConfigurationError, match=r"field 'extra' of connection 'mine' is no JSON object"):
        read_extra(extra, "connection 'mine'")


def test_a_connection_of_another_type_is_refused(refusal_of: Any) -> None:
    text = refusal_of(conn_type="http")

    assert "connection 'alchemy_default' is of type 'http'; expected a connection of type 'alchemy'" in text


@pytest.mark.usefixtures("airflow_database")
def test_an_unknown_connection_is_refused_with_advice() -> None:
    with pytest.raises(AlchemyConfigurationError) as caught:
        AlchemyHook("nowhere").get_conn()

    assert "connection 'nowhere' does not exist" in str(caught.value)
    assert "Create a connection of type Alchemy with this id" in str(caught.value)


@pytest.mark.usefixtures("airflow_database")
async def test_an_unknown_connection_is_refused_in_an_event_loop_too() -> None:
    with pytest.raises(AlchemyConfigurationError, match="connection 'nowhere' does not exist"):
        await AlchemyHook("nowhere").aget_conn()


@pytest.mark.usefixtures("airflow_database")
def test_airflows_own_error_is_not_shown_behind_ours() -> None:
    with pytest.raises(AlchemyConfigurationError) as caught:
        AlchemyHook("nowhere").get_conn()

    assert not isinstance(caught.value.__cause__ or caught.value.__context__, AirflowNotFoundException)
