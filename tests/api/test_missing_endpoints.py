# SPDX-License-Identifier: Apache-2.0
"""An endpoint that is not there: what to use instead, in a line that can be copied."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from airflow_provider_alchemy.api import errors
from airflow_provider_alchemy.api.client import AlchemyClient
from airflow_provider_alchemy.api.endpoints import REFRESHING_NETWORKS, is_gone, is_not_offered, line_instead
from airflow_provider_alchemy.api.errors import AlchemyError, error_from_dict
from airflow_provider_alchemy.api.settings import ClientSettings
from airflow_provider_alchemy.testing import AlchemyEmulator

from .conftest import Connect
from .shells import ADDRESS, KEY, LOWER, Client
from .test_transport_faults import nobody_has_that_name

pytestmark = pytest.mark.integration

LINE = f"RefreshCollectionOperator(task_id='refresh', contract_address='{LOWER}')"
LINE_ON_BASE = f"RefreshCollectionOperator(task_id='refresh', contract_address='{LOWER}', network='base-mainnet')"
IMPORT = "from airflow_provider_alchemy.operators.collection"


def fails(client: Client) -> AlchemyError:
    with pytest.raises(AlchemyError) as caught:
        client.reingest_contract(ADDRESS, max_attempts=1)
    return caught.value


class TestReingestContract:
    @pytest.mark.parametrize("status", [404, 410, 400])
    def test_gone_it_names_the_line_to_write(self, status: int, client: Client, emulator: AlchemyEmulator) -> None:
        emulator.configure(reingest_gone=status)

        told = str(fails(client))

        assert f"HTTP {status}" in told
        assert f"Alchemy has deprecated reingestContract: refresh the collection's tokens instead: {LINE}" in told
        assert IMPORT in told

    def test_gone_it_says_what_else_it_may_be(self, client: Client, emulator: AlchemyEmulator) -> None:
        emulator.configure(reingest_gone=404)

        assert "leave the connection's host empty or try the other api_version in its extra." in str(fails(client))

    def test_the_line_names_another_network(self, connect: Connect, emulator: AlchemyEmulator) -> None:
        emulator.configure(reingest_gone=410, reingest_on_every_network=True)

        assert LINE_ON_BASE in str(fails(connect(host=emulator.url + "/{network}", network="base-mainnet")))

    def test_on_a_network_without_it_the_line_names_the_network(
        self, connect: Connect, emulator: AlchemyEmulator
    ) -> None:
        told = str(fails(connect(host=emulator.url + "/{network}", network="base-mainnet")))

        assert (
            f"reingestContract knows eth-mainnet only: refresh the collection's tokens instead: {LINE_ON_BASE}" in told
        )

    def test_without_its_host_it_says_so_and_names_the_line(
        self, connect_to: Connect, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(socket, "getaddrinfo", nobody_has_that_name)

        told = str(fails(connect_to(api_key=KEY, network="base-mainnet")))

        assert "Check that network 'base-mainnet' is spelled as in the Alchemy dashboard" in told
        assert f"If the host is gone for good, refresh the collection's tokens instead: {LINE_ON_BASE}" in told

    @pytest.mark.parametrize(
        "fault",
        [
            {"kind": "network_disabled"},
            {"kind": "http", "status": 401},
            {"kind": "http", "status": 429},
            {"kind": "http", "status": 400, "message": "Invalid arg"},
            {"kind": "html"},
        ],
        ids=lambda fault: " ".join(map(str, fault.values())),
    )
    def test_any_other_error_keeps_its_own_advice(
        self, fault: dict[str, Any], client: Client, emulator: AlchemyEmulator
    ) -> None:
        emulator.add_fault(**fault)

        assert "RefreshCollectionOperator" not in str(fails(client))

    def test_the_contract_metadata_name_no_line(self, client: Client, emulator: AlchemyEmulator) -> None:
        emulator.add_fault("http", status=404, endpoint="getContractMetadata")

        with pytest.raises(errors.AlchemyEndpointGoneError) as caught:
            client.get_contract_metadata(ADDRESS)

        assert "RefreshCollectionOperator" not in str(caught.value)


class TestTheLine:
    @pytest.mark.parametrize(
        ("source", "more"),
        [
            ("connection 'alchemy_default'", ""),
            ("connection 'mine'", ", alchemy_conn_id='mine'"),
            ("the client's settings", ""),
            ("connection 'a', alchemy_conn_id='b'", ""),
        ],
    )
    def test_it_names_the_connection_where_it_is_not_the_usual_one(self, source: str, more: str) -> None:
        line = line_instead(LOWER, ClientSettings(api_key=KEY, source=source))

        assert line == LINE[:-1] + more + ")"


class TestWhatIsMissing:
    def test_an_error_that_crossed_a_process_is_told_apart_too(
        self, connect: Connect, emulator: AlchemyEmulator
    ) -> None:
        error = fails(connect(host=emulator.url + "/{network}", network="base-mainnet"))

        crossed = error_from_dict(error.to_dict())

        assert (is_not_offered(crossed), is_gone(crossed)) == (True, True)

    @pytest.mark.parametrize(
        ("error", "expected"),
        [
            (errors.AlchemyEndpointGoneError("x"), True),
            (errors.AlchemyHostNotFoundError("x"), True),
            (errors.AlchemyNetworkError("ETH_MAINNET is not enabled for this app"), False),
            (errors.AlchemyRequestError("This endpoint isn't enabled for that chain"), False),
            (errors.AlchemyServerError("x"), False),
        ],
        ids=str,
    )
    def test_only_what_cannot_come_back_is_gone(self, error: AlchemyError, expected: bool) -> None:
        assert is_gone(error) is expected


class TestTheEndpointsOfTokens:
    def client(self, emulator: AlchemyEmulator, network: str) -> AlchemyClient:
        settings = ClientSettings(api_key=emulator.api_key, host=emulator.url + "/{network}", network=network)
        return AlchemyClient(settings)

    def test_a_network_without_refresh_nft_metadata_says_which_have_it_and_what_to_use(
        self, emulator: AlchemyEmulator
    ) -> None:
        with pytest.raises(errors.AlchemyNetworkError) as caught:
            self.client(emulator, "shape-mainnet").refresh_nft_metadata(ADDRESS, 1)

        told = str(caught.value)
        assert "method='batch'" in told
        assert all(network in told for network in REFRESHING_NETWORKS)
        assert "reingestContract" not in told

    def test_any_other_endpoint_that_a_network_does_not_have_names_the_dashboard(
        self, emulator: AlchemyEmulator
    ) -> None:
        emulator.add_fault("http", status=400, message="This endpoint isn't enabled for that chain or network just yet")

        with pytest.raises(errors.AlchemyNetworkError) as caught:
            self.client(emulator, "shape-mainnet").get_nft_metadata(ADDRESS, 1)

        assert str(caught.value).endswith("Check the network, or enable it for the app in the Alchemy dashboard.")
