# SPDX-License-Identifier: Apache-2.0
"""
One poller for all waits of a connection in an event loop: one HTTP session, one throttle, one call for each contract.

The rules of each wait stay with the wait; here waits share what they would otherwise each pay for.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TypeVar
from weakref import WeakValueDictionary

from airflow_provider_alchemy.api import endpoints
from airflow_provider_alchemy.api.client import AsyncAlchemyClient
from airflow_provider_alchemy.api.endpoints import Call
from airflow_provider_alchemy.api.errors import (
    AlchemyAuthenticationError,
    AlchemyError,
    AlchemyRateLimitError,
    AlchemySpendingLimitError,
)
from airflow_provider_alchemy.api.models import RefreshStatus
from airflow_provider_alchemy.api.settings import ClientSettings
from airflow_provider_alchemy.api.throttle import throttle_of
from airflow_provider_alchemy.api.usage import SpendingLimit, Usage

T = TypeVar("T")

CONNECTIONS = 16
"""Calls under way at once: at a tenth of a second for an answer they carry 160 polls a second, eight times what the
largest documented plan allows."""

_TICK_SHARE = 1 / 20  # of its delay by which a poll may be late, so that polls come together
_MAX_TICK_SECONDS = 1.0


class Poller:
    """Sends the calls of all waits of a connection; ``renew`` reads the settings again after a refused key."""

    def __init__(
        self,
        settings: ClientSettings,
        *,
        renew: Callable[[], Awaitable[ClientSettings]] | None = None,
        on_call: Callable[[Usage], None] | None = None,
        connections: int = CONNECTIONS,
    ) -> None:
        self._connections = connections
        self._client = AsyncAlchemyClient(settings, connections=connections)
        self._retired: list[AsyncAlchemyClient] = []
        self._renew = renew
        self._renewing = asyncio.Lock()
        self._on_call = on_call
        self._contracts: WeakValueDictionary[str, Contract] = WeakValueDictionary()
        self.waits = 0
        """How many waits use it, for the code that opens and closes it."""

    @property
    def settings(self) -> ClientSettings:
        return self._client.settings

    @property
    def refusal(self) -> AlchemyRateLimitError | None:
        """The last 429, while the service refuses the account."""
        return throttle_of(self.settings).refusal

    def contract(self, contract_address: str) -> Contract:
        contract = self._contracts.get(contract_address)
        if contract is None:
            contract = self._contracts[contract_address] = Contract(self, contract_address)
        return contract

    async def sleep(self, seconds: float, max_seconds: float = math.inf) -> None:
        """Sleep until the next tick after a delay: polls that are made together cost half of polls one by one."""
        now = asyncio.get_running_loop().time()
        await asyncio.sleep(min(next_tick(now + seconds, seconds) - now, max_seconds))

    async def send(
        self,
        call: Call[T],
        *,
        usage: Usage,
        max_attempts: int,
        spending_limit: SpendingLimit | None = None,
        deadline: datetime | None = None,
        retries_unexpected: bool = False,
    ) -> T:
        """Make a call as ``AsyncAlchemyClient.send`` does; once more where the refused key was rotated meanwhile."""
        while True:
            client, spent = self._client, Usage()
            try:
                return await client.send(
                    call,
                    usage=spent,
                    max_attempts=max_attempts,
                    spending_limit=spending_limit,
                    deadline=deadline,
                    retries_unexpected=retries_unexpected,
                )
            except AlchemyAuthenticationError:
                if not await self._is_renewed(client):
                    raise
            finally:
                usage.add(spent)
                if spent.calls and self._on_call is not None:
                    self._on_call(spent)

    async def aclose(self) -> None:
        for client in (*self._retired, self._client):
            await client.aclose()

    async def _is_renewed(self, client: AsyncAlchemyClient) -> bool:
        if self._renew is None:
            return False
        async with self._renewing:
            if client is not self._client:
                return True
            try:
                settings = await self._renew()
            except Exception:  # noqa: BLE001 - the refusal of the key is what the wait must see
                return False
            if settings == client.settings:
                return False
            # Other calls may still use it: it is closed with the poller.
            self._retired.append(client)
            self._client = AsyncAlchemyClient(settings, connections=self._connections)
            return True


class Contract:
    """
    What all waits for one contract share: one call under way, and each good answer wakes all of them.

    That spares calls, and above all no wait polls on after another one saw the end, which might start a new refresh.
    """

    def __init__(self, poller: Poller, contract_address: str) -> None:
        self._poller = poller
        self._contract_address = contract_address
        self.answer: RefreshStatus | None = None
        """The last answer."""
        self._is_polling = False
        self._joined: asyncio.Future[RefreshStatus | None] | None = None
        self._sleeping: set[asyncio.Future[None]] = set()
        self.answers = 0
        """How many answers came so far."""

    async def sleep(self, seconds: float, max_seconds: float = math.inf) -> None:
        """Sleep until the next tick after a delay, or the next answer."""
        loop = asyncio.get_running_loop()
        now, woken = loop.time(), loop.create_future()
        alarm = loop.call_at(min(next_tick(now + seconds, seconds), now + max_seconds), _wake, woken)
        self._sleeping.add(woken)
        try:
            await woken
        finally:
            self._sleeping.discard(woken)
            alarm.cancel()

    async def poll(
        self, usage: Usage, limit: SpendingLimit, *, max_attempts: int, deadline: datetime | None
    ) -> RefreshStatus:
        """Ask about the contract, or wait for the answer of the call that is under way."""
        while self._is_polling:
            if self._joined is None:
                self._joined = asyncio.get_running_loop().create_future()
            status = await asyncio.shield(self._joined)
            if status is not None:
                return status
        self._is_polling = True
        outcome: RefreshStatus | AlchemyError | None = None
        try:
            settings = self._poller.settings
            outcome = await self._poller.send(
                endpoints.reingest_contract(self._contract_address, settings),
                usage=usage,
                max_attempts=max_attempts,
                spending_limit=limit,
                deadline=deadline,
            )
        except AlchemySpendingLimitError:
            # Of this wait alone: another one of the same contract may have more to spend.
            raise
        except AlchemyError as error:
            outcome = error
            raise
        else:
            self.answer = outcome
            self.answers += 1
            for woken in self._sleeping:
                _wake(woken)
            return outcome
        finally:
            self._is_polling = False
            joined, self._joined = self._joined, None
            if joined is not None:
                if isinstance(outcome, AlchemyError):
                    joined.set_exception(outcome)
                    joined.exception()  # seen, also where every wait that joined has been cancelled
                else:
                    joined.set_result(outcome)


def next_tick(due_at: float, delay_seconds: float) -> float:
    """Give the next tick, in the loop's clock, that all waits with about this delay share."""
    if delay_seconds <= 0:
        return due_at
    tick_seconds = min(2.0 ** math.floor(math.log2(delay_seconds * _TICK_SHARE)), _MAX_TICK_SECONDS)
    # The answer to the last poll came a little after its tick: that does not make each interval a tick longer.
    return math.ceil(due_at / tick_seconds - 0.25) * tick_seconds


def _wake(woken: asyncio.Future[None]) -> None:
    if not woken.done():
        woken.set_result(None)
