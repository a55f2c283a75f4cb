# SPDX-License-Identifier: Apache-2.0
"""The hook: an Airflow connection, read once, as a client of Alchemy's API."""

from __future__ import annotations

import weakref
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from types import TracebackType
from typing import Any, Self, TypeVar

from airflow.providers.common.compat.connection import get_async_connection
from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook, Stats

from airflow_provider_alchemy.api import endpoints
from airflow_provider_alchemy.api.client import AlchemyClient, AsyncAlchemyClient
from airflow_provider_alchemy.api.endpoints import MAX_TOKENS_PER_CALL, Call, PageKeys, TokenId
from airflow_provider_alchemy.api.errors import AlchemyConfigurationError, AlchemyError
from airflow_provider_alchemy.api.models import (
    ContractMetadata,
    RefreshStatus,
    TokenMetadata,
    TokenPage,
    TokenRefresh,
)
from airflow_provider_alchemy.api.settings import ClientSettings
from airflow_provider_alchemy.api.usage import Usage
from airflow_provider_alchemy.connection_form import EXTRA_FIELDS, UI_FIELD_BEHAVIOUR
from airflow_provider_alchemy.defaults import DEFAULT_CONNECTION_ID
from airflow_provider_alchemy.hooks.connection import (
    CONNECTION_TYPE,
    amask_key,
    mask_key,
    read_extra,
    read_settings,
)

T = TypeVar("T")

TESTED_CONTRACT = "0xE9FCa552b9eb110c2d170962aF740725F71F5644"
"""The contract of Alchemy's own documentation: the connection test reads its metadata."""


def count_calls(usage: Usage) -> None:
    """Emit the counters ``alchemy.polls``, ``alchemy.compute_units`` and ``alchemy.throttled``."""
    for name, amount in (
        ("alchemy.polls", usage.calls),
        ("alchemy.compute_units", usage.compute_units),
        ("alchemy.throttled", usage.throttled),
    ):
        if amount:
            Stats.incr(name, amount)


@contextmanager
def counting_calls(usage: Usage | None) -> Iterator[Usage]:
    """Emit what the calls made inside the context cost, also where one of them fails, and add it to ``usage``."""
    spent = Usage()
    try:
        yield spent
    finally:
        count_calls(spent)
        if usage is not None:
            usage.add(spent)


def count_waits(waits: int) -> None:
    """Emit the gauge ``alchemy.waits``: how many waits this process polls for."""
    Stats.gauge("alchemy.waits", waits)


class AlchemyHook(BaseHook):
    """
    Call Alchemy's API with an Airflow connection.

    The connection is read by the first call, once, and each form (sync and async) has one HTTP session for the
    hook's life. Use it as a context manager, ``with`` or ``async with``, to close the session at its end.

    :param alchemy_conn_id: The connection. Default ``alchemy_default``.
    :param network: The network's slug; default: the connection's.
    """

    conn_name_attr = "alchemy_conn_id"
    default_conn_name = DEFAULT_CONNECTION_ID
    conn_type = CONNECTION_TYPE
    hook_name = "Alchemy"

    def __init__(self, alchemy_conn_id: str = default_conn_name, network: str | None = None) -> None:
        super().__init__()
        self.alchemy_conn_id = alchemy_conn_id
        self.network = network
        self._client: AlchemyClient | None = None
        self._async_client: AsyncAlchemyClient | None = None

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """Build the connection form for Airflow before 3.2; newer ones read ``conn-fields`` of the provider info."""
        # Only there where Airflow draws this form, and heavy: not for a hook that runs in a task.
        from flask_appbuilder.fieldwidgets import BS3PasswordFieldWidget, BS3TextFieldWidget  # noqa: PLC0415
        from wtforms import BooleanField, IntegerField, PasswordField, StringField  # noqa: PLC0415

        def widget(field: Any) -> Any:
            if field.kind == "boolean":
                return BooleanField(field.label, description=field.description, default=field.default)
            default = None if field.default is None else str(field.default)
            if field.sensitive:
                return PasswordField(
                    field.label,
                    widget=BS3PasswordFieldWidget(),
                    description=field.description,
                    default=default,
                )
            # A number with decimals has no field of its own in that form: text, checked when it is read.
            form_field = IntegerField if field.kind == "integer" else StringField
            return form_field(field.label, widget=BS3TextFieldWidget(), description=field.description, default=default)

        return {field.name: widget(field) for field in EXTRA_FIELDS}

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Name the fields of the connection form for Airflow before 3.2."""
        return UI_FIELD_BEHAVIOUR

    def get_conn(self) -> AlchemyClient:
        """
        Give the client for threads.

        :return: The client; the same one for the hook's life.
        :raises AlchemyConfigurationError: The connection is unknown, of another type, or cannot be right.
        """
        if self._client is None:
            self._client = AlchemyClient(self.read_settings())
            weakref.finalize(self, self._client.close)
        return self._client

    async def aget_conn(self) -> AsyncAlchemyClient:
        """
        Give the client for event loops.

        :return: The client; the same one for the hook's life.
        :raises AlchemyConfigurationError: The connection is unknown, of another type, or cannot be right.
        """
        if self._async_client is None:
            self._async_client = AsyncAlchemyClient(await self.aread_settings())
        return self._async_client

    def read_settings(self) -> ClientSettings:
        """
        Read the connection, as it is now.

        :return: What a client needs to know of it.
        :raises AlchemyConfigurationError: The connection is unknown, of another type, or cannot be right.
        """
        try:
            connection = self.get_connection(self.alchemy_conn_id)
        except AirflowNotFoundException:
            connection = None
        settings = self._settings(connection)
        for secret in settings.secrets:
            mask_key(secret)
        return settings

    async def aread_settings(self) -> ClientSettings:
        """
        Read the connection, as it is now, in an event loop.

        :return: What a client needs to know of it.
        :raises AlchemyConfigurationError: The connection is unknown, of another type, or cannot be right.
        """
        try:
            # A sync look-up inside the event loop can block the triggerer without end before Airflow 3.3.2.
            connection = await get_async_connection(self.alchemy_conn_id, hook=self)
        except AirflowNotFoundException:
            connection = None
        settings = self._settings(connection)
        for secret in settings.secrets:
            await amask_key(secret)
        return settings

    def _settings(self, connection: Any) -> ClientSettings:
        if connection is None:
            msg = f"connection {self.alchemy_conn_id!r} does not exist"
            raise AlchemyConfigurationError(
                msg,
                advice="Create a connection of type Alchemy with this id, or name another in alchemy_conn_id",
            )
        extra = read_extra(connection.extra, f"connection {self.alchemy_conn_id!r}")
        return read_settings(connection, extra, self.network)

    def _send(
        self,
        make_call: Callable[[ClientSettings], Call[T]],
        usage: Usage | None,
        max_attempts: int | None = None,
        deadline: datetime | None = None,
    ) -> T:
        client = self.get_conn()
        with counting_calls(usage) as spent:
            return client.send(make_call(client.settings), usage=spent, max_attempts=max_attempts, deadline=deadline)

    async def _asend(
        self,
        make_call: Callable[[ClientSettings], Call[T]],
        usage: Usage | None,
        max_attempts: int | None = None,
        deadline: datetime | None = None,
    ) -> T:
        client = await self.aget_conn()
        with counting_calls(usage) as spent:
            return await client.send(
                make_call(client.settings), usage=spent, max_attempts=max_attempts, deadline=deadline
            )

    def reingest_contract(
        self,
        contract_address: str,
        *,
        usage: Usage | None = None,
        max_attempts: int | None = None,
        deadline: datetime | None = None,
    ) -> RefreshStatus:
        """
        Submit the refresh of a collection, or join and report the one that runs (480 compute units).

        After the first answer that ends a refresh do not call again: whether that starts a new one is not known.

        :param contract_address: The collection's contract.
        :param usage: Counts requests and units, also where the call fails.
        :param max_attempts: Attempts; default: the connection's.
        :param deadline: No sleep between attempts outlasts it. With it, HTTP 429 is waited out until then.
        :return: The refresh's status.
        :raises AlchemyError: What went wrong; AlchemyAddressError before anything is sent.
        """
        return self._send(lambda s: endpoints.reingest_contract(contract_address, s), usage, max_attempts, deadline)

    async def areingest_contract(
        self,
        contract_address: str,
        *,
        usage: Usage | None = None,
        max_attempts: int | None = None,
        deadline: datetime | None = None,
    ) -> RefreshStatus:
        """Do what ``reingest_contract`` does, in an event loop."""
        return await self._asend(
            lambda s: endpoints.reingest_contract(contract_address, s), usage, max_attempts, deadline
        )

    def get_contract_metadata(self, contract_address: str, *, usage: Usage | None = None) -> ContractMetadata:
        """
        Read what Alchemy knows of a contract, without any side effect (160 compute units).

        :param contract_address: The contract.
        :param usage: Counts requests and units, also where the call fails.
        :return: The contract's metadata.
        :raises AlchemyError: What went wrong; AlchemyAddressError before anything is sent.
        """
        return self._send(lambda s: endpoints.get_contract_metadata(contract_address, s), usage)

    async def aget_contract_metadata(self, contract_address: str, *, usage: Usage | None = None) -> ContractMetadata:
        """Do what ``get_contract_metadata`` does, in an event loop."""
        return await self._asend(lambda s: endpoints.get_contract_metadata(contract_address, s), usage)

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
        return self._send(lambda s: endpoints.get_contract_metadata_batch(contract_addresses, s), usage)

    async def aget_contract_metadata_batch(
        self, contract_addresses: Sequence[str], *, usage: Usage | None = None
    ) -> dict[str, ContractMetadata]:
        """Do what ``get_contract_metadata_batch`` does, in an event loop."""
        return await self._asend(lambda s: endpoints.get_contract_metadata_batch(contract_addresses, s), usage)

    def get_nfts_for_contract(
        self,
        contract_address: str,
        *,
        with_metadata: bool = False,
        start_token: TokenId | None = None,
        page_size: int = MAX_TOKENS_PER_CALL,
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
        keys, key = PageKeys(start_token), start_token
        while True:
            page = self._send(_page_call(contract_address, key, page_size, with_metadata=with_metadata), usage)
            keys.check(page, endpoints.describe(contract_address, self.get_conn().settings))
            yield page
            if page.next_key is None:
                return
            key = page.next_key

    async def aget_nfts_for_contract(
        self,
        contract_address: str,
        *,
        with_metadata: bool = False,
        start_token: TokenId | None = None,
        page_size: int = MAX_TOKENS_PER_CALL,
        usage: Usage | None = None,
    ) -> AsyncIterator[TokenPage]:
        """Do what ``get_nfts_for_contract`` does, in an event loop."""
        keys, key = PageKeys(start_token), start_token
        while True:
            page = await self._asend(_page_call(contract_address, key, page_size, with_metadata=with_metadata), usage)
            keys.check(page, endpoints.describe(contract_address, (await self.aget_conn()).settings))
            yield page
            if page.next_key is None:
                return
            key = page.next_key

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
        return self._send(
            lambda s: endpoints.get_nft_metadata(
                contract_address, token_id, s, refresh=refresh, uri_timeout_ms=uri_timeout_ms
            ),
            usage,
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
        return await self._asend(
            lambda s: endpoints.get_nft_metadata(
                contract_address, token_id, s, refresh=refresh, uri_timeout_ms=uri_timeout_ms
            ),
            usage,
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
        return self._send(
            lambda s: endpoints.get_nft_metadata_batch(
                contract_address, token_ids, s, refresh=refresh, uri_timeout_ms=uri_timeout_ms
            ),
            usage,
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
        return await self._asend(
            lambda s: endpoints.get_nft_metadata_batch(
                contract_address, token_ids, s, refresh=refresh, uri_timeout_ms=uri_timeout_ms
            ),
            usage,
        )

    def refresh_nft_metadata(
        self, contract_address: str, token_id: TokenId, *, usage: Usage | None = None
    ) -> TokenRefresh:
        """
        Queue the refresh of a token (40 compute units); the proof is a later ``time_last_updated``.

        :param contract_address: The collection's contract.
        :param token_id: The token's id: an int, or decimal or hexadecimal digits.
        :param usage: Counts requests and units, also where the call fails.
        :return: The service's answer.
        :raises AlchemyError: What went wrong; AlchemyArgumentError before anything is sent.
        """
        return self._send(lambda s: endpoints.refresh_nft_metadata(contract_address, token_id, s), usage)

    async def arefresh_nft_metadata(
        self, contract_address: str, token_id: TokenId, *, usage: Usage | None = None
    ) -> TokenRefresh:
        """Do what ``refresh_nft_metadata`` does, in an event loop."""
        return await self._asend(lambda s: endpoints.refresh_nft_metadata(contract_address, token_id, s), usage)

    def test_connection(self) -> tuple[bool, str]:
        """
        Try the connection with ``getContractMetadata`` (160 units); ``reingestContract`` has a side effect.

        :return: Whether it works, and a sentence that a person can act on.
        """
        try:
            with self:
                client = self.get_conn()
                metadata = client.send(endpoints.get_contract_metadata(TESTED_CONTRACT, client.settings))
        except AlchemyError as error:
            # Airflow's form tests a connection under a name that it makes up.
            return False, str(error).replace(f"connection {self.alchemy_conn_id!r}", "this connection")
        return True, (
            f"Alchemy accepted the key and answered on {client.settings.network}: read the metadata of contract "
            f"{TESTED_CONTRACT} ({metadata.name or 'without a name'}), for 160 compute units."
        )

    def close(self) -> None:
        """Close the HTTP session for threads."""
        if self._client is not None:
            client, self._client = self._client, None
            client.close()

    async def aclose(self) -> None:
        """Close the HTTP session for event loops."""
        if self._async_client is not None:
            client, self._async_client = self._async_client, None
            await client.aclose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()


def _page_call(
    contract_address: str, start_token: TokenId | None, page_size: int, *, with_metadata: bool
) -> Callable[[ClientSettings], Call[TokenPage]]:
    return lambda settings: endpoints.get_nfts_for_contract(
        contract_address, settings, start_token=start_token, with_metadata=with_metadata, page_size=page_size
    )
