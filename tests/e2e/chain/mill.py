# SPDX-License-Identifier: Apache-2.0
"""Blocks that come by themselves: what contracts announce in them, reorganisations, and what a watch is to be told."""

from __future__ import annotations

import random
from collections.abc import Sequence
from threading import Event, Thread
from types import TracebackType
from typing import Self

from airflow_provider_alchemy.testing import AlchemyEmulator
from airflow_provider_alchemy.testing.chain import (
    BATCH_METADATA_UPDATE,
    METADATA_UPDATE,
    TRANSFER,
    URI,
    ChainLog,
)
from tests.e2e.chain.dags.watchers import Watched

FROM_NOBODY = f"0x{0:064x}"
TOKENS = 10_000


class Mill:
    """
    A thread that mines while the context is open.

    :param emulator: Where.
    :param network: On which chain.
    :param contracts: Who announces.
    :param seed: Of the dice.
    :param deepest: How many of the newest blocks a reorganisation replaces at most: fewer than any watch waits for.
    :param pause_seconds: The time between two steps.
    """

    def __init__(
        self,
        emulator: AlchemyEmulator,
        network: str,
        contracts: Sequence[str],
        *,
        seed: int,
        deepest: int = 2,
        pause_seconds: float = 0.2,
    ) -> None:
        self.steps = 0
        self._emulator = emulator
        self._network = network
        self._contracts = contracts
        self._dice = random.Random(seed)
        self._deepest = deepest
        self._pause_seconds = pause_seconds
        self._is_over = Event()
        self._thread = Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._is_over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._is_over.wait(self._pause_seconds):
            self._step()
            self.steps += 1

    def _step(self) -> None:
        dice, emulator, network = self._dice, self._emulator, self._network
        what = dice.random()
        if what < 0.15:
            emulator.reorganise(dice.randint(1, self._deepest), keep_logs=dice.random() < 0.5, network=network)
        elif what < 0.4:
            emulator.mine_blocks(dice.randint(1, 2), network=network)
        else:
            with emulator.one_block(network=network):
                for _ in range(dice.randint(1, 3)):
                    self._announce(dice.choice(self._contracts))

    def _announce(self, contract: str) -> None:
        dice, emulator, network = self._dice, self._emulator, self._network
        token = dice.randrange(TOKENS)
        what = dice.randrange(6)
        if what == 0:
            emulator.reveal(contract, [token, token + 1, token + 2], network=network)
        elif what == 1:
            emulator.reveal_batch(contract, token, token + dice.randrange(TOKENS), network=network)
        elif what == 2:
            emulator.announce_uri(contract, token, network=network)
        elif what == 3:
            emulator.mint(contract, [token, token + 1], network=network)
        elif what == 4:
            emulator.transfer(contract, token, network=network)
        else:
            emulator.emit_log(contract, [METADATA_UPDATE], "0x1234", network=network)


def logs_for(watched: Watched, emulator: AlchemyEmulator) -> list[ChainLog]:
    """Give what is on the chain now that a watch is told as soon as it is confirmed."""
    return [
        log
        for log in emulator.chain_logs(network=watched.network)
        if log.contract_address in watched.contracts and kind_of(log) in watched.events
    ]


def ids_for(watched: Watched, emulator: AlchemyEmulator) -> set[str]:
    return {log.id for log in logs_for(watched, emulator)}


def kind_of(log: ChainLog) -> str | None:
    if log.topics[0] == TRANSFER:
        return "mint" if log.topics[1] == FROM_NOBODY else None
    # The ones whose data is cut short decode to nothing.
    is_whole = log.topics[0] in {BATCH_METADATA_UPDATE, URI} or (log.topics[0] == METADATA_UPDATE and len(log.data) > 6)
    return "metadata" if is_whole else None
