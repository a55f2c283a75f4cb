# SPDX-License-Identifier: Apache-2.0
"""Both clients behind one face, so that each behaviour is written once and proven for requests and aiohttp."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from airflow_provider_alchemy.api import endpoints
from airflow_provider_alchemy.api.client import AlchemyClient, AsyncAlchemyClient
from airflow_provider_alchemy.api.endpoints import Call
from airflow_provider_alchemy.api.models import ContractMetadata, RefreshStatus, TokenMetadata, TokenPage, TokenRefresh
from airflow_provider_alchemy.api.settings import ClientSettings

T = TypeVar("T")

ADDRESS = "0xE9FCa552b9eb110c2d170962aF740725F71F5644"
LOWER = ADDRESS.lower()
KEY = "Zk3yOf-tests_0123456789abcdefghij"

SENT = ("usage", "max_attempts", "deadline")


class Client:
    """A client, and a method for each endpoint."""

    settings: ClientSettings
    client: Any

    def send(self, call: Call[T], **options: Any) -> T:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError

    def reingest_contract(self, *arguments: Any, **options: Any) -> RefreshStatus:
        return self._ask(endpoints.reingest_contract, *arguments, **options)

    def get_contract_metadata(self, *arguments: Any, **options: Any) -> ContractMetadata:
        return self._ask(endpoints.get_contract_metadata, *arguments, **options)

    def get_contract_metadata_batch(self, *arguments: Any, **options: Any) -> dict[str, ContractMetadata]:
        return self._ask(endpoints.get_contract_metadata_batch, *arguments, **options)

    def refresh_nft_metadata(self, *arguments: Any, **options: Any) -> TokenRefresh:
        return self._ask(endpoints.refresh_nft_metadata, *arguments, **options)

    def get_nft_metadata(self, *arguments: Any, **options: Any) -> TokenMetadata:
        return self._ask(endpoints.get_nft_metadata, *arguments, **options)

    def get_nft_metadata_batch(self, *arguments: Any, **options: Any) -> dict[int, TokenMetadata]:
        return self._ask(endpoints.get_nft_metadata_batch, *arguments, **options)

    def get_nfts_for_contract(self, *arguments: Any, **options: Any) -> TokenPage:
        return self._ask(endpoints.get_nfts_for_contract, *arguments, **options)

    def _ask(self, build: Callable[..., Call[T]], *arguments: Any, **options: Any) -> T:
        sent = {name: options.pop(name) for name in SENT if name in options}
        return self.send(build(*arguments, self.settings, **options), **sent)


class ThreadClient(Client):
    """The client for threads."""

    def __init__(self, settings: ClientSettings) -> None:
        self.settings = settings
        self.client: AlchemyClient = AlchemyClient(settings)

    def send(self, call: Call[T], **options: Any) -> T:
        return self.client.send(call, **options)

    def close(self) -> None:
        self.client.close()


class LoopClient(Client):
    """The client for event loops, with a loop of its own that lives as long as it does."""

    def __init__(self, settings: ClientSettings) -> None:
        self.settings = settings
        self._runner = asyncio.Runner()
        self.client: AsyncAlchemyClient = AsyncAlchemyClient(settings)

    def send(self, call: Call[T], **options: Any) -> T:
        return self._runner.run(self.client.send(call, **options))

    def close(self) -> None:
        self._runner.run(self.client.aclose())

    def end_loop(self) -> None:
        self.close()
        self._runner.close()


SHELLS: dict[str, Callable[[ClientSettings], Client]] = {"requests": ThreadClient, "aiohttp": LoopClient}
