# SPDX-License-Identifier: Apache-2.0
"""The endpoints of single tokens in both clients."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence

from airflow_provider_alchemy.api.endpoints import describe
from airflow_provider_alchemy.api.models import ContractMetadata
from airflow_provider_alchemy.api.token_calls import PageKeys, TokenCalls, TokenId
from airflow_provider_alchemy.api.token_endpoints import MOST_TOKENS
from airflow_provider_alchemy.api.tokens import TokenMetadata, TokenPage, TokenRefresh
from airflow_provider_alchemy.api.transport import AsyncTransport, SyncTransport
from airflow_provider_alchemy.api.usage import Usage


class TokenClient:
    """The endpoints of single tokens, for threads."""

    _calls: TokenCalls
    _transport: SyncTransport

    def refresh_nft_metadata(
        self, contract_address: str, token_id: TokenId, *, usage: Usage | None = None
    ) -> TokenRefresh:
        """
        Queue the refresh of a token (``refreshNftMetadata``, 40 compute units).

        Alchemy refreshes a token once in 15 minutes, over all users, and says "Queued" to what changes nothing: the
        proof is a later ``time_last_updated``.

        :param contract_address: The collection's contract.
        :param token_id: The token's id: an int, or decimal or hexadecimal digits.
        :param usage: Counts requests and units, also where the call fails.
        :return: What the service says to it.
        :raises AlchemyError: What went wrong; AlchemyArgumentError before anything is sent.
        """
        return self._transport.send(self._calls.refresh_nft_metadata(contract_address, token_id), usage=usage)

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
        Read what Alchemy knows of a token (``getNFTMetadata``, 80 compute units).

        :param contract_address: The collection's contract.
        :param token_id: The token's id: an int, or decimal or hexadecimal digits.
        :param refresh: Whether to refresh it first (``refreshCache``). Default False.
        :param uri_timeout_ms: How long the service may wait for the token's URI; 0: what it knows. Default: its own.
        :param usage: Counts requests and units, also where the call fails.
        :return: The token's metadata. Where it could not be refreshed, its ``error`` says why.
        :raises AlchemyError: What went wrong; AlchemyArgumentError before anything is sent.
        """
        call = self._calls.get_nft_metadata(contract_address, token_id, refresh=refresh, uri_timeout_ms=uri_timeout_ms)
        return self._transport.send(call, usage=usage)

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
        Read what Alchemy knows of up to 100 tokens (``getNFTMetadataBatch``, 480 compute units).

        :param contract_address: The collection's contract.
        :param token_ids: The tokens' ids, 1 to 100.
        :param refresh: Whether to refresh them first (``refreshCache``). Default False.
        :param uri_timeout_ms: How long the service may wait for a token's URI; 0: what it knows. Default: its own.
        :param usage: Counts requests and units, also where the call fails.
        :return: The metadata by token id; tokens that the answer leaves out are not in it.
        :raises AlchemyError: What went wrong; AlchemyArgumentError before anything is sent.
        """
        call = self._calls.get_nft_metadata_batch(
            contract_address, token_ids, refresh=refresh, uri_timeout_ms=uri_timeout_ms
        )
        return self._transport.send(call, usage=usage)

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
        Read a collection's tokens page by page (``getNFTsForContract``, 600 compute units a page).

        :param contract_address: The collection's contract.
        :param with_metadata: Whether to read what is known of each token too. Default False: ids are a tenth of it.
        :param start_token: Where to begin: a token id, or the ``next_key`` of a page. Default: the first token.
        :param page_size: Tokens in a page, 1 to 100. Default 100, because each page costs the same.
        :param usage: Counts requests and units, also where a call fails.
        :return: The pages; each is asked for when it is taken.
        :raises AlchemyError: What went wrong; AlchemyArgumentError before anything is sent;
            AlchemyUnexpectedAnswerError where a page names one that was read before.
        """
        keys, key = PageKeys(start_token), start_token
        while True:
            page = self._transport.send(
                self._calls.get_nfts_for_contract(
                    contract_address, start_token=key, with_metadata=with_metadata, page_size=page_size
                ),
                usage=usage,
            )
            keys.check(page, describe(contract_address, self._transport.settings))
            yield page
            if page.next_key is None:
                return
            key = page.next_key

    def get_contract_metadata_batch(
        self, contract_addresses: Sequence[str], *, usage: Usage | None = None
    ) -> dict[str, ContractMetadata]:
        """
        Read what Alchemy knows of up to 100 contracts (``getContractMetadataBatch``, 480 compute units).

        :param contract_addresses: The contracts, 1 to 100.
        :param usage: Counts requests and units, also where the call fails.
        :return: The metadata by contract in lower case; contracts that the answer leaves out are not in it.
        :raises AlchemyError: What went wrong; AlchemyArgumentError before anything is sent.
        """
        return self._transport.send(self._calls.get_contract_metadata_batch(contract_addresses), usage=usage)


class AsyncTokenClient:
    """The endpoints of single tokens, for event loops: the same calls as ``TokenClient``."""

    _calls: TokenCalls
    _transport: AsyncTransport

    async def refresh_nft_metadata(
        self, contract_address: str, token_id: TokenId, *, usage: Usage | None = None
    ) -> TokenRefresh:
        """Do what ``TokenClient.refresh_nft_metadata`` does."""
        return await self._transport.send(self._calls.refresh_nft_metadata(contract_address, token_id), usage=usage)

    async def get_nft_metadata(
        self,
        contract_address: str,
        token_id: TokenId,
        *,
        refresh: bool = False,
        uri_timeout_ms: int | None = None,
        usage: Usage | None = None,
    ) -> TokenMetadata:
        """Do what ``TokenClient.get_nft_metadata`` does."""
        call = self._calls.get_nft_metadata(contract_address, token_id, refresh=refresh, uri_timeout_ms=uri_timeout_ms)
        return await self._transport.send(call, usage=usage)

    async def get_nft_metadata_batch(
        self,
        contract_address: str,
        token_ids: Iterable[TokenId],
        *,
        refresh: bool = False,
        uri_timeout_ms: int | None = None,
        usage: Usage | None = None,
    ) -> dict[int, TokenMetadata]:
        """Do what ``TokenClient.get_nft_metadata_batch`` does."""
        call = self._calls.get_nft_metadata_batch(
            contract_address, token_ids, refresh=refresh, uri_timeout_ms=uri_timeout_ms
        )
        return await self._transport.send(call, usage=usage)

    async def get_nfts_for_contract(
        self,
        contract_address: str,
        *,
        with_metadata: bool = False,
        start_token: TokenId | None = None,
        page_size: int = MOST_TOKENS,
        usage: Usage | None = None,
    ) -> AsyncIterator[TokenPage]:
        """Do what ``TokenClient.get_nfts_for_contract`` does."""
        keys, key = PageKeys(start_token), start_token
        while True:
            page = await self._transport.send(
                self._calls.get_nfts_for_contract(
                    contract_address, start_token=key, with_metadata=with_metadata, page_size=page_size
                ),
                usage=usage,
            )
            keys.check(page, describe(contract_address, self._transport.settings))
            yield page
            if page.next_key is None:
                return
            key = page.next_key

    async def get_contract_metadata_batch(
        self, contract_addresses: Sequence[str], *, usage: Usage | None = None
    ) -> dict[str, ContractMetadata]:
        """Do what ``TokenClient.get_contract_metadata_batch`` does."""
        return await self._transport.send(self._calls.get_contract_metadata_batch(contract_addresses), usage=usage)
