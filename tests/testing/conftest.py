# SPDX-License-Identifier: Apache-2.0
"""A running emulator, and one short way to call it as a client would."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from airflow_provider_alchemy.testing import AlchemyEmulator

ADDRESS = "0xE9FCa552b9eb110c2d170962aF740725F71F5644"

Ask = Callable[..., requests.Response]
Send = Callable[..., requests.Response]
Rpc = Callable[..., requests.Response]


@pytest.fixture
def emulator() -> Iterator[AlchemyEmulator]:
    # Blocks on command only: on a busy machine others come at any moment.
    with AlchemyEmulator(units_per_second=None, block_seconds=None) as running:
        yield running


@pytest.fixture
def ask(emulator: AlchemyEmulator) -> Ask:
    """Call an endpoint with the key in the path, following no redirect."""

    def call(endpoint: str = "reingestContract", address: str = ADDRESS, **options: Any) -> requests.Response:
        version = options.pop("version", "v2" if endpoint == "reingestContract" else "v3")
        network = options.pop("network", "")
        key = options.pop("key", emulator.api_key)
        return requests.get(
            f"{emulator.url}{network and '/' + network}/nft/{version}/{key}/{endpoint}",
            params={"contractAddress": address},
            allow_redirects=False,
            timeout=options.pop("timeout", 5),
            **options,
        )

    return call


@pytest.fixture
def send(emulator: AlchemyEmulator) -> Send:
    """Call a v3 endpoint: with POST where there is a body, else with GET and the query."""

    def call(endpoint: str, body: object = None, *, network: str = "eth-mainnet", **query: object) -> requests.Response:
        url = f"{emulator.url}/{network}/nft/v3/{emulator.api_key}/{endpoint}"
        parameters = {name: str(value) for name, value in query.items()}
        return requests.request("GET" if body is None else "POST", url, params=parameters, json=body, timeout=5)

    return call


@pytest.fixture
def rpc(emulator: AlchemyEmulator) -> Rpc:
    """Call a method of the node API, with the key in the path."""

    def call(method: str, *params: object, network: str = "eth-mainnet") -> requests.Response:
        url = f"{emulator.url}/{network}/v2/{emulator.api_key}"
        return requests.post(url, json=rpc_body(method, *params), timeout=5)

    return call


def rpc_body(method: str, *params: object, number: object = 1) -> dict[str, Any]:
    """Write the body of a call of the node API."""
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": [*params]}


def batch(*token_ids: object, address: str = ADDRESS, **fields: object) -> dict[str, Any]:
    """Write the body of ``getNFTMetadataBatch`` for tokens of one contract."""
    return {"tokens": [{"contractAddress": address, "tokenId": token_id} for token_id in token_ids], **fields}
