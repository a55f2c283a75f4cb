# SPDX-License-Identifier: Apache-2.0
"""The two clients: endpoints and transport put together, usable without Airflow."""

from __future__ import annotations

from types import TracebackType
from typing import Self, TypeVar

from pendulum import DateTime

from airflow_provider_alchemy.api import endpoints
from airflow_provider_alchemy.api.endpoints import Call
from airflow_provider_alchemy.api.errors import AlchemyAddressError
from airflow_provider_alchemy.api.models import ContractMetadata, RefreshStatus, read_contract_address
from airflow_provider_alchemy.api.settings import ClientSettings
from airflow_provider_alchemy.api.token_calls import TokenCalls
from airflow_provider_alchemy.api.token_client import AsyncTokenClient, TokenClient
from airflow_provider_alchemy.api.transport import AsyncTransport, SyncTransport
from airflow_provider_alchemy.api.usage import SpendingLimit, Usage

T = TypeVar("T")


class AlchemyClient(TokenClient):
    """
    Alchemy's NFT API for threads.

    :param settings: Whose account, and the way to it.
    """

    def __init__(self, settings: ClientSettings) -> None:
        self.settings = settings
        self._calls = TokenCalls(settings)
        self._transport = SyncTransport(settings)

    def reingest_contract(
        self,
        contract_address: str,
        *,
        usage: Usage | None = None,
        max_attempts: int | None = None,
        deadline: DateTime | None = None,
    ) -> RefreshStatus:
        """
        Submit the refresh of a collection, or join and report the one that runs (480 compute units).

        After the first answer that ends a refresh do not call again: whether that starts a new one is not known.

        :param contract_address: The collection's contract.
        :param usage: Counts requests and units, also where the call fails.
        :param max_attempts: Attempts; default: the settings'.
        :param deadline: No sleep between attempts outlasts it.
        :return: The refresh's status.
        :raises AlchemyError: What went wrong; AlchemyAddressError before anything is sent.
        """
        address = _read_address(contract_address, self.settings)
        call = endpoints.reingest_contract(address, self.settings)
        return self._transport.send(call, usage=usage, max_attempts=max_attempts, deadline=deadline)

    def get_contract_metadata(self, contract_address: str, *, usage: Usage | None = None) -> ContractMetadata:
        """
        Read what Alchemy knows of a contract, without any side effect (160 compute units).

        :param contract_address: The contract.
        :param usage: Counts requests and units, also where the call fails.
        :return: The contract's metadata.
        :raises AlchemyError: What went wrong; AlchemyAddressError before anything is sent.
        """
        address = _read_address(contract_address, self.settings)
        return self._transport.send(endpoints.get_contract_metadata(address, self.settings), usage=usage)

    def close(self) -> None:
        """Close the HTTP session."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class AsyncAlchemyClient(AsyncTokenClient):
    """
    Alchemy's NFT API for event loops: the same calls as ``AlchemyClient``.

    :param settings: Whose account, and the way to it.
    :param connections: How many connections it keeps at most. Default 100, aiohttp's.
    """

    def __init__(self, settings: ClientSettings, *, connections: int = 100) -> None:
        self.settings = settings
        self._calls = TokenCalls(settings)
        self._transport = AsyncTransport(settings, connections)

    async def send(
        self, call: Call[T], *, usage: Usage, max_attempts: int, spending_limit: SpendingLimit, is_patient: bool = False
    ) -> T:
        """
        Make any call of this API, for those who spend what others share.

        :param call: The call, its arguments checked.
        :param usage: Counts requests and units, also where the call fails.
        :param max_attempts: Attempts.
        :param spending_limit: What may be spent; each attempt is paid for from it before it is made.
        :param is_patient: Whether an answer that the API reference does not know is worth another attempt.
        :return: The call's value.
        :raises AlchemySpendingLimitError: Not enough is left of the spending_limit.
        :raises AlchemyError: What went wrong.
        """
        return await self._transport.send(
            call, usage=usage, max_attempts=max_attempts, spending_limit=spending_limit, is_patient=is_patient
        )

    async def reingest_contract(
        self,
        contract_address: str,
        *,
        usage: Usage | None = None,
        max_attempts: int | None = None,
        deadline: DateTime | None = None,
    ) -> RefreshStatus:
        """Do what ``AlchemyClient.reingest_contract`` does."""
        address = _read_address(contract_address, self.settings)
        call = endpoints.reingest_contract(address, self.settings)
        return await self._transport.send(call, usage=usage, max_attempts=max_attempts, deadline=deadline)

    async def reingest_contract_once(self, contract_address: str, *, usage: Usage | None = None) -> RefreshStatus:
        """
        Do what ``reingest_contract`` does, once and now: for a poller, which keeps budget and retries itself.

        :param contract_address: The contract, checked and in lower case.
        :param usage: Counts the request and its units, also where the call fails.
        :return: The refresh's status.
        :raises AlchemyError: What went wrong.
        """
        return await self._transport.attempt(endpoints.reingest_contract(contract_address, self.settings), usage=usage)

    async def get_contract_metadata(self, contract_address: str, *, usage: Usage | None = None) -> ContractMetadata:
        """Do what ``AlchemyClient.get_contract_metadata`` does."""
        address = _read_address(contract_address, self.settings)
        return await self._transport.send(endpoints.get_contract_metadata(address, self.settings), usage=usage)

    async def aclose(self) -> None:
        """Close the HTTP session."""
        await self._transport.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()


def _read_address(contract_address: str, settings: ClientSettings) -> str:
    try:
        return read_contract_address(contract_address)
    except AlchemyAddressError as error:
        raise error.without(settings.api_key) from None
