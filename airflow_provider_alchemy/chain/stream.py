# SPDX-License-Identifier: Apache-2.0
"""
One poll loop for all watches of a connection and network.

Each poll asks for the newest block, and for the logs of all watched contracts in as few calls as the API allows. The
loop never gives up: what is wrong with the service, the account or the connection is logged, and tried again later.
Nothing is lost meanwhile, because each watch knows the next block that it needs.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Coroutine, Iterable
from contextlib import AbstractAsyncContextManager, suppress
from typing import Any, TypeVar

from airflow_provider_alchemy.api.errors import AlchemyError, AlchemyRequestError, ErrorKind
from airflow_provider_alchemy.api.logs import Log
from airflow_provider_alchemy.api.throttle import backoff_seconds
from airflow_provider_alchemy.api.usage import Usage
from airflow_provider_alchemy.chain.events import ChainLog
from airflow_provider_alchemy.chain.reader import ChainReader, Sender
from airflow_provider_alchemy.chain.watch import Span, Update, Watch

T = TypeVar("T")

JOIN_SECONDS, MAX_JOIN_SECONDS = 0.5, 5.0
"""Watches that begin together, as after a restart, are served by the same calls: none is made while others join."""

SAVE_SECONDS = 300.0
"""How often the cursor of a quiet watch is saved: that much is read again after a crash, and holds nothing new."""

PERMANENT_RETRY_SECONDS = 60.0
"""How soon at the earliest a connection or an account that was refused is tried again."""

WARNING_SECONDS = 600.0
"""How often the same trouble is warned of."""


class NetworkChangedError(Exception):
    """The connection leads to another network than before."""


class LogStream:
    """The poll loop, and the queue of the updates of all its watches."""

    def __init__(self, open_sender: Callable[[], AbstractAsyncContextManager[Sender]], name: str, log: Log) -> None:
        self._open_sender = open_sender
        self._name = name
        self._log = log
        self._watches: list[Watch] = []
        self._updates: asyncio.Queue[Update | BaseException] = asyncio.Queue()
        self._poll_loop: asyncio.Task[None] | None = None
        self._network: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._is_watched = asyncio.Event()
        self._has_joined = asyncio.Event()
        self._joined_at = 0.0
        self._failures = 0
        self._warned: tuple[str, float] = ("", 0.0)
        self.is_broken = False
        self.users = 0
        """For what opens and closes it."""

    async def network(self) -> str:
        """Wait until the connection could be read; give the network's slug."""
        self._start()
        return await asyncio.shield(self._network)

    def join(self, watch: Watch) -> None:
        self._watches.append(watch)
        self._is_watched.set()
        self._has_joined.set()
        self._joined_at = asyncio.get_running_loop().time()
        self._start()

    def leave(self, watch: Watch) -> None:
        self._watches.remove(watch)
        if not self._watches:
            self._is_watched.clear()

    async def next_update(self) -> Update:
        """Wait for the next update of any watch; a bug in the stream is raised here."""
        update = await self._updates.get()
        if isinstance(update, BaseException):
            raise update
        return update

    def create_task(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Do something beside the caller; its error breaks the stream."""
        task = asyncio.create_task(work)
        task.add_done_callback(self._end)
        return task

    def fail(self, error: BaseException) -> None:
        """Break the stream: what waits for an update or for the network gets the error."""
        if self.is_broken:
            return
        self.is_broken = True
        if not self._network.done():
            self._network.set_exception(error)
            self._network.exception()  # else asyncio complains where nothing waits for it
        self._updates.put_nowait(error)

    async def aclose(self) -> None:
        poll_loop, self._poll_loop = self._poll_loop, None
        if poll_loop is not None:
            poll_loop.cancel()
            # Not awaited itself: an error that ended it is in the queue.
            await asyncio.wait([poll_loop])

    def _start(self) -> None:
        if self._poll_loop is None:
            # An empty context: the task serves every watch, and its log lines belong to none of them.
            self._poll_loop = asyncio.create_task(self._run(), context=contextvars.Context())
            self._poll_loop.add_done_callback(self._end)

    def _end(self, task: asyncio.Task[Any]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self.fail(error)

    async def _run(self) -> None:
        while True:
            try:
                async with self._open_sender() as sender:
                    await self._serve(sender)
            except AlchemyError as error:
                self._warn(error)
                await asyncio.sleep(backoff_seconds(self._failures, PERMANENT_RETRY_SECONDS))

    async def _serve(self, sender: Sender) -> None:
        """Poll until something goes wrong that another reading of the connection may repair."""
        loop, reader = asyncio.get_running_loop(), ChainReader(sender, self._log)
        if not self._network.done():
            self._network.set_result(sender.settings.network)
        while True:
            await self._until_all_have_joined(loop)
            began_at = loop.time()
            try:
                pause = None if await self._poll(reader, sender, began_at) else 0.0
                if self._failures > 1:
                    self._log.info("Watching the chain through %s goes on", self._name)
                self._failures, self._warned = 0, ("", 0.0)
            except AlchemyError as error:
                # A request that is refused now and then is the fault of something on the way.
                if error.kind is ErrorKind.PERMANENT and not isinstance(error, AlchemyRequestError):
                    raise
                self._warn(error)
                pause = backoff_seconds(self._failures, error.retry_after_seconds)
            finally:
                for watch in self._watches:
                    update = watch.next_update(self._network.result(), loop.time(), SAVE_SECONDS)
                    if update is not None:
                        self._updates.put_nowait(update)
            if pause is None:
                await self._until_due(began_at, loop)
            else:
                await asyncio.sleep(pause)

    async def _until_all_have_joined(self, loop: asyncio.AbstractEventLoop) -> None:
        await self._is_watched.wait()
        latest = loop.time() + MAX_JOIN_SECONDS
        while True:
            left = min(self._joined_at + JOIN_SECONDS, latest) - loop.time()
            if left <= 0:
                return
            await asyncio.sleep(left)

    async def _until_due(self, began_at: float, loop: asyncio.AbstractEventLoop) -> None:
        """Sleep until the next poll, which a watch that joins meanwhile may need sooner."""
        while (delay := began_at + self._interval_seconds - loop.time()) > 0:
            self._has_joined.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(delay):
                    await self._has_joined.wait()

    @property
    def _interval_seconds(self) -> float:
        return min((watch.poll_interval_seconds for watch in self._watches), default=0.0)

    async def _poll(self, reader: ChainReader, sender: Sender, began_at: float) -> bool:
        """Read what is new; give whether it was all, and not so much that it is emitted before the rest is read."""
        loop, usage = asyncio.get_running_loop(), Usage()
        newest = await reader.newest_block(usage)
        network = sender.settings.network
        if network != self._network.result():
            # Another chain, on which the watches' cursors mean nothing.
            msg = f"{self._name} was changed from {self._network.result()} to {network}; its watchers begin anew there"
            raise NetworkChangedError(msg)
        while True:
            # A watch that joins while the call is under way is not served by it.
            watches = tuple(self._watches)
            window = next_window((span for watch in watches for span in watch.needs(newest)), reader.max_blocks)
            if window is None:
                return True
            blocks = window.first_block, window.last_block
            last, logs = await reader.read(blocks, window.contracts, window.kinds, usage)
            if last < window.first_block:
                # This node does not have these blocks yet.
                return True
            by_contract: dict[str, list[ChainLog]] = {}
            for log in logs:
                by_contract.setdefault(log.contract_address, []).append(log)
            for watch in watches:
                watch.add(last, newest, by_contract)
            if loop.time() >= began_at + self._interval_seconds:
                return False

    def _warn(self, error: AlchemyError) -> None:
        """Log what is wrong, once and then now and then: it may last for days."""
        self._failures += 1
        now, what = asyncio.get_running_loop().time(), f"{type(error).__name__} {error.http_status}"
        before, again_at = self._warned
        if what != before or now > again_at:
            self._warned = (what, now + WARNING_SECONDS)
            text = (
                "Watching the chain through %s is held up: %s It goes on where it stopped; nothing is lost meanwhile."
            )
            self._log.warning(text, self._name, error)


def next_window(needs: Iterable[Span], max_blocks: int) -> Span | None:
    """
    Choose the blocks of the next call; None where nothing is needed.

    Windows begin at the earliest block that any watch needs, are as long as a call may be, and skip what none needs:
    no other choice of windows covers these blocks in fewer calls.
    """
    needed = [need for need in needs if need.first_block <= need.last_block]
    if not needed:
        return None
    first_block = min(need.first_block for need in needed)
    end = first_block + max_blocks - 1
    served = [need for need in needed if need.first_block <= end]
    return Span(
        first_block=first_block,
        last_block=min(end, max(need.last_block for need in served)),
        contracts=frozenset().union(*(need.contracts for need in served)),
        kinds=frozenset().union(*(need.kinds for need in served)),
    )
