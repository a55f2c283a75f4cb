# SPDX-License-Identifier: Apache-2.0
"""
One poll loop for all who watch a network's chain through a connection.

Each poll asks for the newest block, and for the logs of all watched contracts in as few calls as the API allows. It
lives as long as anybody watches and never gives up: what is wrong with the service, the account or the connection is
logged, and tried again later. Nothing is lost meanwhile, because each watch knows the next block that it needs.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress

from airflow_provider_alchemy.api.chain_events import ChainLog
from airflow_provider_alchemy.api.chain_reader import Caller, ChainReader
from airflow_provider_alchemy.api.chain_watch import Watch
from airflow_provider_alchemy.api.chain_windows import next_window
from airflow_provider_alchemy.api.errors import AlchemyError, AlchemyRequestError, ErrorKind
from airflow_provider_alchemy.api.logs import Log
from airflow_provider_alchemy.api.throttle import backoff_seconds
from airflow_provider_alchemy.api.usage import Usage

JOIN_SECONDS = 0.5
"""Watches that begin together, as after a restart, are served by the same calls: none is made while others join."""

LONGEST_JOIN_SECONDS = 5.0

KEEP_SECONDS = 300.0
"""How often the place of a quiet watch is kept: that much is read again after a crash, and holds nothing new."""

SECONDS_FOR_A_MENDER = 60.0
"""How often to look whether somebody has mended the connection or the account."""

SECONDS_BETWEEN_COMPLAINTS = 600.0


class NetworkChangedError(Exception):
    """The connection leads to another network than before."""


class LogStream:
    """
    The poll loop of a connection and network.

    :param open_caller: Opens the way to the API; the connection is read again each time.
    :param describe: Names connection and network for a person.
    :param log: Where it says what it does.
    :param on_broken: Is told of an error that is a bug, after which the loop has ended.
    """

    def __init__(
        self,
        open_caller: Callable[[], AbstractAsyncContextManager[Caller]],
        describe: str,
        log: Log,
        on_broken: Callable[[BaseException], None],
    ) -> None:
        self._open_caller = open_caller
        self._describe = describe
        self._log = log
        self._on_broken = on_broken
        self._reader = ChainReader(log)
        self._watches: list[Watch] = []
        self._loop_task: asyncio.Task[None] | None = None
        self._network: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._is_watched = asyncio.Event()
        self._somebody_came = asyncio.Event()
        self._joined_at = 0.0
        self._failures = 0
        self._complaint: tuple[str, float] | None = None

    async def network(self) -> str:
        """
        Wait until the connection could be read.

        :return: The network's slug.
        :raises BaseException: The loop has ended: a bug.
        """
        self._begin()
        return await asyncio.shield(self._network)

    def join(self, watch: Watch) -> None:
        """
        Begin to serve a watch, from the next poll on.

        :param watch: The watch.
        """
        self._watches.append(watch)
        self._is_watched.set()
        self._somebody_came.set()
        self._joined_at = asyncio.get_running_loop().time()
        self._begin()

    def leave(self, watch: Watch) -> None:
        """
        Serve a watch no more.

        :param watch: The watch.
        """
        self._watches.remove(watch)
        if not self._watches:
            self._is_watched.clear()

    async def aclose(self) -> None:
        """End the loop."""
        task, self._loop_task = self._loop_task, None
        if task is not None:
            task.cancel()
            # Not awaited itself: an error that ended it was told already.
            await asyncio.wait([task])

    def _begin(self) -> None:
        if self._loop_task is None:
            # An empty context: the task serves every watch, and its log lines belong to none of them.
            self._loop_task = asyncio.create_task(self._run(), context=contextvars.Context())
            self._loop_task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            if not self._network.done():
                self._network.set_exception(error)
                self._network.exception()  # else asyncio complains where nobody waits for it
            self._on_broken(error)

    async def _run(self) -> None:
        while True:
            try:
                async with self._open_caller() as caller:
                    await self._serve(caller)
            except AlchemyError as error:
                self._complain(error)
                # As if the service had asked for it: whoever mends a connection does not do it within a second.
                await asyncio.sleep(backoff_seconds(self._failures, SECONDS_FOR_A_MENDER))

    async def _serve(self, caller: Caller) -> None:
        """Poll until something goes wrong that another reading of the connection may mend."""
        loop = asyncio.get_running_loop()
        if not self._network.done():
            self._network.set_result(caller.settings.network)
        while True:
            await self._until_all_have_joined(loop)
            began_at = loop.time()
            try:
                is_done = await self._poll(caller, began_at)
            except AlchemyError as error:
                # A request that is refused now and then is the fault of something on the way.
                if error.kind is ErrorKind.PERMANENT and not isinstance(error, AlchemyRequestError):
                    raise
                self._complain(error)
                delay: float | None = backoff_seconds(self._failures, error.retry_after_seconds)
            else:
                self._recover()
                delay = None if is_done else 0.0
            finally:
                for watch in self._watches:
                    watch.tell(self._network.result(), loop.time(), KEEP_SECONDS)
            if delay is None:
                await self._until_due(began_at, loop)
            else:
                await asyncio.sleep(delay)

    async def _until_due(self, began_at: float, loop: asyncio.AbstractEventLoop) -> None:
        """Sleep until the next poll, which whoever comes meanwhile may need sooner."""
        while (delay := began_at + self._interval_seconds - loop.time()) > 0:
            self._somebody_came.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(delay):
                    await self._somebody_came.wait()

    async def _until_all_have_joined(self, loop: asyncio.AbstractEventLoop) -> None:
        await self._is_watched.wait()
        longest = loop.time() + LONGEST_JOIN_SECONDS
        while True:
            left = min(self._joined_at + JOIN_SECONDS, longest) - loop.time()
            if left <= 0:
                return
            await asyncio.sleep(left)

    @property
    def _interval_seconds(self) -> float:
        return min((watch.poll_interval_seconds for watch in self._watches), default=0.0)

    async def _poll(self, caller: Caller, began_at: float) -> bool:
        """Read what is new; give whether it was all, and not so much that it is to be told before the rest is read."""
        loop, usage = asyncio.get_running_loop(), Usage()
        newest = await self._reader.newest_block(caller, usage)
        self._check_network(caller)
        while True:
            # Whoever joins while the call is under way is not served by it.
            watches = tuple(self._watches)
            needs = [need for watch in watches for need in watch.needs(newest)]
            window = next_window(needs, self._reader.most_blocks)
            if window is None:
                return True
            last, logs = await self._reader.read(
                (window.first_block, window.last_block), window.contracts, window.kinds, caller, usage
            )
            by_contract: dict[str, list[ChainLog]] = {}
            for log in logs:
                by_contract.setdefault(log.contract_address, []).append(log)
            for watch in watches:
                watch.take(last, newest, by_contract)
            if loop.time() >= began_at + self._interval_seconds:
                return False

    def _check_network(self, caller: Caller) -> None:
        """End where the connection was changed to another chain, on which the watches' places mean nothing."""
        network, now = self._network.result(), caller.settings.network
        if now != network:
            msg = f"{self._describe} was changed from {network} to {now}; whoever watches begins anew with its places"
            raise NetworkChangedError(msg)

    def _complain(self, error: AlchemyError) -> None:
        """Say what is wrong, once and then now and then: it may last for days."""
        self._failures += 1
        now, what = asyncio.get_running_loop().time(), f"{type(error).__name__} {error.http_status}"
        if self._complaint is None or self._complaint[0] != what or now > self._complaint[1]:
            self._complaint = (what, now + SECONDS_BETWEEN_COMPLAINTS)
            self._log.warning(
                "Watching the chain through %s is held up: %s It goes on where it stopped; nothing is lost meanwhile.",
                self._describe,
                error,
            )

    def _recover(self) -> None:
        if self._failures > 1:
            self._log.info("Watching the chain through %s goes on", self._describe)
        self._failures, self._complaint = 0, None
