# SPDX-License-Identifier: Apache-2.0
"""The hook: an Airflow connection, read once, as a client of Alchemy's NFT API."""

from __future__ import annotations

import weakref
from abc import abstractmethod
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from airflow.providers.common.compat.connection import get_async_connection
from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook, Stats

from airflow_provider_alchemy.api.client import AlchemyClient, AsyncAlchemyClient
from airflow_provider_alchemy.api.endpoints import MOST_TOKENS, TokenId
from airflow_provider_alchemy.api.errors import AlchemyConfigurationError, AlchemyError
from airflow_provider_alchemy.api.models import ContractMetadata, RefreshStatus, TokenMetadata, TokenPage, TokenRefresh
from airflow_provider_alchemy.api.usage import Usage
from airflow_provider_alchemy.connection_form import EXTRA_FIELDS, UI_FIELD_BEHAVIOUR
from airflow_provider_alchemy.hooks.connection import CONNECTION_TYPE, amask_key, mask_key, read_extra, read_settings

if TYPE_CHECKING:
    from pendulum import DateTime

    from airflow_provider_alchemy.api.settings import ClientSettings
    from airflow_provider_alchemy.api.usage import Usage


def count_calls(usage: Usage) -> None:
    """
    Emit ``alchemy.polls``, ``alchemy.compute_units`` and ``alchemy.throttled`` (counters).

    :param usage: What was spent since the last time.
    """
    for name, amount in (
        ("alchemy.polls", usage.calls),
        ("alchemy.compute_units", usage.compute_units),
        ("alchemy.throttled", usage.throttled),
    ):
        if amount:
            Stats.incr(name, amount)


@contextmanager
def counting_calls(usage: Usage | None) -> Iterator[Usage]:
    """
    Emit what the calls made inside the context cost, also where one of them fails.

    :param usage: Counts it too, where there is one.
    :return: The usage for the calls.
    """
    spent = Usage()
    try:
        yield spent
    finally:
        count_calls(spent)
        if usage is not None:
            usage.add(spent)


def count_waits(waits: int) -> None:
    """
    Emit ``alchemy.waits`` (a gauge): how many waits this process polls for.

    :param waits: Their number.
    """
    Stats.gauge("alchemy.waits", waits)


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


TESTED_CONTRACT = "0xE9FCa552b9eb110c2d170962aF740725F71F5644"
"""The contract of Alchemy's own documentation: the connection test reads its metadata."""


class AlchemyHook(TokenMethods, BaseHook):
    """
    Talk to Alchemy's NFT API with an Airflow connection.

    The connection is read by the first call, once, and each form (sync and async) has one HTTP session for the
    hook's life. Use it as a context manager, ``with`` or ``async with``, to close the session at its end.

    :param alchemy_conn_id: The connection. Default ``alchemy_default``.
    :param network: The network's slug; default: the connection's.
    """

    conn_name_attr = "alchemy_conn_id"
    default_conn_name = "alchemy_default"
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
        """
        Build the connection form for Airflow before 3.2; newer ones read ``conn-fields`` of the provider info.

        :return: Field name to WTForms field.
        """
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
        """
        Name the fields of the connection form for Airflow before 3.2.

        :return: Hidden fields, labels and placeholders.
        """
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
        mask_key(settings.api_key)
        return settings

    async def aread_settings(self) -> ClientSettings:
        """
        Read the connection, as it is now, in an event loop.

        :return: What a client needs to know of it.
        :raises AlchemyConfigurationError: The connection is unknown, of another type, or cannot be right.
        """
        try:
            # A sync look-up inside the event loop can block the triggerer for ever before Airflow 3.3.2.
            connection = await get_async_connection(self.alchemy_conn_id, hook=self)
        except AirflowNotFoundException:
            connection = None
        settings = self._settings(connection)
        await amask_key(settings.api_key)
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
        :param max_attempts: Attempts; default: the connection's.
        :param deadline: No sleep between attempts outlasts it.
        :return: The refresh's status.
        :raises AlchemyError: What went wrong; AlchemyAddressError before anything is sent.
        """
        client = self.get_conn()
        with counting_calls(usage) as spent:
            return client.reingest_contract(contract_address, usage=spent, max_attempts=max_attempts, deadline=deadline)

    async def areingest_contract(
        self,
        contract_address: str,
        *,
        usage: Usage | None = None,
        max_attempts: int | None = None,
        deadline: DateTime | None = None,
    ) -> RefreshStatus:
        """Do what ``reingest_contract`` does, in an event loop."""
        client = await self.aget_conn()
        with counting_calls(usage) as spent:
            return await client.reingest_contract(
                contract_address, usage=spent, max_attempts=max_attempts, deadline=deadline
            )

    def test_connection(self) -> tuple[bool, str]:
        """
        Try the connection with ``getContractMetadata`` (160 units); ``reingestContract`` has a side effect.

        :return: Whether it works, and a sentence that a person can act on.
        """
        try:
            with self:
                client = self.get_conn()
                metadata = client.get_contract_metadata(TESTED_CONTRACT)
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
