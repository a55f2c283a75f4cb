# SPDX-License-Identifier: Apache-2.0
"""A running emulator, and short ways to call it as a client would."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from airflow_provider_alchemy.testing import AlchemyEmulator

ADDRESS = "0xE9FCa552b9eb110c2d170962aF740725F71F5644"
OTHER = "0x" + "1" * 40
FIRST = 20_000_000
"""The newest block of a chain at first."""

SECONDS = 60.0
"""How long an answer may take on a busy machine."""


Call = Callable[..., requests.Response]
Emulator = AlchemyEmulator


@pytest.fixture
def emulator() -> Iterator[AlchemyEmulator]:
    # Blocks on command only: on a busy machine others come at any moment.
    with AlchemyEmulator(units_per_second=None, block_seconds=None) as running:
        yield running


@pytest.fixture
def ask(emulator: AlchemyEmulator) -> Call:
    """Call an endpoint with the key in the path: with POST where there is a body, else with GET and a contract."""

    def call(
        endpoint: str = "reingestContract", address: object = ADDRESS, *, body: object = None, **options: Any
    ) -> requests.Response:
        version = options.pop("version", "v2" if endpoint == "reingestContract" else "v3")
        network, key = options.pop("network", "eth-mainnet"), options.pop("key", emulator.api_key)
        timeout, sent = options.pop("timeout", SECONDS), {"stream": options.pop("stream", False), "json": body}
        query = {name: str(value) for name, value in options.items()}
        method = "POST" if body is not None else "GET"
        if body is None:
            query["contractAddress"] = str(address)
        url = f"{emulator.url}/{network}/nft/{version}/{key}/{endpoint}"
        return requests.request(method, url, params=query, timeout=timeout, allow_redirects=False, **sent)

    return call


@pytest.fixture
def rpc(emulator: AlchemyEmulator) -> Call:
    """Call a method of the node API, with the key in the path."""

    def call(method: str, *params: object, network: str = "eth-mainnet") -> requests.Response:
        url = f"{emulator.url}/{network}/v2/{emulator.api_key}"
        return requests.post(url, json=rpc_body(method, *params), timeout=SECONDS, allow_redirects=False)

    return call


def rpc_body(method: object, *params: object, number: object = 1) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": [*params]}


def batch(*token_ids: object, address: str = ADDRESS, **fields: object) -> dict[str, Any]:
    """Write the body of ``getNFTMetadataBatch`` for tokens of one contract."""
    return {"tokens": [{"contractAddress": address, "tokenId": token_id} for token_id in token_ids], **fields}


def token(number: object = "1", address: str = ADDRESS) -> dict[str, object]:
    return {"contractAddress": address, "tokenId": number}
