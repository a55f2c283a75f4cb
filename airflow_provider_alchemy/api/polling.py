# SPDX-License-Identifier: Apache-2.0
"""
One poller for all waits of a connection in an event loop.

It keeps one HTTP session and one clock. A contract is asked once for all who wait for it, the contract whose answer
is worth most comes first, and the account's budget decides when. The rules of each wait stay with the wait.
"""

from __future__ import annotations

import asyncio
import contextvars
import math
from collections.abc import Awaitable, Callable
from typing import TypeVar

from airflow_provider_alchemy.api import endpoints
from airflow_provider_alchemy.api.agenda import Agenda, Question
from airflow_provider_alchemy.api.client import AsyncAlchemyClient
from airflow_provider_alchemy.api.endpoints import REINGEST_CONTRACT, Call
from airflow_provider_alchemy.api.errors import (
    AlchemyAuthenticationError,
    AlchemyError,
    AlchemyRateLimitError,
    AlchemySpendingLimitError,
    AlchemyTimeoutError,
)
from airflow_provider_alchemy.api.following import Follower, next_stroke
from airflow_provider_alchemy.api.models import RefreshStatus
from airflow_provider_alchemy.api.settings import ClientSettings
from airflow_provider_alchemy.api.throttle import Queue, throttle_of
from airflow_provider_alchemy.api.usage import SpendingLimit, Usage, paid
from airflow_provider_alchemy.api.waiting import RefreshWait

T = TypeVar("T")

CONNECTIONS = 16
"""Calls under way at once, hence connections: at a tenth of a second for an answer they carry 160 polls a second,
eight times what the largest documented plan allows."""


class RefreshPoller:
    """
    Polls for all waits of a connection.

    :param settings: Whose account, and the way to it.
    :param renew: Reads the settings again, after the service refused the key; default: they never change.
    :param on_call: Is told what each request cost.
    :param connections: Requests under way at once. Default 16.
    """

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
        self._queue: Queue | None = None
        self._renew = renew
        self._renewing = asyncio.Lock()
        self._on_call = on_call
        self._free = asyncio.Semaphore(connections)
        self._agenda = Agenda()
        self._sooner = asyncio.Event()
        self._dispatcher: asyncio.Task[None] | None = None
        self._calls: set[asyncio.Task[None]] = set()
        self.waits = 0
        """Who uses the poller: for whoever opens and closes it."""

    @property
    def settings(self) -> ClientSettings:
        """The settings that are used now; a rotated key changes them."""
        return self._client.settings

    async def follow(self, wait: RefreshWait, *, until_the_end: bool = True) -> None:
        """
        Poll until a wait has ended.

        :param wait: The wait.
        :param until_the_end: Whether to wait for the refresh's end; else one answer that accepts it is enough.
        :raises AlchemyError: The wait has failed.
        """
        wait.limits.check_spending()
        delay: float | None = wait.first_delay_seconds()
        while delay is not None:
            follower = Follower(wait, self._put, until_the_end=until_the_end)
            follower.due_in(delay)
            self._ask(follower)
            try:
                # The last look is due at the deadline, and may take as long as a call may.
                left = wait.limits.cut(math.inf) + self.settings.timeout
                async with asyncio.timeout(None if math.isinf(left) else left):
                    await follower.answer
                delay = None
            except TimeoutError:
                delay = wait.take(throttle_of(self.settings).refusal or _no_turn(self.settings.timeout), follower.usage)
            finally:
                self._agenda.remove(follower)

    async def next_status(
        self,
        contract_address: str,
        *,
        delay_seconds: float,
        usage: Usage,
        head_start_seconds: float = 0.0,
        spending_limit: SpendingLimit | None = None,
    ) -> RefreshStatus:
        """
        Wait for the next answer about a contract: the one that is due, or an earlier one that another wait asked for.

        :param contract_address: The contract, checked and in lower case.
        :param delay_seconds: When it is to be asked at the latest, if the budget allows.
        :param usage: Counts the requests made for this question; an answer that another wait paid for costs nothing.
        :param head_start_seconds: How much its answer is worth before others that are due. Bounded by the interval
            between two looks, it starves nobody.
        :param spending_limit: What this wait and others may spend together; None: any amount.
        :return: The refresh's status.
        :raises AlchemySpendingLimitError: Nothing is left of the spending_limit.
        :raises AlchemyError: What went wrong with the poll; not that the account's throughput is used up, which is
            waited out for all together.
        """
        loop = asyncio.get_running_loop()
        due_at = next_stroke(loop.time() + delay_seconds, delay_seconds)
        rank = due_at - head_start_seconds
        question = Question(contract_address, due_at, rank, usage, spending_limit, loop.create_future())
        self._ask(question)
        try:
            status: RefreshStatus = await question.answer
        finally:
            self._agenda.remove(question)
        return status

    async def send(
        self,
        call: Call[T],
        *,
        usage: Usage,
        max_attempts: int,
        spending_limit: SpendingLimit,
        retries_unexpected: bool = False,
    ) -> T:
        """
        Make any other call through the session that all waits share, as ``AsyncAlchemyClient.send`` does.

        :param call: The call, its arguments checked.
        :param usage: Counts requests and units, also where the call fails.
        :param max_attempts: Attempts; one more after the service refused a key that somebody has rotated.
        :param spending_limit: What may be spent; each attempt is paid for from it before it is made.
        :param retries_unexpected: Whether an answer that the API reference does not know is worth another attempt.
        :return: The call's value.
        :raises AlchemyError: What went wrong.
        """
        while True:
            client, spent = self._client, Usage()
            try:
                return await client.send(
                    call,
                    usage=spent,
                    max_attempts=max_attempts,
                    spending_limit=spending_limit,
                    retries_unexpected=retries_unexpected,
                )
            except AlchemyAuthenticationError as refusal:
                if not await self._renewed(client, refusal):
                    raise
            finally:
                usage.add(spent)
                if spent.calls and self._on_call is not None:
                    self._on_call(spent)

    async def aclose(self) -> None:
        """End what is under way and close the session."""
        tasks = [task for task in (self._dispatcher, *self._calls) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for client in (*self._retired, self._client):
            await client.aclose()

    def _ask(self, question: Question) -> None:
        if self._agenda.add(question):
            self._sooner.set()
        if self._dispatcher is None:
            # An empty context: the task serves every wait, and its log lines belong to none of them.
            self._dispatcher = asyncio.create_task(self._dispatch(), context=contextvars.Context())
            self._dispatcher.add_done_callback(self._dispatcher_ended)

    def _put(self, question: Question) -> None:
        if self._agenda.put(question):
            self._sooner.set()

    def _dispatcher_ended(self, dispatcher: asyncio.Task[None]) -> None:
        """Let no wait hang on a poller that broke."""
        self._dispatcher = None
        error = None if dispatcher.cancelled() else dispatcher.exception()
        if error is not None:
            self._agenda.fail_all(error)

    async def _dispatch(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self._sooner.clear()
            rank = self._agenda.best_rank(loop.time())
            if rank is None:
                await self._until_one_is_due(loop)
                continue
            await self._free.acquire()
            turns = self._queue = self._queue or throttle_of(self.settings).queue()
            began_at = await turns.wait(REINGEST_CONTRACT.throughput_units, priority=loop.time() - rank)
            # Meanwhile others have become due that may be worth more.
            question = self._agenda.begin(loop.time())
            if question is None:
                turns.abandon()
                self._free.release()
                continue
            call = asyncio.create_task(self._call(question, turns, began_at))
            self._calls.add(call)
            call.add_done_callback(self._calls.discard)

    async def _until_one_is_due(self, loop: asyncio.AbstractEventLoop) -> None:
        due_at = self._agenda.next_due_at()
        alarm = None if math.isinf(due_at) else loop.call_at(due_at, self._sooner.set)
        try:
            await self._sooner.wait()
        finally:
            if alarm is not None:
                alarm.cancel()

    async def _call(self, question: Question, turns: Queue, began_at: float) -> None:
        client, address = self._client, question.contract_address
        outcome: RefreshStatus | Exception
        try:
            outcome = await self._pay_and_ask(client, question)
        except Exception as error:  # noqa: BLE001 - whatever it is, the waits must learn of it, or they hang
            outcome = error
        self._free.release()
        loop = asyncio.get_running_loop()
        if isinstance(outcome, AlchemySpendingLimitError):
            # The trouble of this wait alone: another one of the same contract may have means of its own.
            turns.abandon()
            question.settle(outcome)
            self._ask_again(address, loop.time())
            return
        refusal = outcome if isinstance(outcome, AlchemyRateLimitError) else None
        turns.report(began_at, refusal)
        if refusal is not None or await self._renewed(client, outcome):
            self._ask_again(address, loop.time())
        else:
            self._agenda.tell(address, outcome, loop.time())

    def _ask_again(self, contract_address: str, now: float) -> None:
        self._agenda.put_off(contract_address, now)
        self._sooner.set()

    async def _pay_and_ask(self, client: AsyncAlchemyClient, question: Question) -> RefreshStatus:
        price, spent = REINGEST_CONTRACT.compute_units, Usage()
        try:
            with paid(price, question.spending_limit or SpendingLimit(), spent) as usage:
                call = endpoints.reingest_contract(question.contract_address, client.settings)
                return await client.attempt(call, usage)
        finally:
            question.usage.add(spent)
            if spent.calls and self._on_call is not None:
                self._on_call(spent)

    async def _renewed(self, client: AsyncAlchemyClient, outcome: object) -> bool:
        """Read the settings again where the service refused the key: somebody may have rotated it."""
        if self._renew is None or not isinstance(outcome, AlchemyAuthenticationError):
            return False
        async with self._renewing:
            if client is not self._client:
                return True
            try:
                settings = await self._renew()
            except Exception:  # noqa: BLE001 - the refusal of the key is what the wait must learn of
                return False
            if settings == client.settings:
                return False
            # Other calls may still use it: it is closed with the poller.
            self._retired.append(client)
            self._client = AsyncAlchemyClient(settings, connections=self._connections)
            self._queue = None
            return True


def _no_turn(patience_seconds: float) -> AlchemyError:
    msg = f"the account's throughput left no room for a poll for {patience_seconds:g} seconds"
    return AlchemyTimeoutError(msg)
