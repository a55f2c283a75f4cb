# SPDX-License-Identifier: Apache-2.0
"""The hook's methods that read and refresh tokens and contracts: each in two forms, for threads and for event loops."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import contextmanager

from airflow_provider_alchemy.api.client import AlchemyClient, AsyncAlchemyClient
from airflow_provider_alchemy.api.models import ContractMetadata
from airflow_provider_alchemy.api.token_calls import TokenId
from airflow_provider_alchemy.api.token_endpoints import MOST_TOKENS
from airflow_provider_alchemy.api.tokens import TokenMetadata, TokenPage, TokenRefresh
from airflow_provider_alchemy.api.usage import Usage
from airflow_provider_alchemy.hooks.metrics import counting_calls


class TokenMethods:
    """The part of ``AlchemyHook`` for today's API; what each call costs goes to Airflow's statistics."""

    @abstractmethod
    def get_conn(self) -> AlchemyClient:
        """Give the client for threads."""

    @abstractmethod
    async def aget_conn(self) -> AsyncAlchemyClient:
        """Give the client for event loops."""

    def get_contract_metadata(self, contract_address: str, *, usage: Usage | None = None) -> ContractMetadata:
        """
        Read what Alchemy knows of a contract, without any side effect (160 compute units).

        :param contract_address: The contract.
        :param usage: Counts requests and units, also where the call fails.
        :return: The contract's metadata.
        :raises AlchemyError: What went wrong; AlchemyAddressError before anything is sent.
        """
        client = self.get_conn()
        with counting_calls(usage) as spent:
            return client.get_contract_metadata(contract_address, usage=spent)

    async def aget_contract_metadata(self, contract_address: str, *, usage: Usage | None = None) -> ContractMetadata:
        """Do what ``get_contract_metadata`` does, in an event loop."""
        client = await self.aget_conn()
        with counting_calls(usage) as spent:
            return await client.get_contract_metadata(contract_address, usage=spent)

    def get_contract_metadata_batch(
        self, contract_addresses: Sequence[str], *, usage: Usage | None = None
    ) -> dict[str, ContractMetadata]:
        """
        Read what Alchemy knows of up to 100 contracts (480 compute units).

        :param contract_addresses: The contracts, 1 to 100.
        :param usage: Counts requests and units, also where the call fails.
        :return: The metadata by contract in lower case; contracts that the answer leaves out are not in it.
        :raises AlchemyError: What went wrong; AlchemyArgumentError before anything is sent.
        """
        client = self.get_conn()
        with counting_calls(usage) as spent:
            return client.get_contract_metadata_batch(contract_addresses, usage=spent)

    async def aget_contract_metadata_batch(
        self, contract_addresses: Sequence[str], *, usage: Usage | None = None
    ) -> dict[str, ContractMetadata]:
        """Do what ``get_contract_metadata_batch`` does, in an event loop."""
        client = await self.aget_conn()
        with counting_calls(usage) as spent:
            return await client.get_contract_metadata_batch(contract_addresses, usage=spent)

    def get_nfts_for_contract(
        self,
        contract_address: str,
        *,
        with_metadata: bool = False,
        start_token: TokenId | None = None,
        page_size: int = MOST_TOKENS,
        usage: Usage | None = None,
    ) -> Iterator[TokenPage]:
        """
        Read a collection's tokens page by page (600 compute units a page).

        :param contract_address: The collection's contract.
        :param with_metadata: Whether to read what is known of each token too. Default False.
        :param start_token: Where to begin: a token id, or the ``next_key`` of a page. Default: the first token.
        :param page_size: Tokens in a page, 1 to 100. Default 100, because each page costs the same.
        :param usage: Counts requests and units, also where a call fails.
        :return: The pages; each is asked for when it is taken.
        :raises AlchemyError: What went wrong; AlchemyArgumentError before anything is sent.
        """
        spent = Usage()
        pages = self.get_conn().get_nfts_for_contract(
            contract_address, with_metadata=with_metadata, start_token=start_token, page_size=page_size, usage=spent
        )
        while True:
            with _counting_page(spent, usage):
                page = next(pages, None)
            if page is None:
                return
            yield page

    async def aget_nfts_for_contract(
        self,
        contract_address: str,
        *,
        with_metadata: bool = False,
        start_token: TokenId | None = None,
        page_size: int = MOST_TOKENS,
        usage: Usage | None = None,
    ) -> AsyncIterator[TokenPage]:
        """Do what ``get_nfts_for_contract`` does, in an event loop."""
        spent, client = Usage(), await self.aget_conn()
        pages = client.get_nfts_for_contract(
            contract_address, with_metadata=with_metadata, start_token=start_token, page_size=page_size, usage=spent
        )
        while True:
            with _counting_page(spent, usage):
                page = await anext(pages, None)
            if page is None:
                return
            yield page

    def get_nft_metadata(
        self,
        contract_address: str,
        token_id: TokenId,
        *,
        refresh: bool = False,
        uri_timeout_ms: int | None = None,
        usage: Usage | None = None,
    ) -> TokenMetadata:
        """
        Read what Alchemy knows of a token (80 compute units).

        :param contract_address: The collection's contract.
        :param token_id: The token's id: an int, or decimal or hexadecimal digits.
        :param refresh: Whether to refresh it first (``refreshCache``). Default False.
        :param uri_timeout_ms: How long the service may wait for the token's URI; 0: what it knows. Default: its own.
        :param usage: Counts requests and units, also where the call fails.
        :return: The token's metadata. Where it could not be refreshed, its ``error`` says why.
        :raises AlchemyError: What went wrong; AlchemyArgumentError before anything is sent.
        """
        client = self.get_conn()
        with counting_calls(usage) as spent:
            return client.get_nft_metadata(
                contract_address, token_id, refresh=refresh, uri_timeout_ms=uri_timeout_ms, usage=spent
            )

    async def aget_nft_metadata(
        self,
        contract_address: str,
        token_id: TokenId,
        *,
        refresh: bool = False,
        uri_timeout_ms: int | None = None,
        usage: Usage | None = None,
    ) -> TokenMetadata:
        """Do what ``get_nft_metadata`` does, in an event loop."""
        client = await self.aget_conn()
        with counting_calls(usage) as spent:
            return await client.get_nft_metadata(
                contract_address, token_id, refresh=refresh, uri_timeout_ms=uri_timeout_ms, usage=spent
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
        """
        Read what Alchemy knows of up to 100 tokens (480 compute units).

        :param contract_address: The collection's contract.
        :param token_ids: The tokens' ids, 1 to 100.
        :param refresh: Whether to refresh them first (``refreshCache``). Default False.
        :param uri_timeout_ms: How long the service may wait for a token's URI; 0: what it knows. Default: its own.
        :param usage: Counts requests and units, also where the call fails.
        :return: The metadata by token id; tokens that the answer leaves out are not in it.
        :raises AlchemyError: What went wrong; AlchemyArgumentError before anything is sent.
        """
        client = self.get_conn()
        with counting_calls(usage) as spent:
            return client.get_nft_metadata_batch(
                contract_address, token_ids, refresh=refresh, uri_timeout_ms=uri_timeout_ms, usage=spent
            )

    async def aget_nft_metadata_batch(
        self,
        contract_address: str,
        token_ids: Iterable[TokenId],
        *,
        refresh: bool = False,
        uri_timeout_ms: int | None = None,
        usage: Usage | None = None,
    ) -> dict[int, TokenMetadata]:
        """Do what ``get_nft_metadata_batch`` does, in an event loop."""
        client = await self.aget_conn()
        with counting_calls(usage) as spent:
            return await client.get_nft_metadata_batch(
                contract_address, token_ids, refresh=refresh, uri_timeout_ms=uri_timeout_ms, usage=spent
            )

    def refresh_nft_metadata(
        self, contract_address: str, token_id: TokenId, *, usage: Usage | None = None
    ) -> TokenRefresh:
        """
        Queue the refresh of a token (40 compute units); the proof is a later ``time_last_updated``.

        :param contract_address: The collection's contract.
        :param token_id: The token's id: an int, or decimal or hexadecimal digits.
        :param usage: Counts requests and units, also where the call fails.
        :return: What the service says to it.
        :raises AlchemyError: What went wrong; AlchemyArgumentError before anything is sent.
        """
        client = self.get_conn()
        with counting_calls(usage) as spent:
            return client.refresh_nft_metadata(contract_address, token_id, usage=spent)

    async def arefresh_nft_metadata(
        self, contract_address: str, token_id: TokenId, *, usage: Usage | None = None
    ) -> TokenRefresh:
        """Do what ``refresh_nft_metadata`` does, in an event loop."""
        client = await self.aget_conn()
        with counting_calls(usage) as spent:
            return await client.refresh_nft_metadata(contract_address, token_id, usage=spent)


@contextmanager
def _counting_page(spent: Usage, usage: Usage | None) -> Iterator[None]:
    """Count a page when it has come: whoever takes pages may stop at any of them, or keep the rest for later."""
    with counting_calls(usage) as counted:
        try:
            yield
        finally:
            counted.add(spent)
            spent.calls = spent.compute_units = spent.throttled = 0
