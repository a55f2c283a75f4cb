# SPDX-License-Identifier: Apache-2.0
"""The hook: an Airflow connection, read once, as a client of Alchemy's NFT API."""

from __future__ import annotations

import weakref
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from airflow.providers.common.compat.connection import get_async_connection
from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook

from airflow_provider_alchemy.api.client import AlchemyClient, AsyncAlchemyClient
from airflow_provider_alchemy.api.errors import AlchemyConfigurationError, AlchemyError
from airflow_provider_alchemy.api.models import RefreshStatus
from airflow_provider_alchemy.connection_form import EXTRA_FIELDS, UI_FIELD_BEHAVIOUR
from airflow_provider_alchemy.hooks.connection import CONNECTION_TYPE, read_extra, read_settings
from airflow_provider_alchemy.hooks.masking import amask_key, mask_key
from airflow_provider_alchemy.hooks.metrics import counting_calls
from airflow_provider_alchemy.hooks.tokens import TokenMethods

if TYPE_CHECKING:
    from pendulum import DateTime

    from airflow_provider_alchemy.api.settings import ClientSettings
    from airflow_provider_alchemy.api.usage import Usage

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
            try:
                connection = self.get_connection(self.alchemy_conn_id)
            except AirflowNotFoundException:
                connection = None
            settings = self._settings(connection)
            mask_key(settings.api_key)
            self._client = AlchemyClient(settings)
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
