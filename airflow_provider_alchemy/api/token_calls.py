# SPDX-License-Identifier: Apache-2.0
"""Calls of the endpoints of single tokens, with arguments that are checked before anything is sent. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from airflow_provider_alchemy.api import token_endpoints
from airflow_provider_alchemy.api.contract_lists import read_contracts
from airflow_provider_alchemy.api.endpoints import Call
from airflow_provider_alchemy.api.errors import (
    AlchemyArgumentError,
    AlchemyTokenIdError,
    AlchemyUnexpectedAnswerError,
)
from airflow_provider_alchemy.api.lists import shown
from airflow_provider_alchemy.api.models import ContractMetadata, read_contract_address
from airflow_provider_alchemy.api.settings import ClientSettings
from airflow_provider_alchemy.api.token_endpoints import MOST_TOKENS
from airflow_provider_alchemy.api.token_lists import read_token_ids
from airflow_provider_alchemy.api.tokens import Token, TokenMetadata, TokenPage, TokenRefresh, read_token_id

T = TypeVar("T")
PAGE_ATTEMPTS = 10
"""How often a task tries a page of a listing: hundreds of calls are for nothing if one of them fails. Some five minutes
pass until then."""

TokenId = int | str
"""A token's id as a person writes it: an int, or decimal or hexadecimal digits."""


class TokenCalls:
    """
    Calls with checked arguments, for both clients.

    :param settings: Whose account, and the way to it.
    """

    def __init__(self, settings: ClientSettings) -> None:
        self._settings = settings

    def refresh_nft_metadata(self, contract_address: str, token_id: TokenId) -> Call[TokenRefresh]:
        """Check the arguments of ``refreshNftMetadata``."""
        return self._checked(
            lambda: token_endpoints.refresh_nft_metadata(_read_token(contract_address, token_id), self._settings)
        )

    def get_nft_metadata(
        self, contract_address: str, token_id: TokenId, *, refresh: bool, uri_timeout_ms: int | None
    ) -> Call[TokenMetadata]:
        """Check the arguments of ``getNFTMetadata``."""
        return self._checked(
            lambda: token_endpoints.get_nft_metadata(
                _read_token(contract_address, token_id), self._settings, refresh=refresh, uri_timeout_ms=uri_timeout_ms
            )
        )

    def get_nft_metadata_batch(
        self, contract_address: str, token_ids: Iterable[TokenId], *, refresh: bool, uri_timeout_ms: int | None
    ) -> Call[dict[int, TokenMetadata]]:
        """Check the arguments of ``getNFTMetadataBatch``."""

        def build() -> Call[dict[int, TokenMetadata]]:
            address = read_contract_address(contract_address)
            ids = read_token_ids(token_ids).ids
            _check_number(len(ids), "token_ids", "tokens")
            return token_endpoints.get_nft_metadata_batch(
                address, ids, self._settings, refresh=refresh, uri_timeout_ms=uri_timeout_ms
            )

        return self._checked(build)

    def get_nfts_for_contract(
        self, contract_address: str, *, start_token: TokenId | None, with_metadata: bool, page_size: int
    ) -> Call[TokenPage]:
        """Check the arguments of ``getNFTsForContract``."""

        def build() -> Call[TokenPage]:
            if not isinstance(page_size, int) or isinstance(page_size, bool):
                msg = f"argument 'page_size' is {shown(page_size)}; expected a whole number from 1 to {MOST_TOKENS}"
                raise AlchemyArgumentError(msg)
            _check_number(page_size, "page_size", "tokens")
            return token_endpoints.get_nfts_for_contract(
                read_contract_address(contract_address),
                self._settings,
                start_token=None if start_token is None else _read_start(start_token),
                with_metadata=with_metadata,
                limit=page_size,
            )

        return self._checked(build)

    def get_contract_metadata_batch(self, contract_addresses: Sequence[str]) -> Call[dict[str, ContractMetadata]]:
        """Check the arguments of ``getContractMetadataBatch``."""

        def build() -> Call[dict[str, ContractMetadata]]:
            addresses = read_contracts(contract_addresses).addresses
            _check_number(len(addresses), "contract_addresses", "contracts")
            return token_endpoints.get_contract_metadata_batch(addresses, self._settings)

        return self._checked(build)

    def _checked(self, build: Callable[[], Call[T]]) -> Call[T]:
        try:
            return build()
        except AlchemyArgumentError as error:
            # People paste keys into other fields.
            raise error.without(self._settings.api_key) from None


class PageKeys:
    """
    The keys of the pages that were read: a page that leads back would be read for ever, at 600 units each.

    :param first: Where the reading began.
    """

    def __init__(self, first: TokenId | None = None) -> None:
        self._known = set() if first is None else {str(first)}

    def check(self, page: TokenPage, subject: str) -> None:
        """
        Check where a page leads.

        :param page: The page.
        :param subject: The collection, the network and the connection, for the error.
        :raises AlchemyUnexpectedAnswerError: It names a page that was read before.
        """
        if page.next_key is None:
            return
        if page.next_key in self._known:
            msg = f"the page of tokens names {page.next_key[:80]!r} as the next page, which was read before"
            raise AlchemyUnexpectedAnswerError(msg, subject=subject)
        self._known.add(page.next_key)


def _read_token(contract_address: str, token_id: Any) -> Token:
    return Token(read_contract_address(contract_address), read_token_id(token_id))


def _read_start(value: Any) -> str:
    """Check where a listing begins. The key of a page has a form of its own: any text but an empty one."""
    if not isinstance(value, str):
        return str(read_token_id(value, "start_token"))
    if not value.strip():
        msg = "argument 'start_token' is empty, or its template rendered to nothing; expected a token id or a page key"
        raise AlchemyTokenIdError(msg)
    return value


def _check_number(number: int, argument: str, things: str) -> None:
    if not 1 <= number <= MOST_TOKENS:
        msg = f"argument {argument!r} stands for {shown(number)} {things}; one call takes 1 to {MOST_TOKENS}"
        raise AlchemyArgumentError(msg)
