# SPDX-License-Identifier: Apache-2.0
"""The chain's logs as the node API gives them, and who calls it in tests."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from airflow_provider_alchemy.api.settings import ClientSettings
from airflow_provider_alchemy.chain.events import (
    BATCH_METADATA_UPDATE,
    CONSECUTIVE_TRANSFER,
    METADATA_UPDATE,
    TRANSFER,
    TRANSFER_BATCH,
    TRANSFER_SINGLE,
    URI,
    ChainLog,
    EventKind,
)
from airflow_provider_alchemy.chain.reader import Sender
from airflow_provider_alchemy.chain.stream import LogStream
from airflow_provider_alchemy.chain.watch import Update, Watch
from airflow_provider_alchemy.testing import AlchemyEmulator
from airflow_provider_alchemy.waits.poller import Poller

NETWORK = "eth-mainnet"
FIRST_BLOCK = 20_000_000
"""The emulator's newest block at first."""

LARGEST = 2**256 - 1

ZERO_ADDRESS = "0x" + 64 * "0"
"""As a topic: where a minted token comes from."""

OPERATOR, OWNER = "0x" + 62 * "0" + "0b", "0x" + 62 * "0" + "a1"


def contract(number: int) -> str:
    return f"0x{number:040x}"


def word(number: int) -> str:
    return f"{number:064x}"


def entry(topics: Iterable[Any], data: Any = "0x", **fields: Any) -> dict[str, Any]:
    """Give one entry of an answer of ``eth_getLogs``."""
    return {
        "address": contract(1),
        "topics": list(topics),
        "data": data,
        "blockNumber": "0x64",
        "transactionHash": "0x" + word(7),
        "transactionIndex": "0x0",
        "blockHash": "0x" + word(8),
        "logIndex": "0x3",
        "removed": False,
        **fields,
    }


def update(token_id: int, **fields: Any) -> dict[str, Any]:
    return entry([METADATA_UPDATE], "0x" + word(token_id), **fields)


def batch_update(first: int, last: int, **fields: Any) -> dict[str, Any]:
    return entry([BATCH_METADATA_UPDATE], "0x" + word(first) + word(last), **fields)


def uri(token_id: int, **fields: Any) -> dict[str, Any]:
    return entry([URI, "0x" + word(token_id)], "0x" + word(32) + word(5) + "68656c6c6f".ljust(64, "0"), **fields)


def transfer(token_id: int, sender: int = 0, **fields: Any) -> dict[str, Any]:
    start = ZERO_ADDRESS if sender == 0 else "0x" + word(sender)
    return entry([TRANSFER, start, "0x" + word(0xA1), "0x" + word(token_id)], **fields)


def sender_topic(sender: int) -> str:
    return "0x" + word(sender)


def words(*numbers: int) -> str:
    return "0x" + "".join(map(word, numbers))


def single(token_id: int, amount: int = 1, sender: int = 0) -> dict[str, Any]:
    return entry([TRANSFER_SINGLE, OPERATOR, sender_topic(sender), OWNER], words(token_id, amount))


def batch(*token_ids: int, sender: int = 0) -> dict[str, Any]:
    """Give a batch as compilers write it: where the two lists begin, then each with its length before it."""
    count = len(token_ids)
    data = words(64, 96 + 32 * count, count, *token_ids, count, *[1] * count)
    return entry([TRANSFER_BATCH, OPERATOR, sender_topic(sender), OWNER], data)


def consecutive(first: int, last: int, sender: int = 0) -> dict[str, Any]:
    return entry([CONSECUTIVE_TRANSFER, "0x" + word(first), sender_topic(sender), OWNER], words(last))


def log(
    block: int = 100,
    index: int = 0,
    *,
    transaction: int = 1,
    address: str | None = None,
    kind: EventKind = EventKind.METADATA,
    tokens: tuple[int, int] = (1, 1),
) -> ChainLog:
    return ChainLog(block, index, "0x" + word(transaction), address or contract(1), kind, (tokens,))


def sender_to(emulator: AlchemyEmulator, **settings: Any) -> Poller:
    usual = {"compute_units_per_second": 10**6, "max_attempts": 1, "host": emulator.url, "api_key": emulator.api_key}
    return Poller(ClientSettings(**{**usual, **settings}))


def accepted(emulator: AlchemyEmulator) -> list[tuple[int, int]]:
    """Give the ranges of blocks of the calls of ``eth_getLogs`` that the emulator answered well."""
    return [call.blocks for call in emulator.calls if call.blocks and call.http_status == 200 and call.compute_units]


class Watcher:
    """A watch, and the updates of it."""

    def __init__(self, *numbers: int, kinds: Iterable[EventKind] = EventKind, **arguments: Any) -> None:
        self.updates: list[Update] = []
        usual = {"poll_interval_seconds": 0.02, "confirmations": 2, "start_block": FIRST_BLOCK}
        self.watch = Watch(map(contract, numbers or (1,)), kinds, **{**usual, **arguments})

    @property
    def payloads(self) -> list[dict[str, Any]]:
        return [payload for update in self.updates for payload in update.payloads]

    @property
    def ids(self) -> list[str]:
        return [event_id for payload in self.payloads for event_id in payload["event_ids"]]

    @property
    def next_block(self) -> int:
        """The first block that one of its contracts has still to read."""
        return min(self.watch.cursor.values(), default=0)


OpenSender = Callable[[], AbstractAsyncContextManager[Sender]]


class Streams:
    """Streams over an emulator, as a triggerer has one for each connection and network."""

    def __init__(self, emulator: AlchemyEmulator) -> None:
        self._emulator = emulator
        self._opened: list[LogStream] = []
        self._watchers: dict[Watch, Watcher] = {}
        self._takers: list[asyncio.Task[None]] = []
        self.log = logging.getLogger("chain")
        self.errors: list[BaseException] = []

    def open(self, open_sender: OpenSender | None = None, **settings: Any) -> LogStream:
        """Open a stream; it polls as soon as a watch joins."""
        stream = LogStream(
            open_sender or (lambda: open_sender_to(self._emulator, **settings)), "connection 'test'", self.log
        )
        self._opened.append(stream)
        self._takers.append(asyncio.create_task(self._take(stream)))
        return stream

    async def served(self, *watchers: Watcher, open_sender: OpenSender | None = None, **settings: Any) -> LogStream:
        """Open a stream for some watchers."""
        stream = self.open(open_sender, **settings)
        await stream.network()
        for watcher in watchers:
            self.join(stream, watcher)
        return stream

    def join(self, stream: LogStream, watcher: Watcher) -> None:
        self._watchers[watcher.watch] = watcher
        stream.join(watcher.watch)

    async def _take(self, stream: LogStream) -> None:
        while True:
            try:
                update = await stream.next_update()
            except Exception as error:  # noqa: BLE001 - a bug is what some tests wait for
                self.errors.append(error)
                return
            self._watchers[update.watch].updates.append(update)

    async def aclose(self) -> None:
        for task in self._takers:
            task.cancel()
        await asyncio.gather(*self._takers, return_exceptions=True)
        for stream in self._opened:
            await stream.aclose()


@asynccontextmanager
async def open_sender_to(emulator: AlchemyEmulator, **settings: Any) -> AsyncIterator[Poller]:
    poller = sender_to(emulator, **settings)
    try:
        yield poller
    finally:
        await poller.aclose()


def chain_ids(emulator: AlchemyEmulator, *numbers: int) -> list[str]:
    """Give the ids of what the chain holds now of some contracts."""
    contracts = set(map(contract, numbers or (1,)))
    return [log.id for log in emulator.chain_logs() if log.contract_address in contracts]
