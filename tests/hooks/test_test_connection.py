# SPDX-License-Identifier: Apache-2.0
"""The button "Test" of the connection form: a sentence that a person can act on, and no side effect."""

from __future__ import annotations

import json
import socket
from typing import Any

import pytest

from airflow_provider_alchemy.hooks.alchemy import AlchemyHook
from airflow_provider_alchemy.testing import AlchemyEmulator
from airflow_provider_alchemy.testing.plugin import CONNECTION_VARIABLE
from tests.conftest import ConnectTo

pytestmark = pytest.mark.integration


@pytest.mark.usefixtures("emulator")
def test_a_connection_that_works_says_so() -> None:
    works, text = AlchemyHook().test_connection()

    assert works
    assert text.startswith("Alchemy accepted the key and answered on eth-mainnet")


def test_the_success_names_what_it_cost(emulator: AlchemyEmulator) -> None:
    _, text = AlchemyHook().test_connection()

    assert f"for {emulator.compute_units} compute units" in text


def test_it_calls_get_contract_metadata_and_nothing_else(emulator: AlchemyEmulator) -> None:
    AlchemyHook().test_connection()

    assert [call.endpoint for call in emulator.calls] == ["getContractMetadata"]


@pytest.mark.parametrize(
    ("fault", "advice"),
    [
        ({"status": 401}, "Check the API key (field password) of the connection"),
        ({"kind": "inactive_app"}, "Activate the app in the Alchemy dashboard"),
        ({"kind": "network_disabled"}, "Enable the network for the app in the Alchemy dashboard"),
        ({"status": 429, "message": "Monthly capacity limit exceeded."}, "raise the limit or the plan"),
        ({"status": 429}, "The account's throughput is shared"),
        ({"status": 404}, "Leave the connection's host empty, or check it"),
        ({"status": 500}, "try again later, and see Alchemy's status page"),
        ({"kind": "html"}, "check that the connection's host is an Alchemy API and not a web page"),
        ({"kind": "empty"}, "check that the connection's host is an Alchemy API and not a web page"),
        ({"kind": "reset"}, "Check that the host is up and reachable"),
        ({"kind": "redirect"}, "Redirects are not followed"),
        ({"kind": "wrong_types", "fields": {"address": 5}}, "The API may have changed"),
    ],
    ids=str,
)
class TestAFailure:
    def test_it_says_what_to_do(self, fault: dict[str, Any], advice: str, emulator: AlchemyEmulator) -> None:
        emulator.add_fault(**{"kind": "http", **fault})

        works, text = AlchemyHook().test_connection()

        assert (works, advice in text) == (False, True), text

    def test_it_names_the_connection_and_not_the_key(
        self, fault: dict[str, Any], advice: str, emulator: AlchemyEmulator
    ) -> None:
        emulator.add_fault(**{"kind": "http", **fault})

        _, text = AlchemyHook().test_connection()

        # Not by its id: Airflow tests the form under a passing one.
        assert "(this connection)" in text, advice
        assert emulator.api_key not in text

    def test_it_submits_no_refresh(self, fault: dict[str, Any], advice: str, emulator: AlchemyEmulator) -> None:
        emulator.add_fault(**{"kind": "http", **fault})

        works, _ = AlchemyHook().test_connection()

        assert (works, emulator.count("reingestContract")) == (False, 0), advice


def test_a_service_that_does_not_answer_is_a_failure(emulator: AlchemyEmulator, connect: ConnectTo) -> None:
    connect(timeout=0.2, max_attempts=1)
    emulator.add_fault("hang")

    works, text = AlchemyHook().test_connection()

    assert (works, "raise the connection's timeout" in text) == (False, True), text


@pytest.mark.usefixtures("emulator")
def test_a_host_that_refuses_connections_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        host = f"http://127.0.0.1:{reserved.getsockname()[1]}"
        fields = {"conn_type": "alchemy", "password": "some-key", "host": host, "extra": {"max_attempts": 1}}
        monkeypatch.setenv(CONNECTION_VARIABLE, json.dumps(fields))

        works, text = AlchemyHook().test_connection()

    assert (works, "Connection refused" in text) == (False, True), text


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"password": ""}, "field 'password (API key)'"),
        ({"conn_type": "http"}, "expected a connection of type 'alchemy'"),
        ({"host": "http://example.com"}, "field 'host'"),
        ({"extra": {"network": "Main Net"}}, "field 'network'"),
        ({"extra": {"timeout": "soon"}}, "field 'timeout'"),
    ],
    ids=str,
)
def test_a_connection_that_cannot_be_right_is_a_failure(
    fields: dict[str, Any], named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CONNECTION_VARIABLE, json.dumps({"conn_type": "alchemy", "password": "some-key", **fields}))

    works, text = AlchemyHook().test_connection()

    assert (works, named in text) == (False, True), text


@pytest.mark.usefixtures("airflow_database")
def test_an_unknown_connection_is_a_failure() -> None:
    works, text = AlchemyHook("nowhere").test_connection()

    assert (works, "Create a connection of type Alchemy with this id" in text) == (False, True), text
