# SPDX-License-Identifier: Apache-2.0
"""Both clients behind one face, so that each behaviour is written once and proven for requests and aiohttp."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol

from pendulum import DateTime

from airflow_provider_alchemy.api.client import AlchemyClient, AsyncAlchemyClient
from airflow_provider_alchemy.api.endpoints import TokenId
from airflow_provider_alchemy.api.models import ContractMetadata, RefreshStatus, TokenMetadata, TokenPage, TokenRefresh
from airflow_provider_alchemy.api.settings import ClientSettings
from airflow_provider_alchemy.api.usage import Usage

ADDRESS = "0xE9FCa552b9eb110c2d170962aF740725F71F5644"
LOWER = ADDRESS.lower()
KEY = "Zk3yOf-tests_0123456789abcdefghij"


class Client(Protocol):
    """What both clients can do, called the same way."""

    settings: ClientSettings

    def reingest_contract(
        self,
        contract_address: str,
        *,
        usage: Usage | None = None,
        max_attempts: int | None = None,
        deadline: DateTime | None = None,
    ) -> RefreshStatus: ...

    def get_contract_metadata(self, contract_address: str, *, usage: Usage | None = None) -> ContractMetadata: ...

    def get_contract_metadata_batch(
        self, contract_addresses: Sequence[str], *, usage: Usage | None = None
    ) -> dict[str, ContractMetadata]: ...

    def refresh_nft_metadata(
        self, contract_address: str, token_id: TokenId, *, usage: Usage | None = None
    ) -> TokenRefresh: ...

    def get_nft_metadata(
        self,
        contract_address: str,
        token_id: TokenId,
        *,
        refresh: bool = False,
        uri_timeout_ms: int | None = None,
        usage: Usage | None = None,
    ) -> TokenMetadata: ...

    def get_nft_metadata_batch(
        self,
        contract_address: str,
        token_ids: Iterable[TokenId],
        *,
        refresh: bool = False,
        uri_timeout_ms: int | None = None,
        usage: Usage | None = None,
    ) -> dict[int, TokenMetadata]: ...

    def get_nfts_for_contract(
        self,
        contract_address: str,
        *,
        with_metadata: bool = False,
        start_token: TokenId | None = None,
        page_size: int = 100,
        usage: Usage | None = None,
    ) -> Iterator[TokenPage]: ...

    def close(self) -> None: ...


class LoopClient:
    """The client for event loops, with a loop of its own that lives as long as it does."""

    def __init__(self, settings: ClientSettings) -> None:
        self.settings = settings
        self._runner = asyncio.Runner()
        self._client = AsyncAlchemyClient(settings)

    @property
    def _transport(self) -> Any:
        return self._client._transport

    def reingest_contract(
        self,
        contract_address: str,
        *,
        usage: Usage | None = None,
        max_attempts: int | None = None,
        deadline: DateTime | None = None,
    ) -> RefreshStatus:
        return self._runner.run(
            self._client.reingest_contract(contract_address, usage=usage, max_attempts=max_attempts, deadline=deadline)
        )

    def get_contract_metadata(self, contract_address: str, *, usage: Usage | None = None) -> ContractMetadata:
        return self._runner.run(self._client.get_contract_metadata(contract_address, usage=usage))

    def get_contract_metadata_batch(
        self, contract_addresses: Sequence[str], *, usage: Usage | None = None
    ) -> dict[str, ContractMetadata]:
        return self._runner.run(self._client.get_contract_metadata_batch(contract_addresses, usage=usage))

    def refresh_nft_metadata(
        self, contract_address: str, token_id: TokenId, *, usage: Usage | None = None
    ) -> TokenRefresh:
        return self._runner.run(self._client.refresh_nft_metadata(contract_address, token_id, usage=usage))

    def get_nft_metadata(
        self,
        contract_address: str,
        token_id: TokenId,
        *,
        refresh: bool = False,
        uri_timeout_ms: int | None = None,
        usage: Usage | None = None,
    ) -> TokenMetadata:
        return self._runner.run(
            self._client.get_nft_metadata(
                contract_address, token_id, refresh=refresh, uri_timeout_ms=uri_timeout_ms, usage=usage
            )
        )

    def get_nft_metadata_batch(
        self,
        contract_address: str,
        token_ids: Iterable[TokenId],
        *,
        refresh: bool = False,
        uri_timeout_ms: int | None = None,
        usage: Usage | None = None,
    ) -> dict[int, TokenMetadata]:
        return self._runner.run(
            self._client.get_nft_metadata_batch(
                contract_address, token_ids, refresh=refresh, uri_timeout_ms=uri_timeout_ms, usage=usage
            )
        )

    def get_nfts_for_contract(
        self,
        contract_address: str,
        *,
        with_metadata: bool = False,
        start_token: TokenId | None = None,
        page_size: int = 100,
        usage: Usage | None = None,
    ) -> Iterator[TokenPage]:
        pages = self._client.get_nfts_for_contract(
            contract_address, with_metadata=with_metadata, start_token=start_token, page_size=page_size, usage=usage
        )

        async def take() -> TokenPage | None:
            return await anext(pages, None)

        while (page := self._runner.run(take())) is not None:
            yield page

    def close(self) -> None:
        self._runner.run(self._client.aclose())

    def end_loop(self) -> None:
        self.close()
        self._runner.close()


SHELLS: dict[str, Callable[[ClientSettings], Client]] = {"requests": AlchemyClient, "aiohttp": LoopClient}
